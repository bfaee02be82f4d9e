"""`load`: one function for every source of images."""

from numbers import Integral

import numpy as np

from kerasseg.datasets import camvid, cityscapes, digits, folder, pets, street_scenes
from kerasseg.datasets.dataset import Dataset

SOURCES = {
    "digits": digits.source,
    "street_scenes": street_scenes.source,
    "mnist": digits.mnist_source,
    "fashion_mnist": digits.fashion_mnist_source,
    "oxford_iiit_pet": pets.source,
    "cityscapes": cityscapes.source,
    "camvid": camvid.source,
    "folder": folder.source,
}


def load(
    name,
    *,
    target=None,
    corruption=None,
    image_size=None,
    batch_size=8,
    data_dir=None,
    augment=True,
    seed=0,
    download=True,
    colours=None,
    skip_damaged=False,
):
    """Loads a set of pictures as batches of (images, targets).

    Book: chapter 6, "Preparing data for smart car apps".

    Args:
        name: One of

            | name | pictures | targets | needs |
            |---|---|---|---|
            | `digits` | 1,797 digits, 8x8 | image, label | nothing |
            | `street_scenes` | 672 drawn, 192x256 | label, image, instances, depth | nothing |
            | `mnist` | 70,000 digits, 28x28 | image, label | a download, or `data_dir` |
            | `fashion_mnist` | 70,000 clothes, 28x28 | image, label | the same |
            | `oxford_iiit_pet` | 7,349 cats and dogs | label, image | the same |
            | `cityscapes` | 3,475 streets, 1024x2048 | label, image | a download by hand |
            | `camvid` | 468 or 701 photographs, 360x480 | label, image | `data_dir` |
            | `folder` | your own, with masks: `datasets/folder.py` | label, image | `data_dir` |

        target: What the second half of a batch is; the first of the set's targets by default.
        corruption: What spoils the first half of a batch and leaves the second: one of
            `datasets/corruptions.py`, such as `corruptions.noise(0.4)`. `None` leaves both.
        image_size: `(height, width)` to resize to: images smoothly, label maps by nearest
            neighbour, so that they never leave the integers. `None` keeps the size.
        batch_size: Pictures a batch; the last batch of an epoch may be smaller.
        data_dir: Where the set lies, or where TensorFlow Datasets prepares it.
        augment: How strongly training pictures are varied at random, from 0 (`False`, not at all)
            to 1 (`True`); `datasets/augmentation.py` says how. Digits never are.
        seed: Of shuffling, augmentation and the corruption of training pictures. It changes no
            split, and no picture of the other splits.
        download: Whether a set that is not there may be downloaded.
        colours: For `folder`, what the masks' colours mean: `{"road": (128, 64, 128), ...}` in
            the order of the ids; a name such as void makes its pixels void.
        skip_damaged: For `folder` and `camvid`, whether pairs that cannot be used are left out,
            counted in a warning and listed in `Dataset.skipped`, instead of raising an error.

    Returns:
        A `Dataset` with `.train`, `.validation`, `.test`, `.class_names`, `.colours` and
        `.ignore_class`.

    Raises:
        ValueError: an unknown name, target or size; a damaged or wrong file, with its path.
        FileNotFoundError: a folder without images, an image without a label map, or a label map
            without an image.

    Example:

    >>> data = kerasseg.datasets.load("digits", target="label", batch_size=32)
    >>> images, labels = next(iter(data.train))
    >>> images.shape, labels.shape
    (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """
    if name not in SOURCES:
        raise ValueError(f"`name` must be one of {', '.join(SOURCES)}. Received: name={name!r}")
    if image_size is not None and (np.shape(image_size) != (2,) or min(image_size) < 1):
        raise ValueError(
            f"`image_size` must be (height, width) in pixels. Received: image_size={image_size}"
        )
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: batch_size={batch_size}"
        )
    if not 0 <= augment <= 1:
        raise ValueError(f"`augment` must be from 0 to 1, or a bool. Received: augment={augment}")
    if corruption is not None and not callable(corruption):
        raise ValueError(
            "`corruption` must be one of kerasseg.datasets.corruptions, such as "
            f"corruptions.noise(), or a function. Received: corruption={corruption!r}"
        )
    if colours is not None and name != "folder":
        raise ValueError(f"`colours` is for masks in a `folder`. Received: name={name!r}")
    source = SOURCES[name](
        data_dir=data_dir, download=download, colours=colours, skip_damaged=skip_damaged
    )
    if target not in (None, *source.targets):
        raise ValueError(
            f"`target` of {name} must be one of {', '.join(source.targets)}. "
            f"Received: target={target!r}"
        )
    return Dataset(
        source,
        target=target,
        corruption=corruption,
        image_size=image_size,
        batch_size=batch_size,
        augment=augment,
        seed=seed,
    )
