"""The scores of label maps that several files test."""

import pytest

from kerasseg.metrics import (
    BoundaryIoU,
    FrequencyWeightedIoU,
    MeanAccuracy,
    MeanIoU,
    PixelAccuracy,
)

SCORES = [MeanIoU, FrequencyWeightedIoU, PixelAccuracy, MeanAccuracy, BoundaryIoU]
each = pytest.mark.parametrize("kind", SCORES)


def scored(truth, scores, kind=MeanIoU, sample_weight=None, **arguments):
    arguments = {"num_classes": scores.shape[-1], **arguments}
    metric = kind(**arguments)
    metric.update_state(truth, scores, sample_weight)
    return metric
