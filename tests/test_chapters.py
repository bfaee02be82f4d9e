"""Every lesson is a page as `chapters/README.md` says, and runs with `--quick`; so do solutions."""

import ast
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

from kerasseg.chapter import OPTIONS
from kerasseg.cli.chapters import read_lesson
from tests.chapters.page import CHAPTERS, LESSONS, measure
from tests.conftest import environment

SOLUTIONS = sorted((CHAPTERS / "solutions").glob("ch*.py"))
ORDER = """
    downsampling receptive_field convolutionalization upsampling unpooling autoencoder latent_space
    denoising super_resolution segmentation_data fcn unet unpooling_decoders dilated_networks
    context image_translation
"""

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


def settings_of(path):
    (call,) = (
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Chapter"
    )
    return call


def test_there_are_sixteen_lessons_in_order_each_with_solutions():
    names = [f"ch{i:02}_{name}" for i, name in enumerate(ORDER.split(), 1)]
    assert [path.stem for path in LESSONS] == names
    assert [path.stem for path in SOLUTIONS] == names


@each_lesson
def test_the_first_cell_says_what_one_learns_and_how_long_it_takes(path):
    lesson = read_lesson(path)
    number = int(path.stem[2:4])
    assert re.match(rf"{number} · \w", lesson.title)
    assert lesson.learn.endswith(".")
    assert lesson.time
    first = jupytext.read(path).cells[0].source
    assert "*In the book:* " in first
    assert "*You need:* " in first


@each_lesson
def test_a_lesson_has_the_parts_of_a_lesson(path):
    prose = [c.source for c in jupytext.read(path).cells if c.cell_type == "markdown"]
    headings = re.findall(r"^## (.+)$", "\n".join(prose), re.M)
    assert headings[-3:] == ["Summary", "Exercises", "Further reading"]
    assert len(headings) >= 6
    last = prose[-1]
    exercises = re.findall(r"^\d\. ", last.split("## Exercises")[1], re.M)
    assert 4 <= len(exercises) <= 6
    assert "](https://" in last.split("## Further reading")[1]


@each_lesson
def test_settings_are_few_and_explained(path):
    call = settings_of(path)
    assert call.end_lineno - call.lineno < 5
    names = {keyword.arg for keyword in call.keywords} - {"quick", "choices"}
    assert names - {None} <= {"dataset", "data_dir", "epochs", "image_size"} & OPTIONS.keys()


@each_lesson
def test_cells_are_short_and_the_first_figure_is_early(path):
    measures = measure(path)
    assert measures.longest_cell <= 40
    assert 1 <= measures.first_figure <= 3
    assert measures.words_per_line >= 5


def test_half_of_the_lessons_have_five_figures_and_six_words_per_line_of_code():
    measured = [measure(path) for path in LESSONS]
    assert statistics.median(m.figures for m in measured) >= 5
    assert statistics.median(m.words_per_line for m in measured) >= 6


@each_lesson
def test_every_link_of_a_lesson_leads_to_a_file(path):
    links = re.findall(r"^#.*?\]\((?!\w+:|#)([^)#]+)\)", path.read_text("utf-8"), re.M)
    assert [link for link in links if not (CHAPTERS / link).exists()] == []


def test_the_maps_point_to_headings_and_exercises_of_the_lessons():
    page = (CHAPTERS / "README.md").read_text("utf-8")
    found = re.findall(r"\]\(notebooks/(ch\d\d_\w+)\.ipynb\) (?:\*(.+?)\*|exercise (\d))", page)
    assert len(found) > 60
    wrong = []
    for name, heading, exercise in found:
        text = (CHAPTERS / f"{name}.py").read_text("utf-8")
        if f"\n# ## {heading}\n" not in text and f"\n# {exercise}. " not in text:
            wrong.append((name, heading or f"exercise {exercise}"))
    assert wrong == []


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_answer_every_exercise(path):
    lesson = (CHAPTERS / path.name).read_text("utf-8").split("# ## Exercises")[1]
    exercises = re.findall(r"^# (\d)\. ", lesson.split("# ## Further")[0], re.M)
    answered = re.findall(r"^# ## Exercise (\d)", path.read_text("utf-8"), re.M)
    assert answered == exercises


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [*LESSONS, *SOLUTIONS], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_lesson_runs_from_another_folder_and_makes_its_figures(path, scenes_dir, tmp_path):
    text = path.read_text("utf-8")
    words = ["--quick", "--output", tmp_path / "out"]
    if "street_scenes" in text and re.search(r"data_dir\"?[=:] ?None", text):  # a setting
        words += ["--data-dir", scenes_dir]
    result = subprocess.run(
        [sys.executable, path, *map(str, words)],
        env={**environment("tensorflow"), "MPLBACKEND": "agg"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    made = list((tmp_path / "out").glob("*.png"))
    if path in LESSONS:
        assert len(made) == text.count("lesson.figure(") > 0
    assert all(f"Figure {figure}" in result.stdout for figure in made)


@pytest.mark.slow
def test_no_helper_occurs_in_three_lessons():
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pylint", "--disable=all", "--enable=duplicate-code"),
            *("--min-similarity-lines=6", "--ignore-imports=y", "--output-format=json", *LESSONS),
        ],
        capture_output=True,
        text=True,
    )
    found = [message["message"] for message in json.loads(result.stdout)]
    assert [text for text in found if text.count("==") > 2] == []


def test_the_readmes_example_runs(scenes_dir, tmp_path, monkeypatch):
    readme = Path(__file__).parents[1] / "README.md"
    code = readme.read_text().split("```python\n")[1].split("```")[0]
    for long, short in (("epochs=14", "epochs=1"), ("(96, 128)", "(32, 48)"), ("0.25", "0.05")):
        assert long in code
        code = code.replace(long, short)
    code = code.replace('"street_scenes",', f'"street_scenes", data_dir={str(scenes_dir)!r},')
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    assert names["model"].name == "unet"
