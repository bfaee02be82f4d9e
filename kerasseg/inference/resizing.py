"""Resizing of images as the data pipeline does it, without TensorFlow."""

import numpy as np

__all__ = ["resize_image"]


def resize_image(image, size):
    """An image of another size, smoothly.

    Where an image shrinks, a new pixel is the mean of the area that it covers. The numbers are
    those of `kerasseg.datasets`, but for rounding.

    Args:
        image: (height, width, channels), uint8 or floats.
        size: `(height, width)`.

    Returns:
        An array of the same dtype; integers are rounded.

    Example: two pixels make one.

    >>> resize_image(np.array([[[10], [20], [30], [50]]], "uint8"), (1, 2))[0, :, 0]
    array([15, 40], dtype=uint8)
    """
    if image.shape[:2] == tuple(size):
        return image
    shrinks = all(new <= old for new, old in zip(size, image.shape))
    weights = area_weights if shrinks else triangle_weights
    rows, columns = (weights(old, new) for old, new in zip(image.shape, size))
    resized = weighted(columns, weighted(rows, image).swapaxes(0, 1)).swapaxes(0, 1)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        resized = np.clip(np.rint(resized), limits.min, limits.max)
    return resized.astype(image.dtype)


def weighted(weights, rows):
    """`np.tensordot(weights, rows, 1)`, where few weights, side by side, are not zero.

    Args:
        weights: float32 (new, old).
        rows: (old, length, channels).
    """
    reach = (weights > 0).sum(1).max()
    first = np.minimum((weights > 0).argmax(1), weights.shape[1] - reach)
    result = np.zeros((len(weights), *rows.shape[1:]), "float32")
    for i in range(reach):
        shares = np.take_along_axis(weights, first[:, None] + i, 1)
        result += shares[..., None] * rows[first + i].astype("float32")
    return result


def area_weights(old, new):
    """float32 (new, old): the share of each old pixel in the length that a new one covers."""
    edges = np.arange(new + 1)[:, None] * (old / new)
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (np.maximum(overlap, 0) * (new / old)).astype("float32")


def triangle_weights(old, new):
    """float32 (new, old): linear interpolation; over a wider range where the image shrinks."""
    reach = max(old / new, 1)
    centres = (np.arange(new)[:, None] + 0.5) * (old / new)
    weights = np.maximum(1 - abs(np.arange(old) + 0.5 - centres) / reach, 0)
    return (weights / weights.sum(1, keepdims=True)).astype("float32")
