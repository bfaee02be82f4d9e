"""Weights of `keras.applications` for the encoders of this package."""

import logging
import math
import re
import warnings
from pathlib import Path

import keras
import numpy as np

from kerasseg.layers.preprocessing import MEANS
from kerasseg.models.downloads import download

APPLICATIONS = {"vgg16": "VGG16", "resnet50": "ResNet50", "resnet101": "ResNet101"}
TOP = ("fc1", "fc2")  # VGG-16's fully connected layers, which weights need not have
# How `keras.applications` begins the names of what an encoder is made of: "block3_", "conv4_".
STAGE = re.compile(r"(block|conv)\d+_")


def load_encoder(model, encoder_weights, application, names, decimate=False):
    """Fills the encoder of `model` layer by layer with the weights of a `keras.applications` model.

    - Shapes must agree, but for these cases.
    - A fully connected layer becomes a convolution: its rows are the positions of the map that it
      was trained on, row by row, and the channels of each.
    - With `decimate`, a convolution smaller than its fully connected layer takes evenly spaced
      entries of it: of 7x7 taps and 4096 filters, a convolution of 3x3 and 1024 takes the taps
      0, 3, 6 and every fourth filter (Chen et al. 2015, section 3.2).
    - The first layer of a grey input takes the sum of its kernels for red, green and blue. It gives
      what it gives for the grey image in three channels, but for the border, where it sees the
      zeros around the image. That of an input with `n` bands takes the kernels in turn, red, green,
      blue, red, …, times `3 / n`, so that its outputs are as large as those of three.
    - Where the weights have no fully connected layers, ours start at random, and a line of the log
      says so.

    Args:
        model: The `keras.Model` to fill, with a layer of each name in `names`.
        encoder_weights: `None` (nothing happens), `"imagenet"` (downloads), the path of a saved
            model (`.keras`) or of its weights (`.h5`), or a `keras.Model`.
        application: Name of the function in `keras.applications`: `"VGG16"`, `"ResNet50"`, ….
        names: `{name of our layer: name of theirs}`.
        decimate: Whether our convolutions may be smaller than their fully connected layers.

    Returns:
        `model`.

    Raises:
        ValueError: If the source has another layer than `names` in a stage of its encoder (VGG-19
            for VGG-16), lacks one, or has one of another shape: with the names and both shapes.
    """
    if encoder_weights is None:
        return model
    with_top = not set(names.values()).isdisjoint(TOP)
    source = read_source(encoder_weights, application, with_top)
    theirs = {layer.name: layer for layer in source.layers}
    left_over = [
        name
        for name, layer in theirs.items()
        if STAGE.match(name) and layer.weights and name not in names.values()
    ]
    if left_over:
        raise ValueError(
            f"`encoder_weights` must be those of keras.applications.{application}. "
            f"Received: encoder_weights={source.name}, which also has the layers {left_over}"
        )
    at_random = [name for name, their_name in names.items() if is_absent(their_name, theirs)]
    if at_random:
        logging.getLogger("kerasseg").warning(
            "%s: %s start at random, since the encoder weights have no fully connected layers",
            model.name,
            " and ".join(at_random),
        )
    for name, their_name in names.items():
        if name in at_random:
            continue
        if their_name not in theirs:
            raise ValueError(
                f"`encoder_weights` must have a layer {their_name!r} for layer {name!r}. "
                f"Received: encoder_weights={source.name} with layers {list(theirs)}"
            )
        copy_weights(model.get_layer(name), theirs[their_name], decimate)
    return model


def is_absent(name, theirs):
    """Whether `name` is a fully connected layer, and the weights have none at all."""
    return name in TOP and not any(top in theirs for top in TOP)


def read_source(encoder_weights, application, with_top):
    """The `keras.applications` model that `encoder_weights` means."""
    if isinstance(encoder_weights, keras.Model):
        return encoder_weights
    build = getattr(keras.applications, application)
    if encoder_weights == "imagenet":
        return download(build, application, include_top=with_top)
    is_path = isinstance(encoder_weights, (str, Path))
    if not is_path or Path(encoder_weights).suffix not in (".keras", ".h5"):
        raise ValueError(
            "`encoder_weights` must be None, 'imagenet', the path of a .keras or .h5 file or a "
            f"keras.Model. Received: encoder_weights={encoder_weights!r}"
        )
    if not Path(encoder_weights).is_file():
        raise ValueError(
            "`encoder_weights` must be a file that exists. No such file: "
            f"encoder_weights={str(encoder_weights)!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of each layer that does not fit
            if Path(encoder_weights).suffix == ".keras":
                source = keras.saving.load_model(encoder_weights, compile=False)
                source.layers  # noqa: B018, a layer or a loss has none
                return source
            return read_weights(encoder_weights, build, with_top)
    except Exception as error:  # damage shows in many ways
        raise ValueError(
            "The file must be whole and hold the weights of "
            f"keras.applications.{application}. Received: encoder_weights={str(encoder_weights)!r}"
        ) from error


def read_weights(path, build, with_top):
    """The model with the weights of a file, which may hold the classifier or not."""
    try:
        source = build(weights=None, include_top=with_top)
        source.load_weights(path)
    except ValueError:
        source = build(weights=None, include_top=not with_top)
        source.load_weights(path)
    return source


def copy_weights(layer, source, decimate):
    decimate = decimate and isinstance(source, keras.layers.Dense)
    values = source.get_weights()
    if len(values) == len(shapes(layer)):
        bands = shapes(layer)[0][2:3]
        if values[0].ndim == 4 and values[0].shape[2] == 3 and bands != (3,):
            values[:2] = for_bands(*values[:2], *bands)
        values = [fit(value, shape, decimate) for value, shape in zip(values, shapes(layer))]
    if [value.shape for value in values] != shapes(layer):
        raise ValueError(
            f"The encoder's weights do not fit layer {layer.name!r}, which has the shapes "
            f"{shapes(layer)}. Received: layer {source.name!r} with the shapes {shapes(source)}"
        )
    layer.set_weights(values)


def shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def fit(value, shape, decimate):
    """`value` in the form of `shape` where there is a rule for it, else as it is."""
    if value.ndim == 2 and len(shape) == 4:
        value = as_convolution(value, shape)
    if decimate and value.ndim == len(shape):
        for axis, count in enumerate(shape):
            value = take_evenly(value, axis, count)
    return value


def as_convolution(kernel, shape):
    """A dense kernel `(rows * columns * channels, filters)` with its axes apart."""
    inputs, filters = kernel.shape
    rows = 1 if shape[0] == 1 else math.isqrt(inputs // shape[2])
    channels = inputs // rows**2
    return kernel.reshape(rows, rows, channels, filters) if rows**2 * channels == inputs else kernel


def for_bands(kernel, bias, bands):
    """Kernel and bias for blue, green, red, made to take another number of channels.

    Grey loses the mean of the three means in the preprocessing: the bias makes up for the rest.
    """
    if bands == 1:
        rest = np.mean(MEANS) - MEANS[::-1]
        return kernel.sum(axis=2, keepdims=True), bias + rest @ kernel.sum(axis=(0, 1))
    return kernel[:, :, [2 - band % 3 for band in range(bands)]] * (3 / bands), bias


def take_evenly(value, axis, count):
    """`count` entries along `axis`, from the first on, as far apart as they can be."""
    length = value.shape[axis]
    if count > length:
        return value
    step = (length - 1) // max(count - 1, 1)
    return np.take(value, [i * step for i in range(count)], axis)
