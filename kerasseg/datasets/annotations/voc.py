"""Pascal VOC's folders (Everingham et al. 2010): palette masks and lists of images."""

from functools import partial

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.annotations.names import listed_table
from kerasseg.datasets.annotations.objects import AnnotatedImage, Annotations, Thing, split_of
from kerasseg.datasets.class_table import read_text
from kerasseg.datasets.files import SUFFIXES, by_stem, read_mask
from kerasseg.datasets.masks import VOID, voc_colours

KIND = "Pascal VOC"
MASKS = ("SegmentationClass", "SegmentationClassPNG")
NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
VOID_COLOUR = (224, 224, 192)  # of id 255 in VOC's palette


def find(source):
    """[folder of the masks] of a folder with JPEGImages/, empty if it is none of VOC's."""
    if not (source / "JPEGImages").is_dir():
        return []
    folders = [source / name for name in MASKS if (source / name).is_dir()]
    return [
        folder for folder in folders if any(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
    ][:1]


def read(source, images=None):
    """The `Annotations` of a folder with `JPEGImages/` and `SegmentationClass/`.

    The lists `train.txt`, `val.txt` and `test.txt` in `ImageSets/Segmentation/` are the splits.
    `labelmap.txt`, as CVAT writes it, or another list names the classes; without it they are VOC's
    twenty-one. Masks hold ids as palette or grey images, or the colours of the list or of VOC.

    Args:
        source: The folder.
        images: The folder of the images; `None`: `JPEGImages/`.

    Raises:
        ValueError: a list that is damaged, two images of one name.
    """
    table = listed_table(source)
    names = NAMES if table is None else tuple(name for name, _ in table)
    colours = None if table is None or table[0][1] is None else tuple(c for _, c in table)
    found = Annotations(KIND, names, complete=True)
    masks = by_stem(find(source)[0], [])
    pictures = by_stem(images or source / "JPEGImages", [])
    lists = listed(source)
    for split, stems in (lists or {"all": masks}).items():
        for stem in stems:
            if stem not in masks or stem not in pictures:
                what, folder = ("image", "JPEGImages") if stem in masks else ("mask", "mask folder")
                words = f"has no {what} of {stem} in the {folder}"
                fault = faults.NO_ANNOTATED_IMAGE if stem in masks else faults.NO_MASK
                found.findings.append(fault.found(source, words))
                continue
            things = partial(things_of, masks[stem], names, colours)
            picture = pictures[stem]
            found.images.append(AnnotatedImage(masks[stem], stem, things, picture, split=split))
    on_a_list = {stem for stems in lists.values() for stem in stems}
    others = [path for stem, path in masks.items() if lists and stem not in on_a_list]
    words = "is on no list of ImageSets/Segmentation, and is left out"
    found.findings += [faults.NOT_LISTED.found(path, words) for path in others]
    return found


def listed(source):
    """{split: [names]} of the lists; empty if there are none of train, val and test."""
    splits = {}
    for path in sorted((source / "ImageSets" / "Segmentation").glob("*.txt")):
        split = split_of(path.stem)
        if split != "all":
            splits[split] = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    return splits if "train" in splits else {}


def things_of(path, names, colours):
    """A `Thing` for each value of a mask; what is no class has a name that says so."""
    values = read_mask(path, colours)
    if values.ndim == 3:
        table = dict(zip(colours or voc_colours(len(names)), names))
        table.setdefault(VOID_COLOUR, "void")
        kinds, inverse = np.unique(values.reshape(-1, 3), axis=0, return_inverse=True)
        found = [table.get(rgb, f"colour {rgb}") for rgb in map(tuple, kinds.tolist())]
        inverse = inverse.reshape(values.shape[:2])
    else:
        kinds, inverse = np.unique(values, return_inverse=True)
        table = {**dict(enumerate(names)), VOID: "void"}
        found = [table.get(int(value), f"value {value}") for value in kinds]
        inverse = inverse.reshape(values.shape)
    return [Thing(name, mask=inverse == i) for i, name in enumerate(found)]
