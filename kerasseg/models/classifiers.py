"""A classifier of `keras.applications` as an encoder: its last feature map of each stride."""

import re

import keras

from kerasseg.anatomy import keras_internals
from kerasseg.anatomy.graphs import graph_of
from kerasseg.anatomy.padding import input_format
from kerasseg.layers import CaffePreprocessing, FusedBatchNormalization
from kerasseg.layers.windows import spatial_axes
from kerasseg.models.formats import channel_axis, data_format
from kerasseg.models.pretrained import copy_weights, read_source, shapes

STRIDES = (2, 4, 8, 16, 32)
SIDE = 16 * STRIDES[-1]  # rows of the image on which strides are measured

# What the networks of `keras.applications` expect, by their names in lower case, unless they begin
# with a preprocessing of their own.
CAFFE = re.compile(r"vgg(16|19)$|resnet(50|101|152)$")
STANDARDIZED = re.compile(r"densenet|convnext|efficientnetv2-b")
SIGNED = re.compile(r"mobilenet|inception|xception|nasnet|resnet\d+v2|efficientnet")
MEANS, VARIANCES = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)  # of ImageNet


def feature_maps(image, encoder, encoder_weights=None, trainable=True):
    """The feature maps of a classifier, which becomes the layer `encoder` of another model.

    It is a copy with weights of its own, for images of any size; the classifier itself stays as it
    is. `FusedBatchNormalization` takes the place of `BatchNormalization`, of which it is a faster
    version. A classifier of another data format works in its own.

    Args:
        image: Images in [0, 1], `(batch, height, width, channels)`, height and width multiples
            of 32.
        encoder: A `keras.Model`, or the name of a function in `keras.applications`.
        encoder_weights: `None`, `"imagenet"`, a path or a `keras.Model`; for an `encoder` that is a
            name.
        trainable: Whether the copy learns.

    Returns:
        `{stride: map}`, of the strides 2, 4, 8, 16 and 32 that there are, in this order.

    Raises:
        ValueError: an `encoder` that is neither, that has other channels than the image, or has no
            maps of two strides; weights that do not fit.
    """
    channels = image.shape[channel_axis()]
    if not isinstance(encoder, keras.Model):
        classifier = application_of(encoder, channels, encoder_weights)
    elif encoder_weights is None:
        classifier = encoder
    else:
        raise ValueError(
            "An `encoder` that is a model brings its weights along, so `encoder_weights` must be "
            f"None. Received: encoder={encoder.name}, encoder_weights={encoder_weights!r}"
        )
    maps = last_maps(classifier)
    check(classifier, maps, channels)
    copy = copy_of(classifier, maps)
    if not trainable:  # otherwise layers that the classifier has frozen stay so
        copy.trainable = False

    own_format = input_format(classifier)
    x = preprocessed(in_format(image, data_format(), own_format, "encoder_input"), classifier)
    return {
        stride: in_format(x, own_format, data_format(), f"encoder_stride{stride}")
        for stride, x in zip(maps, copy(x))
    }


def application_of(name, channels, weights):
    """The classifier of that name in `keras.applications`, without its fully connected layers."""
    functions = {x.lower(): x for x in dir(keras.applications) if x[0].isupper()}
    if not isinstance(name, str) or name.lower() not in functions:
        raise ValueError(
            "`encoder` must be None, a keras.Model, or the name of a network in "
            f"keras.applications, such as 'vgg16' or 'resnet50'. Received: encoder={name!r}"
        )
    application = functions[name.lower()]
    shape = free_shape(channels, keras.config.image_data_format())
    source = None if weights is None else read_source(weights, application, with_top=False)
    build = getattr(keras.applications, application)
    classifier = build(weights=None, include_top=False, input_shape=shape)
    if source is not None:
        fill(classifier, source, application)
    return classifier


def free_shape(channels, image_format):
    """An input shape with any height and width."""
    return (None, None, channels) if image_format == "channels_last" else (channels, None, None)


def fill(classifier, source, application):
    """Copies weights layer by layer; the last layers of the source may be left over."""
    ours, theirs = (
        [layer for layer in cut(model, last_maps(model)).layers if layer.weights]
        for model in (classifier, source)
    )
    image = classifier.inputs[0].shape, source.inputs[0].shape
    other_bands = image[0][-1] != image[1][-1] and not CAFFE.match(classifier.name)
    if len(ours) != len(theirs) or other_bands:
        raise ValueError(
            f"`encoder_weights` must be those of keras.applications.{application} for "
            f"images of shape {image[0]}: {len(ours)} layers with weights. Received: "
            f"encoder_weights={source.name} for images of shape {image[1]}: {len(theirs)} layers"
        )
    for layer, their_layer in zip(ours, theirs):
        if shapes(layer):
            copy_weights(layer, their_layer, decimate=False)


def last_maps(classifier):
    """`{stride: tensor}`: the last feature map of each stride, read off the classifier's graph.

    A map counts if its height and width are those of the image divided by the stride, so that maps
    of all strides lie on each other; one that is padded for the next convolution does not.
    """
    graph = graph_of(classifier)
    axes = spatial_axes(input_format(classifier))
    shape = [1 if size is None else size for size in graph.inputs[0].shape]
    for axis in axes:
        shape[axis] = SIDE
    known, found = {id(graph.inputs[0]): keras.KerasTensor(shape)}, {}
    for node in keras_internals.nodes(graph):
        if isinstance(node.operation, keras.layers.Flatten) or not all(
            id(x) in known for x in node.input_tensors
        ):
            continue  # fully connected layers, for which this image has another size than theirs
        args, kwargs = keras_internals.filled_in(node, known)
        outputs = keras.tree.flatten(node.operation.compute_output_spec(*args, **kwargs))
        for symbolic, x in zip(node.outputs, outputs):
            known[id(symbolic)] = x
            sizes = {x.shape[axis] for axis in axes} if len(x.shape) == 4 else ()
            for stride in STRIDES:
                if sizes == {SIDE // stride}:
                    found[stride] = symbolic
    return {stride: found[stride] for stride in STRIDES if stride in found}


def check(classifier, maps, channels):
    axis = 3 if input_format(classifier) == "channels_last" else 1
    expected = classifier.inputs[0].shape[axis]
    if len(maps) < 2:
        raise ValueError(
            "`encoder` must have feature maps whose sizes are those of the image divided by at "
            f"least two of {STRIDES}, outside nested models. Received: encoder={classifier.name} "
            f"with maps of the strides {list(maps)}"
        )
    if channels != expected:
        raise ValueError(
            f"The images must have the {expected} channels that `encoder` takes. Received: "
            f"{channels} channels, encoder={classifier.name}. Build it with input_shape="
            f"{free_shape(channels, input_format(classifier))} and weights=None, or pass its name."
        )


def cut(classifier, maps):
    """The part of a classifier that leads to some of its maps."""
    return keras.Model(graph_of(classifier).inputs[0], list(maps.values()))


def copy_of(classifier, maps):
    """The part of a classifier that leads to its maps, with weights of its own, for any size."""
    part = cut(classifier, maps)
    axis = 3 if input_format(classifier) == "channels_last" else 1
    shape = free_shape(part.inputs[0].shape[axis], input_format(classifier))
    image = keras.Input(shape, name="encoder_image")
    copy = keras.models.clone_model(part, input_tensors=image, clone_function=fused)
    copy = keras.Model(image, copy.outputs, name="encoder")
    copy.set_weights(part.get_weights())
    return copy


def fused(layer):
    """A new layer of the same config."""
    kind = type(layer)
    if kind is keras.layers.BatchNormalization:
        kind = FusedBatchNormalization
    return kind.from_config(layer.get_config())


def in_format(x, given, wanted, name):
    """A map with its axes in the wanted order."""
    if given == wanted:
        return x
    order = (3, 1, 2) if wanted == "channels_first" else (2, 3, 1)
    return keras.layers.Permute(order, name=name)(x)


def preprocessed(image, classifier):
    """Images in [0, 1] as a classifier expects them; unchanged for a network of one's own."""
    name, given = classifier.name.lower().replace("_", ""), input_format(classifier)
    if has_preprocessing(classifier, name):  # of images from 0 to 255
        return keras.layers.Rescaling(255.0, name="preprocessing")(image)
    if CAFFE.match(name):
        return CaffePreprocessing(given, name="preprocessing")(image)
    if STANDARDIZED.match(name):
        axis = 3 if given == "channels_last" else 1
        return keras.layers.Normalization(axis, MEANS, VARIANCES, name="preprocessing")(image)
    if SIGNED.match(name):
        return keras.layers.Rescaling(2.0, -1.0, name="preprocessing")(image)
    return image


def has_preprocessing(classifier, name):
    """Whether a classifier begins with a layer that expects 0 to 255."""
    for layer in classifier.layers[:3]:
        if isinstance(layer, keras.layers.Rescaling) and layer.scale < 0.1:
            return True
        if isinstance(layer, keras.layers.Normalization) and name.startswith("convnext"):
            return True
    return False
