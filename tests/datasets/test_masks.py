"""What the values in masks mean: what needs a table, what needs none, and what is ambiguous."""

import numpy as np
import pytest

from kerasseg.datasets import folder
from kerasseg.datasets.masks import Masks, distinct, voc_colours


def recognise(values, names=None, colours=None):
    return folder.recognise(folder.Folder("set", {}, class_names=names, colours=colours), values)


@pytest.mark.parametrize(
    ("values", "kind", "count"),
    [
        ({0, 1}, "ids", 2),
        ({0, 1, 255}, "ids", 2),
        (set(range(254)), "ids", 254),
        ({0, 255}, "binary 0/255", 2),
        ({np.int64(0), np.uint8(255)}, "binary 0/255", 2),
    ],
)
def test_values_that_need_no_table(values, kind, count):
    masks = recognise(values)
    assert isinstance(masks, Masks)
    assert (masks.kind, masks.num_classes, masks.ignore_class) == (kind, count, 255)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({0, 50, 100}, "0, 50, 100"),
        ({0, 1, 3}, "0, 1, 3"),
        ({1, 2, 3}, "1, 2, 3"),
        ({0}, "0"),
        ({255}, "255"),
        ({0, 254, 255}, "0, 254, 255"),
        (set(range(256)), r"0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... \(256 in all\)"),
    ],
)
def test_values_that_could_mean_anything_are_shown_with_the_remedy(values, shown):
    with pytest.raises(ValueError, match=rf"Found: {shown}\. .*classes.txt.*`colours`.*PNG"):
        recognise(values)


@pytest.mark.parametrize("colours", [None, ((0, 0, 0), (1, 2, 3), (4, 5, 6))])
@pytest.mark.parametrize("values", [{0, 255}, {255}])
def test_255_is_void_or_foreground_only_where_it_is_clear_which(values, colours):
    with pytest.raises(ValueError, match="255 in the masks can be void or a foreground. Found: "):
        recognise(values, ("a", "b", "c"), colours)


def test_background_is_a_class():
    assert recognise({0, 1}, ("background", "road")).class_names == ("background", "road")


def test_to_ids_equals_a_slow_table(rng):
    names = tuple(f"n{i}" for i in range(200))
    colours = [tuple(c) for c in np.unique(rng.integers(0, 255, (300, 3)), axis=0)[:200].tolist()]
    masks = recognise(set(colours), names, colours)
    raw = np.array(colours, "uint8")[rng.integers(0, 200, (11, 13))]
    slow = [[colours.index(tuple(pixel)) for pixel in row] for row in raw.tolist()]
    np.testing.assert_array_equal(masks.to_ids(raw), slow)
    assert masks.to_ids(raw).dtype == np.uint8


def test_a_value_outside_the_classes_is_named_with_what_is_allowed():
    masks = recognise({0, 1, 2}, ("void", "road", "car"))
    with pytest.raises(
        ValueError, match=r"x.png holds the label id 7, .*ids: 1 and 2, and 0 or 255"
    ):
        masks.to_ids(np.array([[0, 7]], "uint8"), "x.png")
    with pytest.raises(ValueError, match=r"label colour \(0, 0, 9\), .* colours=\[\(0, 0, 9\)\]"):
        masks.to_ids(np.array([[[0, 0, 9]]], "uint8"))


@pytest.mark.parametrize("count", [5, 3000])
def test_the_distinct_values_of_colours_are_found_to_1024(rng, count):
    colours = rng.permutation(np.unique(rng.integers(0, 255, (2 * count, 3)), axis=0))[:count]
    raw = np.concatenate([colours, colours]).astype("uint8")[None]
    found = distinct(raw)
    assert len(found) == min(count, 1024)
    assert found <= {tuple(c) if len(set(c)) > 1 else c[0] for c in colours.tolist()}


def test_the_default_colours_are_pascal_vocs_and_all_differ():
    assert voc_colours(16)[::5] == [(0, 0, 0), (128, 0, 128), (64, 128, 0), (192, 128, 128)]
    assert len(set(voc_colours(256))) == 256
