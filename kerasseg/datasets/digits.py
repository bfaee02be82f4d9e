"""Small images of one thing each: scikit-learn's digits, offline; MNIST and Fashion-MNIST."""

from functools import partial

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from kerasseg.datasets import from_tfds
from kerasseg.datasets.dataset import Source, seeded_split
from kerasseg.palette import DIGITS

COLOURS = np.array(DIGITS, "uint8")


def source():
    """scikit-learn's 1,797 digits, 8x8x1: 1,197 for training, 300 for validation, 300 for test.

    The data set has no splits of its own; these are drawn with a fixed seed, with the same share
    of each digit.
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
    return one_thing_source(
        {
            name: tf.data.Dataset.from_tensor_slices(
                {"image": images[chosen], "label": digits.target[chosen]}
            )
            for name, chosen in splits.items()
        },
        class_names=tuple("0123456789"),
    )


def tfds_source(name, *, data_dir=None, download=True):
    """28x28x1, a digit or a piece of clothing: 55,000 for training, 5,000 for validation, 10,000
    for test.

    The data sets have no validation split; this one is drawn from the 60,000 training images with
    a fixed seed.

    Raises:
        FileNotFoundError: the data set is not there and cannot be downloaded.
    """
    builder = from_tfds.prepared(name, data_dir, download)
    train, validation = seeded_split(from_tfds.records(builder, "train"), 1 / 12)
    test = from_tfds.records(builder, "test")
    return one_thing_source(
        {"train": train, "validation": validation, "test": test},
        class_names=tuple(builder.info.features["label"].names),
    )


mnist_source = partial(tfds_source, "mnist")
fashion_mnist_source = partial(tfds_source, "fashion_mnist")


def one_thing_source(splits, class_names):
    return Source(
        splits=splits,
        read=lambda record: record,
        targets=("image", "label"),
        class_names=class_names,
        colours=COLOURS,
        ignore_class=None,
        augmentable=False,
    )
