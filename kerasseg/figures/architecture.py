"""A drawing of a model, made from its graph."""

from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path

from kerasseg.figures.line_art import LineArt
from kerasseg.figures.model_layout import FONT_SIZE, LINE, PAD, lay_out, size_of
from kerasseg.figures.model_stages import stages_of

MARGIN = 0.08  # inches
INK = "#333333"
FILLS = {
    "input": "#d9d9d9",
    "conv": "#a6cee3",
    "dilated": "#cab2d6",
    "dense": "#fdd49e",
    "skip": "#ffffff",
    "pool": "#fbb99a",
    "up": "#b2dfb0",
    "unpool": "#ffffff",
    "concat": "#b2dfb0",
    "sum": "#ffe28a",
    "other": "#eeeeee",
}
ARROWS = {
    "forward": (INK, "-"),
    "pool": ("#d55e00", "-"),
    "up": ("#00804f", "-"),
    "skip": ("#0072b2", "-"),
    "mask": ("#cc3399", (0, (3, 2))),
}
BOX_WORDS = {
    "conv": "convolution",
    "dilated": "dilated convolution",
    "dense": "fully connected",
    "pool": "pooled",
    "up": "enlarged",
    "unpool": "unpooled, mostly zeros",
    "concat": "concatenated",
    "sum": "sum",
}
ARROW_WORDS = {
    "pool": "pooling or stride",
    "up": "upsampling",
    "skip": "skip connection",
    "mask": "pooling mask",
}


def architecture(model, input_size=(256, 256), legend=True):
    """Draws a model from its graph: feature maps as boxes, and what leads from one to the next.

    A box is as high as its map and as wide as its channels, both on a scale that keeps small maps
    visible. Maps of one size form one row, the largest on top; an autoencoder without skip
    connections is drawn on one line, as an hourglass. The names are those of the layers, without
    what follows the stage: the layers `encoder3_conv1` and `encoder3_conv2` are two boxes named
    encoder3. Normalisations, activations, dropout and cropping have no boxes, and a stage of
    residual or dense blocks is one box. The drawing reads the graph alone: the weights need not
    exist.

    Args:
        model: A functional or Sequential `keras.Model`.
        input_size: `(height, width)`, for a model that takes any size.
        legend: Whether the colours of boxes and arrows are explained below.

    Returns:
        A Matplotlib `Figure`, its text of 9 points. `figure.savefig("unet.svg")` gives line art.

    Raises:
        ValueError: a model whose graph cannot be read, or whose channels are not known.
    """
    drawing = lay_out(stages_of(model, input_size))
    left, bottom, right, top = drawing.extent
    left, right, top = left - MARGIN, right + MARGIN, top + MARGIN
    entries = legend_of(drawing, right - left) if legend else []
    bottom -= MARGIN + (LINE * (0.6 + 1.35 * len(entries)) if entries else 0)
    figure = LineArt(figsize=(right - left, top - bottom))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.axis("off")
    for box in drawing.boxes:
        draw_box(axes, box)
    for arrow in drawing.arrows:
        draw_arrow(axes, arrow.points, arrow.kind)
    for words in drawing.words:
        draw_words(axes, words)
    draw_legend(axes, entries, left + MARGIN, bottom + MARGIN)
    return figure


def draw_box(axes, box):
    left, bottom, _, _ = box.extent
    shares, kinds = [1.0], [box.map.kind]
    if box.map.kind == "concat" and len(box.map.parts) == len(box.map.sources):
        shares = [part / sum(box.map.parts) for part in box.map.parts]
        kinds = ["concat" if kind == "up" else "skip" for kind in box.map.sources.values()]
    for share, kind in zip(shares, kinds):
        add_rectangle(axes, left, bottom, share * box.width, box.height, kind)
        left += share * box.width


def add_rectangle(axes, left, bottom, width, height, kind):
    style = {"facecolor": FILLS[kind], "edgecolor": INK, "linewidth": 0.8}
    hatch = {"hatch": "......"} if kind == "unpool" else {}
    axes.add_patch(Rectangle((left, bottom), width, height, **style, **hatch))


def draw_arrow(axes, points, kind):
    colour, dash = ARROWS[kind]
    axes.plot(*zip(*points), color=colour, linewidth=1.3, linestyle=dash)
    head = {"arrowstyle": "-|>", "mutation_scale": 10, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(path=Path(points[-2:]), color=colour, linewidth=0, **head))


def draw_words(axes, words):
    left, _, right, top = words.extent
    x = {"left": left, "center": (left + right) / 2, "right": right}[words.align]
    style = {"ha": words.align, "va": "baseline", "fontsize": FONT_SIZE, "color": INK}
    for i, line in enumerate(words.text.split("\n")):
        weight = "bold" if i < words.bold else "normal"
        axes.text(x, top - LINE * (i + 0.78), line, weight=weight, **style)


def legend_of(drawing, width):
    """Lines of `("box" | "arrow", kind, text)` of what occurs, each line within the width."""
    kinds = {box.map.kind for box in drawing.boxes}
    entries = [("box", kind, text) for kind, text in BOX_WORDS.items() if kind in kinds]
    kinds = {arrow.kind for arrow in drawing.arrows}
    entries += [("arrow", kind, text) for kind, text in ARROW_WORDS.items() if kind in kinds]
    lines, used = [], width
    for entry in entries:
        needed = 0.4 + size_of(entry[2])[0]
        if used + needed > width - 2 * MARGIN:
            lines.append([])
            used = 0
        lines[-1].append((*entry, used))
        used += needed + 0.05
    return lines


def draw_legend(axes, lines, left, bottom):
    for row, line in enumerate(reversed(lines)):
        y = bottom + LINE * (1.35 * row + 0.5)
        for shape, kind, text, offset in line:
            x = left + offset
            if shape == "box":
                add_rectangle(axes, x + 0.08, y - 0.06, 0.14, 0.12, kind)
                if kind == "concat":
                    add_rectangle(axes, x + 0.08, y - 0.06, 0.07, 0.12, "skip")
            else:
                draw_arrow(axes, [(x, y), (x + 0.26, y)], kind)
            axes.text(x + 0.26 + PAD, y, text, fontsize=FONT_SIZE, color=INK, va="center_baseline")
