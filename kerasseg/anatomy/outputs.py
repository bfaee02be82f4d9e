"""What the output of a model means: logits, softmax or sigmoid, of which classes, on which axis."""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from kerasseg.anatomy.graphs import graph_of, has_graph, unfold
from kerasseg.layers import (
    BilinearUpsampling2D,
    CenterCropLike,
    NamedClasses,
    PadToMultiple,
    ReflectionPadding2D,
)
from kerasseg.losses.label_maps import predicted_ids

# Activations, by the names of their functions and of the operations of `keras.ops`.
ACTIVATIONS = {
    "softmax": "softmax",
    "sparsemax": "softmax",
    "sigmoid": "sigmoid",
    "hardsigmoid": "sigmoid",
    "sparsesigmoid": "sigmoid",
}
WITH_ACTIVATION = (
    layers.Activation,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.EinsumDense,
    layers.SeparableConv2D,
)
# What moves, repeats, averages or drops numbers, and so leaves probabilities probabilities.
PASSING = (
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.Permute,
    layers.Reshape,
    layers.Resizing,
    layers.SpatialDropout2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    BilinearUpsampling2D,
    CenterCropLike,
    PadToMultiple,
    ReflectionPadding2D,
)
PASSING_OPERATIONS = (
    "AveragePool",
    "Cast",
    "Clip",
    "GetItem",
    "Pad",
    "Reshape",
    "Resize",
    "StopGradient",
    "Transpose",
)


class Output(NamedTuple):
    """What a model's main output means.

    Attributes:
        activation: "softmax", "sigmoid", or `None` for logits.
        labels: "classes", one of several a pixel; "binary", one channel for the ids 0 and 1;
            "multilabel", a yes or no for each channel.
        num_classes: How many classes or labels there are; 2 for "binary".
        axis: The axis of the channels: -1, or 1 for `channels_first`.
        index: Which of the model's outputs it is, as `keras.tree.flatten` orders them.
    """

    activation: str | None
    labels: str
    num_classes: int
    axis: int = -1
    index: int = 0

    @property
    def arguments(self):
        """What our losses and metrics must be told: `CrossEntropy(**output.arguments)`."""
        return {
            "axis": self.axis,
            "from_logits": self.activation is None,
            "multi_label": self.labels == "multilabel",
        }


def output_of(model, activation="auto", multi_label=None):
    """What a model's main output means, read off its graph, never off its numbers.

    The main output of several is the one that `with_classes` named, else the first that is a map
    (rank 4), else the first. From there the graph is followed backwards, through nested models and
    through whatever only resizes, crops, pads, casts, averages or names, to a softmax or a sigmoid.
    Anything else, also another activation, counts as logits. One channel is "binary"; several are
    "classes", or "multilabel" if they are sigmoids or if `with_classes` said so.

    The graph of a subclassed model cannot be read. Its output counts as logits unless `activation`
    says otherwise, with the classes on the axis of `keras.config.image_data_format()`.

    Args:
        model: A built `keras.Model`.
        activation: "auto", or what is known better: "softmax", "sigmoid" or `None` for logits.
        multi_label: Whether each of several channels is a yes or no; `None` to find out.

    Returns:
        An `Output`.

    Raises:
        TypeError: if `model` is not a model.
        ValueError: a model that is not built; a softmax along another axis than that of the
            classes, or over one channel, where it is always 1.

    Example:

    >>> output_of(kerasseg.models.unet((None, None, 3), 1, width=0.1, activation="sigmoid"))
    Output(activation='sigmoid', labels='binary', num_classes=2, axis=-1, index=0)
    """
    if activation not in ("auto", "softmax", "sigmoid", None):
        raise ValueError(
            "`activation` must be 'auto', 'softmax', 'sigmoid' or None for logits. "
            f"Received: activation={activation!r}"
        )
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a keras.Model. Received: model={model!r}. Load a saved one with "
            "keras.saving.load_model(path)."
        )
    outputs, source = read_graph(model) if has_graph(model) else trace(model)
    named = [id(x) in source and isinstance(source[id(x)].operation, NamedClasses) for x in outputs]
    maps = [len(x.shape) == 4 for x in outputs]
    index = next((found.index(True) for found in (named, maps) if any(found)), 0)
    tensor = outputs[index]
    axis = class_axis(tensor, source)
    channels = tensor.shape[axis]
    if activation == "auto":
        activation = activation_of(tensor, source, axis % len(tensor.shape))
    if channels == 1:
        # One channel cut out of a softmax is a probability, too.
        activation = "sigmoid" if activation == "softmax" else activation
        return Output(activation, "binary", 2, axis, index)
    if multi_label is None:
        known = classes_of(model)
        multi_label = activation == "sigmoid" or (known is not None and known.multi_label)
    return Output(activation, "multilabel" if multi_label else "classes", channels, axis, index)


def classes_of(model):
    """The `NamedClasses` layer of a model, or of a model nested in it; `None` if there is none."""
    own = [layer for layer in model.layers if isinstance(layer, NamedClasses)]
    nested = (classes_of(layer) for layer in model.layers if isinstance(layer, keras.Model))
    return own[-1] if own else next(filter(None, nested), None)


def main_output(raw, output):
    """Of all that a model returned, a tensor, list or dict, the output that `output` describes."""
    return keras.tree.flatten(raw)[output.index]


def to_probabilities(raw, output):
    """A model's raw output as probabilities: an activation is applied only if the model has none.

    Args:
        raw: Array or tensor, the main output of the model.
        output: What `output_of(model)` says.

    Returns:
        Probabilities of the same shape, float32 (float64 stays), a NumPy array for a NumPy array.
        With `output.labels == "binary"` it is one channel still: the probability of id 1.

    Example: a binary model without activation.

    >>> output = Output(activation=None, labels="binary", num_classes=2)
    >>> to_probabilities(np.array([[[[0.0]]]]), output).item()
    0.5
    """
    dtype = keras.backend.result_type(keras.backend.standardize_dtype(raw.dtype), "float32")
    probabilities = ops.cast(raw, dtype)
    if output.activation is None and output.labels == "classes":
        probabilities = ops.softmax(probabilities, axis=output.axis)
    elif output.activation is None:
        probabilities = ops.sigmoid(probabilities)
    return ops.convert_to_numpy(probabilities) if isinstance(raw, np.ndarray) else probabilities


def to_classes(probabilities, output):
    """Probabilities as ids, or as one mask a label.

    Args:
        probabilities: Array or tensor, what `to_probabilities` gives, perhaps averaged since.
        output: What `output_of(model)` says.

    Returns:
        int32, a NumPy array for a NumPy array. Ids without the axis of the classes: of the largest
        probability, or for "binary" 1 where it is above 0.5. For "multilabel" the same shape, 1
        where a label's probability is above 0.5.

    Example:

    >>> output = Output(activation="sigmoid", labels="binary", num_classes=2)
    >>> to_classes(np.array([[[[0.2], [0.7]]]]), output)
    array([[[0, 1]]], dtype=int32)
    """
    ids = predicted_ids(
        ops.convert_to_tensor(probabilities), output.axis, False, output.labels == "multilabel"
    )
    return ops.convert_to_numpy(ids) if isinstance(probabilities, np.ndarray) else ids


def read_graph(model):
    """`(outputs, source)`: the tensors that a model gives, and, by `id`, the call behind each."""
    calls, outputs = unfold(model, graph_of(model).inputs, strict=False)
    source = {}
    for call in calls:
        inputs = {id(x) for x in call.inputs}
        source.update({id(x): call for x in call.outputs if id(x) not in inputs})
    return outputs, source


def trace(model):
    """The same of a model without a graph, from the shape that it was built with."""
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise ValueError(
            f"`model` must be built. Received: model={model.name} of class {type(model).__name__}. "
            "Call it once on a batch of images."
        )
    inputs = keras.KerasTensor(shape, dtype=model.compute_dtype)
    return keras.tree.flatten(model.compute_output_spec(inputs)), {}


def class_axis(tensor, source):
    """-1 or 1: what the layers say that lead to a map, the last one first."""
    if len(tensor.shape) != 4:
        return -1
    position = [0, 1, 2, 3]  # in the output, of each axis of `tensor`
    while call := source.get(id(tensor)):
        data_format = getattr(call.operation, "data_format", None)
        if data_format in ("channels_last", "channels_first"):
            axis = position[3 if data_format == "channels_last" else 1]
            return -1 if axis == 3 else axis
        maps = [x for x in call.inputs if len(x.shape) == 4]
        if not maps:
            break
        if (order := axis_order(call.operation)) is not None:
            position = [position[order.index(axis)] for axis in range(4)]
        tensor = maps[0]
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def axis_order(operation):
    """For a transposition of maps: which axis each axis of its output was before; else `None`."""
    if isinstance(operation, layers.Permute):
        return [0, *operation.dims]
    if type(operation).__name__ == "Transpose":
        return [axis % 4 for axis in operation.axes or (3, 2, 1, 0)]
    return None


def activation_of(tensor, source, axis):
    """The activation that a tensor went through last, where `axis`, from 0, is the classes'."""
    call = source.get(id(tensor))
    if call is None:
        return None
    operation = call.operation
    activation, along = own_activation(operation)
    if activation == "softmax":
        check_softmax(operation, along, tensor.shape, axis)
    if activation is not None:
        return activation
    if isinstance(operation, (layers.Average, layers.Concatenate)):
        found = {activation_of(x, source, axis) for x in call.inputs}
        one = found.pop() if len(found) == 1 else None
        return None if one == "softmax" and isinstance(operation, layers.Concatenate) else one
    axis = axis_before(operation, call.inputs[0].shape, tensor.shape, axis)
    if axis is None or not passes(operation):
        return None
    return activation_of(call.inputs[0], source, axis)


def axis_before(operation, before, after, axis):
    """Where the classes, on `axis` now, were before an operation; `None` if that is nowhere."""
    if type(operation).__name__ == "Reshape":  # a pixel's classes stay together on the last axis
        together = axis == len(after) - 1 and before[-1] == after[-1]
        return len(before) - 1 if together else None
    if len(before) != len(after):
        return None
    order = axis_order(operation)
    return axis if order is None else order[axis]


def passes(operation):
    """Whether probabilities come out of an operation as probabilities."""
    if isinstance(operation, layers.Activation):
        return operation.activation is keras.activations.linear
    return isinstance(operation, PASSING) or type(operation).__name__ in PASSING_OPERATIONS


def check_softmax(operation, along, shape, axis):
    if [n % len(shape) for n in along] != [axis]:
        raise ValueError(
            f"The softmax of '{operation.name}' must go along the axis of the classes, {axis}. "
            f"Received: axis={along}. Use keras.layers.Softmax(axis={axis})."
        )
    if shape[axis] == 1:
        raise ValueError(
            f"A softmax over one channel is 1 everywhere. Received: '{operation.name}' with the "
            f"output shape {tuple(shape)}. One channel needs a sigmoid; a softmax needs a channel "
            "for the background, too."
        )


def own_activation(operation):
    """The activation with which a layer or an operation ends, and the axes it goes along."""
    name, along = type(operation).__name__, getattr(operation, "axis", -1)
    if isinstance(operation, WITH_ACTIVATION):
        if isinstance(operation.activation, keras.Operation):
            return own_activation(operation.activation)
        name, along = getattr(operation.activation, "__name__", ""), -1
    activation = ACTIVATIONS.get(name.lower().replace("_", ""))
    return activation, tuple(along) if isinstance(along, (tuple, list)) else (along,)
