"""`kerasseg chapters`: the book in code, wherever it is installed."""

import re
import runpy
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "chapters", PACKAGE.parent / "chapters")  # installed; beside the source


def run(options):
    found = find_chapters()
    if options.action is None:
        print("\n\n".join(map(entry, found)))
        return 0
    script = choose(found, options.name)
    sys.argv = [str(script), *options.arguments]
    runpy.run_path(str(script), run_name="__main__")
    return 0


class Chapter(NamedTuple):
    """What a script says of itself in its first cell.

    Attributes:
        path: The script.
        title: Its heading, such as "Chapter 11 · U-Net".
        shows: The paragraph under the heading.
        takes: How long it runs, such as "3 to 4 minutes"; empty if it does not say.
    """

    path: Path
    title: str
    shows: str
    takes: str


def find_chapters():
    """The `Chapter`s in order."""
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    return [read_chapter(path) for path in sorted(folder.glob("ch[0-9]*.py"))]


def read_chapter(path):
    cell = path.read_text("utf-8").split("\n# %%")[0]
    lines = [line.removeprefix("#").strip() for line in cell.splitlines()[1:]]
    title, shows, *others = re.split("\n{2,}", "\n".join(lines).strip())
    takes = re.search(r"\bTakes (?:about )?(.+?) on two cores", " ".join(" ".join(others).split()))
    return Chapter(path, title.lstrip("# "), shows, takes[1] if takes else "")


def entry(chapter):
    heading = f"{chapter.path.stem}  {chapter.title}"
    if chapter.takes:
        heading += f" ({chapter.takes})"
    words = " ".join(chapter.shows.split())
    return f"{heading}\n{textwrap.fill(words, 96, initial_indent='    ', subsequent_indent='    ')}"


def choose(found, name):
    """The path of the one chapter whose name is, or starts with, `name`."""
    paths = [c.path for c in found if name and name in (c.path.stem, c.path.stem.split("_")[0])]
    if not paths:
        raise ValueError(
            f"No such chapter. Expected one of {', '.join(c.path.stem for c in found)}. "
            f"Received: {name}"
        )
    return paths[0]
