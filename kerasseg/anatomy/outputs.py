"""What the output of a model means: logits, softmax or sigmoid, of which classes, on which axis."""

from numbers import Real
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from kerasseg.anatomy.graphs import axis_order, functional, graph_of, has_graph, unfold
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
    "softmaxv2": "softmax",  # tf.nn.softmax
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
    layers.ActivityRegularization,
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.MaxPooling2D,
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
    "Copy",
    "ExpandDims",
    "Flip",
    "GetItem",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Moveaxis",
    "Pad",
    "Relu",
    "Repeat",
    "Reshape",
    "Resize",
    "Roll",
    "Rot90",
    "Split",
    "Squeeze",
    "StopGradient",
    "Swapaxes",
    "Take",
    "Transpose",
)
# Layers and operations of one name that make one tensor of several, or of one and a number.
MERGING = (
    "Add",
    "Average",
    "Concatenate",
    "Divide",
    "Maximum",
    "Minimum",
    "Multiply",
    "Stack",
    "Subtract",
    "TrueDivide",
)


class Ending(NamedTuple):
    """What a tensor is made of, as far as the numbers of one activation are concerned.

    Attributes:
        activation: "softmax", "sigmoid", or `None` for anything else.
        share: The factor of these numbers: 0.5 for half a softmax, which another half completes.
        origin: What tells the tensor of the activation from others; `None` for a mixture.
        classes: How many classes a softmax went over; `None` if that is not known.
    """

    activation: str | None = None
    share: float = 1.0
    origin: object = None
    classes: int | None = None


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
    (rank 4), else the first; a dict has the order in which it was written. From there the graph is
    followed backwards, through nested models and through whatever only resizes, crops, pads, flips,
    casts, averages or names, to a softmax or a sigmoid. Anything else, also another activation,
    counts as logits. One channel is "binary"; several are "classes", or "multilabel" if they are
    sigmoids or if `with_classes` said so.

    The graph of a subclassed model, or of a layer of your own, is what its `call` does with a
    symbolic tensor. If `call` does not take one, since it uses a backend's own functions, it cannot
    be read: its output counts as logits unless `activation` says otherwise, with the classes on the
    axis of `keras.config.image_data_format()`.

    Args:
        model: A built `keras.Model`.
        activation: "auto", or what is known better: "softmax", "sigmoid" or `None` for logits.
        multi_label: Whether each of several channels is a yes or no; `None` to find out.

    Returns:
        An `Output`.

    Raises:
        TypeError: if `model` is not a model.
        ValueError: a model that is not built; a softmax along another axis than that of the
            classes, or over one channel, where it is always 1; several softmaxes side by side.

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
    outputs, source, order = read_graph(model) if has_graph(model) else trace(model)
    index = main_index(outputs, source, order)
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
    """The tensors that a model gives, the call behind each by its `id`, and `order_of` them."""
    calls, outputs = unfold(model, graph_of(model).inputs, strict=False)
    return outputs, sources_of(calls), order_of(graph_of(model).output)


def sources_of(calls):
    """By the `id` of each tensor, the call that it comes from."""
    source = {}
    for call in calls:
        inputs = {id(x) for x in call.inputs}
        source.update({id(x): call for x in call.outputs if id(x) not in inputs})
    return source


def trace(model):
    """The same as `read_graph` of a model without a graph, from the shape it was built with."""
    shape = (model.get_build_config() or {}).get("input_shape")
    if shape is None:
        raise ValueError(
            f"`model` must be built. Received: model={model.name} of class {type(model).__name__}. "
            "Call it once on a batch of images."
        )
    outputs = model.compute_output_spec(keras.KerasTensor(shape, dtype=model.compute_dtype))
    return keras.tree.flatten(outputs), {}, order_of(outputs)


def order_of(structure):
    """The places of tensors in `keras.tree.flatten`, which sorts dicts by their keys, as written.

    Example:

    >>> order_of({"scores": 0.5, "codes": 0.25})
    [1, 0]
    """

    def leaves(part):
        if not isinstance(part, (dict, list, tuple)):
            return [part]
        parts = part.values() if isinstance(part, dict) else part
        return [leaf for inner in parts for leaf in leaves(inner)]

    flat = list(map(id, keras.tree.flatten(structure)))
    return [flat.index(id(leaf)) for leaf in leaves(structure)]


def main_index(outputs, source, order):
    """Which of a model's outputs counts: the one with names, else the first map, else the first."""
    named = [id(x) in source and isinstance(source[id(x)].operation, NamedClasses) for x in outputs]
    maps = [len(x.shape) == 4 for x in outputs]
    return next((i for found in (named, maps) for i in order if found[i]), order[0])


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
        if (order := axis_order(call.operation, 4)) is not None:
            position = [position[order.index(axis)] for axis in range(4)]
        tensor = maps[0]
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def activation_of(tensor, source, axis):
    """The activation that a tensor went through last, where `axis`, from 0, is the classes'."""
    ending, channels = ending_of(tensor, source, axis, {}), tensor.shape[axis]
    if ending.classes not in (None, channels) and channels != 1:
        return None  # some classes of a softmax, which do not add up to 1
    return ending.activation if abs(ending.share - 1) < 1e-6 else None


def ending_of(tensor, source, axis, known):
    """The `Ending` of a tensor, where `axis`, from 0, is the classes'; `known` are those read."""
    place = id(tensor), axis
    if place not in known:  # a tensor may be used many times
        known[place] = read_ending(tensor, source, axis, known)
    return known[place]


def read_ending(tensor, source, axis, known):
    call = source.get(id(tensor))
    if call is None:
        return Ending()
    operation = call.operation
    activation, along = own_activation(operation)
    if activation == "softmax":
        check_softmax(operation, along, tensor.shape, axis)
    if activation is None and isinstance(operation, WITH_ACTIVATION):
        activation = inside(operation.activation, tensor.shape, axis)
    if activation is not None:
        classes = tensor.shape[axis] if activation == "softmax" else None
        return Ending(activation, origin=id(tensor), classes=classes)
    shapes = [x.shape for x in call.inputs]
    before = axis_before(operation, shapes[0], tensor.shape, axis) if shapes else None
    if before is None:
        return Ending()
    if type(operation).__name__ in MERGING:
        return merged(call, [ending_of(x, source, before, known) for x in call.inputs], axis)
    return ending_of(call.inputs[0], source, before, known) if passes(operation) else Ending()


def inside(function, shape, axis):
    """The activation in which a function of the user's own ends."""
    if str(getattr(function, "__module__", "")).startswith("keras."):
        return None
    model = functional(function, shape)
    if model is None:
        return None
    (output, *_), source, _ = read_graph(model)
    return activation_of(output, source, axis)


def merged(call, parts, axis):
    """The `Ending` of what a call makes of several tensors, or of one and a number."""
    kind, found = type(call.operation).__name__, {part.activation for part in parts}
    if found == {"softmax", "sigmoid"} and kind == "Multiply":  # classes, and where there is one
        return Ending("softmax")
    if None in found or len(found) > 1:
        return Ending()
    (activation,), shares = found, [part.share for part in parts]
    if len(parts) == 1:
        return with_number(kind, parts[0], call.args)
    if kind in ("Multiply", "Maximum", "Minimum") and (
        activation == "softmax" or set(shares) != {1}
    ):
        return Ending()  # of softmaxes, it would not add up to 1; of shares, it is another share
    if kind == "Concatenate" and call.operation.axis % len(call.outputs[0].shape) == axis:
        activation = side_by_side(call, parts, axis)
    known = {part.classes for part in parts if activation == "softmax"} - {None}
    if len(known) > 1:
        return Ending()
    classes = next(iter(known), None)
    if kind == "Add":
        return Ending(activation, sum(shares), classes=classes)
    alike = len(set(shares)) == 1 and kind not in ("Divide", "TrueDivide", "Subtract")
    if kind == "Average" or alike:
        return Ending(activation, sum(shares) / len(shares), classes=classes)
    return Ending()


def with_number(kind, part, args):
    """The `Ending` of what an operation makes of a tensor and a number."""
    numbers = [x for x in args if isinstance(x, Real)]
    if len(args) != 2 or len(numbers) != 1:
        return Ending()
    number, first = numbers[0], args[0] is numbers[0]
    if kind == "Multiply":
        return part._replace(share=part.share * number)
    if kind in ("Divide", "TrueDivide") and number and not first:
        return part._replace(share=part.share / number)
    if kind in ("Maximum", "Minimum"):
        return part
    if kind == "Subtract" and first and number == 1 and part[:2] == ("sigmoid", 1.0):
        return part._replace(origin=("1 minus", part.origin))
    return Ending()


def side_by_side(call, parts, axis):
    """The activation of probabilities that are joined along the axis of the classes."""
    origins = [part.origin for part in parts]
    if parts[0].activation == "sigmoid":
        one_each = all(x.shape[axis] == 1 for x in call.inputs)
        complement = len(parts) == 2 and any(
            ours == ("1 minus", theirs) for ours, theirs in (origins, origins[::-1])
        )
        return "softmax" if one_each and complement else "sigmoid"
    if len(set(origins)) == 1 and None not in origins:  # classes of one softmax in another order
        return "softmax"
    if all(x.shape[axis] == 1 for x in call.inputs):
        return "sigmoid"
    raise ValueError(
        f"The output of a model must be one softmax over all classes. Received: "
        f"'{call.operation.name}', which puts several softmaxes side by side. Return them as "
        "several outputs, or logits side by side."
    )


def axis_before(operation, before, after, axis):
    """Where the classes, on `axis` now, were before an operation; `None` if that is nowhere."""
    kind = type(operation).__name__
    if kind == "Reshape":  # a pixel's classes stay together on the last axis
        together = axis == len(after) - 1 and before[-1] == after[-1]
        return len(before) - 1 if together else None
    if kind in ("ExpandDims", "Stack"):
        old = other_axes(operation.axis, len(after))
        return old.index(axis) if axis in old else None
    if kind in ("Squeeze", "Mean", "Max", "Min"):
        along = operation.axis
        if along is None:
            along = [i for i, n in enumerate(before) if n == 1 or kind != "Squeeze"]
        kept = other_axes(along, len(before))
        if getattr(operation, "keepdims", False):
            return axis if axis in kept else None
        return kept[axis]
    if len(before) != len(after):
        return None
    order = axis_order(operation, len(after))
    return axis if order is None else order[axis]


def other_axes(axes, rank):
    """The axes of a tensor but for some, given as a number or several."""
    some = {axis % rank for axis in (axes if isinstance(axes, (list, tuple)) else [axes])}
    return [axis for axis in range(rank) if axis not in some]


def passes(operation):
    """Whether probabilities come out of an operation as probabilities."""
    if isinstance(operation, layers.Activation):
        return operation.activation in (keras.activations.linear, keras.activations.relu)
    if isinstance(operation, layers.ReLU):
        limits = operation.max_value, operation.negative_slope, operation.threshold
        return limits == (None, 0, 0)
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
