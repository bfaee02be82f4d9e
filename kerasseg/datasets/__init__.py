"""Every source of images, as batches for `fit`; and the label doctor, which needs no TensorFlow."""

from kerasseg.requirements import require

ELSEWHERE = {
    "SOURCES": "kerasseg.datasets.loading",
    "Dataset": "kerasseg.datasets.dataset",
    "Source": "kerasseg.datasets.dataset",
    "load": "kerasseg.datasets.loading",
}
MODULES = (
    "camvid",
    "cityscapes",
    "corruptions",
    "digits",
    "doctor",
    "files",
    "folder",
    "nuclei",
    "pets",
    "street_scenes",
)
__all__ = [*ELSEWHERE, "corruptions"]


def __getattr__(name):
    """Imports TensorFlow when something is loaded, not before."""
    if name in ELSEWHERE:
        return getattr(require(ELSEWHERE[name]), name)
    if name in MODULES:
        return require(f"kerasseg.datasets.{name}")
    raise AttributeError(f"module 'kerasseg.datasets' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
