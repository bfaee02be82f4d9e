"""AtrousConv2D is a convolution with holes."""

import keras
import numpy as np
import pytest

from kerasseg.layers import AtrousConv2D
from tests.layers.cases import (
    BACKEND,
    COMPILED,
    channels_first,
    channels_last,
    compiled,
    gradient,
    numpy,
)


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
    expected = numpy(keras_layer(x))
    np.testing.assert_allclose(numpy(layer(x)), expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == expected.shape
    upstream = rng.normal(size=expected.shape).astype("float32")
    theirs = gradient(keras_layer, x, upstream)
    for mode in ("eager", *COMPILED):
        call = layer if mode == "eager" else compiled(layer, mode)
        np.testing.assert_allclose(gradient(call, x, upstream), theirs, atol=1e-4)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the kernels are TensorFlow's")
def test_gradients_by_the_kernel_are_those_of_keras(rng):
    import tensorflow as tf

    x = rng.normal(size=(2, 9, 11, 3)).astype("float32")
    keras_layer = keras.layers.Conv2D(4, 3, dilation_rate=2)
    layer = with_weights_of(AtrousConv2D(4, 3), keras_layer, x)
    gradients = []
    for one in (keras_layer, layer):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(one(x) ** 2)
        gradients.append(numpy(tape.gradient(loss, one.kernel.value)))
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)


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


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the kernels are TensorFlow's")
def test_gradients_in_bfloat16_are_finite(rng):
    import tensorflow as tf

    layer = AtrousConv2D(26, 3, rate=2, dtype="mixed_bfloat16")
    x = rng.normal(size=(2, 19, 21, 26)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(x), "float32") ** 2)
    assert np.isfinite(numpy(tape.gradient(loss, layer.kernel.value))).all()
