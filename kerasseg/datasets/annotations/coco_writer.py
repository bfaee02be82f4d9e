"""Label maps as COCO's JSON, which annotation tools read, so that predictions can be corrected."""

import json

import numpy as np

from kerasseg.datasets.annotations.conversion import is_background
from kerasseg.requirements import require

TOLERANCE = 0.45  # pixels by which an outline may be simplified; at 0.5 it loses straight edges


class CocoWriter:
    """Collects the objects of label maps, and writes them as polygons.

    An object is what hangs together of a class, by pixels that share a side. Its outline runs at
    most one pixel beside its border. A hole is a part of the outline, to which a line leads that is
    run in both directions. `convert` reads the file back; label maps of classes without a
    background have narrow gaps between their outlines, which `unlabelled="void"` makes void.

    Args:
        class_names: Of the ids. A class called background has no objects.
        multi_label: Whether label maps have a channel of 0 and 1 for each name.

    Example: a hook of three pixels.

    >>> writer = CocoWriter(("background", "cell"))
    >>> writer.add("a.png", np.array([[0, 1, 1], [0, 1, 0]]))
    >>> content = json.loads(writer.text())
    >>> [(row["bbox"], row["area"]) for row in content["annotations"]]
    [([1, 0, 2, 2], 3)]
    """

    def __init__(self, class_names, multi_label=False):
        self.multi_label = multi_label
        self.ids = [i for i, name in enumerate(class_names) if not is_background(name)]
        self.categories = [{"id": i + 1, "name": class_names[i]} for i in self.ids]
        self.images, self.annotations = [], []

    def add(self, file_name, labels):
        """Adds an image's label map.

        Args:
            file_name: Of the image.
            labels: Ids, (height, width); or (height, width, labels) of 0 and 1.

        Raises:
            ModuleNotFoundError: SciPy or scikit-image is not installed.
        """
        labels = np.asarray(labels)
        height, width = labels.shape[:2]
        image_id = len(self.images) + 1
        row = {"id": image_id, "file_name": file_name, "width": width, "height": height}
        self.images.append(row)
        for i in self.ids:
            for mask, (top, left) in parts_of(labels[..., i] if self.multi_label else labels == i):
                outline = outline_of(mask) + np.array([left, top])
                self.annotations.append(
                    {
                        "id": len(self.annotations) + 1,
                        "image_id": image_id,
                        "category_id": i + 1,
                        "segmentation": [outline.round(2).ravel().tolist()],
                        "area": int(mask.sum()),
                        "bbox": [left, top, mask.shape[1], mask.shape[0]],
                        "iscrowd": 0,
                    }
                )

    def text(self):
        """The JSON text."""
        keys = ("images", "categories", "annotations")
        return json.dumps({key: getattr(self, key) for key in keys})


def parts_of(mask):
    """`(pixels, (row, column) of its first one)` of each connected part of a mask."""
    ndimage = require("scipy.ndimage")
    numbers, _ = ndimage.label(mask)
    for i, place in enumerate(ndimage.find_objects(numbers), start=1):
        yield numbers[place] == i, tuple(int(part.start) for part in place)


def outline_of(mask):
    """The outline, float array (points, 2) of x and y, of the one object in a mask.

    Example:

    >>> sorted(outline_of(np.ones((1, 1), bool)).tolist())
    [[0.0, 0.5], [0.5, 0.0], [0.5, 1.0], [1.0, 0.5]]
    """
    measure = require("skimage.measure")
    rings = measure.find_contours(np.pad(mask, 1).astype("float32"), 0.5)
    rings = [simplified(ring - 0.5, measure) for ring in rings]
    rings.sort(key=lambda ring: -np.prod(np.ptp(ring, axis=0)))  # the others are holes in the first
    outline = rings[0]
    for hole in rings[1:]:
        outline = joined(outline, hole)
    return outline[:, ::-1]


def simplified(ring, measure):
    """A closed ring, (points, 2), with fewer points and without the last, which is the first."""
    fewer = measure.approximate_polygon(ring, TOLERANCE)
    return (fewer if len(fewer) > 3 else ring)[:-1]


def joined(outline, hole):
    """One ring that runs from the outline to a hole, around it, and back, at their nearest points.

    Example:

    >>> joined(np.array([[0, 0], [0, 9], [9, 0]]), np.array([[1, 2], [2, 1]])).tolist()
    [[0, 0], [1, 2], [2, 1], [1, 2], [0, 0], [0, 9], [9, 0]]
    """
    distances = np.square(outline[:, None] - hole[None]).sum(-1)
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    around = np.roll(hole, -j, axis=0)
    return np.concatenate([outline[: i + 1], around, around[:1], outline[i:]])
