"""The model that `kerasseg train` trains, with its loss, its optimizer and its metric."""

import contextlib
import inspect

import keras

from kerasseg import losses, metrics, models
from kerasseg.anatomy.outputs import output_of
from kerasseg.cli import model_files
from kerasseg.losses.pixel_weights import median_frequency_weights, weights_of_counts
from kerasseg.models.heads import head_of
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
        ValueError: an encoder, or weights for it, for a model that takes none; a file of a model
            that does not fit the images.
    """
    keras.utils.set_random_seed(settings["seed"])
    policy = "mixed_float16" if settings["mixed_precision"] else None
    with dtype_policy(policy):
        model = started(data, settings) if settings["start"] else built(data, settings)
        if settings["freeze"]:
            models.freeze(model)
        compile_for(model, data, settings, steps)
    print(f"{model.name}: {model.count_params():,} weights")
    return model


def built(data, settings):
    """A new model, as the settings say."""
    arguments = dict(NARROW.get(settings["model"], {}) if settings["width"] < 1 else {})
    build = getattr(models, settings["model"])
    for name in ("encoder", "encoder_weights"):
        if settings[name]:
            check_takes(build, name)
            arguments[name] = settings[name]
    shape = (None, None, data.image_shape[-1])
    model = build(shape, data.num_classes, width=settings["width"], **arguments)
    return with_classes_of(data, model)


def started(data, settings):
    """The model of a file, with a new head if its classes are not those of the data set."""
    path = settings["start"]
    model = model_files.load(path)
    channels = model_files.channels_of(model, path)
    if channels != data.image_shape[-1]:
        raise ValueError(
            f"{path} takes images of {channels} channel{'s' * (channels > 1)}, the folder has "
            f"{data.image_shape[-1]}. Take a model of such images."
        )
    known, meaning = model_files.classes_in(model), output_of(model)
    alike = meaning.num_classes == data.num_classes and known.multi_label == data.multi_label
    there, here = (", ".join(names) for names in (known.class_names, data.class_names))
    if not alike:
        show(
            f"{path} has {meaning.num_classes} classes ({there}), the folder {data.num_classes} "
            f"({here}): the head ({', '.join(head_of(model))}) is new, all other weights are kept."
        )
        model = models.with_new_head(model, data.num_classes, data.multi_label)
    elif tuple(known.class_names) != tuple(data.class_names):
        show(f"{path} has the classes {there}: its head is kept, now for {here}.")
    else:
        show(f"All weights are those of {path}.")
    return with_classes_of(data, model)


def with_classes_of(data, model):
    """The model with the names and colours of a data set, and the size of its images."""
    names = (data.class_names, data.colours, data.ignore_class, data.image_size)
    return models.with_classes(model, *names, **({"multi_label": True} if data.multi_label else {}))


def compile_for(model, data, settings, steps, done=0):
    """Compiles a model with its loss, its metric and an optimizer that has done so many steps."""
    told = output_of(model).arguments
    loss = getattr(losses, LOSSES[settings["loss"]])
    optimizer = keras.optimizers.Adam(cosine_with_warmup(settings["learning_rate"], steps))
    optimizer.iterations.assign(done)
    if settings["mixed_precision"]:  # `compile` would, but after a restart it would not
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    weights = class_weights(data, settings["balance"])
    model.compile(
        optimizer,
        loss=loss(data.ignore_class, weights, **told),
        metrics=[metrics.MeanIoU(data.num_classes, data.ignore_class, **told)],
    )


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
