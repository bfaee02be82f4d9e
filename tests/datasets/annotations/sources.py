"""The same three small images, annotated by hand in four formats.

The outlines are polygons of a few points, some slanted; the masks are what a slow loop over all
pixels makes of them, so that a pixel belongs to an object if its centre lies inside.
"""

import json

import numpy as np
from PIL import Image
from skimage.measure import points_in_poly

from kerasseg.datasets.masks import voc_colours

NAMES = ("background", "cell", "debris")
SIZES = {"a": (20, 31), "b": (26, 17), "c": (12, 40)}  # height, width
OBJECTS = {  # [(class, [outlines])] of each image, none of which touches another
    "a": [
        ("cell", [[2.0, 3.0, 14.0, 2.0, 17.5, 9.0, 9.0, 16.5, 3.0, 12.0]]),
        ("debris", [[22.0, 4.0, 29.0, 4.0, 29.0, 11.0, 22.0, 11.0]]),
        ("cell", [[20.0, 14.0, 24.2, 13.1, 27.7, 18.4, 19.2, 18.9], [1, 18, 6, 18, 6, 20, 1, 20]]),
    ],
    "b": [("debris", [[1.0, 1.0, 15.0, 1.0, 15.0, 5.0, 6.0, 5.0, 6.0, 24.0, 1.0, 24.0]])],
    "c": [],
}


def picture(name):
    height, width = SIZES[name]
    seed = np.random.default_rng(ord(name))
    return seed.integers(0, 256, (height, width, 3)).astype("uint8")


def mask_of(outline, size):
    """bool (height, width): which pixels' centres lie in an outline, one after the other."""
    height, width = size
    polygon = np.reshape(outline, (-1, 2))
    centres = [(x + 0.5, y + 0.5) for y in range(height) for x in range(width)]
    return points_in_poly(centres, polygon).reshape(height, width)


def label_map(name):
    labels = np.zeros(SIZES[name], "uint8")
    for class_name, outlines in OBJECTS[name]:
        for outline in outlines:
            labels[mask_of(outline, SIZES[name])] = NAMES.index(class_name)
    return labels


def save_images(folder):
    folder.mkdir(parents=True)
    for name in SIZES:
        Image.fromarray(picture(name)).save(folder / f"{name}.png")


def coco(folder, rle=False):
    """Annotations in `annotations/instances_default.json`; as run lengths if `rle`."""
    save_images(folder / "images")
    images, annotations = [], []
    for image_id, name in enumerate(SIZES, start=7):
        height, width = SIZES[name]
        row = {"id": image_id, "file_name": f"{name}.png", "height": height, "width": width}
        images.append(row)
        for class_name, outlines in OBJECTS[name]:
            segmentation = outlines
            if rle:
                mask = np.any([mask_of(outline, SIZES[name]) for outline in outlines], axis=0)
                segmentation = run_lengths(mask, compressed=class_name == "cell")
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": NAMES.index(class_name),
                    "segmentation": segmentation,
                    "iscrowd": int(rle),
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES) if i]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write_json(folder / "annotations" / "instances_default.json", content)


def run_lengths(mask, compressed):
    """The run lengths of a mask, column by column; as pycocotools compresses them if asked for."""
    height, width = mask.shape
    if compressed:
        from pycocotools import mask as reference

        rle = reference.encode(np.asfortranarray(mask.astype("uint8")))
        return {"size": [height, width], "counts": rle["counts"].decode()}
    counts, last = [0], False
    for pixel in mask.T.ravel():
        if pixel != last:
            counts.append(0)
        counts[-1] += 1
        last = pixel
    return {"size": [height, width], "counts": counts}


def labelme(folder):
    """A JSON file beside each image; the parts of an object have one group."""
    save_images(folder)
    for name, (height, width) in SIZES.items():
        shapes = [
            {
                "label": class_name,
                "points": np.reshape(outline, (-1, 2)).tolist(),
                "group_id": i if len(outlines) > 1 else None,
                "shape_type": "polygon",
                "flags": {},
            }
            for i, (class_name, outlines) in enumerate(OBJECTS[name])
            for outline in outlines
        ]
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": f"{name}.png",
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_json(folder / f"{name}.json", content)
    return folder


def yolo(folder):
    """`images/`, `labels/` and `data.yaml`; an image without objects has no text file."""
    save_images(folder / "images")
    (folder / "labels").mkdir()
    for name, (height, width) in SIZES.items():
        lines = [
            " ".join(
                [str(NAMES.index(class_name) - 1)]
                + [repr(float(n)) for n in (np.reshape(outline, (-1, 2)) / (width, height)).ravel()]
            )
            for class_name, outlines in OBJECTS[name]
            for outline in outlines
        ]
        if lines:
            (folder / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text(
        "path: .\ntrain: images\nval: images\nnames: [cell, debris]\n"
    )
    return folder


def voc(folder):
    """`JPEGImages/` and palette masks in `SegmentationClass/`, with CVAT's `labelmap.txt`."""
    save_images(folder / "JPEGImages")
    (folder / "SegmentationClass").mkdir()
    for name in SIZES:
        mask = Image.fromarray(label_map(name))
        mask.putpalette(np.array(voc_colours(256), "uint8").tobytes())
        mask.save(folder / "SegmentationClass" / f"{name}.png")
    colours = voc_colours(len(NAMES))
    lines = ["{}:{},{},{}::".format(name, *colour) for name, colour in zip(NAMES, colours)]
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))
    return folder


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def contents(folder):
    """{path below the folder: bytes} of all files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
