"""From records to batches: read, cache, shuffle, augment, batch, corrupt, prefetch, in this order.

A data set too large for the memory is not cached. Shuffling then comes before reading, so that the
shuffle buffer holds records, which are paths or encoded images, and no decoded ones. Of a set whose
source has kept the images that it decoded, nothing is cached either: reading takes them from there.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasseg.datasets.augmentation import augment, cut
from kerasseg.datasets.splits import drawn

CACHE_LIMIT = 4 * 2**30  # bytes of decoded images kept in memory; a larger split is streamed
SHUFFLE_LIMIT = 2**28  # bytes of records in the shuffle buffer of a streamed split
SHUFFLE, AUGMENT, CORRUPT, CORRUPT_ALIKE, CUT = range(5)  # what random numbers are drawn for
MOST_SHOWN = 20  # classes that `print` lists


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source of images must tell: its records, how to read one, and its classes.

    Attributes:
        splits: {"train", "validation" and, where there is one, "test": `tf.data.Dataset`}, of
            known length.
        read: From a record, a dict of tensors, to {"image": (height, width, channels), uint8 or
            float32 in [0, 1], "label": a class id or a uint8 map of ids, ...: further targets}.
            A target of integers is a class id, a map (height, width), or one map per channel,
            (height, width, channels); a target of floats is (height, width, channels).
        targets: The names that `target` may take; the first is the default.
        class_names: One name for each class id.
        colours: uint8 array (classes, 3).
        ignore_class: The void id, or `None` where every image has one class.
        augmentable: Whether images like these may be mirrored, scaled and recoloured. Digits may
            not: a mirrored 2 is not a 2.
        skipped: What was left out on request, in words, with the path.
        record_bytes: What a record takes in memory, roughly; a path takes little.
        name: What the data set is called, as in `load`; "" if it has no name.
        multi_label: Whether "label" is (height, width, labels) of 0, 1 and void, one channel per
            class name, instead of one id per pixel.
        class_pixels: Integers (images, classes): the pixels of each class in each training image;
            `None` where the source has not counted them.
        kept: `(image size, function)` where the source has decoded its images before and keeps
            them in memory, resized to that size: the function gives what `read` gives of a record,
            resized. `None` where it keeps nothing.
    """

    splits: dict[str, tf.data.Dataset]
    read: Callable
    targets: tuple[str, ...]
    class_names: tuple[str, ...]
    colours: np.ndarray
    ignore_class: int | None
    augmentable: bool
    skipped: tuple[str, ...] = ()
    record_bytes: int = 256
    name: str = ""
    multi_label: bool = False
    class_pixels: np.ndarray | None = None
    kept: tuple | None = None


class Dataset:
    """Batches of a source's splits, and the names and colours of its classes.

    `print` shows its sizes and classes. `len(data.train)` is the number of batches in an epoch.

    Attributes:
        train, validation, test: Finite `tf.data.Dataset`s of `(images, targets)`: images float32 in
            [0, 1], (batch, height, width, channels); label maps int32, (batch, height, width), or
            (batch, height, width, labels) where a pixel may have several labels. `train` is
            reshuffled, and augmented if asked for, in every epoch; the others come in one order.
            `test` is `None` where the source has none. The images are corrupted if asked for:
            differently in every epoch of `train`, always alike in the others. With `patch`, `train`
            has parts of the images, of this size, and the others have whole images, one in a batch
            where their sizes differ.
        parts: The images of `validation`, always cut alike to the size of `patch`.
        epoch: The number of the next epoch of `train`, from 0. An epoch's order and variants
            depend on it and on the seed alone; set it to go on where another process stopped.
        name, class_names, colours, ignore_class, skipped, multi_label, class_pixels: As in the
            `Source`.
        num_classes: How many classes there are, without void.
        image_shape: (height, width, channels) of the images; `None` where sizes differ.

    Raises:
        ValueError: images of different sizes, without `image_size` and with `batch_size` above 1.
    """

    def __init__(
        self,
        source,
        *,
        target,
        image_size,
        batch_size,
        augment,
        seed,
        corruption=None,
        patch=None,
        steps=None,
        flips=False,
        turns=False,
    ):
        self.source = source
        self.target = target or source.targets[0]
        self.image_size = None if image_size is None else tuple(image_size)
        self.batch_size = batch_size
        self.augment = float(augment) if source.augmentable else 0.0
        self.seed = seed
        self.corruption = corruption
        self.patch = None if patch is None else tuple(patch)
        self.steps = steps
        self.flips = flips
        self.turns = turns
        self.epoch = 0
        self.name = source.name
        self.multi_label = source.multi_label
        self.class_pixels = source.class_pixels
        self.class_names = source.class_names
        self.colours = source.colours
        self.ignore_class = source.ignore_class
        self.skipped = source.skipped
        self.num_classes = len(source.class_names)
        self.image_shape = tuple(self.validation.element_spec[0].shape[1:])
        if None in self.image_shape and batch_size > 1 and patch is None:
            raise ValueError(
                "The images differ in size and do not fit into one batch. Pass `image_size`, "
                "(height, width), or `patch`, the size of parts to cut from them, or batch_size=1. "
                f"Received: batch_size={batch_size}"
            )

    def __repr__(self):
        size = " x ".join("any" if n is None else str(n) for n in self.image_shape)
        counts = [f"{len(records)} {split}" for split, records in self.source.splits.items()]
        names = list(self.class_names)
        if not self.multi_label:
            names = [name if name == str(i) else f"{i} {name}" for i, name in enumerate(names)]
        if len(names) > MOST_SHOWN:
            names[MOST_SHOWN - 1 : -1] = ["..."]
        void = "" if self.ignore_class is None else f"; {self.ignore_class} void"
        return (
            f"<Dataset {self.name!r}: {', '.join(counts)} images, {size}>\n"
            f"target: {self.target}, in batches of {self.batch_size}\n"
            f"{self.num_classes} {'labels' if self.multi_label else 'classes'}: "
            f"{', '.join(names)}{void}"
        )

    # Built when they are first asked for: each takes a while, and few programs want all.
    @functools.cached_property
    def train(self):
        return self._batches(self.source.splits["train"], training=True)

    @functools.cached_property
    def validation(self):
        return self._batches(self.source.splits["validation"])

    @functools.cached_property
    def test(self):
        return self._batches(self.source.splits["test"]) if "test" in self.source.splits else None

    @functools.cached_property
    def parts(self):
        return self._batches(self.source.splits["validation"], parts=True)

    def hold_out(self, fraction=0.1):
        """The training split in two: batches to fit on, and batches to choose a checkpoint on.

        A checkpoint chosen on the images that it is then scored on scores too well, so the
        validation split is left alone. The same images are held out for every seed, drawn at
        random: where images are frames of a video, they have neighbours among the others and
        score better than unseen ones.

        Args:
            fraction: Share of the training split to hold out, between 0 and 1; at least one image.

        Returns:
            `(fitting, selection)`: the first like `train`, with which it shares `epoch`, the
            second like `validation`.

        Raises:
            ValueError: a fraction that is not between 0 and 1, or that leaves no image to fit on.

        Example:

        >>> fitting, selection = kerasseg.datasets.load("digits", batch_size=1).hold_out(0.25)
        >>> len(fitting), len(selection)
        (898, 299)
        """
        if not 0 < fraction < 1:
            raise ValueError(f"`fraction` must be between 0 and 1. Received: fraction={fraction}")
        rest, held_out = seeded_split(self.source.splits["train"], fraction)
        return self._batches(rest, training=True), self._batches(held_out)

    @property
    def _kept(self):
        """The function that reads a record from memory; `None` if images are not kept so large."""
        size, read = self.source.kept or (None, None)
        return read if size == self.image_size else None

    def _batches(self, records, training=False, parts=False):
        data = records.map(self._read, num_parallel_calls=tf.data.AUTOTUNE)
        streamed = not self._kept and len(records) * element_bytes(data) > CACHE_LIMIT
        read_late = streamed or self._kept
        data = records if read_late else data.cache()
        if training:
            room = SHUFFLE_LIMIT // self.source.record_bytes if streamed else len(records)
            data = self._shuffle(data, buffer_size=max(1, min(len(records), room)))
        else:
            data = data.enumerate()
        if read_late:
            data = data.map(lambda i, x: (i, self._read(x)), num_parallel_calls=tf.data.AUTOTUNE)
        if training and self.augment:
            data = data.map(self._augment, num_parallel_calls=tf.data.AUTOTUNE)
        elif self.patch and (training or parts):
            data = data.map(self._cut, num_parallel_calls=tf.data.AUTOTUNE)
        finish = functools.partial(self._finish, training=training)
        alike = element_bytes(data) < math.inf
        data = data.batch(self.batch_size if alike else 1)
        data = data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
        return data.prefetch(tf.data.AUTOTUNE)

    def _shuffle(self, data, buffer_size):
        """`(number, element)`: an order of its own in each epoch, and no number twice.

        With `steps`, epochs are parts of one long sequence, in which each pass over the images has
        an order of its own.
        """
        count = len(data)
        length = self.steps * self.batch_size if self.steps else count

        def begin():
            self.epoch += 1
            return np.int64(self.epoch - 1)

        def ordered(epoch):
            tf.compat.v1.set_random_seed(1)  # of this graph: the global seed has no part
            drawn_from = seed_for(SHUFFLE, self.seed, epoch)
            seed = tf.random.stateless_uniform((), drawn_from, None, None, tf.int64)
            return data.shuffle(buffer_size, seed, reshuffle_each_iteration=False)

        def shuffled(epoch):
            order = ordered(epoch)
            if self.steps:
                first = epoch * length // count
                passes = tf.data.Dataset.range(first, ((epoch + 1) * length - 1) // count + 1)
                order = passes.flat_map(ordered).skip(epoch * length - first * count).take(length)
            numbers = tf.data.Dataset.range(epoch * length, (epoch + 1) * length)
            return tf.data.Dataset.zip(numbers, order)

        # Not `from_generator`: it changes how the whole process allocates memory.
        epochs = tf.data.Dataset.from_tensors(0)
        epochs = epochs.map(lambda _: tf.numpy_function(begin, [], tf.int64))
        return epochs.flat_map(shuffled).apply(tf.data.experimental.assert_cardinality(length))

    def _read(self, record):
        example = (self._kept or self.source.read)(record)
        image, target = example["image"], example[self.target]
        if self.image_size is not None:
            image = resize(image, self.image_size)
            labels = self.target != "image" and target.dtype.is_integer
            target = (resize_labels if labels else resize)(target, self.image_size)
        return image, target

    def _augment(self, number, pair):
        image, target = self._to_model_input(*pair)
        void = self.ignore_class if self.target == "label" else 0  # 0 is no instance
        other = None if self.target == "image" else target
        image, target = augment(
            image,
            other,
            seed_for(AUGMENT, self.seed, number),
            strength=self.augment,
            void=void,
            size=self.patch,
            flips=self.flips,
            turns=self.turns,
        )
        return number, self._of_patch_size(image, target)

    def _cut(self, number, pair):
        image, target = self._to_model_input(*pair)
        void = self.ignore_class if self.target == "label" else 0
        other = None if self.target == "image" else target
        seed = seed_for(CUT, self.seed, number)
        return number, self._of_patch_size(*cut(image, other, seed, self.patch, void))

    def _of_patch_size(self, image, target):
        """The same, with what is known of their shapes."""
        if self.patch:
            image = tf.ensure_shape(image, (*self.patch, image.shape[-1]))
            target = tf.ensure_shape(target, (*self.patch, *target.shape[2:]))
        return image, target

    def _finish(self, numbers, pairs, training):
        images, targets = self._to_model_input(*pairs)
        if self.corruption:
            if training:
                corrupted = self.corruption(images, seed_for(CORRUPT, self.seed, numbers[0]))
            else:
                corrupted = self._corrupt_alike(images, numbers)
            images = tf.ensure_shape(corrupted, images.shape)
        return images, targets

    def _corrupt_alike(self, images, numbers):
        """Every image by a seed of its own, which neither the epoch nor the batch changes."""

        def corrupt(numbered):
            image, number = numbered
            return self.corruption(image[None], seed_for(CORRUPT_ALIKE, 0, number))[0]

        return tf.map_fn(corrupt, (images, numbers), fn_output_signature=tf.float32)

    def _to_model_input(self, image, target):
        if self.target == "image":
            target = to_unit_range(target)
        elif target.dtype.is_integer:
            target = tf.cast(target, tf.int32)
        return to_unit_range(image), target


def seed_for(purpose, seed, number):
    """Two integers, int64, that no other purpose, seed or number gives.

    One pair of numbers for two random operations gives both the same random numbers: the noise of
    an image would tell how much it was enlarged.
    """
    numbers = tf.stack([tf.cast(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.random.experimental.stateless_fold_in(numbers, tf.constant(purpose, tf.int64))


def to_unit_range(image):
    """uint8 images as float32 in [0, 1]; float ones are there already."""
    return tf.cast(image, tf.float32) / 255 if image.dtype == tf.uint8 else image


def resize(image, size):
    """An image, (height, width, channels), of another size, smoothly.

    Where an image shrinks, a new pixel is the mean of the area that it covers.
    """
    if tuple(image.shape[:2]) == tuple(size):
        return image
    resized = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] >= size),
        lambda: tf.image.resize(image, size, method="area"),
        lambda: tf.image.resize(image, size, antialias=True),
    )
    if image.dtype.is_integer:
        return tf.saturate_cast(tf.round(resized), image.dtype)
    return resized


def resize_labels(labels, size):
    """A label map, (height, width), or one per channel, by nearest neighbour; a class id as it is.

    Example:

    >>> resize_labels(tf.constant([[1, 2], [3, 255]]), (2, 4)).numpy()
    array([[  1,   1,   2,   2],
           [  3,   3, 255, 255]], dtype=int32)
    """
    if labels.shape.rank == 0 or tuple(labels.shape[:2]) == tuple(size):
        return labels
    maps = labels[..., None] if labels.shape.rank == 2 else labels
    resized = tf.image.resize(maps, size, method="nearest")
    return resized[..., 0] if labels.shape.rank == 2 else resized


def seeded_split(records, fraction, seed=0):
    """Two datasets: the records but for a `fraction` drawn by `seed`, and the drawn ones.

    Raises:
        ValueError: a fraction that leaves nothing in the first.
    """
    chosen = drawn(len(records), fraction, seed)
    if chosen.all():
        raise ValueError(
            f"A fraction of {fraction:g} of {len(chosen)} training images leaves none to fit on. "
            f"Expected at least two images, and a smaller fraction. Received: fraction={fraction}"
        )

    def select(these):
        table = tf.constant(these)
        data = records.enumerate().filter(lambda i, _: table[i]).map(lambda _, record: record)
        return data.apply(tf.data.experimental.assert_cardinality(int(these.sum())))

    return select(~chosen), select(chosen)


def element_bytes(data):
    """Bytes of one element, infinite where a size is not known before it is read."""
    specs = tf.nest.flatten(data.element_spec)
    if not all(spec.shape.is_fully_defined() for spec in specs):
        return math.inf
    return sum(spec.shape.num_elements() * spec.dtype.size for spec in specs)
