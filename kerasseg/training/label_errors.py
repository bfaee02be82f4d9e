"""Regions where a confident model and the label disagree: where a label may be wrong.

A model that has seen thousands of right labels does not learn the few wrong ones by heart, unless
it trains for very long. Where it is sure and the label says otherwise, the label deserves a look.
Northcutt, Jiang and Chuang, "Confident Learning", 2021, rank whole images like this; here regions
of label maps are ranked.
"""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from kerasseg.anatomy.outputs import to_classes, to_probabilities
from kerasseg.datasets.doctor.dataset import file_name, progress
from kerasseg.datasets.doctor.report import relative
from kerasseg.datasets.files import opened
from kerasseg.figures import tinted, unit_range
from kerasseg.inference.prediction import predictor
from kerasseg.requirements import require
from kerasseg.training.evaluation import check_output
from kerasseg.training.files import as_json, write_whole
from kerasseg.training.selection import with_source

__all__ = ["Region", "find_label_errors", "save_label_errors"]

LEAST_MARGIN = 0.25  # by which the predicted class is likelier than the labelled one
THINNEST = 0.01  # of the diagonal: contours are never exact, so thinner regions are left out
PER_MAP = 5  # regions of a label map that are kept
DISCOUNT = 0.5  # for each stronger region of the same image
CONTEXT = 0.5  # of a region's height and width, shown on either side of it
OUTLINE = (255, 0, 255)
ORIENTATION, TURNED = 0x0112, 5  # EXIF's tag, and from which value on rows are columns


@dataclasses.dataclass
class Region:
    """A region in which model and label disagree.

    Attributes:
        split: "train", "validation" or "test".
        file: The path of the image; of a set without files, its number in the split.
        label: Which of several labels it is about; 0 if there are no labels.
        box: (top, left, bottom, right) of the region, in pixels of the image file; the last two are
            the first row and column outside.
        shape: (height, width) of the image to which the box refers.
        margins: {(labelled id, predicted id): by how much the prediction is likelier, summed over
            the region's pixels and divided by the number of the image's}.
        confidence: The mean probability of what is predicted.
        share: Of the image's pixels.
        image, truth, prediction: The region and what surrounds it, uint8 (height, width, 3); label
            maps in the colours of the classes, and the region outlined in the image.
        score: By which regions are ranked; it has no unit.
        labelled, predicted: The names of the classes of most of its pixels.
    """

    split: str
    file: str
    label: int
    box: tuple
    shape: tuple
    margins: dict
    confidence: float
    share: float
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    score: float = 0.0
    labelled: str = ""
    predicted: str = ""

    @property
    def margin(self):
        return sum(self.margins.values())


def find_label_errors(model, data, limit=40):
    """The regions of a data set where a model and the labels disagree most, strongest first.

    A region is a connected set of pixels in which another class than that of the label is likelier
    by a quarter at least. What is thinner than a hundredth of the diagonal is left out, since
    contours are never exact. A region is ranked by the sum of these margins, each weighted by how
    rare it is in the whole set that this class is taken for that one: what a model confuses
    everywhere is its own fault. The second region of an image counts half, its third a quarter, so
    that one wrong mask does not fill the list.

    Void pixels count nowhere. Of several labels, each is a map of its own. No image is augmented.

    Args:
        model: A `keras.Model`, as `evaluate` takes it.
        data: A `kerasseg.datasets.Dataset` of label maps; all of its splits are looked at.
        limit: How many regions to return at most.

    Returns:
        `(regions, images)`: a list of `Region`s, and how many images were looked at.

    Raises:
        ValueError: if the model has another number or another kind of classes.
        ModuleNotFoundError: without SciPy, with the command that installs it.

    Example:

    >>> regions, images = find_label_errors(model, data)  # doctest: +SKIP
    >>> regions[0].file, regions[0].labelled, regions[0].predicted  # doctest: +SKIP
    ('train/0006R0_f02340.png', 'road', 'pavement')
    """
    require("scipy")
    predict, meaning = predictor(model, data.multi_label)
    check_output(meaning, data)
    regions, images = [], 0
    margins = {}  # by (label, labelled id, predicted id), summed over all images
    for where, image, truth, scores in examples(data, predict):
        images += 1
        probabilities = to_probabilities(scores, meaning)
        pictures = (image, truth, to_classes(probabilities, meaning))
        for label, ids, of_classes in maps_of(truth, probabilities, meaning):
            found = regions_of(ids, of_classes, data, pictures, (*where, label))
            for (i, j), margin in (item for region in found for item in region.margins.items()):
                margins[label, i, j] = margins.get((label, i, j), 0) + margin
            regions += sorted(found, key=by_margin)[:PER_MAP]
        if len(regions) > 20 * limit:  # what they show would fill the memory
            regions = sorted(regions, key=by_margin)[: 10 * limit]
    rarity = {key: -np.log(total / images) for key, total in margins.items()}
    regions = ranked(regions, rarity)[:limit]
    for region in regions:
        names = data.class_names
        if data.multi_label:
            names = (f"no {names[region.label]}", names[region.label])
        most = max(region.margins, key=region.margins.get)
        region.labelled, region.predicted = (names[i] for i in most)
        scale_to_file(region)
    return regions, images


def examples(data, predict):
    """Yields ((split, file), image, labels, scores) for each image of all splits."""
    seen = []
    for split, records in data.source.splits.items():
        if any(records is other for other in seen):  # one split may have two names
            continue
        seen.append(records)
        splits = {**data.source.splits, "validation": records}
        batches = with_source(data, splits=splits).validation.as_numpy_iterator()
        numbers = iter(progress(range(len(records)), split))
        files = map(path_in, records)
        for images, labels in batches:
            for image, truth, scores in zip(images, labels, predict(images)):
                number, file = next(numbers), next(files)
                yield (split, file or str(number)), image, truth, scores
        next(numbers, None)  # ends the progress bar


def path_in(record):
    """The path in a record of files; nothing in a record of pixels."""
    file = file_name(record)
    return file.numpy().decode("utf-8", "surrogateescape") if len(str(file)) else ""


def maps_of(truth, probabilities, meaning):
    """Yields (label, ids, class probabilities) of each label, or of the only map."""
    if meaning.labels == "classes":
        yield 0, truth, probabilities
        return
    truths = truth if meaning.labels == "multilabel" else truth[..., None]
    for label in range(truths.shape[-1]):
        yes = probabilities[..., label]
        yield label, truths[..., label], np.stack([1 - yes, yes], axis=-1)


def by_margin(region):
    return -region.margin


def regions_of(ids, probabilities, data, pictures, where):
    """The `Region`s of one map of ids, in pixels of that map."""
    from scipy import ndimage

    counted = ids != data.ignore_class
    ids, predicted = np.where(counted, ids, 0), probabilities.argmax(-1)
    confidence = probabilities.max(-1)
    of_label = np.take_along_axis(probabilities, ids[..., None], -1)[..., 0]
    margin = np.where(counted, confidence - of_label, 0)
    side = 2 * max(1, round(THINNEST * np.hypot(*ids.shape) / 2)) + 1
    sure = ndimage.binary_opening(margin >= LEAST_MARGIN, np.ones((side, side)))
    numbered, _ = ndimage.label(sure, np.ones((3, 3)))
    split, file, label = where
    found = []
    for number, place in enumerate(ndimage.find_objects(numbered), start=1):
        mask = numbered[place] == number
        pairs = ids[place][mask] * probabilities.shape[-1] + predicted[place][mask]
        sums = np.bincount(pairs, margin[place][mask])
        margins = {
            divmod(int(pair), probabilities.shape[-1]): sums[pair] / ids.size
            for pair in np.unique(pairs)
        }
        around = surroundings(place, ids.shape)
        found.append(
            Region(
                *(split, file, label),
                (*(side.start for side in place), *(side.stop for side in place)),
                ids.shape,
                margins,
                float(confidence[place][mask].mean()),
                float(mask.sum() / ids.size),
                *shown(pictures, around, numbered[around] == number, data),
            )
        )
    return found


def surroundings(place, shape):
    """The slices of a region and of what is shown around it."""
    slices = []
    for side, length in zip(place, shape):
        more = int(np.ceil(max(CONTEXT * (side.stop - side.start), 0.05 * length)))
        slices.append(slice(max(0, side.start - more), min(length, side.stop + more)))
    return tuple(slices)


def shown(pictures, around, mask, data):
    """uint8 arrays of the image, with the region outlined, and of its two label maps."""
    image, truth, prediction = (picture[around] for picture in pictures)
    truth = truth.reshape(prediction.shape)  # it may have a channel axis of one
    void = (truth == data.ignore_class)[None]
    maps = [tinted(labels[None], void, data.colours)[0] for labels in (truth, prediction)]
    image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    image, *maps = (
        np.rint(255 * np.clip(x, 0, 1)).astype("uint8") for x in (unit_range(image), *maps)
    )
    return outlined(image, mask), *maps


def outlined(image, mask):
    """An image in which the pixels just outside a mask are coloured."""
    from scipy import ndimage

    image = image.copy()
    image[ndimage.binary_dilation(mask, np.ones((3, 3))) & ~mask] = OUTLINE
    return image


def ranked(regions, rarity):
    """Regions with their scores, the highest first; further ones of one image are discounted."""
    for region in regions:
        weighted = (x * rarity[region.label, i, j] for (i, j), x in region.margins.items())
        region.score = float(sum(weighted))
    earlier = {}
    for region in sorted(regions, key=lambda region: -region.score):
        image = region.split, region.file
        region.score *= DISCOUNT ** earlier.get(image, 0)
        earlier[image] = earlier.get(image, 0) + 1
    return sorted(regions, key=lambda region: -region.score)


def scale_to_file(region):
    """Brings a region's box to the size of the image file, which may be larger or smaller."""
    if not Path(region.file).is_file():
        return
    with opened(region.file) as picture:
        width, height = picture.size
        turned = picture.getexif().get(ORIENTATION, 1) >= TURNED
    size = (width, height) if turned else (height, width)
    scales = [new / old for new, old in zip(size, region.shape)] * 2
    starts, ends = region.box[:2], region.box[2:]
    region.box = (
        *(int(np.floor(scale * at)) for scale, at in zip(scales, starts)),
        *(int(np.ceil(scale * at)) for scale, at in zip(scales, ends)),
    )
    region.shape = size


def save_label_errors(folder, regions, images, data, root=None):
    """Writes the images of the regions, `pictures/suspect….png`.

    Args:
        folder: A `pathlib.Path`.
        regions, images: What `find_label_errors` returned.
        data: The data set, for the names and colours of its classes.
        root: The folder from which the paths of the images are shown, if they lie in it.

    Returns:
        What `write_report` shows, a dict of what JSON can hold: "images", how many were looked at;
        "regions", a list of {"split", "file", "box", "labelled", "predicted", "confidence",
        "share", "score", "image", "truth", "prediction": paths from `folder`}; "class_names" and
        "colours".
    """
    entries = []
    for i, region in enumerate(regions):
        entry = dataclasses.asdict(region)
        del entry["margins"], entry["label"], entry["shape"]
        entry["file"] = str(relative(Path(region.file), root)) if root else region.file
        for part in ("image", "truth", "prediction"):
            entry[part] = f"pictures/suspect{i}_{part}.png"
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            write_whole(folder / entry[part], Image.fromarray(getattr(region, part)).save)
        entries.append(entry)
    return as_json(
        {
            "images": images,
            "regions": entries,
            "class_names": list(data.class_names),
            "colours": np.asarray(data.colours).tolist(),
        }
    )
