"""One batch of arrays, before it goes into a model."""

from collections import Counter

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.doctor.judge import findings_of_classes, judge
from kerasseg.datasets.doctor.report import Report, described
from kerasseg.datasets.examine import examine_arrays
from kerasseg.datasets.masks import Masks, near_binary
from kerasseg.datasets.values import spoken
from kerasseg.layers.arguments import is_integer


def check_batch(images, labels, num_classes, ignore_class=255, multi_label=False):
    """Raises an error that says in words what is wrong with a batch, before training starts.

    Args:
        images: (batch, height, width, channels) in [0, 1], or with the channels before height
            and width, if only so they fit the labels.
        labels: Class ids, (batch, height, width), or with a channel axis of one; if `multi_label`,
            masks of 0, 1 and void, (batch, height, width, labels).
        num_classes: Number of classes, 2 at least: the background is one, void is none; if
            `multi_label`, the number of labels.
        ignore_class: The void id, or `None`.
        multi_label: Whether a pixel has any number of labels, each with a mask of its own.

        Both may be NumPy arrays, tensors of TensorFlow, JAX or PyTorch, or lists.

    Returns:
        A `Report` with the numbers of the batch and, in `warnings`, what may be wrong: classes
        that do not occur, much void, constant images, whole numbers stored as floats.

    Raises:
        ValueError: everything that makes training useless, each with its remedy.

    Example:

    >>> check_batch(np.ones((1, 3, 4, 3)) * 0.5, np.full((1, 3, 4), 7), 5, ignore_class=None)
    Traceback (most recent call last):
    ValueError: The batch would ruin a training.
    <BLANKLINE>
    ERROR  values outside the classes
      image 0: holds the label id 7, which is outside the classes. Allowed ids: 0 to 4
      Remedy: Correct the masks, or the list of the classes: ids run from 0, one for each class.
    """
    if not is_integer(num_classes) or num_classes < (1 if multi_label else 2):
        raise ValueError(
            "`num_classes` must be an integer, 2 at least: the background is a class, too; with "
            "multi_label=True, 1 at least. "
            f"Received: num_classes={num_classes!r}"
        )
    images, labels = as_numpy("images", images), as_numpy("labels", labels)
    shaped = labels_well_shaped if multi_label else well_shaped
    images, labels, findings = shaped(images, labels, num_classes)
    if len(images) and images.dtype.kind != "f":
        images = images.astype("float32")  # 255 is 255 in a batch, and not white as in a file
    examined = [
        examine_arrays(
            images[i] if i < len(images) else None,
            labels[i] if i < len(labels) else None,
            f"image {i}",
        )
        for i in range(max(len(images), len(labels)))
    ]
    masks = Masks.of_ids(2 if multi_label else num_classes, ignore_class)
    names = [f"label {i}" for i in range(num_classes)] if multi_label else masks.class_names
    statistics, more = judge({"batch": examined}, masks, names, multi_label=multi_label)
    findings += more
    if len(labels):
        findings += findings_of_classes(statistics, names)
    values = Counter()
    for measured in (each for one in examined for each in one.labels if each):
        values.update(measured.values)
    findings += findings_of_255(values, statistics["batch"], masks.num_classes)
    report = Report("batch", findings, statistics, names)
    if report.errors:
        text = "\n\n".join(["The batch would ruin a training.", *described(report.errors)])
        raise ValueError(text)
    return report


def findings_of_255(values, statistics, num_classes):
    """Labels of 0 and 255, which mean background and foreground in a file, and void here."""
    much_void = bool(statistics.void_share > faults.MOST_VOID)
    suspects = [{0, 255}] * much_void + [{255}, {0, 255}] * (num_classes == 2)
    if set(values) in suspects:
        words = f"the labels hold {spoken(values)}, and never 1"
        return [faults.ZERO_255.found(None, words)]
    if num_classes == 2 and near_binary(values):
        words = "the labels were 0 and 255, and JPEG or resizing has put values in between"
        remedy = "Set a threshold, `labels > 127`, in the files too, and save them as PNG."
        return [faults.ZERO_255.found(None, words, remedy)]
    return []


def as_numpy(name, values):
    if hasattr(values, "detach"):  # PyTorch: perhaps on a GPU, with a gradient, in bfloat16
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must make one array: resize the images of a batch to one size. "
            f"Received: {len(values)} of different shapes"
        ) from error
    array = array.astype("float32") if array.dtype.kind == "V" else array  # TensorFlow's bfloat16
    if array.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` must hold numbers. Received: {name} of dtype {array.dtype}")
    return array


def well_shaped(images, labels, num_classes):
    """`(images, labels, findings)`: images with their channels last, label maps with none.

    Arrays of a wrong shape come back empty.
    """
    received = f"Received: images {images.shape}, labels {labels.shape}"
    if 0 in (images.size, labels.size):
        return [], [], [faults.SHAPES.found(None, f"the batch is empty. {received}")]
    sizes = images.shape[1:3], images.shape[2:]
    flat = [(np.prod(size), num_classes) for size in sizes]
    if labels.shape[1:] in flat and labels.shape[1:] not in sizes:
        labels = labels[:, :, None]
    if labels.ndim == 4 and 1 in (labels.shape[-1], labels.shape[1]):
        labels = labels.squeeze(-1 if labels.shape[-1] == 1 else 1)
    findings = []
    if labels.ndim != 3:
        findings.append(wrong_labels(labels, num_classes, received))
    if images.ndim != 4:
        findings.append(faults.SHAPES.found(None, f"images have 4 axes. {received}"))
    elif labels.ndim == 3:
        if images.shape[1:3] != labels.shape[1:] == images.shape[2:]:
            images = np.moveaxis(images, 1, -1)
        if len(images) != len(labels):
            words = f"every image needs one label map. {received}"
            findings.append(faults.SHAPES.found(None, words))
    return images if images.ndim == 4 else [], labels if labels.ndim == 3 else [], findings


def labels_well_shaped(images, labels, num_labels):
    """As `well_shaped`, for masks of labels, which come back as a list of masks for each image."""
    if labels.ndim != 4 or labels.shape[-1] != num_labels:
        words = (
            f"the masks of {num_labels} labels are (batch, height, width, {num_labels}). "
            f"Received: images {images.shape}, labels {labels.shape}"
        )
        remedy = "Stack the masks, of 0 and 1, one for each label: `np.stack(masks, axis=-1)`."
        return [], [], [faults.SHAPES.found(None, words, remedy)]
    images, _, findings = well_shaped(images, labels[..., 0], 2)
    return images, [list(np.moveaxis(each, -1, 0)) for each in labels], findings


def wrong_labels(labels, num_classes, received):
    """The `Finding` about labels with another axis: one-hot, colours, or neither."""
    for axis in (-1, 1):
        if labels.ndim != 4 or labels.shape[axis] != num_classes:
            continue
        if np.isin(labels, (0, 1)).all() and (labels.sum(axis) <= 1).all():
            words = f"the labels have a channel for each class. {received}"
            remedy = (
                f"The losses here are sparse, they take one id a pixel: `labels.argmax({axis})`."
            )
            return faults.ONE_HOT.found(None, words, remedy)
    remedy = None
    if labels.ndim == 4 and labels.shape[-1] in (3, 4):
        remedy = "If these are colours, look the id of each up: `load` does, told by classes.txt."
    return faults.SHAPES.found(None, f"label maps have 3 axes. {received}", remedy)
