"""What lesson 1 claims of convolution, padding, pooling and separable convolution."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tests.chapters.page import functions


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_convolution_by_hand_gives_the_numbers_of_the_layer(size, stride):
    (convolve,) = functions("ch01_downsampling", "convolve")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, 10)).astype("float32")
    kernel = rng.normal(size=(size, size)).astype("float32")
    layer = ops.conv(x[None, :, :, None], kernel[:, :, None, None], stride, "valid")
    assert np.allclose(np.squeeze(layer), convolve(x, kernel, stride), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_the_formula_gives_the_number_of_windows(size, stride, padding):
    padded = layers.ZeroPadding2D(padding)(np.zeros((1, 11, 14, 1), "float32"))
    output = layers.Conv2D(1, size, stride)(padded)
    formula = [(n + 2 * padding - size) // stride + 1 for n in (11, 14)]
    assert list(output.shape[1:3]) == formula


def test_kernels_of_one_shrink_no_map():
    stack = keras.Sequential([keras.Input((11, 14, 3)), *(layers.Conv2D(3, 1) for _ in range(20))])
    assert stack.output_shape[1:3] == (11, 14)


def test_zeros_around_white_paper_are_an_edge_and_a_mirror_image_is_none():
    (convolve,) = functions("ch01_downsampling", "convolve")
    detector = np.full((3, 3), -1)
    detector[1, 1] = 8
    edges = convolve(np.pad(np.ones((4, 6)), 1), detector)
    assert (edges[0, 0], edges[0, 2], edges[2, 0], edges[2, 2]) == (5, 3, 3, 0)
    assert not convolve(np.pad(np.ones((4, 6)), 1, mode="reflect"), detector).any()


def test_stride_two_on_an_even_size_pads_at_the_end_only():
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
    kernel = np.random.default_rng(1).normal(size=(3, 3, 1, 1)).astype("float32")
    same = ops.conv(x, kernel, 2, "same")
    at_the_end = ops.conv(np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0))), kernel, 2, "valid")
    around = ops.conv(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), kernel, 2, "valid")
    assert np.allclose(same, at_the_end, atol=1e-6)
    assert not np.allclose(same, around, atol=0.1)


@pytest.mark.parametrize(
    ("layer", "choose"), [(layers.MaxPooling2D, np.max), (layers.AveragePooling2D, np.mean)]
)
@pytest.mark.parametrize("size", [2, 3])
def test_pooling_by_hand_gives_the_numbers_of_the_layer(layer, choose, size):
    (pool,) = functions("ch01_downsampling", "pool")
    x = np.random.default_rng(0).normal(size=(6, 12)).astype("float32")
    pooled = layer(size)(x[None, :, :, None])
    assert np.allclose(np.squeeze(pooled), pool(x, choose, size), atol=1e-6)


def test_of_windows_with_one_mean_the_widest_spread_has_the_largest_maximum():
    windows = np.array([[5, 5, 5, 5], [3, 5, 5, 7], [0, 0, 0, 20]])
    assert (windows.mean(1) == 5).all()
    assert (np.diff(windows.std(1)) > 0).all()
    assert (np.diff(windows.max(1)) > 0).all()


def test_average_pooling_is_a_depthwise_convolution_with_equal_weights():
    x = np.random.default_rng(0).normal(size=(2, 8, 12, 5)).astype("float32")
    ones = layers.DepthwiseConv2D(2, strides=2, use_bias=False, depthwise_initializer="ones")
    assert np.allclose(ones(x) / 4, layers.AveragePooling2D(2)(x), atol=1e-5)


def test_a_standard_convolution_is_the_sum_of_a_depthwise_one_and_a_bias():
    x = np.random.default_rng(0).normal(size=(1, 9, 12, 3)).astype("float32")
    kernels = np.random.default_rng(1).normal(size=(5, 5, 3, 1)).astype("float32")
    maps = ops.depthwise_conv(x, kernels, padding="same")
    assert np.allclose(
        ops.sum(maps, -1, keepdims=True), ops.conv(x, kernels, padding="same"), atol=1e-4
    )


@pytest.mark.parametrize(("channels", "filters", "size"), [(16, 32, 3), (3, 5, 7), (64, 64, 5)])
def test_weights_follow_the_formulas_of_the_lesson(channels, filters, size):
    for layer, weights in (
        (layers.Conv2D(filters, size, use_bias=False), size**2 * channels * filters),
        (layers.DepthwiseConv2D(size, use_bias=False), size**2 * channels),
        (
            layers.SeparableConv2D(filters, size, use_bias=False),
            size**2 * channels + channels * filters,
        ),
    ):
        layer.build((None, 20, 30, channels))
        assert layer.count_params() == weights
    saving = (size**2 * channels + channels * filters) / (size**2 * channels * filters)
    assert saving == pytest.approx(1 / filters + 1 / size**2)


def test_a_separable_convolution_is_a_depthwise_one_and_a_mixing_one():
    x = np.random.default_rng(0).normal(size=(1, 9, 12, 4)).astype("float32")
    layer = layers.SeparableConv2D(6, 3, use_bias=False)
    layer.build(x.shape)
    depth, point = layer.get_weights()
    assert np.allclose(layer(x), ops.conv(ops.depthwise_conv(x, depth), point), atol=1e-5)


@pytest.mark.parametrize(("kind", "weights"), [("Conv2D", 56_394), ("SeparableConv2D", 8_106)])
def test_the_encoder_has_the_weights_that_the_lesson_prints(kind, weights):
    (encoder,) = functions("ch01_downsampling", "encoder")
    assert encoder(getattr(layers, kind)).count_params() == weights


def test_two_kernels_of_three_are_cheaper_than_one_of_five_only_if_standard():
    def weights(kind, count, size):
        stack = [kind(64, size, use_bias=False) for _ in range(count)]
        return keras.Sequential([keras.Input((20, 20, 64)), *stack]).count_params()

    assert weights(layers.Conv2D, 2, 3) < weights(layers.Conv2D, 1, 5)
    assert weights(layers.SeparableConv2D, 2, 3) > weights(layers.SeparableConv2D, 1, 5)
