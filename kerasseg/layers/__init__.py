"""Operations that Keras does not have, and two that the book names."""

from kerasseg.layers.atrous import AtrousConv2D
from kerasseg.layers.cropping import CenterCropLike, CropLike
from kerasseg.layers.flat_indices import argmax_from_flat, argmax_to_flat
from kerasseg.layers.named_classes import NamedClasses
from kerasseg.layers.normalization import FusedBatchNormalization
from kerasseg.layers.padding import PadToMultiple, ReflectionPadding2D
from kerasseg.layers.pooling import MaxPoolingWithArgmax2D
from kerasseg.layers.preprocessing import CaffePreprocessing, LocalResponseNormalization
from kerasseg.layers.pyramids import AtrousSpatialPyramidPooling, PyramidPooling
from kerasseg.layers.sampling import Sampling
from kerasseg.layers.unpooling import AverageUnpooling2D, MaxUnpooling2D
from kerasseg.layers.upsampling import BilinearUpsampling2D

__all__ = [
    "AtrousConv2D",
    "AtrousSpatialPyramidPooling",
    "AverageUnpooling2D",
    "BilinearUpsampling2D",
    "CaffePreprocessing",
    "CenterCropLike",
    "CropLike",
    "FusedBatchNormalization",
    "LocalResponseNormalization",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "NamedClasses",
    "PadToMultiple",
    "PyramidPooling",
    "ReflectionPadding2D",
    "Sampling",
    "argmax_from_flat",
    "argmax_to_flat",
]


def __dir__():
    return __all__
