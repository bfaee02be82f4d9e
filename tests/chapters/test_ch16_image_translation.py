import keras
import numpy as np
import pytest

import kerasseg
from kerasseg import models
from tests.chapters.page import functions

unet, colouring_net, points = functions("ch16_image_translation", "unet", "colouring_net", "points")


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_the_page_builds_the_library_s_unet_without_batch_normalisation(channels):
    page = unet((32, 48, 3), channels)
    library = models.unet((32, 48, 3), channels, width=0.25, batch_norm=False)
    assert page.count_params() == library.count_params()
    page.set_weights(library.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (2, 32, 48, 3)).astype("float32")
    assert np.allclose(page(x), library(x), atol=1e-5)


def test_with_one_channel_it_has_the_weights_that_the_page_states():
    assert unet((48, 64, 3), 1).count_params() == 1_941_105


def test_one_more_channel_costs_16_weights_and_a_bias():
    one, two = (unet((32, 48, 3), channels).count_params() for channels in (1, 2))
    assert two - one == 16 + 1


def test_the_rates_change_what_the_chain_sees_but_not_its_weights():
    narrow, wide = (colouring_net(rates) for rates in ((1,) * 6, (1, 1, 2, 4, 8, 16)))
    assert narrow.count_params() == wide.count_params()
    assert kerasseg.receptive_field(narrow).size == 13
    assert kerasseg.receptive_field(wide).size == 65


def test_points_turns_a_wall_that_faces_the_camera_into_a_plane():
    wall = points(np.full((20, 40), 8.0))
    assert (wall[..., 2] == 8).all()
    steps = np.diff(wall[..., 0], axis=1)
    assert np.allclose(steps, 8 / 40)  # one pixel at distance z is z / f metres wide
    assert wall[..., 0].mean() == pytest.approx(0)


def test_a_point_twice_as_far_in_the_same_pixel_lies_twice_as_far_off_the_axis():
    near, far = points(np.full((4, 6), 3.0)), points(np.full((4, 6), 6.0))
    assert np.allclose(far, 2 * near)


def test_the_mean_minimises_the_squared_error_and_the_median_the_absolute_one():
    answers, guesses = np.array([1.0, 0, 0, 0]), np.linspace(0, 1, 101)
    squared = [float(keras.losses.MeanSquaredError()(answers, np.full(4, g))) for g in guesses]
    absolute = [float(keras.losses.MeanAbsoluteError()(answers, np.full(4, g))) for g in guesses]
    assert guesses[np.argmin(squared)] == answers.mean() == 0.25
    assert guesses[np.argmin(absolute)] == np.median(answers) == 0
