"""The label doctor: says in words what is wrong with a batch or a set of images.

Book: chapter 6, "Preparing data for smart car apps". A mask that was resized smoothly, saved as
JPEG or counted from 0 to 255 trains without an error, and the model learns nothing.
"""

from kerasseg.datasets.doctor.batch import check_batch
from kerasseg.datasets.doctor.dataset import check_dataset
from kerasseg.datasets.doctor.report import Report, Statistics
from kerasseg.datasets.faults import Finding

__all__ = ["Finding", "Report", "Statistics", "check_batch", "check_dataset"]
