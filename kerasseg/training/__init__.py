"""Around `fit`: a run that survives, devices, evaluation, and the page of a run."""

from kerasseg.training.run import Run, cosine_with_warmup, fingerprint

__all__ = ["Run", "cosine_with_warmup", "fingerprint"]
