"""Every chapter has its notebook, as `chapters/notebooks/make.py` makes it, and it runs."""

import json
import os
import runpy
import shlex
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "chapters" / "notebooks"
MAKE = runpy.run_path(str(NOTEBOOKS / "make.py"))
SCRIPTS = MAKE["SCRIPTS"]
NOWHERE = "http://127.0.0.1:9"  # a proxy that answers nobody: a download fails at once

each_chapter = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def path_of(script):
    return NOTEBOOKS / f"{script.stem}.ipynb"


def test_every_notebook_has_its_script():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} <= {script.stem for script in SCRIPTS}


@each_chapter
def test_notebook_is_what_the_command_makes_of_the_script(script):
    assert path_of(script).is_file(), "missing: python chapters/notebooks/make.py"
    text = path_of(script).read_text("utf-8")
    assert text == MAKE["notebook"](script), "stale: python chapters/notebooks/make.py"


@each_chapter
def test_notebook_installs_in_colab_then_holds_the_scripts_lines_and_no_output(script):
    first, *others = json.loads(MAKE["notebook"](script))["cells"]
    assert "%pip install" in "".join(first["source"])
    assert all(cell.get("outputs", []) == [] for cell in others)

    def code(lines):
        return [line for line in lines if line and not line.startswith("#")]

    sources = ["".join(cell["source"]) for cell in others if cell["cell_type"] == "code"]
    assert code("\n".join(sources).splitlines()) == code(script.read_text().splitlines())


@pytest.mark.slow
@each_chapter
def test_notebook_runs_offline_and_shows_every_figure(script, scenes_dir, tmp_path):
    words = ["--quick", "--output", str(tmp_path / "out")]
    if "street_scenes" in script.read_text():
        words += ["--data-dir", str(scenes_dir)]
    page = nbformat.read(path_of(script), as_version=4)
    client = NotebookClient(page, timeout=600, resources={"metadata": {"path": tmp_path}})
    ours = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    client.execute(
        env={
            **ours,
            "KERASSEG_CHAPTER_ARGS": shlex.join(words),
            "http_proxy": NOWHERE,
            "https_proxy": NOWHERE,
        }
    )
    outputs = [output for cell in page.cells for output in cell.get("outputs", [])]
    shown = sum("image/png" in output.get("data", {}) for output in outputs)
    errors = [output.text for output in outputs if output.get("name") == "stderr"]
    noise = [text for text in errors if "oneDNN" in text or "absl" in text or "I0000" in text]
    assert noise == []
    assert shown == script.read_text().count("chapter.figure(") > 0
    assert json.loads((tmp_path / "out" / "claims.json").read_text())
