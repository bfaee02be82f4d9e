"""Where things lie in the repository, and parts of its texts."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = ROOT / "chapters"
DOCS = ROOT / "docs"


def read(name):
    """The text of a file, by its path from the root."""
    return (ROOT / name).read_text("utf-8")


def section(name, heading):
    """What a Markdown file says below a heading, down to the next of its level or above."""
    level, rest = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*)", read(name), re.MULTILINE | re.DOTALL
    ).groups()
    fences = rest.split("```")  # a comment in a code block is no heading
    for i in range(0, len(fences), 2):
        end = re.search(rf"^#{{1,{len(level)}}} ", fences[i], re.MULTILINE)
        if end:
            return "```".join([*fences[:i], fences[i][: end.start()]]).strip()
    return rest.strip()


def code_blocks(text):
    """The code blocks of a Markdown text, without their fences."""
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
