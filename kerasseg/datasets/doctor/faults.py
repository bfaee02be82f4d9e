"""Everything that the doctor knows to be wrong, and the remedies."""

from typing import NamedTuple

MOST_VOID = 0.3  # share of a split's pixels


class Fault(NamedTuple):
    """A kind of finding: an "error" spoils a training or its score, a "warning" may."""

    severity: str
    title: str
    remedy: str


UNREADABLE = Fault(
    "error",
    "unreadable files",
    "get the file from its source again, or remove it together with its partner.",
)
NO_MASK = Fault("error", "images without a mask", "add the mask, or remove the image.")
NO_IMAGE = Fault("error", "masks without an image", "add the image, or remove the mask.")
NO_PICTURE = Fault("warning", "files that are no pictures", "move them away, or save them as PNG.")
NOT_LISTED = Fault(
    "warning",
    "images that no list names",
    "add them and their masks to the list of their split, or move them away.",
)
SHAPES = Fault(
    "error",
    "arrays of the wrong shape",
    "images are (batch, height, width, channels), label maps (batch, height, width).",
)
SIZES = Fault(
    "error",
    "image and mask of different size",
    "resize the mask by nearest neighbour to the size of its image, or find the right partner.",
)
ONE_HOT = Fault(
    "error",
    "one-hot labels",
    "the losses here are sparse, they take one id a pixel: `labels.argmax` over the channels.",
)
NO_IDS = Fault(
    "error", "masks that hold no ids", "save masks as 8-bit PNG, a class id or a colour a pixel."
)
UNKNOWN = Fault(
    "error",
    "values that nothing explains",
    "tell the classes in classes.txt, a line each: `name`, or for masks of colours "
    "`name red green blue`.",
)
OUTSIDE = Fault(
    "error",
    "values outside the classes",
    "mend the masks, or count the classes again: ids run from 0 to num_classes - 1.",
)
INTERPOLATED = Fault(
    "error",
    "interpolated masks",
    "resize and rotate masks by nearest neighbour alone, and save them as PNG, never as JPEG.",
)
DIVIDED = Fault(
    "error",
    "ids divided by 255",
    "label maps are no images: leave them as integers, or undo it, `(labels * 255).round()`.",
)
SOFT = Fault(
    "warning",
    "masks that look interpolated",
    "if a class is a line one pixel wide, all is well; else make the masks anew, resized by "
    "nearest neighbour and saved as PNG.",
)
ZERO_255 = Fault(
    "error",
    "masks of 0 and 255",
    "255 is void, so the foreground is never learnt: pass `labels // 255`. If 255 is void here, "
    "the batch shows background alone: take one that has both classes.",
)
ZERO_255_FILES = Fault(
    "warning",
    "masks of 0 and 255",
    "save the foreground as 1, which leaves no doubt; 255 is kept for void.",
)
FLOAT_LABELS = Fault(
    "warning", "float labels", "store ids as integers: `labels.astype('uint8')`, 8-bit PNG."
)
OUTSIDE_UNIT = Fault(
    "error",
    "image values outside [0, 1]",
    "divide 8-bit images by 255; bring images in [-1, 1] back by `(images + 1) / 2`, standardised "
    "ones by `images * std + mean`; look for the division by zero behind a NaN.",
)
DARK = Fault(
    "warning",
    "nearly black images of 16 bits",
    "cameras of 10 or 12 bits leave the upper bits of 16 empty: multiply the values by 64 or 16.",
)
CONSTANT = Fault("warning", "constant images", "one colour teaches nothing: look at the picture.")
TWO_SPLITS = Fault(
    "error",
    "the same picture in two splits",
    "a score on pictures that were trained on is too good: keep each in one split alone.",
)
NEVER = Fault(
    "warning",
    "classes that never occur",
    "they cannot be learnt: add pictures of them, or take them off the list of classes.",
)
MUCH_VOID = Fault(
    "warning",
    f"a void share above {MOST_VOID:.0%}",
    "void pixels teach nothing: label more of them, or see whether void stands for a class.",
)
