"""Cell nuclei under the microscope: the 2018 Data Science Bowl, stage 1 (Caicedo et al. 2019).

Broad Bioimage Benchmark Collection, BBBC038, CC0: https://bbbc.broadinstitute.org/BBBC038
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasseg.datasets import files
from kerasseg.datasets.dataset import Source
from kerasseg.datasets.examine import different_size
from kerasseg.datasets.faults import Unusable

CLASS_NAMES = ("background", "nucleus")
COLOURS = np.array([(25, 25, 60), (250, 190, 60)], "uint8")
VOID = 255  # no pixel of the files, but those that augmentation leaves uncovered
FEWEST = 6  # images, for one in each split
LAYOUTS = (
    "one folder per image with ID/images/ID.png and one PNG per nucleus in ID/masks/, in "
    "`data_dir` or in a folder inside it such as stage1_train/; or images/*.png and instances/*.png"
)


def source(*, data_dir=None):
    """Micrographs of cell nuclei, with a number for each nucleus.

    `data_dir` is one of

    - as published: the folder of the image folders, `stage1_train/`, or its parent; each image
      folder holds `images/ID.png` and, in `masks/`, one black and white PNG per nucleus;
    - merged: `images/NAME.png` and `instances/NAME.png`, of 8 or 16 bits, 0 for the background and
      one number for each nucleus.

    The targets are "label", 0 for background and 1 for nucleus, and "instances", 0 for background
    and 1, 2, ..., n for the nuclei: in the order of the names of their masks, or of their numbers,
    without gaps. Where two masks overlap, the pixels belong to the smaller nucleus, so that none
    disappears under a larger one; of two of one size, to the one whose name comes first. An empty
    mask is not a nucleus. An alpha channel is dropped. The images differ in size: pass
    `image_size`, or `batch_size=1`.

    Of the images sorted by their names, every fifth is for test (positions 4, 9, 14, ..., counted
    from 0); of the others, every fifth, counted in the same way, is for validation.

    Every file is read once before anything else happens; none is ever written.

    Args:
        data_dir: The folder.

    Raises:
        FileNotFoundError: no such layout, or an image without masks.
        ValueError: fewer than six images; a file that cannot be read; a mask of another size than
            its image, or of more than two values.
    """
    if data_dir is None:
        raise ValueError(f"nuclei needs `data_dir`, with {LAYOUTS}. Received: data_dir=None")
    pairs = find(Path(data_dir))
    if len(pairs) < FEWEST:
        raise ValueError(
            f"{data_dir}: expected at least {FEWEST} images, for three splits. "
            f"Received: {len(pairs)} images"
        )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = list(pool.map(size_and_pixels, pairs))
    rest, test = every_fifth(range(len(pairs)))
    train, validation = every_fifth(rest)
    splits = {"train": train, "validation": validation, "test": test}
    sizes = {size for size, _ in counted}
    return Source(
        splits={split: records([pairs[i] for i in chosen]) for split, chosen in splits.items()},
        read=partial(read, size=sizes.pop() if len(sizes) == 1 else (None, None)),
        targets=("label", "instances", "image"),
        class_names=CLASS_NAMES,
        colours=COLOURS,
        ignore_class=VOID,
        augmentable=True,
        class_pixels=np.array([counted[i][1] for i in train]),
    )


def find(path):
    """[(path of an image, path of its masks' folder or of its instances)], sorted by stem.

    Raises:
        FileNotFoundError: none of the layouts, or an image without masks.
    """
    if (path / "images").is_dir() and (path / "instances").is_dir():
        return merged_pairs(path / "images", path / "instances")
    inside = folders_in(path)
    holders = [
        folder
        for folder in (path, *inside)
        if any((p / "images").is_dir() and (p / "masks").is_dir() for p in folders_in(folder))
    ]
    if len(holders) != 1:
        there = [folder.name for folder in inside][:12] if path.is_dir() else "no such folder"
        raise FileNotFoundError(f"No nuclei in {path}. Expected {LAYOUTS}. Received: {there}")
    pairs = [
        (folder / "images" / f"{folder.name}.png", folder / "masks")
        for folder in folders_in(holders[0])
    ]
    for image, masks in pairs:
        if not image.is_file() or not any(masks.glob("*.png")):
            absent = "one PNG per nucleus in masks/" if image.is_file() else f"images/{image.name}"
            raise FileNotFoundError(
                f"{masks.parent} is no image with its nuclei: it lacks {absent}. Complete it, or "
                "move it elsewhere."
            )
    return pairs


def folders_in(path):
    """The folders in a folder, in order, but for those that archive tools add."""
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def merged_pairs(*folders):
    images, instances = ({p.stem: p for p in sorted(folder.glob("*.png"))} for folder in folders)
    alone = sorted(images.keys() ^ instances.keys())
    if alone or not images:
        partner = folders[alone[0] in images] if alone else folders[0]
        what = f"no {alone[0]}.png, which its partner has" if alone else "no PNG files"
        raise FileNotFoundError(
            f"{partner} holds {what}. Expected images/*.png and instances/*.png of the same names."
        )
    return [(images[stem], instances[stem]) for stem in sorted(images)]


def every_fifth(items):
    """The others, and every fifth: those at positions 4, 9, 14, ...

    Example:

    >>> every_fifth("abcdefghijkl")
    (['a', 'b', 'c', 'd', 'f', 'g', 'h', 'i', 'k', 'l'], ['e', 'j'])
    """
    items = list(items)
    return [x for i, x in enumerate(items) if i % 5 != 4], items[4::5]


def records(pairs):
    images, masks = zip(*pairs)
    return tf.data.Dataset.from_tensor_slices(
        {"image": [os.fsencode(p) for p in images], "masks": [os.fsencode(p) for p in masks]}
    )


def size_and_pixels(pair):
    """(height, width) of a pair, and how many of its pixels are background and nuclei."""
    _, instances = read_pair(*pair)
    nuclei = np.count_nonzero(instances)
    return instances.shape, (instances.size - nuclei, nuclei)


def read(record, size):
    """{"image", "label", "instances"} of one record, inside a `tf.data` pipeline."""
    image, instances = tf.numpy_function(
        lambda *paths: read_pair(*map(os.fsdecode, paths)),
        (record["image"], record["masks"]),
        (tf.uint8, tf.int32),
    )
    instances = tf.ensure_shape(instances, size)
    return {
        "image": tf.ensure_shape(image, (*size, 3)),
        "label": tf.cast(instances > 0, tf.uint8),
        "instances": instances,
    }


def read_pair(image_path, masks_path):
    """The image, uint8 (height, width, 3), and its instances, int32 (height, width)."""
    image = files.read_image(image_path)
    if os.path.isdir(masks_path):
        paths = sorted(Path(masks_path).glob("*.png"))
        masks = [read_nucleus(path, image, image_path) for path in paths]
        return image, merged(masks)
    numbers = np.asarray(files.decode(masks_path))
    if numbers.ndim != 2 or numbers.dtype.kind not in "ui":
        raise ValueError(
            f"{masks_path}: expected one channel of 8 or 16 bits, a number for each nucleus. "
            f"Received: shape={numbers.shape}, dtype={numbers.dtype}"
        )
    check_sizes(image, image_path, numbers, masks_path)
    return image, consecutive(numbers)


def check_sizes(image, image_path, values, path):
    if values.shape[:2] != image.shape[:2]:
        raise Unusable(different_size(image_path, image.shape[:2], path, values.shape[:2]))


def read_nucleus(path, image, image_path):
    """Which pixels a black and white PNG marks."""
    values = files.read_mask(path)
    check_sizes(image, image_path, values, path)
    white = values.max()
    if values.ndim != 2 or not ((values == 0) | (values == white)).all():
        raise ValueError(
            f"{path}: expected the mask of one nucleus, black and white. "
            f"Received: {len(np.unique(values))} values, up to {white}"
        )
    return values > 0


def merged(masks):
    """Instances, int32 (height, width), of masks, one per nucleus; the smaller lie on top.

    Example:

    >>> merged([np.array([[1, 1, 1, 0]]) > 0, np.array([[0, 0, 1, 1]]) > 0])
    array([[1, 1, 2, 2]], dtype=int32)
    """
    instances = np.zeros(masks[0].shape, "int32")
    smallest_last = sorted(range(len(masks)), key=lambda i: (-masks[i].sum(), -i))
    for i in smallest_last:
        instances[masks[i]] = i + 1
    return consecutive(instances)


def consecutive(numbers):
    """The numbers 0, 1, ..., n in place of any from 0, in the same order.

    Example:

    >>> consecutive(np.array([[0, 7], [7, 300]], "uint16"))
    array([[0, 1],
           [1, 2]], dtype=int32)
    """
    present = np.unique(numbers[numbers > 0])
    return np.searchsorted(present, numbers, side="right").astype("int32")
