"""Objects become label maps: compared with a loop over the centres of all pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from kerasseg.datasets.annotations.drawing import cropped, draw, fill, pixels_of
from kerasseg.datasets.annotations.objects import AnnotatedImage, Thing
from tests.datasets.annotations.sources import mask_of

# Irrational, as whether a centre on an outline lies inside is a matter of convention.
x = st.integers(-40, 200).map(lambda n: (n + 2**0.5) / 10)
y = st.integers(-40, 200).map(lambda n: (n + 3**0.5) / 10)


def whole(pixels, corner, size):
    mask = np.zeros(size, bool)
    mask[corner[0] : corner[0] + pixels.shape[0], corner[1] : corner[1] + pixels.shape[1]] = pixels
    return mask


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(x, y), min_size=3, max_size=7))
def test_pixels_are_those_whose_centres_lie_inside(points):
    size = (11, 14)
    polygon = np.array(points)
    expected = mask_of(polygon, size)
    np.testing.assert_array_equal(whole(*fill(polygon, size), size), expected)


def test_polygons_that_share_an_edge_share_no_pixel_and_leave_none_out():
    corners = np.array([(0, 0), (9, 0), (9, 7), (0, 7.0)])
    for middle in ((4.5, 3.5), (2.25, 5.5), (8.5, 0.5)):
        parts = [
            whole(*fill(np.array([corners[i], corners[i - 3], middle]), (7, 9)), (7, 9))
            for i in range(4)
        ]
        np.testing.assert_array_equal(np.sum(parts, axis=0), np.ones((7, 9)))


def test_pixels_are_within_one_pixel_of_those_of_pycocotools():
    polygon = np.array([(3.2, 1.1), (25.7, 4.4), (30.1, 18.9), (14.6, 11.2), (5.5, 19.4)])
    size = (21, 33)
    (rle,) = reference.frPyObjects([polygon.ravel().tolist()], *size)
    theirs = reference.decode(rle) > 0
    ours = whole(*fill(polygon, size), size)
    rows, columns = np.nonzero(ours != theirs)
    edges = np.linspace(polygon, np.roll(polygon, -1, axis=0), 400).reshape(-1, 2)
    for y, x in zip(rows + 0.5, columns + 0.5):
        assert np.linalg.norm(edges - (x, y), axis=1).min() <= 1


def drawn(things, size=(6, 8), ids=None, unlabelled=0):
    image = AnnotatedImage(where=Place("x.json"), name="x", things=lambda: things)
    return draw(image, size, ids or {"a": 1, "b": 2}, unlabelled)


class Place(str):
    name = "x.json"


def box(left, top, width, height):
    right, bottom = left + width, top + height
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)


def test_of_two_objects_of_one_size_the_first_lies_on_top():
    labels = drawn([Thing("b", (box(0, 0, 3, 2),)), Thing("a", (box(1, 0, 3, 2),))]).labels
    assert labels[0].tolist() == [2, 2, 2, 1, 0, 0, 0, 0]


def test_what_is_known_by_a_box_alone_is_void_and_things_in_it_are_not():
    result = drawn([Thing("a", (box(0, 0, 3, 2),)), Thing("a", (box(0, 0, 5, 2),), rough=True)])
    assert result.labels[0].tolist() == [1, 1, 1, 255, 255, 0, 0, 0]
    assert [finding.title for finding in result.findings] == ["boxes in place of outlines"]
    assert result.things == {1: 1, 255: 1}


def test_single_objects_lie_on_top_of_groups_whatever_their_size():
    crowd = Thing("b", (box(0, 0, 2, 1),), crowd=True)
    labels = drawn([Thing("a", (box(0, 0, 8, 6),)), crowd]).labels
    assert (labels == 1).all()


def test_points_and_lines_cover_nothing_and_are_reported():
    line = np.array([(0, 0), (5, 5.0)])
    result = drawn([Thing("a"), Thing("a", (line,)), Thing("a", (box(1.1, 1.1, 0.2, 0.2),))])
    assert (result.labels == 0).all()
    assert "3 of its objects cover no pixel" in result.findings[0].message


def test_the_parts_of_an_object_are_joined():
    labels = drawn([Thing("a", (box(0, 0, 2, 2), box(5, 3, 3, 2)))]).labels
    expected = np.zeros((6, 8), int)
    expected[:2, :2] = expected[3:5, 5:] = 1
    np.testing.assert_array_equal(labels, expected)


def test_a_mask_of_a_part_of_the_image_lies_at_its_corner_and_is_cut_off():
    mask = np.array([[1, 0, 1], [1, 1, 1]]) > 0
    for corner in ((2, 3), (-1, -1), (5, 6), (9, 9), (-4, 0)):
        expected = np.pad(np.zeros((6, 8), bool), 20)
        expected[20 + corner[0] :, 20 + corner[1] :][:2, :3] = mask
        pixels, place, farthest = pixels_of(Thing("a", mask=mask, corner=corner), (6, 8), "x")
        np.testing.assert_array_equal(whole(pixels, place, (6, 8)), expected[20:26, 20:28])
        assert farthest == max(-corner[0], -corner[1], corner[0] - 4, corner[1] - 5, 0)


def test_a_mask_of_another_size_is_an_error():
    with pytest.raises(ValueError, match=r"was made at 6 x 9 .*but the image has 6 x 8"):
        drawn([Thing("a", mask=np.ones((6, 9), bool))])


def test_shares_are_shares_of_width_and_height():
    labels = drawn([Thing("a", (box(0.25, 0.5, 0.5, 0.5),), shares=True)]).labels
    expected = np.zeros((6, 8), int)
    expected[3:, 2:6] = 1
    np.testing.assert_array_equal(labels, expected)


def test_an_empty_mask_has_no_part():
    assert cropped(np.zeros((3, 4), bool))[0].size == 0
