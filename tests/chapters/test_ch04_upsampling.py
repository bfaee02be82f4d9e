"""The exact claims of lesson 4, on its own functions."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D
from tests.chapters.page import functions

interpolate_rows, stamp, decoder, transposed, resize_and_convolve = functions(
    "ch04_upsampling",
    *("interpolate_rows", "stamp", "decoder", "transposed", "resize_and_convolve"),
)


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


def generator():
    return np.random.default_rng(0)


@pytest.mark.parametrize("align_corners", [False, True])
def test_interpolation_by_hand_is_the_layer(align_corners):
    x = generator().normal(size=(5, 7))
    rows = interpolate_rows(x, 15, align_corners)
    by_hand = interpolate_rows(rows.T, 21, align_corners).T
    layer = BilinearUpsampling2D(3, align_corners=align_corners)
    by_layer = numbers(layer(x[None, :, :, None].astype("float32")))[0, :, :, 0]
    np.testing.assert_allclose(by_layer, by_hand, atol=1e-5)


def test_the_two_conventions_differ_by_less_than_half_an_old_pixel_and_not_in_the_middle():
    positions = np.arange(9.0)[:, None]
    for factor in (2, 3, 8):
        new = 9 * factor
        aligned, by_area = (interpolate_rows(positions, new, flag)[:, 0] for flag in (True, False))
        difference = np.abs(aligned - by_area)
        assert difference.max() < 0.5
        assert difference[[(new - 1) // 2, new // 2]].max() < 0.06


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (4, 2), (5, 3), (2, 2)])
def test_stamps_matrix_and_inserted_zeros_are_the_transposed_convolution(size, stride):
    x, kernel = generator().normal(size=(4, 6)), generator().normal(size=(size, size))
    stamped = stamp(x, kernel, stride)
    assert stamped.shape == tuple((n - 1) * stride + size for n in x.shape)
    as_layer = (x[None, :, :, None], kernel[:, :, None, None])
    by_layer = numbers(ops.conv_transpose(*as_layer, stride, "valid"))[0, :, :, 0]
    np.testing.assert_allclose(by_layer, stamped, atol=1e-5)

    spread = np.zeros([(n - 1) * stride + 1 for n in x.shape])
    spread[::stride, ::stride] = x
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(spread, size - 1), (size, size))
    np.testing.assert_allclose((windows * kernel[::-1, ::-1]).sum((2, 3)), stamped, atol=1e-9)

    matrix = np.stack(
        [
            np.pad(
                kernel,
                [
                    (place * stride, total - size - place * stride)
                    for place, total in zip(window, stamped.shape)
                ],
            ).ravel()
            for window in np.ndindex(*x.shape)
        ]
    )
    np.testing.assert_allclose(matrix.T @ x.ravel(), stamped.ravel(), atol=1e-9)
    assert np.linalg.matrix_rank(matrix) <= x.size < stamped.size  # so nothing inverts it


def test_padding_same_keeps_stride_times_the_rows():
    x = np.ones((1, 5, 7, 1), "float32")
    for size, stride in ((3, 2), (4, 2), (5, 3)):
        enlarged = ops.conv_transpose(x, ops.ones((size, size, 1, 1)), stride, "same")
        assert enlarged.shape[1:3] == (5 * stride, 7 * stride)


def test_the_overlap_is_even_where_the_stride_divides_the_kernel_size():
    for size in range(1, 7):
        for stride in range(1, 7):
            counts = stamp(np.ones((15, 15)), np.ones((size, size)), stride)
            border = size + stride
            is_even = np.ptp(counts[border:-border, border:-border]) == 0
            assert is_even == (size % stride == 0)
    counts = stamp(np.ones((5, 5)), np.ones((3, 3)), 2)[3:-3, 3:-3]
    assert np.unique(counts).tolist() == [1, 2, 4]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_resize_and_a_convolution_keep_a_flat_area_flat_with_any_weights(interpolation):
    keras.utils.set_random_seed(1)
    inside = (0, slice(48, -48), slice(48, -48))
    flat = np.full((1, 16, 18, 3), 0.7, "float32")
    drawn = numbers(decoder(resize_and_convolve(interpolation))(flat))[inside]
    gridded = numbers(decoder(transposed(4))(flat))[inside]
    assert np.ptp(drawn) < 1e-5 < 1e-3 < np.ptp(gridded)


def test_bilinear_start_is_bilinear_upsampling_away_from_the_border():
    x = generator().normal(size=(1, 9, 11, 1)).astype("float32")
    layer = layers.Conv2DTranspose(1, 4, 2, "same", use_bias=False, kernel_initializer=Bilinear())
    difference = numbers(layer(x)) - numbers(BilinearUpsampling2D(2)(x))
    np.testing.assert_allclose(difference[:, 2:-2, 2:-2], 0, atol=1e-5)
    tent = np.array([1, 3, 3, 1]) / 4
    np.testing.assert_allclose(np.squeeze(layer.get_weights()[0]), np.outer(tent, tent), atol=1e-6)


def test_nearest_and_a_convolution_are_a_transposed_convolution_of_kernel_four():
    kernel = generator().normal(size=(3, 3)).astype("float32")
    x = generator().normal(size=(1, 5, 7, 1)).astype("float32")
    large = stamp(np.ones((2, 2)), kernel[::-1, ::-1], 1).astype("float32")
    one_way = ops.conv(layers.UpSampling2D(2)(x), kernel[:, :, None, None], padding="same")
    other_way = ops.conv_transpose(x, large[:, :, None, None], 2, "same")
    np.testing.assert_allclose(numbers(one_way), numbers(other_way), atol=1e-5)
