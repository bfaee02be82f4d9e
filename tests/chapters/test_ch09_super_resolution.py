"""Lesson 9: aliasing, sub-pixels, and a network that begins as bilinear interpolation."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg.layers import BilinearUpsampling2D
from tests.chapters.page import functions

keep_every_fourth, mean_of_four, sub_pixels, sub_pixel_network = functions(
    "ch09_super_resolution", "keep_every_fourth", "mean_of_four", "sub_pixels", "sub_pixel_network"
)


def image(shape=(2, 5, 7, 3)):
    return np.random.default_rng(0).uniform(size=shape).astype("float32")


def test_every_fourth_pixel_of_fine_stripes_is_a_coarse_stripe():
    stripes = np.tile([1.0, 0.0, 0.0], 4)
    assert keep_every_fourth(stripes).tolist() == [1, 0, 0]
    assert mean_of_four(stripes).tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize(("step", "turns"), [(4, 1), (4, 3), (3, -2)])
def test_waves_a_whole_number_of_turns_apart_have_the_same_samples(step, turns):
    k = np.arange(20)
    first = np.cos(2 * np.pi * 0.2 * step * k)
    second = np.cos(2 * np.pi * (0.2 - turns / step) * step * k)
    np.testing.assert_allclose(first, second, atol=1e-9)


@pytest.mark.parametrize("factor", [2, 3])
def test_sub_pixels_by_hand_are_keras_depth_to_space(factor):
    maps = image((2, 5, factor**2))
    moved = ops.convert_to_numpy(ops.depth_to_space(maps[None], factor))[0, ..., 0]
    np.testing.assert_array_equal(moved, sub_pixels(maps, factor))


def test_the_network_has_the_weights_that_the_page_states():
    assert sub_pixel_network().count_params() == 42_512
    assert sub_pixel_network(residual=False).count_params() == 42_512


def test_before_training_the_network_is_bilinear_interpolation():
    small = image()
    np.testing.assert_allclose(
        sub_pixel_network()(small), BilinearUpsampling2D(4)(small), atol=1e-6
    )


def test_a_convolution_and_sub_pixels_are_a_transposed_convolution_without_overlap():
    maps, kernel = image((2, 5, 7, 6)), image((1, 1, 6, 16 * 3))
    by_sub_pixels = ops.depth_to_space(ops.conv(maps, kernel), 4)
    transposed = layers.Conv2DTranspose(3, 4, strides=4, use_bias=False)
    transposed.build(maps.shape)
    transposed.set_weights([kernel.reshape(6, 4, 4, 3).transpose(1, 2, 3, 0)])
    np.testing.assert_allclose(transposed(maps), by_sub_pixels, atol=1e-5)


def test_the_network_without_residual_starts_black():
    assert not np.any(keras.ops.convert_to_numpy(sub_pixel_network(residual=False)(image())))
