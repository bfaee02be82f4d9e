"""The receptive field of a unit, in theory and in effect."""

import math

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

HALO = [withStroke(linewidth=3, foreground="black")]  # so that white shows on every colour


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
    axes = figure.subplots()
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
    side = f"{2 * radius + 1:.0f}"
    title = f"95 % of the influence lies in {side} × {side} of {height:.0f} × {width:.0f} pixels"
    axes.set_title(title)
    axes.set(xlabel="column", ylabel="row")
    return figure


def seen_along(axis, pixels, field, unit):
    """First row or column and how many a unit sees in theory; all, where that has no end."""
    size, stride, offset = (part[axis] if isinstance(part, tuple) else part for part in field)
    if math.isinf(size):
        return 0, pixels
    index = math.ceil(pixels / stride) // 2 if unit is None else unit[axis]
    return float(stride * index + offset), size
