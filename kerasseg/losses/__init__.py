"""Losses of label maps, and the weights of their classes and pixels."""

from kerasseg.losses.base import LabelMapLoss
from kerasseg.losses.combined import CrossEntropyDice
from kerasseg.losses.cross_entropy import CrossEntropy
from kerasseg.losses.overlap import Dice, Tversky
from kerasseg.losses.pixel_weights import (
    class_frequencies,
    median_frequency_weights,
    outline_weights,
)

__all__ = [
    "CrossEntropy",
    "CrossEntropyDice",
    "Dice",
    "LabelMapLoss",
    "Tversky",
    "class_frequencies",
    "median_frequency_weights",
    "outline_weights",
]


def __dir__():
    return __all__
