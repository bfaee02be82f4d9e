"""From the objects of an image to its label map."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.masks import OUTSIDE, VOID

BORDER = 1.0  # pixels that an outline drawn by hand may leave the image


@dataclass(frozen=True)
class Drawn:
    """A label map, and what is to be said of it.

    Attributes:
        labels: uint8 (height, width), ids and 255 for void.
        things: {id: objects}, 255 for those of unknown names.
        findings: `Finding`s about overlaps, names, and objects that cannot be drawn whole.
    """

    labels: np.ndarray
    things: Counter
    findings: list


def draw(image, size, ids, unlabelled):
    """The label map of an image.

    The smaller object lies on top, so that none disappears under a larger one; of two of one size,
    the one that comes first. Void are the pixels of objects of unknown names, and those inside a
    box that is all that is known of an object.

    Args:
        image: An `AnnotatedImage`.
        size: (height, width) that the annotations were made at.
        ids: {class name: id}, 255 for names that mean void.
        unlabelled: The id of pixels in no object.

    Returns:
        A `Drawn`.

    Raises:
        Unusable: annotations that are damaged, or a mask of another size.
    """
    labels = np.full(size, OUTSIDE, "uint8")
    things, shapes, beyond, unknown = Counter(), [], [], Counter()
    without_area, boxes, overlap = 0, 0, 0
    for thing in image.things():
        pixels, corner, farthest = pixels_of(thing, size, image.where)
        beyond += [farthest] * (farthest > BORDER)
        unknown[thing.name] += thing.name not in ids
        boxes += thing.rough and bool(thing.polygons)
        label = VOID if thing.rough else ids.get(thing.name, VOID)
        things[label] += 1
        if pixels.any():
            shapes.append((thing, pixels, corner, label))
        else:
            without_area += farthest <= BORDER  # nothing is left of one that lies outside
    shapes.reverse()  # a stable sort leaves those that come first on top of their equals
    shapes.sort(key=lambda shape: (not shape[0].crowd, -np.count_nonzero(shape[1])))
    for _, pixels, (top, left), label in shapes:
        part = labels[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        if label != VOID:
            below = part[pixels]
            overlap += np.count_nonzero((below != label) & (below < OUTSIDE))
        part[pixels] = label
    labels[labels == OUTSIDE] = unlabelled
    findings = findings_of(image.where, beyond, unknown, without_area, boxes, overlap)
    return Drawn(labels, things, findings)


def findings_of(where, beyond, unknown, without_area, boxes, overlap):
    findings = []
    if beyond:
        words = (
            f"{counted(len(beyond))} the image of {where.name} by up to {max(beyond):.0f} pixels"
        )
        findings.append(faults.BEYOND.found(where, words))
    names = [f"{name!r} ({count})" for name, count in unknown.items() if count]
    if names:
        words = f"names what no list of classes has: {', '.join(names)}"
        findings.append(faults.UNKNOWN_NAMES.found(where, words))
    if without_area:
        words = f"{without_area} of its objects cover no pixel: points, lines, or less than a pixel"
        findings.append(faults.NO_AREA.found(where, words))
    if boxes:
        findings.append(faults.BOXES.found(where, f"boxes without an outline: {boxes}"))
    if overlap:
        words = f"{overlap:,} pixels belong to objects of different classes"
        findings.append(faults.OVERLAPS.found(where, words))
    return findings


def counted(count):
    return "1 object leaves" if count == 1 else f"{count} objects leave"


def pixels_of(thing, size, where):
    """`(pixels, corner, farthest)` of a `Thing` in an image of a size.

    Returns:
        Its pixels, bool (height, width) of a part of the image; the (row, column) of that part's
        first pixel; and how many pixels it reaches beyond the image.

    Raises:
        Unusable: a mask of another size.
    """
    if thing.mask is not None and thing.corner is None:
        if thing.mask.shape != tuple(size):
            raise Unusable(wrong_size(where, thing.mask.shape, size))
        return *cropped(thing.mask), 0.0
    if thing.mask is not None:
        rows, columns = (
            np.clip((start, start + length), 0, limit)
            for start, length, limit in zip(thing.corner, thing.mask.shape, size)
        )
        top, left = thing.corner
        part = thing.mask[rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
        ends = np.add(thing.corner, thing.mask.shape)
        farthest = float(max(-top, -left, *(ends - size), 0))
        return part, (int(rows[0]), int(columns[0])), farthest
    scale = np.array(size[::-1]) if thing.shares else 1.0
    polygons = [polygon * scale for polygon in thing.polygons if len(polygon)]
    if not polygons:
        return np.zeros((0, 0), bool), (0, 0), 0.0
    points = np.concatenate(polygons)
    farthest = float(max((points - size[::-1]).max(), -points.min(), 0))
    parts = [fill(polygon, size) for polygon in polygons]
    if len(parts) == 1:
        return *parts[0], farthest
    union = np.zeros(size, bool)
    for part, (top, left) in parts:
        union[top : top + part.shape[0], left : left + part.shape[1]] |= part
    return *cropped(union), farthest


def wrong_size(where, annotated, size):
    words = "was made at {} x {} pixels (height x width)".format(*annotated)
    words += ", but the image has {} x {}".format(*size)
    return faults.DRAWN_SIZE.found(where, words)


def cropped(mask):
    """The part of a mask that holds its pixels, and the (row, column) of its first one.

    Example:

    >>> pixels, corner = cropped(np.array([[0, 0, 0], [0, 1, 1]]) > 0)
    >>> pixels.tolist(), corner
    ([[True, True]], (1, 1))
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return np.zeros((0, 0), bool), (0, 0)
    top, left = int(rows[0]), int(columns[0])
    return mask[top : rows[-1] + 1, left : columns[-1] + 1], (top, left)


def fill(polygon, size):
    """The pixels of an image whose centres lie inside a polygon.

    A ray from the left to the centre crosses the outline an odd number of times (even-odd rule).
    Two polygons that share an edge share no pixel, and leave none between them.

    Args:
        polygon: Float array (points, 2) of x and y.
        size: (height, width) of the image.

    Returns:
        bool (height, width) of a part of the image, and the (row, column) of its first pixel.

    Example: a triangle.

    >>> pixels, corner = fill(np.array([[1, 0], [4, 3], [1, 3.0]]), (4, 5))
    >>> print(pixels.astype(int), corner)
    [[0 0 0]
     [1 0 0]
     [1 1 0]] (0, 1)
    """
    low, high = np.ceil(polygon.min(0) - 0.5), np.ceil(polygon.max(0) - 0.5)
    left, top = np.clip(low, 0, size[::-1]).astype(int)
    right, bottom = np.clip(high, 0, size[::-1]).astype(int)
    crossings = np.zeros((bottom - top, right - left + 1), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0)):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        first, last = np.clip(np.ceil([y0 - 0.5, y1 - 0.5]), top, bottom).astype(int)
        if first < last:
            rows = np.arange(first, last)
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            columns = np.clip(np.ceil(x - 0.5), left, right).astype(int)
            crossings[rows - top, columns - left] ^= True
    return np.logical_xor.accumulate(crossings[:, :-1], axis=1), (int(top), int(left))
