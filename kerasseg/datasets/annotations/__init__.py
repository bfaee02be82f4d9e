"""Annotations of other tools: outlines and masks of objects, read into a folder of label maps.

`coco.py`, `labelme.py`, `yolo.py` and `voc.py` each know one format and nothing of the others: they
turn files into `AnnotatedImage`s. `drawing.py` makes label maps of these, and `conversion.py`
writes the folder that `load("folder")` reads. `coco_writer.py` goes back.
"""

from kerasseg.requirements import on_first_use

ATTRIBUTES = {
    "FORMATS": "kerasseg.datasets.annotations.conversion",
    "CocoWriter": "kerasseg.datasets.annotations.coco_writer",
    "convert": "kerasseg.datasets.annotations.conversion",
}
__all__ = [*ATTRIBUTES]

__getattr__ = on_first_use(__name__, ATTRIBUTES)


def __dir__():
    return sorted(__all__)
