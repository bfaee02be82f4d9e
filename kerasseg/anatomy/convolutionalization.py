"""A classifier becomes a fully convolutional network with the same weights."""

import functools
from typing import NamedTuple

import keras
from keras import layers

from kerasseg.anatomy.graphs import ALONG_LAST_AXIS, POINTWISE, data_format_of, graph_of, unfold
from kerasseg.layers.arguments import spatial_axes


def convolutionalize(classifier, name=None):
    """Turns an image classifier into a network that draws a heat map for each class.

    A `Dense` layer on a flattened map of `h x w` pixels is a convolution with kernels of `h x w`:
    the same weights and the same sums, but free to slide over a larger map (Long, Shelhamer and
    Darrell, CVPR 2015, figure 2; notes: the history of segmentation, where a map of 4 x 4 x 16
    and 10 classes need 2,560 weights either way). Behind it each `Dense` is a 1 x 1 convolution.
    Global pooling becomes a pooling whose windows have the size that it had; `Flatten` disappears.

    Global pooling that only rescales a map, as in squeeze-and-excitation, stays global.

    Args:
        classifier: A functional or Sequential `keras.Model` of images of one size: layers on maps,
            then `Flatten` or global pooling, then `Dense`, with activations, dropout and
            normalisation in between. Branches and nested models are allowed.
        name: Of the new model, `None` for the classifier's.

    Returns:
        A `keras.Model` with copies of the weights, from images `(batch, height, width, channels)`,
        of the classifier's size or larger, to `(batch, rows, columns, classes)`, the classifier's
        own activation included. At the classifier's size there is one row and one column: the
        classifier's output. On a larger image each place is the classifier's output for its window,
        except with convolutions that pad: they see the neighbours of the window where the
        classifier saw zeros.

    Raises:
        ValueError: If a layer cannot slide, with its name and class.

    Example:

    >>> classifier = keras.Sequential([
    ...     keras.Input((2, 2, 1)),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(1, kernel_initializer="ones"),
    ... ])
    >>> image = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]).reshape(1, 2, 3, 1)
    >>> scores = convolutionalize(classifier)(image)          # 0 + 1 + 3 + 4 and 1 + 2 + 4 + 5
    >>> print(ops.convert_to_numpy(scores)[0, :, :, 0])
    [[ 8. 12.]]
    """
    image = image_of(classifier)
    calls, outputs = unfold(classifier, [image])
    data_format = data_format_of(calls)
    head = tensors_of_head(calls, spatial_axes(data_format))
    shape = list(image.shape)
    for axis in spatial_axes(data_format):
        shape[axis] = None
    rebuilt = {id(image): keras.Input(batch_shape=shape, dtype=image.dtype, name=image.name)}
    windows, parts, names = {}, {}, set()
    for call in calls:
        is_head = id(call.outputs[0]) in head
        place = place_of(call, windows, data_format, is_head)
        if is_head:
            # All other layers give a single pixel.
            keeps = isinstance(call.operation, (layers.Flatten, *POINTWISE))
            convert, windows[id(call.outputs[0])] = slide, place.window if keeps else (1, 1)
        else:
            convert = copy
        key = id(call.operation), place
        if key not in parts:
            parts[key] = convert(call.operation, place)
            give_own_names(parts[key], names)
        rebuilt.update(run(call, parts[key], rebuilt))

    maps = [rebuilt[id(x)] for x in outputs]
    check_sizes_are_free(maps, spatial_axes(data_format))
    return keras.Model(
        rebuilt[id(image)], maps if maps[1:] else maps[0], name=name or classifier.name
    )


def image_of(classifier):
    image, *others = graph_of(classifier).inputs
    if others or len(image.shape) != 4 or None in image.shape[1:]:
        raise ValueError(
            "`classifier` must take images of one size, the size of its window. "
            f"Received: inputs of shapes {[x.shape for x in (image, *others)]}. Build it with a "
            "fixed input_shape."
        )
    return image


def check_sizes_are_free(maps, axes):
    for x in maps:
        if len(x.shape) != 4 or any(x.shape[axis] is not None for axis in axes):
            raise ValueError(
                "`classifier` must let the size of its maps follow that of the image up to the "
                f"Flatten or the global pooling. Received: an output of shape {x.shape} for images "
                "of any size. Leave out what resizes, crops or reshapes maps to one size."
            )


def tensors_of_head(calls, axes):
    """The `id`s of the vectors, and maps of one pixel, from which no larger map is made."""
    head, steering = set(), set()
    for call in reversed(calls):
        for x in call.outputs:
            is_small = len(x.shape) == 2 or all(x.shape[axis] == 1 for axis in axes)
            (head if is_small and id(x) not in steering else steering).add(id(x))
        if any(id(x) in steering for x in call.outputs):
            steering.update(map(id, call.inputs))
    return head


class Place(NamedTuple):
    """Where a layer of the head stands.

    Attributes:
        window: Height and width of the map that it looks at, or that its vector was.
        on_maps: Whether it takes maps and gives maps.
        data_format: Of the maps.
    """

    window: tuple
    on_maps: bool
    data_format: str

    @property
    def channel_axis(self):
        return 3 if self.data_format == "channels_last" else 1


def place_of(call, windows, data_format, is_head):
    seen = [
        tuple(x.shape[axis] for axis in spatial_axes(data_format))
        if len(x.shape) == 4
        else windows.get(id(x))
        for x in call.inputs
    ]
    if is_head and (None in seen or len(set(seen)) > 1):
        raise refusal(call.operation, f"must see one map or vectors of one, and sees {seen}")
    on_maps = len(call.inputs[0].shape) == len(call.outputs[0].shape) == 4
    return Place(seen[0], on_maps, data_format)


class Part(NamedTuple):
    """A layer of the new model and the weights it gets."""

    layer: keras.Operation
    weights: list


def give_own_names(parts, names):
    """Renames layers of nested models that have a name already given to another."""
    for layer, _ in parts:
        name, count = layer.name, 1
        while layer.name in names:
            layer.name, count = f"{name}_{count}", count + 1
        names.add(layer.name)


def run(call, parts, rebuilt):
    """The new tensors, by the `id` of those that they stand for."""
    args, kwargs = keras.tree.map_structure(
        lambda x: rebuilt.get(id(x), x), (call.args, call.kwargs)
    )
    outputs = [rebuilt[id(call.inputs[0])]]
    for i, (layer, weights) in enumerate(parts):
        try:
            y = layer(*args, **kwargs) if i == 0 else layer(outputs[0])
        except (TypeError, ValueError) as error:
            raise refusal(call.operation, "does not take maps of any size") from error
        if weights:
            layer.set_weights(weights)
        outputs = keras.tree.flatten(y)
    return zip(map(id, call.outputs), outputs)


def refusal(layer, reason):
    return ValueError(
        f"Every layer of `classifier` must be able to slide. Received: layer '{layer.name}' of "
        f"class {type(layer).__name__}, which {reason}"
    )


def copy(layer, place, **changes):
    """The layer once more, with its weights; an operation of `keras.ops` is its own copy."""
    if not isinstance(layer, layers.Layer):
        return [Part(layer, [])]
    return [Part(type(layer).from_config({**layer.get_config(), **changes}), layer.get_weights())]


@functools.singledispatch
def slide(layer, place):
    """What a layer of the head becomes where the image is larger than the window."""
    if place.on_maps:
        return copy(layer, place)
    raise refusal(layer, "works on vectors in a way that is not known to slide")


for layer_class in POINTWISE:  # of them, `Activation` has more to do, see below
    slide.register(layer_class, copy)


@slide.register(layers.Flatten)
def slide_flatten(layer, place):
    return []


@slide.register(layers.Reshape)
def slide_reshape(layer, place):
    if place.window != (1, 1):
        raise refusal(layer, "lays out a map of several pixels: use Flatten")
    return []


@slide.register(layers.GlobalAveragePooling2D)
@slide.register(layers.GlobalMaxPooling2D)
def slide_global_pooling(layer, place):
    is_average = isinstance(layer, layers.GlobalAveragePooling2D)
    pooling = layers.AveragePooling2D if is_average else layers.MaxPooling2D
    arguments = {"data_format": place.data_format, "dtype": layer.dtype_policy, "name": layer.name}
    return [Part(pooling(place.window, strides=1, **arguments), [])]


@slide.register(layers.Dense)
def slide_dense(layer, place):
    """A convolution with the arguments of the `Dense`, whose kernel is as large as the window."""
    config = layer.get_config()
    config["filters"] = config.pop("units")
    config["kernel_size"] = place.window
    config["data_format"] = place.data_format
    config["activation"] = layer.activation
    config.pop("quantization_config", None)
    behind = []
    if works_along_last_axis(layer, place):
        config["activation"] = None
        behind = [softmax(layer, place, f"{layer.name}_softmax")]
    kernel, *bias = layer.get_weights()
    kernel = kernel.reshape(*place.window, -1, layer.units)
    return [Part(layers.Conv2D.from_config(config), [kernel, *bias]), *behind]


@slide.register(layers.Activation)
def slide_activation(layer, place):
    if layer.activation in ALONG_LAST_AXIS and place.window != (1, 1):
        raise refusal(layer, "mixes the positions of a flattened map")
    if works_along_last_axis(layer, place):
        return [softmax(layer, place, layer.name)]
    return copy(layer, place)


def works_along_last_axis(layer, place):
    """Whether its activation is a softmax whose axis must be told, since it is not the last."""
    if place.data_format == "channels_last" or layer.activation not in ALONG_LAST_AXIS:
        return False
    if layer.activation is not keras.activations.softmax:
        name = layer.activation.__name__
        raise refusal(layer, f"has the activation {name!r}, made for channels_last")
    return True


def softmax(layer, place, name):
    return Part(layers.Softmax(axis=place.channel_axis, dtype=layer.dtype_policy, name=name), [])


@slide.register(layers.BatchNormalization)
@slide.register(layers.Concatenate)
@slide.register(layers.LayerNormalization)
@slide.register(layers.Softmax)
def slide_along_channels(layer, place):
    if place.window != (1, 1):
        raise refusal(layer, "treats every position of a flattened map by itself")
    return copy(layer, place, axis=place.channel_axis)
