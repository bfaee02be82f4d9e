"""The pieces that several drawings share."""

import functools
import inspect

import keras
from keras import layers

from kerasseg.layers import BilinearUpsampling2D, CenterCropLike


def in_data_format(build):
    """Decorator of a model function: its `data_format` holds for every layer it makes.

    Layers take `keras.config.image_data_format()` when they are not told otherwise, so the
    drawing need not repeat the argument; the user's own setting comes back afterwards.
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def wrapper(*args, **kwargs):
        data_format = signature.bind(*args, **kwargs).arguments.get("data_format")
        before = keras.config.image_data_format()
        keras.config.set_image_data_format(data_format or before)
        try:
            return build(*args, **kwargs)
        finally:
            keras.config.set_image_data_format(before)

    return wrapper


def channel_axis():
    """The axis of the channels in the current data format."""
    return -1 if keras.config.image_data_format() == "channels_last" else 1


def spatial_shape(input_shape):
    """(height, width) of an input shape without its batch axis."""
    return tuple(input_shape[:2] if channel_axis() == -1 else input_shape[1:])


def scale_filters(filters, width):
    """The filter count at `width`: rounded to the nearest integer, never below one."""
    if width <= 0:
        raise ValueError(f"`width` must be positive. Received: width={width}")
    return max(1, round(filters * width))


def conv_block(
    x, filters, name, kernel_size=3, batch_norm=True, convolution=layers.Conv2D, **arguments
):
    """Convolution, batch normalisation if wanted, ReLU: `name`, `name_bn`, `name_relu`.

    `convolution` is the class, `arguments` are more of what it takes; padding is "same" by default.
    """
    arguments = {"padding": "same", "kernel_initializer": "he_normal", **arguments}
    x = convolution(filters, kernel_size, name=name, **arguments)(x)
    if batch_norm:
        x = layers.BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
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
    """`x`, or its activation, in float32."""
    if activation == "softmax":  # over the classes, wherever their axis is
        return layers.Softmax(axis=channel_axis(), dtype="float32", name=name)(x)
    return layers.Activation(activation or "linear", dtype="float32", name=name)(x)
