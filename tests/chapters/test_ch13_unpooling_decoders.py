"""What the lesson on DeconvNet and SegNet says exactly."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from kerasseg import models
from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from tests.chapters.page import functions

NAMES = ("deconvnet", "segnet")


@pytest.fixture(scope="module", params=NAMES)
def pair(request):
    """A function of the page, and that of the library."""
    (function,) = functions("ch13_unpooling_decoders", request.param)
    return function, getattr(models, request.param)


def test_the_networks_of_the_page_are_those_of_the_library(pair):
    ours, library = (build((None, None, 3), 5, width=1 / 32) for build in pair)
    assert ours.count_params() == library.count_params()
    ours.set_weights(library.get_weights())
    x = np.random.default_rng(0).random((2, 37, 53, 3), "float32")
    expected = ops.convert_to_numpy(library(x, training=False))
    assert np.allclose(ops.convert_to_numpy(ours(x, training=False)), expected, atol=1e-5)


def full_size(name):
    (function,) = functions("ch13_unpooling_decoders", name)
    with keras.StatelessScope(initialize_variables=False):
        return function((None, None, 3), 8)


def test_deconvnet_has_252_million_weights_and_segnet_less_than_an_eighth_of_them():
    deconvnet, segnet = (full_size(name).count_params() for name in NAMES)
    assert 251.5e6 < deconvnet < 252.5e6
    assert segnet < deconvnet / 8


def test_almost_nine_of_ten_of_deconvnets_weights_lie_in_its_middle():
    model = full_size("deconvnet")
    middle = sum(model.get_layer(name).count_params() for name in ("fc6", "fc7", "fc6_deconv"))
    assert 0.87 < middle / model.count_params() < 0.9


@pytest.mark.parametrize("shape", [(6, 10), (8, 4), (2, 2)])
def test_every_neighbourhood_of_an_unpooled_map_holds_a_value_where_windows_are_2x2(shape):
    x = np.random.default_rng(0).uniform(1, 2, (1, *shape, 1)).astype("float32")
    sparse = np.squeeze(ops.convert_to_numpy(MaxUnpooling2D(2)(*MaxPoolingWithArgmax2D(2)(x))))
    held = ndimage.maximum_filter(sparse.reshape(shape), 3, mode="constant")
    assert (held > 0).all()


def test_a_transposed_convolution_of_stride_one_is_a_convolution_with_its_kernel_turned():
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 5, 7, 2)).astype("float32")
    kernel = random.normal(size=(3, 3, 4, 2)).astype("float32")  # of 4 outputs and 2 inputs
    stamped = ops.conv_transpose(x, kernel, padding="same")
    turned = kernel[::-1, ::-1].swapaxes(2, 3).copy()
    collected = ops.conv(x, turned, padding="same")
    assert np.allclose(*map(ops.convert_to_numpy, (stamped, collected)), atol=1e-4)


def test_segnets_masks_are_sixteen_times_smaller_than_the_maps_where_sizes_are_even():
    model = models.segnet((64, 96, 3), 5, width=1 / 32)
    pools = [model.get_layer(f"encoder{stage}_pool") for stage in (1, 2, 3, 4, 5)]
    assert all(pool.output[1].dtype == "uint8" for pool in pools)
    masks = sum(np.prod(pool.output[1].shape[1:]) for pool in pools)
    maps = sum(4 * np.prod(pool.input.shape[1:]) for pool in pools)
    assert maps == 16 * masks


def test_a_frozen_encoder_learns_again_after_unfreeze():
    model = models.segnet((32, 32, 3), 5, width=1 / 32, encoder_trainable=False)
    before = len(model.trainable_weights)
    models.unfreeze(model)
    assert len(model.trainable_weights) == before + 4 * 13  # two weights, two of normalization
