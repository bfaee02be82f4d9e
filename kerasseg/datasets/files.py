"""Pictures and their masks in files: pair them, read them, check them."""

import os
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from kerasseg.datasets.dataset import Source, seeded_split
from kerasseg.datasets.masks import (
    GREY,
    OUTSIDE,
    VOID,
    Masks,
    check_palettes,
    distinct,
    recognise,
    shown,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
VALIDATION = 0.2  # of the training pairs, where there is no validation split
FORMATS = "PNG, JPEG, BMP, TIFF and WebP"
READERS = {  # by the first bytes of a file, whatever its name
    b"\x89PNG": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"BM": BmpImageFile,
    b"II": TiffImageFile,
    b"MM": TiffImageFile,
    b"RIFF": WebPImageFile,
}


@dataclass(frozen=True)
class Folder:
    """What lies in a folder of images and masks, before a pixel is decoded.

    Attributes:
        path: The folder.
        splits: {"train", "validation", "test", where there are such: [(image path, mask path)]};
            {"all": ...} for a folder without splits.
        unpaired_images, unpaired_masks: Paths of pictures without a partner.
        unlisted_images: Paths of pictures that lie in a split but not in its list.
        other_files: Paths among the images and the masks that are no pictures.
        class_names: In the order of the ids, with a void name where void has its place; `None`
            if not told.
        colours: (red, green, blue) of each name; `None` if not told.
        masks: The `Masks` where the layout alone tells them.
        layout: How the files lie, in words.
    """

    path: Path
    splits: dict[str, list]
    unpaired_images: tuple = ()
    unpaired_masks: tuple = ()
    other_files: tuple = ()
    unlisted_images: tuple = ()
    class_names: tuple | None = None
    colours: tuple | None = None
    masks: Masks | None = None
    layout: str = ""


def pair_by_stem(path, folders, layout):
    """The `Folder` at `path`: pictures of one name but for the suffix are an image and its mask.

    Args:
        folders: {split: (image folder, mask folder)}. Folders inside them count as part of the
            name: `a/x.jpg` belongs to `a/x.png`.

    Raises:
        FileNotFoundError: a folder without pictures.
        ValueError: two pictures of one folder and one stem.
    """
    splits, unpaired_images, unpaired_masks, other_files = {}, [], [], []
    for split, (image_folder, mask_folder) in folders.items():
        images, masks = (by_stem(folder, other_files) for folder in (image_folder, mask_folder))
        splits[split] = [(images[stem], masks[stem]) for stem in images if stem in masks]
        unpaired_images += [image for stem, image in images.items() if stem not in masks]
        unpaired_masks += [mask for stem, mask in masks.items() if stem not in images]
    unpaired = tuple(unpaired_images), tuple(unpaired_masks), tuple(other_files)
    return Folder(Path(path), splits, *unpaired, layout=layout)


def by_stem(folder, other_files):
    """{name without suffix: path} of the pictures in a folder, in the order of their names.

    Whatever is no picture is added to `other_files`, but for hidden files. Korean letters and
    accents may be stored whole or in parts; the names are compared whole (NFC).
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
        raise FileNotFoundError(
            f"No images in {folder}. Expected files that end in {', '.join(SUFFIXES)}."
        )
    return found


def pictures_in(folders):
    """The paths of the pictures in folders, without those in inner ones, in order."""
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


def pair_by_list(list_file):
    """[(image path, label path)] of a text file with one "image label" pair a line.

    The published CamVid lists hold absolute paths of the machine they were made on
    (`/SegNet/CamVid/train/x.png /SegNet/CamVid/trainannot/x.png`): the last two parts of each
    path count, from the folder of the list.
    """
    list_file = Path(list_file)
    pairs = []
    for number, line in enumerate(list_file.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 2:
            raise ValueError(
                f'{list_file}, line {number}: expected "image label", two paths without spaces. '
                f"Received: {line!r}"
            )
        pair = tuple(list_file.parent.joinpath(*Path(word).parts[-2:]) for word in words)
        for path in pair:
            if not path.is_file():
                raise FileNotFoundError(f"{list_file}, line {number} names {path}: no such file.")
        pairs.append(pair)
    if not pairs:
        raise FileNotFoundError(f"No images in {list_file}: the list is empty.")
    return pairs


def read_image(path):
    """`pixels_of` a file.

    Raises:
        ValueError: a file that cannot be read, with its path and the reason.
    """
    return pixels_of(decode(path), path)


def pixels_of(picture, path):
    """The picture, uint8 (height, width, 3), as a viewer shows it: turned by its EXIF tag.

    16 bits a channel become 8, grey becomes RGB, and an alpha channel is dropped, which leaves
    the colours that are stored under it.
    """
    if picture.mode.startswith("I;16"):  # `convert` would clip 16 bits to white
        grey = (np.asarray(picture) // 257).astype("uint8")
        return np.repeat(grey[..., None], 3, axis=-1)
    if picture.mode in ("I", "F", "LAB"):
        raise ValueError(
            f"{path}: expected grey or RGB of 8 or 16 bits. Received: mode={picture.mode}"
        )
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def read_mask(path, colours=None):
    """The values of a mask, uint8 (height, width), or its colours, uint8 (height, width, 3).

    A palette image gives its indices, or, where a table names all its colours, their places in
    the table, `colours`, which are ids whatever the indices were. Colours that are all grey give
    one channel; an alpha channel is dropped; an EXIF tag turns the mask as it turns an image.
    White in a mask of 1 bit or of 0 and 65535 is 255.

    Raises:
        ValueError: a file that cannot be read, or values that are no whole numbers from 0 to
            255, with the path.
    """
    return values_of(by_colours(decode(path, exact=True), colours), path)


def by_colours(picture, colours=None):
    """A palette image with the places of its colours in a table as values, if all stand there.

    Index 255 may be void, which needs no colour. Any other picture comes back as it is.
    """
    palette = palette_of(picture, distinct(np.asarray(picture))) if picture.mode == "P" else {}
    table = {colour: i for i, colour in enumerate(colours or ())}
    places = {i: table[colour] for i, colour in palette.items() if colour in table}
    if not places or not palette.keys() - {VOID} <= places.keys():
        return picture
    ids = np.arange(256, dtype="uint8")
    ids[list(places)] = list(places.values())
    return Image.fromarray(ids[np.asarray(picture)])


def values_of(picture, path):
    if picture.mode in ("LA", "PA"):
        picture = picture.getchannel(0)
    elif picture.mode in ("RGBA", "RGBX"):
        picture = picture.convert("RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    values = np.asarray(picture)
    if picture.mode == "RGB":
        return values[..., 0] if (values == values[..., :1]).all() else values
    if values.ndim != 2:
        raise ValueError(
            f"{path}: expected a mask of ids, grey or palette, or of RGB colours. "
            f"Received: mode={picture.mode}"
        )
    if values.dtype != "uint8":
        if set(np.unique(values)) <= {0, 65535}:
            values = values // 257
        wrong = values[~np.isin(values, np.arange(256))]
        if wrong.size:
            raise ValueError(
                f"{path}: the values of a mask are whole numbers from 0 to 255. "
                f"Received: {wrong[0]:g}"
            )
    return values.astype("uint8")


def decode(path, exact=False):
    """The decoded Pillow image. Decoding whole, not only the header, is what finds damage.

    `Image.open` warns of large pictures and refuses the largest, by a limit that is one for the
    whole process (`Image.MAX_IMAGE_PIXELS`). The readers behind it, called here, leave out that
    check, but for TIFF and WebP, where it stands in the reader itself.
    """
    try:
        if not os.path.isfile(path):  # a link to nothing; or a pipe, which would wait for ever
            raise OSError("there is no such file")
        with open(path, "rb") as file:
            start = file.read(4)
            reader = next((READERS[key] for key in READERS if start.startswith(key)), None)
            if reader is None:
                raise OSError("it is none of " + FORMATS if start else "it is empty")
            file.seek(0)
            picture = reader(file, path)
            if getattr(picture, "n_frames", 1) > 1:
                raise OSError(f"it holds {picture.n_frames} pictures, expected one")
            if exact and ";16" in str(picture.tile) and not picture.mode.startswith("I"):
                raise OSError("it has colours of 16 bits; save the mask with 8")
            picture.info["plain"] = is_plain(picture)
            picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return picture
    except SyntaxError as error:
        reason = f"its header is damaged, or it has a side of 0 pixels ({error})"
        raise ValueError(f"{path} cannot be read as an image: {reason}") from error
    except Exception as error:  # readers fail on damage in many ways, from EOFError to zlib.error
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def is_plain(picture):
    """Whether TensorFlow decodes a file that has just been opened to the same array."""
    return (
        picture.format in ("JPEG", "PNG")
        and picture.mode in ("L", "RGB")
        and ";" not in str(picture.tile)  # other than 8 bits
        and "transparency" not in picture.info
        and picture.getexif().get(ExifTags.Base.Orientation, 1) == 1
    )


class Scan(NamedTuple):
    """What one reading of a pair tells: (height, width), the values of its mask, its palette.

    `plain_bytes` are the sizes of both files if TensorFlow can read them, else -1.
    """

    size: tuple
    values: set
    palette: dict
    plain_bytes: tuple


def scan(pair, colours=None):
    """Reads a pair. Damage, or a mask of another size than its image, raises `ValueError`."""
    image_path, mask_path = pair
    photo, picture = decode(image_path), by_colours(decode(mask_path, exact=True), colours)
    image, mask = pixels_of(photo, image_path), values_of(picture, mask_path)
    check_sizes(image, image_path, mask, mask_path)
    values = distinct(mask)
    plain = photo.info["plain"] and picture.mode == "L" and picture.info.get("plain", False)
    plain_bytes = tuple(os.path.getsize(path) for path in pair) if plain else (-1, -1)
    return Scan(mask.shape[:2], values, palette_of(picture, values), plain_bytes)


def palette_of(picture, values):
    """{value: (red, green, blue)}, as a viewer shows the values; empty without a palette."""
    if picture.mode != "P":
        return {}
    colours = picture.getpalette("RGB")
    return {i: tuple(colours[3 * i : 3 * i + 3]) for i in values}


def check_sizes(image, image_path, mask, mask_path):
    size, image_size = mask.shape[:2], image.shape[:2]
    if size != image_size:
        turned = " Was the mask made before the image's EXIF tag turned it?"
        raise ValueError(
            f"{mask_path} is {size[0]}x{size[1]} pixels (height x width), but its image "
            f"{image_path} is {image_size[0]}x{image_size[1]}. They must be equal."
            + (turned if size == image_size[::-1] else "")
        )


def scan_all(pairs, colours, skip_damaged):
    """({pair: its `Scan`}, [what is wrong with the other pairs]), read in parallel.

    It runs before the first epoch, so that nothing is lost in the middle of one. Without
    `skip_damaged`, the first `ValueError` ends it.
    """

    def attempt(pair):
        try:
            return scan(pair, colours)
        except ValueError as error:
            if not skip_damaged:
                raise
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(attempt, pairs))
    scans = {pair: result for pair, result in zip(pairs, results) if isinstance(result, Scan)}
    return scans, [str(result) for result in results if isinstance(result, ValueError)]


def label_map_source(folder, skip_damaged=False):
    """The `Source` of a folder, all of whose files have been read once.

    A folder without splits gives a fifth of its pairs to validation, drawn with a fixed seed; a
    training split without a validation split does the same.

    Args:
        folder: A `Folder`.
        skip_damaged: Whether pairs that cannot be used are left out, and listed in a warning and
            in the source's `skipped`, instead of stopping everything.

    Raises:
        FileNotFoundError: an image without a mask or a mask without an image.
        ValueError: a damaged file, a mask of another size than its image, values that mean no
            class; with the path.
    """
    if folder.other_files:
        warnings.warn(
            f"{len(folder.other_files)} of the files in {folder.path} are no pictures and are not "
            f"used: {shown(folder.other_files)}",
            stacklevel=2,
        )
    if folder.unlisted_images:
        warnings.warn(
            f"{len(folder.unlisted_images)} of the images in {folder.path} stand in no list and "
            f"are not used: {shown(folder.unlisted_images)}",
            stacklevel=2,
        )
    pairs = list(chain(*folder.splits.values()))
    skipped = missing_partners(folder, len(pairs), skip_damaged)
    scans, damaged = scan_all(pairs, folder.colours, skip_damaged)
    if not scans:
        raise ValueError(f"{folder.path} has no pair that can be used.")
    check_palettes(folder, {mask: scan.palette for (_, mask), scan in scans.items()})
    values = {mask: scan.values for (_, mask), scan in scans.items()}
    masks = recognise(folder, values, tolerant=skip_damaged)
    faults = {pair: masks.fault(scan.values, pair[1]) for pair, scan in scans.items()}
    outside = [fault for fault in faults.values() if fault]
    if outside and not skip_damaged:
        raise ValueError(outside[0])
    skipped += damaged + outside
    if skipped:
        warnings.warn(
            f"{len(skipped)} of the pairs in {folder.path} cannot be used and are left out; "
            f"`skipped` of the dataset lists them. The first: {skipped[0]}",
            stacklevel=2,
        )
    usable = {
        split: [pair for pair in pairs if pair in scans and not faults[pair]]
        for split, pairs in folder.splits.items()
    }
    check_counts(folder.path, usable)
    sizes = {scans[pair].size for pair in chain(*usable.values())}
    size = sizes.pop() if len(sizes) == 1 else (None, None)
    return Source(
        splits={split: records(pairs, scans) for split, pairs in with_validation(usable).items()},
        read=partial(read_pair, masks=masks, colours=folder.colours, size=size),
        targets=("label", "image"),
        class_names=masks.class_names,
        colours=masks.colours,
        ignore_class=VOID,
        augmentable=True,
        skipped=tuple(skipped),
    )


def missing_partners(folder, paired, skip_damaged):
    """What has no partner, in words, one file each; raised if not to be skipped."""
    faults = []
    for paths, what, partner in (
        (folder.unpaired_images, "image", "label map"),
        (folder.unpaired_masks, "label map", "image"),
    ):
        if paths and not skip_damaged:
            raise FileNotFoundError(
                f"{len(paths)} of {paired + len(paths)} {what}s have no {partner} of the same "
                f"stem. The first: {paths[0]}. Add the {partner}, or remove the {what}, or pass "
                "skip_damaged=True, which leaves it out."
            )
        faults += [f"{path} has no {partner} of the same stem." for path in paths]
    return faults


def check_counts(path, splits):
    for split, pairs in splits.items():
        least = 1 if "validation" in splits or split == "test" else 2
        if len(pairs) < least:
            raise ValueError(
                f"{path}: expected at least {least} usable pairs of images and masks. "
                f"Received: {len(pairs)} in {split!r}"
            )


def with_validation(splits):
    """{split: pairs}; without a validation split, one is drawn from two training pairs or more."""
    drawn_from = "all" if "all" in splits else "train"
    pairs = splits[drawn_from]
    if "validation" in splits or len(pairs) < 2:
        return splits
    parts = seeded_split(tf.data.Dataset.range(len(pairs)), VALIDATION)
    train, validation = ([pairs[i] for i in part.as_numpy_iterator()] for part in parts)
    others = {split: pairs for split, pairs in splits.items() if split != drawn_from}
    return {"train": train, "validation": validation, **others}


def records(pairs, scans):
    """A `tf.data.Dataset` of {"image": path, "label": path, "bytes": `Scan.plain_bytes`}."""
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": [os.fsencode(image) for image, _ in pairs],
            "label": [os.fsencode(mask) for _, mask in pairs],
            "bytes": [scans[pair].plain_bytes for pair in pairs],
        }
    )


def read_pair(record, masks, colours=None, size=(None, None)):
    """{"image", "label"} of one record, inside a `tf.data` pipeline, of `size` where known.

    TensorFlow reads what it decodes as Pillow does, without Python and twice as fast. All else
    goes through Pillow, as does what changed since the files were first read: there an error, if
    it is one, has its words.
    """
    paths = record["image"], record["label"]

    def read(*paths):
        image_path, mask_path = map(os.fsdecode, paths)
        image, mask = read_image(image_path), read_mask(mask_path, colours)
        check_sizes(image, image_path, mask, mask_path)
        return image, masks.to_ids(mask, mask_path)

    def by_pillow():
        return tuple(tf.numpy_function(read, paths, (tf.uint8, tf.uint8)))

    def by_tensorflow():
        image = tf.io.decode_jpeg(contents[0], 3, dct_method="INTEGER_ACCURATE")  # PNG as well
        mask = tf.io.decode_png(contents[1], 1)[..., 0]
        label = tf.gather(masks.table[::GREY], tf.cast(mask, tf.int32))
        inside = tf.reduce_all(label != OUTSIDE)
        fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(label))
        return tf.cond(inside & fits, lambda: (image, label), by_pillow)

    contents = [tf.io.read_file(path) for path in paths]
    unchanged = tf.reduce_all(tf.strings.length(contents) == record["bytes"])
    image, label = tf.cond(unchanged, by_tensorflow, by_pillow)
    return {"image": tf.ensure_shape(image, (*size, 3)), "label": tf.ensure_shape(label, size)}
