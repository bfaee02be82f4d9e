"""Cityscapes: streets of fifty cities, seen from a car (Cordts et al. 2016), in 19 classes."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source
from kerasseg.palette import class_colours

# The 19 of the 35 labels that are scored: id in the files, name.
LABELS = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
IDS_IN_FILES, CLASS_NAMES = tuple(LABELS), tuple(LABELS.values())
COLOURS = class_colours(CLASS_NAMES)
TO_TRAIN_ID = np.full(256, 255, "uint8")
TO_TRAIN_ID[list(IDS_IN_FILES)] = np.arange(len(LABELS))
NAME = "cityscapes/semantic_segmentation"
FEATURES = ("image_left", "segmentation_label")


def source(*, data_dir=None, download=True):
    """2,975 images for training and 500 for validation, 1024x2048.

    The authors keep the labels of the test split secret, so it is left out here. The ids of the 19
    classes that are scored become 0 to 18, all others 255. The files must be downloaded by hand,
    after registration; TensorFlow Datasets takes them from its manual folder.

    Raises:
        FileNotFoundError: the data set is not prepared and the files are not in that folder.
    """
    try:
        builder = from_tfds.prepared(NAME, data_dir, download)
    except FileNotFoundError as error:
        folder = Path(tfds.builder(NAME, data_dir=data_dir).data_dir_root, "downloads", "manual")
        raise FileNotFoundError(
            f"{error} Cityscapes must be downloaded by hand: register at "
            "https://www.cityscapes-dataset.com, and put leftImg8bit_trainvaltest.zip and "
            f"gtFine_trainvaltest.zip, as they are, into {folder}"
        ) from error
    return Source(
        splits={
            split: from_tfds.encoded_records(builder, split, FEATURES)
            for split in ("train", "validation")
        },
        read=partial(read, builder=builder),
        targets=("label", "image"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=255,
        augmentable=True,
        record_bytes=2_400_000,
    )


def read(record, builder):
    image, ids = from_tfds.decode(record, builder, FEATURES)
    return {"image": image, "label": tf.gather(TO_TRAIN_ID, tf.cast(ids[..., 0], tf.int32))}
