"""Dropout draws by seed and epoch; nobody else's random numbers change."""

import random

import keras
import numpy as np

from kerasseg.training.seeds import seeded_layers

X = np.ones((1, 64), "float32")


def net():
    inputs = keras.Input((64,))
    return keras.Model(inputs, [keras.layers.Dropout(0.5)(inputs) for _ in range(2)])


def draw(seed, epoch):
    model = net()
    model(X, training=True)
    with seeded_layers(model, seed, epoch):
        return [keras.ops.convert_to_numpy(y) for y in model(X, training=True)]


def test_dropout_draws_by_seed_and_epoch_alone():
    first, second = draw(0, 0)
    np.testing.assert_array_equal([first, second], draw(0, 0))
    for other in (second, draw(0, 1)[0], draw(1, 0)[0]):
        assert (first != other).any()


def global_states():
    states = [random.getstate(), np.random.get_state()[1].tolist()]  # noqa: NPY002
    if keras.backend.backend() == "torch":
        import torch

        states.append(torch.get_rng_state().tolist())
    return states


def test_the_global_random_state_is_left_alone():
    model = net()  # Keras draws the seed of a layer from Python's random numbers
    before = global_states()
    with seeded_layers(model, 0, 0):
        model(X, training=True)
    assert global_states() == before
