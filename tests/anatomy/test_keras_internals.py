"""The names of Keras that this package relies on without a promise."""

import keras

import kerasseg
from kerasseg.anatomy import keras_internals


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


def test_the_graph_of_functional_and_sequential_models_is_read_call_by_call():
    image = keras.Input((4,), name="image")
    shared = keras.layers.Dense(4, name="shared")
    model = keras.Model(image, keras.ops.add(shared(shared(image)), image))
    sequential = keras.Sequential([image, shared])

    assert keras_internals.functional_graph(model) is model
    assert keras_internals.functional_graph(sequential) is not None
    assert keras_internals.functional_graph(keras.Sequential([shared])) is None
    called = [node.operation.name for node in keras_internals.nodes(model)]
    assert called[:2] == ["shared", "shared"]
    assert len(called) == 3


def test_the_arguments_of_a_call_take_other_tensors():
    image, other = keras.Input((4,)), keras.Input((4,))
    model = keras.Model(image, keras.layers.Dense(2)(image))
    (node,) = keras_internals.nodes(model)
    args, kwargs = keras_internals.filled_in(node, {id(image): other})
    assert args[0] is other
    assert kwargs == {}


def test_the_parts_of_a_layer_are_the_layers_assigned_to_it():
    pyramid = kerasseg.layers.PyramidPooling((1, 2), 3)
    assert keras_internals.parts(pyramid) == [*pyramid.branches, pyramid.enlarge]
