"""The label doctor: says in words what is wrong with a batch or a set of images.

Book: chapter 6, "Preparing data for smart car apps". A mask that was resized smoothly, saved as
JPEG or counted from 0 to 255 trains without an error, and the model learns nothing.
"""

from kerasseg.requirements import on_first_use

ATTRIBUTES = {
    "Finding": "kerasseg.datasets.faults",
    "Report": "kerasseg.datasets.doctor.report",
    "Statistics": "kerasseg.datasets.doctor.report",
    "check_batch": "kerasseg.datasets.doctor.batch",
    "check_dataset": "kerasseg.datasets.doctor.dataset",
}
MODULES = {name: f"{__name__}.{name}" for name in ("batch", "dataset", "judge", "report")}
__all__ = [*ATTRIBUTES]

__getattr__ = on_first_use(__name__, ATTRIBUTES, MODULES)


def __dir__():
    return sorted([*ATTRIBUTES, *MODULES])
