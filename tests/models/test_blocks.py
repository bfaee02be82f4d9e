"""The pieces that several drawings share."""

from decimal import ROUND_HALF_EVEN, Decimal

import keras
import numpy as np
import pytest

from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from kerasseg.models import blocks
from kerasseg.models.formats import in_data_format
from tests.layers.cases import numpy

in_channels_first = in_data_format(lambda build, data_format: build())


@pytest.mark.parametrize("filters", [1, 3, 64, 512])
@pytest.mark.parametrize("width", [1e-6, 0.02, 1 / 32, 0.5, 1, 1.5])
def test_filters_scale_to_the_nearest_integer_and_one_is_left(filters, width):
    nearest = Decimal(filters * width).quantize(Decimal(1), ROUND_HALF_EVEN)
    assert blocks.scale_filters(filters, width) == max(1, nearest)


@pytest.mark.parametrize("width", [0, -1, float("inf"), float("nan"), "1", None])
def test_what_is_no_width_is_named(width):
    with pytest.raises(ValueError, match=f"positive number. Received: width={width!r}"):
        blocks.scale_filters(8, width)


def test_a_convolution_is_dilated_where_the_rate_is_not_one():
    assert type(blocks.conv2d(4, 3)) is keras.layers.Conv2D
    dilated = blocks.conv2d(4, 3, rate=2)
    assert isinstance(dilated, AtrousConv2D)
    assert dilated.dilation_rate == (2, 2)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_block_is_convolution_normalization_and_relu_by_their_names(batch_norm, rng):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, blocks.conv_block(image, 4, "conv1", batch_norm=batch_norm))
    middle = ["conv1_bn"] if batch_norm else []
    assert [layer.name for layer in model.layers[1:]] == ["conv1", *middle, "conv1_relu"]
    x = rng.random((2, 5, 7, 3)).astype("float32")
    y = model.get_layer("conv1")(x)
    assert y.shape == (2, 5, 7, 4)
    by_hand = np.maximum(numpy(y) / np.sqrt(1 + 1e-3 * batch_norm), 0)  # of averages 0 and 1
    np.testing.assert_allclose(numpy(model(x)), by_hand, atol=1e-5)


def test_a_block_takes_the_arguments_of_its_convolution():
    image = keras.Input((20, 30, 3))
    x = blocks.conv_block(image, 4, "a", kernel_size=(3, 1), padding="valid", rate=2)
    assert x.shape == (None, 16, 30, 4)
    x = blocks.conv_block(
        image, 4, "b", 2, convolution=keras.layers.Conv2DTranspose, strides=(2, 3)
    )
    assert x.shape == (None, 40, 90, 4)


def test_logits_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        image = keras.Input((9, 12, 3))
        model = keras.Model(image, blocks.output(blocks.scores(image, 2)))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("scores").compute_dtype == "float16"
    assert (model.output.dtype, model.output.shape) == ("float32", (None, 9, 12, 2))
    assert model.layers[-1].name == "logits"


def test_enlarged_scores_keep_their_values_at_their_pixels(rng):
    stride, n = 4, (3, 5)
    size = tuple(stride * (count - 1) + 1 for count in n)
    scores, image = keras.Input((*n, 2)), keras.Input((*size, 1))
    model = keras.Model([scores, image], blocks.enlarged(scores, image))
    x = rng.normal(size=(2, *n, 2)).astype("float32")
    enlarged = numpy(model([x, np.zeros((2, *size, 1), "float32")]))
    np.testing.assert_allclose(enlarged[:, ::stride, ::stride], x, atol=1e-6)
    between = (x[:, :, 1:] + x[:, :, :-1]) / 2
    np.testing.assert_allclose(enlarged[:, ::stride, 2::stride], between, atol=1e-6)
    assert any(isinstance(layer, BilinearUpsampling2D) for layer in model.layers)


def test_a_softmax_goes_over_the_classes_wherever_they_are(rng):
    x = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    last = numpy(keras.Model(*chain((3, 5, 4), "softmax"))(x))
    np.testing.assert_allclose(last.sum(-1), 1, atol=1e-6)
    first = in_channels_first(lambda: chain((3, 5, 4), "softmax"), data_format="channels_first")
    np.testing.assert_allclose(numpy(keras.Model(*first)(x)).sum(1), 1, atol=1e-6)


def chain(shape, activation):
    image = keras.Input(shape)
    return image, blocks.output(image, activation)


def test_an_activation_along_the_last_axis_is_refused_where_the_classes_lie_elsewhere():
    chain((3, 5, 4), "log_softmax")
    with pytest.raises(ValueError, match="Received: activation='log_softmax'. Take logits"):
        in_channels_first(lambda: chain((3, 5, 4), "log_softmax"), data_format="channels_first")
