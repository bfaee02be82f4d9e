"""What lesson 3 claims of fully connected layers and of heat maps."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg import models
from kerasseg.anatomy.receptive_fields import receptive_field
from tests.chapters.page import functions


@pytest.fixture(scope="module")
def networks():
    """The classifier of the lesson with random weights, and its two conversions."""
    classifier, heat_map_network = functions(
        "ch03_convolutionalization", "classifier", "heat_map_network"
    )
    model = classifier()
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    return model, heat_map_network(model), models.convolutionalize(model)


@pytest.fixture(scope="module")
def photograph():
    return np.random.default_rng(1).uniform(size=(1, 45, 62, 1)).astype("float32")


def test_a_dense_layer_is_a_convolution_that_covers_the_map():
    (slide,) = functions("ch03_convolutionalization", "slide")
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-9, 9, (3, 5)), rng.integers(-9, 9, (3, 5))
    assert slide(x, weights).tolist() == [[x.flatten() @ weights.flatten()]]


def test_a_window_with_the_same_numbers_gets_the_same_score_at_its_place():
    (slide,) = functions("ch03_convolutionalization", "slide")
    large = np.array([[1, 0, 0, 0], [2, 3, 1, 0], [0, 0, 2, 3]])
    scores = slide(large, np.array([[1, -1], [0, 2]]))
    assert scores.shape == (2, 3)
    assert scores[0, 0] == scores[1, 2] == 7


def test_sliding_by_hand_gives_the_numbers_of_the_layer():
    (slide,) = functions("ch03_convolutionalization", "slide")
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype("float32") for shape in ((6, 9), (2, 3)))
    layer = layers.Conv2D(1, (2, 3), use_bias=False)
    layer.build((1, 6, 9, 1))
    layer.set_weights([kernel[:, :, None, None]])
    assert np.allclose(np.squeeze(layer(x[None, :, :, None])), slide(x, kernel), atol=1e-5)


def test_both_layers_have_2560_weights_and_give_the_same_scores():
    features = np.random.default_rng(0).integers(-8, 9, (5, 4, 4, 16)).astype("float32")
    weights = np.random.default_rng(1).integers(-8, 9, (256, 10)).astype("float32")
    dense, convolution = layers.Dense(10, use_bias=False), layers.Conv2D(10, 4, use_bias=False)
    dense.build((None, 256))
    convolution.build(features.shape)
    dense.set_weights([weights])
    convolution.set_weights([weights.reshape(4, 4, 16, 10)])
    assert dense.count_params() == convolution.count_params() == 2560
    assert np.array_equal(np.squeeze(convolution(features)), dense(features.reshape(5, 256)))


def test_the_map_before_the_dense_layer_is_four_by_four_by_sixteen(networks):
    assert networks[0].get_layer("flatten").input.shape[1:] == (4, 4, 16)


def test_the_conversion_on_the_page_is_that_of_the_library(networks, photograph):
    model, network, converted = networks
    assert network.count_params() == converted.count_params() == model.count_params()
    assert np.allclose(network(photograph), converted(photograph), atol=1e-5)


def test_a_heat_map_has_the_classifier_s_score_of_every_window(networks, photograph):
    model, network, _ = networks
    heat = np.asarray(network(photograph))[0, ..., 0]
    field = receptive_field(network)
    assert (field.size, field.stride, field.offset) == (25, 4, 0)
    assert heat.shape == tuple((n - field.size) // field.stride + 1 for n in (45, 62))
    windows = [
        photograph[0, 4 * i : 4 * i + 25, 4 * j : 4 * j + 25] for i, j in np.ndindex(heat.shape)
    ]
    assert np.allclose(model(np.array(windows))[:, 0], heat.ravel(), atol=1e-4)


def test_if_the_image_moves_by_a_stride_the_scores_move_by_one(networks, photograph):
    heat, moved = (
        np.asarray(networks[1](x))[0, ..., 0]
        for x in (photograph, np.roll(photograph, (4, 8), axis=(1, 2)))
    )
    assert np.allclose(moved[1:, 2:], heat[:-1, :-2], atol=1e-4)


def test_the_classifier_itself_refuses_a_larger_image(networks, photograph):
    with pytest.raises(ValueError, match="shape"):
        networks[0](photograph)


def test_with_padding_a_score_is_not_that_of_the_window_cut_out(photograph):
    model = keras.Sequential(
        [
            keras.Input((25, 25, 1)),
            layers.Conv2D(4, 3, padding="same"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    heat = np.asarray(models.convolutionalize(model)(photograph))
    alone = np.asarray(model(photograph[:, 8:33, 8:33]))
    assert abs(heat[0, 4, 4, 0] - alone[0, 0]) > 1e-4


def test_vgg16_becomes_kernels_of_7_1_and_1_and_answers_512_pixels_with_ten_by_ten():
    x = image = keras.Input((224, 224, 3))
    for convolutions, filters in ((2, 4), (2, 8), (3, 16), (3, 32), (3, 32)):
        for _ in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in (64, 64, 10):
        x = layers.Dense(units)(x)
    sliding = models.convolutionalize(keras.Model(image, x))
    kernels = [w.shape[:2] for w in sliding.weights if len(w.shape) == 4]
    assert kernels[-3:] == [(7, 7), (1, 1), (1, 1)]
    assert sliding.compute_output_shape((1, 512, 512, 3))[1:3] == (10, 10)
    field = receptive_field(sliding)
    assert (field.size, field.stride) == (404, 32)
