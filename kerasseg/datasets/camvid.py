"""CamVid: road scenes from a driving car (Brostow et al. 2008), in SegNet's eleven classes."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from kerasseg.datasets import files
from kerasseg.datasets.masks import VOID, Masks

CLASS_NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
COLOURS = np.array(
    [
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ],
    "uint8",
)
VOID_IN_FILES = 11
MASKS = Masks("ids", {**{i: i for i in range(11)}, VOID_IN_FILES: VOID}, CLASS_NAMES, COLOURS)
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def source(data_dir=None, skip_damaged=False):
    """CamVid as the SegNet tutorial ships it: 367 training, 101 validation, 233 test pictures.

    `data_dir` holds `train/` and `trainannot/`, `val/` and `valannot/`, and perhaps `test/` and
    `testannot/`; images are paired with their label maps by the lists `train.txt`, `val.txt` and
    `test.txt` where they exist, else by stem. No list may name a file that it or another names; a
    warning shows the pictures that stand in none. Ids 0 to 10 are the classes, 11 is void, which
    becomes 255. Every file is read once before anything else happens.
    """
    if data_dir is None:
        raise ValueError(
            "camvid must be on disk: pass `data_dir`, the folder that holds train/, trainannot/, "
            "val/ and valannot/ (the SegNet tutorial's CamVid). Received: data_dir=None"
        )
    return files.label_map_source(find(data_dir), skip_damaged)


def find(data_dir, needed=("train", "validation")):
    """The `files.Folder` of a folder in CamVid's layout; the `needed` splits must be there."""
    lists, folders = {}, {}
    for split, name in FOLDERS.items():
        list_file = Path(data_dir, f"{name}.txt")
        if list_file.is_file():
            lists[split] = files.pair_by_list(list_file)
        elif split in needed or Path(data_dir, name).is_dir():
            folders[split] = Path(data_dir, name), Path(data_dir, f"{name}annot")
    found = files.pair_by_stem(data_dir, folders, "train/ and trainannot/, as in CamVid")
    splits = {**found.splits, **lists}
    used = Counter(path for pairs in splits.values() for pair in pairs for path in pair)
    twice = [path for path in used if used[path] > 1]
    if twice:
        raise ValueError(
            f"{data_dir}: the lists name {twice[0]} twice. Expected each file once, in one split."
        )
    known = {*used, *found.unpaired_images}
    listed = {image.parent for pairs in lists.values() for image, _ in pairs}
    return dataclasses.replace(
        found,
        splits=splits,
        unlisted_images=tuple(p for p in files.pictures_in(listed) if p not in known),
        class_names=CLASS_NAMES,
        colours=tuple(map(tuple, COLOURS.tolist())),
        masks=MASKS,
    )
