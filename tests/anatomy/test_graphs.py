"""The graph of a model, call by call."""

import keras
import numpy as np
import pytest

from kerasseg.anatomy import graphs
from tests.layers.cases import numpy


def nested():
    """A convolution, then twice the same model of two layers, then a sum with the image."""
    inner_image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", name="inner")(inner_image)
    inner = keras.Model(inner_image, keras.layers.ReLU(name="relu")(x), name="nested")
    image = keras.Input((None, None, 3))
    x = inner(inner(keras.layers.Conv2D(3, 1, name="first")(image)))
    return keras.Model(image, keras.layers.Add(name="sum")([x, image]))


def names(calls):
    return [call.operation.name for call in calls]


def test_calls_of_nested_models_come_in_the_order_of_the_computation():
    model = nested()
    calls, outputs = graphs.unfold(model, model.inputs)
    assert names(calls) == ["first", *["inner", "relu"] * 2, "sum"]
    assert calls[-1].outputs == outputs
    assert [x.shape for x in calls[-1].inputs] == [(None, None, None, 3)] * 2
    assert any(x is model.inputs[0] for x in calls[-1].inputs)


def test_making_the_calls_one_by_one_gives_what_the_model_gives(rng):
    model = nested()
    image = rng.random((2, 4, 5, 3)).astype("float32")
    calls, outputs = graphs.unfold(model, model.inputs)
    known = {id(model.inputs[0]): image}
    for call in calls:
        args, kwargs = keras.tree.map_structure(
            lambda x: known.get(id(x), x), (call.args, call.kwargs)
        )
        known[id(call.outputs[0])] = call.operation(*args, **kwargs)
    np.testing.assert_allclose(numpy(known[id(outputs[0])]), numpy(model(image)), atol=1e-6)


def test_sizes_follow_those_of_the_tensors_that_run_through():
    image = keras.Input((None, None, 3))
    model = keras.Sequential([image, keras.layers.Conv2D(4, 3), keras.layers.MaxPooling2D(2)])
    calls, outputs = graphs.unfold(model, [keras.KerasTensor((1, 9, 15, 3))])
    assert [call.outputs[0].shape for call in calls] == [(1, 7, 13, 4), (1, 3, 6, 4)]
    assert outputs[0].shape == (1, 3, 6, 4)


class Subclassed(keras.Model):
    def call(self, inputs):
        if isinstance(inputs, keras.KerasTensor):
            raise TypeError("as a backend's own functions do")
        return 2 * inputs


class OfLayers(keras.Model):
    def __init__(self, *parts):
        super().__init__()
        self.parts = list(parts)

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


def test_a_model_without_a_graph_inside_another_is_one_call_or_an_error():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.ReLU(name="relu")(Subclassed(name="double")(image)))
    calls, _ = graphs.unfold(model, model.inputs, strict=False)
    assert names(calls) == ["double", "relu"]
    with pytest.raises(ValueError, match="Received: model=double of class Subclassed"):
        graphs.unfold(model, model.inputs)


def test_a_subclassed_model_that_is_made_of_layers_has_a_graph():
    model = OfLayers(keras.layers.Conv2D(4, 3), keras.layers.MaxPooling2D(2))
    assert not graphs.has_graph(model)  # nor a shape
    model(np.zeros((1, 9, 15, 3), "float32"))
    calls, outputs = graphs.unfold(model, [keras.KerasTensor((1, 19, 25, 3))])
    assert [call.operation for call in calls] == model.parts
    assert outputs[0].shape == (1, 8, 11, 4)
    assert graphs.graph_of(model) is graphs.graph_of(model)
    image = keras.Input((None, None, 3))
    calls, _ = graphs.unfold(keras.Model(image, OfLayers(model)(image)), [image])
    assert [call.operation for call in calls] == model.parts


class Switched(keras.Model):
    softmax = relu = None

    def call(self, inputs):
        return keras.ops.softmax(inputs) if self.softmax else self.relu(inputs)


def test_a_graph_is_read_again_after_an_attribute_has_changed():
    model = Switched()
    model.softmax, model.relu = True, keras.ops.relu
    model(np.zeros((1, 4, 5, 3), "float32"))
    found = []
    for softmax, relu in ((True, keras.ops.relu), (False, None), (False, keras.ops.relu)):
        model.softmax, model.relu = softmax, relu
        graph = graphs.find_graph(model)
        found.append(graph and names(graphs.unfold(graph, graph.inputs)[0])[0].partition("_")[0])
    assert found == ["softmax", None, "relu"]
    assert graphs.find_graph(model) is graph


class Counting(keras.Model):
    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return keras.ops.relu(inputs)


def test_reading_a_graph_leaves_the_variables_of_the_model_alone():
    model = Counting()
    model(np.zeros((1, 4, 5, 3), "float32"))
    calls, _ = graphs.unfold(model, graphs.graph_of(model).inputs)
    assert names(calls)[0].startswith("relu")
    assert float(model.calls) == 1


def test_a_graph_is_that_of_functional_and_of_built_sequential_models():
    built = keras.Sequential([keras.Input((4, 5, 3)), keras.layers.ReLU()])
    assert graphs.has_graph(nested())
    assert graphs.has_graph(built)
    assert not graphs.has_graph(keras.Sequential([keras.layers.ReLU()]))
    assert not graphs.has_graph(Subclassed())
    assert [x.shape for x in graphs.graph_of(built).inputs] == [(None, 4, 5, 3)]
    with pytest.raises(ValueError, match="`model` must be functional or a Sequential that is bui"):
        graphs.graph_of(Subclassed())


@pytest.mark.parametrize("data_format", ["channels_first", "channels_last"])
def test_the_data_format_is_that_of_the_first_layer_that_has_one(data_format):
    image = keras.Input((4, 6, 8))
    x = keras.layers.ReLU()(image)
    x = keras.layers.ZeroPadding2D(1, data_format=data_format)(x)
    model = keras.Model(image, keras.layers.Flatten(data_format="channels_last")(x))
    calls, _ = graphs.unfold(model, model.inputs)
    assert graphs.data_format_of(calls) == data_format
    assert graphs.data_format_of(calls[:1]) == keras.config.image_data_format()


def by_permute(x, order):
    return keras.layers.Permute(order[1:])(x)


TRANSPOSITIONS = {
    "Permute": by_permute,
    "transpose": keras.ops.transpose,
    "moveaxis": lambda x, order: keras.ops.moveaxis(x, *((-1, 1) if order[1] == 3 else (1, -1))),
    "swapaxes": lambda x, order: by_permute(
        keras.ops.swapaxes(x, 1, -1), [0, *([1, 3, 2] if order[1] == 3 else [2, 1, 3])]
    ),
}


@pytest.mark.parametrize("transpose", TRANSPOSITIONS.values(), ids=TRANSPOSITIONS.keys())
def test_the_data_format_is_that_of_the_images_where_the_layers_have_another(transpose):
    first = keras.layers.ZeroPadding2D(1, data_format="channels_first")
    image = keras.Input((4, 6, 3))
    model = keras.Model(image, first(transpose(image, [0, 3, 1, 2])))
    assert model.output_shape == (None, 3, 6, 8)
    assert graphs.data_format_of(graphs.unfold(model, model.inputs)[0]) == "channels_last"
    image = keras.Input((3, 4, 6))
    last = keras.layers.ZeroPadding2D(1, data_format="channels_last")
    model = keras.Model(image, last(transpose(image, [0, 2, 3, 1])))
    assert model.output_shape == (None, 6, 8, 3)
    assert graphs.data_format_of(graphs.unfold(model, model.inputs)[0]) == "channels_first"


def test_tensors_are_found_however_deep_and_nothing_else_is():
    x, y = keras.KerasTensor((1, 2)), keras.KerasTensor((3,))
    found = graphs.tensors_in(((x, 2, None), {"a": [np.ones(2), {"b": y}]}))
    assert [id(tensor) for tensor in found] == [id(x), id(y)]
