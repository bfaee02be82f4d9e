"""Receptive fields: the graph's arithmetic against gradients of the real model."""

import math
import re

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

import kerasseg.layers
from kerasseg import models
from kerasseg.anatomy.receptive_fields import (
    Window,
    effective_receptive_field,
    gradient,
    receptive_field,
    view,
)
from tests.layers.cases import BACKEND, bounded

slow_under_jax = pytest.mark.skipif(
    BACKEND == "jax", reason="JAX compiles every shape; the arithmetic is the same"
)


def rows_with_gradient(model, unit, images):
    """The rows of the image (columns along the other axis) that a unit's gradient reaches."""
    row, column = unit

    def value(x):
        return ops.sum(model(x, training=False)[:, row, column])

    reached = gradient(value, ops.convert_to_tensor(images)) != 0
    return [np.flatnonzero(reached.any(axes)) for axes in ((0, 2, 3), (0, 1, 3))]


def measured(model, unit):
    """First and last row and column that a unit sees.

    Positive weights and images let nothing cancel and no ReLU shut. Maxima pass their gradient to
    one place: in an image that brightens downward and to the right to the last of the view,
    otherwise to the first.
    """
    for weight in model.trainable_weights:
        values = np.random.default_rng(0).uniform(0.5, 1.5, weight.shape)
        weight.assign(values / np.prod(weight.shape[:-1]))
    height, width, channels = model.input_shape[1:]
    slope = 1 + np.arange(height)[:, None] / height + np.arange(width) / width
    rising = np.repeat(slope[None, ..., None], channels, -1).astype("float32")
    last = rows_with_gradient(model, unit, rising)
    first = rows_with_gradient(model, unit, rising[:, ::-1, ::-1].copy())
    return [(low[0], high[-1]) for low, high in zip(first, last)]


def expected(model, unit, layer=None):
    """The same from the arithmetic."""
    size, stride, offset = receptive_field(model, layer, unit)
    both = ((x if isinstance(x, tuple) else (x, x)) for x in (size, stride, offset))
    return [(s * i + o, s * i + o + n - 1) for i, n, s, o in zip(unit, *both)]


@st.composite
def strip_layers(draw):
    """The class and arguments of a layer that works on columns of single pixels."""
    stride, padding = draw(st.integers(1, 3)), draw(st.sampled_from(["same", "valid"]))
    size, rate = draw(st.integers(stride, 5)), draw(st.integers(1, 3))
    strided = {"strides": (stride, 1), "padding": padding}
    dilated = {"filters": 2, "dilation_rate": (rate, 1), "padding": padding}
    pool = {"pool_size": (size, 1), **strided}
    up = {"size": (stride, 1)}
    ours = kerasseg.layers
    return draw(
        st.sampled_from(
            [
                (layers.Conv2D, {"filters": 2, "kernel_size": (size, 1), **strided}),
                (layers.Conv2D, {"kernel_size": (size, 1), **dilated}),
                (layers.SeparableConv2D, {"kernel_size": (size, 1), **dilated}),
                (layers.Conv2DTranspose, {"filters": 2, "kernel_size": (size, 1), **strided}),
                (layers.MaxPooling2D, pool),
                (layers.AveragePooling2D, pool),
                (ours.MaxPoolingWithArgmax2D, pool),
                (layers.UpSampling2D, up),
                (layers.UpSampling2D, {"interpolation": "bilinear", **up}),
                (ours.BilinearUpsampling2D, up),
                (ours.AverageUnpooling2D, up),
                (layers.ZeroPadding2D, {"padding": ((size, stride), (0, 0))}),
                (layers.Cropping2D, {"cropping": ((size, stride), (0, 0))}),
                (ours.PadToMultiple, {"multiple": size}),
            ]
        )
    )


def run(chain, x):
    for layer_class, arguments in chain:
        x = keras.tree.flatten(layer_class(**arguments)(x))[0]
    return x


def assert_rows_are_measured(model, unit):
    """Unless the unit is not there, or sees the border, where nothing brightens evenly."""
    rows, _ = expected(model, unit)
    if unit[0] < model.output_shape[1] and rows[0] >= 0 and rows[1] < model.input_shape[1]:
        assert measured(model, unit)[0] == rows


@slow_under_jax
@bounded(60)
@given(st.lists(strip_layers(), min_size=1, max_size=4), st.integers(100, 130), st.integers(0, 5))
def test_chains_of_any_layers_see_what_their_gradients_reach(chain, height, phase):
    image = keras.Input((height, 1, 2))
    model = keras.Model(image, run(chain, image))
    assert_rows_are_measured(model, (model.output_shape[1] // 2 + phase, 0))


@slow_under_jax
@bounded(40)
@given(st.lists(strip_layers(), min_size=1, max_size=3), st.lists(strip_layers(), max_size=2))
def test_branches_see_the_union(left, right):
    image = keras.Input((120, 1, 2))
    narrow = [
        [part for part in chain if part[0] is not kerasseg.layers.PadToMultiple]
        for chain in (left, right)
    ]
    branches = sorted((run(chain, image) for chain in narrow), key=lambda x: x.shape[1])
    one, other = (receptive_field(keras.Model(image, x)).stride for x in branches)
    if one == other:
        branches[1] = kerasseg.layers.CenterCropLike()(branches[1], branches[0])
        model = keras.Model(image, layers.Concatenate()(branches))
        assert_rows_are_measured(model, (model.output_shape[1] // 2, 0))


def test_height_and_width_are_told_apart():
    image = keras.Input((60, 70, 1))
    x = layers.Conv2D(2, (3, 5), strides=(2, 3))(image)
    x = layers.MaxPooling2D((2, 3), strides=(1, 2), padding="same")(x)
    model = keras.Model(image, x)
    assert receptive_field(model) == ((5, 11), (2, 6), 0)
    assert measured(model, (8, 5)) == [(16, 20), (30, 40)]


def test_channels_first_is_understood():
    keras.config.set_image_data_format("channels_first")
    try:
        image = keras.Input((1, 61, 70))
        x = layers.ReLU()(layers.Conv2D(2, (3, 5), strides=(2, 3), padding="same")(image))
        x = layers.Concatenate(axis=1)([x, layers.BatchNormalization(axis=1)(x)])
        model = keras.Model(image, x)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert receptive_field(model) == ((3, 5), (2, 3), (-1, -2))


VGG_FIELDS = {"block1": 6, "block2": 16, "block3": 44, "block4": 100, "block5": 212}


@slow_under_jax
def test_vgg_poolings_see_what_the_papers_say():
    model = keras.applications.VGG16(weights=None, include_top=False)
    for (block, size), stride in zip(VGG_FIELDS.items(), (2, 4, 8, 16, 32)):
        field = receptive_field(model, f"{block}_pool")
        assert (field.size, field.stride) == (size, stride)
    assert receptive_field(model, model.get_layer("block5_conv3")).size == 196


@slow_under_jax
@pytest.mark.parametrize(("name", "size"), [("MobileNet", 315), ("InceptionV3", 1311)])
def test_known_networks_see_what_is_published(name, size):
    """Araujo, Norris and Sim, "Computing Receptive Fields of CNNs", Distill 2019, table 1."""
    model = getattr(keras.applications, name)(weights=None, include_top=False)
    assert receptive_field(model).size == size


@slow_under_jax
def test_unet_sees_140_pixels_at_the_bottleneck_and_188_or_204_in_the_output():
    model = models.unet((572, 572, 1), 2, width=0.02, padding="valid")
    assert receptive_field(model, "bottleneck_conv2_relu")[:2] == (140, 16)
    sizes = [receptive_field(model, unit=(i, i)).size for i in range(16)] * 25
    sizes = sizes[:388]  # what they see repeats after the 16 pixels of the bottleneck's stride
    assert (sizes.count(204), sizes.count(188)) == (288, 100)
    assert receptive_field(model)[:2] == (204, 1)


@slow_under_jax
@pytest.mark.parametrize("row", [150, 151, 155])
def test_unet_sees_what_its_gradients_reach(row):
    model = models.unet((320, 320, 1), 2, width=0.02, batch_norm=False)
    assert measured(model, (row, 160)) == expected(model, (row, 160))


@slow_under_jax
def test_segnets_encoder_and_decoder_see_no_more_than_their_field():
    model = models.segnet((None, None, 3), 11, width=0.02)
    sizes = [receptive_field(model, f"encoder{stage}_pool").size for stage in range(1, 6)]
    assert sizes == list(VGG_FIELDS.values())
    sizes = [receptive_field(model, f"decoder5_conv{i}_relu").size for i in (1, 2, 3)]
    assert sizes == [244, 276, 308]
    encoder = models.segnet((480, 480, 1), 2, width=0.02)
    encoder = keras.Model(encoder.input, encoder.get_layer("encoder5_pool").output[0])
    assert measured(encoder, (7, 6)) == expected(encoder, (7, 6))


def test_an_unpooled_value_may_come_from_anywhere_in_its_window():
    image = keras.Input((None, None, 1))
    pooled, argmax = kerasseg.layers.MaxPoolingWithArgmax2D((3, 2))(image)
    x = kerasseg.layers.MaxUnpooling2D((3, 2))(pooled, argmax, like=image)
    model = keras.Model(image, x)
    noise = np.random.default_rng(0).normal(size=(40, 15, 15, 1)).astype("float32")
    for unit in ((6, 6), (7, 7), (8, 6)):
        assert expected(model, unit) == [(6, 8), (6, 7)]
        assert [set(seen) for seen in rows_with_gradient(model, unit, noise)] == [
            {unit[0]},
            {unit[1]},
        ]


@slow_under_jax
def test_aligned_corners_see_the_union_over_the_image():
    image = keras.Input((80, 1, 1))
    x = layers.AveragePooling2D((4, 1))(image)
    x = kerasseg.layers.BilinearUpsampling2D(align_corners=True)(x, like=image)
    model = keras.Model(image, x)
    assert receptive_field(model).stride == 1
    for row in range(0, 80, 9):
        (first, last), _ = measured(model, (row, 0))
        (low, high), _ = expected(model, (row, 0))
        assert low <= first <= last <= high
    assert receptive_field(model).size[0] <= 12


def test_corners_that_fall_on_pixels_are_exact():
    """Of an output stride of 8, with one more row than a multiple, as DeepLab has them."""
    image = keras.Input((161, 161, 1))
    x = layers.Conv2D(1, 3, strides=8, padding="same")(image)
    x = kerasseg.layers.BilinearUpsampling2D(align_corners=True)(x, like=image)
    model = keras.Model(image, x)
    for unit in ((80, 81), (82, 87)):
        assert measured(model, unit) == expected(model, unit)
    assert receptive_field(model, unit=(80, 80)).size == 3
    assert receptive_field(model).size == 11


@slow_under_jax
def test_sizes_that_are_not_known_are_taken_as_dividing_evenly():
    free, fixed = (models.unet((size, size, 1), 2, width=0.02) for size in (None, 64))
    assert receptive_field(free) == receptive_field(fixed)


def pooled_globally():
    x = image = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    means = layers.GlobalAveragePooling2D(name="means")(x)
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, name="dense")(means))
    return keras.Model(image, layers.Multiply(name="gated")([x, gate]))


def test_global_pooling_sees_everything():
    model = pooled_globally()
    assert receptive_field(model, "conv") == (3, 2, 0)
    assert receptive_field(model, "dense") == (math.inf, None, -math.inf)
    assert receptive_field(model, "gated") == (math.inf, 2, -math.inf)


@pytest.mark.parametrize("image_pooling", [True, False])
def test_pyramids_see_everything_or_their_largest_rate(image_pooling):
    image = keras.Input((None, None, 3))
    x = layers.MaxPooling2D(8)(image)
    x = kerasseg.layers.AtrousSpatialPyramidPooling(4, (2, 5), image_pooling)(x)
    size = math.inf if image_pooling else 8 * 11
    assert receptive_field(keras.Model(image, x))[:2] == (size, 8)
    x = kerasseg.layers.PyramidPooling((1, 2), 4)(image)
    assert receptive_field(keras.Model(image, x))[:2] == (math.inf, 1)


def test_nested_models_are_opened():
    inner = keras.Sequential([layers.Conv2D(4, 3, name="inside"), layers.MaxPooling2D(2)])
    image = keras.Input((50, 50, 3))
    x = layers.Conv2D(4, 5)(inner(layers.Conv2D(3, 3)(image)))
    model = keras.Model(image, x)
    assert receptive_field(model) == (14, 2, 0)
    assert receptive_field(model, "inside") == (5, 1, 0)


def test_operations_of_keras_ops_are_pointwise():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 3, padding="same")(image)
    model = keras.Model(image, ops.relu(x + image) * 2.0)
    assert receptive_field(model) == (3, 1, -1)


def test_joining_by_operation_is_joining_by_layer():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(3, 3, padding="same")(image)
    assert receptive_field(keras.Model(image, ops.concatenate([x, image], -1))) == (3, 1, -1)
    x = ops.concatenate([x, image], 2)
    assert receptive_field(keras.Model(image, x)).size == (3, math.inf)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (layers.Dense(2), (3, math.inf)),
        (layers.Softmax(axis=1), 3),
        (layers.Softmax(axis=2), (math.inf, 3)),
        (layers.Softmax(), (3, math.inf)),
    ],
)
def test_what_works_along_columns_sees_all_of_them(layer, size):
    image = keras.Input((2, 8, 9))
    x = layers.Conv2D(2, 3, padding="same", data_format="channels_first")(image)
    assert receptive_field(keras.Model(image, layer(x))).size == size


@keras.saving.register_keras_serializable(package="tests")
class Shift(layers.Layer):
    def call(self, x):
        return ops.roll(x, 1, axis=1)


def shifted():
    image = keras.Input((8, 8, 1))
    return keras.Model(image, Shift(name="shift")(image))


def test_an_unknown_layer_is_named_and_can_be_taught():
    message = "is not known of layer 'shift' of class Shift"
    with pytest.raises(ValueError, match=message):
        receptive_field(shifted())

    class Known(Shift):
        pass

    view.register(Known, lambda layer, axis: Window(in_front=1 - axis.index))
    image = keras.Input((8, 8, 1))
    assert receptive_field(keras.Model(image, Known()(image))).offset == (-1, 0)


def test_what_has_no_field_is_refused():
    with pytest.raises(ValueError, match="layer=conv9, called 0 times. Of a nested model name"):
        receptive_field(pooled_globally(), "conv9")
    with pytest.raises(ValueError, match="must be a pair, row and column. Received: unit=5"):
        receptive_field(pooled_globally(), "conv", unit=5)
    with pytest.raises(ValueError, match="must have one input, a batch of images"):
        receptive_field(keras.Sequential([keras.Input((8,)), layers.Dense(3)]))
    with pytest.raises(ValueError, match="must be functional or a Sequential that is built"):
        receptive_field(keras.Sequential([layers.Conv2D(3, 3)]))
    nearest = layers.Resizing(8, 8, interpolation="nearest", name="resize")
    with pytest.raises(ValueError, match="interpolation='nearest' at layer 'resize'"):
        receptive_field(keras.Sequential([keras.Input((16, 16, 3)), nearest]))


def test_maps_of_different_strides_cannot_be_joined():
    image = keras.Input((32, 32, 3))
    coarse = layers.MaxPooling2D(2)(image)
    fine = kerasseg.layers.CenterCropLike()(image, coarse)
    model = keras.Model(image, layers.Add(name="sum")([coarse, fine]))
    with pytest.raises(ValueError, match=re.escape("strides [1.0, 2.0] at layer 'sum'")):
        receptive_field(model)


def ten_convs():
    x = image = keras.Input((None, None, 2))
    for i in range(10):
        x = layers.Conv2D(
            1, 3, padding="same", kernel_initializer="ones", use_bias=False, name=f"conv{i}"
        )(x)
    return keras.Model(image, x)


def test_effective_field_of_ten_convolutions_is_the_binomial_bell():
    """All weights one: the gradient counts paths, the tenth power of (1, 1, 1)."""
    paths = [1]
    for _ in range(10):
        paths = np.convolve(paths, [1, 1, 1])
    share = effective_receptive_field(ten_convs(), np.ones((2, 25, 27, 2)))
    bell = np.zeros((25, 27))
    bell[2:23, 3:24] = np.outer(paths, paths) / 9.0**10
    np.testing.assert_allclose(share, bell, atol=1e-6)
    assert (np.sort(share, axis=None)[::-1].cumsum() < 0.95).sum() + 1 == 124  # of 441 pixels


@slow_under_jax
def test_effective_field_of_an_inner_layer_lies_within_the_theoretical():
    model = models.unet((None, None, 3), 2, width=0.05)
    images = np.random.default_rng(0).uniform(size=(2, 160, 176, 3))
    share = effective_receptive_field(model, images, "encoder3_conv2")
    assert share.shape == (160, 176)
    np.testing.assert_allclose(share.sum(), 1, rtol=1e-5)
    size, stride, offset = receptive_field(model, "encoder3_conv2")
    rows, columns = ((s // 4 // 2) * stride + offset for s in (160, 176))
    inside = share[rows : rows + size, columns : columns + size]
    np.testing.assert_allclose(inside.sum(), 1, rtol=1e-5)


def test_effective_field_without_gradient_is_refused():
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(2, 3, bias_initializer=keras.initializers.Constant(-100))
    model = keras.Model(image, layers.ReLU()(conv(image)))
    with pytest.raises(ValueError, match="its gradient is zero. Received: layer=None"):
        effective_receptive_field(model, np.ones((1, 8, 8, 3)))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the layout of convolutions on the CPU")
def test_effective_field_of_channels_first():
    keras.config.set_image_data_format("channels_first")
    try:
        image = keras.Input((2, None, None))
        conv = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones")
        model = keras.Model(image, conv(image))
    finally:
        keras.config.set_image_data_format("channels_last")
    share = effective_receptive_field(model, np.ones((1, 2, 9, 11)))
    assert share.shape == (9, 11)
    np.testing.assert_allclose(share[3:6, 4:7], 1 / 9, atol=1e-6)
