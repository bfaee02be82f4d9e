"""Small images in a terminal: two pixels in each character cell."""

import numpy as np
from PIL import Image

GAP = 2  # cells between images


def as_text(*images, width=24, height=10):
    """Images side by side as coloured half blocks, which a terminal of 24-bit colours shows.

    Args:
        images: uint8 (height, width, 3), all of one size.
        width, height: The largest size of each, in cells.

    Example: a red pixel above a blue one.

    >>> as_text(np.array([[[255, 0, 0]], [[0, 0, 255]]], "uint8"), width=1, height=1)
    '\\x1b[38;2;255;0;0m\\x1b[48;2;0;0;255m▀\\x1b[0m'
    """
    tall, wide = images[0].shape[:2]
    scale = min(width / wide, 2 * height / tall)
    size = max(1, round(scale * wide)), 2 * max(1, round(scale * tall / 2))
    small = [np.asarray(Image.fromarray(x).resize(size, Image.Resampling.NEAREST)) for x in images]
    lines = []
    for row in range(0, size[1], 2):
        parts = []
        for image in small:
            cells = zip(image[row], image[row + 1])
            parts.append("".join(cell(above, below) for above, below in cells) + "\x1b[0m")
        lines.append((" " * GAP).join(parts))
    return "\n".join(lines)


def cell(above, below):
    """The upper half in one colour, the lower in another."""
    colours = (";".join(map(str, map(int, colour))) for colour in (above, below))
    return "\x1b[38;2;{}m\x1b[48;2;{}m▀".format(*colours)
