"""Encoders and decoders for images in Keras 3.

Importing the package registers everything that a saved model can hold, so that
`import kerasseg; keras.saving.load_model(path)` is all it takes. It needs Keras, NumPy and one of
Keras's backends; what needs more is imported on first use.
"""

from kerasseg.requirements import require, require_backend

require_backend()

from kerasseg import initializers, layers, losses, metrics, models  # noqa: E402
from kerasseg.inference import predict_image  # noqa: E402
from kerasseg_command.version import __version__  # noqa: E402

LOADED_ON_FIRST_USE = ("anatomy", "chapter", "cli", "datasets", "figures", "inference", "training")
ELSEWHERE = {
    "check_batch": "kerasseg.datasets.doctor",
    "check_dataset": "kerasseg.datasets.doctor",
    "effective_receptive_field": "kerasseg.anatomy",
    "load_torch_weights": "kerasseg.anatomy",
    "receptive_field": "kerasseg.anatomy",
}
EARLIER_NAMES = {  # of modules, which lie in packages now
    "checks": "kerasseg.datasets.doctor",
    "distribution": "kerasseg.training.devices",
    "evaluation": "kerasseg.training.evaluation",
    "export": "kerasseg.inference.export",
    "postprocessing": "kerasseg.inference",
    "report": "kerasseg.training.report",
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
    *ELSEWHERE,
]


def __getattr__(name):
    if name in LOADED_ON_FIRST_USE:
        return require(f"kerasseg.{name}")
    if name in ELSEWHERE:
        return getattr(require(ELSEWHERE[name]), name)
    if name in EARLIER_NAMES:
        return require(EARLIER_NAMES[name])
    raise AttributeError(f"module 'kerasseg' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
