"""From the annotations of another tool to a folder that `load("folder")` reads."""

import itertools
import os
import re
import shutil
import unicodedata
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from kerasseg.datasets.annotations import coco, labelme, voc, yolo
from kerasseg.datasets.annotations.drawing import draw, wrong_size
from kerasseg.datasets.annotations.names import given_names, write_names
from kerasseg.datasets.doctor.report import described
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.files import SUFFIXES, decode
from kerasseg.datasets.masks import BINARY, MOST_CLASSES, VOID, is_void, voc_colours
from kerasseg.tables import table

FORMATS = {"coco": coco, "labelme": labelme, "yolo": yolo, "voc": voc}
FOLDERS = {"all": "", "train": "train", "validation": "val", "test": "test"}
EXPECTED = (
    "COCO's JSON, LabelMe's JSON files, YOLO's images/ and labels/, or Pascal VOC's JPEGImages/ "
    "and SegmentationClass/"
)


@dataclass
class Conversion:
    """What became of annotations; `print` shows it.

    Attributes:
        kind: The format, in words.
        source, folder: Where they lay, and where the label maps lie.
        names: Of the classes, in the order of the ids.
        images: {split: images}.
        things: {id: objects}, 255 for those of unknown names and for boxes.
        pixels: int64 (256,), the pixels of each id.
        findings: Every `Finding`.
        written: Whether the folder was written.
    """

    kind: str
    source: Path
    folder: Path
    names: tuple
    images: Counter = field(default_factory=Counter)
    things: Counter = field(default_factory=Counter)
    pixels: np.ndarray | int = 0
    findings: list = field(default_factory=list)
    written: bool = False

    @property
    def errors(self):
        return [finding for finding in self.findings if finding.severity == "error"]

    def __str__(self):
        count = sum(self.images.values())
        splits = {split: n for split, n in self.images.items() if split != "all"}
        words = ", ".join(f"{n:,} {split}" for split, n in splits.items())
        parts = [f"{self.source}: {self.kind}"]
        if self.written:
            rows = [("id", "class", "objects", "pixels")]
            for i, name in [*enumerate(self.names), (VOID, "void")]:
                rows.append((i, name, f"{self.things[i]:,}", f"{self.pixels[i]:,}"))
            parts.append(table(rows if self.pixels[VOID] else rows[:-1], right=(0, 2, 3)))
        parts += described(sorted(self.findings, key=lambda f: f[:2]), self.source)
        if self.written:
            words = f" ({words})" if words else ""
            parts.append(f"{count:,} label map{'s' * (count != 1)}{words} in {self.folder}")
        else:
            parts.append("Nothing was written.")
        return "\n\n".join(parts)


def convert(
    source,
    folder,
    *,
    format=None,
    images=None,
    classes=None,
    unlabelled="background",
    skip_damaged=False,
    progress=lambda items: items,
):
    """Writes images and label maps from the annotations of another tool.

    | format | source |
    |---|---|
    | `coco` | a JSON file, or a folder with such files, one per split |
    | `labelme` | a JSON file, or a folder with one per image |
    | `yolo` | a folder with `images/` and `labels/`, or its YAML file |
    | `voc` | a folder with `JPEGImages/` and `SegmentationClass/` |

    The folder holds `images/` and `masks/`, in `train/`, `val/` and `test/` if the source has
    splits, and `classes.txt`. Masks are 8-bit palette images of ids; 255 is void. The folder is
    complete or not there; nothing in the source is changed. Where objects of different classes
    overlap, the smaller lies on top.

    Args:
        source: The path of a file or a folder.
        folder: The path of the output, which must not exist, or be an empty folder.
        format: One of the names above; `None`: recognised.
        images: The folder of the images; `None`: where the format has them.
        classes: The path of a list of class names, one a line, whose order gives the ids; `None`:
            the names of the source.
        unlabelled: What pixels in no object are: "background", which then is class 0, or "void".
        skip_damaged: Whether images that cannot be used are left out; else nothing is written.
        progress: A function that the list of images passes through.

    Returns:
        A `Conversion`, whose findings name overlaps, objects outside the image, and unknown names.

    Raises:
        FileNotFoundError: no such source, or none of these formats in it.
        ValueError: an output that exists or lies in the source; damaged annotations; several
            formats in one source; no classes.
    """
    source, folder = Path(source), Path(folder)
    images = None if images is None else Path(images)
    reader = reader_of(source, format)
    annotations = reader.read(source, images)
    inputs = {source if source.is_dir() else source.parent / source.name}
    inputs |= {image.path.parent for image in annotations.images if image.path}
    check_output(folder, inputs)
    check_splits(source, {image.split for image in annotations.images})
    listed = annotations.names if classes is None else given_names(Path(classes))
    names, ids, background = class_ids(listed, annotations, unlabelled)
    result = Conversion(annotations.kind, source, folder, names, findings=annotations.findings)
    there = next(path for path in folder.absolute().parents if path.is_dir())
    temporary = there / f".{folder.name}.{uuid.uuid4().hex[:8]}"  # on the disk of the output
    try:
        temporary.mkdir()
        write_images(temporary, annotations.images, ids, background, result, progress)
        if (result.errors and not skip_damaged) or not result.images:
            return result
        write_classes(temporary, result)
        move(temporary, folder)
        result.written = True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return result


def move(temporary, folder):
    """Puts a complete folder into its place, which is free or an empty folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        folder.rmdir()
    os.rename(temporary, folder)


def reader_of(source, format=None):
    """The module that reads a source.

    Raises:
        FileNotFoundError: no such source, or no annotations in it.
        ValueError: annotations in several formats.
    """
    if not source.exists():
        raise FileNotFoundError(f"There is no file and no folder {source}.")
    if format is not None and format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}")
    tried = FORMATS if format is None else {format: FORMATS[format]}
    found = [name for name, module in tried.items() if module.find(source)]
    if len(found) > 1:
        raise ValueError(
            f"{source} holds annotations in several formats. Choose one as `format`. Received: "
            f"{', '.join(found)}"
        )
    if not found:
        there = sorted(p.name for p in source.iterdir())[:8] if source.is_dir() else "a file"
        expected = EXPECTED if format is None else f"those of {FORMATS[format].KIND}"
        raise FileNotFoundError(
            f"No annotations in {source}. Expected {expected}. Received: {there}"
        )
    return FORMATS[found[0]]


def check_output(folder, inputs):
    """Raises `ValueError` for an output that exists, or lies in a folder that is read."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists. Choose a folder that does not, or remove it.")
    if folder.is_symlink():
        raise ValueError(f"{folder} is a link. Choose a folder that does not exist.")
    for path in inputs:
        if folder.resolve().is_relative_to(path.resolve()):
            raise ValueError(
                f"{folder} lies in {path}, which is read, and which nothing may be written into. "
                "Choose a folder outside it."
            )


def class_ids(listed, annotations, unlabelled):
    """`(names, {name: id}, id of unlabelled pixels)`.

    A class called background has id 0. Names such as void and ignore have id 255.

    Raises:
        ValueError: fewer than two classes, or too many.
    """
    if unlabelled not in ("background", "void"):
        raise ValueError(f"`unlabelled` must be background or void. Received: {unlabelled!r}")
    if listed is None:
        things = itertools.chain(*(image.things() for image in annotations.images))
        listed = sorted({thing.name for thing in things}, key=natural)
    void = [name for name in listed if is_void(name)]
    ground = [name for name in listed if is_background(name)]
    names = [name for name in listed if name not in (*void, *ground)]
    if ground or (unlabelled == "background" and not annotations.complete):
        names.insert(0, BINARY[0])
    if not 2 <= len(names) <= MOST_CLASSES:
        raise ValueError(
            f"Expected 2 to {MOST_CLASSES} classes, with background. Received: {names}. A list of "
            "names, one a line, can be given: `classes`."
        )
    ids = {name: i for i, name in enumerate(names)}
    ids |= dict.fromkeys(ground, 0) | dict.fromkeys((*void, "void"), VOID)
    return tuple(names), ids, VOID if unlabelled == "void" else 0


def is_background(name):
    return name.strip(" _").lower() == BINARY[0]


def natural(text):
    """A key by which "class 10" comes after "class 2"."""
    return [(part.isdigit(), part.zfill(20)) for part in re.split(r"(\d+)", text) if part]


def write_images(folder, images, ids, background, result, progress):
    """Writes every image and its mask, and adds what is to be said to the result."""
    taken = {}
    for image in progress(images):
        place = Path(folder, FOLDERS[image.split])
        key = str(place), unicodedata.normalize("NFC", image.name).casefold()
        if key in taken:
            first, target = taken[key], Path(FOLDERS[image.split], "images", image.name)
            raise ValueError(
                f"{first.path or first.where} and {image.path or image.where} would both become "
                f"{target}. Rename one of them."
            )
        taken[key] = image
        try:
            drawn = write_pair(place, image, ids, background)
        except Unusable as error:
            result.findings.append(error.finding)
            continue
        result.images[image.split] += 1
        result.things += drawn.things
        result.pixels = result.pixels + np.bincount(drawn.labels.ravel(), minlength=256)
        result.findings += drawn.findings


def write_pair(place, image, ids, background):
    """Writes an image and its mask, and returns what was `Drawn`.

    An image that its EXIF tag turns is written turned: not every tool heeds the tag, and a mask has
    none.

    Raises:
        Unusable: an image that cannot be read; annotations made at another size.
    """
    picture = read_picture(place, image)
    turned = picture.info["orientation"]
    size = picture.height, picture.width
    before = size[::-1] if turned >= 5 else size
    annotated = image.size or size
    if annotated not in (size, before):
        raise Unusable(wrong_size(image.where, annotated, size))
    drawn = draw(image, annotated, ids, background)
    mask = Image.fromarray(drawn.labels)
    if annotated != size:
        mask.getexif()[ExifTags.Base.Orientation] = turned
        ImageOps.exif_transpose(mask, in_place=True)
    mask.putpalette(np.array(voc_colours(256), "uint8").tobytes())
    target = place / "images" / f"{image.name}{suffix_of(image)}"
    if turned == 1 and image.path is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.path, target)
    elif turned != 1:
        target.unlink(missing_ok=True)
        target = target.with_name(f"{Path(image.name).name}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target)
    target = place / "masks" / f"{image.name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    mask.save(target)
    return drawn


def read_picture(place, image):
    """The decoded image; one from inside the annotations is written first."""
    if image.path is not None:
        return decode(image.path)
    target = place / "images" / f"{image.name}{suffix_of(image)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(image.content)
    try:
        return decode(target)
    except Unusable as error:
        target.unlink()
        raise Unusable(error.finding._replace(path=image.where)) from error


def suffix_of(image):
    if image.path is None:
        return ".png" if image.content.startswith(b"\x89PNG") else ".jpg"
    suffix = image.path.suffix.lower()
    return suffix if suffix in SUFFIXES else ".png"


def check_splits(source, splits):
    """Raises `ValueError` for splits that make no data set."""
    if splits and splits != {"all"} and ("train" not in splits or "all" in splits):
        raise ValueError(
            f"{source} has images of {', '.join(sorted(splits))}. Expected train, and perhaps "
            "validation and test, or no splits. Convert them one by one."
        )


def write_classes(folder, result):
    """Writes the list of classes, with void at its end where two names and 255 could be misread."""
    names = result.names
    if not any(result.pixels[i] for i, name in enumerate(names) if not is_background(name)):
        raise ValueError(
            f"{result.source} has no pixel of {', '.join(names)}. Received: "
            f"{sum(result.things.values())} objects in {sum(result.images.values())} images"
        )
    void = ["void"] if len(names) == 2 and result.pixels[VOID] else []
    write_names(folder / "classes.txt", (*names, *void), voc_colours(256))
