"""A whole set: a folder of files, or a `kerasseg.datasets.Dataset`."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasseg.datasets.doctor import faults
from kerasseg.datasets.doctor.judge import Classes, Doctor, is_fraction, out_of_range
from kerasseg.datasets.doctor.measures import measure_image, measure_labels
from kerasseg.datasets.doctor.report import Finding, Report, Statistics

DARK = 1 / 8  # of white; 12 bits in files of 16 reach half of it


def check_dataset(data, colours=None):
    """Looks at every picture of a set: says in words what is wrong, and what its numbers are.

    A folder is read as `kerasseg.datasets.load("folder", data_dir=...)` reads it, each file once
    and several at a time. No damaged file ends the reading, and nothing is written into the
    folder. Memory holds a few pictures at a time, and a line about each.

    Args:
        data: The path of a folder, or a `kerasseg.datasets.Dataset`, whose pictures are taken as
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
        return check_folder(data, colours)
    if not hasattr(data, "source"):
        raise TypeError(
            "`data` must be the path of a folder or a kerasseg.datasets.Dataset, all of it: pass "
            f"what `load` returns, not its `train`. Received: data of type {type(data).__name__}"
        )
    return check_source(data.source)


def check_source(source):
    import tensorflow as tf

    doctor = Doctor()
    for split, records in source.splits.items():
        examples = records.map(
            lambda record: (file_name(record), source.read(record)),
            num_parallel_calls=tf.data.AUTOTUNE,
        ).as_numpy_iterator()
        for i in progress(range(len(records)), split):
            path, image, labels = f"{split}, picture {i}", None, None
            try:
                file, example = next(examples)
            except tf.errors.OpError as error:
                doctor.find(faults.UNREADABLE, error.message, path)
            else:
                path = Path(os.fsdecode(file)) if file else path
                image = measure_image(example["image"])
                labels = measure_labels(example["label"]) if "label" in example else None
            doctor.see(split, (path, path), image, labels)
    classes = Classes.of_ids(len(source.class_names), source.ignore_class, source.class_names)
    doctor.judge(classes)
    return Report("data set", doctor.findings, doctor.splits, classes.names)


def file_name(record):
    """The path in a record of files; nothing in a record of pixels."""
    image = record.get("image")
    return image if image is not None and image.dtype == "string" else ""


def check_folder(path, colours=None):
    from kerasseg.datasets import files
    from kerasseg.datasets import folder as folders

    folder = folders.find(path, colours)
    doctor = Doctor(folder.path)
    for paths, fault, message in (
        (folder.unpaired_images, faults.NO_MASK, "no mask has its name"),
        (folder.unpaired_masks, faults.NO_IMAGE, "no image has its name"),
        (folder.unlisted_images, faults.NOT_LISTED, "stands in no list, and is not read"),
        (folder.other_files, faults.NO_PICTURE, "is none, and is not read"),
    ):
        for unused in paths:
            doctor.find(fault, message, unused)
    measure = partial(measure_pair, colours=folder.colours)
    palettes = {}  # {what a palette shows: the first mask with it}
    for split, pairs in files.with_validation(folder.splits).items():
        doctor.splits[split] = Statistics()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = progress(pool.map(measure, pairs), split, len(pairs))
            for (image, labels, palette, findings), pair in zip(measured, pairs):
                doctor.see(split, pair, image, labels)
                doctor.findings += findings
                palettes.setdefault(tuple(palette.items()), pair[1])
    classes, kind = recognised(folder, doctor, palettes)
    doctor.judge(classes)
    if len(classes.names) in (0, 2) and kind != "colours":
        meaning = "can be void or a foreground"
        if classes.names:
            foreground = classes.names[1]
            meaning = f"is read as {'void' if classes.ids[255] is None else foreground}"
        for (values, _), paths in doctor.maps.items():
            if set(values) == {0, 255}:
                for mask in paths:
                    doctor.find(faults.ZERO_255_FILES, f"255 {meaning}", mask)
    layout = f"{folder.layout}; masks of {kind}" if kind else folder.layout
    return Report(folder.path, doctor.findings, doctor.splits, classes.names, layout)


def measure_pair(pair, colours=None):
    """`(Image, Labels, palette, findings)` of an image file and a mask file; `None`s on failure."""
    from kerasseg.datasets import files

    image_path, mask_path = pair
    image, labels, palette, findings = None, None, {}, []
    try:
        picture = files.decode(image_path)
        image = measure_image(files.pixels_of(picture, image_path))
        if picture.mode.startswith("I;16") and image.high.max() < DARK:
            message = f"its 16 bits hold no value above {image.high.max():.1%} of white"
            findings.append(Finding(*faults.DARK, message, image_path))
    except ValueError as error:
        findings.append(Finding(*faults.UNREADABLE, without_path(error, image_path), image_path))
        with suppress(ValueError):
            picture = files.decode(image_path)
            if picture.mode == "F" and (message := out_of_range(*picture.getextrema())):
                findings.append(Finding(*faults.OUTSIDE_UNIT, message, image_path))
    fault = faults.UNREADABLE
    try:
        picture = files.by_colours(files.decode(mask_path, exact=True), colours)
        fault = faults.NO_IDS
        in_floats = picture.mode == "F"
        values = np.asarray(picture) if in_floats else files.values_of(picture, mask_path)
        labels = measure_labels(values)
        palette = files.palette_of(picture, labels.values)
    except ValueError as error:
        findings.append(Finding(*fault, without_path(error, mask_path), mask_path))
    return image, labels, palette, findings


def recognised(folder, doctor, palettes):
    """The `Classes` of a folder and the kind of its masks; empty ones where nothing tells them."""
    from kerasseg.datasets.masks import VOID, check_palettes, recognise

    try:
        check_palettes(folder, {mask: dict(palette) for palette, mask in palettes.items()})
    except ValueError as error:
        doctor.find(faults.UNKNOWN, without_path(error, folder.path))
    values = {
        mask: set(held)
        for (held, _), masks in doctor.maps.items()
        for mask in masks
        if not any(map(is_fraction, held))
    }
    if not values:
        return Classes({}, ()), ""
    try:
        masks = recognise(folder, values, tolerant=True)
    except ValueError as error:
        unclear = without_path(error, folder.path)
    else:
        ids = {value: None if i == VOID else i for value, i in masks.ids.items()}
        return Classes(ids, masks.class_names), masks.kind
    one_hot = any(
        doctor.seen <= {(level, 0, 0), (0, level, 0), (0, 0, level)} for level in (1, 255)
    )
    if one_hot:
        for paths in doctor.maps.values():
            for mask in paths:
                doctor.find(faults.ONE_HOT, "holds one channel for each of three classes", mask)
    else:
        doctor.find(faults.UNKNOWN, unclear)
    return Classes({}, ()), ""


def without_path(error, path):
    """The words of an error, without the path that they begin with."""
    return str(error).removeprefix(str(path)).lstrip(": ")


def progress(items, split, total=None):
    """The items under a progress bar, on a terminal alone."""
    return tqdm(items, split, total, unit=" pictures", leave=False, disable=None)
