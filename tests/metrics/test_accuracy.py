"""All scores agree with those of the FCN paper and with scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from kerasseg.metrics import FrequencyWeightedIoU, MeanAccuracy, MeanIoU, PixelAccuracy
from tests import reference
from tests.maps import random_maps
from tests.metrics.cases import scored


def test_scores_agree_with_those_of_the_fcn_paper_and_with_scikit_learn(rng):
    truth, scores = random_maps(rng)
    truth[truth == 3] = 2  # predicted, never true
    scores[..., 4] = -9
    truth[truth == 4] = 0  # neither
    n = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255)
    known = truth != 255
    pair = truth[known], scores.argmax(-1)[known]
    np.testing.assert_array_equal(n, sklearn.metrics.confusion_matrix(*pair, labels=range(5)))
    t, iou = n.sum(1), reference.iou(n)
    expected = {
        MeanIoU: np.nanmean(iou),
        FrequencyWeightedIoU: np.nansum(t * iou) / t.sum(),
        PixelAccuracy: np.trace(n) / t.sum(),
        MeanAccuracy: np.mean(np.diag(n)[t > 0] / t[t > 0]),
    }
    true_labels = np.unique(pair[0])
    from_sklearn = {
        MeanIoU: sklearn.metrics.jaccard_score(*pair, average="macro"),
        FrequencyWeightedIoU: sklearn.metrics.jaccard_score(*pair, average="weighted"),
        PixelAccuracy: sklearn.metrics.accuracy_score(*pair),
        MeanAccuracy: sklearn.metrics.recall_score(*pair, average="macro", labels=true_labels),
    }
    for kind in expected:
        result = float(scored(truth, scores, kind).result())
        assert result == pytest.approx(expected[kind], abs=1e-6)
        assert result == pytest.approx(from_sklearn[kind], abs=1e-6)
    accuracy = np.where(t > 0, np.diag(n) / np.maximum(t, 1), np.nan)
    for kind, expected in ((FrequencyWeightedIoU, iou), (MeanAccuracy, accuracy)):
        np.testing.assert_allclose(scored(truth, scores, kind).per_class(), expected, rtol=1e-6)
