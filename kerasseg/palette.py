"""The colours of classes, digits and curves: one of each for the whole package.

All can be told apart without the red or the green cones of the eye (protanopia, deuteranopia), as
about one man in fifty is; `tests/test_palette.py` simulates both.
"""

import numpy as np

# Cityscapes' colours (Cordts et al. 2016), which the field knows. Those of wall, fence, traffic
# light, person, bus and train are moved, by 3 to 12 units of CIELAB, away from their neighbours.
CLASSES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (75, 96, 168),
    "fence": (201, 159, 143),
    "pole": (153, 153, 153),
    "traffic light": (242, 161, 23),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (225, 36, 77),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (4, 53, 91),
    "train": (0, 71, 89),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
# What other data sets call the same classes.
SYNONYMS = {
    "pavement": "sidewalk",
    "tree": "vegetation",
    "sign": "traffic sign",
    "pedestrian": "person",
    "bicyclist": "rider",
}
DIGITS = (
    (22, 117, 178),
    (255, 128, 8),
    (44, 162, 62),
    (213, 37, 39),
    (167, 124, 221),
    (139, 87, 76),
    (230, 119, 192),
    (125, 128, 129),
    (203, 205, 61),
    (15, 196, 219),
)
# Of curves, bars and highlighted cells, in this order (Okabe and Ito, "Color Universal Design").
CURVES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


def class_colours(names):
    """The colours of street classes, the same whatever data set they are from.

    Args:
        names: Names of classes as in Cityscapes, CamVid or `street_scenes`.

    Returns:
        uint8 array `(classes, 3)` of red, green, blue.

    Raises:
        ValueError: a name that has no colour here.

    Example:

    >>> print(class_colours(["road", "tree"]))
    [[128  64 128]
     [107 142  35]]
    """
    unknown = [name for name in names if SYNONYMS.get(name, name) not in CLASSES]
    if unknown:
        raise ValueError(
            f"`names` must be street classes, of {[*CLASSES, *SYNONYMS]}. Received: {unknown}"
        )
    return np.array([CLASSES[SYNONYMS.get(name, name)] for name in names], "uint8")
