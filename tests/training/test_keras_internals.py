"""The names of Keras that the training relies on without a promise."""

import keras

from kerasseg.training import keras_internals


def test_all_layers_are_found_in_layers_and_in_nested_models():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="inner")])
    wrapped = keras.layers.TimeDistributed(keras.layers.BatchNormalization(name="wrapped"))
    model = keras.Sequential([keras.Input((3, 4)), wrapped, keras.layers.TimeDistributed(inner)])
    names = {layer.name for layer in keras_internals.all_layers(model)}
    assert names >= {"inner", "wrapped", inner.name, wrapped.name}


def test_each_random_layer_has_a_state_to_draw_from():
    layers = [keras.layers.Dropout(0.5), keras.layers.Dense(2), keras.layers.GaussianNoise(1.0)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    states = keras_internals.seed_states(model)
    assert [tuple(state.shape) for state in states] == [(2,), (2,)]
