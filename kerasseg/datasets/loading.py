"""`load`: one function for every source of images."""

import dataclasses
import difflib
import inspect

import numpy as np

from kerasseg import requirements
from kerasseg.layers.arguments import is_integer

SOURCES = {  # name: module and function, imported when they are needed
    "digits": "digits.source",
    "street_scenes": "street_scenes.source",
    "mnist": "digits.mnist_source",
    "fashion_mnist": "digits.fashion_mnist_source",
    "oxford_iiit_pet": "pets.source",
    "cityscapes": "cityscapes.source",
    "camvid": "camvid.source",
    "nuclei": "nuclei.source",
    "folder": "folder.source",
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
    keep=False,
    patch=None,
    steps=None,
    flips=False,
    turns=False,
):
    """Loads a data set as batches of (images, targets).

    Book: chapter 6, "Preparing data for smart car apps".

    Args:
        name: One of

            | name | images | targets | needs |
            |---|---|---|---|
            | `digits` | 1,797 digits, 8x8 | image, label | nothing |
            | `street_scenes` | 672 drawn, 192x256 | label, image, instances, depth | nothing |
            | `mnist` | 70,000 digits, 28x28 | image, label | a download, or `data_dir` |
            | `fashion_mnist` | 70,000 clothes, 28x28 | image, label | the same |
            | `oxford_iiit_pet` | 7,349 cats and dogs | label, image | the same |
            | `cityscapes` | 3,475 streets, 1024x2048 | label, image | a manual download |
            | `camvid` | 468 or 701 photographs, 360x480 | label, image | `data_dir` |
            | `nuclei` | 670 micrographs | label, instances, image | `data_dir` |
            | `folder` | your own, with masks: `datasets/folder.py` | label, image | `data_dir` |

        target: What the second half of a batch is; by default the first of the targets above.
        corruption: What damages the images and leaves the targets: one of
            `datasets/corruptions.py`, such as `corruptions.noise(0.4)`. `None`: nothing.
        image_size: `(height, width)` to resize to: images smoothly, label maps by nearest
            neighbour, so that no new ids arise. `None` keeps the size.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        data_dir: The folder that holds the data, or in which TensorFlow Datasets prepares them.
        augment: How strongly training images are varied at random, from 0 (`False`, not at all)
            to 1 (`True`); `datasets/augmentation.py` says how. Digits are never varied.
        seed: Of shuffling, augmentation and the corruption of training images, an integer. It
            changes no split, and no image of the other splits.
        download: Whether data that are not there may be downloaded.
        colours: For `folder`, what the masks' colours mean: `{"road": (128, 64, 128), ...}` in
            the order of the ids; a name such as void makes its pixels void.
        skip_damaged: For `folder` and `camvid`, whether pairs that cannot be used are left out,
            counted in a warning and listed in `Dataset.skipped`, instead of raising an error.
        keep: For `folder` and `camvid`, with `image_size`: whether the images that are decoded to
            be checked stay in memory at that size, so that nothing is decoded again. They do if all
            of them fit into 4 GiB.
        patch: `(height, width)` of the parts, at random places, that training images are cut into;
            validation and test images stay whole, one in a batch where their sizes differ. `None`:
            training images stay whole, too.
        steps: How many batches an epoch of `train` has, whatever the number of images; `None`: each
            image occurs once.
        flips, turns: Whether augmentation turns training images upside down, and by any angle: for
            images without an up and a down, such as those of a microscope or a satellite.

    Returns:
        A `Dataset` with `.train`, `.validation`, `.test`, `.class_names`, `.colours` and
        `.ignore_class`.

    Raises:
        ValueError: an unknown name, target or size; `keep` without `image_size`; an argument that
            this source does not take; a damaged or wrong file, with its path.
        FileNotFoundError: data that are not there and cannot be downloaded; a folder without
            images, an image without a label map, or a label map without an image.
        ModuleNotFoundError: TensorFlow, or another package that the source needs, is not
            installed.

    Example:

    >>> data = kerasseg.datasets.load("digits", target="label", batch_size=32)
    >>> images, labels = next(iter(data.train))
    >>> images.shape, labels.shape
    (TensorShape([32, 8, 8, 1]), TensorShape([32]))
    """
    check_arguments(image_size, batch_size, augment, seed, corruption, patch, steps)
    make_source = source_function(name)
    from kerasseg.datasets.dataset import Dataset  # needs TensorFlow, as every source does

    given = {"data_dir": data_dir, "colours": colours}
    given = {key: value for key, value in given.items() if value is not None}
    given |= {"skip_damaged": True} if skip_damaged else {}
    given |= {"keep": True} if keep else {}
    taken = inspect.signature(make_source).parameters
    for key, value in given.items():
        if key not in taken:
            raise ValueError(f"{name} takes no `{key}`: leave it out. Received: {key}={value!r}")
    if keep and image_size is None:
        raise ValueError("`keep` needs `image_size`. Received: keep=True, image_size=None")
    if keep:
        given["keep"] = tuple(map(int, image_size))  # the size at which to keep
    if "download" in taken:  # the others never download
        given["download"] = download
    source = dataclasses.replace(make_source(**given), name=name)
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
        patch=patch,
        steps=steps,
        flips=flips,
        turns=turns,
    )


def check_arguments(image_size, batch_size, augment, seed, corruption, patch=None, steps=None):
    """What `load` can say of its arguments before it looks at any data."""
    for name, size in (("image_size", image_size), ("patch", patch)):
        if size is not None and not (
            np.shape(size) == (2,) and all(is_integer(n) and n > 0 for n in size)
        ):
            raise ValueError(
                f"`{name}` must be (height, width) in pixels, two positive integers. "
                f"Received: {name}={size}"
            )
    if steps is not None and (not is_integer(steps) or steps < 1):
        raise ValueError(f"`steps` must be a positive integer. Received: steps={steps}")
    if not is_integer(batch_size) or batch_size < 1:
        raise ValueError(
            f"`batch_size` must be a positive integer. Received: batch_size={batch_size}"
        )
    if not 0 <= augment <= 1:
        raise ValueError(f"`augment` must be from 0 to 1, or a bool. Received: augment={augment}")
    if not is_integer(seed) or not -(2**63) <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer of 64 bits. Received: seed={seed!r}")
    if corruption is not None and not callable(corruption):
        raise ValueError(
            "`corruption` must be one of kerasseg.datasets.corruptions, such as "
            f"corruptions.noise(), or a function. Received: corruption={corruption!r}"
        )


def source_function(name):
    """The function that makes the `Source` of this name, imported here."""
    if name not in SOURCES:
        near = difflib.get_close_matches(str(name), SOURCES, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`name` must be one of {', '.join(SOURCES)}.{meant} Received: name={name!r}"
        )
    module, function = SOURCES[name].split(".")
    return getattr(requirements.require(f"kerasseg.datasets.{module}"), function)
