"""The model that `kerasseg train` trains, with its loss, its optimizer and its metric."""

import contextlib
import inspect

import keras

from kerasseg import losses, metrics, models
from kerasseg.losses.pixel_weights import median_frequency_weights, weights_of_counts
from kerasseg.training import cosine_with_warmup
from kerasseg.training.selection import with_source
from kerasseg_command.terminal import show
from kerasseg_command.train import MODELS

LOSSES = {"crossentropy": "CrossEntropy", "dice": "Dice", "both": "CrossEntropyDice"}
NARROW = {"unet": {"dropout": 0.2}}  # with fewer filters than the paper's, 0.5 is too much


def compiled(data, settings, steps):
    """The model before the first step.

    Args:
        data: The `kerasseg.datasets.Dataset` to train on.
        settings: The options of `kerasseg train`, as a dict.
        steps: How many steps the training has.

    Raises:
        ValueError: an encoder, or weights for it, for a model that takes none.
    """
    keras.utils.set_random_seed(settings["seed"])
    arguments = dict(NARROW.get(settings["model"], {}) if settings["width"] < 1 else {})
    build = getattr(models, settings["model"])
    for name in ("encoder", "encoder_weights"):
        if settings[name]:
            check_takes(build, name)
            arguments[name] = settings[name]
    multi_label = {"multi_label": True} if data.multi_label else {}
    with dtype_policy("mixed_float16" if settings["mixed_precision"] else None):
        model = build(
            (None, None, data.image_shape[-1]),
            data.num_classes,
            width=settings["width"],
            **arguments,
        )
        names = (data.class_names, data.colours, data.ignore_class, data.image_size)
        model = models.with_classes(model, *names, **multi_label)
        loss = getattr(losses, LOSSES[settings["loss"]])
        optimizer = keras.optimizers.Adam(cosine_with_warmup(settings["learning_rate"], steps))
        if settings["mixed_precision"]:  # `compile` would, but after a restart it would not
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        weights = class_weights(data, settings["balance"])
        model.compile(
            optimizer,
            loss=loss(data.ignore_class, weights, **multi_label),
            metrics=[metrics.MeanIoU(data.num_classes, data.ignore_class, **multi_label)],
        )
    show(f"{model.name}: {model.count_params():,} weights")
    return model


def check_takes(build, argument):
    if argument not in inspect.signature(build).parameters:
        option = "--" + argument.replace("_", "-")
        others = [x for x in MODELS if argument in inspect.signature(getattr(models, x)).parameters]
        raise ValueError(
            f"{build.__name__} takes no {option}. Leave it out, or choose one of these models: "
            f"{', '.join(others)}."
        )


def class_weights(data, power):
    """Median-frequency weights of the training images as they are, to a power."""
    if power == 0 or data.multi_label:  # each label is scored separately, however rare
        return None
    if data.class_pixels is None:
        batches = with_source(data, augment=0).train
        weights = median_frequency_weights(batches, data.num_classes, data.ignore_class)
    else:
        weights = weights_of_counts(data.class_pixels)
    weights **= power
    show(f"class weights: {dict(zip(data.class_names, weights.round(2).tolist()))}")
    return weights


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made inside have this policy, `None` for the usual one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
