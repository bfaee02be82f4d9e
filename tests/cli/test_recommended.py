"""`kerasseg train DIR` without options: what is recommended, and what an earlier run had."""

import json
import shlex

import pytest

from kerasseg.cli.recommended import BEFORE, complete, output_of
from kerasseg.datasets.recommend import recommend
from kerasseg_command.main import parse
from tests.datasets.folders import ids, make_folder

OFF = ("flips", "turns")  # the command does not name them unless they are on


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "cells", [ids(i, classes=2) for i in range(8)])


def test_options_that_are_left_open_are_those_that_check_recommends(kerasseg, folder, capsys):
    assert kerasseg("check", folder) == 0
    last = capsys.readouterr().out.split("Recommended on this machine: ")[1].splitlines()
    pasted, options = parse(shlex.split(last[0])[1:]), parse(["train", str(folder)])
    assert len(last) == 1 + len(recommend(folder))
    complete(options)
    for name in BEFORE:
        said = getattr(pasted, name)
        said = tuple(said) if isinstance(said, list) else said
        assert getattr(options, name) == (False if said is None and name in OFF else said)
    assert options.patch is None
    assert options.image_size == (32, 32)  # of images of 6 x 9


def test_what_is_given_stays(folder):
    options = parse(["train", str(folder), "--patch", "64", "96", "--epochs", "3", "--turns"])
    complete(options)
    assert (options.patch, options.image_size) == ([64, 96], None)
    assert (options.epochs, options.steps, options.turns) == (3, None, True)


def test_no_file_is_read_for_advice_where_size_and_length_are_given(folder, monkeypatch):
    monkeypatch.setattr("kerasseg.cli.recommended.recommend", lambda *_: pytest.fail("advice"))
    for words in (["--patch", "64", "96"], ["--image-size", "64", "96"]):
        options = parse(["train", str(folder), *words, "--epochs", "3"])
        complete(options)
        assert (options.batch_size, options.steps, options.turns) == (8, None, False)


def test_an_earlier_run_goes_on_with_its_own_options(folder):
    options = parse(["train", str(folder), "--epochs", "70"])
    complete(options, {"settings": {"image_size": [96, 128], "batch_size": 3, "epochs": 60}})
    assert (options.image_size, options.batch_size, options.epochs) == ([96, 128], 3, 70)
    assert (options.patch, options.steps, options.flips) == (None, None, False)


def test_a_folder_that_cannot_be_read_is_left_to_load(tmp_path):
    options = parse(["train", str(tmp_path / "none")])
    complete(options)
    assert {name: getattr(options, name) for name in BEFORE} == BEFORE


def test_the_run_lies_in_runs_unless_it_is_named(folder):
    assert output_of(parse(["train", str(folder)])) == "runs/cells"
    assert output_of(parse(["train", str(folder), "--output", "x"])) == "x"


def test_a_training_on_parts_goes_from_the_folder_to_the_report_and_goes_on(
    kerasseg, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["--model", "segnet_basic", "--width", 0.05, "--patch", 16, 16, "--batch-size", 2]
    words += ["--steps", 3, "--flips", "--turns"]
    assert kerasseg("train", folder, *words, "--epochs", 1) == 0
    run = tmp_path / "runs" / "cells"
    assert (run / "report.html").is_file()
    settings = json.loads((run / "run.json").read_text())["settings"]
    assert (settings["patch"], settings["steps"], settings["image_size"]) == ([16, 16], 3, None)
    assert "batches in an epoch: 3" in capsys.readouterr().out
    # Another process, after more epochs, with nothing said again.
    assert kerasseg("train", folder, *words[:4], "--epochs", 2) == 0
    assert len(json.loads((run / "run.json").read_text())["history"]) == 2
    assert kerasseg("evaluate", run / "best.keras", folder, "--json") == 0
