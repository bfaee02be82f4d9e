"""The exact claims of lesson 5, on its own functions."""

import numpy as np
import pytest
from keras import layers, ops

from kerasseg.layers import AverageUnpooling2D, MaxPoolingWithArgmax2D, MaxUnpooling2D
from tests.chapters.page import functions

max_pool, places, max_unpool, autoencoder = functions(
    "ch05_unpooling", "max_pool", "places", "max_unpool", "autoencoder"
)


def numbers(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("size", [2, 3])
def test_the_functions_by_hand_are_the_layers(size):
    x = np.random.default_rng(0).normal(size=(2 * size, 5 * size)).astype("float32")
    pooled, positions = max_pool(x, size)
    values, mask = MaxPoolingWithArgmax2D(size)(x[None, :, :, None])
    np.testing.assert_array_equal(np.squeeze(numbers(values)), pooled)
    np.testing.assert_array_equal(np.squeeze(numbers(mask)), positions)
    unpooled = numbers(MaxUnpooling2D(size)(values, mask))
    np.testing.assert_array_equal(np.squeeze(unpooled), max_unpool(pooled, positions, size))


def test_the_place_of_a_maximum_follows_from_window_and_position():
    assert places(np.array([[0, 3], [2, 1]])) == [(0, 0), (1, 3), (3, 0), (2, 3)]


def test_pooling_undoes_unpooling_unless_a_value_is_negative():
    generator = np.random.default_rng(0)
    values = generator.uniform(0, 1, (2, 4, 7, 3)).astype("float32")
    mask = generator.integers(0, 4, values.shape).astype("uint8")
    again, _ = MaxPoolingWithArgmax2D()(MaxUnpooling2D()(values, mask))
    np.testing.assert_array_equal(numbers(again), values)
    again, _ = MaxPoolingWithArgmax2D()(MaxUnpooling2D()(-values, mask))
    assert not numbers(again).any()
    average = layers.AveragePooling2D(2)(AverageUnpooling2D()(-values))
    np.testing.assert_array_equal(numbers(average), -values)


def test_max_unpooling_keeps_one_value_of_four_and_after_two_steps_one_of_sixteen():
    x = np.random.default_rng(0).uniform(0.1, 1, (1, 16, 24, 3)).astype("float32")
    pool, unpool = MaxPoolingWithArgmax2D(), MaxUnpooling2D()
    once, first = pool(x)
    twice, second = pool(once)
    assert np.mean(numbers(unpool(once, first)) != 0) == 1 / 4
    assert np.mean(numbers(unpool(unpool(twice, second), first)) != 0) == 1 / 16


def test_two_contours_differ_in_their_masks_alone():
    straight = np.array([[0, 7, 0, 2], [0, 9, 0, 0], [0, 8, 0, 0], [0, 5, 1, 0]])
    bent = np.array([[0, 7, 0, 0], [0, 9, 2, 0], [8, 0, 0, 1], [5, 0, 0, 0]])
    (pooled, positions), (same, others) = max_pool(straight), max_pool(bent)
    np.testing.assert_array_equal(pooled, same)
    assert (positions != others).any()


def test_masks_add_no_weights_and_320_positions_to_a_code_of_8_numbers():
    with_masks, copied = autoencoder(True), autoencoder(False)
    assert with_masks.count_params() == copied.count_params()
    masks = [with_masks.get_layer(f"encoder{stage}_pool").output[1] for stage in (1, 2)]
    assert sum(np.prod(mask.shape[1:]) for mask in masks) == 320
    assert np.prod(with_masks.get_layer("code").output.shape[1:]) == 8


def test_segnet_needs_5_mib_of_masks_an_image_at_360_by_480():
    x, total = ops.zeros((1, 360, 480, 1)), 0
    for channels in (64, 128, 256, 512, 512):
        x, mask = MaxPoolingWithArgmax2D(padding="same")(x)
        total += channels * numbers(mask).nbytes
    assert f"{total / 2**20:.1f}" == "5.0"
