"""What the lesson on autoencoders states exactly."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.decomposition import PCA

from kerasseg import models
from tests.chapters.page import functions

encode, decode, dense_autoencoder = functions(
    "ch06_autoencoder", "encode", "decode", "dense_autoencoder"
)


@pytest.mark.parametrize(
    ("shape", "code_size"), [((28, 28, 1), 32), ((8, 8, 1), 8), ((6, 9, 3), 5)]
)
def test_the_network_on_the_page_is_the_librarys(shape, code_size):
    page, library = dense_autoencoder(shape, code_size), models.dense_autoencoder(shape, code_size)
    page.set_weights(library.get_weights())
    images = np.random.default_rng(0).uniform(size=(3, *shape)).astype("float32")
    np.testing.assert_allclose(page(images), library(images), atol=1e-5)


def test_hidden_layers_are_mirrored_as_in_the_library():
    arguments = {"input_shape": (5, 7, 1), "code_size": 3, "hidden": (11, 6, 4)}
    page, library = dense_autoencoder(**arguments), models.dense_autoencoder(**arguments)
    assert [w.shape for w in page.weights] == [w.shape for w in library.weights]


def test_the_books_network_has_as_many_weights_as_the_page_states():
    encoder, decoder = models.split_autoencoder(dense_autoencoder())
    assert encoder.count_params() == 110_816
    assert decoder.count_params() == 111_568
    assert dense_autoencoder().count_params() == 222_384


def test_the_code_by_hand_keeps_images_of_equal_rows_and_gives_every_image_equal_rows():
    image = np.random.default_rng(0).normal(size=(2, 2))
    regular = decode(encode(image))
    np.testing.assert_array_equal(regular[0], regular[1])
    np.testing.assert_allclose(decode(encode(regular)), regular)


def test_no_linear_autoencoder_beats_pca_on_the_images_it_is_fitted_to():
    images = np.random.default_rng(0).normal(size=(40, 6)) @ np.diag([3, 2, 1, 1, 0.5, 0.1])
    images -= images.mean(0)
    pca = PCA(2).fit(images)
    best = np.mean((pca.inverse_transform(pca.transform(images)) - images) ** 2)
    code = np.random.default_rng(1).normal(size=(6, 2))
    for _ in range(200):  # the best decoder for the encoder, then the best encoder for it
        decoder = np.linalg.lstsq(images @ code, images, rcond=None)[0]
        code = np.linalg.pinv(decoder)
        assert np.mean((images @ code @ decoder - images) ** 2) > best - 1e-9
    np.testing.assert_allclose(np.mean((images @ code @ decoder - images) ** 2), best, rtol=1e-3)


def test_behind_a_sigmoid_the_gradient_of_cross_entropy_is_the_error():
    drawn, true, step = np.array([-3.0, 0.2, 2.5]), np.array([1.0, 0.3, 0.0]), 1e-5

    def loss(x):
        drawn = 1 / (1 + np.exp(-x))
        return -true * np.log(drawn) - (1 - true) * np.log(1 - drawn)

    slope = (loss(drawn + step) - loss(drawn - step)) / (2 * step)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-drawn)) - true, atol=1e-6)


def test_the_halves_share_the_weights_of_the_whole():
    model = dense_autoencoder((4, 6, 1), 3)
    encoder, decoder = models.split_autoencoder(model)
    images = np.random.default_rng(0).uniform(size=(2, 4, 6, 1)).astype("float32")
    np.testing.assert_allclose(decoder(encoder(images)), model(images), atol=1e-6)
    assert encoder.layers[-1] is model.get_layer("code")
    assert isinstance(model.get_layer("code"), layers.Dense)
    assert isinstance(decoder, keras.Model)
