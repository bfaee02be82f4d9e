"""Any folder of images with a folder of masks."""

import dataclasses
from pathlib import Path

import numpy as np

from kerasseg.datasets import camvid
from kerasseg.datasets.class_table import told_classes
from kerasseg.datasets.masks import Masks
from kerasseg.datasets.pairs import pair_by_stem

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
PETS = "images/ and annotations/trimaps/, as in Oxford-IIIT Pet"
TRIMAPS = Masks(
    "trimaps: 1 pet, 2 background, 3 outline",
    {1: 0, 2: 1, 3: 2},
    ("pet", "background", "outline"),
    np.array([(220, 20, 60), (70, 130, 180), (250, 220, 60)], "uint8"),
)
LAYOUTS = (
    "images/ and masks/; train/images/ and train/masks/, the same for val/ and test/; "
    "images/train/ and masks/train/, the same; or train/ and trainannot/, as in CamVid"
)


def source(data_dir=None, colours=None, skip_damaged=False, keep=None):
    """Images and masks of your own.

    | layout | splits |
    |---|---|
    | `images/`, `masks/` | 80 % training, 20 % validation, drawn with a fixed seed |
    | `train/images/`, `train/masks/`, and so `val/` and `test/` | as they lie |
    | `images/train/`, `masks/train/`, and so `val/` and `test/` | as they lie |
    | `train/`, `trainannot/`, and so `val` and `test` (CamVid's) | as they lie |
    | `images/`, `annotations/trimaps/` (Oxford-IIIT Pet's) | 80 % and 20 % |

    `val` may be called `valid` or `validation`. Without it, validation takes 20 % of the training
    pairs, drawn with a fixed seed: images that are frames of one video have neighbours on both
    sides then, so give them a split of their own. An image and its mask have one name but for the
    suffix, in folders of folders too; if all masks end or begin with the same letters (`x.jpg` and
    `x_mask.png`), names are compared without them. Images are PNG, JPEG, BMP, TIFF or WebP files,
    of 8 or 16 bits, and the EXIF tag turns them.

    Masks hold ids (0, 1, 2, ... or 1, 2, 3, ..., and 255 for void), 0 and 255 (background and
    foreground), or colours; all masks of a set the same. Of a palette image the colours count if a
    table has them all, else the indices. The names of the classes are read from `data_dir`:

    - `classes.txt`: one name a line, in the order of the ids; `name red green blue` or `red green
      blue name`, with spaces or commas, gives colours too;
    - `colours.json`: `{"road": [128, 64, 128], ...}`, in the order of the ids.

    The argument `colours` takes precedence over both. A name such as void, ignore or unlabelled
    makes its pixels void, and the classes after it move up. CamVid's layout without a table means
    CamVid's eleven classes and 11 for void. Every file is read once before anything else happens;
    none is ever written.

    **Multi-label.** If a pixel may have several labels, each label has a mask of its own, in
    `masks/LABEL/` (or `train/masks/LABEL/` and so on), under the name of the image. It holds 0 and
    255, or 0 and 1; if masks of 0 and 1 hold 255, too, it is void. Every image needs a mask for
    each label, all 0 where the label does not occur: a file that is missing is an error, as it may
    have been forgotten. "label" is then (height, width, labels) of 0, 1 and 255. The labels come in
    the order of `classes.txt`, which names exactly these folders, or sorted.

    Args:
        data_dir: The folder.
        colours: `{name: (red, green, blue)}`, in the order of the ids.
        skip_damaged: Whether pairs that cannot be used are left out, counted in a warning, and
            listed in `Dataset.skipped`, instead of raising an error.
        keep: `(height, width)` at which the decoded images are kept in memory, if all of them fit;
            `None`: they are not kept.

    Raises:
        FileNotFoundError: no such layout; a folder without images; an image without partner.
        ValueError: a damaged file, sizes that differ, values that are ambiguous or outside the
            classes; a wrong table.
    """
    from kerasseg.datasets.from_files import label_map_source

    if data_dir is None:
        raise ValueError(f"folder needs `data_dir`, with {LAYOUTS}. Received: data_dir=None")
    return label_map_source(find(data_dir, colours), "folder", skip_damaged, keep)


def find(data_dir, colours=None):
    """Looks at a folder without decoding a pixel.

    Returns:
        A `Folder`. Damage of single files is not noticed here.

    Raises:
        FileNotFoundError: a folder of no known layout, or without images.
        NotADirectoryError: a file.
        ValueError: more than one layout, two images of one name, or a wrong table of classes.
    """
    path = Path(data_dir)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path} is a file, not a folder. Expected a folder of {LAYOUTS}.")
    table = told_classes(path, colours)
    if (path / "trainannot").is_dir():
        found = camvid.find(path, needed=("train",))
        return found if table is None else with_classes(found, table)
    folders, layout = arrangement(path)
    found = pair_by_stem(path, folders, layout)
    if table is None and layout == PETS:
        return dataclasses.replace(found, masks=TRIMAPS)
    return found if table is None else with_classes(found, table)


def with_classes(found, table):
    """The `Folder` with the names and colours of a table; its labels in the table's order."""
    labels, names = found.class_names, table["class_names"]
    if not found.multi_label:
        return dataclasses.replace(found, masks=None, **table)
    if set(labels) != set(names):
        raise ValueError(
            f"{found.path}: the table of classes must name the folders of the labels. "
            f"Received: {names}; the folders are {labels}"
        )
    order = [labels.index(name) for name in names]
    splits = {
        split: [(image, tuple(masks[i] for i in order)) for image, masks in pairs]
        for split, pairs in found.splits.items()
    }
    return dataclasses.replace(found, splits=splits, **table)


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
    elif images.is_dir() and (path / "annotations/trimaps").is_dir() and not masks.is_dir():
        folders, layout = {"all": (images, path / "annotations/trimaps")}, PETS
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
