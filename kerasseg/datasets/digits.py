"""Handwritten digits: scikit-learn's, offline, and the MNIST family of TensorFlow Datasets."""

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source, seeded_split

CLASS_NAMES = tuple("0123456789")
COLOURS = np.array(
    [
        (31, 119, 180),
        (255, 127, 14),
        (44, 160, 44),
        (214, 39, 40),
        (148, 103, 189),
        (140, 86, 75),
        (227, 119, 194),
        (127, 127, 127),
        (188, 189, 34),
        (23, 190, 207),
    ],
    "uint8",
)


def source(**_):
    """scikit-learn's 1,797 digits, 8x8x1: 1,197 for training, 300 for validation, 300 for test.

    The set has no splits of its own; these are drawn with a fixed seed, each digit in proportion.
    """
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype("float32")
    rest, test = train_test_split(
        np.arange(len(images)), test_size=300, random_state=0, stratify=digits.target
    )
    train, validation = train_test_split(
        rest, test_size=300, random_state=0, stratify=digits.target[rest]
    )
    splits = {"train": train, "validation": validation, "test": test}
    return digit_source(
        {
            name: tf.data.Dataset.from_tensor_slices(
                {"image": images[chosen], "label": digits.target[chosen]}
            )
            for name, chosen in splits.items()
        }
    )


def mnist_source(name="mnist", *, data_dir, download, **_):
    """MNIST, 28x28x1: 55,000 for training, 5,000 for validation, 10,000 for test.

    The set has no validation split; this one is drawn from the 60,000 training pictures with a
    fixed seed.
    """
    builder = from_tfds.prepared(name, data_dir, download)
    train, validation = seeded_split(from_tfds.records(builder, "train"), 1 / 12)
    test = from_tfds.records(builder, "test")
    return digit_source({"train": train, "validation": validation, "test": test})


def digit_source(splits):
    return Source(
        splits=splits,
        read=lambda record: record,
        targets=("image", "label"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=None,
        augmentable=False,
    )
