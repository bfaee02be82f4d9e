"""The confidence interval against a bootstrap that adds whole confusion matrices."""

import numpy as np
import pytest

from kerasseg.training.bootstrap import mean_iou_interval
from tests import reference


def of_images(matrices):
    """(hits, unions) of each image and class."""
    hits = np.array([np.diag(m) for m in matrices])
    return hits, np.array([m.sum(0) + m.sum(1) for m in matrices]) - hits


def images(rng, count=9, classes=4):
    """Confusion matrices; the last class is in the first image alone."""
    matrices = rng.integers(0, 50, (count, classes, classes)) + 90 * np.eye(classes, dtype=int)
    matrices[1:, -1] = matrices[1:, :, -1] = 0
    return matrices


@pytest.mark.parametrize("left_out", [None, 1])
def test_it_is_that_of_a_brute_force_bootstrap_of_the_same_draws(rng, left_out):
    matrices, draws = images(rng), np.random.default_rng(3)
    means = []
    for _ in range(400):
        total = sum(matrices[i] for i in draws.integers(0, 9, 9))
        ious = reference.iou(total)
        means.append(np.nanmean(np.delete(ious, left_out or [])))
    expected = np.quantile(means, [0.05, 0.95])
    found = mean_iou_interval(*of_images(matrices), left_out, level=0.9, draws=400, seed=3)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found[1] - found[0] > 0.02


def test_it_agrees_with_other_draws_of_a_brute_force_bootstrap(rng):
    matrices, draws = images(rng, 30), np.random.default_rng(8)
    means = [
        np.nanmean(reference.iou(sum(matrices[i] for i in draws.integers(0, 30, 30))))
        for _ in range(2000)
    ]
    found = mean_iou_interval(*of_images(matrices))
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_nineteen_of_twenty_intervals_hold_the_true_score(rng):
    truth = []
    for _ in range(200):  # each image has 100 pixels of one class, half of them right on average
        hits = rng.binomial(100, rng.beta(2, 2, (40, 1)))
        low, high = mean_iou_interval(hits, np.full((40, 1), 100), draws=200)
        truth.append(low <= 0.5 <= high)
    assert 0.88 <= np.mean(truth) <= 0.99


def test_one_image_has_no_interval_and_void_alone_has_none():
    assert mean_iou_interval([[3, 4]], [[5, 6]]) is None
    assert mean_iou_interval(np.zeros((3, 2)), np.zeros((3, 2))) is None
    assert mean_iou_interval([[2], [0]], [[4], [0]]) == (0.5, 0.5)  # the second holds void alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2]), r"one shape, \(images, classes\).*hits.shape=\(2,\)"),
        (([[1, 2]], [[1]]), r"Received: hits.shape=\(1, 2\), unions.shape=\(1, 1\)"),
        (([[1]], [[1]], None, 1.0), "`level` must be between 0 and 1.*level=1.0"),
        (([[1]], [[1]], None, 0.5, 0), "`draws` at least 1.*draws=0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        mean_iou_interval(*arguments)
