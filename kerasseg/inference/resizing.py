"""Resizing of images as the data pipeline does it, without TensorFlow."""

import numpy as np

__all__ = ["resize_image", "resized_rows"]

BAND = 2**20  # pixels that are made in one go, so that a huge image needs little memory beside it


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
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    resized = np.empty((height, width, image.shape[-1]), image.dtype)
    step = max(1, BAND // max(width, image.shape[1]))
    for top in range(0, height, step):
        resized[top : top + step] = resized_rows(image, size, top, min(top + step, height))
    return resized


def resized_rows(image, size, top, bottom):
    """The rows from `top` up to, not including, `bottom` of `resize_image(image, size)`."""
    if image.shape[:2] == tuple(size):
        return image[top:bottom]
    shrinks = all(new <= old for new, old in zip(size, image.shape))
    weights = area_weights if shrinks else triangle_weights
    rows, columns = (weights(old, new) for old, new in zip(image.shape, size))
    resized = weighted(*(part[top:bottom] for part in rows), image)
    resized = weighted(*columns, resized.swapaxes(0, 1)).swapaxes(0, 1)
    if image.dtype.kind in "iu":
        limits = np.iinfo(image.dtype)
        resized = np.clip(np.rint(resized), limits.min, limits.max)
    return resized.astype(image.dtype)


def weighted(first, shares, rows):
    """Each new row, the sum of some old ones side by side, each times its share.

    Args:
        first: Integers (new,): which is the first old row.
        shares: float32 (new, reach): those of this one and the next ones.
        rows: (old, length, channels).
    """
    result = np.zeros((len(first), *rows.shape[1:]), "float32")
    for i in range(shares.shape[1]):
        old = np.minimum(first + i, len(rows) - 1)  # beyond the last one the share is 0
        result += shares[:, i, None, None] * rows[old].astype("float32")
    return result


def area_weights(old, new):
    """The shares of old pixels in the length that each new one covers, as `weighted` takes them."""
    edges = np.arange(new + 1)[:, None] * (old / new)
    first = np.floor(edges[:-1]).astype(int)
    pixels = first + np.arange(int(np.ceil(old / new)) + 1)
    overlap = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    shares = np.where(pixels < old, np.maximum(overlap, 0) * (new / old), 0)
    return first[:, 0], shares.astype("float32")


def triangle_weights(old, new):
    """The same of linear interpolation; over a wider range where the image shrinks."""
    reach = max(old / new, 1)
    centres = (np.arange(new)[:, None] + 0.5) * (old / new)
    first = np.maximum(np.ceil(centres - reach - 0.5), 0).astype(int)
    pixels = first + np.arange(int(np.ceil(2 * reach)) + 1)
    shares = np.maximum(1 - abs(pixels + 0.5 - centres) / reach, 0) * (pixels < old)
    return first[:, 0], (shares / shares.sum(1, keepdims=True)).astype("float32")
