"""Every lesson has its notebook, made by `chapters/notebooks/make.py`, with what it shows."""

import base64
import io
import runpy
import shlex
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.chapters.page import LESSONS

NOTEBOOKS = Path(__file__).parents[1] / "chapters" / "notebooks"
MAKE = runpy.run_path(str(NOTEBOOKS / "make.py"))
CONTENTS = runpy.run_path(str(NOTEBOOKS / "contents.py"))
NOWHERE = "http://127.0.0.1:9"  # a proxy that answers nobody: a download fails at once

each_lesson = pytest.mark.parametrize("script", LESSONS, ids=lambda script: script.stem)


def kept(script):
    path = NOTEBOOKS / f"{script.stem}.ipynb"
    assert path.is_file(), f"missing: python chapters/notebooks/make.py {script.stem}"
    return nbformat.read(path, as_version=4)


def figures_of(page):
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    pictures = [o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(picture))) for picture in pictures]


def figures_made_by(script):
    return script.read_text("utf-8").count("lesson.figure(")


def test_every_notebook_has_its_script():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {path.stem for path in LESSONS}


def test_all_notebooks_together_have_at_most_6_mib():
    assert sum(path.stat().st_size for path in NOTEBOOKS.glob("*.ipynb")) <= 6 * 2**20


@each_lesson
def test_notebook_has_the_cells_of_the_script(script):
    cells = [(cell.cell_type, cell.source) for cell in kept(script).cells]
    made = [(cell.cell_type, cell.source) for cell in MAKE["notebook"](script).cells]
    assert cells == made, f"stale: python chapters/notebooks/make.py {script.stem}"


@each_lesson
def test_notebook_shows_every_figure_and_no_error(script):
    page = kept(script)
    figures = figures_of(page)
    assert len(figures) == figures_made_by(script) > 0
    for figure in figures:
        assert np.asarray(figure.convert("L")).std() > 5
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@each_lesson
def test_links_of_a_notebook_lead_to_files(script):
    for cell in MAKE["notebook"](script).cells:
        for link in MAKE["re"].findall(r"\]\((?!\w+:|#)([^)#]+)", cell.source):
            assert cell.cell_type == "code" or (NOTEBOOKS / link).resolve().exists(), link


def test_the_first_cell_installs_nothing_whose_name_is_not_ours(monkeypatch):
    first = MAKE["notebook"](LESSONS[0]).cells[0].source
    assert "pip install --quiet kerasseg" not in first
    assert "In a clone of kerasseg's repository, `pip install '.[book]'`" in first


def test_with_an_address_the_first_cell_installs_from_there(monkeypatch):
    line = MAKE["FROM_REPOSITORY"].format(address="https://example.org/kerasseg")
    assert line == '%pip install --quiet "kerasseg[book] @ git+https://example.org/kerasseg"'


@pytest.mark.parametrize(("page", "folder"), CONTENTS["PAGES"].items(), ids=str)
def test_the_table_of_lessons_is_up_to_date_and_has_their_pictures(page, folder):
    text = page.read_text("utf-8")
    assert text == CONTENTS["page_with_table"](page, folder), (
        "stale: python chapters/notebooks/contents.py"
    )
    for script in LESSONS:
        assert (page.parent / folder / "pictures" / f"{script.stem}.png").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ch05_unpooling", "ch12_unet"])
def test_notebook_runs_offline_and_shows_every_figure(name, scenes_dir, tmp_path, monkeypatch):
    (script,) = (path for path in LESSONS if path.stem == name)
    words = ["--quick", "--output", str(tmp_path / "out")]
    if "street_scenes" in script.read_text("utf-8"):
        words += ["--data-dir", str(scenes_dir)]
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setenv("http_proxy", NOWHERE)
    monkeypatch.setenv("https_proxy", NOWHERE)
    page = MAKE["notebook"](script)
    MAKE["execute"](page, shlex.join(words))
    assert len(figures_of(page)) == figures_made_by(script)
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
