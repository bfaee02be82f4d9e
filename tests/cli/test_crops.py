"""Images in a terminal."""

import re

import numpy as np

from kerasseg.cli.crops import as_text


def test_every_cell_has_the_colours_of_two_pixels(rng):
    images = rng.integers(0, 256, (2, 6, 5, 3)).astype("uint8")
    lines = as_text(*images, width=5, height=3).splitlines()
    assert len(lines) == 3
    for row, line in enumerate(lines):
        colours = [tuple(map(int, found)) for found in re.findall(r"8;2;(\d+);(\d+);(\d+)m", line)]
        above, below = (np.concatenate(images[:, 2 * row + i]) for i in (0, 1))
        assert colours[::2] == [tuple(x) for x in above.tolist()]
        assert colours[1::2] == [tuple(x) for x in below.tolist()]
        assert re.sub(r"\x1b\[[\d;]*m", "", line) == "▀▀▀▀▀  ▀▀▀▀▀"


def test_a_large_image_fits_into_its_cells_and_keeps_its_shape():
    lines = as_text(np.zeros((100, 400, 3), "uint8"), width=24, height=10).splitlines()
    assert [line.count("▀") for line in lines] == [24] * 3
    assert as_text(np.zeros((1, 1, 3), "uint8"), width=1, height=1).count("▀") == 1
