"""Settings, claims and the output folder of a chapter."""

import ast
import datetime
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasseg.chapter import OPTIONS, Chapter


@pytest.fixture
def make(tmp_path, monkeypatch):
    def make(*words, **settings):
        words = words if "--output" in words else (*words, "--output", str(tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", ["chapter.py", *words])
        defaults = {"epochs": 20, "image_size": (96, 128), "data_dir": None, "dataset": "digits"}
        return Chapter(
            "ch00_test",
            "A test",
            quick={"epochs": 1},
            full={"epochs": 300, "dataset": "mnist"},
            choices={"dataset": ("digits", "mnist")},
            **{**defaults, **settings},
        )

    return make


def test_settings_are_the_defaults_without_arguments(make):
    settings = make().settings
    assert (settings.epochs, settings.image_size, settings.quick) == (20, (96, 128), False)


def test_the_command_line_wins_over_quick_which_wins_over_the_defaults(make):
    assert make("--quick").settings.epochs == 1
    assert make("--quick", "--epochs", "3").settings.epochs == 3
    assert make("--full").settings.dataset == "mnist"


def test_an_integer_whose_default_is_left_to_the_chapter_is_an_integer(make):
    settings = make(
        "--batch-size", "5", "--code-size", "7", batch_size=None, code_size=None
    ).settings
    assert (settings.batch_size, settings.code_size) == (5, 7)


def test_help_says_what_each_option_is_and_its_default(make, capsys):
    with pytest.raises(SystemExit):
        make("--help", width=0.5)
    text = " ".join(capsys.readouterr().out.split())
    assert "--width WIDTH the network's filters, as a share of its paper's (default: 0.5)" in text
    assert "None" not in text
    assert "False" not in text


def test_every_option_of_every_chapter_is_explained():
    for path in sorted(Path(__file__).parents[1].glob("chapters/ch*.py")):
        (call,) = (
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Chapter"
        )
        names = {keyword.arg for keyword in call.keywords} - {"quick", "full", "choices"}
        assert names <= OPTIONS.keys(), path.name


@pytest.mark.parametrize("writable", [True, False])
def test_in_a_folder_without_write_access_the_output_goes_to_the_cache(
    monkeypatch, tmp_path, writable
):
    monkeypatch.setattr(sys, "argv", ["chapter.py"])
    monkeypatch.setattr("os.access", lambda path, mode: writable)
    monkeypatch.setenv("HOME", str(tmp_path))
    chapter = Chapter("ch00_test", "A test", quick={}, full={})
    expected = "outputs" if writable else str(tmp_path / ".cache" / "kerasseg")
    assert chapter.settings.output == f"{expected}/ch00_test"


@pytest.mark.parametrize("words", ["--epochs 0", "--image-size 64 0", "--seeds 0"])
def test_none_at_all_are_refused(make, capsys, words):
    with pytest.raises(SystemExit):
        make(*words.split(), seeds=2)
    assert "expected a whole number of at least 1. Received: 0" in capsys.readouterr().err


def test_a_measurement_that_is_no_number_is_null_in_the_file(make, tmp_path):
    chapter = make()
    chapter.empirical("none", measured=float("nan"), expected="a score", holds=False, source="")
    chapter.finish()
    assert json.loads((tmp_path / "out" / "claims.json").read_text())[0]["measured"] is None


def test_image_size_takes_height_and_width(make):
    assert make("--image-size", "30", "40").settings.image_size == (30, 40)


def test_an_unknown_choice_is_refused_with_the_choices(make, capsys):
    with pytest.raises(SystemExit):
        make("--dataset", "letters")
    assert "choose from" in capsys.readouterr().err


def test_in_a_notebook_the_environment_stands_for_the_kernels_own_arguments(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", None)
    assert make("--epochs", "7").settings.epochs == 20
    monkeypatch.setenv("KERASSEG_CHAPTER_ARGS", "--quick --data-dir 'my pictures'")
    settings = make("--epochs", "7").settings
    assert (settings.epochs, settings.data_dir) == (1, "my pictures")


def test_on_the_command_line_the_environment_says_nothing(make, monkeypatch):
    monkeypatch.setenv("KERASSEG_CHAPTER_ARGS", "--quick")
    assert make().settings.epochs == 20


def test_nothing_is_written_before_there_is_something_to_write(make, tmp_path):
    make()
    assert not (tmp_path / "out").exists()


def test_claims_are_written_as_the_design_says(make, tmp_path):
    chapter = make()
    chapter.exact("a count", measured=np.int64(3), expected=3, source="paper", unit="weights")
    chapter.empirical(
        "a score",
        measured=np.float32(0.5),
        expected="above 0.9",
        holds=False,
        spread=0.1,
        source="book",
    )
    chapter.finish()
    exact, empirical = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert exact == {
        "chapter": "ch00_test",
        "claim": "a count",
        "kind": "exact",
        "expected": 3,
        "measured": 3,
        "spread": None,
        "unit": "weights",
        "holds": True,
        "source": "paper",
    }
    assert (empirical["holds"], empirical["spread"], empirical["kind"]) == (False, 0.1, "empirical")


def test_a_results_page_says_how_it_was_made_and_shows_claims_and_figures(make, tmp_path):
    chapter = make("--quick", "--image-size", "5", "7", "--data-dir", "/home/somebody/data")
    chapter.figure(Figure(), "picture", "What it shows.")
    chapter.table(("net", "IoU"), [("a", 0.5)], "What it says.")
    chapter.exact("|a|, a count", measured=3000, expected=3000, source="paper", unit="weights")
    chapter.finish()
    page = (tmp_path / "out" / "results.md").read_text()
    command = "python chapters/ch00_test.py --quick --image-size 5 7 --data-dir PATH"
    for line in (
        "# A test",
        f"- command: `{command}`",
        f"- date: {datetime.date.today().isoformat()}",
        "| a | 0.5 |",
        "What it says.",
        "| holds | /a/, a count | 3,000 | 3,000 weights |",
        "![picture](picture.png)",
        "What it shows.",
    ):
        assert line in page.splitlines()
    assert f"keras {keras.__version__}" in page


def test_an_exact_claim_that_does_not_hold_fails_the_script_after_writing(make, tmp_path, capsys):
    chapter = make()
    chapter.exact("two and two", measured=5, expected=4, source="arithmetic")
    with pytest.raises(SystemExit, match="does not hold: two and two"):
        chapter.finish()
    assert json.loads((tmp_path / "out" / "claims.json").read_text())[0]["holds"] is False
    assert "FAILS" in capsys.readouterr().out


def test_a_tolerance_lets_a_measurement_differ_by_as_much(make):
    chapter = make()
    for measured in (1.05, 1.2, float("nan")):
        chapter.exact("near", measured=measured, expected=1.0, tolerance=0.1, source="")
    assert [claim["holds"] for claim in chapter.claims] == [True, False, False]


def test_a_figure_is_saved_with_its_caption(make, tmp_path, capsys):
    make().figure(Figure(), "picture", "What it shows.")
    assert (tmp_path / "out" / "picture.png").stat().st_size > 0
    assert "What it shows." in capsys.readouterr().out
