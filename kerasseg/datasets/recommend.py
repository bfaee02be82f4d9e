"""How to train on a folder: options of `kerasseg train`, each with its reason.

Everything follows from a few facts: how many training images there are, how large they and the
objects in them are, whether the classes tell up from down, and what the machine has.
"""

import contextlib
import math
import os
import shlex
from typing import NamedTuple

import numpy as np

from kerasseg.datasets import folder as folders
from kerasseg.datasets.examine import examine_all, masks_of
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.files import image_size, is_large, read_mask
from kerasseg.datasets.masks import BINARY, VOID
from kerasseg.datasets.memory import available_memory, gigabytes
from kerasseg.datasets.pairs import paths_of, with_validation
from kerasseg.requirements import require

GROUND = (BINARY[0], "class 0")  # names of what lies behind the objects
SAMPLE = 24  # masks that are looked at
SIDE = 256  # pixels of a patch, and of a whole image on average
STRIDE = 32  # sides are multiples of it, so that nothing is padded
LARGE_OBJECT = 0.4  # of the image's shorter side: then the whole image is shown
LEVEL = 0.05  # of the height, by which a class may lie above or below the middle
FEWEST = 8  # images that must show a class before its place counts
BYTES_PER_PIXEL = 4000  # of a batch in training, for U-Net at a width of 0.25
PIXELS_PER_SECOND = 300_000  # on one core, for U-Net at a width of 0.25
MINUTES = 10  # of training at least, on this machine
PASSES = 20  # over the training images at least
MOST_CORES = 8  # that help a network of this size
STEPS = 40  # in an epoch


class Facts(NamedTuple):
    """What is known of a folder and the machine.

    Attributes:
        count: Training images, before any are held out.
        sizes: Their (height, width).
        diameter: Of the object that a pixel of an object belongs to, in the median: the root of its
            area in pixels; `None` if no object was seen.
        places: {class name: how high it lies in each image that has it, from 0 at the top to 1}.
        memory: Free bytes, `None` if unknown.
        cores: Of the processor.
    """

    count: int
    sizes: tuple
    diameter: float | None
    places: dict
    memory: int | None
    cores: int


class Advice(NamedTuple):
    """An option of `kerasseg train`, as in Python, with its value and the reason."""

    option: str
    value: object
    reason: str

    def words(self):
        """The option as it is written on the command line.

        Example:

        >>> Advice("image_size", (96, 128), "").words(), Advice("flips", True, "").words()
        ('--image-size 96 128', '--flips')
        """
        name = self.option.replace("_", "-")
        if isinstance(self.value, bool):
            return f"--{'' if self.value else 'no-'}{name}"
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return " ".join([f"--{name}", *map(str, values)])


def recommend(data_dir, given=None):
    """How to train on a folder of images and masks on this machine.

    Args:
        data_dir: The folder.
        given: {option: value} of what the user has decided; the rest is made to fit.

    Returns:
        A list of `Advice`, of options that are not given.

    Raises:
        FileNotFoundError, ValueError: a folder that cannot be trained on.
    """
    return advise(facts_of(folders.find(data_dir)), given or {})


def facts_of(folder):
    """The `Facts` of a `Folder`; a sample of its masks is decoded, and no image."""
    pairs = with_validation(folder.splits)["train"]
    sizes, small = [], []
    for pair in pairs:
        with contextlib.suppress(Unusable):  # a damaged file, which `load` names
            sizes.append(image_size(pair[0])[::-1])
            small += [pair] * (not any(map(is_large, paths_of(pair[1]))))
    if not sizes:
        raise ValueError(f"{folder.path} has no training image that can be read.")
    step = max(1, len(small) // SAMPLE)
    areas, places = [], {}
    for name, labels in named_masks(folder, small[::step][:SAMPLE]):
        rows = np.flatnonzero(labels) // labels.shape[1]
        if rows.size:
            places.setdefault(name, []).append((rows.mean() + 0.5) / labels.shape[0])
            if name not in GROUND:
                numbers, _ = require("scipy.ndimage").label(labels)
                areas.append(np.bincount(numbers.ravel())[1:])
    areas = np.sort(np.concatenate(areas)) if areas else np.zeros(0)
    diameter = None
    if areas.size:
        half = np.searchsorted(areas.cumsum(), areas.sum() / 2)
        diameter = float(areas[half]) ** 0.5
    return Facts(
        len(pairs), tuple(sizes), diameter, places, available_memory(), os.cpu_count() or 1
    )


def named_masks(folder, pairs):
    """`(class name, bool map)` of each class in the masks of some pairs that can be used."""
    examined = examine_all(pairs, folder.palette_colours)
    masks = masks_of(folder, examined.values())
    for pair, each in examined.items():
        if each.errors or masks is None:
            continue
        maps = [masks.to_ids(read_mask(p, folder.palette_colours), p) for p in paths_of(pair[1])]
        for i, ids in enumerate(maps):
            if folder.multi_label:
                yield folder.class_names[i], ids == 1
                continue
            for class_id in np.unique(ids[ids != VOID]):
                yield masks.class_names[class_id], ids == class_id


def advise(facts, given):
    """The list of `Advice` that follows from `Facts`, for what is not given.

    Example: small objects, of a class that lies anywhere.

    >>> facts = Facts(30, ((520, 696),) * 30, 20.0, {}, 8 * 10**9, 2)
    >>> [each.words() for each in advise(facts, {})][:2]
    ['--patch 256 256', '--batch-size 8']
    """
    if given.get("image_size") or given.get("patch"):
        shapes = []
        shape = given.get("patch") or given["image_size"]
    else:
        shapes = shape_advice(facts)
        shape = shapes[-1].value
    batch = batch_advice(facts, shape, given.get("width") or 0.25)
    size = given.get("batch_size") or batch.value
    advice = [*shapes, batch, *length_advice(facts, shape, size, given), *turn_advice(facts)]
    return [each for each in advice if given.get(each.option) is None]


def shape_advice(facts):
    """How images become equally large parts: the last `Advice` is what the network sees."""
    height, width = (round(float(np.median(sides))) for sides in zip(*facts.sizes))
    alike = len(set(facts.sizes)) == 1
    diameter = facts.diameter or 0
    if height * width <= 1.5 * SIDE**2 and alike:
        shape = multiple(height), multiple(width)
        return [Advice("image_size", shape, f"the images have {height}x{width} pixels")]
    if diameter > LARGE_OBJECT * min(height, width):
        scale = min(1, SIDE / math.sqrt(height * width))
        shape = multiple(height * scale), multiple(width * scale)
        words = f"objects of {diameter:.0f} pixels fill images of {height}x{width}: all is shown"
        return [Advice("image_size", shape, words)]
    advice = []
    scale = min(1, SIDE / 2 / max(diameter, 1))
    if scale < 0.75:
        height, width = multiple(height * scale), multiple(width * scale)
        words = f"objects of {diameter:.0f} pixels are shrunk to {diameter * scale:.0f}"
        advice.append(Advice("image_size", (height, width), words))
        smallest = min(height, width)
    else:
        smallest = min(map(min, facts.sizes))
    side = min(SIDE, max(STRIDE, smallest // STRIDE * STRIDE))
    about = f" with objects of {diameter * scale:.0f}" if diameter else ""
    words = f"cut from images of {height}x{width} pixels{about}, and not shrunk"
    return [*advice, Advice("patch", (side, side), words)]


def multiple(side):
    """The nearest multiple of `STRIDE`, one at least."""
    return max(1, round(side / STRIDE)) * STRIDE


def batch_advice(facts, shape, width):
    """The largest batch, up to 8, of which the memory holds twice what it needs."""
    needed = BYTES_PER_PIXEL * (width / 0.25) * shape[0] * shape[1]
    size = 8
    while size > 1 and facts.memory is not None and 2 * size * needed > facts.memory:
        size //= 2
    free = "" if facts.memory is None else f" of {gigabytes(facts.memory)} that are free"
    return Advice("batch_size", size, f"takes about {gigabytes(size * needed)}{free}")


def length_advice(facts, shape, batch_size, given):
    """How many epochs, and of how many batches, unless the user counts passes over the images."""
    if given.get("epochs") and not given.get("steps"):
        return []
    steps = given.get("steps") or STEPS
    pixels = shape[0] * shape[1] * batch_size * steps
    speed = PIXELS_PER_SECOND * min(facts.cores, MOST_CORES)
    speed *= (0.25 / (given.get("width") or 0.25)) ** 1.5
    epochs = math.ceil(60 * MINUTES * speed / pixels)
    epochs = max(epochs, math.ceil(PASSES * facts.count / (batch_size * steps)))
    minutes = max(1, round(epochs * pixels / speed / 60))
    few = f"{steps * batch_size} examples, whatever the number of images"
    return [
        Advice("steps", steps, few),
        Advice(
            "epochs", epochs, f"about {minutes:,} minutes on {facts.cores} cores, without a GPU"
        ),
    ]


def turn_advice(facts):
    """Whether the classes tell up from down: then no image is turned around."""
    seen = {name: np.array(places) for name, places in facts.places.items()}
    seen = {name: places for name, places in seen.items() if len(places) >= FEWEST}
    if not seen:
        words = "too few images to see whether there is an up and a down"
        return [Advice(name, False, words) for name in ("flips", "turns")]
    name, places = max(seen.items(), key=lambda item: abs(item[1].mean() - 0.5))
    error = places.std() / math.sqrt(len(places))
    upright = abs(places.mean() - 0.5) > max(LEVEL, 2 * error)
    if upright:
        side = "upper" if places.mean() < 0.5 else "lower"
        words = f"{name} lies in the {side} part of the images"
    else:
        words = "no class lies above or below the middle"
    return [Advice(option, not upright, words) for option in ("flips", "turns")]


def command(folder, advice):
    """A command to paste, and below it a line for each option with its reason."""
    words = [each.words() for each in advice]
    width = max(map(len, words), default=0)
    on = [text for text in words if not text.startswith("--no-")]
    lines = [" ".join(["kerasseg train", shlex.quote(str(folder)), *on])]
    lines += [f"  {text:<{width}}  {each.reason}" for text, each in zip(words, advice)]
    return "\n".join(lines)
