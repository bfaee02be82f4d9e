"""Scores of label maps and of images, over a whole data set."""

from kerasseg.metrics.accuracy import MeanAccuracy, PixelAccuracy
from kerasseg.metrics.boundary import BoundaryIoU
from kerasseg.metrics.calibration import ExpectedCalibrationError
from kerasseg.metrics.confusion import ConfusionMatrixMetric
from kerasseg.metrics.image_quality import PSNR, SSIM
from kerasseg.metrics.iou import FrequencyWeightedIoU, MeanIoU

__all__ = [
    "PSNR",
    "SSIM",
    "BoundaryIoU",
    "ConfusionMatrixMetric",
    "ExpectedCalibrationError",
    "FrequencyWeightedIoU",
    "MeanAccuracy",
    "MeanIoU",
    "PixelAccuracy",
]


def __dir__():
    return __all__
