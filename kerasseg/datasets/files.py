"""Image files: list them, decode them once, and say what is in them."""

import contextlib
import os
import threading
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from kerasseg.datasets.faults import NO_IDS, UNREADABLE, Unusable
from kerasseg.datasets.memory import check_memory
from kerasseg.datasets.streams import streamed
from kerasseg.datasets.values import count_values

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
READERS = {  # by the first bytes of a file, whatever its name
    b"\x89PNG": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"BM": BmpImageFile,
    b"II": TiffImageFile,
    b"MM": TiffImageFile,
    b"RIFF": WebPImageFile,
}
OTHERS = {  # what else may have such a name; (place, bytes): what it is
    (0, b"GIF8"): "a GIF",
    (0, b"\x00\x00\x00\x0cjP"): "a JPEG 2000 file",
    (0, b"\xff\x0a"): "a JPEG XL file",
    (4, b"ftypavif"): "an AVIF file",
    (4, b"ftyp"): "a HEIC photograph or a video",
    (0, b"8BPS"): "a Photoshop file",
    (0, b"\x93NUMPY"): "a NumPy array",
    (0, b"v/1\x01"): "an OpenEXR file",
    (0, b"\x89HDF"): "an HDF5 file",
    (128, b"DICM"): "a DICOM file",
    (0, b"%PDF"): "a PDF",
    (0, b"PK\x03\x04"): "a ZIP archive",
    (0, b"\x1f\x8b"): "a GZIP archive",
    (0, b"\x00\x00\x01\x00"): "an icon",
    (0, b"\x00\x00\x00\x0cJXL"): "a JPEG XL file",
    (8, b"WAVE"): "a sound",
    (8, b"AVI "): "a video",
    (0, b"P5\n"): "a PGM image",
    (0, b"P6\n"): "a PPM image",
    (0, b"<svg"): "an SVG drawing",
    (0, b"<?xml"): "an XML file",
    (0, b"<!doctype"): "a web page",
    (0, b"<html"): "a web page",
    (0, b"version https://git-lfs"): "a Git LFS pointer in place of the file",
}
ONE_IMAGE = "Save what is wanted as an image of its own."
EIGHT_BITS = "Save it as grey or RGB of 8 or 16 bits."
WITH_ALPHA = ("LA", "PA", "RGBA", "RGBX")
LARGE = 2**25  # pixels above which a file is decoded in bands
BAND = 2**20  # pixels of a band
ONE_AT_A_TIME = threading.Lock()  # of the images that fill much of the memory


def by_stem(folder, other_files):
    """{name without suffix: path} of the images in a folder, in the order of their names.

    Everything else is added to `other_files`, but for hidden files. Korean letters and accents may
    be stored whole or in parts; the names are compared whole (NFC).

    Raises:
        FileNotFoundError: a folder without images.
        ValueError: two images of one stem.
    """
    found = {}
    for path in files_below(folder, other_files) if Path(folder).is_dir() else ():
        if path.suffix.lower() not in SUFFIXES:
            other_files.append(path)
            continue
        stem = unicodedata.normalize("NFC", str(path.relative_to(folder).with_suffix("")))
        if stem in found:
            raise ValueError(f"Two files of one stem: {found[stem]} and {path}. Remove one.")
        found[stem] = path
    if not found:
        folder = Path(folder)
        place = folder if folder.is_dir() else folder.parent
        there = sorted(p.name for p in place.iterdir())[:5] if place.is_dir() else "no such folder"
        raise FileNotFoundError(
            f"No images in {folder}{'' if folder.is_dir() else ': there is no such folder'}. "
            f"Expected files that end in {', '.join(SUFFIXES)}. Received: {place} with {there}"
        )
    return found


def pictures_in(folders):
    """The paths of the images in folders, without those in inner ones, in order."""
    paths = (path for folder in sorted(folders) for path in sorted(folder.iterdir()))
    return [path for path in paths if path.suffix.lower() in SUFFIXES and path.name[0] != "."]


def files_below(folder, other_files):
    """The paths of all files that are not hidden, in order; links to folders are followed once."""

    def stop(error):
        raise error

    visited, paths = set(), []
    for base, inner, names in os.walk(folder, followlinks=True, onerror=stop):
        if os.path.realpath(base) in visited:
            other_files.append(Path(base))
            inner.clear()
            continue
        visited.add(os.path.realpath(base))
        inner[:] = [name for name in inner if not name.startswith(".")]
        paths += [Path(base, name) for name in names if not name.startswith(".")]
    return sorted(paths)


def read_image(path):
    """`pixels_of` a file.

    Raises:
        ValueError: a file that cannot be read, with its path, the reason and the remedy.
    """
    return pixels_of(decode(path), path)


def read_mask(path, colours=None):
    """`values_of` a file.

    Raises:
        ValueError: a file that cannot be read, or values that are not whole numbers from 0 to 255,
            with the path and the remedy.
    """
    return values_of(by_colours(decode(path), colours), path)


def decode(path):
    """The decoded Pillow image. Decoding whole, not only the header, is what finds damage.

    Returns:
        The image, turned by its EXIF tag. Its `info` says more: "plain", whether TensorFlow
        decodes the file to the same array; "orientation", the EXIF tag; "sixteen_bits"; "lossy".

    Raises:
        Unusable: a file that cannot be read, with the reason.
    """
    with opened(path) as picture:
        return decoded(picture)


def parts(path):
    """Yields the decoded image in bands of rows, from the top down; a small one in one piece.

    The bands of a large file are decoded one after another where its format allows it, and are not
    turned: their `info["sideways"]` says whether the image would lie on its side.

    Raises:
        Unusable: a file that cannot be read, or one that must be decoded whole and does not fit
            into the memory, with the reason.
    """
    if not is_large(path):
        yield decode(path)
        return
    with opened(path) as picture:
        rows = max(1, BAND // picture.size[0])
        bands = streamed(picture, picture.fp, rows)
        if bands is None:
            yield from bands_of_whole(picture, path, rows)
            return
        for band in bands:
            band.info.update(facts(band))
            band.load()
            band.info["sideways"] = band.info["orientation"] >= 5
            yield band


def bands_of_whole(picture, path, rows):
    """The bands of an image that is decoded whole, one such image at a time."""
    width, height = picture.size
    with ONE_AT_A_TIME:
        what = f"an image of {width}x{height} pixels in one piece"
        remedy = "Save it as PNG, not interlaced, which is read row by row, or cut it."
        try:
            check_memory(4 * width * height, what, "")
        except ValueError as error:
            raise unreadable(path, error, remedy) from error
        whole = decoded(picture)
        width, height = whole.size
        for top in range(0, height, rows):
            yield whole.crop((0, top, width, min(top + rows, height)))


def decoded(picture):
    """A picture of which the header was read, decoded and turned."""
    picture.info.update(facts(picture))
    picture.load()
    ImageOps.exif_transpose(picture, in_place=True)
    return picture


def image_size(path):
    """`(width, height)` of an image file, from its header."""
    with opened(path) as picture:
        return picture.size


def is_large(path):
    """Whether an image is looked at in bands of rows."""
    width, height = image_size(path)
    return width * height > LARGE


@contextlib.contextmanager
def opened(path):
    """The Pillow image of a file of which only the header is read.

    `Image.open` warns of large images and refuses the largest, by a limit that is one for the whole
    process (`Image.MAX_IMAGE_PIXELS`). The readers behind it, called here, leave out that check,
    except for TIFF and WebP, where the reader itself has it.

    Raises:
        Unusable: a file that cannot be read, with the reason; also where the block fails to.
    """
    try:
        if not os.path.isfile(path):  # a link to nothing; or a pipe, which would wait for ever
            there = os.path.exists(path)
            raise OSError("it is no regular file" if there else "there is no such file")
        with open(path, "rb") as file:
            picture = reader_of(file, path)(file, path)
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise unreadable(path, f"it holds {frames} images, expected one", ONE_IMAGE)
            yield picture
    except Unusable:
        raise
    except SyntaxError as error:
        reason = f"its header is damaged, or it has a side of 0 pixels ({error})"
        raise unreadable(path, reason) from error
    except Exception as error:  # readers fail on damage in many ways, from EOFError to zlib.error
        raise unreadable(path, error) from error


def unreadable(path, reason, remedy=None):
    return Unusable(UNREADABLE.found(path, f"cannot be read as an image: {reason}", remedy))


def reader_of(file, path):
    """The class that reads an open file, by its first bytes."""
    start = file.read(512)
    file.seek(0)
    if not start:
        raise OSError("it is empty")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for (place, mark), what in OTHERS.items():
        if start[place:].startswith(mark) or (mark[:1] == b"<" and text.startswith(mark)):
            remedy = "Save it as PNG in its place, or remove it with its partner."
            raise unreadable(path, f"it is {what}", remedy)
    reader = next((READERS[mark] for mark in READERS if start.startswith(mark)), None)
    if reader is None:
        raise OSError("it is none of PNG, JPEG, BMP, TIFF and WebP")
    if reader is TiffImageFile:
        check_bands(file, start, path)
    return reader


def check_bands(file, start, path):
    """Raises `Unusable` for a TIFF file of bands that Pillow would drop, misread or refuse."""
    tags = ImageFileDirectory_v2(start[:16] if 43 in start[2:4] else start[:8])
    try:
        file.seek(tags.next)
        tags.load(file)
        bits = {int(number) for number in np.atleast_1d(tags.get(258, 1))}
        count, extra = int(tags.get(277, 1)), np.atleast_1d(tags.get(338, ()))
        kinds = {int(number) for number in np.atleast_1d(tags.get(339, 1))}
    except Exception:  # a damaged header is for Pillow to tell
        return
    finally:
        file.seek(0)
    in_planes = tags.get(284) == 2 and count > 1
    read = kinds == {1} and ((count < 5 and bits == {8}) or (count in (3, 4) and bits == {16}))
    if count > 1 and (not read or (in_planes and 16 in bits) or 0 in extra):
        kind = {2: " (signed)", 3: " (floats)"}.get(max(kinds), "")
        planes = ", each in a plane of its own," if in_planes else ""
        words = f"{count} bands of {max(bits)} bits{kind}{planes} are not supported"
        remedy = "Save three of its bands, or one, as RGB or grey of 8 or 16 bits."
        raise unreadable(path, words, remedy)


def facts(picture):
    """What an opened file says that the decoded image does not."""
    sixteen_bits = ";16" in str(picture.tile)
    plain = (
        picture.format in ("JPEG", "PNG")
        and picture.mode in ("L", "RGB")
        and ";" not in str(picture.tile)  # other than 8 bits
        and "transparency" not in picture.info
    )
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)  # a PNG file is decoded here
    lossy = picture.format == "JPEG" or "jpeg" in str(picture.info.get("compression"))
    if picture.format == "WEBP":
        picture.fp.seek(0)
        lossy = b"VP8 " in picture.fp.read(64)
    return {
        "plain": plain and orientation == 1,
        "orientation": orientation,
        "sixteen_bits": sixteen_bits,
        "lossy": lossy,
    }


def pixels_of(picture, path):
    """The image, uint8 (height, width, 3), as a viewer shows it: turned by its EXIF tag.

    16 bits a channel become 8, grey becomes RGB, and an alpha channel is dropped, which leaves
    the colours that are stored under it: `hidden_pixels` says how many it hides.
    """
    if picture.mode.startswith("I;16"):  # `convert` would clip 16 bits to white
        grey = (np.asarray(picture) // 257).astype("uint8")
        return np.repeat(grey[..., None], 3, axis=-1)
    if picture.mode in ("I", "F", "LAB"):
        values = ""
        if picture.mode != "LAB":
            values = " of values from {:.4g} to {:.4g}".format(*picture.getextrema())
        raise unreadable(path, f"mode={picture.mode}{values} is not supported", EIGHT_BITS)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def hidden_pixels(picture):
    """How many pixels are not opaque."""
    if not picture.has_transparency_data:
        return 0
    return sum(picture.convert("RGBA").getchannel("A").histogram()[:255])


class Traits(NamedTuple):
    """What only a whole mask tells: how the values of its bands are to be read.

    Attributes:
        extrema: [(lowest, highest)] of each channel, of an image with an alpha channel.
        grey: Whether all colours are grey.
        white: Whether the values of 16 bits are 0 and 65535 alone.
        indices: Those that occur, of an image with a palette.
    """

    extrema: tuple = ()
    grey: bool = True
    white: bool = True
    indices: frozenset = frozenset()

    def __or__(self, other):
        """Those of two bands together."""
        extrema = tuple(
            (min(low, lower), max(high, higher))
            for (low, high), (lower, higher) in zip(self.extrema, other.extrema)
        )
        return Traits(
            extrema or self.extrema or other.extrema,
            self.grey and other.grey,
            self.white and other.white,
            self.indices | other.indices,
        )


def traits_of(picture):
    """The `Traits` of a decoded Pillow image."""
    traits = Traits()
    if picture.mode in WITH_ALPHA:
        extrema = tuple(band.getextrema() for band in picture.split())
        traits = traits._replace(extrema=extrema)
    if picture.mode in ("RGB", "RGBA", "RGBX"):
        values = np.asarray(picture)[..., :3]
        return traits._replace(grey=bool((values == values[..., :1]).all()))
    if picture.mode == "P":
        return traits._replace(indices=frozenset(count_values(np.asarray(picture))))
    values = np.asarray(picture)
    if values.ndim == 2 and values.dtype not in ("uint8", "bool"):
        return traits._replace(white=set(np.unique(values)) <= {0, 65535})
    return traits


def by_colours(picture, colours=None, traits=None):
    """A palette image whose values become its colours' places in a table, if it has all of them.

    Index 255 may be void, which needs no colour. Any other image is returned as it is.
    """
    palette = palette_of(picture, traits)
    table = {colour: i for i, colour in enumerate(colours or ())}
    places = {i: table[colour] for i, colour in palette.items() if colour in table}
    if not places or not palette.keys() - {255} <= places.keys():
        return picture
    ids = np.arange(256, dtype="uint8")
    ids[list(places)] = list(places.values())
    return Image.fromarray(ids[np.asarray(picture)])


def palette_of(picture, traits=None):
    """{index: (red, green, blue)} of the indices that occur; empty without a palette."""
    if picture.mode != "P":
        return {}
    colours = picture.getpalette("RGB")
    indices = sorted((traits or traits_of(picture)).indices)
    return {i: tuple(colours[3 * i : 3 * i + 3]) for i in indices}


def values_of(picture, path, traits=None):
    """The values of a mask, uint8 (height, width), or its colours, uint8 (height, width, 3).

    A palette image gives its indices. Colours that are all grey give one channel; an alpha channel
    is dropped unless it alone holds the labels, which is an error. White in a mask of 1 bit or of
    0 and 65535 is 255.

    Args:
        picture: The decoded Pillow image, or a band of it.
        path: Its file.
        traits: The `Traits` of the whole image; those of `picture` by default.
    """
    traits = traits or traits_of(picture)
    if picture.info.get("sixteen_bits") and not picture.mode.startswith("I"):
        raise unreadable(path, "it has colours of 16 bits", "Save the mask with 8.")
    if picture.mode in WITH_ALPHA:
        picture = without_alpha(picture, path, traits.extrema)
    elif picture.mode == "1":
        picture = picture.convert("L")
    values = np.asarray(picture)
    if picture.mode == "RGB":
        return values[..., 0] if traits.grey else values
    if values.ndim != 2:
        words = f"is no mask of ids, grey or palette, or of RGB colours: mode={picture.mode}"
        raise Unusable(NO_IDS.found(path, words))
    if values.dtype != "uint8":
        if traits.white:
            values = values // 257
        wrong = values[~np.isin(values, np.arange(256))]
        if wrong.size:
            words = f"holds {wrong[0]:g}; the values of a mask are whole numbers from 0 to 255"
            raise Unusable(NO_IDS.found(path, words))
    return values.astype("uint8")


def without_alpha(picture, path, extrema):
    if all(low == high for low, high in extrema[:-1]) and extrema[-1][0] != extrema[-1][1]:
        words = "is of one colour, and its shapes are in the alpha channel alone"
        remedy = 'Save that channel as the mask: `Image.open(path).getchannel("A").save(path)`.'
        raise Unusable(NO_IDS.found(path, words, remedy))
    return picture.getchannel(0) if picture.mode in ("LA", "PA") else picture.convert("RGB")
