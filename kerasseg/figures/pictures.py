"""Every picture that the chapters draw. Each function returns a Matplotlib figure."""

import math
import textwrap

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

VOID_COLOUR = (0, 0, 0)
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # Okabe and Ito
HALO = [withStroke(linewidth=3, foreground="black")]  # so that white shows on every colour


def learning_curves(history, names, titles=None, best=None):
    """Training and validation curves of some entries of a `keras.callbacks.History`.

    Args:
        history: What `model.fit` returned.
        names: The entries to draw, such as `("loss", "mean_iou")`. One that was not measured on
            held out pictures, such as `"learning_rate"`, has one curve.
        titles: What stands at each vertical axis, the entry's own name by default.
        best: The epoch whose model was kept, counted from 1; a dotted line marks it.
    """
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    epochs = np.asarray(history.epoch) + 1
    dot = "." if len(epochs) <= 60 else ""  # more would hide the line
    for axes, name, title in zip(axes_row(figure, len(names)), names, titles or names):
        shown = np.asarray(history.history[name], float)
        if f"val_{name}" in history.history:
            axes.plot(epochs, shown, dot + "--", label="training")
            shown = np.asarray(history.history[f"val_{name}"], float)
            axes.plot(epochs, shown, dot + "-", label="held out")
        else:
            axes.plot(epochs, shown, dot + "-", label=name)
        axes.set(xlabel="epoch", ylabel=title)
        finite = shown[np.isfinite(shown)]
        if name == "loss" and finite.max(initial=0) > 10 * finite.min(initial=np.inf) > 0:
            axes.set_yscale("log")  # the first epochs would flatten all the others
        if best is not None:
            axes.axvline(best, color="0.5", linestyle=":", label="best epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def image_rows(rows, title="", cell=1.1):
    """Rows of pictures, each with its name at the left.

    Args:
        rows: {name: pictures (count, height, width, 1 or 3) in [0, 1]}; equal counts and sizes.
        title: What they show; broken into lines as wide as the figure.
        cell: Inches a picture's height takes.
    """
    shapes = {name: np.shape(row)[:3] for name, row in rows.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"All rows need as many pictures of one size. Received: shapes={shapes}")
    count, height, width = next(iter(shapes.values()))
    inch, gap = cell / height, 0.06 * height  # inches a pixel; pixels
    tops, lefts = np.arange(len(rows)) * (height + gap), np.arange(count) * (width + gap)
    down, across = tops[-1] + height, lefts[-1] + width
    names = 0.15 + 0.085 * max(len(line) for name in rows for line in name.split("\n"))  # inches
    total_width = names + inch * across
    title = wrapped(title, total_width)
    above = 0.1 + 0.2 * (1 + title.count("\n")) if title else 0  # inches
    total_height = above + inch * down
    figure = Figure(figsize=(total_width, total_height))
    axes = figure.add_axes(
        (names / total_width, 0, 1 - names / total_width, 1 - above / total_height)
    )
    for top, row in zip(tops, rows.values()):
        for left, picture in zip(lefts, row):
            show(axes, picture, extent=(left, left + width, top + height, top))
    axes.set(xlim=(0, across), ylim=(down, 0), yticks=tops + height / 2, yticklabels=rows)
    axes.tick_params(length=0)
    figure.suptitle(title, y=1 - 0.05 / total_height)
    return figure


def panels(pictures, outlines=None, title=None, columns=4, cell=2.6, highest=None, scale=None):
    """Pictures and maps, each with its own title, with rectangles drawn on them.

    Args:
        pictures: {title: picture}. A picture is (height, width, 1 or 3) in [0, 1] or uint8; a map
            of numbers from 0 upward is (height, width): 0 is white, all above it blue, the largest
            number darkest.
        outlines: {title: [(top, left, height, width, colour, text)]}, in pixels; a text, `""` for
            none, stands above its rectangle.
        title: What all of them show.
        columns: Panels a row.
        cell: Inches a panel's width takes.
        highest: The number that is darkest on every map; `None` for each map's own largest.
        scale: {number: text}, what stands beside a colour bar of the maps; needs `highest`.
    """
    if scale and highest is None:
        raise ValueError(f"A scale for all maps needs `highest`. Received: scale={scale}")
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    tallest = max(len(picture) / np.shape(picture)[1] for picture in pictures.values())
    row = cell * tallest + 0.2 * (2 + max(name.count("\n") for name in pictures))
    figure = Figure(figsize=(cell * columns, row * rows + 0.3 * bool(title)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, picture) in zip(grid, pictures.items()):
        if np.ndim(picture) == 2:
            above = np.ma.masked_equal(picture, 0)
            top = np.max(picture) if highest is None else highest
            blues = {"cmap": "Blues", "vmin": -0.2 * top, "vmax": top}
            drawn = axes.imshow(above, interpolation="nearest", **blues)
            axes.set(xticks=[], yticks=[])
        else:
            show(axes, picture)
        axes.spines[:].set_visible(True)
        axes.set_title(name, fontsize=10)
        for top, left, height, width, colour, text in (outlines or {}).get(name, ()):
            corner = (left - 0.5, top - 0.5)
            axes.add_patch(Rectangle(corner, width, height, fill=False, ec=colour, lw=1.8))
            axes.annotate(
                text, corner, (0, 1), textcoords="offset points", color=colour, weight="bold"
            )
    for axes in grid[len(pictures) :]:
        axes.set_visible(False)
    if scale:
        bar = figure.colorbar(drawn, ax=list(grid), shrink=0.5, ticks=list(scale))
        bar.ax.set(yticklabels=scale.values(), ylim=(min(scale), max(scale)))
    figure.suptitle(wrapped(title, cell * columns))
    return figure


def lines(x, curves, xlabel, ylabel, title, **axes_settings):
    """Curves over one axis, told apart by colour, marker and dash.

    Args:
        x: Where the curves were measured.
        curves: {name: numbers, as many as `x`}.
        xlabel, ylabel, title: With units; the finding.
        **axes_settings: What `Axes.set` takes, such as `xscale="log"`.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    (axes,) = axes_row(figure, 1)
    for (name, y), marker, dash in zip(curves.items(), "os^Dv", ("-", "--", "-.", ":", "-")):
        axes.plot(x, y, marker=marker, linestyle=dash, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=wrapped(title, 6), **axes_settings)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def bars_with_ranges(measured, ylabel, title):
    """Bars side by side, each as high as the mean of its repetitions, a line over their range.

    Args:
        measured: {name of a bar's colour: {name of a group: numbers, one a repetition}}; every
            colour has the same groups. The bars of more than six groups lie, one group below the
            other.
        ylabel, title: With unit; the finding.
    """
    groups = list(next(iter(measured.values())))
    lying = len(groups) > 6
    size = (7, 1 + 0.5 * len(groups)) if lying else (4 + 1.1 * len(groups), 3.8)
    figure = Figure(figsize=size, layout="constrained")
    (axes,) = axes_row(figure, 1)
    bars, error = (axes.barh, "xerr") if lying else (axes.bar, "yerr")
    width = 0.8 / len(measured)
    for i, (name, of_group) in enumerate(measured.items()):
        x = np.arange(len(groups)) + (i - (len(measured) - 1) / 2) * width
        numbers = [np.asarray(of_group[group]) for group in groups]
        means = np.array([n.mean() for n in numbers])
        reach = np.abs([[n.min() for n in numbers], [n.max() for n in numbers]] - means)
        colour = PALETTE[i % len(PALETTE)]
        ranges = {error: reach if reach.any() else None}
        bars(x, means, 0.9 * width, **ranges, label=name, color=colour, capsize=4 - 2 * lying)
    if lying:
        axes.set(yticks=range(len(groups)), yticklabels=groups, xlabel=ylabel, title=title)
        axes.invert_yaxis()
    else:
        axes.set(xticks=range(len(groups)), xticklabels=groups, ylabel=ylabel, title=title)
    axes.grid(axis="x" if lying else "y", alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
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


def influence_map(share, field, unit=None):
    """How strongly each pixel moves one unit, with the unit's field in theory and in effect.

    In theory the unit sees the dashed square. In effect it sees little more than the other: the
    smallest around the same middle that holds 95 % of the influence (Luo et al., "Understanding
    the Effective Receptive Field in Deep Convolutional Neural Networks", NeurIPS 2016).

    Args:
        share: What `kerasseg.effective_receptive_field` returned: (height, width), sum 1.
        field: What `kerasseg.receptive_field` returned for the same layer.
        unit: Row and column of the unit in its map. By default that in the middle of a map with a
            unit at every stride, as "same" padding makes it.
    """
    (top, height), (left, width) = (
        seen_along(axis, pixels, field, unit) for axis, pixels in enumerate(share.shape)
    )
    middle = np.array([top + (height - 1) / 2, left + (width - 1) / 2])
    distance = np.abs(np.indices(share.shape) - middle[:, None, None]).max(0)
    order = np.argsort(distance, axis=None)
    within = np.cumsum(share.ravel()[order])
    radius = distance.ravel()[order][np.searchsorted(within, 0.95 * within[-1])]

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    (axes,) = axes_row(figure, 1)
    scale = PowerNorm(0.5, vmin=0, vmax=1)
    drawn = axes.imshow(share / share.max(), cmap="magma", norm=scale, interpolation="nearest")
    label = "influence, strongest pixel = 1 (square-root scale)"
    figure.colorbar(drawn, label=label, ticks=[0, 0.01, 0.1, 0.25, 0.5, 1])
    for corner, extent, style, label in (
        ((left, top), (width, height), "--", "field in theory"),
        (middle[::-1] - radius, (2 * radius + 1,) * 2, "-", "95 % of the influence"),
    ):
        frame = Rectangle(np.subtract(corner, 0.5), *extent, fill=False, color="white")
        frame.set(linestyle=style, label=label, path_effects=HALO)
        axes.add_patch(frame)
    axes.legend(facecolor="0.3", labelcolor="white", loc="upper right")
    sides = f"{height:.0f}" if height == width else f"{height:.0f} × {width:.0f}"
    axes.set_title(f"95 % of the influence lies in {2 * radius + 1:.0f} of {sides} pixels")
    axes.set(xlabel="column", ylabel="row")
    return figure


def seen_along(axis, pixels, field, unit):
    """First row or column and how many a unit sees in theory; all, where that has no end."""
    size, stride, offset = (part[axis] if isinstance(part, tuple) else part for part in field)
    if math.isinf(size):
        return 0, pixels
    index = math.ceil(pixels / stride) // 2 if unit is None else unit[axis]
    return float(stride * index + offset), size


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
    """Label maps as colours in [0, 1], (count, height, width, 3), with diagonal stripes for void.

    `labels` and `void` are (count, height, width); of a multi-label map (count, height, width,
    labels), which shows the mean of the colours of the labels that apply, and black if none does.
    """
    if labels.ndim == 4:
        return tinted_labels(labels, void, colours)
    rows, columns = np.indices(labels.shape[1:])
    stripes = np.where((rows + columns) // 4 % 2, 0.8, 0.1)[..., None]
    return np.where(void[..., None], stripes, paint(labels, colours))


def tinted_labels(labels, void, colours):
    """`tinted` of multi-label maps; stripes where a label is void."""
    stripes = tinted(np.zeros(labels.shape[:-1], int), np.ones(labels.shape[:-1], bool), colours)
    tint = mean_colour(labels == 1, colours, 0.0)
    return np.where(void.any(axis=-1)[..., None], stripes, tint)


def mean_colour(masks, colours, otherwise):
    """The mean colour, in [0, 1], of the labels that apply to each pixel of (…, labels)."""
    count = masks.sum(axis=-1, keepdims=True, dtype="float32")
    tint = masks.astype("float32") @ (np.asarray(colours, "float32") / 255)
    return np.where(count > 0, tint / np.maximum(count, 1), otherwise)


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


def wrapped(title, inches):
    """A title in lines of so many inches at most; it may have lines of its own."""
    lines = (title or "").split("\n")
    width = int(inches / 0.09)
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in lines)


def show(axes, picture, **where):
    picture = unit_range(np.asarray(picture))
    if picture.shape[-1] == 1:
        picture = np.repeat(picture, 3, axis=-1)
    axes.imshow(np.clip(picture, 0, 1), interpolation="nearest", **where)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
