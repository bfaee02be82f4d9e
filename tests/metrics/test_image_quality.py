"""PSNR and SSIM agree with loops and with TensorFlow, image by image."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.metrics import PSNR, SSIM
from tests import reference


@pytest.fixture
def pair(rng):
    images = rng.uniform(size=(3, 13, 17, 2)).astype("float32")
    noise = np.array([0.01, 0.1, 0.5])[:, None, None, None] * rng.normal(size=images.shape)
    return images, (images + noise).astype("float32")


def result(metric, *arguments):
    metric.update_state(*arguments)
    return float(metric.result())


def psnr_by_hand(x, y, max_value):
    return [10 * np.log10(max_value**2 / np.mean((a - b) ** 2)) for a, b in zip(x, y)]


def test_psnr_is_that_of_each_image_then_averaged_not_that_of_the_batch(pair):
    expected = psnr_by_hand(*(x.astype("float64") for x in pair), 1)
    assert result(PSNR(), *pair) == pytest.approx(np.mean(expected), rel=1e-6)
    of_the_batch = float(ops.psnr(*(ops.convert_to_tensor(x) for x in pair), 1.0))
    assert of_the_batch < np.mean(expected) - 5
    assert result(PSNR(255), *(255 * x for x in pair)) == pytest.approx(np.mean(expected))
    flat = (x.reshape(3, -1) for x in pair)
    assert result(PSNR(), *flat) == pytest.approx(np.mean(expected), rel=1e-6)


def test_ssim_agrees_with_a_loop_over_windows(pair):
    for value in (1, 255):
        images = [value * x for x in pair]
        expected = np.mean([reference.ssim(a, b, value) for a, b in zip(*images)])
        assert result(SSIM(value), *images) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_hardly_any_contrast_is_not_lost_to_rounding(rng):
    x = np.full((1, 13, 15, 1), 0.99, "float32")
    y = (0.95 + 0.001 * rng.normal(size=x.shape)).astype("float32")
    assert result(SSIM(), x, y) == pytest.approx(reference.ssim(x[0], y[0], 1), abs=1e-6)


def test_both_agree_with_tensorflow(pair):
    tf = pytest.importorskip("tensorflow")
    assert result(PSNR(), *pair) == pytest.approx(np.mean(tf.image.psnr(*pair, 1.0)), rel=1e-5)
    assert result(SSIM(), *pair) == pytest.approx(np.mean(tf.image.ssim(*pair, 1.0)), rel=1e-5)


def test_channels_first_is_understood(pair):
    expected = result(SSIM(data_format="channels_last"), *pair)
    first = [np.moveaxis(x, -1, 1) for x in pair]
    assert result(SSIM(data_format="channels_first"), *first) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_perfect_image_has_ssim_1_and_infinite_psnr_and_opposites_have_none(dtype, pair):
    x = ops.cast(pair[0], dtype)
    assert result(SSIM(), x, x) == pytest.approx(1, abs=1e-6)
    assert result(PSNR(), x, x) == np.inf
    black, white = ops.zeros((1, 11, 11, 3), dtype), ops.ones((1, 11, 11, 3), dtype)
    assert result(SSIM(), black, white) == pytest.approx(0, abs=1e-3)
    assert result(PSNR(), black, white) == 0


def test_images_of_16_bit_floats_and_255_levels_do_not_overflow(pair):
    images = [ops.cast(255 * x, "float16") for x in pair]
    expected = [ops.cast(x, "float32") for x in images]
    for kind in (PSNR, SSIM):
        value = result(kind(255), *images)
        assert value == pytest.approx(result(kind(255), *expected), rel=1e-6)


@pytest.mark.parametrize("kind", [PSNR, SSIM])
def test_images_are_averaged_over_all_batches_by_their_weights(pair, kind):
    images = [result(kind(), x[None], y[None]) for x, y in zip(*pair)]
    metric = kind()
    metric.update_state(pair[0][:2], pair[1][:2], np.array([0.5, 2.0]))
    metric.update_state(pair[0][2:], pair[1][2:], np.array([[1.0]]))
    expected = np.average(images, weights=[0.5, 2, 1])
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_a_perfect_image_of_weight_zero_does_not_count(pair):
    x, y = pair
    y = np.concatenate([x[:1], y[1:]])
    expected = result(PSNR(), x[1:], y[1:])
    assert result(PSNR(), x, y, np.array([0.0, 1.0, 1.0])) == pytest.approx(expected)


def test_weights_of_pixels_and_images_of_two_shapes_are_refused(pair):
    x, y = pair
    with pytest.raises(ValueError, match=r"one weight an image.*\(3, 13, 17\)"):
        PSNR().update_state(x, y, np.ones(x.shape[:-1]))
    with pytest.raises(ValueError, match=r"images of one shape.*\(3, 13, 17\).*\(3, 13, 17, 2\)"):
        SSIM().update_state(x[..., 0], y)


@pytest.mark.parametrize("shape", [(1, 10, 20, 3), (1, 20, 10, 3)])
def test_images_smaller_than_the_window_of_ssim_are_refused(shape):
    x = np.zeros(shape)
    with pytest.raises(ValueError, match="at least 11x11 pixels, its window. Received: y_pred"):
        SSIM(data_format="channels_last").update_state(x, x)


@pytest.mark.parametrize("value", [0, -1, np.nan])
def test_a_range_that_cannot_be_is_refused(value):
    with pytest.raises(ValueError, match="`max_value` must be positive. Received"):
        PSNR(value)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_evaluation_equals_eager(pair, jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
    model = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Activation("linear")])
    model.compile(loss="mse", metrics=[PSNR(), SSIM()], jit_compile=jit_compile)
    scores = model.evaluate(pair[1], pair[0], batch_size=2, verbose=0, return_dict=True)
    for metric in (PSNR(), SSIM()):
        assert scores[metric.name] == pytest.approx(result(metric, *pair), rel=1e-5)
