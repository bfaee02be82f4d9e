"""Label maps: truth and prediction, and overlays on images."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from kerasseg.figures.parts import show, unit_range


def predictions(images, truths, predicted, class_names, colours, ignore_class=255):
    """Inputs, true label maps and predicted ones side by side, with a legend of the classes.

    Predictions are shown as they are scored: where the truth is void, they are void too. Void is
    striped, so that it cannot be taken for a dark class.

    Args:
        images: (count, height, width, 1 or 3) in [0, 1] or uint8, or one without the first axis.
        truths, predicted: Integer label maps (count, height, width), or one.
        class_names, colours, ignore_class: As in a `kerasseg.datasets.Dataset`.

    Raises:
        ValueError: If the label maps have not the height, the width and the number of the images.
    """
    images, truths, predicted = pairs(images, truths, predicted)
    void = truths == ignore_class
    tints = (tinted(labels, void, colours) for labels in (truths, predicted))
    figure, grid = columns_of(2.9, images, *tints)
    for axes, title in zip(grid[0], ("input", "truth", "prediction")):
        axes.set_title(title)
    class_legend(figure, class_names, colours, "void (not scored)" if void.any() else None)
    return figure


def label_overlay(images, labels, class_names, colours, ignore_class=255, strength=0.6):
    """Each image beside itself with its label map laid over it, to see that they match.

    Void is striped, so that it cannot be taken for a dark class. The legend names the classes
    that occur, with their share of the labelled pixels.

    Args:
        images: (count, height, width, 1 or 3) in [0, 1] or uint8, or one without the first axis.
        labels: Integer label maps (count, height, width), or one.
        class_names, colours, ignore_class: As in a `kerasseg.datasets.Dataset`.
        strength: Of the colours over the image, from 0 to 1.

    Raises:
        ValueError: If the label maps have not the height, the width and the number of the images,
            or hold an id without a name.
    """
    images, labels = pairs(images, labels)
    void = labels == ignore_class
    overlays = (1 - strength) * images + strength * tinted(labels, void, colours)
    figure, _ = columns_of(4.6, images, overlays)
    ids, counts = np.unique(labels[~void], return_counts=True)
    if len(ids) and ids[-1] >= len(class_names):
        raise ValueError(
            f"Every id in `labels` needs a class name. Received: id={ids[-1]}, "
            f"class_names={tuple(class_names)}"
        )
    names = [f"{class_names[i]} {share:.1%}" for i, share in zip(ids, counts / max(1, sum(counts)))]
    share_of_void = f"void {void.mean():.1%} of all" if void.any() else None
    class_legend(figure, names, np.asarray(colours)[ids], share_of_void)
    return figure


def paint(labels, colours):
    """Label maps as colours in [0, 1]; ids outside the classes, void among them, are black."""
    labels = np.asarray(labels)
    palette = np.zeros((256, 3), "uint8")
    palette[: len(colours)] = colours
    return palette[np.where((labels >= 0) & (labels < 255), labels, 255)] / 255


def pairs(images, *label_maps):
    """Batches of images in [0, 1] and of label maps, checked against each other.

    Args:
        images: (count, height, width, channels) in [0, 1] or uint8, or one without the first axis.
        label_maps: Integer ids (count, height, width), or one.

    Returns:
        The images as floats in [0, 1] and the label maps, all with the first axis.

    Raises:
        ValueError: If the label maps have not the height, the width and the number of the images.
    """
    images, label_maps = np.asarray(images), [np.asarray(labels) for labels in label_maps]
    if images.ndim == 3:
        images, label_maps = images[None], [labels[None] for labels in label_maps]
    for labels in label_maps:
        if images.ndim != 4 or images.shape[:3] != labels.shape:
            raise ValueError(
                "Every image needs label maps of its height and width, one id a pixel. "
                f"Received: images.shape={images.shape}, labels.shape={labels.shape}. Logits "
                "become ids by `argmax` over the classes."
            )
    return unit_range(images), *label_maps


def tinted(labels, void, colours):
    """Label maps as colours in [0, 1], (count, height, width, 3), with diagonal stripes for void.

    `labels` and `void` are (count, height, width); of a multi-label map (count, height, width,
    labels), which shows the mean of the colours of the labels that apply, and black if none does.
    """
    if labels.ndim == 4:
        void, tint = void.any(axis=-1), mean_colour(labels == 1, colours, 0.0)
    else:
        tint = paint(labels, colours)
    rows, columns = np.indices(labels.shape[1:3])
    stripes = np.where((rows + columns) // 4 % 2, 0.8, 0.1)[..., None]
    return np.where(void[..., None], stripes, tint)


def mean_colour(masks, colours, otherwise):
    """The mean colour, in [0, 1], of the labels that apply to each pixel of (…, labels)."""
    count = masks.sum(axis=-1, keepdims=True, dtype="float32")
    tint = masks.astype("float32") @ (np.asarray(colours, "float32") / 255)
    return np.where(count > 0, tint / np.maximum(count, 1), otherwise)


def columns_of(inches, *columns):
    """A figure with batches of images as its columns, and its axes (images, columns)."""
    count, height, width, _ = columns[0].shape
    figure = Figure(figsize=(9.5, inches * count * height / width + 0.9), layout="constrained")
    grid = figure.subplots(count, len(columns), squeeze=False)
    for axes, picture in zip(grid.ravel(), (image for row in zip(*columns) for image in row)):
        show(axes, picture)
    return figure, grid


def class_legend(figure, names, colours, void=None):
    """One patch a class, and a striped one with the text `void` if it is given."""
    handles = [
        Patch(facecolor=np.asarray(colour) / 255, edgecolor="0.3", label=name)
        for name, colour in zip(names, colours)
    ]
    if void:
        handles.append(Patch(facecolor="white", edgecolor="0.2", hatch="//", label=void))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
