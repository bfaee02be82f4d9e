"""Bands of a PNG file are the rows of the image decoded whole."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets import png

MODES = {
    "1": (bool, ()),
    "L": ("uint8", ()),
    "P": ("uint8", ()),
    "LA": ("uint8", (2,)),
    "RGB": ("uint8", (3,)),
    "RGBA": ("uint8", (4,)),
    "I;16": ("uint16", ()),
}


def image_of(mode, rng):
    """A smooth image, for which encoders choose filters, with noise."""
    dtype, channels = MODES[mode]
    shape = (37, 53, *channels)
    if mode in "1P":
        values = rng.integers(0, 2 if mode == "1" else 5, shape).astype(dtype)
    else:
        values = np.cumsum(rng.integers(0, 4, shape), axis=rng.integers(0, 2)).astype(dtype)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(bytes(range(15)))
    assert image.mode == mode
    return image


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file


@pytest.mark.parametrize("mode", MODES)
def test_bands_are_the_rows_of_the_whole_image(mode, rng):
    file = saved(image_of(mode, rng))
    whole = Image.open(file)
    reader = png.PngReader(file)
    assert reader.can_stream
    assert reader.size == whole.size
    bands = [Image.open(io.BytesIO(content)) for content in reader.bands(10)]
    assert [band.height for band in bands] == [10, 10, 10, 7]
    assert {band.mode for band in bands} == {whole.mode}
    rows = np.concatenate([np.asarray(band) for band in bands])
    np.testing.assert_array_equal(rows, np.asarray(whole))
    if mode == "P":
        assert bands[-1].getpalette() == whole.getpalette()


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("pixel_bytes", [1, 2, 3, 4])
def test_each_filter_is_undone_as_the_standard_says(number, pixel_bytes, rng):
    above = rng.integers(0, 256, (1, 12), "uint8")
    lines = rng.integers(0, 256, (3, 13), "uint8")
    lines[:, 0] = number
    expected, previous = [], above[0].astype(int)
    for line in lines[:, 1:]:
        row = np.zeros(12, int)
        for i, value in enumerate(line.tolist()):
            left = int(row[i - pixel_bytes]) if i >= pixel_bytes else 0
            corner = int(previous[i - pixel_bytes]) if i >= pixel_bytes else 0
            up = int(previous[i])
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda each: abs(guess - each))
            row[i] = (value + [0, left, up, (left + up) // 2, nearest][number]) % 256
        expected.append(row)
        previous = row
    np.testing.assert_array_equal(png.unfiltered(above, lines, pixel_bytes), expected)


def test_a_file_that_is_cut_off_or_changed_is_an_error(rng):
    content = saved(image_of("RGB", rng)).getvalue()
    cut = png.PngReader(io.BytesIO(content[: len(content) // 2]))
    with pytest.raises(OSError, match="truncated"):
        [*cut.bands(10)]
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    with pytest.raises((OSError, zlib.error)):
        [*png.PngReader(io.BytesIO(changed)).bands(10)]
    with pytest.raises(OSError, match="header is damaged"):
        png.PngReader(io.BytesIO(b"no image"))


def test_what_lies_in_no_order_of_rows_is_not_read_in_bands():
    deep = np.zeros((4, 5, 3), "uint16")
    header = png.struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    file = io.BytesIO(png.png(header, b"", png.with_filter(deep.view("uint8").reshape(4, -1), 0)))
    assert not png.PngReader(file).can_stream
    header = png.struct.pack(">IIBBBBB", 5, 4, 8, 2, 0, 0, 1)
    assert not png.PngReader(io.BytesIO(png.png(header, b"", b""))).can_stream


@pytest.mark.parametrize("palette", [None, [(0, 0, 0), (9, 99, 199), (255, 0, 1)]])
def test_what_is_written_in_bands_is_read_as_one_image(palette, rng):
    rows = rng.integers(0, 256, (37, 53, 3), "uint8")
    rows = rows if palette is None else rows[..., 0] % 3
    file = io.BytesIO()
    with png.PngWriter(file, (37, 53), palette) as image:
        for top in range(0, 37, 10):
            image.write(rows[top : top + 10])
    found = Image.open(file)
    np.testing.assert_array_equal(np.asarray(found), rows)
    if palette:
        colours = np.array(palette, "uint8")[rows]
        np.testing.assert_array_equal(np.asarray(found.convert("RGB")), colours)
