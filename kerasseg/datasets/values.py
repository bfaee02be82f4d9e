"""The values of masks: a grey value, 0 to 255, or a colour that is not grey, (red, green, blue)."""

from collections import Counter
from itertools import pairwise

import numpy as np

MOST_VALUES = 1024  # kept of one mask; more are no classes, so the most frequent ones are enough


def count_values(labels):
    """Counter {value: pixels} of a mask: (height, width), or colours, (height, width, 3).

    Values are Python numbers, and tuples for colours that are not grey.

    Example:

    >>> count_values(np.array([[0, 0, 7]], "uint8"))
    Counter({0: 2, 7: 1})
    >>> count_values(np.array([[[7, 7, 7], [128, 64, 0]]], "uint8"))
    Counter({7: 1, (128, 64, 0): 1})
    """
    coloured = labels.ndim == 3
    if coloured:
        labels = numbers_of(labels)
    if labels.dtype.kind in "bu" and labels.dtype.itemsize == 1:
        counts = np.bincount(labels.ravel())
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(labels, return_counts=True)
    if len(values) > MOST_VALUES:
        most = np.sort(np.argpartition(counts, -MOST_VALUES)[-MOST_VALUES:])
        values, counts = values[most], counts[most]
    values = values.tolist()
    if coloured:
        values = [as_value(number.to_bytes(3, "big")) for number in values]
    return Counter(dict(zip(values, counts.tolist())))


def numbers_of(colours):
    """The number of each colour of an array (..., 3): red * 65536 + green * 256 + blue."""
    red, green, blue = np.moveaxis(colours.astype("uint32"), -1, 0)
    return red << 16 | green << 8 | blue


def rgb(value):
    """The colour that a viewer shows for a value."""
    return value if isinstance(value, tuple) else (value, value, value)


def as_value(colour):
    """The value of a colour, (red, green, blue): its grey value if it is grey."""
    red, green, blue = map(int, colour)
    return red if red == green == blue else (red, green, blue)


def in_order(values):
    return sorted(values, key=rgb)


def spoken(values, last="and"):
    """Values in words: the ends of a range without gaps, or the first few and how many more.

    Example:

    >>> spoken({2, 0, 1}), spoken([7, (1, 2, 3)])
    ('0 to 2', '(1, 2, 3) and 7')
    """
    values = in_order(values)
    grey = not any(isinstance(value, tuple) for value in values)
    if grey and len(values) > 2 and all(b - a == 1 for a, b in pairwise(values)):
        return f"{values[0]:g} to {values[-1]:g}"
    return listed((f"{v:g}" if isinstance(v, float) else v for v in values), last)


def listed(items, last="and"):
    """The first five of more than six items, and how many more there are."""
    words = list(map(str, items))
    if len(words) > 6:
        words = [*words[:5], f"{len(words) - 5} more"]
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
