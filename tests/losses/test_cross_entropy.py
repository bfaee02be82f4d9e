"""Cross-entropy agrees with loops and with PyTorch, of classes, of one channel and of labels."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.losses import CrossEntropy
from tests import reference
from tests.losses.cases import WEIGHTS
from tests.maps import random_maps, random_masks, sigmoid


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_agrees_with_a_slow_loop(rng, weights):
    truth, scores = random_maps(rng)
    expected = reference.cross_entropy(truth, scores, weights or [1] * 5, 255)
    loss = CrossEntropy(class_weights=weights)
    np.testing.assert_allclose(float(loss(truth, scores)), expected, rtol=1e-6)
    np.testing.assert_allclose(float(loss(truth[..., None], scores)), expected, rtol=1e-6)


def test_cross_entropy_agrees_with_pytorch(rng):
    torch = pytest.importorskip("torch")
    truth, scores = random_maps(rng)
    weights = [1, 2, 0.5, 0.1, 4]
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(np.moveaxis(scores, -1, 1)),
        torch.from_numpy(truth),
        weight=torch.tensor(weights),
        ignore_index=255,
    )
    loss = CrossEntropy(class_weights=weights)(truth, scores)
    np.testing.assert_allclose(float(loss), float(expected), rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_without_reduction_is_the_loss_of_each_pixel_and_sum_their_sum(rng, weights):
    truth, scores = random_maps(rng)
    sample_weights = rng.uniform(size=truth.shape)
    pixels = np.zeros(truth.shape)
    for index in np.ndindex(*truth.shape):
        if truth[index] != 255:
            logits = scores[index].astype("float64")
            price = sample_weights[index] * (weights or [1] * 5)[truth[index]]
            pixels[index] = price * (np.log(np.exp(logits).sum()) - logits[truth[index]])
    for reduction, expected in ((None, pixels), ("none", pixels), ("sum", pixels.sum())):
        loss = CrossEntropy(class_weights=weights, reduction=reduction)
        measured = ops.convert_to_numpy(loss(truth, scores, sample_weights))
        np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_unweighted_sums_and_maps_of_cross_entropy_are_those_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    truth, scores = random_maps(rng)
    arguments = torch.from_numpy(np.moveaxis(scores, -1, 1)), torch.from_numpy(truth)
    for reduction in ("sum", "none"):
        expected = torch.nn.functional.cross_entropy(
            *arguments, ignore_index=255, reduction=reduction
        )
        measured = ops.convert_to_numpy(CrossEntropy(reduction=reduction)(truth, scores))
        np.testing.assert_allclose(measured, expected.numpy(), rtol=1e-5)


def test_mean_with_sample_weight_is_the_mean_weighted_by_classes_and_pixels(rng):
    truth, scores = random_maps(rng)
    loss = CrossEntropy(class_weights=WEIGHTS, reduction="mean_with_sample_weight")
    expected = reference.cross_entropy(truth, scores, WEIGHTS, 255)
    assert float(loss(truth, scores)) == pytest.approx(expected, rel=1e-5)
    for weights in (rng.uniform(size=truth.shape), np.array([1.0, 0.5, 3.0])):
        spread = np.broadcast_to(weights.reshape(3, *weights.shape[1:] or (1, 1)), truth.shape)
        terms = reference.cross_entropy(truth, scores, WEIGHTS, 255, spread)
        prices = np.array(WEIGHTS)[truth[truth != 255]]
        mean_weight = np.average(spread[truth != 255], weights=prices)
        measured = float(loss(truth, scores, weights))
        assert measured == pytest.approx(terms / mean_weight, rel=1e-5)


@pytest.mark.parametrize("weights", [None, [1, 3], [0, 1]])
def test_one_channel_is_binary_cross_entropy(rng, weights):
    truth, logits = random_masks(rng, labels=1)
    sample_weight = rng.uniform(size=(3, 7, 11, 1))
    for arguments in ((), (sample_weight,)):
        expected = reference.binary_cross_entropy(
            truth, sigmoid(logits), weights or [1, 1], 255, *arguments
        )
        for labels in (truth, truth[..., 0], truth.astype("uint8")):
            loss = CrossEntropy(class_weights=weights)(labels, logits, *arguments)
            assert float(loss) == pytest.approx(expected, rel=1e-5)
            loss = CrossEntropy(class_weights=weights, from_logits=False)
            assert float(loss(labels, sigmoid(logits), *arguments)) == pytest.approx(
                expected, rel=1e-5
            )


def test_one_channel_agrees_with_pytorch(rng):
    torch = pytest.importorskip("torch")
    truth, logits = random_masks(rng, labels=1, void=0)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(truth.astype("float32"))
    )
    assert float(CrossEntropy()(truth, logits)) == pytest.approx(float(expected), rel=1e-5)


def test_multi_label_is_the_weighted_mean_of_the_labels_binary_losses(rng):
    truth, logits = random_masks(rng, labels=4)
    truth[..., 3] = 255  # a label that no image says anything about
    weights = [1, 2, 0.5, 9]
    by_label = [
        reference.binary_cross_entropy(truth[..., i], sigmoid(logits[..., i]), [1, 1], 255)
        for i in range(3)
    ]
    for given in (weights, None):
        expected = np.average(by_label, weights=given and given[:3])
        loss = CrossEntropy(class_weights=given, multi_label=True)(truth, logits)
        assert float(loss) == pytest.approx(expected, rel=1e-5)
    pixels = CrossEntropy(class_weights=weights, multi_label=True, reduction=None)(truth, logits)
    total = CrossEntropy(class_weights=weights, multi_label=True, reduction="sum")(truth, logits)
    pixels = ops.convert_to_numpy(pixels)
    assert float(total) == pytest.approx(pixels.sum(), rel=1e-5)
    p = sigmoid(logits[1, 2, 3, 0])
    truth[1, 2, 3, 0] = 1
    pixels = CrossEntropy(class_weights=weights, multi_label=True, reduction=None)(truth, logits)
    assert float(pixels[1, 2, 3, 0]) == pytest.approx(-np.log(p), rel=1e-5)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_no_backend_looks_behind_an_activation(rng, activation):
    """Keras on TensorFlow takes the logits behind a softmax by itself, where others do not."""
    truth, scores = random_maps(rng, classes=3) if activation == "softmax" else random_masks(rng, 1)
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Activation(activation)])
    probabilities = model.predict(scores, verbose=0)
    for from_logits in (True, False):
        loss = CrossEntropy(from_logits=from_logits)
        expected = float(loss(truth, probabilities))
        assert float(loss(truth, model(scores))) == pytest.approx(expected, rel=1e-6)
        model.compile(loss=loss)
        measured = model.evaluate(scores, truth, batch_size=3, verbose=0)
        assert measured == pytest.approx(expected, rel=1e-5)
