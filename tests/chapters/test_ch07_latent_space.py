"""What the lesson on the latent space states exactly."""

import numpy as np
import pytest

from kerasseg import models
from kerasseg.layers import Sampling
from tests.chapters.page import functions

draw, divergence, vae = functions("ch07_latent_space", "draw", "divergence", "vae")


@pytest.mark.parametrize(
    ("shape", "code_size", "filters"),
    [((28, 28, 1), 2, (32, 64)), ((12, 20, 3), 5, (4, 7)), ((8, 24, 1), 3, (3, 4, 5))],
)
def test_the_network_on_the_page_is_the_librarys(shape, code_size, filters):
    page = vae(shape, code_size, filters=filters)
    library = models.vae(shape, code_size, filters=filters)
    page.set_weights(library.get_weights())
    assert page.count_params() == library.count_params()
    images = np.random.default_rng(0).uniform(size=(3, *shape)).astype("float32")
    codes = np.random.default_rng(1).normal(size=(3, code_size)).astype("float32")
    for half, of_library, x in zip(
        models.split_autoencoder(page), models.split_autoencoder(library), (images, codes)
    ):
        np.testing.assert_allclose(half(x), of_library(x), atol=1e-5)
    names = ("mean", "log_variance", "code")
    assert [page.get_layer(name).output.shape for name in names] == [(None, code_size)] * 3


def test_the_books_network_has_as_many_weights_as_the_page_states():
    assert vae().count_params() == 51_627


def test_a_draw_has_the_mean_and_the_variance_that_the_encoder_states():
    noise = np.random.default_rng(0).standard_normal(1_000_000)
    for log_variance in (-3.0, 0.0, 1.5):
        code = draw(-2.0, log_variance, noise)
        np.testing.assert_allclose(code.mean(), -2, atol=0.01)
        np.testing.assert_allclose(code.var(), np.exp(log_variance), rtol=0.01)


def test_without_the_half_a_draw_has_the_square_of_the_stated_variance():
    noise = np.random.default_rng(0).standard_normal(1_000_000)
    for variance in (0.25, 4.0):
        np.testing.assert_allclose((np.exp(np.log(variance)) * noise).var(), variance**2, 0.01)


def test_gradients_of_draws_are_right_on_average():
    mean, width = 0.7, 1.6
    noise = np.random.default_rng(0).standard_normal(1_000_000)
    slope = 2 * draw(mean, np.log(width**2), noise)
    np.testing.assert_allclose(slope.mean(), 2 * mean, atol=0.02)
    np.testing.assert_allclose((slope * noise).mean(), 2 * width, atol=0.02)


def test_the_divergence_is_the_average_difference_of_the_log_densities():
    rng = np.random.default_rng(0)
    mean, log_variance = np.array([0.5, -2, 1.5]), np.array([-3, -1, 0.5])
    noise = rng.standard_normal((200_000, 3))
    code = draw(mean, log_variance, noise)
    by_draws = np.sum(code**2 - noise**2 - log_variance, -1).mean() / 2
    np.testing.assert_allclose(divergence(mean, log_variance), by_draws, atol=0.02)


def test_the_divergence_is_zero_for_the_standard_normal_alone():
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 9), np.linspace(-2, 2, 9)), -1).reshape(-1, 2)
    price = divergence(grid[:, :1], grid[:, 1:])
    assert price[(grid == 0).all(1)] == 0
    assert (price[(grid != 0).any(1)] > 0).all()


def test_the_layer_adds_the_mean_divergence_of_its_codes():
    rng = np.random.default_rng(0)
    mean, log_variance = rng.normal(size=(2, 5, 3)).astype("float32")
    sampling = Sampling()
    sampling(mean, log_variance)
    np.testing.assert_allclose(sampling.losses[0], divergence(mean, log_variance).mean(), rtol=1e-5)
