"""What several figures share: titles and images."""

import textwrap

import numpy as np


def wrapped(title, inches):
    """A title in lines of so many inches at most; it may have lines of its own."""
    lines = (title or "").split("\n")
    width = int(inches / 0.09)
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in lines)


def show(axes, picture, **where):
    picture = unit_range(np.asarray(picture))
    if picture.shape[-1] == 1:
        picture = np.repeat(picture, 3, axis=-1)
    axes.imshow(np.clip(picture, 0, 1), interpolation="nearest", **where)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def unit_range(images):
    return images / 255 if images.dtype == np.uint8 else images
