"""What the values in masks mean: what needs a table, what needs none, and what is ambiguous."""

from collections import Counter

import numpy as np
import pytest

from kerasseg.datasets import masks as reader
from kerasseg.datasets.masks import Masks, voc_colours
from kerasseg.datasets.pairs import Folder


def recognise(*maps, names=None, colours=None):
    """What masks `0.png`, `1.png`, ... that hold these values are read as."""
    told = Folder("set", {}, class_names=names, colours=colours)
    return reader.recognise(told, {f"{i}.png": Counter(m) for i, m in enumerate(maps)})


@pytest.mark.parametrize(
    ("values", "kind", "count"),
    [
        ({0, 1}, "ids", 2),
        ({0, 1, 255}, "ids", 2),
        ({1, 2, 3}, "ids from 1", 3),
        ({1, 2, 255}, "ids from 1", 2),
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
        ({0, 50, 100}, "0, 50 and 100"),
        ({0, 1, 3}, "0, 1 and 3"),
        ({2, 3, 4}, "2 to 4"),
        ({0}, "0"),
        ({255}, "255"),
        ({0, 254, 255}, "0, 254 and 255"),
        (set(range(256)), "0 to 255"),
    ],
)
def test_values_that_could_mean_anything_are_shown_with_the_remedy(values, shown):
    with pytest.raises(ValueError, match=rf"Found: {shown}\. .*classes.txt.*PNG"):
        recognise(values)


@pytest.mark.parametrize("colours", [None, ((0, 0, 0), (1, 2, 3), (4, 5, 6))])
@pytest.mark.parametrize("values", [{0, 255}, {255}])
def test_255_is_void_or_foreground_only_where_it_is_clear_which(values, colours):
    with pytest.raises(ValueError, match="255 in the masks can be void or a foreground. Found: "):
        recognise(values, names=("a", "b", "c"), colours=colours)


def test_background_is_a_class():
    names = "background", "road"
    assert recognise({0, 1}, names=names).class_names == names


@pytest.mark.parametrize("names", [None, ("glass", "cell")])
@pytest.mark.parametrize("colours", [None, ((0, 0, 0), (255, 255, 255))])
@pytest.mark.parametrize("odd", [{0, 1, 255}, {0, 1}, {1, 255}])
def test_one_odd_mask_does_not_turn_the_foreground_of_the_others_into_void(names, colours, odd):
    if colours and not names:
        pytest.skip("colours have names")
    masks = recognise({0, 255}, odd, {0, 255}, {0}, {0, 255}, names=names, colours=colours)
    assert masks.ids == {0: 0, 255: 1}
    assert masks.outside(odd, "1.png").path == "1.png"


@pytest.mark.parametrize("odd", [{0, 3, 255}, {0, 1, 2, 3, 254, 255}, {0, 7}, {(1, 2, 3)}])
def test_a_value_that_few_masks_hold_is_left_to_be_named(odd):
    masks = recognise({0, 255}, odd, {0, 255}, {0}, {0, 255})
    assert (masks.ids, masks.class_names) == ({0: 0, 255: 1}, ("background", "foreground"))
    assert masks.outside(odd, "x.png").message.startswith("holds the label")


@pytest.mark.parametrize(
    "maps",
    [
        ({0, 1}, {0, 255}),
        ({0, 1}, {0, 1}, {0}, {0, 255}),
        ({0, 1, 2}, {0, 255}, {0, 1, 2}),
        ({0, 1}, {255}, {0, 1}),
    ],
)
def test_255_that_some_masks_hold_in_the_place_of_ids_is_ambiguous(maps):
    with pytest.raises(
        ValueError, match=r"two ways. 0.png holds 0.* ids; \d.png holds (0 and )?255, .* binary"
    ):
        recognise(*maps)


def test_255_beside_ids_is_void_also_where_no_ids_are():
    assert recognise({0, 1, 255}, {0, 255}, {0, 1}).ids == {0: 0, 1: 1, 255: None}
    names = "ground", "road", "void"
    assert recognise({0, 1}, {0, 255}, names=names).ids == {0: 0, 1: 1, 2: None, 255: None}


def test_a_reading_is_for_most_masks_not_for_most_values():
    names, colours = ("a", "b", "c"), ((0, 0, 0), (9, 9, 9), (0, 0, 9))
    maps = {0, 9}, {0, (0, 0, 9)}, {0, 9}, {0, 1, 2, 255}
    assert recognise(*maps, names=names, colours=colours).kind == "colours"


def test_to_ids_equals_a_slow_table(rng):
    names = tuple(f"n{i}" for i in range(200))
    colours = [tuple(c) for c in np.unique(rng.integers(0, 255, (300, 3)), axis=0)[:200].tolist()]
    masks = recognise(set(colours), names=names, colours=colours)
    raw = np.array(colours, "uint8")[rng.integers(0, 200, (11, 13))]
    slow = [[colours.index(tuple(pixel)) for pixel in row] for row in raw.tolist()]
    np.testing.assert_array_equal(masks.to_ids(raw), slow)
    assert masks.to_ids(raw).dtype == np.uint8


def test_a_value_outside_the_classes_is_named_with_what_is_allowed():
    masks = recognise({0, 1, 2}, names=("void", "road", "car"))
    with pytest.raises(
        ValueError, match=r"x.png holds the label id 7, .*ids: 1 and 2, and 0 or 255"
    ):
        masks.to_ids(np.array([[0, 7]], "uint8"), "x.png")
    with pytest.raises(ValueError, match=r"label colour \(0, 0, 9\), which is outside"):
        masks.to_ids(np.array([[[0, 0, 9]]], "uint8"))


def test_the_default_colours_are_pascal_vocs_and_all_differ():
    assert voc_colours(16)[::5] == [(0, 0, 0), (128, 0, 128), (64, 128, 0), (192, 128, 128)]
    assert len(set(voc_colours(256))) == 256
