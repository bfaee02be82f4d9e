"""LabelMe's JSON, one file per image (https://github.com/wkentaro/labelme)."""

import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from kerasseg.datasets import faults
from kerasseg.datasets.annotations.names import listed_names
from kerasseg.datasets.annotations.objects import (
    AnnotatedImage,
    Annotations,
    Thing,
    as_polygon,
    declared_size,
    from_base64,
    name_below,
    read_json,
    require_that,
    split_of,
    unusable,
)
from kerasseg.datasets.files import SUFFIXES, files_below

KIND = "LabelMe"
CIRCLE = np.linspace(0, 2 * np.pi, 180, endpoint=False)
WITHOUT_AREA = ("point", "points", "line", "linestrip")


def find(source):
    """The JSON files of a source, a file or a folder: of a folder, all below it."""
    if source.is_file():
        files = [source]
    else:
        files = [p for p in files_below(source, []) if p.suffix.lower() == ".json"]
    return [p for p in files if p.suffix.lower() == ".json" and recognised(p)]


def recognised(path):
    try:
        value = read_json(path)
    except ValueError:
        return False
    return isinstance(value, dict) and "shapes" in value and "imagePath" in value


def read(source, images=None):
    """The `Annotations` of a LabelMe file, or of all below a folder.

    Folders called train, val and test are splits. `labels.txt`, as LabelMe takes it, lists the
    classes; without it they are the labels of the shapes, sorted. An image without a JSON file has
    not been annotated and is left out; one without shapes is background.

    Args:
        source: A JSON file, or a folder.
        images: The folder of the images; `None`: where the files say, or beside them.

    Raises:
        Unusable: a file that is not as LabelMe writes it.
    """
    folder = source if source.is_dir() else source.parent
    found = Annotations(KIND, listed_names(folder))
    paths = find(source)
    for path in paths:
        content = read_json(path)
        below = path.relative_to(folder).with_suffix("")
        split = split_of(*below.parent.parts) if source.is_dir() else "all"
        parts = [part for part in below.parts[:-1] if split_of(part) == "all"]
        picture = look_for(content, path, images)
        data = content.get("imageData") if picture is None else None
        if picture is None and not data:
            words = f"names {content['imagePath']}, which is not there"
            found.findings.append(faults.NO_ANNOTATED_IMAGE.found(path, words))
            continue
        found.images.append(
            AnnotatedImage(
                where=path,
                name=name_below("/".join([*parts, below.name + ".json"])),
                things=partial(things_of, content["shapes"], path),
                path=picture,
                content=from_base64(data, path) if data else None,
                split=split,
                size=declared_size(content.get("imageHeight"), content.get("imageWidth"), path),
            )
        )
    if source.is_dir() and images is None:
        used = {image.path for image in found.images}
        others = [p for p in files_below(source, []) if p.suffix.lower() in SUFFIXES]
        words = "has no LabelMe file, and is left out"
        found.findings += [faults.NOT_ANNOTATED.found(p, words) for p in others if p not in used]
    return found


def look_for(content, path, images=None):
    """The image of a file, `None` if it is nowhere."""
    told = content["imagePath"]
    require_that(isinstance(told, str), path, "the name of an image as imagePath", told)
    told = told.replace("\\", "/")
    bases = [path.parent] if images is None else [images]
    tries = [base / name for base in bases for name in (told, Path(told).name) if name]
    tries += [base / f"{path.stem}{suffix}" for base in bases for suffix in SUFFIXES]
    return next((place for place in tries if place.is_file()), None)


def things_of(shapes, path):
    """The objects of an image; shapes of one label and one group are one object."""
    require_that(isinstance(shapes, list), path, "a list of shapes", shapes)
    groups = {}
    for i, shape in enumerate(shapes):
        right = isinstance(shape, dict) and isinstance(shape.get("label"), str)
        require_that(right, path, "shapes with a label", shape)
        group = shape.get("group_id")
        thing = thing_of(shape, path)
        key = (thing.name, i if group is None or thing.mask is not None else f"group {group}")
        earlier = groups.get(key, Thing(thing.name)).polygons
        groups[key] = Thing(
            thing.name, (*earlier, *thing.polygons), mask=thing.mask, corner=thing.corner
        )
    return list(groups.values())


def thing_of(shape, path):
    """The `Thing` of one shape, without outlines if it has no area."""
    name, kind = shape["label"].strip(), shape.get("shape_type") or "polygon"
    points = as_polygon(shape.get("points"), path)
    if kind in WITHOUT_AREA:
        return Thing(name)
    if kind == "mask":
        picture = io.BytesIO(from_base64(shape.get("mask"), path))
        try:
            mask = np.asarray(Image.open(picture, formats=["PNG"])) > 0
        except Exception as error:  # of Pillow's many
            raise unusable(path, f"holds a mask that is no PNG image: {error}") from error
        require_that(len(points) and mask.ndim == 2, path, "a mask with its corner", points)
        column, row = np.rint(points[0]).astype(int)
        return Thing(name, mask=mask, corner=(int(row), int(column)))
    if kind == "circle":
        require_that(len(points) == 2, path, "a circle's centre and a point on it", points)
        radius = np.linalg.norm(points[1] - points[0])
        points = points[0] + radius * np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], axis=-1)
    elif kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    else:
        known = kind in ("polygon", "rectangle", "oriented_rectangle")
        require_that(known, path, "shapes that are polygons, rectangles, circles or masks", kind)
    return Thing(name, (points,))
