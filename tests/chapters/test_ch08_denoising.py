"""Lesson 8: the network on the page is the library's, and the memory is the exact projection."""

import keras
import numpy as np

from kerasseg import models
from tests.chapters.page import functions

conv_autoencoder, project, memory, psnr = functions(
    "ch08_denoising", "conv_autoencoder", "project", "memory", "psnr"
)


def test_the_network_on_the_page_is_the_librarys():
    keras.utils.set_random_seed(0)
    library = models.conv_autoencoder((None, None, 3), filters=(4, 6, 8))
    page = conv_autoencoder((None, None, 3), filters=(4, 6, 8))
    assert page.count_params() == library.count_params()
    page.set_weights(library.get_weights())
    for height, width in ((16, 24), (13, 30)):
        images = np.random.default_rng(0).uniform(size=(2, height, width, 3)).astype("float32")
        np.testing.assert_allclose(page(images), library(images), atol=1e-5)


def test_the_page_and_the_library_have_the_same_default_filters():
    page, library = conv_autoencoder((32, 32, 3)), models.conv_autoencoder((32, 32, 3))
    assert page.count_params() == library.count_params() == 2_427_427


def test_squared_distances_of_the_page_give_its_weights():
    vertical, horizontal, diagonal = np.eye(3)[[1, 1, 1]], np.eye(3)[[1, 1, 1]].T, np.eye(3)
    seen = np.stack([vertical, horizontal, diagonal]).reshape(3, 9)
    changed = vertical + np.array([[0, 0, 0], [0.5, 0, 0], [0, -0.5, 0]])
    np.testing.assert_allclose(((changed.ravel() - seen) ** 2).sum(-1), [0.5, 2.5, 3.5])
    _, weights = project(changed.ravel(), seen, np.sqrt(0.5))
    expected = np.exp([-0.5, -2.5, -3.5])
    np.testing.assert_allclose(weights, expected / expected.sum())


def test_two_dense_layers_compute_the_projection():
    rng = np.random.default_rng(0)
    seen, noisy = rng.uniform(size=(7, 5)), rng.uniform(size=(3, 5))
    expected = [project(image, seen, 0.4)[0] for image in noisy]
    np.testing.assert_allclose(memory(seen, 0.4)(noisy), expected, atol=1e-5)


def test_without_noise_the_projection_returns_a_seen_image():
    seen = np.random.default_rng(0).uniform(size=(7, 5))
    np.testing.assert_allclose(project(seen[2], seen, 0.01)[0], seen[2])


def test_the_projection_has_the_smallest_squared_error():
    """Of images drawn from the seen ones with noise, no constant factor of the answer is better."""
    rng = np.random.default_rng(0)
    seen = rng.uniform(size=(4, 3))
    clean = rng.choice(seen, 20_000)
    answers = np.stack([project(y, seen, 0.5)[0] for y in clean + rng.normal(0, 0.5, clean.shape)])
    mean = seen.mean(0)
    errors = [np.mean((mean + k * (answers - mean) - clean) ** 2) for k in (0.9, 1, 1.1)]
    assert errors[1] < min(errors[0], errors[2])


def test_a_tenth_of_the_squared_error_is_ten_decibels_more():
    truth = np.zeros((1, 4, 5, 1))
    assert np.isclose(psnr(truth + 0.1, truth), 20)
    assert np.isclose(psnr(truth + 0.1 * np.sqrt(0.1), truth), 30)
