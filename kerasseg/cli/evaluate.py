"""`kerasseg evaluate MODEL DIR`: the scores of a saved model."""

import json
import sys

import tensorflow as tf
from tqdm import tqdm

from kerasseg import datasets
from kerasseg.cli import model_files
from kerasseg.training import evaluation
from kerasseg.training.files import one_line
from kerasseg_command.terminal import escaped


def run(options):
    model = model_files.load(options.model)
    channels = model_files.channels_of(model, options.model)
    known = model_files.classes_in(model)
    size = options.image_size or known.image_size
    data = datasets.load(
        "folder",
        data_dir=options.folder,
        skip_damaged=options.skip_damaged,
        image_size=size,
        batch_size=options.batch_size if size else 1,
        augment=0,
    )
    check_fit(options, channels, known, data)
    batches = getattr(data, options.split)
    shown = tqdm(batches.as_numpy_iterator(), total=len(batches), unit="batch", disable=None)
    try:
        scores = evaluation.evaluate(model, shown, data)
    except tf.errors.InvalidArgumentError as error:  # a file changed since `load` looked at it
        raise ValueError(one_line(error.message)) from error
    if options.json:
        print(json.dumps(scores))
    else:
        print(evaluation.score_table(scores))
    return 0


def check_fit(options, channels, known, data):
    """Raises `ValueError` where a model and a folder have nothing to do with each other."""
    if getattr(data, options.split) is None:
        raise ValueError(
            f"{options.folder} has no {options.split} split. Leave out --split for validation."
        )
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
