"""Nothing is written into a folder that is read."""

import os

import pytest
from PIL import Image

from kerasseg.cli.paths import check_outside
from tests.cli.test_bad_inputs import everything
from tests.datasets.folders import ids, make_folder


def test_the_folder_itself_and_what_lies_in_it_are_refused(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    for output in ("images", "images/maps", "link/maps", "./images/../images/a/b", tmp_path):
        folder = tmp_path if output == tmp_path else "images"
        with pytest.raises(
            ValueError, match="must not lie in a folder that is read, here .*beside"
        ):
            check_outside(output, folder)
    for output in ("maps", "images2", "images/../maps", ".."):
        check_outside(output, "images")
    with pytest.raises(ValueError, match="must not lie in a folder that is read"):
        check_outside("images/maps", "link")


def test_predict_and_train_write_nothing_into_their_inputs(kerasseg, model_file, tmp_path, capsys):
    folder = make_folder(tmp_path / "set", [ids(i, classes=3) for i in range(5)])
    before = everything(tmp_path)
    for inside in ("images", "images/maps", "masks", "masks/maps", "", "maps", "train/images"):
        output = os.path.join(folder, inside)
        assert kerasseg("train", folder, "--output", output) == 2
        assert "must not lie in a folder that is read" in capsys.readouterr().err
    for output in (folder / "images", folder / "images" / "maps"):
        assert kerasseg("predict", model_file, folder / "images", "--output", output) == 2
        assert "must not lie in a folder that is read" in capsys.readouterr().err
    assert everything(tmp_path) == before


def test_a_hidden_file_beside_an_image_of_its_name_is_left_alone(kerasseg, model_file, tmp_path):
    for name, grey in ((".photo.png", 9), ("photo.png", 99)):
        Image.new("RGB", (5, 4), (grey,) * 3).save(tmp_path / name)
    (tmp_path / "o").mkdir()
    words = (tmp_path / ".photo.png", tmp_path / "photo.png", "--output", tmp_path / "o")
    assert kerasseg("predict", model_file, *words) == 0
    assert {path.name for path in (tmp_path / "o").iterdir()} == {".photo.png", "photo.png"}
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / ".photo.png").write_text("mine")
    words = (tmp_path / "photo.png", "--output", tmp_path / "p")
    assert kerasseg("predict", model_file, *words) == 0
    assert (tmp_path / "p" / ".photo.png").read_text() == "mine"
