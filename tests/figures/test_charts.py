"""Curves, bars and points."""

from types import SimpleNamespace

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from kerasseg import figures
from kerasseg.palette import CURVES

COLOURS = np.array([(10, 20, 30), (40, 50, 60), (70, 80, 90)], "uint8")


def test_learning_curves_have_training_and_held_out_lines():
    history = SimpleNamespace(epoch=[0, 1], history={"loss": [3, 2], "val_loss": [4, 3]})
    (axes,) = figures.learning_curves(history, ["loss"]).axes
    assert [line.get_label() for line in axes.lines] == ["training", "held out"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [4, 3])


def test_lines_draws_every_curve_in_a_colour_and_shape_of_its_own():
    curves = {f"{n} filters": [n, 2 * n] for n in range(7)}
    (axes,) = figures.lines([1, 2], curves, "x", "y", "many").axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn == curves
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(looks) == 7
    assert [line.get_color() for line in axes.lines[:6]] == list(CURVES)


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


def test_titles_too_long_for_one_line_are_broken():
    title = "The steepest quarter has 63 % of the error; there it gains 0.7 dB, a filter 0.6 dB"
    for figure in (
        figures.lines([1, 2], {"a": [1, 2]}, "x", "y", title),
        figures.panels({"one": np.ones((4, 5, 3)), "two": np.ones((4, 5, 3))}, title=title),
    ):
        assert not beyond_the_border(figure)


def test_bars_are_ordered_by_share():
    figure = figures.per_class_bars([0.1, np.nan, 0.3], [0.2, 0.7, 0.1], "abc", COLOURS)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [0.3, 0.1, 0.0]
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], [10, 20, 70])


def test_scatter_names_every_class_at_its_median():
    points = np.array([[0, 0], [2, 2], [10, 0]])
    figure = figures.scatter(points, np.array([0, 0, 2]), "abc", COLOURS)
    texts = [(text.get_text(), text.get_position()) for text in figure.axes[0].texts]
    assert texts == [("a", (1, 1)), ("c", (10, 0))]


def test_curves_without_held_out_values_and_with_the_best_epoch():
    history = SimpleNamespace(epoch=[4, 5], history={"learning_rate": [3, np.nan]})
    (axes,) = figures.learning_curves(history, ["learning_rate"], best=6).axes
    assert [line.get_label() for line in axes.lines] == ["learning_rate", "best epoch"]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [5, 6])
    assert list(axes.lines[1].get_xdata()) == [6, 6]


def test_one_epoch_has_one_tick():
    history = SimpleNamespace(epoch=[0], history={"loss": [3.0], "val_loss": [4.0]})
    (axes,) = figures.learning_curves(history, ["loss"]).axes
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]


def test_lines_differ_in_marker_and_dash_as_well_as_in_colour():
    curves = {"one": [1, 2], "two": [2, 4], "three": [3, 9]}
    (axes,) = figures.lines([1, 2], curves, "n", "size", "It grows", xscale="log").axes
    styles = {(line.get_marker(), line.get_linestyle()) for line in axes.lines}
    assert len(styles) == 3
    assert (axes.get_xscale(), axes.get_title()) == ("log", "It grows")


def test_bars_are_means_and_their_lines_reach_from_lowest_to_highest():
    measured = {"one": {"a": [1, 2, 6], "b": [4]}, "two": {"a": [5, 5], "b": [0, 1]}}
    (axes,) = figures.bars_with_ranges(measured, "m", "Two beat one").axes
    bars = [bar for container in axes.containers[1::2] for bar in container]
    assert [bar.get_height() for bar in bars] == [3, 4, 5, 0.5]
    ranges = [line.get_segments() for line in axes.collections]
    assert [segment[:, 1].tolist() for line in ranges for segment in line] == [
        [1, 6],
        [4, 4],
        [5, 5],
        [0, 1],
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]


def test_bars_of_many_groups_lie_in_their_order_from_the_top():
    measured = {"one": {str(i): [i, i + 2] for i in range(7)}}
    (axes,) = figures.bars_with_ranges(measured, "m", "More is more").axes
    assert [bar.get_width() for bar in axes.patches] == [1, 2, 3, 4, 5, 6, 7]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("0123456")
    assert axes.yaxis_inverted()
