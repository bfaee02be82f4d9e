"""What stands in front of a network: Caffe's colours and means, and response normalisation."""

import keras
import numpy as np
import pytest

from kerasseg.layers import CaffePreprocessing, LocalResponseNormalization
from tests.layers.cases import channels_first, channels_last, numpy


def test_caffe_preprocessing_equals_that_of_keras_applications(rng):
    images = rng.uniform(size=(2, 3, 5, 3)).astype("float32")
    expected = keras.applications.vgg16.preprocess_input(255 * images)
    np.testing.assert_allclose(numpy(CaffePreprocessing()(images)), expected, atol=1e-4)
    np.testing.assert_allclose(
        expected, keras.applications.resnet.preprocess_input(255 * images), atol=1e-6
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_caffe_preprocessing_of_channels_first_is_the_same(channels, rng):
    images = rng.uniform(size=(2, 3, 4, channels)).astype("float32")
    first = CaffePreprocessing("channels_first")(channels_first(images))
    np.testing.assert_allclose(channels_last(numpy(first)), numpy(CaffePreprocessing()(images)))


def test_grey_loses_the_mean_of_the_means_and_bands_lose_them_in_turn():
    grey = numpy(CaffePreprocessing()(np.full((1, 1, 1, 1), 0.5, "float32")))
    np.testing.assert_allclose(grey[0, 0, 0], [127.5 - 114.799333], rtol=1e-5)
    bands = numpy(CaffePreprocessing()(np.zeros((1, 1, 1, 5), "float32")))
    np.testing.assert_allclose(bands[0, 0, 0], [-123.68, -116.779, -103.939, -123.68, -116.779])


@pytest.mark.parametrize(("size", "channels"), [(5, 3), (3, 7), (1, 2)])
def test_local_response_normalization_equals_a_loop(size, channels, rng):
    x = rng.normal(0, 3, (2, 3, 4, channels)).astype("float32")
    expected = np.empty_like(x)
    for c in range(channels):
        neighbours = x[..., max(c - size // 2, 0) : c + size // 2 + 1]
        expected[..., c] = x[..., c] / (1 + 0.5 / size * (neighbours**2).sum(-1)) ** 0.75
    layer = LocalResponseNormalization(size, alpha=0.5)
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5)
    first = LocalResponseNormalization(size, alpha=0.5, data_format="channels_first")
    np.testing.assert_allclose(channels_last(numpy(first(channels_first(x)))), expected, rtol=1e-5)


def test_local_response_normalization_equals_pytorchs(rng):
    torch = pytest.importorskip("torch")
    x = rng.uniform(0, 255, (2, 3, 4, 3)).astype("float32")
    expected = torch.nn.LocalResponseNorm(5, 1e-4, 0.75)(torch.tensor(channels_first(x))).numpy()
    ours = numpy(LocalResponseNormalization()(x))
    np.testing.assert_allclose(channels_first(ours), expected, rtol=1e-5)


def test_white_does_not_overflow_in_half_precision():
    white = np.full((1, 1, 1, 3), 255.0, "float16")
    result = numpy(LocalResponseNormalization(dtype="float16")(white))
    np.testing.assert_allclose(result, 255 / (1 + 2e-5 * 3 * 255**2) ** 0.75, rtol=0.01)


@pytest.mark.parametrize("size", [0, 4, 2.5])
def test_a_size_without_a_middle_is_named(size):
    with pytest.raises(ValueError, match=f"odd positive integer. Received: size={size}"):
        LocalResponseNormalization(size)
