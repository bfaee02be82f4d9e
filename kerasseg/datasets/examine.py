"""All that is known of one image and its mask, from decoding each file once.

`load`, `check_dataset` and the class weights of a training all use `examine`.
"""

import functools
import operator
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from kerasseg.datasets import faults, files
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.masks import check_palettes, near_binary, recognise
from kerasseg.datasets.measures import (
    ImageMeasurer,
    ImageMeasures,
    LabelMeasurer,
    LabelMeasures,
    measure_image,
    measure_labels,
)
from kerasseg.datasets.pairs import paths_of
from kerasseg.datasets.values import spoken

DARK = 1 / 8  # of white; 12 bits in files of 16 reach half of it
ROUNDING = 1e-5  # by which a resized image may leave [0, 1]


@dataclass
class Examined:
    """What is known of an image and its mask.

    Attributes:
        image_path: The file, or the place in a batch or data set.
        label_paths: The same of its mask; of each of its masks, one per label, if it has several.
        image: `ImageMeasures`, `None` if the image cannot be read.
        labels: `LabelMeasures` of each mask, `None` for one that cannot be read.
        palettes: {index: (red, green, blue)} of each mask, empty without a palette.
        plain_bytes: The sizes of the files if TensorFlow can read them, else -1.
        findings: What is wrong, whatever the values in the mask mean.
        kept: What `keep` made of the decoded image and masks; `None` for nothing.
    """

    image_path: object
    label_paths: tuple
    image: ImageMeasures | None = None
    labels: list[LabelMeasures | None] = field(default_factory=list)
    palettes: list[dict] = field(default_factory=list)
    plain_bytes: tuple = ()
    findings: list = field(default_factory=list)
    kept: object = None

    @property
    def size(self):
        return self.image.size

    @property
    def errors(self):
        return [finding for finding in self.findings if finding.severity == "error"]


def examine(pair, colours=None, keep=None):
    """Looks at an image file and its mask file, and decodes each once.

    Args:
        pair: `(image path, mask path)`; a tuple of mask paths, one per label, for a multi-label
            folder.
        colours: (red, green, blue) of each class, by which palette masks are read.
        keep: A function of the image, uint8 (height, width, 3), and the values of its masks, as
            `files.values_of` gives them: what it returns is kept. Pairs with errors are left out.

    Returns:
        An `Examined`: sizes, pixels of each value, palette and findings. A damaged file is a
        finding, not an error.
    """
    image_path, masks = pair[0], paths_of(pair[1])
    result = Examined(image_path, masks)
    plain, turned, decoded = [], {}, []  # decoded: the masks, if `keep` asks for them
    try:
        info, result.image, hidden, image = examine_image(image_path, keep is not None)
        turned[image_path] = info["orientation"]
        plain.append(info["plain"])
        result.findings += findings_of_image_file(info, image_path, result.image, hidden)
    except Unusable as error:
        result.findings.append(error.finding)
    for path in masks:
        labels, palette = None, {}
        try:
            info, labels, palette, values = examine_mask(path, colours, keep is not None)
            turned[path] = info["orientation"]
            plain.append(info["plain"])
            decoded.append(values)
            if info["lossy"]:
                result.findings += findings_of_lossy_file(path, labels)
        except Unusable as error:
            result.findings.append(error.finding)
        result.labels.append(labels)
        result.palettes.append(palette)
    paths = (image_path, *masks)
    simple = len(plain) == len(paths) and all(plain)
    result.plain_bytes = tuple(os.path.getsize(path) if simple else -1 for path in paths)
    result.findings += findings_of_measures(result, turned)
    if keep is not None and not result.errors:
        result.kept = keep(image, *decoded)
    return result


def examine_image(path, keep=False):
    """`(info, ImageMeasures, pixels that are not opaque, the image)` of a file.

    The image is `None` unless it is to be kept. A large one is looked at in bands of rows, which
    takes little memory.
    """
    measurer, hidden, kept = ImageMeasurer(), 0, []
    for part in files.parts(path):
        pixels = files.pixels_of(part, path)
        measurer.add(pixels)
        hidden += files.hidden_pixels(part)
        kept += [pixels] if keep else []
    measures = measurer.result(part.info.get("sideways", False))
    return part.info, measures, hidden, joined(kept)


def examine_mask(path, colours=None, keep=False):
    """`(info, LabelMeasures, palette, the values)` of a file.

    The values are `None` unless they are to be kept. Of a large mask, which is looked at in bands
    of rows, a first pass finds the `Traits`, without which no band can be read.
    """
    traits = None
    if files.is_large(path):
        traits = functools.reduce(operator.or_, map(files.traits_of, files.parts(path)))
    measurer, kept = LabelMeasurer(), []
    for part in files.parts(path):
        traits = traits or files.traits_of(part)
        picture = files.by_colours(part, colours, traits)
        palette = files.palette_of(picture, traits)
        in_floats = picture.mode == "F"
        values = np.asarray(picture) if in_floats else files.values_of(picture, path, traits)
        measurer.add(values)
        kept += [values] if keep else []
    info = {**part.info, "plain": part.info["plain"] and picture.mode == "L"}
    return info, measurer.result(part.info.get("sideways", False)), palette, joined(kept)


def joined(bands):
    """Bands of rows as one array; `None` of none."""
    return np.concatenate(bands) if len(bands) > 1 else bands[0] if bands else None


def examine_arrays(image, labels, path, label_path=None):
    """The `Examined` of arrays, `None` for what is missing; labels may be a list of several."""
    labels = labels if isinstance(labels, list) else [] if labels is None else [labels]
    result = Examined(path, (label_path or path,) * len(labels))
    result.image = None if image is None else measure_image(image)
    result.labels = [measure_labels(each) for each in labels]
    result.findings += findings_of_measures(result)
    return result


def examine_all(pairs, colours=None, progress=lambda items: items, keep=None):
    """{pair: its `Examined`}, several at a time."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        examined = progress(pool.map(partial(examine, colours=colours, keep=keep), pairs))
        return dict(zip(pairs, examined))


def masks_of(folder, examined):
    """The `Masks` of a folder, from all its pairs that can be read.

    The masks of a multi-label folder hold 0 and 1, or 0 and 255; whatever its labels are called,
    they are read as those of a folder without a list of classes.

    Raises:
        Unusable: values that mean nothing, or more than one thing; palettes that disagree.
    """
    maps, palettes = {}, {}
    for each in examined:
        if not each.errors:
            for path, labels, palette in zip(each.label_paths, each.labels, each.palettes):
                if not labels.fractions:
                    maps[path] = labels.values
                    palettes[path] = palette
    if not maps:
        return None
    if not folder.multi_label:
        check_palettes(folder, palettes)
        return recognise(folder, maps)
    masks = recognise(replace(folder, class_names=None, colours=None, masks=None), maps)
    if masks.num_classes != 2 or masks.kind == "ids from 1":
        values = spoken(set().union(*maps.values()))
        words = f"the masks of labels hold neither 0 and 1 nor 0 and 255. Found: {values}"
        remedy = "Save each as 0 and 255; void, if there is any, as 255 among masks of 0 and 1."
        raise Unusable(faults.UNKNOWN.found(None, words, remedy), folder.path)
    return masks


def findings_of_image_file(info, path, image, hidden):
    """What an image file says besides its colours.

    Args:
        info: That of the decoded image.
        path: The file.
        image: Its `ImageMeasures`.
        hidden: How many of its pixels are not opaque.
    """
    findings = []
    if info["sixteen_bits"] and image.high.max() < DARK:
        words = f"its 16 bits hold no value above {image.high.max():.1%} of white"
        findings.append(faults.DARK.found(path, words))
    if hidden:
        share = hidden / (image.size[0] * image.size[1])
        words = f"has an alpha channel in which {share:.1%} of the pixels are not opaque"
        findings.append(faults.ALPHA.found(path, words))
    return findings


def findings_of_lossy_file(path, labels):
    """JPEG and lossy WebP change ids along edges, often to ids of other classes."""
    if len(labels.values) == 1 or labels.values.keys() <= {0, 255}:
        return []
    words = "is compressed with losses, which change ids along every edge"
    remedy = None
    if near_binary(labels.values, lossy=True):
        words = "was a mask of 0 and 255, and JPEG has put values in between"
        remedy = faults.THRESHOLD
    return [faults.INTERPOLATED.found(path, words, remedy)]


def findings_of_measures(examined, turned=None):
    """What the measures of an image and of its masks say about it."""
    findings, image, path = [], examined.image, examined.image_path
    if image is not None:
        low, high = image.low.min(), image.high.max()
        if not np.isfinite([low, high]).all():
            findings.append(faults.OUTSIDE_UNIT.found(path, "holds NaN or infinite values"))
        elif low < -ROUNDING or high > 1 + ROUNDING:
            words = f"holds values from {low:.4g} to {high:.4g}"
            findings.append(faults.OUTSIDE_UNIT.found(path, words))
        if (image.low == image.high).all():
            colour = ", ".join(f"{value:.3g}" for value in image.low)
            findings.append(faults.CONSTANT.found(path, f"every pixel is ({colour})"))
    for label_path, labels in zip(examined.label_paths, examined.labels):
        if labels is None:
            continue
        if labels.in_floats and not labels.fractions:
            words = "holds whole numbers stored as floats"
            findings.append(faults.FLOAT_LABELS.found(label_path, words))
        if image is not None and labels.size not in ((), image.size):
            findings.append(different_size(path, image.size, label_path, labels.size))
        elif image is not None and turned and turned[path] != turned[label_path]:
            words = (
                f"has the EXIF orientation {turned[path]}, and its mask has {turned[label_path]}; "
                "their sizes do not tell whether they fit"
            )
            findings.append(faults.TURNED.found(path, words))
    return findings


def different_size(path, image_size, label_path, size):
    """The `Finding` about a mask of another size than its image."""
    image = f"but its image {path} is" if path != label_path else "its image"
    words = (
        f"is {size[0]}x{size[1]} pixels (height x width), {image} {image_size[0]}x{image_size[1]}"
    )
    remedy = None
    if size == image_size[::-1]:
        words += "; was the mask made before the image's EXIF tag turned it?"
        remedy = f"If so, copy the tag to the mask, {faults.COPY_TAG}; else find the right partner."
    return faults.SIZES.found(label_path, words, remedy)
