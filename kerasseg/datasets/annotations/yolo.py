"""YOLO's segmentation labels: a text file per image (https://docs.ultralytics.com/datasets/segment)."""

from functools import partial

import numpy as np

from kerasseg.datasets.annotations.names import listed_names
from kerasseg.datasets.annotations.objects import (
    SPLIT_WORDS,
    AnnotatedImage,
    Annotations,
    Thing,
    require_that,
    unusable,
)
from kerasseg.datasets.class_table import read_text
from kerasseg.datasets.faults import NOT_ANNOTATED
from kerasseg.datasets.files import by_stem
from kerasseg.requirements import require

KIND = "YOLO segmentation"
FARTHEST = 2  # shares of the image: a coordinate above it is in pixels


def find(source):
    """[(split, folder of images, folder of labels)] of a folder, or of a YAML file's folder."""
    if source.is_file():
        return find(source.parent) if source.suffix.lower() in (".yaml", ".yml") else []
    found = []
    for split, words in SPLIT_WORDS.items():
        for word in words:
            for images, labels in (
                (source / "images" / word, source / "labels" / word),
                (source / word / "images", source / word / "labels"),
            ):
                if images.is_dir() and labels.is_dir():
                    found.append((split, images, labels))
    if not found and (source / "images").is_dir() and (source / "labels").is_dir():
        found = [("all", source / "images", source / "labels")]
    return found if any(any(labels.rglob("*.txt")) for _, _, labels in found) else []


def read(source, images=None):
    """The `Annotations` of a folder with `images/` and `labels/`, or of its YAML file.

    Both may hold folders called train, val and test, or lie in such folders. The names of the
    classes are those of the YAML file, or of a list such as `classes.txt`. An image without a text
    file has no objects.

    Args:
        source: The folder, or a YAML file in it.
        images: Not used: the folders belong together.

    Raises:
        Unusable: a line that is no object.
        ValueError: no names.
    """
    folder = source.parent if source.is_file() else source
    found = Annotations(KIND, names_of(source, folder))
    for split, image_folder, label_folder in find(source):
        texts = {
            str(path.relative_to(label_folder).with_suffix("")): path
            for path in sorted(label_folder.rglob("*.txt"))
        }
        pictures = by_stem(image_folder, [])
        for stem, picture in pictures.items():
            text = texts.pop(stem, None)
            found.images.append(
                AnnotatedImage(
                    where=text or picture,
                    name=stem,
                    things=partial(things_of, text, found.names),
                    path=picture,
                    split=split,
                )
            )
        words = f"has no image of its name in {image_folder}, and is left out"
        found.findings += [NOT_ANNOTATED.found(path, words) for path in texts.values()]
    return found


def names_of(source, folder):
    """The names of the classes, or `None` if nothing lists them."""
    if source.is_file():
        tables = [source]
    else:
        tables = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    tables = [(path, table) for path in tables if (table := names_in_yaml(path)) is not None]
    if len(tables) > 1:
        places = [path.name for path, _ in tables]
        raise ValueError(
            f"{folder} holds two YAML files with names. Pass one as the source. Received: {places}"
        )
    return tables[0][1] if tables else listed_names(folder)


def names_in_yaml(path):
    """The `names` of a YAML file, a list or {number: name}; `None` if it has none."""
    yaml = require("yaml", extra="formats")
    try:
        content = yaml.safe_load(read_text(path))
    except (RecursionError, yaml.YAMLError) as error:
        raise unusable(path, f"is no YAML: {str(error).splitlines()[0]}") from error
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return None
    if isinstance(names, dict):
        right = sorted(map(str, names)) == sorted(map(str, range(len(names))))
        require_that(right, path, "names numbered 0, 1, 2, ...", names)
        numbered = {int(number): name for number, name in names.items()}
        names = [numbered[i] for i in range(len(numbered))]
    right = isinstance(names, list) and names and all(isinstance(n, (str, int)) for n in names)
    require_that(right, path, "names, a list of texts", names)
    return tuple(str(name).strip() for name in names)


def things_of(path, names):
    """The objects of a text file, none for `None`.

    A line of five numbers is a box: class, centre, width and height.
    """
    lines = [] if path is None else read_text(path).splitlines()
    things = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        try:
            values = np.array(words, "float64")
        except ValueError:
            values = np.array([np.nan])
        right = len(values) >= 5 and len(values) % 2 == 1 and np.isfinite(values).all()
        right = right and values[0] == int(values[0]) and values[0] >= 0
        where = f"{path}, line {number},"
        require_that(right, where, "a class number and its outline: 0 x y x y x y", line)
        right = np.abs(values[1:]).max() <= FARTHEST
        require_that(right, where, "shares of the width and height, from 0 to 1", line)
        index = int(values[0])
        name = names[index] if names and index < len(names) else f"class {index}"
        if len(values) == 5:
            centre, half = values[1:3], values[3:] / 2
            corners = centre + half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
            things.append(Thing(name, (corners,), shares=True, rough=True))
        else:
            things.append(Thing(name, (values[1:].reshape(-1, 2),), shares=True))
    return things
