"""What became of each class, and whether a model is right as often as it says."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from kerasseg.palette import CURVES

HIT, MISS = CURVES[4], CURVES[1]


def confusion_matrix(matrix, class_names):
    """What became of the pixels of each class: a row a true class, in % of its pixels.

    Right pixels are blue, on the diagonal, wrong ones orange; the fuller the colour, the larger the
    share. A cell of less than half a pixel in 100 is empty, the row of a class that does not occur
    in the truth has a dash. Of labels, each of which a pixel has or has not, a row shows how much
    of the label was found and missed, and how much of what was predicted is not there.

    Args:
        matrix: Pixels (classes, classes), a row a true class; or (labels, 2, 2).
        class_names: One name a class or label.

    Raises:
        ValueError: If the matrix has not as many rows as there are names.
    """
    matrix = np.asarray(matrix, "float64")
    count = len(class_names)
    if matrix.shape not in ((count, count), (count, 2, 2)):
        raise ValueError(
            f"`matrix` must be ({count}, {count}) or ({count}, 2, 2), for {count} class names. "
            f"Received: matrix.shape={matrix.shape}"
        )
    if matrix.ndim == 3:
        columns = ("found", "missed", "not there")
        true, predicted = matrix[:, 1].sum(-1), matrix[:, :, 1].sum(-1)
        parts = [matrix[:, 1, 1], matrix[:, 1, 0], matrix[:, 0, 1]]
        wholes = np.stack([true, true, predicted], -1)
        hits = np.array([[True, False, False]] * count)
        labels = ("", "")
    else:
        columns, parts = class_names, matrix.T
        wholes = np.repeat(matrix.sum(1, keepdims=True), count, axis=1)
        hits = np.eye(count, dtype=bool)
        labels = ("prediction", "truth")
    shares = np.stack(list(parts), -1) / np.where(wholes, wholes, np.nan)
    size = (2.2 + 0.5 * len(columns), 1.6 + 0.42 * count)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    paint_cells(axes, shares, hits)
    axes.set_xticks(range(len(columns)), columns, rotation=90)
    axes.set_yticks(range(count), class_names)
    axes.set(xlabel=labels[0], ylabel=labels[1], title="% of each class" if labels[1] else "%")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    axes.spines[:].set_color("0.7")
    return figure


def paint_cells(axes, shares, hits):
    """Cells whose colour is the fuller the larger their share, with the share in %."""
    colours = np.where(hits[..., None], to_rgb(HIT), to_rgb(MISS))
    full = np.nan_to_num(shares)[..., None]
    axes.imshow(1 + full * (colours - 1), aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        words = "–" if np.isnan(share) else f"{100 * share:.0f}" if share >= 0.005 else ""
        axes.text(column, row, words, ha="center", va="center", fontsize=8, color="black")


def reliability_diagram(calibration, colours=CURVES, ink="0.3"):
    """Accuracy over confidence, and below, how many pixels have that confidence.

    A model that is right as often as it says lies on the dashed diagonal; below it, it is too sure
    of itself. Bins with less than a thousandth of the pixels are not drawn: a few pixels say
    nothing. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, figure 1.

    Args:
        calibration: What `kerasseg.metrics.calibration.reliability` returns.
        colours: Of the points and of the bars.
        ink: Of the diagonal.
    """
    pixels = np.array([each["pixels"] for each in calibration["bins"]])
    shares = pixels / max(pixels.sum(), 1)
    drawn = [i for i, share in enumerate(shares) if share >= 1e-3]
    points = [[calibration["bins"][i][name] for i in drawn] for name in ("confidence", "accuracy")]
    figure = Figure(figsize=(4.5, 4.6), layout="constrained")
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "--", color=ink, label="right as often as it says")
    above.plot(*points, "o-", color=colours[0], label="this model")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right pixels")
    above.legend(loc="upper left")
    width = 1 / len(pixels)
    below.bar((np.arange(len(pixels)) + 0.5) * width, shares, 0.9 * width, color=colours[1])
    below.set(xlabel="confidence", ylabel="share of\nall pixels")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    return figure
