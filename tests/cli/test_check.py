"""`kerasseg check` and what `train` and `evaluate` say about a folder."""

import os
import subprocess
import sys

import pytest

from tests.datasets.folders import ids, make_folder


def test_masks_of_0_and_255_are_one_line_and_exit_code_0(kerasseg, tmp_path, capsys):
    path = make_folder(tmp_path, [255 * ids(i, classes=2) for i in range(5)])
    assert kerasseg("check", path) == 0
    printed = capsys.readouterr().out
    assert "masks of binary 0/255: 0 is background, 255 is foreground" in printed
    assert "\nNothing is wrong.\n\nRecommended on this machine: kerasseg train " in printed


def test_warnings_are_exit_code_1_and_errors_2(kerasseg, tmp_path, capsys):
    path = make_folder(tmp_path, [ids(i) for i in range(5)])
    (path / "images" / "notes.txt").write_text("")
    assert kerasseg("check", path) == 1
    (path / "images" / "01.png").write_bytes(b"")
    assert kerasseg("check", path) == 2
    assert "ERROR  unreadable files\n  images/01.png: cannot be read" in capsys.readouterr().out


def test_advice_names_an_option_of_the_command_and_it_works(
    kerasseg, model_file, pictures, tmp_path, capsys
):
    from tests.conftest import make_camvid

    path = make_camvid(tmp_path / "set", size=(45, 60))
    (path / "train" / "train_02.png").write_bytes(b"")
    assert kerasseg("evaluate", model_file, path) == 2
    error = capsys.readouterr().err
    assert error.endswith("Or --skip-damaged leaves such pairs out.\n")
    assert "skip_damaged" not in error
    assert len(error.splitlines()) == 1
    assert kerasseg("evaluate", model_file, path, "--skip-damaged") == 0
    error = capsys.readouterr().err
    assert error.startswith("kerasseg: warning: 1 of the pairs")
    assert len(error.splitlines()) == 1


def test_train_leaves_out_damaged_pairs_on_request(kerasseg, tmp_path, capsys):
    path = make_folder(tmp_path / "set", [ids(i) for i in range(9)])
    (path / "images" / "01.png").write_bytes(b"")
    words = ["train", path, "--output", tmp_path / "run", "--epochs", 1, "--image-size", 16, 16]
    words += ["--width", 0.03125]
    assert kerasseg(*words) == 2
    assert "--skip-damaged" in capsys.readouterr().err
    assert kerasseg(*words, "--skip-damaged") == 0


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
import kerasseg
print(kerasseg.check_dataset(sys.argv[1]).exit_code)
print(kerasseg.check_batch(np.full((2, 6, 9, 3), 0.5), np.zeros((2, 6, 9), int), 2).exit_code)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_doctor_needs_no_tensorflow(tmp_path, backend):
    pytest.importorskip(backend)
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, path],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["0", "1"]
