"""CenterCropLike cuts the middle, CropLike from a fixed row and column on."""

import keras
import numpy as np
import pytest

from kerasseg.layers import CenterCropLike, CropLike
from tests.layers.cases import channels_first, channels_last, numpy


@pytest.mark.parametrize(
    ("target", "start"), [((3, 4), (2, 2)), ((7, 9), (0, 0)), ((2, 1), (2, 4))]
)
def test_the_crop_starts_at_half_the_surplus_rounded_down(target, start, rng):
    x = rng.normal(size=(2, 7, 9, 3)).astype("float32")
    like = np.zeros((2, *target, 5), "float32")
    expected = x[:, start[0] : start[0] + target[0], start[1] : start[1] + target[1]]
    np.testing.assert_array_equal(numpy(CenterCropLike()(x, like)), expected)
    first = CenterCropLike("channels_first")(channels_first(x), channels_first(like))
    np.testing.assert_array_equal(channels_last(numpy(first)), expected)


def test_one_model_crops_every_size(rng):
    large, small = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    model = keras.Model([large, small], CenterCropLike()(large, small))
    assert model.output.shape == (None, None, None, 3)
    for size in (5, 8):
        x = rng.normal(size=(2, size + 4, size + 2, 3)).astype("float32")
        cropped = model.predict([x, np.zeros((2, size, size, 1))], verbose=0)
        np.testing.assert_array_equal(cropped, x[:, 2:-2, 1:-1])


def test_a_larger_like_is_refused():
    with pytest.raises(ValueError, match=r"Received: inputs.shape=.*like.shape=.*Swap the two"):
        CenterCropLike()(np.zeros((1, 4, 5, 1)), np.zeros((1, 4, 6, 1)))


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_fixed_crop_starts_at_its_offset_whatever_the_surplus(offset, rng):
    x = rng.normal(size=(2, 7, 9, 3)).astype("float32")
    like = np.zeros((2, 4, 5, 1), "float32")
    expected = x[:, offset : offset + 4, offset : offset + 5]
    np.testing.assert_array_equal(numpy(CropLike(offset)(x, like)), expected)
    first = CropLike(offset, "channels_first")(channels_first(x), channels_first(like))
    np.testing.assert_array_equal(channels_last(numpy(first)), expected)


def test_a_fixed_crop_that_would_leave_the_map_is_refused():
    with pytest.raises(ValueError, match="From row and column 2 on"):
        CropLike(2)(np.zeros((1, 4, 5, 1)), np.zeros((1, 3, 3, 1)))


@pytest.mark.parametrize("offset", [-1, 0.5])
def test_an_offset_that_cannot_be_is_named(offset):
    with pytest.raises(ValueError, match=f"Received: offset={offset}"):
        CropLike(offset)
