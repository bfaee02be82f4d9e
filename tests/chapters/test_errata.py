"""What `chapters/errata.md` says is shown by the lines of code under it."""

import re

import pytest

from tests.chapters.page import CHAPTERS

PAGE = (CHAPTERS / "errata.md").read_text("utf-8")
FIRST, *ENTRIES = re.split(r"^### ", PAGE, flags=re.M)


def code_of(text):
    return "".join(re.findall(r"```python\n(.*?)```", text, re.S))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.splitlines()[0][:60])
def test_the_lines_under_an_entry_show_it(entry):
    code = code_of(entry)
    assert "assert" in code
    exec(code_of(FIRST) + code, {})


def test_links_lead_to_files():
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE)
    assert links
    assert [link for link in links if not (CHAPTERS / link).is_file()] == []
