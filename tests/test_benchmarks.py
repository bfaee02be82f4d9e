"""The tables of the READMEs are those of the measured results."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def readme(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("readme")
    for name in ("readme", "rounds"):
        sys.modules.pop(name, None)


def test_the_tables_hold_what_was_measured(readme, monkeypatch):
    written = {}
    monkeypatch.setattr(Path, "write_text", lambda path, text, *_: written.update({path: text}))
    readme.main()
    assert set(written) == {BENCHMARKS / "README.md", BENCHMARKS.parent / "README.md"}
    for path, text in written.items():
        assert text == path.read_text("utf-8"), f"{path}: run python benchmarks/readme.py"


def test_a_table_without_its_place_is_an_error(readme, tmp_path):
    (tmp_path / "page.md").write_text("no place")
    with pytest.raises(SystemExit, match="needs one line '<!-- benchmark layers -->'"):
        readme.filled(tmp_path / "page.md", "layers", "| a |")
