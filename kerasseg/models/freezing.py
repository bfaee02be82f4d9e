"""Encoders that keep their weights while the rest of a model learns."""

import re

from kerasseg.anatomy.keras_internals import all_layers

# A classifier inside a model, or the layers of VGG-16 and of a ResNet, normalizations included.
ENCODER = re.compile(r"encoder$|encoder\d_conv\d|conv\d_(block|conv|bn)")


def freeze(model):
    """Makes the encoder keep its weights: its batch normalization works as in prediction.

    Its dropout does not: it drops values in training, as it does in an encoder that learns. Call
    `model.compile` afterwards. `unfreeze` says what the encoder is.

    Args:
        model: A segmentation model of this package.

    Raises:
        ValueError: if no layer of the model has the name of an encoder's.

    Example:

    >>> model = kerasseg.models.segnet((32, 32, 3), 2, width=0.05)
    >>> freeze(model)
    >>> len(model.trainable_weights)
    50
    """
    set_trainable(model, False)


def unfreeze(model):
    """Lets the encoder of a model built with `encoder_trainable=False` learn again.

    All of its layers learn, also those that were frozen in the classifier it was made of, and its
    batch normalization takes the statistics of each batch in training. Call `model.compile`
    afterwards, which Keras needs to notice: with a learning rate of a tenth or less, so that the
    first steps do not destroy what the encoder has learned. Also works on a model that was loaded
    from a file.

    The encoder is what `encoder_weights` fill, with its normalizations, but without the fully
    connected layers fc6 and fc7, which always learn. Layers are recognized by their names, so the
    first layers of a `unet` that was built without an `encoder` count as one.

    Args:
        model: A segmentation model of this package.

    Raises:
        ValueError: if no layer of the model has the name of an encoder's.

    Example:

    >>> model = kerasseg.models.segnet((32, 32, 3), 2, width=0.05, encoder_trainable=False)
    >>> len(model.trainable_weights)
    50
    >>> unfreeze(model)
    >>> len(model.trainable_weights)
    102
    """
    set_trainable(model, True)


def set_trainable(model, value):
    found = [layer for layer in all_layers(model) if ENCODER.match(layer.name)]
    if not found:
        raise ValueError(
            "`model` must have an encoder: layers named as those of this package's models. "
            f"Received: model={model.name}"
        )
    for layer in found:
        for part in (layer, *all_layers(layer)):  # Keras passes on what changes alone
            part.trainable = value
