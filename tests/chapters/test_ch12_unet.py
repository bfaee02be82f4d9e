"""What the lesson on U-Net says exactly."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg import models
from kerasseg.losses import Dice
from tests.chapters.page import functions


@pytest.fixture(scope="module")
def unet():
    (function,) = functions("ch12_unet", "unet")
    return function


def test_the_unet_of_the_page_is_that_of_the_library(unet):
    ours, library = (build((None, None, 3), 5, width=1 / 16) for build in (unet, models.unet))
    assert ours.count_params() == library.count_params()
    ours.set_weights(library.get_weights())
    x = np.random.default_rng(0).random((2, 37, 53, 3), "float32")
    expected = ops.convert_to_numpy(library(x, training=False))
    assert np.allclose(ops.convert_to_numpy(ours(x, training=False)), expected, atol=1e-5)


def test_unet_has_31_million_weights_and_fc_densenet56_fewer_than_five_per_cent_of_them(unet):
    with keras.StatelessScope(initialize_variables=False):  # shapes alone
        builds = unet, models.unet, models.fc_densenet56
        ours, library, tiramisu = (build((None, None, 3), 2).count_params() for build in builds)
    assert ours == library
    assert 30.5e6 < ours < 31.5e6
    assert tiramisu < 0.05 * ours


def test_without_skips_nothing_is_concatenated_and_the_output_keeps_its_size(unet):
    model = unet((None, None, 3), 5, width=1 / 16, with_skips=False)
    assert not any(isinstance(layer, keras.layers.Concatenate) for layer in model.layers)
    assert model(np.zeros((1, 37, 53, 3), "float32")).shape == (1, 37, 53, 5)


def test_adding_two_maps_is_concatenating_them_with_one_kernel_for_both():
    random = np.random.default_rng(0)
    fine, coarse = random.normal(size=(2, 1, 5, 6, 3)).astype("float32")
    kernel = random.normal(size=(3, 3, 3, 4)).astype("float32")
    joined, twice = np.concatenate([fine, coarse], -1), np.concatenate([kernel, kernel], 2)
    of_joined, of_sum = (
        ops.convert_to_numpy(ops.conv(x, k, padding="same"))
        for x, k in ((joined, twice), (fine + coarse, kernel))
    )
    assert np.allclose(of_joined, of_sum, atol=1e-4)


@pytest.mark.parametrize("z", [-6.0, -1.0, 0.0, 2.0])
def test_the_slope_of_dice_on_one_pixel_vanishes_on_both_sides_that_of_cross_entropy_does_not(z):
    loss = Dice(class_weights=[0, 1])
    step = 1e-2
    truth = np.ones((1, 1, 1), int)
    above, below = (float(loss(truth, np.full((1, 1, 1, 1), z + d))) for d in (step, -step))
    p = 1 / (1 + np.exp(-z))
    assert (below - above) / (2 * step) == pytest.approx(2 * p * (1 - p) / (1 + p) ** 2, abs=2e-4)


def test_the_smallest_network_of_four_poolings_sees_140_pixels_at_the_bottom(unet):
    from kerasseg import receptive_field

    assert receptive_field(unet((None, None, 3), 2, width=1 / 32), "bottleneck_conv2").size == 140
