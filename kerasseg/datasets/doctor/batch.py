"""One batch of arrays, before it goes into a model."""

import numpy as np

from kerasseg.datasets.doctor import faults
from kerasseg.datasets.doctor.judge import Classes, Doctor, spoken
from kerasseg.datasets.doctor.measures import measure_image, measure_labels
from kerasseg.datasets.doctor.report import Report, described


def check_batch(images, labels, num_classes, ignore_class=255):
    """Raises an error that says in words what is wrong with a batch, before it spoils a training.

    Args:
        images: (batch, height, width, channels) in [0, 1], or with the channels before height
            and width, if only so they fit the labels.
        labels: Class ids, (batch, height, width), or with a channel axis of one.
        num_classes: Number of classes, 2 at least: the background is one, void is none.
        ignore_class: The void id, or `None`.

        Both may be NumPy arrays, tensors of TensorFlow, JAX or PyTorch, or lists.

    Returns:
        A `Report` with the numbers of the batch and, in `warnings`, what may be wrong: classes
        that do not occur, much void, constant images, whole numbers stored as floats.

    Raises:
        ValueError: everything that spoils a training, each with its remedy.

    Example:

    >>> check_batch(np.ones((1, 3, 4, 3)) * 0.5, np.full((1, 3, 4), 7), num_classes=5)
    Traceback (most recent call last):
    ValueError: The batch would spoil a training.
    <BLANKLINE>
    ERROR  values outside the classes
      picture 0: holds 7, outside the classes (0 to 4, and 255 for void)
      Remedy: mend the masks, or count the classes again: ids run from 0 to num_classes - 1.
    """
    if num_classes < 2:
        raise ValueError(
            "`num_classes` must be 2 at least: the background is a class, too. "
            f"Received: num_classes={num_classes}"
        )
    doctor = Doctor()
    images, labels = as_numpy("images", images), as_numpy("labels", labels)
    images, labels = well_shaped(doctor, images, labels, num_classes)
    for i in range(max(len(images), len(labels))):
        image = measure_image(in_own_range(images[i])) if i < len(images) else None
        label_map = measure_labels(labels[i]) if i < len(labels) else None
        doctor.see("batch", [f"picture {i}"] * 2, image, label_map)
    classes = Classes.of_ids(num_classes, ignore_class)
    doctor.judge(classes)
    much_void = any(part.void_share > faults.MOST_VOID for part in doctor.splits.values())
    suspects = [{0, 255}] * much_void + [{255}, {0, 255}] * (num_classes == 2)
    if doctor.seen in suspects:
        doctor.find(faults.ZERO_255, f"the labels hold {spoken(doctor.seen)}, and never 1")
    report = Report("batch", doctor.findings, doctor.splits, classes.names)
    if report.errors:
        text = "\n\n".join(["The batch would spoil a training.", *described(report.errors)])
        raise ValueError(text)
    return report


def as_numpy(name, values):
    if hasattr(values, "detach"):  # PyTorch: perhaps on a GPU, with a gradient, in bfloat16
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must make one array: resize the pictures of a batch to one size. "
            f"Received: {len(values)} of different shapes"
        ) from error
    return array.astype("float32") if array.dtype.kind == "V" else array  # TensorFlow's bfloat16


def in_own_range(image):
    """An image in floats, in which 255 is 255, and not white as in a file."""
    return image if image.dtype.kind == "f" else image.astype("float32")


def well_shaped(doctor, images, labels, num_classes):
    """Images with their channels last, label maps with none; empty where a shape is wrong."""
    received = f"Received: images {images.shape}, labels {labels.shape}"
    sizes = images.shape[1:3], images.shape[2:]
    flat = [(np.prod(size), num_classes) for size in sizes]
    if labels.shape[1:] in flat and labels.shape[1:] not in sizes:
        labels = labels[:, :, None]
    if labels.ndim == 4 and 1 in (labels.shape[-1], labels.shape[1]):
        labels = labels.squeeze(-1 if labels.shape[-1] == 1 else 1)
    one_hot = labels.ndim == 4 and num_classes in (labels.shape[-1], labels.shape[1])
    if one_hot:
        doctor.find(faults.ONE_HOT, f"the labels have a channel for each class. {received}")
    elif labels.ndim != 3:
        doctor.find(faults.SHAPES, f"label maps have 3 axes. {received}")
    if images.ndim != 4:
        doctor.find(faults.SHAPES, f"images have 4 axes. {received}")
    if 0 in (images.size, labels.size):
        doctor.find(faults.SHAPES, f"the batch is empty. {received}")
        return [], []
    if labels.ndim == 3 and images.ndim == 4:
        if images.shape[1:3] != labels.shape[1:] == images.shape[2:]:
            images = np.moveaxis(images, 1, -1)
        if len(images) != len(labels):
            doctor.find(faults.SHAPES, f"every image needs one label map. {received}")
    return images if images.ndim == 4 else [], labels if labels.ndim == 3 else []
