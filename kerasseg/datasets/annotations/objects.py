"""What all formats have in common: images with named objects, each an outline or a mask."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.class_table import read_text
from kerasseg.datasets.faults import Unusable

SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
FARTHEST = 1e7  # pixels from the image; beyond it a coordinate is no coordinate


@dataclass(frozen=True)
class Thing:
    """An object in an image.

    Attributes:
        name: Of its class.
        polygons: Its outlines, float arrays (points, 2) of x and y; a pixel belongs to the object
            if its centre lies inside one of them. The pixel in row i and column j covers x from j
            to j + 1 and y from i to i + 1.
        mask: Its pixels instead, bool (height, width), in the whole image or a part of it.
        corner: (row, column) of the mask's first pixel; `None` if it shows the whole image.
        shares: Whether x and y are shares of the image's width and height.
        rough: Whether the outline is only a box around it.
        crowd: Whether it is a group of objects, which single ones lie on top of.
    """

    name: str
    polygons: tuple = ()
    mask: np.ndarray | None = None
    corner: tuple | None = None
    shares: bool = False
    rough: bool = False
    crowd: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and its objects.

    Attributes:
        where: The file of the annotations, for messages.
        name: Of the image in its split, a path without suffix.
        things: A function that returns its `Thing`s.
        path: The image file.
        content: The bytes of the image where the annotations contain them; then `path` is `None`.
        split: "train", "validation", "test", or "all" where there are no splits.
        size: (height, width) that the annotations were made at; `None` if they do not say.
    """

    where: Path
    name: str
    things: Callable
    path: Path | None = None
    content: bytes | None = None
    split: str = "all"
    size: tuple | None = None


@dataclass
class Annotations:
    """What a reader has found.

    Attributes:
        kind: The format, in words.
        names: Of the classes, in their order; `None` if nothing lists them: those of the objects.
        images: `AnnotatedImage`s.
        findings: `Finding`s about files.
        complete: Whether they say of every pixel what it is.
    """

    kind: str
    names: tuple | None
    images: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    complete: bool = False


def read_json(path):
    """The value in a JSON file.

    Raises:
        Unusable: no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (RecursionError, ValueError) as error:
        raise unusable(path, f"is no JSON: {str(error).splitlines()[0]}") from error


def unusable(path, words):
    return Unusable(faults.WRONG_ANNOTATIONS.found(path, words))


def require_that(condition, path, expected, received):
    """Raises `Unusable` with what was expected of a file and what it has."""
    if not condition:
        shown = repr(received)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise unusable(path, f"should hold {expected}. Received: {shown}")


def as_polygon(numbers, path):
    """float64 array (points, 2) of a list of x, y, x, y, ... or of pairs.

    Raises:
        Unusable: something else, or a number that is no coordinate.

    Example:

    >>> as_polygon([0, 0, 4, 0, 4, 2], "a.json").tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.0, 2.0]]
    """
    expected = "outlines as numbers x, y, x, y, ... in pixels"
    try:
        points = np.array(numbers, "float64")
    except (TypeError, ValueError, OverflowError):
        points = np.array([np.nan])
    right = (points.ndim == 1 and points.size % 2 == 0) or points.shape[1:] == (2,)
    require_that(right and (np.abs(points) < FARTHEST).all(), path, expected, numbers)
    return points.reshape(-1, 2)


def whole_number(value):
    """Whether a value from JSON is a whole number: 3 or 3.0, but not `True`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value == int(value)


def declared_size(height, width, path):
    """(height, width), `None` if neither is given."""
    if height is None and width is None:
        return None
    right = all(whole_number(n) and n > 0 for n in (height, width))
    require_that(right, path, "a height and a width, whole numbers above 0", (height, width))
    return int(height), int(width)


def name_below(text):
    """The path of an image in the output, without suffix, from its name in annotations.

    Names from another machine lead nowhere outside: of `C:\\a\\x.png` or `../x.png`, `x` is left.

    Example:

    >>> name_below("left/x.1.png"), name_below("../../etc/x.png"), name_below("C:\\\\a\\\\x.png")
    ('left/x.1', 'x', 'x')
    """
    path = PurePosixPath(text.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        path = PurePosixPath(path.name)
    return str(path.with_suffix(""))


def split_of(*words):
    """The split that the first telling of these names tells; "all" if none does.

    Example:

    >>> split_of("instances_val2017"), split_of("holiday", "train"), split_of("trainer")
    ('validation', 'train', 'all')
    """
    for word in words:
        parts = re.split(r"[^a-z]+", word.lower())
        for split, names in SPLIT_WORDS.items():
            if set(names) & set(parts):
                return split
    return "all"


def from_base64(text, path):
    """The bytes of a text.

    Raises:
        Unusable: not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise unusable(path, "holds an image that is not base64") from None
