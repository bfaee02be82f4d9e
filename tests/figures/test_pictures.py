"""Figures show what was scored, in the colours of the classes."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from kerasseg import figures
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field

COLOURS = np.array([(10, 20, 30), (40, 50, 60), (70, 80, 90)], "uint8")


def test_paint_gives_each_id_its_colour_and_void_black():
    painted = figures.paint(np.array([[0, 2, 255]]), COLOURS)
    np.testing.assert_allclose(painted * 255, [[COLOURS[0], COLOURS[2], (0, 0, 0)]])


def test_predictions_are_void_where_the_truth_is():
    truth = np.array([[[0, 255, 1]]])
    guess = np.array([[[0, 2, 2]]])
    figure = figures.predictions(np.zeros((1, 1, 3, 3)), truth, guess, "abc", COLOURS)
    shown = figure.axes[2].images[0].get_array()
    np.testing.assert_allclose(shown[0, ::2] * 255, [COLOURS[0], COLOURS[2]])
    np.testing.assert_allclose(shown[0, 1], 0.1)  # the dark one of the stripes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["a", "b", "c", "void (not scored)"]


def test_label_overlay_tints_the_classes_stripes_void_and_counts_shares_without_it():
    images = np.full((1, 8, 4, 1), 0.5)
    labels = np.repeat([0, 0, 0, 2, 2, 2, 255, 255], 4).reshape(1, 8, 4)
    figure = figures.label_overlay(images, labels, "abc", COLOURS, strength=0.25)
    left, right = (axes.images[0].get_array() for axes in figure.axes)
    np.testing.assert_allclose(left, 0.5)
    np.testing.assert_allclose(right[0, 0] * 255, 0.75 * 127.5 + 0.25 * COLOURS[0])
    assert len(np.unique(right[6:])) == 2
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["a 50.0%", "c 50.0%", "void 25.0% of all"]


def test_label_overlay_takes_one_pair_and_refuses_two_sizes():
    figure = figures.label_overlay(np.zeros((4, 5, 3)), np.zeros((4, 5), int), "abc", COLOURS)
    assert len(figure.axes) == 2
    with pytest.raises(ValueError, match=r"Received: images.shape=\(1, 4, 5, 3\)"):
        figures.label_overlay(np.zeros((4, 5, 3)), np.zeros((5, 4), int), "abc", COLOURS)


@pytest.mark.parametrize("draw", [figures.label_overlay, figures.predictions])
def test_bytes_are_shown_as_the_same_picture_in_floats(draw):
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype("uint8")
    labels = np.zeros((6, 7), int)
    maps = (labels,) if draw is figures.label_overlay else (labels, labels)
    first, second = (draw(x, *maps, "abc", COLOURS).axes[0] for x in (image, image / 255))
    np.testing.assert_allclose(first.images[0].get_array(), second.images[0].get_array())


def test_logits_and_ids_without_a_name_are_refused_with_the_remedy():
    image, labels = np.zeros((4, 5, 3)), np.full((4, 5), 2)
    with pytest.raises(ValueError, match="Logits become ids by `argmax`"):
        figures.predictions(image, labels, np.zeros((4, 5, 3)), "abc", COLOURS)
    with pytest.raises(ValueError, match="Received: id=2, class_names=.*'a', 'b'"):
        figures.label_overlay(image, labels, "ab", COLOURS[:2])


def test_learning_curves_have_training_and_held_out_lines():
    history = SimpleNamespace(epoch=[0, 1], history={"loss": [3, 2], "val_loss": [4, 3]})
    (axes,) = figures.learning_curves(history, ["loss"]).axes
    assert [line.get_label() for line in axes.lines] == ["training", "held out"]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [4, 3])


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


def frames(figure):
    """First column, first row, columns and rows of the frames in theory and in effect."""
    return [
        (*(round(x + 0.5, 6) for x in patch.get_xy()), patch.get_width(), patch.get_height())
        for patch in figure.axes[0].patches
    ]


def test_the_frame_of_an_influence_map_is_the_smallest_square_with_95_per_cent():
    share = np.random.default_rng(0).random((31, 24)) ** 9
    share /= share.sum()
    theory, effect = frames(figures.influence_map(share, (19, 1, -9)))
    assert theory == (3, 6, 19, 19)  # around row 15, column 12
    sides = [2 * r + 1 for r in range(31) if square(share, 15, 12, r) >= 0.95]
    assert effect == (12 - sides[0] // 2, 15 - sides[0] // 2, sides[0], sides[0])


def square(share, row, column, radius):
    rows = slice(max(0, row - radius), row + radius + 1)
    return share[rows, max(0, column - radius) : column + radius + 1].sum()


def test_an_influence_map_says_in_its_title_how_little_is_seen():
    share = np.zeros((40, 50))
    share[15:19, 20:24] = 1 / 16
    figure = figures.influence_map(share, (20, 4, -8), unit=(4, 5))
    assert figure.axes[0].get_title() == "95 % of the influence lies in 6 of 20 pixels"
    figure = figures.influence_map(share, ((20, 30), (4, 2), (-8, -10)))
    assert figure.axes[0].get_title() == "95 % of the influence lies in 18 of 20 × 30 pixels"
    figure = figures.influence_map(share, (np.inf, None, -np.inf))
    assert figure.axes[0].get_title() == "95 % of the influence lies in 10 of 40 × 50 pixels"


@pytest.mark.parametrize("shape", [(25, 38), (40, 33)])
def test_the_frame_in_theory_holds_the_gradient_of_a_real_net_exactly(shape):
    image = keras.Input((*shape, 1))
    x = layers.Conv2D(1, 5, strides=2, padding="same", kernel_initializer="ones")(image)
    x = layers.Conv2D(1, 3, strides=2, padding="same", kernel_initializer="ones")(x)
    model = keras.Model(image, x)
    share = effective_receptive_field(model, np.ones((1, *shape, 1)))
    theory, _ = frames(figures.influence_map(share, receptive_field(model)))
    rows, columns = np.nonzero(share)
    extent = (np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert theory == (columns.min(), rows.min(), *extent)


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


def test_a_wrapped_title_breaks_between_words_alone_and_keeps_its_own_lines():
    assert figures.wrapped("The sub-pixel net\nwins", 0.9) == "The\nsub-pixel\nnet\nwins"


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
