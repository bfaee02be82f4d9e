"""Settings, claims and the output folder of a chapter."""

import sys

import pytest
from matplotlib.figure import Figure

from kerasseg import chapter
from kerasseg.chapter import Chapter


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setattr(chapter, "run_step_by_step", lambda: None)  # would reach all later tests

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
    assert "--width WIDTH number of filters, as a fraction of the paper's (default: 0.5)" in text
    assert "None" not in text
    assert "False" not in text


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


def test_a_figure_is_saved_with_its_caption(make, tmp_path, capsys):
    make().figure(Figure(), "picture", "What it shows.")
    assert (tmp_path / "out" / "picture.png").stat().st_size > 0
    assert "What it shows." in capsys.readouterr().out


def test_a_lesson_has_no_full_length(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lesson.py", "--full"])
    with pytest.raises(SystemExit):
        Chapter("ch00_test", "A test", quick={})
    assert "unrecognized arguments: --full" in capsys.readouterr().err
