"""Number grids show what was given, where it was, in colours that say what belongs together."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, Rectangle

from kerasseg import figures
from kerasseg.palette import CLASSES, CURVES

MAP = np.array([[9, 0, 0, 7], [0, 0, 0, 0], [0, 0, 0, 0], [0, 5, 8, 0]])


def pooling(**settings):
    return figures.number_grids(
        {"feature map": MAP, "pooled": [[9, 7], [5, 8]]},
        ["max of each window"],
        windows={
            "feature map": [(0, 0, 2, 2), (0, 2, 2, 2)],
            "pooled": [(0, 0, 1, 1), (0, 1, 1, 1)],
        },
        marks={"feature map": [(0, 0), (0, 3)]},
        **settings,
    )


def patches(figure, kind):
    return [patch for patch in figure.axes[0].patches if isinstance(patch, kind)]


def cells(figure):
    return [patch for patch in patches(figure, Rectangle) if patch.get_fill()]


def frames(figure):
    return [patch for patch in patches(figure, Rectangle) if not patch.get_fill()]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def fill_of(figure, number):
    return to_rgb(cells(figure)[number].get_facecolor())


def test_all_numbers_titles_and_words_are_there():
    found = texts(pooling(title="Pooling keeps the value"))
    assert found[:16] == [str(number) for number in MAP.ravel()]
    assert found[16:18] == ["feature", "map"] or found[16] == "feature map"
    assert {"pooled", "max of each\nwindow", "Pooling keeps the value"} <= set(found)


def test_windows_of_one_number_have_one_colour_in_all_grids():
    colours = [frame.get_edgecolor()[:3] for frame in frames(pooling())]
    assert colours == [to_rgb(CURVES[i]) for i in (0, 1, 0, 1)]
    wide, tall = frames(pooling())[0].get_width(), frames(pooling())[2].get_width()
    assert wide == pytest.approx(2 * tall)


def test_a_mark_is_stronger_than_its_window_and_the_rest_is_white():
    figure = pooling()
    marked, in_window, second = (fill_of(figure, number) for number in (0, 1, 3))
    assert sum(marked) < sum(in_window) < 3
    assert fill_of(figure, 8) == (1, 1, 1)
    assert marked[2] > marked[0]  # blue
    assert second[0] > second[2]  # orange


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (np.float32(0.5), "0.5"),
        (2.0, "2"),
        (-1.255, "−1.25"),
        (-0.001, "0"),
        (True, "1"),
        ("?", "?"),
        (np.int8(-4), "−4"),
    ],
)
def test_numbers_are_written_short(value, text):
    assert texts(figures.number_grids({"": [[value]]})) == [text]


@pytest.mark.parametrize("empty", [None, np.nan, ""])
def test_what_is_not_there_is_an_empty_cell(empty):
    figure = figures.number_grids({"": np.array([[1.5, empty]], object)})
    assert texts(figure) == ["1.5"]
    assert len(cells(figure)) == 2


def test_words_and_numbers_may_share_a_grid():
    assert texts(figures.number_grids({"": [["A", "?", "B"]]})) == ["A", "?", "B"]


def test_colours_follow_values_as_in_a_label_map():
    labels = [[0, 1], [255, 1]]
    colours = {0: CLASSES["sky"], 1: "#ffffff", 255: (0, 0, 0)}
    figure = figures.number_grids({"labels": labels}, colours=colours)
    np.testing.assert_allclose(fill_of(figure, 0), np.divide(CLASSES["sky"], 255), atol=0.002)
    assert fill_of(figure, 2) == (0, 0, 0)
    inks = [to_rgb(text.get_color()) for text in figure.axes[0].texts[:4]]
    assert inks[2] == (1, 1, 1)
    assert sum(inks[1]) < 1


def test_shades_grow_with_the_number():
    figure = figures.number_grids({"overlap": [[1, 2, 4]]}, shades=["overlap"])
    light = [sum(fill_of(figure, i)) for i in range(3)]
    assert light == sorted(light, reverse=True)


def test_a_sign_stands_by_itself_and_none_draws_nothing():
    grids = {"a": [[1]], "b": [[2]], "c": [[3]], "d": [[4]]}
    figure = figures.number_grids(grids, ["*", "=", ""])
    assert {"∗", "="} <= set(texts(figure))
    assert len(patches(figure, FancyArrowPatch)) == 1
    assert not patches(figures.number_grids(grids), FancyArrowPatch)


GALLERY = {
    "pooling": pooling,
    "with title": lambda: pooling(title="Max pooling keeps the value and drops the place"),
    "rows": lambda: pooling(columns=1),
    "many": lambda: figures.number_grids(
        {f"grid {i}": np.full((3, i + 1), 12.25) for i in range(6)}, ["stride 2"] * 5
    ),
    "long words": lambda: figures.number_grids(
        {"a title of many words on a small grid": [[1]], "b": [[-10.75]]},
        ["words that need more than one line"],
    ),
}


@pytest.mark.parametrize("name", GALLERY)
def test_nothing_covers_anything_and_all_fits_on_a_page(name):
    figure = GALLERY[name]()
    width, height = figure.get_size_inches()
    assert width <= 7.3
    axes = figure.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    for box in boxes:
        assert -1 < box.x0 < box.x1 < width * figure.dpi + 1
        assert -1 < box.y0 < box.y1 < height * figure.dpi + 1
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    rectangles = [cell.get_window_extent() for cell in cells(figure)]
    for box in boxes:  # in one cell, or beside all
        inside = [r for r in rectangles if r.overlaps(box)]
        assert len(inside) <= 1
        if inside:
            assert inside[0].x0 < box.x0 < box.x1 < inside[0].x1
    for arrow in patches(figure, FancyArrowPatch):
        assert not any(arrow.get_window_extent().overlaps(r) for r in rectangles)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grids": {"a": np.zeros((1, 2, 2, 1))}}, r"grids\['a'\] of shape \(1, 2, 2, 1\)"),
        ({"grids": {"a": [[1]], "b": [[1]]}, "arrows": ["x", "y"]}, "1 gaps"),
        ({"grids": {"a": [[1]]}, "windows": {"b": [(0, 0, 1, 1)]}}, r"Received: windows=\['b'\]"),
        ({"grids": {"a": [[1]]}, "windows": {"a": [(0, 0, 1, 2)]}}, r"windows=\(0, 0, 1, 2\)"),
        ({"grids": {"a": [[1]]}, "marks": {"a": [[(0, 0), (1, 0)]]}}, r"marks=\(1, 0\)"),
        ({"grids": {"a": [[1]]}, "shades": ["c"]}, r"shades=\['c'\]"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        figures.number_grids(**arguments)
