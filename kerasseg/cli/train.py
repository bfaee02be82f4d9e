"""`kerasseg train DIR`: from a folder of images and masks to a model and the page of its run."""

import contextlib
import importlib.util
import inspect
import json
import math
import os
import sys
from functools import partial
from types import SimpleNamespace

import keras
import tensorflow as tf

from kerasseg import datasets, losses, metrics, models, training
from kerasseg.datasets import Dataset
from kerasseg.figures import learning_curves
from kerasseg.losses import median_frequency_weights
from kerasseg.training import cosine_with_warmup
from kerasseg.training.devices import find_devices
from kerasseg.training.evaluation import evaluate, score_table
from kerasseg.training.files import one_line, write_text_whole
from kerasseg.training.report import write_report

LOSSES = {"crossentropy": "CrossEntropy", "dice": "Dice", "both": "CrossEntropyDice"}
NARROW = {"unet": {"dropout": 0.2}}  # a net of fewer filters needs less than the paper's 0.5


def run(options):
    devices = find_devices(options.distribute)
    if devices.process:  # the first one speaks for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if options.distribute and devices.count == 1:
        print(f"There is one device: --distribute {options.distribute} changes nothing.")
    settings = settings_of(options)
    data = datasets.load(
        "folder",
        data_dir=options.folder,
        image_size=options.image_size,
        batch_size=options.batch_size,
        augment=options.augment,
        seed=options.seed,
    )
    kept = training.Run(
        options.output,
        data,
        epochs=options.epochs,
        patience=options.patience,
        settings=settings,
        fingerprint=partial(training.fingerprint, options.folder),
        force=options.force,
        writes=devices.process == 0,
    )
    devices.check_agreement(kept.state)
    print(f"{options.folder}: {len(data.train)} batches an epoch, {data.num_classes} classes")
    if kept.state["finished"]:
        print(f"{kept.summary()} The run is finished: nothing was done. {where(kept)}")
        return 0
    try:
        if not kept.over:
            fit(kept, data, devices, settings)
        if kept.writes:
            finish(kept, data)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {kept.summary()} The same command goes on from there.")
        return 130
    return 0


def settings_of(options):
    """What makes this run another than others."""
    with_weights = options.encoder_weights is not None
    settings = {
        name: value
        for name, value in vars(options).items()
        if name not in ("folder", "output", "force", "epochs", "patience")
    }
    if options.width is None:
        settings["width"] = 1.0 if with_weights else 0.25
    if options.learning_rate is None:
        settings["learning_rate"] = 2e-4 if with_weights else 2e-3
    return settings


def fit(kept, data, devices, settings):
    if kept.epoch:
        print(f"Going on after epoch {kept.epoch} of {kept.epochs}.")
    train, validation = devices.training(data), devices.validation(data)
    try:
        with devices.scope():
            model = kept.load() or compiled(data, settings, kept.epochs * len(train))
            model.fit(
                train,
                validation_data=validation,
                epochs=kept.epochs,
                initial_epoch=kept.epoch,
                callbacks=[kept, *(tensorboard(kept) if kept.writes else ())],
                shuffle=False,  # the pipeline shuffles
                verbose=1 if sys.stdout.isatty() else 2,
            )
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(
            f"There was not enough memory. {kept.summary()} A smaller --batch-size, --image-size "
            "or --width needs less."
        ) from error
    except tf.errors.OpError as error:
        kept.check_unchanged()
        reason = one_line(error.message)
        raise ValueError(f"The training stopped: {reason}. {kept.summary()}") from error


def tensorboard(kept):
    """TensorBoard's callback in a list, empty where TensorBoard is not installed."""
    spec = importlib.util.find_spec("tensorboard")
    if spec is None or spec.origin is None:  # a mere folder of this name
        return []
    return [keras.callbacks.TensorBoard(str(kept.folder / "tensorboard"), write_graph=False)]


def compiled(data, settings, steps):
    """The model with its loss, its optimizer and its schedule, before the first step."""
    keras.utils.set_random_seed(settings["seed"])
    arguments = dict(NARROW.get(settings["model"], {}) if settings["width"] < 1 else {})
    build = getattr(models, settings["model"])
    if settings["encoder_weights"]:
        if "encoder_weights" not in inspect.signature(build).parameters:
            raise ValueError(f"{settings['model']} has no encoder weights. Leave them out.")
        arguments["encoder_weights"] = settings["encoder_weights"]
    with dtype_policy("mixed_float16" if settings["mixed_precision"] else None):
        model = build(
            (None, None, data.image_shape[-1]),
            data.num_classes,
            width=settings["width"],
            **arguments,
        )
        model = models.with_classes(
            model, data.class_names, data.colours, data.ignore_class, data.image_size
        )
        loss = getattr(losses, LOSSES[settings["loss"]])
        optimizer = keras.optimizers.Adam(cosine_with_warmup(settings["learning_rate"], steps))
        if settings["mixed_precision"]:  # `compile` would, but after a restart it would not
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        model.compile(
            optimizer,
            loss=loss(data.ignore_class, class_weights(data, settings["balance"])),
            metrics=[metrics.MeanIoU(data.num_classes, data.ignore_class)],
        )
    print(f"{model.name}: {model.count_params():,} weights")
    return model


def class_weights(data, power):
    """Median-frequency weights of the training pictures as they are, to a power."""
    if power == 0:
        return None
    plain = Dataset(
        data.source,
        target=None,
        image_size=data.image_size,
        batch_size=data.batch_size,
        augment=0,
        seed=0,
    )
    weights = median_frequency_weights(plain.train, data.num_classes, data.ignore_class) ** power
    print("class weights:", dict(zip(data.class_names, weights.round(2).tolist())))
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


def finish(kept, data):
    """Scores the best model, draws the curves, and writes the page of the run."""
    scores = evaluate(kept.load("best"), data.validation, data, kept.folder)
    words = json.dumps({"split": "validation", **scores}, indent=1)
    write_text_whole(kept.folder / "evaluation.json", words)
    rows = kept.state["history"]
    columns = {
        name: [math.nan if row[name] is None else row[name] for row in rows] for name in rows[0]
    }
    curves = SimpleNamespace(epoch=columns["epoch"], history=columns)
    figure = learning_curves(curves, ["loss", "mean_iou"], ["loss", "mean IoU"])
    figure.savefig(kept.folder / "curves.png", dpi=120)
    write_report(kept.folder)
    kept.finish()
    print(f"\nThe best epoch, {kept.state['best']['epoch']}, on the validation pictures:\n")
    print(score_table(scores))
    print(f"\n{where(kept)}")


def where(kept):
    return (
        f"The model is {kept.folder / 'best.keras'}, the page of the run "
        f"{kept.folder / 'report.html'}."
    )
