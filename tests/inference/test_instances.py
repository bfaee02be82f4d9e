"""Objects that touch are separated; those that do not are connected components."""

import numpy as np
import pytest
from scipy import ndimage

from kerasseg.inference.instances import watershed_instances


def discs(shape, *circles):
    rows, columns = np.indices(shape)
    return [(rows - r) ** 2 + (columns - c) ** 2 - radius**2 for r, c, radius in circles]


@pytest.mark.parametrize("small", [9, 12, 15])
def test_touching_discs_part_along_their_common_chord(small):
    one, other = discs((40, 64), (20, 18, 15), (19, 20 + 12 + small, small))
    mask = (one <= 0) | (other <= 0)
    ids = watershed_instances(mask)
    assert ids.max() == 2
    assert ndimage.label(mask)[1] == 1
    np.testing.assert_array_equal(ids > 0, mask)
    # The chord is where the powers of both circles are equal; a pixel's width is left to chance.
    width = 2 * (14 + small)
    assert (ids[mask & (one < other - width)] == ids[20, 18]).mean() > 0.98
    assert (ids[mask & (other < one - width)] == ids[19, 32 + small]).mean() > 0.98


def test_things_that_do_not_touch_are_connected_components(rng):
    far = discs((50, 70), (10, 10, 6), (30, 20, 9), (12, 40, 8), (40, 55, 5), (5, 64, 3))
    mask = np.min(far, 0) <= 0
    expected, count = ndimage.label(mask)
    ids = watershed_instances(mask)
    assert count == ids.max() == 5
    assert len(set(zip(expected[mask], ids[mask]))) == 5


def test_a_small_thing_beside_a_large_one_is_not_lost():
    mask = np.zeros((30, 30), bool)
    mask[2:22, 2:22] = True
    mask[10, 23] = True
    assert watershed_instances(mask, min_distance=15)[10, 23] == 2


def test_a_long_thing_and_one_at_the_border_stay_whole():
    mask = np.zeros((20, 60), bool)
    mask[:7, 3:55] = True
    assert watershed_instances(mask).max() == 1
    assert watershed_instances(np.ones((9, 14), bool)).max() == 1
    assert watershed_instances(np.zeros((9, 14), bool)).max() == 0


def test_peaks_of_equal_height_within_the_distance_are_one_thing():
    mask = np.zeros((7, 23), bool)
    mask[1:6, 1:22] = True
    mask[1, 11] = mask[5, 11] = False
    assert watershed_instances(mask, min_distance=1).max() == 2
    assert watershed_instances(mask, min_distance=6).max() == 1


@pytest.mark.parametrize(
    ("mask", "distance", "message"),
    [
        (np.zeros((1, 4, 4)), 3, r"Received: mask.shape=\(1, 4, 4\)"),
        (np.zeros((4, 4)), 0.5, "Received: min_distance=0.5"),
    ],
)
def test_wrong_arguments_of_the_watershed_are_refused(mask, distance, message):
    with pytest.raises(ValueError, match=message):
        watershed_instances(mask, distance)
