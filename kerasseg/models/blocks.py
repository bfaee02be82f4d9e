"""The pieces that several drawings share."""

import functools
import inspect
import math
from collections.abc import Iterable
from numbers import Integral, Real

import keras
from keras import activations, layers

from kerasseg.anatomy.graphs import ALONG_LAST_AXIS
from kerasseg.layers import (
    AtrousConv2D,
    BilinearUpsampling2D,
    CenterCropLike,
    FusedBatchNormalization,
)


def in_data_format(build):
    """Decorator of a model function: its `data_format` holds for every layer it makes.

    Layers take `keras.config.image_data_format()` when they are not told otherwise, so the
    drawing need not repeat the argument; the user's own setting comes back afterwards. What every
    drawing takes, `input_shape` and `num_classes`, is checked here too.
    """
    names = list(inspect.signature(build).parameters)

    @functools.wraps(build)
    def wrapper(*args, **kwargs):
        given = {**dict(zip(names, args)), **kwargs}
        before = keras.config.image_data_format()
        keras.config.set_image_data_format(given.get("data_format") or before)
        try:
            check(given)
            return build(*args, **kwargs)
        finally:
            keras.config.set_image_data_format(before)

    return wrapper


def check(arguments):
    """Stops an `input_shape` or a `num_classes` of which no model can be made."""
    shape = arguments.get("input_shape", (1, 1, 1))
    axes = ("height", "width", "channels")
    axes = axes if channel_axis() == -1 else (axes[2], *axes[:2])
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    if len(sizes) != 3 or not all(
        is_count(size) or (size is None and axis != "channels") for axis, size in zip(axes, sizes)
    ):
        raise ValueError(
            f"`input_shape` must be ({', '.join(axes)}), positive integers; height and width may "
            f"be None. Received: input_shape={shape!r}"
        )
    num_classes = arguments.get("num_classes", 1)
    if not is_count(num_classes):
        raise ValueError(
            f"`num_classes` must be a positive integer. Received: num_classes={num_classes!r}"
        )


def is_count(number):
    return isinstance(number, Integral) and number > 0


def channel_axis():
    """The axis of the channels in the current data format."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def spatial_shape(input_shape):
    """(height, width) of an input shape without its batch axis."""
    return tuple(input_shape[:2] if channel_axis() == -1 else input_shape[1:])


def scale_filters(filters, width):
    """The filter count at `width`: rounded to the nearest integer, never below one."""
    if not isinstance(width, Real) or not 0 < width < math.inf:
        raise ValueError(f"`width` must be a positive number. Received: width={width!r}")
    return max(1, round(filters * width))


def conv2d(filters, kernel_size, rate=1, **arguments):
    """A convolution layer, with holes if `rate` is not 1."""
    if rate == 1:
        return layers.Conv2D(filters, kernel_size, **arguments)
    return AtrousConv2D(filters, kernel_size, rate, **arguments)


def conv_block(x, filters, name, kernel_size=3, batch_norm=True, convolution=conv2d, **arguments):
    """Convolution, batch normalisation if wanted, ReLU: `name`, `name_bn`, `name_relu`.

    `convolution` makes the layer, `arguments` are what else it takes; padding is "same" by default.
    """
    arguments = {"padding": "same", "kernel_initializer": "he_normal", **arguments}
    x = convolution(filters, kernel_size, name=name, **arguments)(x)
    if batch_norm:
        x = FusedBatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def score_head(x, num_classes, like=None, kernel_size=1, activation=None):
    """A convolution to one score a class, cropped to the size of `like` if given, in float32.

    The layer `logits` is float32 under every dtype policy: a softmax in half precision loses
    the small probabilities that the loss is made of.
    """
    x = layers.Conv2D(num_classes, kernel_size, padding="same", name="scores")(x)
    if like is not None:
        x = CenterCropLike(name="crop")(x, like)
    return output(x, activation)


def enlarge_scores(x, padded, image, activation=None, name="logits"):
    """Scores at every `s`-th pixel of `padded`, `s * n + 1` rows of them, at each one of `image`.

    Corners fall on corners, so the scores stay where they were computed and none is made up.
    """
    x = BilinearUpsampling2D(align_corners=True, dtype="float32", name=f"{name}_enlarge")(x, padded)
    x = CenterCropLike(dtype="float32", name=f"{name}_crop")(x, image)
    return output(x, activation, name)


def output(x, activation=None, name="logits"):
    """`x`, or its activation, in float32; a softmax goes over the classes, wherever they are."""
    function = activations.get(activation)
    if function is activations.softmax:
        return layers.Softmax(axis=channel_axis(), dtype="float32", name=name)(x)
    if function in ALONG_LAST_AXIS and channel_axis() != -1:
        raise ValueError(
            "With channels_first the activation must be 'softmax' or go pixel by pixel. "
            f"Received: activation={activation!r}. Take logits and apply it along axis 1."
        )
    return layers.Activation(activation or "linear", dtype="float32", name=name)(x)
