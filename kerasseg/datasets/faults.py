"""All known faults of images and masks, each with one title and one remedy.

`load` raises the first finding that makes a pair unusable, `check_dataset` prints all findings, and
`check_batch` raises those of a batch. What was found in a file is said where it is found.
"""

from pathlib import Path
from typing import NamedTuple

MOST_VOID = 0.3  # share of a split's pixels


class Finding(NamedTuple):
    """A single fault that was found: what, where, and what to do.

    Attributes:
        severity: "error" if it makes a training or its score useless, "warning" if it may.
        title: Its kind, in words.
        remedy: What to do.
        message: What was found, as a sentence that follows the name of the file.
        path: The file, or the place in a batch or data set; `None` if it is about all of it.
    """

    severity: str
    title: str
    remedy: str
    message: str
    path: Path | str | None = None

    def __str__(self):
        place = "" if self.path is None else f"{self.path} "
        end = "" if self.message.endswith("?") else "."
        return f"{place}{self.message}{end} {self.remedy}"


class Fault(NamedTuple):
    """A kind of finding; a case may have a remedy of its own."""

    severity: str
    title: str
    remedy: str

    def found(self, path, message, remedy=None):
        return Finding(self.severity, self.title, remedy or self.remedy, message, path)


class Unusable(ValueError):
    """A `finding` that is raised: a file or a folder that cannot be used."""

    def __init__(self, finding, place=None, more=""):
        super().__init__((f"{place}: " if place else "") + str(finding) + more)
        self.finding = finding


UNREADABLE = Fault(
    "error",
    "unreadable files",
    "Get the file from its source again, or remove it together with its partner.",
)
NO_MASK = Fault("error", "images without a mask", "Add the mask, or remove the image.")
NO_IMAGE = Fault("error", "masks without an image", "Add the image, or remove the mask.")
NO_PICTURE = Fault("warning", "files that are not images", "Move them away, or save them as PNG.")
NOT_LISTED = Fault(
    "warning",
    "images that no list names",
    "Add them and their masks to the list of their split, or move them away.",
)
SHAPES = Fault(
    "error",
    "arrays of the wrong shape",
    "Images are (batch, height, width, channels), label maps (batch, height, width).",
)
SIZES = Fault(
    "error",
    "image and mask of different size",
    "Resize the mask by nearest neighbour to the size of its image, or find the right partner.",
)
COPY_TAG = "`Image.open(mask).save(mask, exif=Image.open(image).getexif())`"
TURNED = Fault(
    "warning",
    "images that their EXIF tag turns, and their masks not",
    "Look at both: if the mask was drawn on the turned image, all is well; if not, copy the tag to "
    f"the mask, {COPY_TAG}, or save the image without it.",
)
ALPHA = Fault(
    "warning",
    "images with transparent pixels",
    "The colours under them are read: save the image without the channel, as you want it seen.",
)
ONE_HOT = Fault(
    "error",
    "one-hot labels",
    "The losses here are sparse, they take one id a pixel: `labels.argmax(-1)`.",
)
NO_IDS = Fault(
    "error", "masks that hold no ids", "Save masks as 8-bit PNG, a class id or a colour a pixel."
)
UNKNOWN = Fault(
    "error",
    "values that nothing explains",
    "Name all classes in classes.txt, one a line in the order of the ids, also those that never "
    "occur; if every value is a class of its own, with its colour: `name red green blue`.",
)
OUTSIDE = Fault(
    "error",
    "values outside the classes",
    "Correct the masks, or the list of the classes: ids run from 0, one for each class.",
)
INTERPOLATED = Fault(
    "error",
    "interpolated masks",
    "Resize and rotate masks by nearest neighbour alone, and save them as PNG, never as JPEG.",
)
THRESHOLD = (  # the remedy for interpolated masks of 0 and 255
    "Set a threshold and save them as PNG: `Image.fromarray(np.asarray(Image.open(path).convert("
    "'L')) > 127).save(path.with_suffix('.png'))`, and remove the old file."
)
DIVIDED = Fault(
    "error",
    "ids divided by 255",
    "Label maps are no images: leave them as integers, or undo it, `(labels * 255).round()`.",
)
SOFT = Fault(
    "warning",
    "masks that look interpolated",
    "If a class is a line one pixel wide, all is well; else make the masks again, resized by "
    "nearest neighbour and saved as PNG.",
)
ZERO_255 = Fault(
    "error",
    "masks of 0 and 255",
    "255 is void, so the foreground is never learnt: pass `labels // 255`. If 255 is void here, "
    "the batch shows background alone: take one that has both classes.",
)
FLOAT_LABELS = Fault(
    "warning", "float labels", "Store ids as integers: `labels.astype('uint8')`, 8-bit PNG."
)
OUTSIDE_UNIT = Fault(
    "error",
    "image values outside [0, 1]",
    "Divide 8-bit images by 255; bring images in [-1, 1] back by `(images + 1) / 2`, standardised "
    "ones by `images * std + mean`; look for the division by zero behind a NaN.",
)
DARK = Fault(
    "warning",
    "nearly black images of 16 bits",
    "Cameras of 10 or 12 bits leave the upper bits of 16 empty: multiply the values by 64 or 16.",
)
CONSTANT = Fault("warning", "constant images", "One colour teaches nothing: look at the image.")
TWO_SPLITS = Fault(
    "error",
    "the same image in two splits",
    "A score on images that were trained on is too good: keep each in one split alone.",
)
NEVER = Fault(
    "warning",
    "classes that never occur",
    "They cannot be learnt: add images of them, or take them off the list of classes.",
)
MUCH_VOID = Fault(
    "warning",
    f"a void share above {MOST_VOID:.0%}",
    "Void pixels teach nothing: label more of them, or see whether void stands for a class.",
)
WRONG_ANNOTATIONS = Fault(
    "error", "annotations that cannot be read", "Export them again with the tool that made them."
)
NO_ANNOTATED_IMAGE = Fault(
    "error",
    "annotations without an image",
    "Name the folder that holds the images, --images, or leave them out with --skip-damaged.",
)
NOT_ANNOTATED = Fault(
    "warning",
    "files without a partner",
    "Annotate the images, or move these files away.",
)
DRAWN_SIZE = Fault(
    "error",
    "annotations made at another size",
    "Find the images as they were annotated: outlines in pixels do not fit resized ones.",
)
OVERLAPS = Fault(
    "warning",
    "objects of different classes that overlap",
    "The smaller one is on top. If that is wrong, correct the outlines.",
)
BEYOND = Fault(
    "warning",
    "objects that reach outside the image",
    "What lies outside is cut off. If much does, see whether the annotations are of this image.",
)
UNKNOWN_NAMES = Fault(
    "warning",
    "names that are not on the list of classes",
    "The pixels of these objects are void (255). Correct the names, or add them to the list.",
)
NO_AREA = Fault(
    "warning", "objects without an area", "They are left out: only areas can be in a label map."
)
BOXES = Fault(
    "warning",
    "boxes in place of outlines",
    "What is in the box is void (255): draw the outline, or train a detector.",
)
