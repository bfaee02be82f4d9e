"""Inspecting and converting built models: graphs, receptive fields, foreign weights."""

from kerasseg.anatomy.classes import classes_of, with_classes
from kerasseg.anatomy.convolutionalization import convolutionalize
from kerasseg.anatomy.outputs import (
    Output,
    main_output,
    output_of,
    to_classes,
    to_probabilities,
)
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.anatomy.torch_weights import load_torch_weights

__all__ = [
    "Output",
    "classes_of",
    "convolutionalize",
    "effective_receptive_field",
    "load_torch_weights",
    "main_output",
    "output_of",
    "receptive_field",
    "to_classes",
    "to_probabilities",
    "with_classes",
]


def __dir__():
    return __all__
