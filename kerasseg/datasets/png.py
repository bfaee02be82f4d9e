"""PNG files a band of rows at a time, so that a huge one takes little memory.

Pillow decodes and encodes a whole image. Here the compressed stream is read in pieces, and each
band of rows becomes a PNG file of its own, which Pillow decodes: so a band is what the same rows
are in the image decoded whole.
"""

import io
import math
import struct
import zlib

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type
TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # the colour type of 8 bits that has so many bytes in a pixel
KEPT = (b"PLTE", b"tRNS", b"eXIf", b"acTL")  # what says how the rows are to be read
PIECE = 2**16  # bytes read in one go


class PngReader:
    """Reads an open file.

    Attributes:
        size: `(width, height)`.
        can_stream: Whether rows can be read one after another: not of an interlaced file, whose
            first pass is spread over all of them, nor of colours of 16 bits.

    Raises:
        OSError: a header that is not that of a PNG file, or a file that ends too early.
    """

    def __init__(self, file):
        self.file = file
        self.chunks = chunks_of(file)
        if not self.chunks or self.chunks[0][0] != b"IHDR":
            raise OSError("its header is damaged")
        header = self._content(*self.chunks[0][1:])
        self.width, self.height, self.depth, self.kind, *_, interlaced = struct.unpack(
            ">IIBBBBB", header
        )
        self.size = self.width, self.height
        bits = CHANNELS.get(self.kind, 0) * self.depth
        self.row_bytes = math.ceil(self.width * bits / 8)
        self.pixel_bytes = max(1, bits // 8)
        self.can_stream = not interlaced and self.pixel_bytes in TYPES and 0 not in self.size

    def _content(self, start, length):
        self.file.seek(start)
        content = self.file.read(length)
        if len(content) < length:
            raise OSError("image file is truncated")
        return content

    def bands(self, rows):
        """Yields the bytes of a PNG file for each band of so many rows, from the top down."""
        others = b"".join(
            chunk(name, self._content(start, length))
            for name, start, length in self.chunks
            if name in KEPT
        )
        above = np.zeros((1, self.row_bytes), "uint8")
        stream = self._stream()
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            filtered = stream.read(count * (1 + self.row_bytes))
            if len(filtered) < count * (1 + self.row_bytes):
                raise OSError("image file is truncated")
            lines = np.frombuffer(filtered, "uint8").reshape(count, -1)
            raw = unfiltered(above, lines, self.pixel_bytes)
            above = raw[-1:]
            header = struct.pack(">IIBBBBB", self.width, count, self.depth, self.kind, 0, 0, 0)
            yield png(header, others, with_filter(raw, 0))

    def _stream(self):
        """What the chunks of pixels hold, unpacked, as a file to read from."""
        pieces = self._pieces()
        unpack = zlib.decompressobj()
        return Unpacked(pieces, unpack)

    def _pieces(self):
        for name, start, length in self.chunks:
            if name != b"IDAT":
                continue
            check = zlib.crc32(name)
            for place in range(start, start + length, PIECE):
                piece = self._content(place, min(PIECE, start + length - place))
                check = zlib.crc32(piece, check)
                yield piece
            if check != int.from_bytes(self._content(start + length, 4), "big"):
                raise OSError("its checksum is wrong")


class Unpacked:
    """The bytes of a compressed stream that comes in pieces."""

    def __init__(self, pieces, unpack):
        self.pieces, self.unpack = pieces, unpack

    def read(self, count):
        """So many bytes; fewer at the end."""
        parts, missing = [], count
        while missing and not self.unpack.eof:
            packed = self.unpack.unconsumed_tail or next(self.pieces, None)
            if packed is None:
                break
            parts.append(self.unpack.decompress(packed, missing))
            missing -= len(parts[-1])
        return b"".join(parts)


class PngWriter:
    """Writes an image of 8 bits into an open file, a band of rows after another.

    Args:
        file: Open for writing bytes.
        size: `(height, width)`.
        palette: One (red, green, blue) for each id, for an image of ids; `None` for one of colours.

    Example:

    >>> file = io.BytesIO()
    >>> with PngWriter(file, (2, 3), [(0, 0, 0), (9, 99, 199)]) as image:
    ...     image.write(np.array([[0, 1, 1]], "uint8"))
    ...     image.write(np.array([[1, 0, 0]], "uint8"))
    >>> np.asarray(Image.open(file))
    array([[0, 1, 1],
           [1, 0, 0]], dtype=uint8)
    """

    def __init__(self, file, size, palette=None):
        self.file = file
        height, width = size
        kind = 2 if palette is None else 3
        self.above = None if palette is not None else np.zeros((1, 3 * width), "uint8")
        self.pack = zlib.compressobj(6)
        file.write(SIGNATURE)
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)))
        if palette is not None:
            file.write(chunk(b"PLTE", np.asarray(palette, "uint8").tobytes()))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.file.write(chunk(b"IDAT", self.pack.flush()) + chunk(b"IEND", b""))

    def write(self, rows):
        """Adds rows, uint8 (rows, width) of ids or (rows, width, 3) of colours."""
        lines = rows.reshape(len(rows), -1)
        if self.above is None:
            packed = self.pack.compress(with_filter(lines, 0))
        else:  # of a photograph the differences to the row above are smaller
            change = lines - np.concatenate([self.above, lines[:-1]])
            packed = self.pack.compress(with_filter(change, 2))
            self.above = lines[-1:].copy()
        if packed:
            self.file.write(chunk(b"IDAT", packed))


def chunks_of(file):
    """[(name, place of the content, its length)] of the chunks of a file."""
    file.seek(0)
    if file.read(8) != SIGNATURE:
        return []
    chunks, place = [], 8
    while len(start := file.read(8)) == 8:
        length, name = int.from_bytes(start[:4], "big"), start[4:]
        chunks.append((name, place + 8, length))
        if name == b"IEND":
            break
        place += 12 + length
        file.seek(place)
    return chunks


def chunk(name, content):
    check = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(header, others, lines):
    """A file of filtered lines, not compressed."""
    parts = (chunk(b"IHDR", header), others, chunk(b"IDAT", zlib.compress(lines, 0)))
    return b"".join([SIGNATURE, *parts, chunk(b"IEND", b"")])


def with_filter(lines, number):
    """The bytes of lines (rows, bytes), the number of their filter before each."""
    return np.pad(lines, ((0, 0), (1, 0)), constant_values=number).tobytes()


def unfiltered(above, lines, pixel_bytes):
    """The bytes of rows, uint8 (rows, bytes), without their filters.

    Args:
        above: The row above the first, (1, bytes).
        lines: (rows, 1 + bytes): each with the number of its filter in front.
        pixel_bytes: How far apart the bytes are that a filter compares.
    """
    count, length = len(lines), above.shape[1]
    width = math.ceil(length / pixel_bytes)
    spare = width * pixel_bytes - length  # none: pixels of less than a byte count as one
    header = struct.pack(">IIBBBBB", width, count + 1, 8, TYPES[pixel_bytes], 0, 0, 0)
    content = with_filter(above, 0) + lines.tobytes()
    image = Image.open(io.BytesIO(png(header, b"", content)), formats=["PNG"])
    return np.asarray(image).reshape(count + 1, length + spare)[1:]
