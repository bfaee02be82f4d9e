"""Encoders and decoders for images in Keras 3.

Importing the package registers everything that a saved model can hold, so that
`import kerasseg; keras.saving.load_model(path)` is all it takes. What needs TensorFlow Datasets,
Matplotlib or scikit-learn loads on first use.
"""

import importlib

from kerasseg import initializers, layers, losses, metrics, models
from kerasseg.prediction import predict_image
from kerasseg.version import __version__

LOADED_ON_FIRST_USE = (
    *("chapter", "checks", "cli", "datasets", "distribution", "evaluation", "export"),
    *("figures", "postprocessing", "report", "training"),
)
FUNCTIONS = {
    "check_batch": "checks",
    "check_dataset": "checks",
    "effective_receptive_field": "receptive_fields",
    "load_torch_weights": "torch_weights",
    "receptive_field": "receptive_fields",
}
__all__ = [
    "__version__",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "predict_image",
    *LOADED_ON_FIRST_USE,
    *FUNCTIONS,
]


def __getattr__(name):
    if name in LOADED_ON_FIRST_USE:
        return importlib.import_module(f"kerasseg.{name}")
    if name in FUNCTIONS:
        return getattr(importlib.import_module(f"kerasseg.{FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'kerasseg' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
