"""Images beside each other."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerasseg.figures.parts import show, wrapped

PAGE = 6.5  # inches of a figure that a page of text shows at its full size


def image_rows(rows, title="", cell=1.1):
    """Rows of images, each with its name at the left.

    Args:
        rows: {name: images (count, height, width, 1 or 3) in [0, 1]}; equal counts and sizes.
        title: What they show; broken into lines as wide as the figure.
        cell: Inches an image's height takes.

    Raises:
        ValueError: If the rows differ in the number or the size of their images.
    """
    shapes = {name: np.shape(row)[:3] for name, row in rows.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"All rows need the same number of images, all of one size. Received: shapes={shapes}"
        )
    count, height, width = next(iter(shapes.values()))
    inch, gap = cell / height, 0.06 * height  # inches a pixel; pixels
    tops, lefts = np.arange(len(rows)) * (height + gap), np.arange(count) * (width + gap)
    down, across = tops[-1] + height, lefts[-1] + width
    larger = max(1, inch * across / PAGE)  # letters, since a page shrinks a wide figure
    longest = max(len(line) for name in rows for line in name.split("\n"))
    names = larger * (0.15 + 0.085 * longest)  # inches
    total_width = names + inch * across
    title = wrapped(title, total_width / larger)
    above = larger * (0.1 + 0.2 * (1 + title.count("\n"))) if title else 0  # inches
    total_height = above + inch * down
    figure = Figure(figsize=(total_width, total_height))
    axes = figure.add_axes(
        (names / total_width, 0, 1 - names / total_width, 1 - above / total_height)
    )
    for top, row in zip(tops, rows.values()):
        for left, picture in zip(lefts, row):
            show(axes, picture, extent=(left, left + width, top + height, top))
    axes.set(xlim=(0, across), ylim=(down, 0), yticks=tops + height / 2, yticklabels=rows)
    axes.tick_params(length=0, labelsize=10 * larger)
    figure.suptitle(title, y=1 - 0.05 / total_height, fontsize=12 * larger)
    return figure


def panels(pictures, outlines=None, title=None, columns=4, cell=2.6, highest=None, scale=None):
    """Images and maps, each with its own title, with rectangles drawn on them.

    Args:
        pictures: {title: image}. An image is (height, width, 1 or 3) in [0, 1] or uint8; a map
            of numbers from 0 upward is (height, width): 0 is white, all above it blue, the largest
            number darkest.
        outlines: {title: [(top, left, height, width, colour, text)]}, in pixels; a text, `""` for
            none, is written above its rectangle.
        title: What all of them show.
        columns: Panels a row.
        cell: Inches a panel's width takes.
        highest: The number that is darkest on every map; `None` for each map's own largest.
        scale: {number: text}, the labels of a colour bar beside the maps; needs `highest`.

    Raises:
        ValueError: If there is a `scale` without `highest`.
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
