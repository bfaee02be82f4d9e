"""The command line: exit codes, one clear error, help with an example."""

import io
import subprocess
import sys

import pytest
from PIL import Image

from kerasseg import cli
from tests.conftest import environment


def test_check_prints_the_report_and_exits_with_0_when_nothing_is_wrong(camvid_dir, capsys):
    assert cli.main(["check", str(camvid_dir)]) == 0
    page, errors = capsys.readouterr()
    assert page.startswith(f"{camvid_dir}\ntrain/ and trainannot/, as in CamVid")
    assert "Nothing is wrong." in page
    assert errors == ""  # no progress bar where nobody watches


def test_check_prints_into_any_stream(camvid_dir, monkeypatch):
    page = io.StringIO()
    monkeypatch.setattr("sys.stdout", page)
    assert cli.main(["check", str(camvid_dir)]) == 0
    assert "Nothing is wrong." in page.getvalue()


def test_check_exits_with_1_for_warnings(camvid_dir, capsys):
    Image.new("RGB", (12, 9)).save(camvid_dir / "train" / "train_03.png")
    assert cli.main(["check", str(camvid_dir)]) == 1
    assert "WARNING  constant images\n  train/train_03.png: every" in capsys.readouterr().out


def test_check_exits_with_2_for_errors(camvid_dir, capsys):
    (camvid_dir / "train" / "train_03.png").write_bytes(b"")
    assert cli.main(["check", str(camvid_dir)]) == 2
    assert "ERROR  unreadable files\n  train/train_03.png: cannot be" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_one_clear_error_and_2(tmp_path, capsys):
    assert cli.main(["check", str(tmp_path / "gone")]) == 2
    page, errors = capsys.readouterr()
    assert page == ""
    assert errors.startswith(f"kerasseg: error: No images in {tmp_path}/gone. Expected images/")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]])
def test_help_names_the_commands_and_shows_an_example(arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(arguments)
    assert leaving.value.code == 0
    page = capsys.readouterr().out
    assert "Says in words what is wrong with a folder" in page
    assert "kerasseg check data/camvid" in page


@pytest.mark.parametrize("arguments", [[], ["chek"], ["check"]])
def test_wrong_arguments_exit_with_2_and_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(arguments)
    assert leaving.value.code == 2
    errors = capsys.readouterr().err
    assert errors.startswith("kerasseg")
    assert errors.endswith("--help` shows an example.\n")
    assert errors.count("\n") == 1


def test_a_file_name_that_no_terminal_can_show_is_printed_all_the_same(camvid_dir):
    (camvid_dir / "train" / "\udcff\udcfe.txt").write_text("")
    result = subprocess.run(
        [sys.executable, "-m", "kerasseg_command", "check", str(camvid_dir)],
        env={**environment("tensorflow"), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1, result.stderr
    assert "\\udcff\\udcfe.txt" in result.stdout
    assert "pictures/s" not in result.stderr
