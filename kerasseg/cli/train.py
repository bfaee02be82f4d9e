"""`kerasseg train DIR`: from a folder of images and masks to a model and the page of its run."""

import argparse
import contextlib
import importlib.util
import inspect
import json
import math
import os
import sys
from functools import partial
from types import SimpleNamespace

MODELS = (
    "unet",
    "segnet",
    "segnet_basic",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "fc_densenet56",
    "fc_densenet67",
    "fc_densenet103",
    "deconvnet",
    "dilatednet",
    "deeplab_v1",
    "deeplab_v2",
    "deeplab_v3",
    "pspnet",
    "hypercolumn",
)
LOSSES = {"crossentropy": "CrossEntropy", "dice": "Dice", "both": "CrossEntropyDice"}
NARROW = {"unet": {"dropout": 0.2}}  # a net of fewer filters needs less than the paper's 0.5


def train(parser):
    """Trains a model on a folder of images and masks.

    The folder is one that `kerasseg check` understands. Training pictures are flipped, scaled,
    rotated and recoloured at random. The learning rate rises over the first twentieth of the steps
    and falls along a cosine. After every epoch the model is scored on the validation pictures, and
    the best epoch is kept: so its score on them is a little too good. A test split, or pictures
    kept apart, gives the honest one. Without a validation split, a fifth of the pairs is drawn.

    Killed at any moment and started again with the same command, training goes on from the last
    finished epoch, with the same result. Ctrl-C ends it, and the same command goes on.

    With --distribute, several devices share each batch and train as one would. Under JAX they may
    be those of several machines, each of which starts the same command, and sees both folders. Its
    environment says KERAS_DISTRIBUTION_JOB_ADDRESSES, host:port of the first machine, which alone
    writes; KERAS_DISTRIBUTION_NUM_PROCESSES; and KERAS_DISTRIBUTION_PROCESS_ID, from 0.

    example:
      kerasseg train data/camvid --model unet --image-size 96 128 --epochs 30 --output runs/a

    leaves in the output folder:
      best.keras, last.keras   the best and the last epoch, with names and colours of the classes
      report.html              the run on one page; curves.png, evaluation.json and pictures/ for it
      log.csv, run.json        a row an epoch; the settings and what is kept
      tensorboard/             for `tensorboard --logdir`, where TensorBoard is installed

    exit code:
      0    trained, or trained before
      2    wrong arguments or data, a loss that became NaN, a folder that cannot be written
      130  interrupted
    """
    parser.add_argument("folder", help="images/ and masks/, or as `kerasseg check` says")
    parser.add_argument("--output", required=True, help="folder of the run, made if need be")
    parser.add_argument("--model", choices=MODELS, default="unet", help="default: unet")
    parser.add_argument("--epochs", type=whole, default=50, help="default: 50")
    parser.add_argument(
        "--image-size",
        type=whole,
        nargs=2,
        default=(256, 256),
        metavar=("HEIGHT", "WIDTH"),
        help="pictures are resized to it; default: 256 256",
    )
    parser.add_argument(
        "--width", type=positive, help="scales all filter counts; default: 0.25, or 1 with weights"
    )
    parser.add_argument("--batch-size", type=whole, default=8, help="default: 8")
    parser.add_argument(
        "--learning-rate",
        type=positive,
        help="peak of the schedule, for Adam; default: 0.002, or 0.0002 with encoder weights",
    )
    parser.add_argument(
        "--loss", choices=LOSSES, default="crossentropy", help="default: crossentropy"
    )
    parser.add_argument(
        "--balance",
        type=share,
        default=0.6,
        metavar="POWER",
        help="of median-frequency class weights: 0 weighs all classes alike, 1 lets rare ones "
        "weigh by how rare they are; default: 0.6",
    )
    parser.add_argument(
        "--augment",
        type=share,
        default=1.0,
        metavar="STRENGTH",
        help="of the random variation, 0 to 1; default: 1",
    )
    parser.add_argument(
        "--encoder-weights", help="imagenet (a download), or a file, for VGG and ResNet encoders"
    )
    parser.add_argument(
        "--mixed-precision", action="store_true", help="compute in float16: faster on recent GPUs"
    )
    parser.add_argument(
        "--patience",
        type=whole,
        default=20,
        help="epochs without a better score after which to stop; default: 20",
    )
    parser.add_argument(
        "--distribute",
        type=way,
        metavar="{mirrored,jax}",
        help="mirrored: all GPUs of this machine, under TensorFlow; jax: all devices of this or "
        "several machines, under JAX; default: one device",
    )
    parser.add_argument("--seed", type=seed, default=0, help="of everything random; default: 0")
    parser.add_argument(
        "--force", action="store_true", help="remove another run that lies in the output folder"
    )
    return run


def run(options):
    from kerasseg import datasets, training
    from kerasseg.training.devices import find_devices

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
        if name not in ("run", "folder", "output", "force", "epochs", "patience")
    }
    if options.width is None:
        settings["width"] = 1.0 if with_weights else 0.25
    if options.learning_rate is None:
        settings["learning_rate"] = 2e-4 if with_weights else 2e-3
    return settings


def fit(kept, data, devices, settings):
    import tensorflow as tf

    from kerasseg.training import one_line

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
    import keras

    spec = importlib.util.find_spec("tensorboard")
    if spec is None or spec.origin is None:  # a mere folder of this name
        return []
    return [keras.callbacks.TensorBoard(str(kept.folder / "tensorboard"), write_graph=False)]


def compiled(data, settings, steps):
    """The model with its loss, its optimizer and its schedule, before the first step."""
    import keras

    from kerasseg import losses, metrics, models
    from kerasseg.training import cosine_with_warmup

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
    from kerasseg.datasets import Dataset
    from kerasseg.losses import median_frequency_weights

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
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def finish(kept, data):
    """Scores the best model, draws the curves, and writes the page of the run."""
    from kerasseg.figures import learning_curves
    from kerasseg.training.evaluation import evaluate, score_table
    from kerasseg.training.files import write_text_whole
    from kerasseg.training.report import write_report

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


def way(text):
    """How to use several devices, less `MultiWorkerMirroredStrategy`: Keras's `fit` fails there."""
    if text not in ("mirrored", "jax"):
        raise argparse.ArgumentTypeError(
            "expected mirrored, for the GPUs of one machine under TensorFlow, or jax, for one or "
            f"several machines under JAX. Received: {text}"
        )
    return text


def number(kind, legal, words):
    """What reads a number off the command line, or says what was expected."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not legal(value):
            raise argparse.ArgumentTypeError(f"expected {words}. Received: {text}")
        return value

    return read


whole = number(int, lambda n: n >= 1, "a whole number of at least 1")
seed = number(int, lambda n: 0 <= n < 2**32, "a whole number from 0, below 2^32")
positive = number(float, lambda x: 0 < x < math.inf, "a number above 0")
share = number(float, lambda x: 0 <= x <= 1, "a number from 0 to 1")
