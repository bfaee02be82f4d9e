"""COCO's JSON (Lin et al. 2014, https://cocodataset.org/#format-data): polygons and RLE."""

from collections import Counter, defaultdict
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.annotations.objects import (
    AnnotatedImage,
    Annotations,
    Thing,
    as_polygon,
    declared_size,
    name_below,
    read_json,
    require_that,
    split_of,
    unusable,
    whole_number,
)

KIND = "COCO"
PLACES = ("", "annotations", "train", "val", "valid", "validation", "test")
NOT_ONLY_OBJECTS = ("captions_", "person_keypoints_", "image_info_", "panoptic_", "stuff_")


def find(source):
    """The JSON files of a source, a file or a folder: of a folder, those in the usual places."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and recognised(source) else []
    files = [p for place in PLACES for p in sorted((source / place).glob("*.json"))]
    instances = [p for p in files if p.name.startswith("instances_")]
    others = [p for p in files if not p.name.startswith(NOT_ONLY_OBJECTS)]
    return [p for p in instances or others if recognised(p)]


def recognised(path):
    try:
        value = read_json(path)
    except ValueError:
        return False
    return isinstance(value, dict) and {"images", "annotations"} <= value.keys()


def read(source, images=None):
    """The `Annotations` of a COCO file, or of all in a folder, each a split.

    A file belongs to the split that its name or its folder names: `instances_val2017.json`,
    `valid/_annotations.coco.json`. Images are looked for in `images`, in the file's folder and its
    parent, and there in `images/` and in folders named like the split.

    Args:
        source: A JSON file, or a folder.
        images: The folder of the images; `None`: near the JSON file.

    Raises:
        Unusable: no COCO file.
    """
    found = Annotations(KIND, ())
    for path in find(source):
        content = read_json(path)
        categories = categories_of(content, path)
        known = found.names
        found.names = (*known, *(n for n in categories.values() if n not in known))
        split = split_of(path.stem, *([path.parent.name] if source.is_dir() else []))
        add_images(found, path, content, categories, split, images)
    return found


def categories_of(content, path):
    """{category id: name}, in the order of the ids.

    Left out is a category that has no objects and only sums up the others, as Roboflow adds one.
    """
    rows = content.get("categories", [])
    expected = 'categories, [{"id": 1, "name": "cell"}, ...]'
    require_that(isinstance(rows, list), path, expected, rows)
    names, above = {}, set()
    for row in rows:
        right = isinstance(row, dict) and whole_number(row.get("id"))
        right = right and isinstance(row.get("name"), str) and row["name"].strip()
        require_that(right, path, expected, row)
        require_that(row["id"] not in names, path, "each category id once", row)
        names[int(row["id"])] = row["name"].strip()
        above.add(row.get("supercategory"))
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    require_that(not twice, path, "each category name once", twice)
    used = {a.get("category_id") for a in content["annotations"] if isinstance(a, dict)}
    leave_out = [i for i, name in names.items() if name in above and i not in used]
    return {i: names[i] for i in sorted(names) if i not in leave_out}


def add_images(found, path, content, categories, split, images):
    """Adds the images of one file with their objects."""
    for key in ("images", "annotations"):
        require_that(isinstance(content[key], list), path, f"a list of {key}", content[key])
    objects = defaultdict(list)
    for row in content["annotations"]:
        right = isinstance(row, dict) and {"image_id", "category_id"} <= row.keys()
        right = right and isinstance(row["image_id"], (int, str))
        require_that(right, path, "annotations with image_id and category_id", row)
        objects[row["image_id"]].append(row)
    seen = set()
    for row in content["images"]:
        right = isinstance(row, dict) and isinstance(row.get("id"), (int, str))
        right = right and isinstance(row.get("file_name"), str) and Path(row["file_name"]).name
        require_that(right, path, "images with an id and a file_name", row)
        require_that(row["id"] not in seen, path, "each image id once", row)
        seen.add(row["id"])
        picture = look_for(row["file_name"], path, images)
        if picture is None:
            words = f"names {row['file_name']}, which is not there"
            found.findings.append(faults.NO_ANNOTATED_IMAGE.found(path, words))
            continue
        found.images.append(
            AnnotatedImage(
                where=path,
                name=name_below(row["file_name"]),
                things=partial(things_of, objects.get(row["id"], []), categories, path),
                path=picture,
                split=split,
                size=declared_size(row.get("height"), row.get("width"), path),
            )
        )
    lost = [key for key in objects if key not in seen]
    if lost:
        words = f"holds objects of {len(lost)} images that it does not list, the first {lost[0]!r}"
        found.findings.append(faults.NO_ANNOTATED_IMAGE.found(path, words))


def look_for(file_name, path, images=None):
    """The image file of a name, `None` if it is nowhere."""
    name = file_name.replace("\\", "/")
    if images is not None:
        bases = [images]
    else:
        tail = path.stem.rpartition("_")[2]
        folders = ("", "images", tail, f"images/{tail}")
        bases = [
            base / inner for base, inner in product((path.parent, path.parent.parent), folders)
        ]
    tries = [base / end for end in (name, Path(name).name) for base in bases]
    return next((place for place in tries if place.is_file()), None)


def things_of(rows, categories, path):
    """The objects of an image."""
    things = []
    for row in rows:
        number = row["category_id"]
        known = whole_number(number) and int(number) in categories
        name = categories[int(number)] if known else f"category {number}"
        crowd = row.get("iscrowd") == 1
        shape = row.get("segmentation")
        if isinstance(shape, dict):
            things.append(Thing(name, mask=from_rle(shape, path), crowd=crowd))
        elif shape:
            require_that(isinstance(shape, list), path, "polygons or RLE", shape)
            polygons = shape if isinstance(shape[0], list) else [shape]
            polygons = tuple(as_polygon(polygon, path) for polygon in polygons)
            things.append(Thing(name, polygons, crowd=crowd))
        else:
            things.append(Thing(name, box_of(row, path), rough=True))
    return things


def box_of(row, path):
    """The outline of a `bbox`, [x, y, width, height], in a tuple; empty without one."""
    box = row.get("bbox")
    if not box:
        return ()
    (x, y), (width, height) = as_polygon(box[:4] if isinstance(box, list) else box, path)
    return (np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)]),)


def from_rle(rle, path):
    """The mask, bool (height, width), of run lengths along the columns, as numbers or compressed.

    pycocotools returns uninitialized memory where the runs end before the image does; here that is
    an error.

    Raises:
        Unusable: no run lengths, or runs that do not add up to the size.

    Example: a square of one pixel in a map of 2 x 3.

    >>> from_rle({"size": [2, 3], "counts": [3, 1, 2]}, "a.json").astype(int)
    array([[0, 0, 0],
           [0, 1, 0]])
    """
    size, counts = rle.get("size"), rle.get("counts")
    right = isinstance(size, list) and len(size) == 2
    size = declared_size(*(size if right else (0, 0)), path)
    if isinstance(counts, str):
        counts = uncompressed(counts, path)
    right = isinstance(counts, list) and all(whole_number(n) and n >= 0 for n in counts)
    require_that(right, path, "run lengths, whole numbers from 0", counts)
    if sum(counts) != size[0] * size[1]:
        words = f"holds run lengths of {sum(counts)} pixels for a mask of {size[0]} x {size[1]}"
        raise unusable(path, words)
    runs = np.array(counts, "int64")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T


def uncompressed(text, path):
    """The run lengths in COCO's compressed form.

    Each character is 48 plus five bits of a number, the lowest first, and 32 if more follow; from
    the fourth on, a number is the difference from the one before the last.

    Example:

    >>> uncompressed(";23000004", "a.json")
    [11, 2, 3, 2, 3, 2, 3, 2, 7]
    """
    counts, number, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise unusable(path, f"holds damaged run lengths: {text[:40]!r}")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts
