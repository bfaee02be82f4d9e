"""Figures of scores show the numbers that they are given."""

import numpy as np
import pytest

from kerasseg.figures import confusion_matrix, reliability_diagram
from kerasseg.metrics.calibration import reliability

NAMES = ["road", "sky", "car"]


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_cell_is_the_share_of_a_true_class_in_per_cent():
    figure = confusion_matrix([[60, 3, 17], [5, 0, 15], [0, 0, 0]], NAMES)
    assert words(figure) == ["75", "4", "21", "25", "", "75", "–", "–", "–"]
    colours = figure.axes[0].images[0].get_array()
    assert colours[0, 0, 0] < colours[0, 0, 2]  # right: blue
    assert colours[0, 2, 0] > colours[0, 2, 2]  # wrong: orange
    np.testing.assert_array_equal(colours[1, 1], 1)
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == NAMES


@pytest.mark.parametrize("names", [["road"], ["road", "sky"], NAMES])
def test_a_label_is_found_missed_and_seen_where_it_is_not(names):
    matrix = [[[50, 10], [5, 35]], [[100, 0], [0, 0]], [[60, 20], [20, 0]]][: len(names)]
    found = words(confusion_matrix(matrix, names))
    expected = ["88", "12", "22", "–", "–", "–", "", "100", "100"]
    assert found == expected[: 3 * len(names)]


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"must be \(3, 3\) or \(3, 2, 2\).*Received: .*\(2, 2\)"):
        confusion_matrix(np.eye(2), NAMES)


def test_the_diagram_has_a_point_for_each_bin_with_enough_pixels():
    sums = np.array([[0, 1, 3000, 1000], [0, 1, 1500, 900], [0, 0, 30, 10]])
    figure = reliability_diagram(reliability(sums))
    _, points = figure.axes[0].lines
    np.testing.assert_allclose(points.get_xdata(), [0.635, 0.885])
    np.testing.assert_allclose(points.get_ydata(), [0.5, 0.9])
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(heights, np.array([0, 1, 3000, 1000]) / 4001)


def test_no_pixel_at_all_makes_an_empty_diagram():
    figure = reliability_diagram(reliability(np.zeros((3, 5))))
    assert len(figure.axes[0].lines[1].get_xdata()) == 0
