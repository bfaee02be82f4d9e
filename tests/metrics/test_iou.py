"""IoU agrees with a slow confusion matrix, and void is no class."""

import numpy as np
from keras import ops

from tests import reference
from tests.maps import random_maps
from tests.metrics.cases import scored


def test_mean_iou_agrees_with_a_slow_confusion_matrix(rng):
    for _ in range(5):
        truth, scores = random_maps(rng)
        metric = scored(truth, scores)
        matrix = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255)
        np.testing.assert_array_equal(ops.convert_to_numpy(metric.confusion_matrix), matrix)
        iou = reference.iou(matrix)
        np.testing.assert_allclose(metric.per_class(), iou, rtol=1e-6)
        np.testing.assert_allclose(float(metric.result()), np.nanmean(iou), rtol=1e-6)


def test_a_class_in_neither_truth_nor_prediction_does_not_count():
    truth = np.array([[[0, 0, 2, 255]]])
    metric = scored(truth, np.eye(4, dtype="float32")[np.array([[[0, 0, 2, 2]]])])
    assert float(metric.result()) == 1.0
    np.testing.assert_array_equal(metric.per_class(), [1, np.nan, 1, np.nan])


def test_a_class_predicted_but_never_true_counts_as_zero():
    metric = scored(np.array([[[0, 0]]]), np.eye(2, dtype="float32")[np.array([[[0, 1]]])])
    np.testing.assert_array_equal(metric.per_class(), [0.5, 0.0])
    assert float(metric.result()) == 0.25
