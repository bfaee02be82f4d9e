"""Encoders and decoders for images in Keras 3.

Importing the package registers everything that a saved model can hold, so that
`import kerasseg; keras.saving.load_model(path)` is all it takes. It needs Keras, NumPy and one of
Keras's backends; what needs more is imported on first use.
"""

from kerasseg.requirements import on_first_use, require_backend
from kerasseg_command import startup
from kerasseg_command.version import __version__

if startup.with_keras:
    require_backend()
    from kerasseg import initializers, layers, losses, metrics, models

ATTRIBUTES = {
    "check_batch": "kerasseg.datasets.doctor",
    "check_dataset": "kerasseg.datasets.doctor",
    "effective_receptive_field": "kerasseg.anatomy",
    "load_torch_weights": "kerasseg.anatomy",
    "predict_image": "kerasseg.inference",
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
    "anatomy",
    "chapter",
    "cli",
    "datasets",
    "figures",
    "inference",
    "training",
    *ATTRIBUTES,
]

__getattr__ = on_first_use(
    __name__,
    ATTRIBUTES,
    EARLIER_NAMES | {name: f"kerasseg.{name}" for name in __all__ if name not in ATTRIBUTES},
)


def __dir__():
    return sorted(__all__)
