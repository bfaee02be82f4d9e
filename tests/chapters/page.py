"""Lessons as text: their cells, and single functions of theirs. `python -m tests.chapters.page`."""

import ast
import re
import statistics
from pathlib import Path
from typing import NamedTuple

import jupytext
import pytest

from kerasseg.tables import table

CHAPTERS = Path(__file__).parents[2] / "chapters"
LESSONS = sorted(CHAPTERS.glob("ch[0-9]*.py"))


class Measures(NamedTuple):
    """What is counted of a lesson. The first figure is the code cell, from 1, that makes it."""

    words: int
    code: int
    words_per_line: float
    median_cell: float
    longest_cell: int
    figures: int
    first_figure: int
    numbers: int


def functions(name, *wanted):
    """What the imports of a lesson or an experiment and its definitions of these names define.

    Nothing else is run. `name` is `"ch01_downsampling"` or `"experiments/unet"`.
    """
    path = CHAPTERS / f"{name}.py"
    kept = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        or (isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in wanted)
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in wanted)
    ]
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # experiments import the ledger beside them
        exec(compile(ast.Module(kept, []), name, "exec"), names)
    return [names[name] for name in wanted]


def measure(path):
    """The `Measures` of a lesson, its imports and settings not counted as code."""
    cells = jupytext.read(path).cells
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    code = [lines_of(cell.source) for cell in cells if cell.cell_type == "code"]
    explained = [lines for lines in code if not any("Chapter(" in line for line in lines)]
    text = re.sub(
        r"\]\([^)]*\)|```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$", " ", "\n".join(prose), flags=re.S
    )
    body = text.split("## Further reading")[0]
    words = re.findall(r"[A-Za-z][A-Za-z'’-]*", text)
    drawn = [sum(".figure(" in line for line in lines) for lines in code]
    return Measures(
        words=len(words),
        code=sum(map(len, explained)),
        words_per_line=len(words) / sum(map(len, explained)),
        median_cell=statistics.median(map(len, explained)),
        longest_cell=max(map(len, explained)),
        figures=sum(drawn),
        first_figure=next((i for i, count in enumerate(drawn, 1) if count), 0),
        numbers=len(
            re.findall(
                r"(?<![\w.])\d[\d,.]*(?!\w)",
                re.sub(r"^\d+\. |^#.*$|\b[Ll]essons? \d+", "", body, flags=re.M),
            )
        ),
    )


def lines_of(source):
    return [
        line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


if __name__ == "__main__":
    rows = [(path.stem, measure(path)) for path in LESSONS]
    medians = [f"{statistics.median(column):.4g}" for column in zip(*(m for _, m in rows))]
    print(
        table(
            [
                ["lesson", *(name.replace("_", " ") for name in Measures._fields)],
                *([name, *(f"{value:.4g}" for value in m)] for name, m in rows),
                ["median", *medians],
            ]
        )
    )
