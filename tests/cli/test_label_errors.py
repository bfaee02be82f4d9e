"""`kerasseg check --model`: the suspects in the terminal and on a page."""

import json
import sys

import pytest
from PIL import Image

from kerasseg.cli import evaluate, label_errors
from kerasseg.models import with_classes
from tests.training.test_label_errors import COLOURS, make_folder, reader, swapped


@pytest.fixture(scope="module")
def swapped_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swapped")
    make_folder(folder / "data", swapped)
    named = with_classes(reader(), ["ground", "cat", "dog"], COLOURS)
    named.save(folder / "reader.keras")
    return folder


def test_the_list_and_the_page_name_image_place_and_classes(
    kerasseg, swapped_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = ["check", swapped_folder / "data", "--model", swapped_folder / "reader.keras"]
    assert kerasseg(*words) == 0
    page = capsys.readouterr().out
    assert "Nothing is wrong." in page
    rows = [line.split() for line in page.splitlines()]
    assert ["1", "images/03.png", "5-25", "8-28", "dog", "cat", "100%", "16.7%"] in rows
    assert page.endswith("The page is label_errors/report.html.\n")
    assert "\x1b" not in page
    html = (tmp_path / "label_errors/report.html").read_text()
    assert "labelled <b>dog</b>, predicted <b>cat</b>" in html
    assert "mean IoU" not in html
    found = json.loads((tmp_path / "label_errors/label_errors.json").read_text())
    assert found["images"] == 10
    assert all((tmp_path / "label_errors" / name).is_file() for name in found["files"])
    assert kerasseg(*words, "--regions", 1) == 0  # replaces the page
    assert (
        len(json.loads((tmp_path / "label_errors/label_errors.json").read_text())["regions"]) == 1
    )
    assert not (tmp_path / "label_errors/pictures/suspect1_image.png").exists()


def test_a_terminal_is_shown_the_crops(kerasseg, swapped_folder, tmp_path, capsys, monkeypatch):
    words = ["check", swapped_folder / "data", "--model", swapped_folder / "reader.keras"]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert kerasseg(*words, "--output", tmp_path / "page") == 0
    page = capsys.readouterr().out
    assert "1  images/03.png: image, label, prediction\n\x1b[38;2;" in page


def test_damaged_pairs_are_reported_and_left_out(kerasseg, swapped_folder, tmp_path, capsys):
    make_folder(tmp_path / "data", swapped)
    (tmp_path / "data/images/05.png").write_bytes(b"")
    words = ["check", tmp_path / "data", "--model", swapped_folder / "reader.keras"]
    assert kerasseg(*words, "--output", tmp_path / "page") == 2
    page = capsys.readouterr().out
    assert "ERROR  unreadable files" in page
    assert "images/03.png" in page
    assert json.loads((tmp_path / "page/label_errors.json").read_text())["images"] == 9


@pytest.mark.parametrize("output", ["data", "data/page", "mine"])
def test_the_page_goes_neither_into_the_data_nor_among_files_of_others(
    kerasseg, swapped_folder, tmp_path, capsys, output
):
    make_folder(tmp_path / "data", count=5)
    (tmp_path / "mine").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "mine/report.png")
    before = sorted(tmp_path.rglob("*"))
    words = ["check", tmp_path / "data", "--model", swapped_folder / "reader.keras"]
    assert kerasseg(*words, "--output", tmp_path / output) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_other_classes_is_one_line(kerasseg, model_file, swapped_folder, capsys):
    assert kerasseg("check", swapped_folder / "data", "--model", model_file) == 2
    error = capsys.readouterr().err
    assert "has 11 classes" in error
    assert "have 3 (ground, cat, dog)" in error


def test_models_are_loaded_as_evaluate_loads_them():
    assert label_errors.loaded is evaluate.loaded
