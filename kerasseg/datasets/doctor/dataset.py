"""A whole set: a folder of files, or a `kerasseg.datasets.Dataset`."""

import os
from functools import partial
from pathlib import Path

from tqdm import tqdm

from kerasseg.datasets import faults
from kerasseg.datasets import folder as folders
from kerasseg.datasets.doctor.judge import findings_of_classes, judge
from kerasseg.datasets.doctor.report import Report
from kerasseg.datasets.examine import Examined, examine_all, examine_arrays, masks_of
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.masks import BINARY, Masks
from kerasseg.datasets.pairs import with_validation


def check_dataset(data, colours=None):
    """Looks at every image of a set: says in words what is wrong, and what its numbers are.

    A folder is read as `kerasseg.datasets.load("folder", data_dir=...)` reads it, each file once
    and several at a time. No damaged file ends the reading, and nothing is written into the
    folder. Memory holds a few images at a time, and the measures of each.

    Args:
        data: The path of a folder, or a `kerasseg.datasets.Dataset`, whose images are taken as
            its source has them, neither resized nor augmented. A folder without a validation split
            is looked at as `load` splits it where no pair is left out.
        colours: {name: (red, green, blue)} of a folder whose masks are colours, as in `load`.

    Returns:
        A `Report`: `print` it.

    Raises:
        TypeError: neither a path nor a `Dataset`.
        FileNotFoundError: a folder that is not there or holds no images.
        ValueError: a folder in which it is not clear what is an image, a mask or a split, or
            with a damaged table of classes.

    Example:

    >>> report = check_dataset(kerasseg.datasets.load("digits"))
    >>> report.exit_code, report.splits["train"].pictures
    (0, 1197)
    """
    if isinstance(data, (str, os.PathLike)):
        return check_folder(folders.find(data, colours))
    if not hasattr(data, "source"):
        raise TypeError(
            "`data` must be the path of a folder or a kerasseg.datasets.Dataset, all of it: pass "
            f"what `load` returns, not its `train`. Received: data of type {type(data).__name__}"
        )
    return check_source(data.source)


def check_folder(folder):
    findings = list(folder.findings)
    splits = {}
    for split, pairs in with_validation(folder.splits).items():
        show = partial(progress, split=split, total=len(pairs))
        splits[split] = list(examine_all(pairs, folder.palette_colours, show).values())
    try:
        masks = masks_of(folder, [each for examined in splits.values() for each in examined])
    except Unusable as error:
        masks = None
        findings.append(error.finding)
    layout, names = folder.layout, ()
    if masks is not None:
        names = folder.class_names if folder.multi_label else masks.class_names
        layout += f"; masks of {masks.kind}"
        if masks.kind.startswith("binary"):
            words = (masks.class_names[masks.ids[value]] for value in (0, 255))
            layout += ": 0 is {}, 255 is {}".format(*words)
    statistics, more = judge(splits, masks, names, folder.path, folder.multi_label)
    if findings[-1:] and findings[-1].title == faults.INTERPOLATED.title:
        more = [finding for finding in more if finding.title != faults.INTERPOLATED.title]
    findings += more
    if masks is not None:
        findings += findings_of_classes(statistics, names)
    return Report(folder.path, findings, statistics, names, layout)


def check_source(source):
    import tensorflow as tf

    splits = {}
    for split, records in source.splits.items():
        examples = records.map(
            lambda record: (file_name(record), source.read(record)),
            num_parallel_calls=tf.data.AUTOTUNE,
        ).as_numpy_iterator()
        splits[split] = []
        for i in progress(range(len(records)), split):
            path = f"{split}, image {i}"
            try:
                file, example = next(examples)
            except tf.errors.OpError as error:
                each = Examined(path, (path,))
                words = "cannot be read: " + error.message.strip().splitlines()[0]
                each.findings.append(faults.UNREADABLE.found(path, words))
            else:
                path, labels = Path(os.fsdecode(file)) if file else path, example.get("label")
                if source.multi_label:
                    labels = [labels[..., i] for i in range(labels.shape[-1])]
                each = examine_arrays(example["image"], labels, path)
            splits[split].append(each)
    names = BINARY if source.multi_label else source.class_names
    masks = Masks.of_ids(len(names), source.ignore_class, names)
    statistics, findings = judge(splits, masks, source.class_names, ".", source.multi_label)
    if any(each.labels for examined in splits.values() for each in examined):
        findings += findings_of_classes(statistics, source.class_names)
    return Report("data set", findings, statistics, source.class_names)


def file_name(record):
    """The path in a record of files; nothing in a record of pixels."""
    image = record.get("image")
    return image if image is not None and image.dtype == "string" else ""


def progress(items, split, total=None):
    """The items under a progress bar, on a terminal alone."""
    return tqdm(items, split, total, unit=" images", leave=False, disable=None)
