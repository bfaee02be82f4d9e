"""From records to batches: read, cache, shuffle, augment, batch, prefetch, in this order."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasseg.datasets.augmentation import augment

CACHE_LIMIT = 4 * 2**30  # bytes of decoded pictures kept in memory; a larger split is streamed


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source of pictures must tell: its records, how to read one, and its classes.

    Attributes:
        splits: {"train", "validation" and, where there is one, "test": `tf.data.Dataset`}, of
            known length.
        read: From a record, a dict of tensors, to {"image": (height, width, channels), uint8 or
            float32 in [0, 1], "label": a class id or a uint8 map of ids, ...: further targets}.
        targets: The names that `target` may take; the first is the default.
        class_names: One name a class id.
        colours: uint8 array (classes, 3).
        ignore_class: The void id, or `None` where every picture has one class.
        augmentable: Whether scenes like these may be mirrored, scaled and recoloured. Digits may
            not: a mirrored 2 is no 2.
        skipped: What was left out on request, in words, with the path.
    """

    splits: dict[str, tf.data.Dataset]
    read: Callable
    targets: tuple[str, ...]
    class_names: tuple[str, ...]
    colours: np.ndarray
    ignore_class: int | None
    augmentable: bool
    skipped: tuple[str, ...] = ()


class Dataset:
    """Batches of a source's splits, and the names and colours of its classes.

    Attributes:
        train, validation, test: Finite `tf.data.Dataset`s of `(images, targets)`: images float32
            in [0, 1], (batch, height, width, channels); label maps int32, (batch, height,
            width). `train` is reshuffled, and augmented if asked for, in every epoch; the others
            come in one order. `test` is `None` where the source has none.
        class_names, colours, ignore_class, skipped: As in the source.
        num_classes: How many classes there are, void not counted.
        image_shape: (height, width, channels) of the images; `None`s where sizes differ.
    """

    def __init__(self, source, *, target, image_size, batch_size, augment, seed):
        self.source = source
        self.target = target or source.targets[0]
        self.image_size = image_size
        self.batch_size = batch_size
        self.augment = float(augment) if source.augmentable else 0.0
        self.seed = seed
        self.class_names = source.class_names
        self.colours = source.colours
        self.ignore_class = source.ignore_class
        self.skipped = source.skipped
        self.num_classes = len(source.class_names)
        self.train = self._batches(source.splits["train"], training=True)
        self.validation = self._batches(source.splits["validation"])
        self.test = self._batches(source.splits["test"]) if "test" in source.splits else None
        self.image_shape = tuple(self.validation.element_spec[0].shape[1:])
        if None in self.image_shape and batch_size > 1:
            raise ValueError(
                "The pictures differ in size and do not fit into one batch. Pass `image_size`, "
                f"(height, width), or batch_size=1. Received: batch_size={batch_size}"
            )

    def hold_out(self, fraction=0.1):
        """The training split in two: batches to fit on, and batches to choose a checkpoint on.

        A checkpoint chosen on the pictures that it is then scored on scores too well, so the
        validation split is left alone. The same pictures are held out for every seed, drawn at
        random: where pictures are frames of a video, they have neighbours among the others and
        score better than unseen ones.

        Args:
            fraction: Share of the training split to hold out, between 0 and 1; one picture at
                least.

        Returns:
            `(fitting, selection)`: the first like `train`, the second like `validation`.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"`fraction` must be between 0 and 1. Received: fraction={fraction}")
        records = self.source.splits["train"]
        rest, held_out = seeded_split(records, fraction)
        return self._batches(rest, training=True), self._batches(held_out)

    def _batches(self, records, training=False):
        data = records.map(self._read, num_parallel_calls=tf.data.AUTOTUNE)
        count = len(records)
        if count * element_bytes(data) <= CACHE_LIMIT:
            data = data.cache()
        if training:
            data = data.shuffle(min(count, 10_000), seed=self.seed)
        if training and self.augment:
            dice = tf.data.Dataset.random(self.seed, rerandomize_each_iteration=True).batch(2)
            data = tf.data.Dataset.zip(data, dice)
            data = data.map(self._augment, num_parallel_calls=tf.data.AUTOTUNE)
            data = data.batch(self.batch_size)
        else:
            data = data.batch(self.batch_size).map(self._to_model_input)
        return data.prefetch(tf.data.AUTOTUNE)

    def _read(self, record):
        example = self.source.read(record)
        image, target = example["image"], example[self.target]
        if self.image_size is not None:
            image, target = (resize(x, self.image_size) for x in (image, target))
        return image, target

    def _augment(self, pair, seed):
        image, target = self._to_model_input(*pair)
        void = self.ignore_class if self.target == "label" else 0  # 0 is no instance
        return augment(image, target, seed, strength=self.augment, void=void)

    def _to_model_input(self, image, target):
        if self.target == "image":
            target = to_unit_range(target)
        elif target.dtype.is_integer:
            target = tf.cast(target, tf.int32)
        return to_unit_range(image), target


def to_unit_range(image):
    """uint8 pictures as float32 in [0, 1]; float ones are there already."""
    return tf.cast(image, tf.float32) / 255 if image.dtype == tf.uint8 else image


def resize(x, size):
    """A picture, (height, width, channels), smoothly; a label map, (height, width), by nearest."""
    if x.shape.rank == 0 or tuple(x.shape[:2]) == tuple(size):
        return x
    if x.shape.rank == 2:
        return tf.image.resize(x[..., None], size, method="nearest")[..., 0]
    resized = tf.image.resize(tf.cast(x, tf.float32), size, antialias=True)
    return tf.saturate_cast(tf.round(resized), x.dtype) if x.dtype.is_integer else resized


def seeded_split(records, fraction, seed=0):
    """Two datasets: the records but for a `fraction` drawn by `seed`, and the drawn ones."""
    count = len(records)
    drawn = np.zeros(count, bool)
    drawn[np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]] = True

    def select(chosen):
        table = tf.constant(chosen)
        data = records.enumerate().filter(lambda i, _: table[i]).map(lambda _, record: record)
        return data.apply(tf.data.experimental.assert_cardinality(int(chosen.sum())))

    return select(~drawn), select(drawn)


def element_bytes(data):
    """Bytes of one element, infinite where a size is not known before it is read."""
    specs = tf.nest.flatten(data.element_spec)
    if not all(spec.shape.is_fully_defined() for spec in specs):
        return math.inf
    return sum(spec.shape.num_elements() * spec.dtype.size for spec in specs)
