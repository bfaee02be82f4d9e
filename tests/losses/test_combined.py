"""Cross-entropy and Dice together are their weighted sum."""

import pytest
from keras import ops

from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice
from tests.losses.cases import WEIGHTS
from tests.maps import random_maps, random_masks


def test_cross_entropy_dice_is_the_weighted_sum_of_the_two(rng):
    truth, scores = random_maps(rng)
    loss = CrossEntropyDice(255, WEIGHTS, cross_entropy_weight=0.3, dice_weight=2, per_image=True)
    weights = rng.uniform(size=truth.shape)
    expected = 0.3 * CrossEntropy(255, WEIGHTS)(truth, scores, weights)
    expected += 2 * Dice(255, WEIGHTS, per_image=True)(truth, scores, weights)
    assert float(loss(truth, scores, weights)) == pytest.approx(float(expected), rel=1e-6)


def test_without_reduction_each_pixel_carries_the_dice_of_its_image(rng):
    truth, scores = random_maps(rng)
    maps = CrossEntropyDice(reduction=None, per_image=True)(truth, scores)
    pixels = CrossEntropy(reduction=None)(truth, scores)
    images = ops.convert_to_numpy(Dice(reduction=None, per_image=True)(truth, scores))
    overlap = ops.convert_to_numpy(maps - pixels)
    assert overlap == pytest.approx(images[:, None, None] * (overlap * 0 + 1), abs=1e-6)
    truth, scores = random_masks(rng, labels=4)
    settings = {"reduction": None, "multi_label": True}
    maps = CrossEntropyDice(**settings)(truth, scores) - CrossEntropy(**settings)(truth, scores)
    labels = ops.convert_to_numpy(Dice(**settings)(truth, scores))
    assert ops.convert_to_numpy(maps)[2, 1, 3] == pytest.approx(labels[2], abs=1e-6)


@pytest.mark.parametrize("arguments", [{"cross_entropy_weight": -1}, {"dice_weight": float("nan")}])
def test_weights_that_cannot_be_are_refused(arguments):
    with pytest.raises(ValueError, match="finite, non-negative numbers. Received: cross_entropy_w"):
        CrossEntropyDice(**arguments)
