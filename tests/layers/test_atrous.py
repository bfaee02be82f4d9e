"""AtrousConv2D is a convolution with holes."""

import keras
import numpy as np
import pytest

from kerasseg.layers import AtrousConv2D
from tests.layers.cases import channels_first, channels_last, numpy


def with_weights_of(layer, other, x):
    other(x)
    layer(x)
    layer.set_weights(other.get_weights())
    return layer


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rate", [1, 2, (3, 2)])
def test_atrous_convolution_equals_dilated_convolution(rate, padding, rng):
    x = rng.normal(size=(2, 9, 11, 3)).astype("float32")
    keras_layer = keras.layers.Conv2D(4, (3, 2), dilation_rate=rate, padding=padding)
    layer = with_weights_of(AtrousConv2D(4, (3, 2), rate, padding=padding), keras_layer, x)
    np.testing.assert_array_equal(numpy(layer(x)), numpy(keras_layer(x)))
    assert layer.compute_output_shape(x.shape) == tuple(layer(x).shape)


def test_atrous_convolution_equals_convolution_with_zeros_between_the_taps(rng):
    x = rng.normal(size=(2, 9, 11, 3)).astype("float32")
    layer = AtrousConv2D(4, (3, 2), rate=(2, 3), use_bias=False)
    layer.build(x.shape)
    (kernel,) = layer.get_weights()
    holes = np.zeros((5, 4, 3, 4), "float32")
    holes[::2, ::3] = kernel
    plain = keras.layers.Conv2D(4, (5, 4), use_bias=False)
    plain.build(x.shape)
    plain.set_weights([holes])
    np.testing.assert_allclose(numpy(layer(x)), numpy(plain(x)), atol=1e-5)


def test_channels_first_equals_channels_last(rng):
    x = rng.normal(size=(2, 9, 11, 3)).astype("float32")
    last = AtrousConv2D(4, 3, data_format="channels_last")
    first = AtrousConv2D(4, 3, data_format="channels_first")
    with_weights_of(first, first, channels_first(x))
    last.build(x.shape)
    last.set_weights(first.get_weights())
    np.testing.assert_allclose(
        numpy(last(x)), channels_last(numpy(first(channels_first(x)))), atol=1e-5
    )


def test_the_name_of_the_rate_is_checked():
    with pytest.raises(ValueError, match="Received: dilation_rate=2. Pass rate= instead"):
        AtrousConv2D(4, 3, dilation_rate=2)
