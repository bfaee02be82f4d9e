"""Cityscapes: streets of fifty cities, seen from a car (Cordts et al. 2016), in 19 classes."""

from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source

# The 19 of the 35 labels that are scored: id in the files, name, colour.
LABELS = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
IDS_IN_FILES, CLASS_NAMES, COLOURS = zip(*LABELS)
COLOURS = np.array(COLOURS, "uint8")
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
