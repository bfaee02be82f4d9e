"""What a classifier expects of an image, read off its graph and the names of its layers."""

import logging
import re

import keras
import numpy as np

from kerasseg.anatomy import keras_internals
from kerasseg.anatomy.graphs import graph_of
from kerasseg.layers import CaffePreprocessing

# How the layers of a network of `keras.applications` are called, in their order. A model may have
# any name of its own, and be a part of such a network.
CAFFE = re.compile(r"\bblock1_conv2 block1_pool\b|\bconv1_bn\b.*\bpool1_pool\b")  # VGG, ResNet
SIGNED = re.compile(  # MobileNet, its versions 2 and 3, ResNetV2, Xception, NASNet
    r"\bconv_dw_1\b|\bexpanded_conv_depthwise\b|\bconv1_conv\b.*\bpool1_pool\b|\bblock1_conv1_bn\b"
    r"|\bstem_conv1\b"
)
WIDE = re.compile(r"\bstem_conv\b.*\bblock1a_add\b")  # EfficientNetV2-S, M and L
STANDARDIZED = re.compile(  # EfficientNetV2-B, DenseNet, ConvNeXt
    r"\bstem_conv\b|\bconv1_conv\b.*\bpool1\b|_downsampling_block_0\b"
)
MEANS, VARIANCES = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)  # of ImageNet


def preprocessed(image, classifier, data_format):
    """Images in [0, 1] as a classifier expects them; unchanged for a network of one's own.

    A classifier that begins with a preprocessing of its own gets images from 0 to 255, if these
    come out of it as numbers of at most 255, and otherwise in [0, 1].
    """
    largest = largest_preprocessed(classifier)
    names = " ".join(layer.name for layer in graph_of(classifier).layers)
    if largest is not None:
        layer = keras.layers.Rescaling(255.0, name="preprocessing") if largest <= 255 else None
    elif CAFFE.search(names):
        layer = CaffePreprocessing(data_format, name="preprocessing")
    elif SIGNED.search(names):
        layer = keras.layers.Rescaling(2.0, -1.0, name="preprocessing")
    elif WIDE.search(names):
        layer = keras.layers.Rescaling(255 / 128, -1.0, name="preprocessing")
    elif STANDARDIZED.search(names):
        layer = standardization(image, 3 if data_format == "channels_last" else 1)
    else:
        layer = None
        logging.getLogger("kerasseg").warning(
            "encoder %s: it is not known what it does to images first, so it gets them in [0, 1]",
            classifier.name,
        )
    return image if layer is None else layer(image)


def largest_preprocessed(classifier):
    """The largest number that a white image, of 255, becomes in front of the first weights.

    `None` if these see the image itself, which may be padded.
    """
    image = graph_of(classifier).inputs[0]
    calls = keras_internals.nodes(graph_of(classifier))
    seen = next((node.input_tensors[0] for node in calls if has_weights(node.operation)), image)
    if seen is image:
        return None
    white = np.full([1, *(size or 64 for size in image.shape[1:])], 255, "float32")
    values = keras.ops.convert_to_numpy(keras.Model(image, seen)(white, training=False))
    return None if set(np.unique(values)) <= {0, 255} else abs(values).max()


def has_weights(operation):
    """Whether an operation has weights, those of a normalization by fixed numbers left out."""
    is_fixed = isinstance(operation, keras.layers.Normalization)
    return bool(getattr(operation, "weights", None)) and not is_fixed


def standardization(image, axis):
    """Minus the mean of ImageNet, over its deviation: for red, green, blue, red, … or for grey."""
    channels = image.shape[axis]
    numbers = [
        [np.mean(of_rgb)] if channels == 1 else [of_rgb[i % 3] for i in range(channels)]
        for of_rgb in (MEANS, VARIANCES)
    ]
    return keras.layers.Normalization(axis, *numbers, name="preprocessing")
