"""Inspecting and converting built models: graphs, receptive fields, foreign weights."""

from kerasseg.anatomy.classes import classes_of, with_classes
from kerasseg.anatomy.convolutionalization import convolutionalize
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.anatomy.torch_weights import load_torch_weights

__all__ = [
    "classes_of",
    "convolutionalize",
    "effective_receptive_field",
    "load_torch_weights",
    "receptive_field",
    "with_classes",
]
