"""Tversky and Dice agree with loops, and perfection costs nothing."""

import numpy as np
import pytest
from keras import ops

from kerasseg.losses import Dice, Tversky
from tests import reference
from tests.losses.cases import WEIGHTS
from tests.maps import random_maps, random_masks, sigmoid


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1, 0), (0, 2)])
def test_tversky_agrees_with_a_slow_loop_over_the_batch_and_per_image(rng, alpha, beta, weights):
    truth, scores = random_maps(rng)
    truth[0][truth[0] == 3] = 255  # a class that one image lacks
    arguments = (alpha, beta, weights or [1] * 5, 255)
    for per_image, batches in ((False, [slice(None)]), (True, [[0], [1], [2]])):
        loss = Tversky(alpha, beta, class_weights=weights, per_image=per_image)
        expected = np.mean([reference.tversky(truth[b], scores[b], *arguments) for b in batches])
        assert float(loss(truth, scores)) == pytest.approx(expected, abs=1e-6)


def test_dice_is_tversky_with_equal_prices(rng):
    truth, scores = random_maps(rng)
    assert float(Dice()(truth, scores)) == float(Tversky(0.5, 0.5)(truth, scores))


def test_alpha_is_the_price_of_claiming_too_much_and_beta_of_missing():
    truth = np.zeros((1, 4, 6), "int32")
    truth[:, :2, :3] = 1
    right = 100 * np.eye(2, dtype="float32")[truth]
    too_much, too_little = right.copy(), right.copy()
    too_much[:, :2, 3:] = [0, 100]  # 6 pixels of class 1 found, 6 claimed in vain
    too_little[:, :2, 0] = [100, 0]  # 4 found, 2 missed
    loss = Tversky(alpha=0.3, beta=0.7, class_weights=[0, 1])
    assert float(loss(truth, too_much)) == pytest.approx(1 - 6 / (6 + 0.3 * 6), abs=1e-6)
    assert float(loss(truth, too_little)) == pytest.approx(1 - 4 / (4 + 0.7 * 2), abs=1e-6)


def test_a_perfect_prediction_with_2_of_19_classes_costs_0_where_the_books_dice_costs_0_895(rng):
    truth = rng.integers(0, 2, (3, 8, 9))
    scores = 10 * np.eye(19, dtype="float32")[truth]
    assert reference.books_dice(truth, scores) == pytest.approx(0.895, abs=5e-4)
    assert float(Dice()(truth, scores)) < 1e-3
    assert float(Dice()(truth, 10 * scores)) == 0


def test_an_empty_mask_is_scored_by_its_background(rng):
    empty = np.zeros((1, 6, 7), "int32")
    nothing, everything = (100 * ops.one_hot(empty + c, 2) for c in (0, 1))
    for loss in (Dice(), Tversky()):
        assert float(loss(empty, nothing)) == 0
        assert float(loss(empty, everything)) == pytest.approx(1)
    foreground = Dice(class_weights=[0, 1], per_image=True)
    assert float(foreground(empty, everything)) == 0
    full = np.concatenate([empty, empty + 1])
    scores = ops.zeros((2, 6, 7, 2))  # Dice of the second image: 2 * 21 / (2 * 21 + 21)
    assert float(foreground(full, scores)) == pytest.approx(1 / 3)


def test_without_reduction_dice_gives_one_loss_an_image_and_the_mean_is_that_of_scored_images(rng):
    truth, scores = random_maps(rng)
    arguments = (0.5, 0.5, [1] * 5, 255)
    images = [reference.tversky(t[None], s[None], *arguments) for t, s in zip(truth, scores)]
    alone = ops.convert_to_numpy(Dice(per_image=True, reduction=None)(truth, scores))
    np.testing.assert_allclose(alone, images, atol=1e-6)
    weights = np.array([1.0, 3.0, 2.0])
    loss = Dice(per_image=True, reduction="mean_with_sample_weight")
    expected = np.average(images, weights=weights)
    assert float(loss(truth, scores, weights)) == pytest.approx(expected, abs=1e-6)
    total = Dice(per_image=True, reduction="sum")(truth, scores)
    assert float(total) == pytest.approx(np.sum(images), rel=1e-6)


@pytest.mark.parametrize("weights", [[0, 2, 3, 1], [1e-6, 2, 3, 1], [1, 1, 1, 1]])
def test_an_image_of_no_weight_counts_in_the_mean_and_one_without_anything_to_score_does_not(
    rng, weights
):
    truth, scores = random_maps(rng, shape=(4, 3, 5))
    truth[2], truth[3] = 255, np.where(truth[3] == 255, 255, 3)  # class 3 has no weight
    pixel_weights = np.broadcast_to(np.array(weights)[:, None, None], truth.shape)
    arguments = (0.5, 0.5, WEIGHTS, 255)
    images = [reference.tversky(*image, *arguments) for image in zip(truth, scores)]
    weighted = [
        reference.tversky(*image, *arguments, w) for *image, w in zip(truth, scores, pixel_weights)
    ]
    scored = [images[0] * weights[0], images[1] * weights[1]]
    assert np.nansum(weighted) == pytest.approx(sum(scored))
    expected = reference.mean_of_scored_images(weighted, truth, WEIGHTS, 255)
    assert expected == pytest.approx(sum(scored) / 2)
    settings = {"class_weights": WEIGHTS, "per_image": True}
    loss = Dice(**settings)(truth, scores, np.array(weights))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    weighted_mean = Dice(**settings, reduction="mean_with_sample_weight")
    measured = float(weighted_mean(truth, scores, np.array(weights)))
    assert measured == pytest.approx(sum(scored) / sum(weights[:2]), rel=1e-5)
    alone = Dice(**settings, reduction=None)(truth, scores, np.array(weights))
    np.testing.assert_allclose(ops.convert_to_numpy(alone), [*scored, 0, 0], rtol=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(-1, 1), (0, 0), (np.inf, 1), (np.nan, 1)])
def test_prices_that_cannot_be_are_refused(alpha, beta):
    with pytest.raises(ValueError, match="finite, non-negative numbers, not both zero"):
        Tversky(alpha, beta)


@pytest.mark.parametrize("weights", [None, [1, 3], [0, 1]])
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7)])
def test_one_channel_is_scored_as_background_and_foreground(rng, alpha, beta, weights):
    truth, logits = random_masks(rng, labels=1)
    probabilities, arguments = sigmoid(logits), (alpha, beta, weights or [1, 1], 255)
    for per_image, batches in ((False, [slice(None)]), (True, [[0], [1], [2]])):
        expected = np.mean(
            [reference.binary_tversky(truth[b], probabilities[b], *arguments) for b in batches]
        )
        settings = {"class_weights": weights, "per_image": per_image}
        measured = Tversky(alpha, beta, **settings)(truth, logits)
        assert float(measured) == pytest.approx(expected, abs=1e-6)
        measured = Tversky(alpha, beta, **settings, from_logits=False)(truth, probabilities)
        assert float(measured) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("per_image", [False, True])
def test_multi_label_overlap_is_the_weighted_mean_of_the_labels(rng, per_image):
    truth, logits = random_masks(rng, labels=4)
    truth[1, ..., 2] = 255  # an image that says nothing about a label
    truth[..., 3] = 255  # a label that no image says anything about
    weights, batches = [1, 2, 0.5, 9], [[0], [1], [2]] if per_image else [[0, 1, 2]]
    expected = []
    for label in range(3):
        scored = [b for b in batches if (truth[b][..., label] != 255).any()]
        parts = [(truth[b][..., label], sigmoid(logits[b][..., label])) for b in scored]
        losses = [reference.binary_tversky(*part, 0.3, 0.7, [1, 1], 255) for part in parts]
        expected.append(np.mean(losses))
    expected = np.average(expected, weights=weights[:3])
    loss = Tversky(class_weights=weights, per_image=per_image, multi_label=True)
    assert float(loss(truth, logits)) == pytest.approx(expected, abs=1e-6)
    without_reduction = Dice(per_image=per_image, multi_label=True, reduction=None)
    assert tuple(without_reduction(truth, logits).shape) == (3, 4)


def test_all_wrong_predictions_of_an_empty_mask_cost_1_with_one_channel_too():
    empty, everything = np.zeros((2, 4, 5), int), np.full((2, 4, 5, 1), 100.0)
    assert float(Dice()(empty, everything)) == pytest.approx(1)
    assert float(Dice()(empty, -everything)) == 0
    masks = np.concatenate([empty[..., None]] * 2, -1)
    both = np.concatenate([everything, -everything], -1)
    assert float(Dice(multi_label=True)(masks, both)) == pytest.approx(0.5)
