"""The pieces of the experiment on photographs."""

import keras
import numpy as np
import pytest

from tests.chapters.page import functions


def test_crops_are_the_photograph_cut_into_a_grid_around_its_middle():
    crops_of, _ = functions("experiments/photograph_denoising", "crops_of", "CROP")
    photo = np.arange(125 * 190, dtype="int32").reshape(125, 190, 1)
    crops = crops_of(photo)
    slow = [photo[top : top + 60, left : left + 60] for top in (2, 62) for left in (5, 65, 125)]
    np.testing.assert_array_equal(crops, slow)


@pytest.mark.parametrize("size", [(12, 18), (13, 17)])
def test_the_denoiser_gives_an_image_of_any_size_back(size, rng):
    (denoiser,) = functions("experiments/photograph_denoising", "denoiser")
    model = denoiser(filters=4, blocks=2)
    assert model(rng.uniform(size=(1, *size, 1)).astype("float32")).shape == (1, *size, 1)


def test_before_training_the_denoiser_returns_its_input(rng):
    (denoiser,) = functions("experiments/photograph_denoising", "denoiser")
    images = rng.uniform(size=(2, 9, 11, 1)).astype("float32")
    np.testing.assert_allclose(denoiser(filters=4, blocks=2)(images), images, atol=1e-6)


def test_the_denoiser_subtracts_what_its_layer_noise_says(rng):
    (denoiser,) = functions("experiments/photograph_denoising", "denoiser")
    model = denoiser(filters=4, blocks=2)
    noise = model.get_layer("noise")
    noise.set_weights([rng.normal(size=w.shape) for w in noise.get_weights()])
    images = rng.uniform(size=(2, 8, 12, 1)).astype("float32")
    of_layer = keras.Model(model.input, noise.output)(images)
    assert np.abs(of_layer).max() > 0.1
    np.testing.assert_allclose(model(images), images - of_layer, atol=1e-5)
