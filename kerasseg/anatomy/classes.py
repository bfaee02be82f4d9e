"""The names and colours of a model's classes, inside the model."""

import keras

from kerasseg.anatomy.graphs import called, graph_of
from kerasseg.anatomy.outputs import classes_of, output_of
from kerasseg.layers import NamedClasses

__all__ = ["classes_of", "with_classes"]


def with_classes(
    model, class_names, colours=None, ignore_class=255, image_size=None, multi_label=None
):
    """The same model, which also stores the names and colours of its classes.

    It shares layers and weights with `model` and gives the same output; it ends in a
    `NamedClasses` layer that `model.save` keeps in the file. What such a layer said before is
    replaced. The new model is not compiled. A subclassed model is called inside the new one, and
    its class is needed to load the file.

    Args:
        model: A `keras.Model` of one output, with a channel a class.
        class_names: One name a class id. A binary model, of one channel, has two, for the ids 0 and
            1, or one alone: then id 0 is called "background", in black.
        colours: One (red, green, blue), 0 to 255, a name; `None` for no colours.
        ignore_class: The void id in the masks; `None` if every pixel has a class.
        image_size: (height, width) of the training images; `None` if they had no common size.
        multi_label: Whether each channel is a yes or no of its own. `None`: if it is a sigmoid.

    Returns:
        A functional `keras.Model`.

    Raises:
        ValueError: names or colours that are not as many as the model's classes; `multi_label` and
            an activation that contradict each other.

    Example:

    >>> model = kerasseg.models.unet((None, None, 3), num_classes=2, width=0.1)
    >>> classes_of(with_classes(model, ["background", "cell"])).class_names
    ('background', 'cell')
    """
    graph = graph_of(model)
    if len(graph.outputs) != 1:
        raise ValueError(
            "`model` must have one output. "
            f"Received: model={model.name} of {len(graph.outputs)} outputs"
        )
    output = output_of(model)
    by_activation = {"softmax": False, "sigmoid": True}.get(output.activation)
    if output.labels == "binary":
        multi_label = False
    elif multi_label is not None and by_activation not in (None, multi_label):
        raise ValueError(
            f"A model of several channels that ends in a {output.activation} must have "
            f"multi_label={by_activation}. Received: multi_label={multi_label}"
        )
    elif multi_label is None:
        multi_label = output.labels == "multilabel"
    count = output.num_classes
    if len(class_names) != count and not (output.labels == "binary" and len(class_names) == 1):
        raise ValueError(
            f"`class_names` must name each of the model's {count} classes. Received: "
            f"{len(class_names)} names, class_names={tuple(class_names)}"
        )
    layer = NamedClasses(
        class_names, colours, ignore_class, image_size, multi_label, name="classes"
    )
    image, (logits,) = called(model)
    last = graph.layers[-1]
    if isinstance(last, NamedClasses) and logits is graph.outputs[0]:
        logits = last.input
    return keras.Model(image, layer(logits), name=model.name)
