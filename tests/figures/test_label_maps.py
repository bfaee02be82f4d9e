"""Label maps: truth and prediction, and overlays on images."""

import numpy as np
import pytest

from kerasseg import figures

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
