"""Small arrays with their numbers, and what leads from one to the next."""

import re
import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import FancyArrowPatch, Rectangle

from kerasseg.figures.line_art import LineArt
from kerasseg.palette import CURVES

CELL = 0.33  # inches, as all lengths below
FONT_SIZE, TITLE_SIZE = 11, 10
LINE = 0.18
MARGIN, GAP = 0.1, 0.12
LETTER = 0.09  # of the numbers, and about that of the words
WIDEST = 7.3  # of a row of grids
INK, RULE, PAPER = "#222222", "#999999", "#ffffff"


@dataclass
class Grid:
    """One array where it is drawn: its cells, and the lower left corner of its first row."""

    title: str
    cells: np.ndarray
    cell: tuple
    left: float = 0.0
    top: float = 0.0

    @property
    def width(self):
        return self.cell[0] * self.cells.shape[1]

    @property
    def height(self):
        return self.cell[1] * self.cells.shape[0]

    @property
    def lines(self):
        letters = max(6, int(max(self.width + 0.3, 0.9) / LETTER))
        return textwrap.wrap(self.title, letters, break_long_words=False) if self.title else []

    @property
    def column(self):
        """Inches across, with the title."""
        return max([self.width, *(LETTER * len(line) for line in self.lines)])

    def corner(self, row, column):
        return self.left + column * self.cell[0], self.top - (row + 1) * self.cell[1]


def number_grids(
    grids, arrows=(), *, windows=None, marks=None, colours=None, shades=(), title="", columns=None
):
    """Draws small arrays with coloured cells, and arrows between them: what is done by hand.

    Colours say what belongs together: the first window of one grid has the colour of the first
    window of every other, and so have the first marks.

    Args:
        grids: {title: array}, of two axes (one is taken for a row). Numbers, booleans or words;
            `nan`, `None` and `""` are empty cells. A title that ends in spaces is another title.
        arrows: Words on the arrow from each grid to the next, as many as there are gaps; `""` for
            an arrow without words, `None` for no arrow. A sign, such as "+", "*" or "=", is drawn
            without an arrow.
        windows: {title: [(top, left, height, width)]}, framed in the first, second, … colour and
            tinted; `None` in the list skips a colour.
        marks: {title: [cell or list of cells]}, filled with the first, second, … colour; a cell is
            `(row, column)`.
        colours: {number or word: colour}, how every cell that holds it is filled, such as classes
            in a label map. A colour is one of Matplotlib's, or `(red, green, blue)` from 0 to 255.
        shades: Titles of the grids whose larger numbers have darker cells.
        title: What all of them show.
        columns: Grids a row; by default as many as fit.

    Returns:
        A Matplotlib `Figure`, at most 7.3 inches wide if one grid is not wider.

    Raises:
        ValueError: arrays of more than two axes, another number of arrows than of gaps, a window
            or a mark outside its grid or of a title that no grid has.

    Example: max pooling, with one window and its maximum.

    >>> figure = number_grids(
    ...     {"feature map": [[1, 3, 2, 0], [4, 9, 1, 1]], "pooled": [[9, 2]]},
    ...     ["max"],
    ...     windows={"feature map": [(0, 0, 2, 2)], "pooled": [(0, 0, 1, 1)]},
    ...     marks={"feature map": [(1, 1)]},
    ... )
    """
    windows, marks, colours = windows or {}, marks or {}, colours or {}
    drawn = [grid_of(name, array) for name, array in grids.items()]
    check(drawn, arrows, windows, marks, shades)
    arrows = list(arrows) or [None] * (len(drawn) - 1)
    width, height, placed_arrows = place(in_rows(drawn, arrows, columns))
    title = textwrap.wrap(title, int(width / LETTER))
    above = LINE * len(title) + MARGIN if title else 0
    figure = LineArt(figsize=(width, height + above))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(-height, above))
    axes.axis("off")
    for grid in drawn:
        fills = fills_of(grid, windows, marks, colours, grid.title in shades)
        draw_grid(axes, grid, fills, windows.get(grid.title, ()))
    for (left, right, y), words in placed_arrows:
        draw_arrow(axes, left, right, y, words)
    style = {"ha": "center", "va": "top", "weight": "bold", "color": INK}
    axes.text(width / 2, above - MARGIN, "\n".join(title), fontsize=TITLE_SIZE, **style)
    return figure


def grid_of(name, array):
    array = np.asarray(array)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(
            "Every array must have rows and columns, `np.squeeze` takes away a batch and a channel "
            f"of one. Received: grids[{name!r}] of shape {array.shape}"
        )
    cells = np.array([[written(value) for value in row] for row in array], object)
    letters = max(len(text) for text in cells.ravel())
    return Grid(name, cells, (max(CELL, LETTER * letters + 0.12), CELL))


def written(value):
    """A number in at most two decimals; nothing for what is not there."""
    if isinstance(value, (float, np.floating)):
        text = f"{value:.2f}".rstrip("0").rstrip(".").replace("nan", "")
        text = "0" if text == "-0" else text
    elif isinstance(value, (bool, np.bool_)):
        text = str(int(value))
    else:
        text = "" if value is None else str(value)
    return re.sub(r"^-(?=\d)", "−", text)


def check(grids, arrows, windows, marks, shades):
    if arrows and len(arrows) != len(grids) - 1:
        raise ValueError(
            f"`arrows` must have one entry for each of the {len(grids) - 1} gaps between grids, "
            f"`None` for no arrow. Received: arrows={list(arrows)}"
        )
    by_title = {grid.title: grid for grid in grids}
    for name, given in (("windows", windows), ("marks", marks), ("shades", shades)):
        unknown = [title for title in given if title not in by_title]
        if unknown:
            raise ValueError(
                f"`{name}` must name titles of `grids`, {list(by_title)}. "
                f"Received: {name}={unknown}"
            )
    for title, given in windows.items():
        for window in filter(None, given):
            check_inside("windows", by_title[title], window, window)
    for title, given in marks.items():
        for cell in (cell for group in given for cell in cells_of(group)):
            check_inside("marks", by_title[title], (*cell, 1, 1), cell)


def check_inside(name, grid, window, received):
    top, left, height, width = window
    rows, columns = grid.cells.shape
    if min(top, left, height - 1, width - 1) < 0 or top + height > rows or left + width > columns:
        raise ValueError(
            f"`{name}` must lie within the {rows} rows and {columns} columns of {grid.title!r}. "
            f"Received: {name}={received}"
        )


def cells_of(group):
    """The cells of a mark: one `(row, column)`, or a list of them; none for `None`."""
    if group is None:
        return []
    return [group] if np.ndim(group) == 1 and len(group) == 2 else list(group)


def is_sign(words):
    return re.fullmatch(r"[^\w\s]{1,2}", words)


def gap_of(words, is_first):
    """Inches in front of a grid with these words on the arrow to it."""
    if words is None:
        return 0.0 if is_first else 0.3
    if is_sign(words):
        return 0.4
    longest = max((len(line) for line in arrow_lines(words)), default=0)
    return max(0.5, LETTER * longest + 0.3)


def arrow_lines(words):
    return textwrap.wrap(words, 12, break_long_words=False)


def in_rows(grids, arrows, columns):
    """Rows of `(grid, words on the arrow to it)` that are no wider than a page."""
    rows, used = [[]], 0.0
    for grid, words in zip(grids, [None, *arrows]):
        needed = grid.column + gap_of(words, is_first=not rows[-1])
        is_full = len(rows[-1]) == columns or used + needed > WIDEST - 2 * MARGIN
        if rows[-1] and is_full:
            rows.append([])
            used, needed = 0.0, grid.column + gap_of(words, is_first=True)
        rows[-1].append((grid, words))
        used += needed
    return rows


def place(rows):
    """Puts the grids where they go; returns the figure's width, height and its arrows."""
    width, y, arrows = 0.0, -MARGIN, []
    for row in rows:
        tall = max(grid.height for grid, _ in row)
        words_above = max(len(grid.lines) for grid, _ in row) * LINE
        arrow_words = max(len(arrow_lines(words or "")) for _, words in row) * LINE + 0.1
        middle = y - max(words_above + tall / 2, arrow_words)
        x = MARGIN
        for i, (grid, words) in enumerate(row):
            gap = gap_of(words, is_first=i == 0)
            if words is not None:
                arrows.append(((x + GAP / 2, x + gap - GAP / 2, middle), words))
            grid.left = x + gap + (grid.column - grid.width) / 2
            grid.top = middle + grid.height / 2
            x += gap + grid.column
        width, y = max(width, x), middle - tall / 2 - 2 * MARGIN
    return width + MARGIN, -y - MARGIN, arrows


def fills_of(grid, windows, marks, colours, is_shaded):
    """The colour of every cell."""
    fills = np.full(grid.cells.shape, PAPER, object)
    if is_shaded:
        numbers = np.array([[as_number(text) for text in row] for row in grid.cells])
        shares = np.abs(numbers) / max(np.nanmax(np.abs(numbers)), 1e-9)
        for place, share in np.ndenumerate(shares):
            fills[place] = PAPER if np.isnan(share) else tint(CURVES[0], 0.75 * share)
    by_text = {written(value): colour for value, colour in colours.items()}
    for place, text in np.ndenumerate(grid.cells):
        if text in by_text:
            colour = by_text[text]
            is_bytes = not isinstance(colour, str) and max(colour) > 1
            fills[place] = to_hex(np.divide(colour, 255) if is_bytes else colour)
    for i, window in enumerate(windows.get(grid.title, ())):
        if window is not None and not is_shaded:
            top, left, height, width = window
            area = fills[top : top + height, left : left + width]
            area[area == PAPER] = tint(CURVES[i % len(CURVES)], 0.2)
    for i, group in enumerate(marks.get(grid.title, ())):
        for cell in cells_of(group):
            fills[tuple(cell)] = tint(CURVES[i % len(CURVES)], 0.75)
    return fills


def as_number(text):
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        return np.nan


def tint(colour, strength):
    return to_hex(1 - strength * (1 - np.array(to_rgb(colour))))


def draw_grid(axes, grid, fills, windows):
    wide, tall = grid.cell
    for place, text in np.ndenumerate(grid.cells):
        left, bottom = grid.corner(*place)
        dash = ":" if text == "" else "-"
        style = {"facecolor": fills[place], "edgecolor": RULE, "linewidth": 0.8, "linestyle": dash}
        axes.add_patch(Rectangle((left, bottom), wide, tall, **style))
        light = np.dot(to_rgb(fills[place]), (0.2126, 0.7152, 0.0722))
        ink = INK if light > 0.35 else PAPER
        centre = {"ha": "center", "va": "center_baseline", "fontsize": FONT_SIZE, "color": ink}
        axes.text(left + wide / 2, bottom + tall / 2, text, **centre)
    for i, window in enumerate(windows):
        if window is not None:
            top, left, height, width = window
            corner = grid.corner(top + height - 1, left)
            style = {"edgecolor": CURVES[i % len(CURVES)], "linewidth": 2.4, "zorder": 3}
            size = (width * wide, height * tall)
            axes.add_patch(Rectangle(corner, *size, fill=False, joinstyle="miter", **style))
    middle = grid.left + grid.width / 2
    for i, line in enumerate(reversed(grid.lines)):
        y = grid.top + 0.05 + LINE * i
        axes.text(middle, y, line, ha="center", va="bottom", fontsize=TITLE_SIZE, color=INK)


def draw_arrow(axes, left, right, y, words):
    middle = (left + right) / 2
    if is_sign(words):
        style = {"ha": "center", "va": "center", "fontsize": 1.5 * FONT_SIZE, "color": INK}
        axes.text(middle, y, words.replace("*", "∗"), **style)
        return
    style = {"arrowstyle": "-|>", "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0}
    arrow = FancyArrowPatch((left, y), (right, y), color=INK, linewidth=1.4, **style)
    axes.add_patch(arrow)
    text = "\n".join(arrow_lines(words))
    axes.text(middle, y + 0.07, text, ha="center", va="bottom", fontsize=TITLE_SIZE, color=INK)
