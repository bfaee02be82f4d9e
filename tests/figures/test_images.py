"""Images beside each other."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from kerasseg import figures


def test_image_rows_has_a_row_a_name_and_shows_grey_as_grey():
    rows = {"first": np.full((3, 4, 5, 1), 0.5), "the second\nand last": np.zeros((3, 4, 5, 3))}
    figure = figures.image_rows(rows, "What they show, in more words than fit into one line of it")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(rows)
    np.testing.assert_array_equal(axes.images[0].get_array(), np.full((4, 5, 3), 0.5))
    extents = np.reshape([image.get_extent() for image in axes.images], (2, 3, 4))
    left, right, bottom, top = np.moveaxis(extents, -1, 0)
    assert (left[:, 1:] > right[:, :-1]).all()
    assert (top[1:] > bottom[:-1]).all()
    np.testing.assert_allclose(
        (right - left, bottom - top), np.multiply.outer([5, 4], np.ones((2, 3)))
    )
    assert not beyond_the_border(figure)
    pixels = axes.transData.transform([(0, 0), (5, 4)])
    np.testing.assert_allclose(*np.abs(np.diff(pixels, axis=0)[0]) / (5, 4))  # square


def beyond_the_border(figure):
    """The words that a saved figure cuts off; numbers beyond an axis's limits are not drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    inside = figure.bbox.padded(1)
    texts = [text for text in figure.findobj(Text) if any(map(str.isalpha, text.get_text()))]
    boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in texts]
    return [
        text for text, box in boxes if not all(map(inside.contains, box.intervalx, box.intervaly))
    ]


def test_panels_show_maps_from_white_at_zero_and_draw_outlines_around_pixels():
    maps = {"map": np.array([[0, 1, 4]]), "picture": np.full((2, 3, 1), 0.5)}
    figure = figures.panels(maps, {"map": [(0, 1, 1, 2, "red", "7")]}, columns=1, highest=8)
    first, second = figure.axes
    image = first.images[0]
    assert image.get_array().mask.tolist() == [[True, False, False]]
    assert image.norm.vmax == 8
    (outline,) = first.patches
    assert (outline.get_xy(), outline.get_width(), outline.get_height()) == ((0.5, -0.5), 2, 1)
    assert [text.get_text() for text in first.texts] == ["7"]
    assert [axes.get_title() for axes in figure.axes] == ["map", "picture"]
    assert second.images[0].get_array().shape == (2, 3, 3)


def test_panels_hide_the_places_that_are_left_over():
    figure = figures.panels({name: np.ones((2, 2)) for name in "abc"}, columns=2)
    assert [axes.get_visible() for axes in figure.axes] == [True, True, True, False]


def test_one_scale_stands_beside_all_maps_and_needs_their_common_highest_number():
    maps = {"one": np.array([[0.0, 1, 4]]), "two": np.array([[2.0, 2, 2]])}
    scale = {1: "one metre", 5: "five"}
    bar = figures.panels(maps, columns=1, highest=8, scale=scale).axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["one metre", "five"]
    assert bar.get_ylim() == (1, 5)
    with pytest.raises(ValueError, match="needs `highest`"):
        figures.panels(maps, scale=scale)
