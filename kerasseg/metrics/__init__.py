"""Scores of label maps and of images, over a whole data set."""

from kerasseg.metrics.image_quality import PSNR, SSIM
from kerasseg.metrics.segmentation import (
    BoundaryIoU,
    ConfusionMatrixMetric,
    FrequencyWeightedIoU,
    MeanAccuracy,
    MeanIoU,
    PixelAccuracy,
)

__all__ = [
    "PSNR",
    "SSIM",
    "BoundaryIoU",
    "ConfusionMatrixMetric",
    "FrequencyWeightedIoU",
    "MeanAccuracy",
    "MeanIoU",
    "PixelAccuracy",
]
