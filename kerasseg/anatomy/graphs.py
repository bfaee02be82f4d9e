"""The graph of a functional model, call by call."""

import weakref
from typing import NamedTuple

import keras
import numpy as np
from keras import activations, layers

from kerasseg.anatomy import keras_internals

# Activations that mix the numbers of the last axis, which is not that of the channels everywhere.
ALONG_LAST_AXIS = (
    activations.glu,
    activations.log_softmax,
    activations.softmax,
    activations.sparsemax,
)
# Layers that change the numbers of a map one by one, or several maps place by place.
POINTWISE = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.Add,
    layers.AlphaDropout,
    layers.Average,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.Subtract,
)


# Of subclassed models and layers: what `attributes_of` said of them, and the graph of `traced`.
TRACED = weakref.WeakKeyDictionary()


class Call(NamedTuple):
    """One call of a layer (or of an operation of `keras.ops`) on symbolic tensors.

    Attributes:
        operation: What is called.
        args: Its arguments by position, `keras.KerasTensor`s among them.
        kwargs: Its arguments by name.
        outputs: The `keras.KerasTensor`s it gives.
    """

    operation: keras.Operation
    args: tuple
    kwargs: dict
    outputs: list

    @property
    def inputs(self):
        return tensors_in((self.args, self.kwargs))


def unfold(model, inputs, strict=True):
    """Runs symbolic tensors through a model, and through the models nested in it.

    Args:
        model: A `keras.Model` with a graph.
        inputs: List of `keras.KerasTensor`s, one for each of the model's inputs, of any size.
        strict: Whether a nested model whose graph cannot be read is an error. If not, it stays one
            call, and layers of the user's own are unfolded, too, where that is possible.

    Returns:
        `(calls, outputs)`: every call in an order in which it can be made, nested models unfolded,
        and the tensors that the model gives. Each tensor comes from one call, so that tensors are
        told apart by their `id`.
    """
    graph = graph_of(model)
    known = dict(zip(map(id, graph.inputs), inputs))
    calls = []
    for node in keras_internals.nodes(graph):
        args, kwargs = keras_internals.filled_in(node, known)
        is_model = isinstance(node.operation, keras.Model)
        if is_model if strict else has_graph(node.operation):
            inner, outputs = unfold(node.operation, tensors_in((args, kwargs)), strict)
            calls += inner
        else:
            outputs = tensors_in(node.operation.compute_output_spec(*args, **kwargs))
            calls.append(Call(node.operation, args, kwargs, outputs))
        known.update(zip(map(id, node.outputs), outputs))
    return calls, [known[id(x)] for x in graph.outputs]


def has_graph(model):
    """Whether a model's graph can be read: that of a layer of the user's own, too."""
    return find_graph(model) is not None


def graph_of(model):
    """The functional graph of a model."""
    graph = find_graph(model)
    if graph is None:
        raise ValueError(
            "`model` must be functional or a Sequential that is built, or a subclassed model that "
            "has been called and is made of layers and `keras.ops` alone, since only their graphs "
            f"can be read. Received: model={model.name} of class {type(model).__name__}"
        )
    return graph


def find_graph(model):
    graph = keras_internals.functional_graph(model)
    if graph is not None or not is_of_a_user(model) or not model.built:
        return graph
    attributes = attributes_of(model)
    known, graph = TRACED.get(model, (None, None))
    if graph is None or known != attributes:  # a trace that failed may succeed later
        graph = traced(model)
        TRACED[model] = attributes, graph
    return graph


def attributes_of(model):
    """What `call` may depend on: the public attributes of a model and of all layers inside it."""
    simple = (bool, int, float, str)
    return [
        (name, value if isinstance(value, simple) else id(value))
        for part in (model, *keras_internals.all_layers(model))
        for name, value in vars(part).items()
        if not name.startswith("_")
    ]


def called(model):
    """`(input, outputs)` of a model with a graph, to build a functional model around it.

    A subclassed model is called as it is: in training its `call` may do what its graph, which is
    for reading, does not say.
    """
    graph = graph_of(model)
    if keras_internals.functional_graph(model) is not None:
        return graph.input, graph.outputs
    return graph.input, keras.tree.flatten(model(graph.input))


def is_of_a_user(operation):
    """Whether an operation is a layer or a model with a `call` that Keras and we do not know."""
    known = type(operation).__module__.startswith(("keras.", "kerasseg."))
    return isinstance(operation, keras.Layer) and not known


def traced(layer):
    """The functional model that a layer's or a subclassed model's `call` makes of one input.

    `None` if there are several inputs, or if `call` does not take symbolic tensors of any size.
    """
    shape = (layer.get_build_config() or {}).get("input_shape")
    if shape is None or any(isinstance(n, (list, tuple)) for n in shape):
        return None
    first = keras.config.image_data_format() == "channels_first"
    channels = 1 if first else len(shape) - 1
    free = [n if axis == channels else None for axis, n in enumerate(shape)]
    return functional(layer.call, free, layer.name)


def functional(function, shape, name=None):
    """A functional model of one call on a symbolic tensor; `None` if the function refuses it.

    The function runs, but what it assigns to variables is forgotten.
    """
    inputs = keras.Input(batch_shape=shape)
    try:
        with keras.StatelessScope():
            outputs = function(inputs)
        return keras.Model(inputs, outputs, name=name)
    except Exception:  # the code of others, which may do anything with a tensor without values
        return None


def data_format_of(calls):
    """The order of axes of a model's images, as the first layer tells that knows one."""
    places = {}  # of maps: which axis of the image each of their axes was, before any transposition
    for call in calls:
        maps = [x for x in call.inputs if len(x.shape) == 4]
        place = places.get(id(maps[0]), range(4)) if maps else range(4)
        data_format = getattr(call.operation, "data_format", None)
        if data_format is not None:
            channels = place[3 if data_format == "channels_last" else 1]
            return {1: "channels_first", 3: "channels_last"}.get(channels, data_format)
        order = axis_order(call.operation, 4) or range(4)
        places.update((id(x), [place[axis] for axis in order]) for x in call.outputs)
    return keras.config.image_data_format()


def axis_order(operation, rank):
    """For a transposition: which axis each axis of its output was before; else `None`."""
    kind = type(operation).__name__
    axes = list(range(rank))
    if isinstance(operation, keras.layers.Permute):
        return [0, *operation.dims] if len(operation.dims) == rank - 1 else None
    if kind == "Transpose":
        return [axis % rank for axis in operation.axes or axes[::-1]]
    if kind == "Swapaxes":
        first, second = operation.axis1, operation.axis2
        axes[first], axes[second] = axes[second], axes[first]
        return axes
    if kind == "Moveaxis":
        # NumPy's own rule, applied to a shape whose sizes are the axes
        return list(np.moveaxis(np.empty(axes), operation.source, operation.destination).shape)
    return None


def tensors_in(structure):
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]
