"""The receptive field of a unit, in theory and in effect."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg import figures
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field


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
    assert figure.axes[0].get_title() == "95 % of the influence lies in 6 × 6 of 20 × 20 pixels"
    figure = figures.influence_map(share, ((20, 30), (4, 2), (-8, -10)))
    assert figure.axes[0].get_title() == "95 % of the influence lies in 18 × 18 of 20 × 30 pixels"
    figure = figures.influence_map(share, (np.inf, None, -np.inf))
    assert figure.axes[0].get_title() == "95 % of the influence lies in 10 × 10 of 40 × 50 pixels"


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
