"""Around `fit`: callbacks, a run that survives being killed, devices, evaluation, the report."""

from kerasseg.training.batch_norm import UpdateBatchNorm, update_batch_norm
from kerasseg.training.fingerprints import fingerprint
from kerasseg.training.run import Run
from kerasseg.training.schedule import cosine_with_warmup

__all__ = [
    "Run",
    "UpdateBatchNorm",
    "cosine_with_warmup",
    "fingerprint",
    "update_batch_norm",
]


def __dir__():
    return __all__
