"""CamVid: road scenes from a driving car (Brostow et al. 2008), in SegNet's eleven classes."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasseg.datasets import files
from kerasseg.datasets.dataset import Source

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


def source(data_dir, **_):
    """CamVid as the SegNet tutorial ships it: 367 training, 101 validation, 233 test pictures.

    `data_dir` holds `train/` and `trainannot/`, `val/` and `valannot/`, and perhaps `test/` and
    `testannot/`; images are paired with their label maps by the lists `train.txt`, `val.txt` and
    `test.txt` where they exist, else by stem. Ids 0 to 10 are the classes, 11 is void, which
    becomes 255. Every file is read once before anything else happens.
    """
    if data_dir is None:
        raise ValueError(
            "camvid must be on disk: pass `data_dir`, the folder that holds train/, trainannot/, "
            "val/ and valannot/ (the SegNet tutorial's CamVid). Received: data_dir=None"
        )
    splits = {"train": pairs(data_dir, "train"), "validation": pairs(data_dir, "val")}
    if Path(data_dir, "test").is_dir():
        splits["test"] = pairs(data_dir, "test")
    every_pair = [pair for split in splits.values() for pair in split]
    sizes = files.check_pairs(every_pair, len(CLASS_NAMES), VOID_IN_FILES)
    return Source(
        splits={name: files.records(split) for name, split in splits.items()},
        read=partial(read, size=sizes.pop() if len(sizes) == 1 else (None, None)),
        targets=("label", "image"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=255,
        augmentable=True,
    )


def pairs(data_dir, split):
    list_file = Path(data_dir, f"{split}.txt")
    if list_file.is_file():
        return files.pair_by_list(list_file)
    return files.pair_by_stem(Path(data_dir, split), Path(data_dir, f"{split}annot"))


def read(record, size):
    image, label = files.read_pair(record, size)
    void = tf.constant(255, tf.uint8)
    return {"image": image, "label": tf.where(label == VOID_IN_FILES, void, label)}
