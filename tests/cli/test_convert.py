"""The command: its words, its exit code, and the way back from predictions."""

import numpy as np
import pytest
from PIL import Image

from kerasseg.cli import main
from tests.datasets.annotations import sources


def test_convert_writes_a_folder_and_says_what_is_in_it(tmp_path, capsys):
    sources.labelme(tmp_path / "s")
    assert main(["convert", str(tmp_path / "s"), "--to", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "LabelMe" in text
    assert f"3 label maps in {tmp_path / 'out'}" in text
    rows = [line.split() for line in text.splitlines()]
    pixels = sum((sources.label_map(name) == 2).sum() for name in sources.SIZES)
    assert ["2", "debris", "2", str(pixels)] in rows


def test_what_is_not_written_is_told_with_exit_code_2(tmp_path, capsys):
    source = sources.yolo(tmp_path / "s")
    (source / "images" / "a.png").write_bytes(b"")
    assert main(["convert", str(source), "--to", str(tmp_path / "out")]) == 2
    assert "ERROR  unreadable files" in capsys.readouterr().out
    assert main(["convert", str(source), "--to", str(source / "out")]) == 2
    assert "which nothing may be written into" in capsys.readouterr().err


def test_advice_names_options_that_exist(tmp_path, capsys):
    sources.yolo(tmp_path / "s")
    (tmp_path / "s" / "a.json").write_text('{"shapes": [], "imagePath": "images/a.png"}')
    assert main(["convert", str(tmp_path / "s"), "--to", str(tmp_path / "out")]) == 2
    assert "Choose one as --format. Received: labelme, yolo" in capsys.readouterr().err
    words = ["convert", str(tmp_path / "s"), "--to", str(tmp_path / "out"), "--format", "yolo"]
    assert main(words) == 0


def test_options_reach_the_conversion(tmp_path):
    path = sources.coco(tmp_path / "s")
    (tmp_path / "s" / "images").rename(tmp_path / "photos")
    (tmp_path / "names.txt").write_text("debris\ncell\n")
    words = ["--images", str(tmp_path / "photos"), "--classes", str(tmp_path / "names.txt")]
    words += ["--unlabelled", "void", "--to", str(tmp_path / "out")]
    assert main(["convert", str(path), *words]) == 0
    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "a.png"))
    np.testing.assert_array_equal(mask, np.array([255, 1, 0])[sources.label_map("a")])


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    tmp_path, capsys, monkeypatch
):
    import sys

    monkeypatch.setitem(sys.modules, "yaml", None)
    source = sources.yolo(tmp_path / "s")
    assert main(["convert", str(source), "--to", str(tmp_path / "out")]) == 2
    assert "PyYAML is needed and not installed" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--to", "source"])
def test_both_places_are_needed(option, capsys):
    words = {"--to": ["convert", "x"], "source": ["convert", "--to", "x"]}[option]
    with pytest.raises(SystemExit):
        main(words)
    assert option in capsys.readouterr().err
