import functools

import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import deeplab_v2, deeplab_v3, pspnet
from kerasseg.models.resnets import BLOCKS, resnet
from tests.models.zoo import as_if_trained, outputs, picture, without_weights


def encoder(
    name="resnet50", output_stride=32, width=0.05, input_shape=(None, None, 3), **arguments
):
    image = keras.Input(input_shape)
    maps = resnet(image, name, output_stride, width=width, **arguments)
    return keras.Model(image, maps[-1])


def encoder_biases(model):
    """How many biases the encoder's convolutions have in front of their normalisations."""
    return sum(
        layer.filters
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith("conv")
    )


@pytest.mark.parametrize("name", ["ResNet50", "ResNet101"])
def test_equals_keras_applications_layer_by_layer_and_in_its_features(name):
    theirs = as_if_trained(getattr(keras.applications, name)(weights=None, include_top=False))
    ours = encoder(name.lower(), width=1.0)
    assert {layer.name for layer in ours.layers} ^ {layer.name for layer in theirs.layers} == {
        ours.layers[0].name,
        theirs.layers[0].name,
    }
    for layer in ours.layers[1:]:
        layer.set_weights(theirs.get_layer(layer.name).get_weights())
    for size in ((65, 33), (50, 64)):
        images = picture(*size, count=1)
        np.testing.assert_allclose(outputs(ours, images), outputs(theirs, images), atol=1e-4)


@pytest.mark.parametrize("size", [(65, 97), (64, 70), (41, 6)])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_strides_turned_into_rates_keep_what_was_computed(output_stride, size):
    strided = as_if_trained(encoder())
    dense = encoder(output_stride=output_stride)
    dense.set_weights(strided.get_weights())
    images = picture(*size)
    step = 32 // output_stride
    expected = outputs(strided, images)
    result = outputs(dense, images)
    assert result.shape[1:3] == tuple(-(-rows // output_stride) for rows in size)
    assert expected.std() > 0.1
    np.testing.assert_allclose(result[:, ::step, ::step], expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize(
    ("output_stride", "multi_grid", "conv4", "conv5"),
    [
        (32, (1, 1, 1), 1, [1, 1, 1]),
        (16, (1, 2, 4), 1, [2, 4, 8]),
        (8, (1, 1, 1), 2, [4, 4, 4]),
        (8, (1, 2, 4), 2, [4, 8, 16]),
    ],
)
def test_rates_are_those_of_the_paper(output_stride, multi_grid, conv4, conv5):
    model = encoder(output_stride=output_stride, width=0.01, multi_grid=multi_grid)
    rates = [
        model.get_layer(f"conv{stage}_block{block}_2_conv").dilation_rate[0]
        for stage, blocks in enumerate(BLOCKS["resnet50"], start=2)
        for block in range(1, blocks + 1)
    ]
    assert rates == [1] * 7 + [conv4] * 6 + conv5


@pytest.mark.parametrize(
    ("name", "output_stride", "multi_grid", "size"),
    [
        ("resnet50", 32, (1, 1, 1), 483),
        ("resnet50", 8, (1, 1, 1), 483),
        ("resnet50", 16, (1, 2, 4), 739),
        ("resnet101", 32, (1, 1, 1), 1027),
        ("resnet101", 8, (1, 1, 1), 1027),
        ("resnet101", 16, (1, 2, 4), 1283),
    ],
)
def test_receptive_fields_are_those_of_the_papers(name, output_stride, multi_grid, size):
    """In the graph and in fact: with one infinite row, a unit is infinite if it sees that row."""
    model = encoder(name, output_stride, width=0.01, multi_grid=multi_grid)
    assert receptive_field(model) == (size, output_stride, -(size // 2))
    for weight in model.trainable_weights:
        if weight.name == "kernel":
            weight.assign(abs(keras.ops.convert_to_numpy(weight)))  # nothing is cut off by a ReLU
    unit = size // output_stride
    middle = unit * output_stride
    first, last = middle - size // 2, middle + size // 2
    images = np.zeros((4, 2 * middle + 1, 1, 3), "float32")
    for image, row in zip(images, (first - 1, first, last, last + 1)):
        image[row] = np.inf
    seen = ~np.isfinite(outputs(model, images)[:, unit, 0]).all(-1)
    assert seen.tolist() == [False, True, True, False]


def test_width_scales_every_filter_count():
    whole, narrow = (
        {
            layer.name: layer.filters
            for layer in without_weights(functools.partial(encoder, width=width)).layers
            if isinstance(layer, keras.layers.Conv2D)
        }
        for width in (1.0, 0.1)
    )
    assert narrow == {name: round(0.1 * filters) for name, filters in whole.items()}


def test_keras_applications_weights_fill_the_encoder_and_see_the_picture_as_they_learned_to():
    theirs = as_if_trained(keras.applications.ResNet50(weights=None, include_top=False))
    model = deeplab_v3((None, None, 3), 4, encoder_weights=theirs)
    images = picture(33, 49, count=1)
    prepared = keras.applications.resnet.preprocess_input(255 * images)
    # conv4 is where output strides 16 and 32 still agree.
    expected, result = (
        outputs(keras.Model(net.input, net.get_layer("conv4_block6_out").output), x)
        for net, x in ((theirs, prepared), (model, images))
    )
    np.testing.assert_allclose(result, expected, atol=1e-4 * abs(expected).max())
    for ours, source in zip(
        model.get_layer("conv5_block3_3_bn").get_weights(),
        theirs.get_layer("conv5_block3_3_bn").get_weights(),
    ):
        np.testing.assert_array_equal(ours, source)


@pytest.mark.parametrize(
    "build",
    [
        deeplab_v3,
        functools.partial(deeplab_v3, output_stride=8),
        pspnet,
        pytest.param(functools.partial(deeplab_v2, encoder="resnet101"), marks=pytest.mark.slow),
    ],
)
def test_strided_1x1_convolutions_see_odd_maps_whatever_the_size_of_the_picture(build):
    """On even ones TensorFlow's gradient of narrow ones writes out of bounds (see `resnet`)."""
    model = build((None, None, 3), 2, width=0.02)
    strided = [
        layer.input
        for layer in model.layers
        if getattr(layer, "kernel_size", None) == (1, 1) and layer.strides != (1, 1)
    ]
    assert strided
    probe = keras.Model(model.input, strided)
    for size in ((1, 2), (31, 64), (96, 130)):
        sizes = [keras.ops.shape(x)[1:3] for x in probe(picture(*size, count=1), training=False)]
        assert all(rows % 2 == columns % 2 == 1 for rows, columns in sizes)


def test_unknown_encoders_and_output_strides_are_named():
    with pytest.raises(ValueError, match="Received: encoder='resnet18'"):
        encoder("resnet18")
    with pytest.raises(ValueError, match="Received: output_stride=4"):
        encoder(output_stride=4)
