"""Every picture that the chapters draw. Each function returns a Matplotlib figure."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

VOID_COLOUR = (0, 0, 0)


def learning_curves(history, names, titles=None):
    """Training and validation curves of some entries of a `keras.callbacks.History`.

    Args:
        history: What `model.fit` returned.
        names: The entries to draw, such as `("loss", "mean_iou")`.
        titles: One for each, the entry's own name by default.
    """
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    epochs = np.arange(1, len(history.epoch) + 1)
    for axes, name, title in zip(axes_row(figure, len(names)), names, titles or names):
        training, held_out = history.history[name], history.history[f"val_{name}"]
        axes.plot(epochs, training, ".-", label="training")
        axes.plot(epochs, held_out, ".-", label="held out")
        axes.set(xlabel="epoch", title=title)
        if name == "loss" and max(held_out) > 10 * min(held_out) > 0:
            axes.set_yscale("log")  # the first epochs would flatten all the others
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def image_rows(rows, cell=1.1):
    """Rows of pictures, each with its name at the left.

    Args:
        rows: {name: pictures (count, height, width, 1 or 3) in [0, 1]}; equal counts.
        cell: Inches a picture's height takes.
    """
    pictures = list(rows.values())
    count, (height, width) = len(pictures[0]), pictures[0].shape[1:3]
    figure = Figure(
        figsize=(cell * count * width / height + 1.2, cell * len(rows)), layout="constrained"
    )
    grid = figure.subplots(len(rows), count, squeeze=False)
    for axes_of_row, (name, row) in zip(grid, rows.items()):
        for axes, picture in zip(axes_of_row, row):
            show(axes, picture)
        axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def predictions(images, truths, predicted, class_names, colours, ignore_class=255):
    """Inputs, true label maps and predicted ones side by side, with a legend of the classes.

    Predictions are shown as they are scored: where the truth is void, they are void too. Void is
    striped, so that it cannot be taken for a dark class.

    Args:
        images: (count, height, width, 1 or 3) in [0, 1] or uint8, or one without the first axis.
        truths, predicted: Integer label maps (count, height, width), or one.
        class_names, colours, ignore_class: As in a `kerasseg.datasets.Dataset`.
    """
    images, truths, predicted = pairs(images, truths, predicted)
    void = truths == ignore_class
    columns = {
        "input": images,
        "truth": tinted(truths, void, colours),
        "prediction": tinted(predicted, void, colours),
    }
    count, (height, width) = len(images), images.shape[1:3]
    figure = Figure(figsize=(9.5, 2.9 * count * height / width + 0.8), layout="constrained")
    grid = figure.subplots(count, 3, squeeze=False)
    for column, (title, pictures) in enumerate(columns.items()):
        grid[0, column].set_title(title)
        for axes, picture in zip(grid[:, column], pictures):
            show(axes, picture)
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
    """
    images, labels = pairs(images, labels)
    void = labels == ignore_class
    tints = tinted(labels, void, colours)
    overlays = (1 - strength) * images + strength * tints
    count, (height, width) = len(images), labels.shape[1:]
    figure = Figure(figsize=(9.5, 4.6 * count * height / width + 0.9), layout="constrained")
    for row, pictures in zip(figure.subplots(count, 2, squeeze=False), zip(images, overlays)):
        for axes, picture in zip(row, pictures):
            show(axes, picture)
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


def per_class_bars(scores, shares, class_names, colours):
    """IoU of each class beside its share of the pixels, commonest first; shares on a log axis."""
    order = np.argsort(shares)
    names = [class_names[i] for i in order]
    painted = np.asarray(colours)[order] / 255
    figure = Figure(figsize=(9, 0.32 * len(names) + 1.2), layout="constrained")
    left, right = axes_row(figure, 2)
    left.barh(names, np.nan_to_num(np.asarray(scores)[order]), color=painted, edgecolor="0.3")
    left.set(xlim=(0, 1), xlabel="IoU")
    right.barh(names, 100 * np.asarray(shares)[order], color=painted, edgecolor="0.3")
    right.set(xscale="log", xlabel="share of the labelled pixels in %", yticks=[])
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    return figure


def scatter(points, labels, class_names, colours, title=""):
    """Points in the plane, one colour a class, each class's name at its median."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    (axes,) = axes_row(figure, 1)
    size = float(np.clip(8000 / len(points), 4, 40))
    axes.scatter(*points.T, c=np.asarray(colours)[labels] / 255, s=size, alpha=0.7, linewidths=0)
    for class_id in np.unique(labels):
        axes.text(
            *np.median(points[labels == class_id], axis=0),
            class_names[class_id],
            ha="center",
            va="center",
            weight="bold",
            bbox={"boxstyle": "round", "facecolor": "white", "alpha": 0.8},
        )
    axes.set(xticks=[], yticks=[], title=title)
    return figure


def paint(labels, colours):
    """Label maps as colours in [0, 1]; ids outside the classes, void among them, are black."""
    labels = np.asarray(labels)
    palette = np.full((256, 3), VOID_COLOUR, "uint8")
    palette[: len(colours)] = colours
    return palette[np.where((labels >= 0) & (labels < 255), labels, 255)] / 255


def pairs(images, *label_maps):
    """Batches of images in [0, 1] and of label maps, checked against each other."""
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


def unit_range(images):
    return images / 255 if images.dtype == np.uint8 else images


def tinted(labels, void, colours):
    """Label maps (count, height, width) as colours in [0, 1], with diagonal stripes for void."""
    rows, columns = np.indices(labels.shape[1:])
    stripes = np.where((rows + columns) // 4 % 2, 0.8, 0.1)[..., None]
    return np.where(void[..., None], stripes, paint(labels, colours))


def class_legend(figure, names, colours, void=None):
    """One patch a class, and a striped one with the text `void` if it is given."""
    handles = [
        Patch(facecolor=np.asarray(colour) / 255, edgecolor="0.3", label=name)
        for name, colour in zip(names, colours)
    ]
    if void:
        handles.append(Patch(facecolor="white", edgecolor="0.2", hatch="//", label=void))
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)


def axes_row(figure, count):
    return figure.subplots(1, count, squeeze=False)[0]


def show(axes, picture):
    picture = unit_range(np.asarray(picture))
    if picture.shape[-1] == 1:
        picture = np.repeat(picture, 3, axis=-1)
    axes.imshow(np.clip(picture, 0, 1), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
