"""A trained network for other classes: its weights, and a new head."""

import keras

from kerasseg.anatomy.graphs import graph_of
from kerasseg.anatomy.outputs import output_of, read_graph
from kerasseg.layers import NamedClasses

SIZES = ("filters", "units")  # what a layer's configuration calls its channels


def with_new_head(model, num_classes, multi_label=False):
    """A copy of a model that gives scores of other classes, with all weights but those of its head.

    The head is the last layers with weights: in most networks one convolution; where several are
    added up, as in `fcn8s` and `deeplab_v2`, each of them, and the upsampling between them. It is
    initialised as that of a new model. Names of classes are not kept: give new ones,
    `with_classes(model, names)`.

    Args:
        model: A functional `keras.Model` of one output, logits or probabilities.
        num_classes: Channels of the new output.
        multi_label: Whether each of them is a yes or no of its own.

    Returns:
        A functional `keras.Model` of the same input, not compiled. It shares nothing with `model`.

    Raises:
        ValueError: a model of several outputs, or whose last layers with weights are inside another
            model or have no number of channels; an activation that does not fit the new classes.

    Example:

    >>> old = kerasseg.models.unet((None, None, 3), num_classes=11, width=0.1)
    >>> new = with_new_head(old, num_classes=2)
    >>> new.output.shape, head_of(old)
    ((None, None, None, 2), ['scores'])
    """
    graph, meaning = graph_of(model), output_of(model)
    fitting = (None, "sigmoid" if multi_label else "softmax")
    if meaning.activation not in fitting:
        kinds = {True: "a yes or no for each label", False: "one of several classes"}
        raise ValueError(
            f"A model that ends in a {meaning.activation} cannot give {kinds[multi_label]}. Build "
            f"it without activation, or with activation={fitting[1]!r}."
        )
    heads = head_of(model)

    def copy(layer):
        config = layer.get_config()
        if layer.name in heads:
            (key,) = (name for name in SIZES if name in config)
            config[key] = num_classes
        return type(layer).from_config(config)

    copied = keras.models.clone_model(graph, clone_function=copy)
    for old, new in zip(graph.layers, copied.layers, strict=True):
        if old.name not in heads:
            new.set_weights(old.get_weights())
    last = copied.layers[-1]
    output = last.input if isinstance(last, NamedClasses) else copied.output
    return keras.Model(copied.inputs[0], output, name=model.name)


def head_of(model):
    """The names of the last layers with weights, the later ones first.

    Raises:
        ValueError: as in `with_new_head`.
    """
    graph, meaning = graph_of(model), output_of(model)
    if len(graph.outputs) != 1:
        raise ValueError(
            "`model` must have one output. "
            f"Received: model={model.name} of {len(graph.outputs)} outputs"
        )
    (output,), source, _ = read_graph(graph)
    channels = output.shape[meaning.axis]
    found, waiting, seen = [], [output], set()
    while waiting:
        tensor = waiting.pop()
        call = source.get(id(tensor))
        if call is None or id(tensor) in seen or tensor.shape[meaning.axis] != channels:
            continue
        seen.add(id(tensor))
        layer = call.operation
        if getattr(layer, "weights", ()):
            check_head(layer, graph)
            found.append(layer.name)
            # An upsampling of scores has as many channels before as after.
            if not isinstance(layer, keras.layers.Conv2DTranspose):
                continue
        waiting += call.inputs
    if not found:
        raise ValueError(
            f"`model` must end in a layer with weights. Received: model={model.name}, which has "
            "none before its output."
        )
    return list(dict.fromkeys(found))


def check_head(layer, graph):
    own = any(layer is other for other in graph.layers)
    if not own or not any(name in layer.get_config() for name in SIZES):
        raise ValueError(
            "The last layers with weights must be layers of the model itself with a number of "
            f"channels, such as Conv2D. Received: '{layer.name}' of class {type(layer).__name__}. "
            "Build the model with the new number of classes, and copy the weights."
        )
