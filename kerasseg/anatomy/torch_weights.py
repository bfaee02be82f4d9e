"""Weights of a PyTorch network for the same network in Keras."""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from kerasseg.anatomy import keras_internals
from kerasseg.anatomy.graphs import data_format_of, graph_of, unfold


def load_torch_weights(model, state_dict, names=None, *, batch_norm_epsilon=1e-5):
    """Loads the weights of a PyTorch network into a Keras model.

    The layers, in the order of `model.summary()`, are matched with the PyTorch modules in the order
    of the `state_dict`: the first convolution takes the weights of the first convolution, the first
    normalisation those of the first normalisation, the first `Dense` those of the first `Linear`.
    The layers inside a nested model or a composed layer take its place in the order. With parallel
    branches the two orders often differ, and branches of equal shapes would be swapped unnoticed:
    there `names` says which module belongs to which layer. A `state_dict` does not say either in
    which order maps are concatenated, or whether a kernel is that of a transposed convolution:
    compare one output of both networks.

    Kernels change the order of their axes. Behind `Flatten` the inputs of a `Dense` change theirs
    too: PyTorch flattens channel by channel, Keras pixel by pixel. `num_batches_tracked` has no
    counterpart. The epsilon of a normalisation is not among the weights, but 1e-5 in PyTorch and
    1e-3 in Keras unless told otherwise: the variances of a batch normalisation make up for the
    difference, group and layer normalisations must be built with the network's epsilon.

    Args:
        model: A functional or Sequential `keras.Model`, of either data format.
        state_dict: What `network.state_dict()` gives: names to tensors or arrays.
        names: Optional dict from names of layers to names of PyTorch modules, say
            `{"encoder1_conv1": "down.0.conv"}`. A nested model or a composed layer takes what is
            below that name. Layers that are not in it go by order.
        batch_norm_epsilon: The epsilon of the PyTorch network's normalisations; 1e-5 is PyTorch's
            default. `None` if every layer has that of its module.

    Raises:
        ValueError: If a tensor holds whole numbers, complex numbers, NaN or infinite values, if a
            layer and its module do not fit, with both names and shapes, if one is left
            over, or if numbers of a map would come to a `Dense` in another order than in PyTorch.
            The model is then as it was before.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> state_dict = {"0.weight": np.array([[1.0, 2.0]]), "0.bias": np.array([3.0])}
    >>> load_torch_weights(model, state_dict)          # or torch.load("weights.pth")
    >>> model.predict(np.array([[10.0, 100.0]]), verbose=0).tolist()      # 10 + 2 * 100 + 3
    [[213.0]]
    """
    maps = flattened_maps(model)
    assignments = []
    for leaves, modules in groups(model, modules_of(state_dict), names or {}):
        for target, module in pairs(
            [target for leaf in leaves for target in targets(leaf)], modules
        ):
            values = fitted(target, module, maps.get(id(target.layer)))
            if target.kind == "normalisation" and batch_norm_epsilon is not None:
                make_up_for_epsilon(target, values, batch_norm_epsilon)
            assignments += [(target.weights[entry][0], values[entry]) for entry in values]
    for variable, values in assignments:
        variable.assign(values)


class Module(NamedTuple):
    """A PyTorch module with weights of its own: its name and its tensors, as NumPy arrays."""

    name: str
    tensors: dict

    @property
    def kind(self):
        return {4: "convolution", 2: "matrix"}.get(
            np.ndim(self.tensors.get("weight")), "normalisation"
        )

    def is_below(self, name):
        return f"{self.name}.".startswith(f"{name}.")


def modules_of(state_dict):
    if not isinstance(state_dict, Mapping):
        raise no_tensors("state_dict", state_dict)
    modules = {}
    for key, tensor in state_dict.items():
        name, _, entry = key.rpartition(".")
        if entry != "num_batches_tracked":
            modules.setdefault(name, {})[entry] = to_numpy(key, tensor)
    return [Module(name, tensors) for name, tensors in modules.items()]


def to_numpy(key, tensor):
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor  # no bfloat16 in NumPy
    array = np.asarray(tensor)
    if not np.issubdtype(array.dtype, np.number):
        raise no_tensors(f"state_dict[{key!r}]", tensor)
    if not np.issubdtype(array.dtype, np.floating) and array.ndim:
        raise ValueError(
            "`state_dict` must hold real floats: whole numbers are quantised weights without their "
            f"scale. Received: state_dict[{key!r}] of dtype {array.dtype}"
        )
    if not np.isfinite(array).all():
        raise ValueError(
            "`state_dict` must hold finite numbers: take a checkpoint of an earlier epoch. "
            f"Received: NaN or infinite values in state_dict[{key!r}]"
        )
    return array


def no_tensors(place, received):
    return ValueError(
        "`state_dict` must lead from names to tensors. "
        f"Received: {place} of class {type(received).__name__}. Pass network.state_dict(), or the "
        "entry of a checkpoint that holds it."
    )


def groups(model, modules, names):
    """Which layers go with which modules: those that each entry of `names` joins, then the rest."""
    found = {layer.name: layer for layer in below(model)}
    leaves = [  # the layers with weights of their own
        layer
        for layer in below(model)
        if len(layer.weights) > sum(len(part.weights) for part in parts(layer))
    ]
    for name, prefix in names.items():
        chosen = [module for module in modules if module.is_below(prefix)]
        if name not in found or not chosen:
            raise ValueError(
                "`names` must lead from layers of the model to modules of the state_dict. "
                f"Received: {name!r}: {prefix!r}, and there is no such "
                f"{'module' if name in found else 'layer'}"
            )
        inside = {id(layer) for layer in below(found[name])}
        yield [layer for layer in leaves if id(layer) in inside], chosen
        leaves = [layer for layer in leaves if id(layer) not in inside]
        modules = [module for module in modules if not module.is_below(prefix)]
    yield leaves, modules


def below(layer):
    """A layer and everything inside it, in order."""
    yield layer
    for part in parts(layer):
        yield from below(part)


def parts(layer):
    return layer.layers if isinstance(layer, keras.Model) else keras_internals.parts(layer)


def pairs(targets_of_model, modules):
    """Each target with its module: the first of a kind with the first of that kind, and so on."""
    for kind in ("convolution", "matrix", "normalisation"):
        ours = [target for target in targets_of_model if target.kind == kind]
        theirs = [module for module in modules if module.kind == kind]
        for target, module in itertools.zip_longest(ours, theirs):
            if target is None or module is None:
                shapes = {k: v.shape for k, v in module.tensors.items()} if module else None
                raise ValueError(
                    f"There must be as many {kind} layers as PyTorch modules. "
                    f"Received: {len(ours)} layers and {len(theirs)} modules. Left over is "
                    + (
                        f"layer {target.title}"
                        if target
                        else f"module '{module.name}' with {shapes}"
                    )
                )
            yield target, module


def fitted(target, module, flattened):
    """The tensors of a module, turned to the shapes of the target's variables."""
    if set(target.weights) != set(module.tensors):
        raise ValueError(
            f"Layer {target.title} must take the tensors {sorted(target.weights)}. "
            f"Received: module '{module.name}' with {sorted(module.tensors)}"
        )
    values = {}
    for entry, (variable, layout) in target.weights.items():
        array = module.tensors[entry]
        shape = layout.torch_shape(tuple(variable.shape))
        if array.shape != shape:
            raise ValueError(
                f"Layer {target.title} has the {variable.name} {tuple(variable.shape)}, which is "
                f"{shape} in PyTorch. Received: '{module.name}.{entry}' of shape {array.shape}. "
                "Where the networks are drawn in different orders, `names` joins what belongs "
                "together."
            )
        values[entry] = layout.to_keras(array, tuple(variable.shape))
        if flattened and (target.kind == "normalisation" or entry == "weight"):
            values[entry] = by_pixel(values[entry], *flattened)
    return values


def make_up_for_epsilon(target, values, epsilon):
    """Lets `variance + epsilon` be the same number in both networks."""
    if "running_var" in values:
        values["running_var"] = values["running_var"] + epsilon - target.layer.epsilon
    elif target.layer.epsilon != epsilon:
        raise ValueError(
            f"Layer {target.title} must have the epsilon of its module, since it holds no variance "
            f"that could make up for another. Received: epsilon={target.layer.epsilon}, "
            f"batch_norm_epsilon={epsilon}. Build it with epsilon={epsilon}, or pass "
            "batch_norm_epsilon=None if every layer has that of its module."
        )


def by_pixel(values, height, width, channels):
    """Rows in the order (channel, row, column) brought to the order (row, column, channel)."""
    rows = np.arange(len(values)).reshape(channels, height, width)
    return values[rows.transpose(1, 2, 0).ravel()]


def flattened_maps(model):
    """For each layer that takes a flattened map, by `id`: the map's height, width and channels."""
    maps, of_tensor = {}, {}
    calls, _ = unfold(model, graph_of(model).inputs)
    for call in calls:
        layer, before, after = call.operation, call.inputs[0], call.outputs[0]
        shapes = {of_tensor.get(id(x)) for x in call.inputs}
        shape = maps[id(layer)] = of_tensor.get(id(before))
        if isinstance(layer, layers.Flatten) and len(before.shape) == 4:
            first = layer.data_format == "channels_first"
            shape = before.shape[2:] + before.shape[1:2] if first else before.shape[1:]
        elif isinstance(layer, layers.Dense):
            shape = None
        elif (
            len(shapes) > 1
            or (shape and after.shape != before.shape)
            or reorders(layer, before, after, data_format_of(calls))
        ):
            raise ValueError(
                "The numbers of a map must become a vector through Flatten and then a Dense, since "
                "PyTorch and Keras lay them out in different orders. "
                f"Received: layer '{layer.name}' of class {type(layer).__name__} in between"
            )
        of_tensor[id(after)] = shape
    return maps


def reorders(layer, before, after, data_format):
    """Whether a map changes its axes, or vector and map each other pixel by pixel."""
    if type(layer).__name__ in ("Permute", "Transpose"):
        return len(before.shape) == 4
    if isinstance(layer, (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)):
        return False
    if data_format == "channels_first" or {len(before.shape), len(after.shape)} != {2, 4}:
        return False
    _, height, width, channels = before.shape if len(before.shape) == 4 else after.shape
    return channels != 1 and (height, width) != (1, 1)


class Layout(NamedTuple):
    """How a kind of weights lies in PyTorch, told by its shape in Keras, and how it is turned."""

    torch_shape: Callable
    to_keras: Callable


VECTOR = Layout(lambda shape: shape, lambda array, shape: array)
MATRIX = Layout(lambda shape: shape[::-1], lambda array, shape: array.T)
KERNEL = Layout(
    lambda shape: (shape[3], shape[2], shape[0], shape[1]),
    lambda array, shape: array.transpose(2, 3, 1, 0),
)
DEPTHWISE = Layout(
    lambda shape: (shape[2] * shape[3], 1, shape[0], shape[1]),
    lambda array, shape: array.reshape(*shape[2:], *shape[:2]).transpose(2, 3, 0, 1),
)


class Target(NamedTuple):
    """What one PyTorch module fills: for each of its tensors, the variable and its layout."""

    layer: keras.Layer
    kind: str
    weights: dict

    @property
    def title(self):
        return f"'{self.layer.name}' of class {type(self.layer).__name__}"


def target_of(layer, kind, **weights):
    return Target(
        layer, kind, {entry: pair for entry, pair in weights.items() if pair[0] is not None}
    )


@functools.singledispatch
def targets(layer):
    """The PyTorch modules that a layer stands for."""
    raise ValueError(
        "Weights can be carried into convolutions, Dense and normalisation layers. "
        f"Received: layer '{layer.name}' of class {type(layer).__name__}"
    )


@targets.register(layers.Conv2D)
@targets.register(layers.Conv2DTranspose)
def convolution_targets(layer):
    yield target_of(layer, "convolution", weight=(layer.kernel, KERNEL), bias=(layer.bias, VECTOR))


@targets.register(layers.DepthwiseConv2D)
def depthwise_convolution_targets(layer):
    yield target_of(
        layer, "convolution", weight=(layer.kernel, DEPTHWISE), bias=(layer.bias, VECTOR)
    )


@targets.register(layers.SeparableConv2D)
def separable_convolution_targets(layer):
    yield target_of(layer, "convolution", weight=(layer.depthwise_kernel, DEPTHWISE))
    yield target_of(
        layer, "convolution", weight=(layer.pointwise_kernel, KERNEL), bias=(layer.bias, VECTOR)
    )


@targets.register(layers.Dense)
def dense_targets(layer):
    yield target_of(layer, "matrix", weight=(layer.kernel, MATRIX), bias=(layer.bias, VECTOR))


@targets.register(layers.BatchNormalization)
@targets.register(layers.GroupNormalization)
@targets.register(layers.LayerNormalization)
def normalisation_targets(layer):
    names = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    found = {entry: getattr(layer, name, None) for entry, name in names.items()}
    yield target_of(layer, "normalisation", **{entry: (v, VECTOR) for entry, v in found.items()})
