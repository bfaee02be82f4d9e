"""The lessons, from their notebooks with the stored outputs; and their figures for the gallery."""

import ast
import base64
import html
import json
import re
from typing import NamedTuple

from generate import links
from generate.repository import CHAPTERS, DOCS
from kerasseg.cli.chapters import read_lesson

NOTEBOOKS = CHAPTERS / "notebooks"
KINDS = {  # what a function of kerasseg.figures draws, for readers who cannot see it
    "architecture": "Drawing of a network",
    "bars_with_ranges": "Bars",
    "image_rows": "Rows of images",
    "influence_map": "Map of influence",
    "label_overlay": "Images with their label maps",
    "learning_curves": "Learning curves",
    "lines": "Curves",
    "number_grids": "Grids of numbers",
    "pairs": "Images and what belongs to them",
    "panels": "Images side by side",
    "per_class_bars": "Bars, one for each class",
    "predictions": "Images, true label maps and predicted ones",
    "scatter": "Points in a plane",
}
EXPLANATIONS = {  # lesson: {heading: the explanation behind its first figure or its end}
    "ch02_receptive_field": {"How the field grows": "receptive_field"},
    "ch04_upsampling": {
        "Uneven overlap and the checkerboard": "transposed_convolution",
        "Two conventions: `align_corners`": "align_corners",
    },
    "ch05_unpooling": {"Max unpooling by hand": "pooling"},
    "ch07_latent_space": {"Look: a map of all digits": "vae_plane"},
}


class Figure(NamedTuple):
    """A figure of a lesson.

    Attributes:
        name: The file's name, such as "ch05_unpooled.png".
        lesson: The lesson's name, such as "ch05_unpooling".
        heading: The heading under which it stands.
        alt: What it shows, in words.
        caption: What to look at, as Markdown.
        code: The cell that draws it.
    """

    name: str
    lesson: str
    heading: str
    alt: str
    caption: str
    code: str


def all_lessons():
    """{name of a lesson: its title, sentence and time}, in order."""
    return {path.stem: read_lesson(path) for path in sorted(CHAPTERS.glob("ch[0-9]*.py"))}


def write(site):
    """Writes the notebooks and their figures, and returns the figures."""
    figures = []
    for name in all_lessons():
        notebook, found = page(name, site)
        path = site / "lessons" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook), "utf-8")
        figures += found
    return figures


def page(name, site):
    """A notebook as the site shows it, and its figures."""
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    explanations = dict(EXPLANATIONS.get(name, {}))
    heading, cells, figures = "", [], []
    for cell in notebook["cells"][1:]:  # the first one installs the package in Colab
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+ (.+)$", source, re.MULTILINE)
            if headings and heading in explanations:  # a section without a figure
                cells.append(markdown(explanation(explanations.pop(heading))))
            cells.append({**cell, "source": links.rewrite(source, path, site)})
            heading = [heading, *headings][-1]
            continue
        drawn = list(take_figures(cell, name, heading, site))
        cells.append(cell)
        for figure in drawn:
            text = links.directive(f"/figures/{figure.name}", figure.alt, figure.caption)
            cells.append(markdown(text))
        if drawn and heading in explanations:
            cells.append(markdown(explanation(explanations.pop(heading))))
        figures += drawn
    if name in EXPLANATIONS:
        cells.append(markdown('<script src="../explain/explain.js"></script>'))
    if explanations:
        raise SystemExit(f"{name} has no headings {list(explanations)}.")
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {**notebook, "cells": cells}, figures


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def take_figures(cell, lesson, heading, site):
    """Takes the images and captions out of a cell's outputs, and writes the images."""
    code = "".join(cell["source"])
    calls = iter(figure_calls(code))
    kept, outputs = [], iter(cell["outputs"])
    for output in outputs:
        data = output.get("data", {})
        if "image/png" not in data:
            kept.append(output)
            continue
        caption = "".join(next(outputs)["data"]["text/markdown"]).strip().strip("*")
        name, drawn = next(calls)
        path = site / "figures" / f"{lesson[:4]}_{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode("".join(data["image/png"])))
        yield Figure(path.name, lesson, heading, f"{drawn}. {caption}", caption, code)
    cell["outputs"] = kept


def figure_calls(code):
    """(name, what is drawn) of every `lesson.figure(figures.kind(...), name, ...)` in a cell."""
    for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", code, flags=re.MULTILINE))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lesson.figure":
            drawn = [
                call.func.attr
                for call in ast.walk(node.args[0])
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            ]
            kind = next((KINDS[name] for name in drawn if name in KINDS), "Figure")
            labels = [
                key.value
                for part in ast.walk(node.args[0])
                if isinstance(part, ast.Dict)
                for key in part.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
            labels = list(dict.fromkeys(labels))
            yield (
                ast.literal_eval(node.args[1]),
                f"{kind}: {', '.join(labels)}" if labels else kind,
            )


def explanation(name):
    """The place of an interactive explanation, with its image for readers without scripts."""
    path = DOCS / "explain" / f"{name}.html"
    if not path.exists():
        return ""
    image, alt = re.search(r'<img src="([^"]+)" alt="([^"]+)"', path.read_text("utf-8")).groups()
    return (
        f'<div class="explain" data-explain="{html.escape(name)}">'
        f'<img src="../explain/{image}" alt="{alt}" loading="lazy"></div>'
    )
