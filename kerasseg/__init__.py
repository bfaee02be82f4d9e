"""Encoders and decoders for images in Keras 3.

Importing the package registers everything that a saved model can hold, so that
`import kerasseg; keras.saving.load_model(path)` is all it takes. What needs TensorFlow Datasets,
Matplotlib or scikit-learn loads on first use.
"""

import importlib

from kerasseg import initializers, layers, losses, metrics, models
from kerasseg.version import __version__

LOADED_ON_FIRST_USE = ("chapter", "datasets", "figures")
__all__ = [
    "__version__",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    *LOADED_ON_FIRST_USE,
]


def __getattr__(name):
    if name in LOADED_ON_FIRST_USE:
        return importlib.import_module(f"kerasseg.{name}")
    raise AttributeError(f"module 'kerasseg' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
