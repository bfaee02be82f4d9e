"""A softmax over several classes is recognized by its numbers, and no softmax is taken of it."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky
from kerasseg.models import unet
from tests.layers.cases import gradient
from tests.losses.cases import compiled_loss
from tests.maps import random_maps, random_masks

each_kind = pytest.mark.parametrize("kind", [CrossEntropy, Dice, Tversky, CrossEntropyDice])
BACKEND = keras.backend.backend()


def softmax(scores):
    return ops.convert_to_numpy(ops.softmax(scores))


@each_kind
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_probabilities_cost_the_same_whatever_from_logits_says(rng, kind, dtype):
    truth, scores = random_maps(rng, classes=19)
    probabilities = ops.cast(ops.softmax(scores), dtype)
    expected = float(kind(from_logits=False)(truth, probabilities))
    assert float(kind()(truth, probabilities)) == pytest.approx(expected, rel=1e-6)
    first = kind(axis=1)(truth, ops.moveaxis(probabilities, -1, 1))
    assert float(first) == pytest.approx(expected, rel=1e-5)


@each_kind
def test_the_gradient_of_probabilities_is_that_of_from_logits_false(rng, kind):
    truth, scores = random_maps(rng)
    scores[0, 0, 0] = [200, 0, 0, 0, -200]  # probabilities of 1 and 0
    for function in (lambda x: x, ops.softmax):
        x = softmax(scores) if function is not ops.softmax else scores
        measured, expected = (
            gradient(lambda x, loss=loss, f=function: loss(truth, f(x)), x, np.float32(1))
            for loss in (kind(), kind(from_logits=False))
        )
        assert np.isfinite(measured).all()
        np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-8)


@each_kind
def test_logits_with_minus_infinity_have_a_finite_gradient(rng, kind):
    truth, scores = random_maps(rng)
    truth[truth == 4] = 0
    scores[..., 4] = -np.inf  # a class that is masked out
    assert np.isfinite(gradient(lambda x: kind()(truth, x), scores, np.float32(1))).all()


SMALL = {"width": 1 / 32, "activation": "softmax"}


def classifier_of_pixels():
    """A model that XLA compiles quickly."""
    layers = [keras.layers.Conv2D(3, 3, padding="same"), keras.layers.Softmax()]
    return keras.Sequential([keras.Input((16, 16, 3)), *layers])


@each_kind
@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_model_with_a_softmax_learns_alike_whatever_from_logits_says(rng, kind, jit_compile):
    if BACKEND == "torch" and jit_compile:
        pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
    images = rng.uniform(size=(4, 16, 16, 3)).astype("float32")
    truth = rng.integers(0, 3, (4, 16, 16))
    truth[:, :2] = 255
    histories = []
    for loss in (kind(), kind(from_logits=False)):
        keras.utils.set_random_seed(0)
        model = classifier_of_pixels() if jit_compile else unet((16, 16, 3), 3, **SMALL)
        model.compile("sgd", loss, jit_compile=jit_compile)
        fitted = model.fit(images, truth, batch_size=2, epochs=2, shuffle=False, verbose=0)
        histories.append(fitted.history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)
    assert histories[0][1] != histories[0][0], "the weights do not move"


@each_kind
def test_a_perfect_softmax_of_three_classes_costs_nothing(rng, kind):
    truth = rng.integers(0, 3, (2, 5, 6))
    perfect = np.eye(3, dtype="float32")[truth]
    assert float(kind()(truth, perfect)) == pytest.approx(0, abs=1e-6)
    resized = ops.image.resize(perfect, (10, 12), "bilinear", data_format="channels_last")
    expected = float(kind(from_logits=False)(np.kron(truth, np.ones((1, 2, 2), int)), resized))
    measured = float(kind()(np.kron(truth, np.ones((1, 2, 2), int)), resized))
    assert measured == pytest.approx(expected, rel=1e-6)
    if BACKEND != "torch":
        assert compiled_loss(kind(), truth, perfect) == pytest.approx(0, abs=1e-6)


@each_kind
def test_one_pixel_that_is_none_makes_all_of_them_logits(rng, kind):
    truth, scores = random_maps(rng)
    scores = softmax(scores)
    for pixel in ([0.5, 0.5, 0.5, -0.25, -0.25], [0.5, 0.52, 0, 0, 0]):
        scores[2, 6, 10] = pixel
        as_logits = float(kind()(truth, scores))
        shifted = float(kind()(truth, scores + 7))  # of logits a shift changes nothing
        assert as_logits == pytest.approx(shifted, rel=1e-5)
        assert as_logits != pytest.approx(float(kind(from_logits=False)(truth, scores)), rel=1e-3)


@each_kind
def test_one_channel_and_labels_are_what_from_logits_says(rng, kind):
    truth, logits = random_masks(rng, labels=2)
    p = softmax(logits)  # two labels that happen to sum to one
    loss = kind(multi_label=True)
    parts = [float(kind()(truth[..., i], p[..., i, None])) for i in range(2)]
    assert float(loss(truth, p)) == pytest.approx(np.mean(parts), rel=1e-5)
    ones = np.ones_like(logits[..., :1])
    as_two = np.concatenate([0 * ones, ones + 1], -1)
    measured = float(kind()(truth[..., 0], ones + 1))
    assert measured == pytest.approx(float(kind()(truth[..., 0], as_two)), rel=1e-6)


@each_kind
def test_from_logits_true_is_taken_at_its_word(rng, kind):
    truth, scores = random_maps(rng)
    one_hot = np.eye(5, dtype="float32")[np.argmax(scores, -1)]
    shifted = float(kind()(truth, one_hot + 7))  # of logits a shift changes nothing
    assert float(kind(from_logits=True)(truth, one_hot)) == pytest.approx(shifted, rel=1e-5)
    assert float(kind()(truth, one_hot)) != pytest.approx(shifted, rel=1e-2)


@each_kind
def test_half_precision_is_recognized_after_a_cast(rng, kind):
    truth, scores = random_maps(rng, classes=19)
    cast = ops.cast(ops.cast(ops.softmax(scores), "bfloat16"), "float32")
    expected = float(kind(from_logits=False)(truth, cast))
    assert float(kind()(truth, cast)) == pytest.approx(expected, rel=1e-6)


def test_an_empty_batch_has_no_loss(rng):
    truth, scores = random_maps(rng)
    assert not ops.convert_to_numpy(Dice()(truth[:0], scores[:0])).any()


@pytest.mark.skipif(BACKEND != "torch", reason="other backends branch in any case")
@each_kind
def test_where_a_branch_would_wait_for_a_device_both_are_computed(rng, kind, monkeypatch):
    from kerasseg.losses import scores as module

    truth, scores = random_maps(rng)
    for x in (scores, softmax(scores)):
        expected = float(kind()(truth, x))
        with monkeypatch.context() as patch:
            patch.setattr(module, "can_branch", lambda x: False)
            assert float(kind()(truth, x)) == pytest.approx(expected, rel=1e-6)
            slopes = gradient(lambda x: kind()(truth, x), x, np.float32(1))
        assert np.isfinite(slopes).all()
        again = gradient(lambda x: kind()(truth, x), x, np.float32(1))
        np.testing.assert_allclose(slopes, again, rtol=1e-5, atol=1e-8)
