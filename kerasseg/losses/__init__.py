"""Losses of label maps, and the weights of their classes and pixels."""

from kerasseg.losses.pixel_weights import (
    class_frequencies,
    median_frequency_weights,
    outline_weights,
)
from kerasseg.losses.segmentation import CrossEntropy, CrossEntropyDice, Dice, LabelMapLoss, Tversky

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
