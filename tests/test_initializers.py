"""Bilinear starts a transposed convolution as bilinear upsampling."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.initializers import Bilinear, bilinear_filter


def upsample(x, factor):
    layer = keras.layers.Conv2DTranspose(
        x.shape[-1],
        2 * factor - factor % 2,
        strides=factor,
        padding="same",
        use_bias=False,
        kernel_initializer=Bilinear(),
    )
    return ops.convert_to_numpy(layer(x))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (3, [1 / 2, 1, 1 / 2]),
        (4, [1 / 4, 3 / 4, 3 / 4, 1 / 4]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
    ],
)
def test_filter_is_fcns(size, expected):
    np.testing.assert_allclose(bilinear_filter(size), expected, rtol=1e-12)


@pytest.mark.parametrize("factor", range(2, 9))
def test_interior_equals_half_pixel_resizing(factor, rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    size = (5 * factor, 7 * factor)
    expected = ops.convert_to_numpy(ops.image.resize(x, size, data_format="channels_last"))
    inside = np.s_[:, factor:-factor, factor:-factor]
    np.testing.assert_allclose(upsample(x, factor)[inside], expected[inside], atol=5e-6)


def test_border_fades():
    ones = upsample(np.ones((1, 4, 4, 1), "float32"), 2)
    np.testing.assert_allclose(ones[0, 0, :, 0], [0.5625] + [0.75] * 6 + [0.5625])


def test_channels_stay_apart():
    kernel = ops.convert_to_numpy(Bilinear()((4, 6, 3, 3), dtype="float32"))
    assert kernel.dtype == "float32"
    for i, j in np.ndindex(3, 3):
        expected = np.outer(bilinear_filter(4), bilinear_filter(6)) if i == j else 0
        np.testing.assert_allclose(kernel[:, :, i, j], np.broadcast_to(expected, (4, 6)))


def test_transposed_convolution_is_the_transpose_of_convolution(rng):
    """<conv x, y> = <x, conv^T y> for one kernel."""
    kernel = rng.normal(size=(4, 3, 2, 5)).astype("float32")
    x = rng.normal(size=(2, 10, 9, 2)).astype("float32")
    y = ops.convert_to_numpy(ops.conv(x, kernel, strides=2, padding="valid"))
    y = rng.normal(size=y.shape).astype("float32")
    back = ops.convert_to_numpy(ops.conv_transpose(y, kernel, strides=2, padding="valid"))
    forward = ops.convert_to_numpy(ops.conv(x, kernel, strides=2, padding="valid"))
    np.testing.assert_allclose(
        np.sum(forward * y), np.sum(x[:, : back.shape[1], : back.shape[2]] * back), rtol=1e-4
    )


def test_different_channel_counts_are_refused():
    with pytest.raises(ValueError, match=r"as many filters.*Received: shape=\(4, 4, 3, 2\)"):
        Bilinear()((4, 4, 3, 2))


def test_it_is_found_by_its_registered_name():
    config = keras.saving.serialize_keras_object(Bilinear())
    assert config["registered_name"] == "kerasseg>Bilinear"
    assert isinstance(keras.saving.deserialize_keras_object(config), Bilinear)
