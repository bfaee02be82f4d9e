import re

import keras
import numpy as np
import pytest

from kerasseg.models import unet
from tests.layers.cases import BACKEND
from tests.models.zoo import (
    SegmentationModelTests,
    outputs,
    picture,
    trainable,
    without_weights,
)


class TestUNet(SegmentationModelTests):
    build = staticmethod(unet)


def test_has_the_papers_parameters():
    plain = without_weights(lambda: unet((None, None, 1), 2, batch_norm=False))
    assert plain.count_params() == 31_030_658
    assert trainable(without_weights(lambda: unet((None, None, 3), 2))) == 31_037_698


def test_has_23_convolutions():
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    assert sum(isinstance(layer, kinds) for layer in unet((32, 32, 1), 2, width=0.1).layers) == 23


@pytest.mark.parametrize(("rows", "columns"), [(572, 188), (204, 236)])
def test_valid_padding_loses_184_pixels_as_in_the_paper(rows, columns):
    model = unet((rows, columns, 1), 2, width=0.02, padding="valid")
    assert model.output_shape == (None, rows - 184, columns - 184, 2)


def test_valid_padding_sees_only_the_picture():
    """Without padding the middle of a large picture equals the same pixels cut out first."""
    model = unet((None, None, 1), 2, width=0.02, padding="valid")
    large = picture(188 + 32, 188 + 32, 1, count=1)
    small = large[:, 16:-16, 16:-16]
    np.testing.assert_allclose(
        outputs(model, large)[:, 16:-16, 16:-16], outputs(model, small), atol=1e-5
    )


def test_valid_padding_refuses_sizes_that_do_not_divide_and_names_those_that_do():
    with pytest.raises(
        ValueError, match=re.escape("(570, 180, 1). The next sizes that fit: [572, 188]")
    ):
        unet((570, 180, 1), 2, padding="valid")


def test_unknown_padding_is_named():
    with pytest.raises(ValueError, match="Received: padding='reflect'"):
        unet((32, 32, 3), 2, padding="reflect")


def test_activation_is_that_of_the_output():
    result = outputs(unet((16, 16, 3), 3, width=0.05, activation="softmax"), picture(16, 16))
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)


def test_one_channel_and_a_linear_head_learn_depth():
    model = unet((16, 24, 3), 1, width=0.05, dropout=0.0)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=BACKEND != "jax")
    images = picture(16, 24)
    depth = 30 + 20 * images[..., :1]
    losses = model.fit(images, depth, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("activation", ["softmax", keras.activations.softmax])
def test_a_softmax_goes_over_the_classes_in_channels_first_too(activation):
    shape = {"data_format": "channels_first", "width": 0.05}
    model = unet((3, 16, 32), 4, activation=activation, **shape)
    result = outputs(model, np.moveaxis(picture(16, 32), -1, 1))
    np.testing.assert_allclose(result.sum(1), 1, atol=1e-5)


def test_an_activation_along_the_last_axis_is_refused_in_channels_first():
    with pytest.raises(ValueError, match="'softmax' or go pixel.*activation='log_softmax'. Take"):
        unet((3, 16, 32), 4, width=0.05, activation="log_softmax", data_format="channels_first")


@pytest.mark.parametrize(
    "shape", [(32, 32), (None, None, None), None, 32, (0, 8, 3), (8, 8, 3, 1), (8.0, 8, 3)]
)
def test_an_input_shape_that_is_none_is_named(shape):
    received = re.escape(f"Received: input_shape={shape!r}")
    with pytest.raises(ValueError, match=rf"must be \(height, width, channels\), .* {received}"):
        unet(shape, 2)


def test_channels_first_wants_the_channels_first():
    with pytest.raises(ValueError, match=re.escape("must be (channels, height, width), positive")):
        unet((None, 8, 8), 2, data_format="channels_first")
    assert keras.config.image_data_format() == "channels_last"


@pytest.mark.parametrize("num_classes", [0, 2.0, ["road", "sky"], None])
def test_a_number_of_classes_that_is_none_is_named(num_classes):
    expected = f"must be a positive integer. Received: num_classes={num_classes!r}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        unet((32, 32, 3), num_classes)


@pytest.mark.parametrize("width", ["0.5", None, float("nan"), float("inf"), -1])
def test_a_width_that_is_none_is_named(width):
    with pytest.raises(ValueError, match=f"must be a positive number. Received: width={width!r}"):
        unet((32, 32, 3), 2, width=width)


def test_an_unknown_argument_is_named_beside_the_model():
    with pytest.raises(TypeError, match=re.escape("unet() got an unexpected") + ".*'widht'"):
        unet((32, 32, 3), 2, widht=0.5)


def test_layers_are_named_as_in_the_drawing():
    names = {layer.name for layer in unet((32, 32, 3), 2, width=0.05).layers}
    assert {"encoder3_conv2", "encoder1_pool", "bottleneck_conv1", "decoder3_up"} <= names
