"""The graph of a functional model, call by call."""

from typing import NamedTuple

import keras
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
        model: A functional or Sequential `keras.Model`.
        inputs: List of `keras.KerasTensor`s, one for each of the model's inputs, of any size.
        strict: Whether a nested model whose graph cannot be read is an error. If not, it stays one
            call.

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
        if isinstance(node.operation, keras.Model) and (strict or has_graph(node.operation)):
            inner, outputs = unfold(node.operation, tensors_in((args, kwargs)), strict)
            calls += inner
        else:
            outputs = tensors_in(node.operation.compute_output_spec(*args, **kwargs))
            calls.append(Call(node.operation, args, kwargs, outputs))
        known.update(zip(map(id, node.outputs), outputs))
    return calls, [known[id(x)] for x in graph.outputs]


def has_graph(model):
    """Whether a model is functional, or a Sequential that is built."""
    return keras_internals.functional_graph(model) is not None


def graph_of(model):
    """The functional graph of a model."""
    graph = keras_internals.functional_graph(model)
    if graph is None:
        raise ValueError(
            "`model` must be functional or a Sequential that is built, since only their graphs can "
            f"be read. Received: model={model.name} of class {type(model).__name__}"
        )
    return graph


def data_format_of(calls):
    """The order of axes of a model's maps, as its first layer tells that knows one."""
    formats = (getattr(call.operation, "data_format", None) for call in calls)
    return next(filter(None, formats), keras.config.image_data_format())


def tensors_in(structure):
    return [x for x in keras.tree.flatten(structure) if isinstance(x, keras.KerasTensor)]
