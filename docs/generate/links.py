"""Links of the repository's texts, which lead to files, become links to the site's pages."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from generate import images, sources
from generate.repository import CHAPTERS, ROOT

PAGES = {  # files and folders with a page of their own, by their path from the root
    "README.md": "index.md",
    "chapters": "lessons/index.md",
    "chapters/README.md": "lessons/index.md",
    "chapters/notebooks": "lessons/index.md",
    "chapters/errata.md": "errata.md",
    "chapters/experiments": "experiments/index.md",
    "chapters/experiments/README.md": "experiments/index.md",
    "chapters/results": "experiments/results.md",
    "chapters/results/README.md": "experiments/results.md",
    "chapters/solutions": "lessons/solutions.md",
    "benchmarks": "benchmarks.md",
    "benchmarks/README.md": "benchmarks.md",
    "docs/design.md": "design.md",
}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
PICTURE = re.compile(r"^!\[[^\]]*\]\(([^)\s]+)\)\n\n(.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
TAG = re.compile(r'<img src="([^"]+)"[^>]*>')


def page_of(path):
    """The page that shows a file or folder of the repository, from the root of the site."""
    name = path.relative_to(ROOT).as_posix()
    if name in PAGES:
        return PAGES[name]
    if path.parent in (CHAPTERS, CHAPTERS / "notebooks") and path.stem.startswith("ch"):
        return f"lessons/{path.stem}.ipynb"
    if path.parent.parent == CHAPTERS / "results" and path.name == "results.md":
        return f"experiments/{path.parent.name}.md"
    return sources.page_of(path)


def rewrite(text, file, site):
    """A Markdown text with its links and images as the site needs them.

    Args:
        text: The text.
        file: The file that it stands in; links start from its folder.
        site: The folder of the pages' sources, into which images are copied.
    """

    def found(target):
        path = Path(os.path.normpath(file.parent / unquote(target)))
        if not path.exists():
            raise SystemExit(f"{file.relative_to(ROOT)} links to {target}, which does not exist.")
        return path

    def image(target):
        path = found(target)
        copy = images.copy(path, site / "images" / path.relative_to(ROOT))
        return f"/{copy.relative_to(site).as_posix()}"

    def link(match):
        mark, words, target = match.groups()
        if mark:
            return f"![{words}]({image(target)})"
        target, _, anchor = target.partition("#")
        if ":" in target or not target:
            return match[0]
        return f"[{words}](/{page_of(found(target))}{'#' + anchor if anchor else ''})"

    def figure(match):
        target, caption = match.groups()
        name = Path(target).stem.replace("_", " ")
        return directive(image(target), f"{name}: {caption}", caption)

    outside_code = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)
    for i in range(0, len(outside_code), 2):
        part = PICTURE.sub(figure, TAG.sub("", outside_code[i]))
        kept = re.split(r"(^```.*?^```)", part, flags=re.MULTILINE | re.DOTALL)
        kept[::2] = [LINK.sub(link, words) for words in kept[::2]]
        outside_code[i] = "".join(kept)
    return "".join(outside_code)


def directive(path, alt, caption):
    """A figure with its caption, loaded when the reader comes near it."""
    return (
        f"```{{figure}} {path}\n:alt: {plain(alt)}\n:loading: lazy\n:class: dark-light\n\n"
        f"{caption}\n```"
    )


def plain(text):
    """Markdown as plain words on one line."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[*`$\\]", "", text).split())
