"""A page is replaced by a page, and nothing else is."""

import json

import pytest

from kerasseg.training.page_folder import clear_folder, record_files


def make_page(folder, files):
    clear_folder(folder, "record.json")
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("ours")
    (folder / "record.json").write_text(json.dumps({"files": record_files(folder)}))


def test_a_page_is_replaced_by_the_next_one(tmp_path):
    folder = tmp_path / "new" / "page"
    make_page(folder, ["report.html", "pictures/a.png", "pictures/b.png"])
    make_page(folder, ["report.html", "pictures/a.png"])
    assert record_files(folder) == ["pictures/a.png", "record.json", "report.html"]


@pytest.mark.parametrize("name", ["mine.txt", "pictures/mine.png", ".hidden", "record.json"])
def test_files_of_others_are_neither_removed_nor_overwritten(tmp_path, name):
    if name != "record.json":
        make_page(tmp_path, ["report.html", "pictures/a.png"])
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    before = record_files(tmp_path)
    with pytest.raises(ValueError, match=f"holds other files.*Received: {name}. Choose another"):
        clear_folder(tmp_path, "record.json")
    assert record_files(tmp_path) == before
    assert (tmp_path / name).read_text() == "mine"


def test_a_record_that_lists_files_elsewhere_removes_none_of_them(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    folder = tmp_path / "page"
    make_page(folder, ["a.txt"])
    record = folder / "record.json"
    record.write_text(json.dumps({"files": ["a.txt", "../mine.txt", str(tmp_path / "mine.txt")]}))
    clear_folder(folder, "record.json")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert record_files(folder) == []


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "page").write_text("mine")
    with pytest.raises(ValueError, match="is a file, not a folder. Choose another --output"):
        clear_folder(tmp_path / "page", "record.json")
