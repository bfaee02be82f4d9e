"""The pieces that several architectures share."""

import math
from numbers import Real

from keras import activations

from kerasseg.anatomy.graphs import ALONG_LAST_AXIS
from kerasseg.models.formats import channel_axis, layers


def scale_filters(filters, width):
    """The filter count at `width`: rounded to the nearest integer, never below one."""
    if not isinstance(width, Real) or not 0 < width < math.inf:
        raise ValueError(f"`width` must be a positive number. Received: width={width!r}")
    return max(1, round(filters * width))


def conv2d(filters, kernel_size, rate=1, **arguments):
    """A convolution layer, dilated if `rate` is not 1."""
    if rate == 1:
        return layers.Conv2D(filters, kernel_size, **arguments)
    return layers.AtrousConv2D(filters, kernel_size, rate, **arguments)


def conv_block(x, filters, name, kernel_size=3, batch_norm=True, convolution=conv2d, **arguments):
    """Convolution, batch normalization if wanted, ReLU: `name`, `name_bn`, `name_relu`.

    `convolution` makes the layer, `arguments` are what else it takes; padding is "same" by default.
    """
    arguments = {"padding": "same", "kernel_initializer": "he_normal", **arguments}
    x = convolution(filters, kernel_size, name=name, **arguments)(x)
    if batch_norm:
        x = layers.FusedBatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def scores(x, num_classes, kernel_size=1):
    """A convolution to one score per class: `scores`."""
    return layers.Conv2D(num_classes, kernel_size, padding="same", name="scores")(x)


def enlarged(x, like, name="enlarge"):
    """Scores at every `s`-th pixel of `like`, `s * n + 1` rows of them, at each of its pixels.

    Corners fall on corners, so the scores stay where they were computed and none is made up.
    """
    return layers.BilinearUpsampling2D(align_corners=True, dtype="float32", name=name)(x, like)


def output(x, activation=None, name="logits"):
    """`x`, or its activation, in float32; a softmax goes over the classes, wherever they are.

    Float32 under every dtype policy: a softmax in half precision loses the small probabilities that
    the loss is made of.
    """
    function = activations.get(activation)
    if function is activations.softmax:
        if x.shape[channel_axis()] == 1:
            raise ValueError(
                "A softmax over one channel is 1 everywhere. Received: activation='softmax' with "
                "one channel. One channel needs activation='sigmoid'; a softmax needs a channel "
                "for the background, too."
            )
        return layers.Softmax(axis=channel_axis(), dtype="float32", name=name)(x)
    if function in ALONG_LAST_AXIS and channel_axis() != -1:
        raise ValueError(
            "With channels_first the activation must be 'softmax' or go pixel by pixel. "
            f"Received: activation={activation!r}. Take logits and apply it along axis 1."
        )
    return layers.Activation(activation or "linear", dtype="float32", name=name)(x)
