"""Any folder of images with a folder of masks."""

import dataclasses
import json
from numbers import Integral
from pathlib import Path

from kerasseg.datasets import camvid, files
from kerasseg.datasets.files import Folder
from kerasseg.datasets.masks import MOST_CLASSES, Masks, is_void, recognise

__all__ = ["Folder", "Masks", "find", "recognise", "source"]

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
LAYOUTS = (
    "images/ and masks/; train/images/ and train/masks/, the same for val/ and test/; "
    "images/train/ and masks/train/, the same; or train/ and trainannot/, as in CamVid"
)


def source(data_dir=None, colours=None, skip_damaged=False):
    """Pictures and masks of your own.

    | layout | splits |
    |---|---|
    | `images/`, `masks/` | 80 % training, 20 % validation, drawn with a fixed seed |
    | `train/images/`, `train/masks/`, and so `val/` and `test/` | as they lie |
    | `images/train/`, `masks/train/`, and so `val/` and `test/` | as they lie |
    | `train/`, `trainannot/`, and so `val` and `test` (CamVid's) | as they lie |

    `val` may be called `valid` or `validation`. Without it, validation takes 20 % of the training
    pairs, drawn with a fixed seed: pictures that are frames of one video have neighbours on both
    sides then, so give them a split of their own. An image and its mask have one name but for the
    suffix, in folders of folders too. Pictures are PNG, JPEG, BMP, TIFF or WebP files, of 8 or 16
    bits, and the EXIF tag turns them.

    Masks hold ids (0, 1, 2, ..., and 255 for void), 0 and 255 (background and foreground), or
    colours; all masks of a set the same. Of a palette image the colours count if a table has them
    all, else the indices. What the classes are called stands in `data_dir`:

    - `classes.txt`: one name a line, in the order of the ids; `name red green blue` or `red green
      blue name`, with spaces or commas, gives colours too;
    - `colours.json`: `{"road": [128, 64, 128], ...}`, in the order of the ids.

    The argument `colours` goes before both. A name such as void, ignore or unlabelled makes its
    pixels void, and the classes after it move up. CamVid's layout without a table means CamVid's
    eleven classes and 11 for void. Every file is read once before anything else happens; none is
    ever written.

    Args:
        data_dir: The folder.
        colours: `{name: (red, green, blue)}`, in the order of the ids.
        skip_damaged: Whether pairs that cannot be used are left out, counted in a warning, and
            listed in `Dataset.skipped`, instead of raising an error.

    Raises:
        FileNotFoundError: no such layout; a folder without pictures; a picture without partner.
        ValueError: a damaged file, sizes that differ, values that are ambiguous or outside the
            classes; a wrong table.
    """
    if data_dir is None:
        raise ValueError(f"folder needs `data_dir`, with {LAYOUTS}. Received: data_dir=None")
    return files.label_map_source(find(data_dir, colours), skip_damaged)


def find(data_dir, colours=None):
    """Looks at a folder without decoding a pixel.

    Returns:
        A `Folder`. Damage of single files is not noticed here.

    Raises:
        FileNotFoundError: a folder of no known layout, or without pictures.
        ValueError: more than one layout, two pictures of one name, or a wrong table of classes.
    """
    path = Path(data_dir)
    table = told_classes(path, colours)
    if (path / "trainannot").is_dir():
        found = camvid.find(path, needed=("train",))
        return found if table is None else dataclasses.replace(found, masks=None, **table)
    folders, layout = arrangement(path)
    return dataclasses.replace(files.pair_by_stem(path, folders, layout), **(table or {}))


def arrangement(path):
    """{split: (image folder, mask folder)}, and the layout in words."""
    images, masks = path / "images", path / "masks"
    inside, beside = split_names(images), split_names(path)
    beside = {split: name for split, name in beside.items() if (path / name / "images").is_dir()}
    if images.is_dir() and beside:
        raise ValueError(
            f"{path} holds two layouts. Leave one. Received: images/ and "
            + " and ".join(f"{name}/images/" for name in beside.values())
        )
    if beside:
        folders = {s: (path / name / "images", path / name / "masks") for s, name in beside.items()}
        layout = "train/images/ and train/masks/"
    elif inside:
        strays = {p.name for p in images.iterdir() if p.name[0] != "."} - set(inside.values())
        if strays:
            raise ValueError(
                f"{images} holds splits and, beside them, {sorted(strays)[0]}. Expected no more "
                f"than train/, val/ and test/. Received: {sorted(strays)}"
            )
        folders = {s: (images / name, masks / name) for s, name in inside.items()}
        layout = "images/train/ and masks/train/"
    elif images.is_dir():
        folders, layout = {"all": (images, masks)}, "images/ and masks/"
    else:
        there = sorted(p.name for p in path.iterdir()) if path.is_dir() else "no such folder"
        raise FileNotFoundError(f"No images in {path}. Expected {LAYOUTS}. Received: {there}")
    if "all" not in folders and "train" not in folders:
        raise FileNotFoundError(f"{path} has no train folder. Received: {sorted(folders)}")
    return folders, layout


def split_names(path):
    """{split: name of its folder in `path`}."""
    found = {}
    for split, names in SPLITS.items():
        there = [name for name in names if (path / name).is_dir()]
        if len(there) > 1:
            raise ValueError(f"{path} holds two folders for {split}. Leave one. Received: {there}")
        if there:
            found[split] = there[0]
    return found


def told_classes(path, colours):
    """{"class_names", "colours"} of the table that goes first, `None` if there is none."""
    text_file, json_file = path / "classes.txt", path / "colours.json"
    if colours is not None:
        return checked("`colours`", list(colours.items() if hasattr(colours, "items") else colours))
    listed = checked(text_file, read_classes(text_file)) if text_file.is_file() else None
    coloured = checked(json_file, read_colours(json_file)) if json_file.is_file() else None
    if listed and coloured:
        if set(listed["class_names"]) != set(coloured["class_names"]):
            raise ValueError(
                f"{text_file} and {json_file} name different classes. Received: "
                f"{listed['class_names']} and {coloured['class_names']}"
            )
        by_name = dict(zip(*coloured.values()))
        return {**listed, "colours": tuple(by_name[name] for name in listed["class_names"])}
    return listed or coloured


def read_classes(path):
    """[(name, colour or `None`)] of a text file, one class a line."""
    rows = []
    for number, line in enumerate(read_text(path).rstrip().splitlines(), start=1):
        words = line.replace(",", " ").split()
        if not words:
            raise ValueError(f"{path}, line {number} is empty: expected a class name.")
        name, colour = words, None
        for before, after in ((words[:-3], words[-3:]), (words[3:], words[:3])):
            if before and all(word.isdecimal() for word in after):
                name, colour = before, tuple(map(int, after))
                break
        if name[0].rstrip(":;.").isdecimal():
            raise ValueError(
                f"{path}, line {number}: expected a name, without a number before it, as the order "
                f'of the lines gives the ids, or a name and its colour, "road 128 64 128". '
                f"Received: {line!r}"
            )
        rows.append((" ".join(name if colour else line.split()), colour))
    return rows


def read_colours(path):
    """[(name, colour)] of a JSON file, {name: [red, green, blue]}."""
    try:
        return json.loads(read_text(path), object_pairs_hook=list)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def read_text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8: {error}. Save it as UTF-8.") from error


def checked(where, rows):
    """The rows, (name, colour), of a table of classes, if they make one."""
    try:
        names, colours = zip(*((name.strip(), colour and tuple(colour)) for name, colour in rows))
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f'{where}: expected {{"road": [128, 64, 128], ...}}. Received: {rows}'
        ) from None
    for values in (names, [colour for colour in colours if colour is not None]):
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise ValueError(f"{where} holds {twice[0]!r} twice. Expected one row a class.")
    if all(map(is_void, names)) or len(names) > MOST_CLASSES:
        raise ValueError(
            f"{where}: expected 1 to {MOST_CLASSES} names, not all void. Received: {names}"
        )
    if all(colour is None for colour in colours):
        return {"class_names": names, "colours": None}
    for name, colour in zip(names, colours):
        if not is_colour(colour):
            raise ValueError(
                f"{where}: expected a colour of three whole numbers, 0 to 255, for every class. "
                f"Received: {name!r}: {colour}"
            )
    return {"class_names": names, "colours": tuple(tuple(map(int, c)) for c in colours)}


def is_colour(colour):
    return (
        colour is not None
        and len(colour) == 3
        and all(isinstance(part, Integral) and 0 <= part <= 255 for part in colour)
    )
