"""What lesson 2 claims of receptive fields, dilation and gridding."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.layers import AtrousConv2D
from tests.chapters.page import functions

VGG16 = [window for n in (2, 2, 3, 3, 3) for window in [(3, 1)] * n + [(2, 2)]]


def stack(rates, filters=1, size=None):
    x = image = keras.Input((size, size, 1))
    for rate in rates:
        ones = {"kernel_initializer": "ones", "use_bias": False, "padding": "same"}
        x = AtrousConv2D(filters, 3, rate=rate, **ones)(x)
    return keras.Model(image, x)


@pytest.mark.parametrize(
    "windows", [VGG16, [(7, 2), (3, 2), (3, 1), (3, 1)], [(1, 1)], [(5, 3), (2, 2), (3, 1)]]
)
def test_the_field_by_hand_is_that_of_the_graph(windows):
    (field_by_hand,) = functions("ch02_receptive_field", "field_by_hand")
    x = image = keras.Input((None, None, 1))
    for kernel, stride in windows:
        x = layers.Conv2D(1, kernel, stride)(x)
    field = receptive_field(keras.Model(image, x))
    assert field_by_hand(windows) == (field.size, field.stride)


@pytest.mark.parametrize(
    ("rates", "pool", "size", "stride"),
    [
        ((1, 1, 1, 1, 1), True, 212, 32),
        ((1, 1, 1, 1, 1), False, 27, 1),
        ((1, 2, 4, 8, 16), False, 181, 1),
    ],
)
def test_without_poolings_the_field_of_vgg_shrinks_and_rates_bring_it_back(
    rates, pool, size, stride
):
    x = image = keras.Input((None, None, 1))
    for convolutions, rate in zip((2, 2, 3, 3, 3), rates):
        for _ in range(convolutions):
            x = AtrousConv2D(1, 3, rate=rate, padding="same")(x)
        x = layers.MaxPooling2D(2)(x) if pool else x
    field = receptive_field(keras.Model(image, x))
    assert (field.size, field.stride) == (size, stride)


@pytest.mark.parametrize("rate", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [2, 3])
def test_dilation_is_a_kernel_with_zeros_in_its_holes(size, rate):
    (with_holes,) = functions("ch02_receptive_field", "with_holes")
    kernel = np.random.default_rng(0).normal(size=(size, size)).astype("float32")
    spread = with_holes(kernel, rate)
    assert len(spread) == (size - 1) * rate + 1
    assert np.count_nonzero(spread) == size**2
    x = np.random.default_rng(1).normal(size=(1, 11, 14, 1)).astype("float32")
    layer = AtrousConv2D(1, size, rate=rate, use_bias=False)
    layer.build(x.shape)
    layer.set_weights([kernel[:, :, None, None]])
    assert np.allclose(layer(x), ops.conv(x, spread[:, :, None, None]), atol=1e-5)


def test_dilation_does_not_downsample():
    assert AtrousConv2D(4, 3, rate=2, padding="same")(np.zeros((1, 13, 16, 3))).shape[1:3] == (
        13,
        16,
    )


def test_where_the_sparse_map_has_a_value_the_dense_one_has_the_same():
    x = np.random.default_rng(0).normal(size=(1, 24, 30, 1)).astype("float32")
    kernel = np.random.default_rng(1).normal(size=(7, 7, 1, 1)).astype("float32")
    sparse = ops.conv(x[:, ::2, ::2], kernel, padding="same")
    dense = np.asarray(ops.conv(x, kernel, padding="same", dilation_rate=2))
    assert np.allclose(dense[:, ::2, ::2], sparse, atol=1e-4)


def test_a_network_with_a_stride_is_contained_in_one_with_a_rate():
    x = np.random.default_rng(0).normal(size=(1, 21, 26, 1)).astype("float32")
    first = np.random.default_rng(1).normal(size=(3, 3, 1, 4)).astype("float32")
    second = np.random.default_rng(2).normal(size=(3, 3, 4, 2)).astype("float32")
    strided = ops.conv(ops.relu(ops.conv(x, first, 2)), second)
    dense = np.asarray(ops.conv(ops.relu(ops.conv(x, first)), second, dilation_rate=2))
    assert np.allclose(dense[:, ::2, ::2], strided, atol=1e-4)


def test_narrow_and_wide_networks_have_equal_weights_and_fields_of_13_and_49():
    (segmenter,) = functions("ch02_receptive_field", "segmenter")
    narrow, wide = segmenter([1, 1, 1, 1, 1, 1]), segmenter([1, 1, 2, 4, 8, 8])
    assert narrow.count_params() == wide.count_params()
    assert (receptive_field(narrow).size, receptive_field(wide).size) == (13, 49)


@pytest.mark.parametrize(
    ("rates", "side", "touched"),
    [
        ((1, 1, 1), 7, 49),
        ((1, 2, 4), 15, 225),
        ((2, 2, 2), 13, 49),
        ((4, 4, 4), 25, 49),
        ((1, 2, 3), 13, 169),
        ((2, 4, 8), 29, 225),
    ],
)
def test_rates_with_a_common_divisor_leave_gaps(rates, side, touched):
    net = stack(rates, size=31)
    share = effective_receptive_field(net, np.ones((1, 31, 31, 1), "float32"))
    assert receptive_field(net).size == side
    assert np.count_nonzero(share > 1e-9) == touched


def test_paths_are_counted_as_the_gradient_of_a_network_of_ones_counts_them():
    (paths_back,) = functions("ch02_receptive_field", "paths_back")
    row = np.zeros(31, int)
    row[15] = 1
    for rate in (4, 2, 1):
        row = paths_back(row, rate)
    share = effective_receptive_field(stack((1, 2, 4), size=31), np.ones((1, 31, 31, 1), "float32"))
    assert np.allclose(share, np.outer(row, row) / row.sum() ** 2, atol=1e-6)
    assert paths_back(paths_back(np.array([0, 0, 0, 0, 1, 0, 0, 0, 0]))).tolist() == [
        *(0, 0, 1, 2, 3, 2, 1, 0, 0)
    ]
