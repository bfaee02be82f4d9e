"""CamVid: road scenes from a driving car (Brostow et al. 2008), in SegNet's eleven classes."""

import dataclasses
from pathlib import Path

from kerasseg.datasets import pairs
from kerasseg.datasets.faults import NOT_LISTED
from kerasseg.datasets.files import pictures_in
from kerasseg.datasets.masks import Masks
from kerasseg.palette import class_colours

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
COLOURS = class_colours(CLASS_NAMES)
VOID_IN_FILES = 11
MASKS = Masks("ids", {**{i: i for i in range(11)}, VOID_IN_FILES: None}, CLASS_NAMES, COLOURS)
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def source(data_dir=None, skip_damaged=False, keep=None):
    """CamVid as the SegNet tutorial ships it: 367 training, 101 validation, 233 test images.

    `data_dir` holds `train/` and `trainannot/`, `val/` and `valannot/`, and perhaps `test/` and
    `testannot/`; images are paired with their label maps by the lists `train.txt`, `val.txt` and
    `test.txt` where they exist, else by stem. No list may name a file that it or another names; a
    warning shows the images that no list names. Ids 0 to 10 are the classes, 11 is void, which
    becomes 255. Every file is read once before anything else happens.

    Raises:
        FileNotFoundError: a folder without images; an image or a label map without its partner.
        ValueError: `data_dir=None`; a damaged file, sizes that differ, values outside the classes.
    """
    from kerasseg.datasets.from_files import label_map_source

    if data_dir is None:
        raise ValueError(
            "camvid must be on disk: pass `data_dir`, the folder that holds train/, trainannot/, "
            "val/ and valannot/ (the SegNet tutorial's CamVid). Received: data_dir=None"
        )
    return label_map_source(find(data_dir), "camvid", skip_damaged, keep)


def find(data_dir, needed=("train", "validation")):
    """The `Folder` of a folder in CamVid's layout; the `needed` splits must be there."""
    lists, folders = {}, {}
    for split, name in FOLDERS.items():
        list_file = Path(data_dir, f"{name}.txt")
        if list_file.is_file():
            lists[split] = pairs.pair_by_list(list_file)
        elif split in needed or Path(data_dir, name).is_dir():
            folders[split] = Path(data_dir, name), Path(data_dir, f"{name}annot")
    found = pairs.pair_by_stem(data_dir, folders, "train/ and trainannot/, as in CamVid")
    splits = {**found.splits, **lists}
    pairs.check_named_once(data_dir, splits)
    known = {path for some in splits.values() for pair in some for path in pair}
    known |= {finding.path for finding in found.findings}
    listed = {image.parent for some in lists.values() for image, _ in some}
    words = "stands in no list, and is not read"
    unlisted = [NOT_LISTED.found(p, words) for p in pictures_in(listed) if p not in known]
    return dataclasses.replace(
        found,
        splits=splits,
        findings=(*found.findings, *unlisted),
        class_names=CLASS_NAMES,
        colours=tuple(map(tuple, COLOURS.tolist())),
        masks=MASKS,
    )
