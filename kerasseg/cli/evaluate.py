"""`kerasseg evaluate MODEL DIR`: the scores of a saved model."""

import json
import sys
from functools import partial
from pathlib import Path

import tensorflow as tf
from tqdm import tqdm

from kerasseg import datasets, figures
from kerasseg.cli import model_files
from kerasseg.cli.paths import check_outside
from kerasseg.datasets.memory import check_batch_memory
from kerasseg.training import evaluation
from kerasseg.training.files import one_line, write_json_whole, write_whole
from kerasseg.training.page_folder import clear_folder, record_files
from kerasseg.training.report import write_report
from kerasseg_command.terminal import escaped, show

RECORD = "evaluation.json"


def run(options):
    folder = None if options.output is None else Path(options.output)
    if folder:
        check_outside(folder, options.folder)
    model, data = loaded(options, options.image_size, options.batch_size)
    batches = getattr(data, options.split)
    if batches is None:
        raise ValueError(
            f"{options.folder} has no {options.split} split. Leave out --split for validation."
        )
    if folder:
        clear_folder(folder, RECORD)
    shown = tqdm(batches.as_numpy_iterator(), total=len(batches), unit="batch", disable=None)
    try:
        scores = evaluation.evaluate(model, shown, data, folder)
    except tf.errors.InvalidArgumentError as error:  # a file changed since `load` looked at it
        raise ValueError(one_line(error.message)) from error
    if options.json:
        print(json.dumps(scores))
    else:
        show(evaluation.score_table(scores))
        show(f"\n{evaluation.trust_table(scores)}")
    if folder:
        write_page(folder, scores, options.split)
        if not options.json:
            show(f"\nThe page is {folder / 'report.html'}.")
    return 0


def loaded(options, image_size=None, batch_size=8):
    """(model, data): those that the options name, which fit each other.

    Args:
        options: What was parsed, with "model", "folder" and "skip_damaged".
        image_size: Of the images; `None` for the size that the model was trained at.
        batch_size: Of the images, if they have one size.

    Raises:
        ValueError: a model and a folder that have nothing to do with each other.
    """
    model = model_files.load(options.model)
    channels = model_files.channels_of(model, options.model)
    known = model_files.classes_in(model)
    size = image_size or known.image_size
    if size:
        check_batch_memory(batch_size, size)
    data = datasets.load(
        "folder",
        data_dir=options.folder,
        skip_damaged=options.skip_damaged,
        image_size=size,
        batch_size=batch_size if size else 1,
        augment=0,
    )
    check_fit(options, channels, known, data)
    return model, data


def write_page(folder, scores, split):
    """Writes the scores, two figures of them, and the page."""
    matrix = figures.confusion_matrix(scores["confusion_matrix"], scores["class_names"])
    write_whole(folder / "confusion_matrix.png", partial(matrix.savefig, dpi=120))
    if scores["calibration"]["error"] is not None:
        diagram = figures.reliability_diagram(scores["calibration"])
        write_whole(folder / "reliability.png", partial(diagram.savefig, dpi=120))
    files = [*record_files(folder), RECORD, "report.html"]
    write_json_whole(folder / RECORD, {"split": split, **scores, "files": files})
    write_report(folder)


def check_fit(options, channels, known, data):
    """Raises `ValueError` where a model and a folder have nothing to do with each other."""
    if channels != data.image_shape[-1]:
        raise ValueError(
            f"{options.model} takes images of {channels} channel{'s' * (channels > 1)}, but "
            f"those of {options.folder} are read in colour. Train a model on such images."
        )
    if known.multi_label != data.multi_label:
        kinds = {True: "several labels a pixel", False: "one class a pixel"}
        raise ValueError(
            f"{options.model} gives {kinds[known.multi_label]}, but the masks of {options.folder} "
            f"have {kinds[data.multi_label]}. Take the folder that the model was trained on."
        )
    if len(known.class_names) != data.num_classes:
        raise ValueError(
            f"{options.model} has {len(known.class_names)} classes "
            f"({', '.join(known.class_names)}), but the masks of {options.folder} have "
            f"{data.num_classes} ({', '.join(data.class_names)}). Take the folder that the model "
            "was trained on, or one with the same classes in the same order."
        )
    if tuple(known.class_names) != tuple(data.class_names):
        print(
            escaped(
                f"warning: the model's classes are {', '.join(known.class_names)}; the folder's "
                f"are {', '.join(data.class_names)}. They are compared in this order."
            ),
            file=sys.stderr,
        )
