"""Curves, bars and points."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasseg.figures.parts import wrapped
from kerasseg.palette import CURVES


def learning_curves(history, names, titles=None, best=None, colours=CURVES):
    """Training and validation curves of some entries of a `keras.callbacks.History`.

    Args:
        history: What `model.fit` returned.
        names: The entries to draw, such as `("loss", "mean_iou")`. One that was not measured on
            held-out images, such as `"learning_rate"`, has one curve.
        titles: The label of each vertical axis, the entry's own name by default.
        best: The epoch whose model was kept, counted from 1; a dotted line marks it.
        colours: Of the curves of the training and of the held-out images.
    """
    figure = Figure(figsize=(4.5 * len(names), 3.4), layout="constrained")
    epochs = np.asarray(history.epoch) + 1
    dot = "." if len(epochs) <= 60 else ""  # more would hide the line
    (row,) = figure.subplots(1, len(names), squeeze=False)
    for axes, name, title in zip(row, names, titles or names):
        axes.set_prop_cycle(color=colours)
        shown, label = np.asarray(history.history[name], float), name
        if f"val_{name}" in history.history:
            axes.plot(epochs, shown, dot + "--", label="training")
            shown, label = np.asarray(history.history[f"val_{name}"], float), "held out"
        axes.plot(epochs, shown, dot + "-", label=label)
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


def lines(x, curves, xlabel, ylabel, title, **axes_settings):
    """Curves over one axis, told apart by colour, marker and dash.

    Args:
        x: Where the curves were measured.
        curves: {name: numbers, as many as `x`}.
        xlabel, ylabel, title: With units; the finding.
        **axes_settings: What `Axes.set` takes, such as `xscale="log"`.
    """
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    styles = zip(cycle(CURVES), cycle("os^Dv"), cycle(("-", "--", "-.", ":", "-")))
    for (name, y), (colour, marker, dash) in zip(curves.items(), styles):
        axes.plot(x, y, color=colour, marker=marker, linestyle=dash, label=name)
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
    axes = figure.subplots()
    bars, error = (axes.barh, "xerr") if lying else (axes.bar, "yerr")
    width = 0.8 / len(measured)
    for i, ((name, of_group), colour) in enumerate(zip(measured.items(), cycle(CURVES))):
        x = np.arange(len(groups)) + (i - (len(measured) - 1) / 2) * width
        numbers = [np.asarray(of_group[group]) for group in groups]
        means = np.array([n.mean() for n in numbers])
        reach = np.abs([[n.min() for n in numbers], [n.max() for n in numbers]] - means)
        ranges = {error: reach if reach.any() else None}
        bars(x, means, 0.9 * width, **ranges, label=name, color=colour, capsize=4 - 2 * lying)
    along, across = "yx" if lying else "xy"
    axes.set(**{f"{along}ticks": range(len(groups)), f"{along}ticklabels": groups})
    axes.set(**{f"{across}label": ylabel}, title=title)
    axes.grid(axis=across, alpha=0.3)
    if lying:
        axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def per_class_bars(scores, shares, class_names, colours):
    """IoU of each class beside its share of the pixels, commonest first; shares on a log axis."""
    order = np.argsort(shares)
    names = [class_names[i] for i in order]
    painted = np.asarray(colours)[order] / 255
    figure = Figure(figsize=(9, 0.32 * len(names) + 1.2), layout="constrained")
    left, right = figure.subplots(1, 2)
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
    axes = figure.subplots()
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
