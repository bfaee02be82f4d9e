"""Every source of images, as batches for `fit`; and the label doctor, which needs no TensorFlow."""

from kerasseg.requirements import on_first_use

ATTRIBUTES = {
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
__all__ = [*ATTRIBUTES, "corruptions"]

__getattr__ = on_first_use(
    __name__, ATTRIBUTES, {name: f"kerasseg.datasets.{name}" for name in MODULES}
)


def __dir__():
    return sorted(__all__)
