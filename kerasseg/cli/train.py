"""`kerasseg train DIR`: from a folder of images and masks to a model and the page of its run."""

import importlib.util
import math
import os
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import tensorflow as tf

from kerasseg import datasets, training
from kerasseg.cli.compiling import compile_for, compiled
from kerasseg.cli.paths import check_outside
from kerasseg.cli.recommended import BEFORE, complete, output_of
from kerasseg.datasets.memory import check_batch_memory
from kerasseg.figures import learning_curves
from kerasseg.models import unfreeze
from kerasseg.training.devices import find_devices
from kerasseg.training.evaluation import evaluate, score_table, trust_table
from kerasseg.training.files import one_line, write_json_whole, write_whole
from kerasseg.training.label_errors import find_label_errors, save_label_errors
from kerasseg.training.progress import Progress
from kerasseg.training.report import write_report
from kerasseg.training.run_folder import SUSPECTS, locked_run, read_run
from kerasseg.training.selection import sample, select
from kerasseg_command.main import parse
from kerasseg_command.terminal import show


def run(options):
    devices = find_devices(options.distribute)
    if devices.process:  # the first one speaks for all
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if options.distribute and devices.count == 1:
        show(f"There is one device: --distribute {options.distribute} changes nothing.")
    options.output = output_of(options)
    check_outside(options.output, options.folder)
    earlier = (read_run if devices.process else locked_run)(Path(options.output))
    complete(options, None if options.force else earlier)
    check_batch_memory(options.batch_size, options.patch or options.image_size)
    selection = selected(options, None if options.force else earlier)
    data = selection.data
    kept = training.Run(
        options.output,
        data,
        epochs=options.epochs,
        patience=options.patience,
        settings={**settings_of(options), "chosen_on": selection.chosen_on},
        defaults={**settings_of(parse(["train", "-"])), **BEFORE, "chosen_on": "validation"},
        fingerprint=partial(training.fingerprint, options.folder),
        force=options.force,
        writes=devices.process == 0,
    )
    devices.check_agreement(kept.state)
    show(
        f"{options.folder}: {data.num_classes} "
        f"{'labels' if data.multi_label else 'classes'}, batches in an epoch: {len(data.train)}. "
        f"The best epoch is chosen on the "
        f"{selection.chosen_on} images and scored on the {selection.scored_on} images."
    )
    if kept.state["finished"]:
        show(f"{kept.summary()} The run is finished: nothing was done. {where(kept)}")
        return 0
    try:
        if not kept.over:
            train_model(kept, devices, settings_of(options))
        if kept.stopped_early:
            show(f"{kept.why_stopped()} The same command with a larger --patience goes on.")
        if kept.writes:
            finish(kept, selection, options.folder)
    except KeyboardInterrupt:
        show(f"\nInterrupted. {kept.summary()} The same command goes on from there.")
        return 130
    return 0


def selected(options, earlier):
    """The folder's images, and which of them choose and score, in an earlier run the same."""
    data = datasets.load(
        "folder",
        data_dir=options.folder,
        skip_damaged=options.skip_damaged,
        image_size=options.image_size,
        batch_size=options.batch_size,
        augment=options.augment,
        seed=options.seed,
        keep=options.image_size is not None,
        patch=options.patch,
        steps=options.steps,
        flips=options.flips,
        turns=options.turns,
    )
    older = earlier and earlier["settings"].get("chosen_on", "validation") == "validation"
    return select(data, hold_out=not older)  # a run goes on with the images that it began with


def settings_of(options):
    """What makes this run another than others."""
    check_start(options)
    with_weights = options.encoder_weights is not None
    settings = {
        name: value
        for name, value in vars(options).items()
        if name not in ("command", "folder", "output", "force", "epochs", "patience")
    }
    if options.width is None:
        settings["width"] = 1.0 if with_weights else 0.25
    if options.learning_rate is None:
        settings["learning_rate"] = 2e-4 if with_weights else 5e-4 if options.start else 2e-3
    return settings


def check_start(options):
    """Raises `ValueError` for options that contradict a file to start from, or would remove it."""
    if options.start is None:
        return
    folder = Path(options.output)
    own = {"--model": options.model != "unet", "--width": options.width is not None}
    own |= {"--encoder": options.encoder, "--encoder-weights": options.encoder_weights}
    own["--mixed-precision"] = options.mixed_precision
    given = [name for name, value in own.items() if value]
    if given:
        raise ValueError(
            f"--from: the model is that of {options.start}, so leave out {', '.join(given)}."
        )
    if options.force and Path(options.start).resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"--from: {options.start} lies in {folder}, whose run --force would remove. Choose "
            "another --output."
        )


def train_model(kept, devices, settings):
    """Trains until the run is over, from its last finished epoch."""
    if kept.epoch:
        show(f"Going on after epoch {kept.epoch} of {kept.epochs}.")
    train, validation = devices.training(kept.data), devices.validation(kept.data)
    steps = kept.epochs * len(train)
    try:
        with devices.scope():
            model = kept.load() or compiled(kept.data, settings, steps)
            frozen = frozen_epochs(settings, kept.epochs)
            for end in (frozen, kept.epochs):
                if end <= kept.epoch or kept.over:
                    continue
                if kept.epoch == frozen > 0:
                    show(f"From epoch {kept.epoch + 1} on, the encoder learns too.")
                    model = kept.load()
                    unfreeze(model)
                    done = kept.epoch * len(train)
                    compile_for(model, kept.data, settings, steps, done)
                # Of a run that goes on to more epochs: as if it had been so long from the start.
                model.optimizer.learning_rate = training.cosine_with_warmup(
                    settings["learning_rate"], steps
                )
                model.fit(
                    train,
                    validation_data=validation,
                    epochs=end,
                    initial_epoch=kept.epoch,
                    callbacks=[
                        training.UpdateBatchNorm(sample(kept.data)),
                        kept,
                        *([Progress(kept, devices.count == 1, show)] if kept.writes else ()),
                        *(tensorboard(kept) if kept.writes else ()),
                    ],
                    shuffle=False,  # the pipeline shuffles
                    verbose=1 if sys.stdout.isatty() else 2,
                )
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(
            f"There was not enough memory. {kept.summary()} A smaller --batch-size, --image-size "
            "or --width needs less."
        ) from error
    except tf.errors.OpError as error:
        reason = one_line(error.message)
        try:
            kept.check_unchanged()
        except ValueError as changed:
            raise ValueError(f"{reason}. {changed}") from error
        raise ValueError(f"The training stopped: {reason}. {kept.summary()}") from error


def frozen_epochs(settings, epochs):
    """For how many epochs the encoder keeps its weights."""
    return max(1, epochs // 5) if settings["freeze"] else 0


def tensorboard(kept):
    """TensorBoard's callback in a list, empty where TensorBoard is not installed."""
    spec = importlib.util.find_spec("tensorboard")
    if spec is None or spec.origin is None:  # a mere folder of this name
        return []
    callback = keras.callbacks.TensorBoard(str(kept.folder / "tensorboard"), write_graph=False)
    callback.async_safe = True  # it writes at the end of an epoch, so no step need wait for it
    return [callback]


def finish(kept, selection, root):
    """Scores the best model, draws the curves, and writes the page of the run."""
    data = selection.data
    best = kept.load("best")
    scores = evaluate(best, data.test, data, kept.folder)
    suspects = find_label_errors(best, data, SUSPECTS)
    scores["label_errors"] = save_label_errors(kept.folder, *suspects, data, root)
    splits = {"split": selection.scored_on, "chosen_on": selection.chosen_on}
    write_json_whole(kept.folder / "evaluation.json", {**splits, **scores})
    rows = kept.state["history"]
    columns = {
        name: [math.nan if row[name] is None else row[name] for row in rows] for name in rows[0]
    }
    curves = SimpleNamespace(epoch=columns["epoch"], history=columns)
    figure = learning_curves(curves, ["loss", "mean_iou"], ["loss", "mean IoU"])
    write_whole(kept.folder / "curves.png", partial(figure.savefig, dpi=120))
    write_report(kept.folder)
    kept.finish()
    chosen = f"chosen on the {selection.chosen_on} images"
    if selection.chosen_on == selection.scored_on:
        chosen += ", so that its score on them is a little too good"
    show(f"\nThe best epoch, {kept.state['best']['epoch']}, {chosen}.")
    show(f"Its scores on the {selection.scored_on} images:\n")
    show(score_table(scores))
    show(f"\n{trust_table(scores)}")
    show(f"\n{where(kept)}")


def where(kept):
    return (
        f"The model is {kept.folder / 'best.keras'}, the page of the run "
        f"{kept.folder / 'report.html'}."
    )
