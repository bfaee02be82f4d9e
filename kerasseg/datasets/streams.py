"""Large image files a band of rows at a time, where their format allows it."""

import io

from PIL.BmpImagePlugin import BmpImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from kerasseg.datasets.png import PngReader


def streamed(picture, file, rows):
    """The bands of an image, from the top down, each a Pillow image that is not decoded yet.

    Args:
        picture: What a reader of Pillow made of the header.
        file: The open file.
        rows: How many rows a band has; the last may have fewer.

    Returns:
        An iterator; `None` where only the whole image can be decoded: compressed in another way
        than PNG's, interlaced, in tiles, or turned by the file.
    """
    if isinstance(picture, PngImageFile):
        reader = PngReader(file)
        if not reader.can_stream:
            return None
        return (PngImageFile(io.BytesIO(content)) for content in reader.bands(rows))
    strips = strips_of(picture)
    return strips and bands_of_strips(picture, file, strips, rows)


def strips_of(picture):
    """[(first row, row behind the last, place in the file, bytes of a row, direction, raw mode)].

    `None` unless all strips are as wide as the image and hold plain numbers.
    """
    if not isinstance(picture, (BmpImageFile, TiffImageFile)) or not picture.tile:
        return None
    width, height = picture.size
    row_bytes = 0
    if isinstance(picture, TiffImageFile):
        tags = picture.tag_v2
        if tags.get(274, 1) != 1 or tags.get(284, 1) != 1:  # turned; a plane for each channel
            return None
        row_bytes = (width * sum(tags[258]) + 7) // 8
    strips = []
    for codec, (left, top, right, bottom), place, (mode, stride, direction) in picture.tile:
        if codec != "raw" or (left, right) != (0, width):
            return None
        strips.append((top, bottom, place, stride or row_bytes, direction, mode))
    strips.sort()
    ends = [0, *(bottom for _, bottom, *_ in strips)]
    return strips if [top for top, *_ in strips] == ends[:-1] and ends[-1] == height else None


def bands_of_strips(picture, file, strips, rows):
    """What `streamed` returns, of strips of plain numbers."""
    width, height = picture.size
    for first in range(0, height, rows):
        last, tiles = min(first + rows, height), []
        for top, bottom, place, stride, direction, mode in strips:
            start, stop = max(top, first), min(bottom, last)
            if start < stop:  # a strip that lies on its head begins with its last row
                skipped = start - top if direction == 1 else bottom - stop
                area = (0, start - first, width, stop - first)
                tiles.append(("raw", area, place + skipped * stride, (mode, stride, direction)))
        file.seek(0)
        band = type(picture)(file)
        band._size = band._tile_size = (width, last - first)
        band.tile = [type(picture.tile[0])(*tile) for tile in tiles]
        yield band
