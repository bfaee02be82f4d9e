"""From a folder of files to a `Source`: TensorFlow reads what the label doctor has examined.

On request a set that fits into memory is decoded once: what is decoded to be examined is kept,
resized, and every epoch reads it from there.
"""

import os
import warnings
from functools import partial
from itertools import accumulate, chain

import numpy as np
import tensorflow as tf

from kerasseg.datasets import dataset
from kerasseg.datasets.dataset import Source, resize, resize_labels
from kerasseg.datasets.examine import different_size, examine_all, masks_of
from kerasseg.datasets.faults import NO_IMAGE, NO_MASK, Unusable
from kerasseg.datasets.files import read_image, read_mask
from kerasseg.datasets.masks import GREY, OUTSIDE, VOID, findings_of_values, voc_colours
from kerasseg.datasets.pairs import paths_of, with_validation

CHANGED = "It could be used when the set was loaded: put the file back, or load the set again."


def label_map_source(folder, name, skip_damaged=False, keep=None):
    """The `Source` of a folder, all of whose files have been examined once.

    A folder without splits gives a fifth of its pairs to validation, drawn with a fixed seed; a
    training split without a validation split does the same.

    Args:
        folder: A `Folder`.
        name: What the data set is called.
        skip_damaged: Whether pairs that cannot be used are left out, and listed in a warning and
            in the source's `skipped`, instead of stopping everything.
        keep: `(height, width)` at which the decoded images are kept, if all fit; `None`: they are
            not kept.

    Raises:
        FileNotFoundError: an image without a mask or a mask without an image.
        ValueError: a damaged file, a mask of another size than its image, values that mean no
            class; with the path.
    """
    pairs = list(chain(*folder.splits.values()))
    keeper = None if keep is None else Keeper(len(pairs), keep)
    examined = examine_all(pairs, folder.palette_colours, keep=keeper)
    masks = masks_of(folder, examined.values())
    errors = [finding for finding in folder.findings if finding.severity == "error"]
    usable = {}
    for pair, each in examined.items():
        found = each.errors
        for path, labels in zip(each.label_paths, each.labels):
            if labels and not found:
                found = [
                    f for f in findings_of_values(labels, path, masks) if f.severity == "error"
                ]
        errors += found[:1]
        usable[pair] = not found
    splits = {split: [p for p in pairs if usable[p]] for split, pairs in folder.splits.items()}
    warn_of_unread(folder)
    handle_errors(folder, errors, splits, skip_damaged)
    return source_of(folder, name, masks, examined, splits, tuple(map(str, errors)), keeper)


class Keeper:
    """Keeps decoded pairs, resized, if all of a set fit into `dataset.CACHE_LIMIT` bytes.

    Args:
        count: The number of pairs in the set.
        image_size: `(height, width)`.

    Attributes:
        full: Whether they do not fit, and nothing more is kept.
    """

    def __init__(self, count, image_size):
        self.count = count
        self.image_size = image_size
        self.full = False

    def __call__(self, image, *masks):
        """[image, masks] of one pair as arrays; `None` if there is no room."""
        if self.full:
            return None
        with tf.device("CPU"):
            image = resize(tf.constant(image), self.image_size)
            masks = [resize_labels(tf.constant(mask), self.image_size) for mask in masks]
        arrays = [array.numpy() for array in (image, *masks)]
        self.full |= self.count * sum(array.nbytes for array in arrays) > dataset.CACHE_LIMIT
        return None if self.full else arrays


def warn_of_unread(folder):
    """One warning for all files of a kind that are not read."""
    unread = [finding for finding in folder.findings if finding.severity == "warning"]
    for title in dict.fromkeys(finding.title for finding in unread):
        paths = [finding.path for finding in unread if finding.title == title]
        shown = ", ".join(map(str, paths[:5])) + ", ..." * (len(paths) > 5)
        words = f"{folder.path}: {len(paths)} {title}, which are not used: {shown}"
        warnings.warn(words, stacklevel=4)


def handle_errors(folder, errors, splits, skip_damaged):
    """Raises the first finding; or, if such pairs are to be left out, warns of them."""
    too_few = fewer_than_needed(folder.path, splits)
    if errors and not skip_damaged:
        more = f" {len(errors) - 1} more cannot be used: `kerasseg check` lists all."
        leave_out = " Or skip_damaged=True leaves such pairs out."
        more = more * (len(errors) > 1) + leave_out * (not too_few)
        partner = errors[0].title in (NO_MASK.title, NO_IMAGE.title)
        if partner:
            raise FileNotFoundError(f"{errors[0]}{more}")
        raise Unusable(errors[0], more=more)
    if errors:
        warnings.warn(
            f"{len(errors)} of the pairs in {folder.path} cannot be used and are left out; "
            f"`kerasseg check` lists all. The first: {errors[0]}",
            stacklevel=4,
        )
    if too_few:
        raise ValueError(too_few)


def fewer_than_needed(path, splits):
    """What is missing for a training, in words; `None` if nothing is."""
    for split, pairs in splits.items():
        least = 1 if "validation" in splits or split == "test" else 2
        if len(pairs) < least:
            return (
                f"{path}: expected at least {least} usable pairs of images and masks. "
                f"Received: {len(pairs)} in {split!r}"
            )
    return None


def source_of(folder, name, masks, examined, usable, skipped, keeper=None):
    splits = with_validation(usable)
    sizes = {examined[pair].size for pair in chain(*splits.values())}
    size = sizes.pop() if len(sizes) == 1 else (None, None)
    names, colours = masks.class_names, masks.colours
    if folder.multi_label:
        names = folder.class_names
        colours = np.array(folder.colours or voc_colours(len(names) + 1)[1:], "uint8")
    labels = len(names) if folder.multi_label else None
    starts = accumulate(map(len, splits.values()), initial=0)
    kept = None
    if keeper is not None and not keeper.full:
        images, maps = in_memory([examined[pair] for pair in chain(*splits.values())], masks)
        read = partial(read_kept, images=images, maps=maps, multi_label=folder.multi_label)
        kept = keeper.image_size, read
    return Source(
        splits={
            split: records(pairs, examined, first)
            for (split, pairs), first in zip(splits.items(), starts)
        },
        read=partial(
            read_pair,
            masks=masks,
            colours=folder.palette_colours,
            size=size,
            labels=labels,
        ),
        kept=kept,
        targets=("label", "image"),
        class_names=names,
        colours=colours,
        ignore_class=VOID,
        augmentable=True,
        skipped=skipped,
        name=name,
        multi_label=folder.multi_label,
        class_pixels=np.stack([class_pixels(examined[p], masks) for p in splits["train"]]),
    )


def class_pixels(examined, masks):
    """int64 array (classes,): the pixels of each class; of each label in a multi-label folder."""
    counts = [masks.count(labels.values)[0] for labels in examined.labels]
    return counts[0] if len(counts) == 1 else np.array([count[1] for count in counts])


def records(pairs, examined, first=0):
    """A `tf.data.Dataset` of {"image": path, "label": paths, "bytes", "place"}.

    "bytes" are `Examined.plain_bytes`; "place" counts the pairs from `first`.
    """
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": [os.fsencode(image) for image, _ in pairs],
            "label": [[os.fsencode(path) for path in paths_of(mask)] for _, mask in pairs],
            "bytes": [examined[pair].plain_bytes for pair in pairs],
            "place": [first + i for i in range(len(pairs))],
        }
    )


def in_memory(examined, masks):
    """`(images, maps)`: what was kept of all pairs, uint8 (pairs, height, width, 3 or masks).

    At the end of the copy everything is in memory once: each pair leaves as it is copied.
    """
    image, *values = examined[0].kept
    images = np.empty((len(examined), *image.shape), "uint8")
    maps = np.empty((*images.shape[:3], len(values)), "uint8")
    for i, each in enumerate(examined):
        images[i], *values = each.kept
        for j, mask in enumerate(values):
            maps[i, ..., j] = masks.to_ids(mask.astype("uint8"))
        each.kept = None
    return images, maps


def read_pair(record, masks, colours=None, size=(None, None), labels=None):
    """{"image", "label"} of one record, inside a `tf.data` pipeline, of `size` where known.

    Files that TensorFlow decodes to the same array as Pillow are read by TensorFlow, without Python
    and faster. All others are read by Pillow, and so are files that changed after they were
    examined, so that an error has a clear message. With `labels`, the number of labels, there is a
    mask for each.
    """
    paths = tf.concat([record["image"][None], record["label"]], 0)

    def read(paths):
        image_path, *mask_paths = map(os.fsdecode, paths)
        try:
            image = read_image(image_path)
            maps = []
            for path in mask_paths:
                mask = read_mask(path, colours)
                if mask.shape[:2] != image.shape[:2]:
                    finding = different_size(image_path, image.shape[:2], path, mask.shape[:2])
                    raise Unusable(finding)
                maps.append(masks.to_ids(mask, path))
        except Unusable as error:
            finding = error.finding._replace(remedy=CHANGED)
            raise Unusable(finding) from error
        return image, np.stack(maps, -1)

    def by_pillow():
        return tuple(tf.numpy_function(read, [paths], (tf.uint8, tf.uint8)))

    def by_tensorflow():
        contents = [tf.io.read_file(paths[i]) for i in range(1 + (labels or 1))]
        image = tf.io.decode_jpeg(contents[0], 3, dct_method="INTEGER_ACCURATE")  # PNG as well
        maps = [tf.io.decode_png(content, 1)[..., 0] for content in contents[1:]]
        shapes = tf.stack([tf.shape(image)[:2], *map(tf.shape, maps)])

        def to_ids():
            label = tf.gather(masks.table[::GREY], tf.cast(tf.stack(maps, -1), tf.int32))
            return tf.cond(tf.reduce_all(label != OUTSIDE), lambda: (image, label), by_pillow)

        return tf.cond(tf.reduce_all(shapes == shapes[:1]), to_ids, by_pillow)

    sizes = tf.numpy_function(file_sizes, [paths], tf.int64)
    unchanged = tf.reduce_all(sizes == tf.cast(record["bytes"], tf.int64))
    image, label = tf.cond(unchanged, by_tensorflow, by_pillow)
    image = tf.ensure_shape(image, (*size, 3))
    if labels:
        return {"image": image, "label": tf.ensure_shape(label, (*size, labels))}
    return {"image": image, "label": tf.ensure_shape(label, (*size, 1))[..., 0]}


def read_kept(record, images, maps, multi_label):
    """What `read_pair` reads, resized, from the arrays of `in_memory`, without a copy of them."""

    def read(place):
        return images[place], maps[place] if multi_label else maps[place, ..., 0]

    image, label = tf.numpy_function(read, [record["place"]], (tf.uint8, tf.uint8))
    image = tf.ensure_shape(image, images.shape[1:])
    return {
        "image": image,
        "label": tf.ensure_shape(label, maps.shape[1 : 4 if multi_label else 3]),
    }


def file_sizes(paths):
    """The sizes of files in bytes, -2 for one that is not there."""
    return np.array([os.path.getsize(p) if os.path.isfile(p) else -2 for p in paths], "int64")
