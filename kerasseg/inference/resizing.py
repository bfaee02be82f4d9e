"""Resizing of images as the data pipeline does it, without TensorFlow."""

import numpy as np

__all__ = ["resize_image"]


def resize_image(image, size):
    """An image of another size, smoothly; the numbers are those of `kerasseg.datasets`.

    Where an image shrinks, a new pixel is the mean of the area that it covers.

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
    pixels = np.moveaxis(image.astype("float32"), -1, 0)
    resized = np.moveaxis(rows @ pixels @ columns.T, 0, -1)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        resized = np.clip(np.rint(resized), limits.min, limits.max)
    return resized.astype(image.dtype)


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
