"""The names and colours of a model's classes, inside the model."""

import keras

from kerasseg.anatomy.graphs import data_format_of, graph_of, unfold
from kerasseg.layers import NamedClasses


def with_classes(model, class_names, colours=None, ignore_class=255, image_size=None):
    """The same model, which also knows what its classes are called and look like.

    It shares layers and weights with `model` and gives the same logits; it ends in a
    `NamedClasses` layer that `model.save` keeps in the file. What such a layer said before is
    replaced. The new model is not compiled.

    Args:
        model: A functional or Sequential `keras.Model` of one output, with a channel a class.
        class_names: One name a class id.
        colours: One (red, green, blue), 0 to 255, a class id; `None` for no colours.
        ignore_class: The void id in the masks; `None` if every pixel has a class.
        image_size: (height, width) of the training pictures; `None` if they had no common size.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: names or colours that are not as many as the model's channels.

    Example:

    >>> model = with_classes(unet((None, None, 3), num_classes=2), ["background", "cell"])
    >>> classes_of(model).class_names
    ('background', 'cell')
    """
    calls, outputs = unfold(model, model.inputs)
    if len(outputs) != 1:
        raise ValueError(
            f"`model` must have one output. Received: model={model.name} of {len(outputs)} outputs"
        )
    shape = outputs[0].shape
    channels = shape[1 if len(shape) > 2 and data_format_of(calls) == "channels_first" else -1]
    if len(class_names) != channels:
        raise ValueError(
            f"`class_names` must name each of the model's {channels} classes. Received: "
            f"{len(class_names)} names, class_names={tuple(class_names)}"
        )
    known = classes_of(model)
    logits = model.outputs[0] if known is None else known.input
    layer = NamedClasses(class_names, colours, ignore_class, image_size, name="classes")
    return keras.Model(graph_of(model).input, layer(logits), name=model.name)


def classes_of(model):
    """The `NamedClasses` layer of a model, or `None` if it has none."""
    return next((layer for layer in model.layers if isinstance(layer, NamedClasses)), None)
