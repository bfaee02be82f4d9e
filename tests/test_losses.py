"""The loss agrees with loops and with PyTorch's conventions, and void costs nothing."""

import keras
import numpy as np
import pytest

from kerasseg.losses import CrossEntropy
from tests import reference
from tests.test_metrics import random_maps


@pytest.mark.parametrize("weights", [None, [1, 2, 0.5, 0, 4]])
def test_agrees_with_a_slow_loop(rng, weights):
    truth, scores = random_maps(rng)
    expected = reference.cross_entropy(truth, scores, weights or [1] * 5, 255)
    loss = CrossEntropy(class_weights=weights)
    np.testing.assert_allclose(float(loss(truth, scores)), expected, rtol=1e-5)
    np.testing.assert_allclose(float(loss(truth[..., None], scores)), expected, rtol=1e-5)


def test_agrees_with_pytorch(rng):
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


def test_doubling_every_weight_changes_nothing(rng):
    truth, scores = random_maps(rng)
    once, twice = (float(CrossEntropy(class_weights=w)(truth, scores)) for w in ([1] * 5, [2] * 5))
    assert once == pytest.approx(twice, rel=1e-6)


def test_a_batch_of_void_costs_nothing(rng):
    assert float(CrossEntropy()(np.full((2, 3, 4), 255), rng.normal(size=(2, 3, 4, 5)))) == 0


def test_interpolated_labels_are_refused_eagerly_and_nan_when_compiled(rng):
    truth, scores = random_maps(rng, shape=(2, 3, 4))
    truth = truth + 0.5
    with pytest.raises(ValueError, match=r"class ids 0 to 4.*Received: id=\d+\.5"):
        CrossEntropy()(truth, scores)
    assert np.isnan(compiled_loss(truth, scores))


def test_one_hot_labels_are_refused_with_the_remedy(rng):
    scores = rng.normal(size=(1, 5, 5, 5))
    with pytest.raises(ValueError, match=r"one a pixel.*\(1, 5, 5, 5\).*argmax"):
        CrossEntropy()(np.eye(5)[rng.integers(0, 5, (1, 5, 5))], scores)


def test_an_id_outside_the_classes_raises_in_eager_calls(rng):
    truth, scores = random_maps(rng)
    truth[0, 0, 0] = 5
    with pytest.raises(ValueError, match=r"ids 0 to 4, or 255 for void. Received: id=5"):
        CrossEntropy()(truth, scores)


def test_an_id_outside_the_classes_makes_a_compiled_loss_nan(rng):
    truth, scores = random_maps(rng, shape=(2, 3, 4))
    truth[0, 0, 0] = 5
    assert np.isnan(compiled_loss(truth, scores))


def compiled_loss(truth, scores):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly and raises")
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Activation("linear")])
    model.compile(loss=CrossEntropy(), jit_compile=True)
    return model.evaluate(scores, truth, verbose=0)


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [1, np.inf]])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(ValueError, match="finite, non-negative numbers, not all zero"):
        CrossEntropy(class_weights=weights)


def test_weights_for_another_number_of_classes_are_refused(rng):
    with pytest.raises(ValueError, match="one weight a class, 5 of them"):
        CrossEntropy(class_weights=[1, 2])(*random_maps(rng))


def test_config_round_trip():
    loss = CrossEntropy(ignore_class=7, class_weights=np.array([1.0, 2.0]), axis=1)
    assert CrossEntropy.from_config(loss.get_config()).get_config() == loss.get_config()
