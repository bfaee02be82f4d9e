"""A classifier of `keras.applications` as an encoder: its last feature map of each stride."""

import re

import keras

from kerasseg.anatomy import keras_internals
from kerasseg.anatomy.graphs import graph_of, has_graph, is_of_a_user
from kerasseg.anatomy.padding import input_format
from kerasseg.layers import FusedBatchNormalization
from kerasseg.layers.windows import spatial_axes
from kerasseg.models.formats import channel_axis, data_format
from kerasseg.models.preprocessing import preprocessed
from kerasseg.models.pretrained import copy_weights, read_source

STRIDES = (2, 4, 8, 16, 32)
SIDE = 16 * STRIDES[-1]  # rows of the image on which strides are measured


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
    own_format = format_of(classifier, "encoder")
    check_channels(classifier, own_format, channels)
    maps = last_maps(classifier, own_format)
    if len(maps) < 2:
        raise ValueError(
            "`encoder` must have feature maps whose sizes are those of the image divided by at "
            f"least two of {STRIDES}, outside nested models. Received: encoder={classifier.name} "
            f"with maps of the strides {list(maps)}"
        )
    copy = copy_of(classifier, maps, own_format)
    if classifier is not encoder:  # layers that the user froze stay frozen in a copy of a model
        for layer in keras_internals.all_layers(copy):
            layer.trainable = True
    if not trainable:
        copy.trainable = False

    image = in_format(image, data_format(), own_format, "encoder_input")
    outputs = copy(preprocessed(image, classifier, own_format))
    return {
        stride: in_format(x, own_format, data_format(), f"encoder_stride{stride}")
        for stride, x in zip(maps, outputs)
    }


def format_of(model, argument):
    """The data format of a model of images."""
    shapes = [x.shape for x in graph_of(model).inputs] if has_graph(model) else []
    if [len(shape) for shape in shapes] != [4]:
        raise ValueError(
            f"`{argument}` must be a functional or Sequential model with one input, (batch, "
            f"height, width, channels). Received: {argument}={model.name} of class "
            f"{type(model).__name__} with inputs of the shapes {shapes}"
        )
    return input_format(model)


def channels_of(classifier, image_format):
    return graph_of(classifier).inputs[0].shape[3 if image_format == "channels_last" else 1]


def check_channels(classifier, image_format, channels):
    expected = channels_of(classifier, image_format)
    if channels != expected:
        raise ValueError(
            f"The images must have as many channels as `encoder` takes, {expected}. Received: "
            f"channels={channels}, encoder={classifier.name}. Build it with input_shape="
            f"{free_shape(channels, image_format)} and weights=None, or pass its name."
        )


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
    build = getattr(keras.applications, application)
    classifier = build(weights=None, include_top=False, input_shape=shape)
    if weights is None:
        return classifier
    if re.match(r"EfficientNetB\d", application) and str(weights).endswith(".h5"):
        raise ValueError(
            f"keras.applications.{application} has another preprocessing with its ImageNet weights "
            "than without, which a file of weights does not tell: `encoder_weights` must be a "
            f"model or a .keras file. Received: encoder_weights={str(weights)!r}"
        )
    source = read_source(weights, application, with_top=False)
    return with_weights_of(source, classifier, application)


def free_shape(channels, image_format):
    """An input shape with any height and width."""
    return (None, None, channels) if image_format == "channels_last" else (channels, None, None)


def with_weights_of(source, classifier, application):
    """The source, if it is of the classifier's kind, or the classifier for images of other bands.

    The source has what comes without weights, too, such as its preprocessing.
    """
    channels, layers = [], []
    for model, argument in ((classifier, "encoder"), (source, "encoder_weights")):
        own_format = format_of(model, argument)
        channels.append(channels_of(model, own_format))
        part = cut(model, last_maps(model, own_format))
        layers.append([layer for layer in part.layers if layer.weights])
    same = channels[0] == channels[1]
    takes_bands = re.fullmatch(r"VGG1[69]|ResNet(50|101|152)", application)
    if len(layers[0]) != len(layers[1]) or not (same or takes_bands):
        raise ValueError(
            f"`encoder_weights` must be those of keras.applications.{application} for images of "
            f"shape {classifier.inputs[0].shape}: {len(layers[0])} layers with weights. Received: "
            f"encoder_weights={source.name} for images of shape {graph_of(source).inputs[0].shape}:"
            f" {len(layers[1])} layers"
        )
    for layer, their_layer in zip(*layers):
        copy_weights(layer, their_layer, decimate=False)
    return source if same else classifier


def last_maps(classifier, image_format):
    """`{stride: tensor}`: the last feature map of each stride, read off the classifier's graph.

    A map counts if its height and width are those of the image divided by the stride, so that maps
    of all strides lie on each other; one that is padded for the next convolution does not.
    """
    graph = graph_of(classifier)
    axes = spatial_axes(image_format)
    shape = [1 if size is None else size for size in graph.inputs[0].shape]
    for axis in axes:
        shape[axis] = SIDE
    known, found = {id(graph.inputs[0]): keras.KerasTensor(shape)}, {}
    for node in keras_internals.nodes(graph):
        if not all(id(x) in known for x in node.input_tensors):
            continue
        args, kwargs = keras_internals.filled_in(node, known)
        try:
            outputs = node.operation.compute_output_spec(*args, **kwargs)
        except ValueError as error:
            if all(len(x.shape) == 4 for x in node.outputs):
                raise ValueError(
                    "`encoder` must take images of any size. Received: encoder="
                    f"{classifier.name}, whose layer {node.operation.name!r} takes no image of "
                    f"{SIDE}x{SIDE} pixels. If it is of keras.applications, build it with "
                    "include_top=False, or choose another one."
                ) from error
            continue  # fully connected layers
        for symbolic, x in zip(node.outputs, keras.tree.flatten(outputs)):
            known[id(symbolic)] = x
            sizes = {x.shape[axis] for axis in axes} if len(x.shape) == 4 else ()
            for stride in STRIDES:
                if sizes == {SIDE // stride}:
                    found[stride] = symbolic
    return {stride: found[stride] for stride in STRIDES if stride in found}


def cut(classifier, maps):
    """The part of a classifier that leads to some of its maps."""
    return keras.Model(graph_of(classifier).inputs[0], list(maps.values()))


def copy_of(classifier, maps, image_format):
    """The part of a classifier that leads to its maps, with weights of its own, for any size."""
    part = cut(classifier, maps)
    shape = free_shape(channels_of(classifier, image_format), image_format)
    image = keras.Input(shape, name="encoder_image")
    inside = keras_internals.all_layers(part)
    classes = {type(layer).__name__: type(layer) for layer in inside if is_of_a_user(layer)}
    with keras.saving.custom_object_scope(classes):  # for layers inside nested models
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
