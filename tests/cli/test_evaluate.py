"""`kerasseg evaluate`: the score that Keras's own loop gives."""

import json
import shutil

import keras

from kerasseg import datasets
from kerasseg.cli import evaluate
from kerasseg.losses import CrossEntropy
from kerasseg.metrics import MeanIoU


def test_the_score_is_that_of_model_evaluate(kerasseg, pictures, model, model_file, capsys):
    assert kerasseg("evaluate", model_file, pictures, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    data = datasets.load("folder", data_dir=pictures, image_size=(32, 48), batch_size=3)
    logged = keras.models.clone_model(model)
    logged.set_weights(model.get_weights())
    logged.compile(loss=CrossEntropy(), metrics=[MeanIoU(data.num_classes)])
    log = logged.evaluate(data.validation, return_dict=True, verbose=0)
    assert 0 < said["mean_iou"] < 1
    assert abs(said["mean_iou"] - log["mean_iou"]) < 1e-6
    assert said["class_names"] == list(data.class_names)


def test_the_table_names_every_class_and_the_mean(kerasseg, pictures, model_file, capsys):
    assert kerasseg("evaluate", model_file, pictures, "--split", "train") == 0
    page, errors = capsys.readouterr()
    scores, trust = page.split("\n\n")
    assert [line.split()[0] for line in scores.splitlines()[-2:]] == ["mean", "pixel"]
    assert [line.split()[0] for line in trust.splitlines()] == ["95", "boundary", "calibration"]
    assert "bicyclist" in page
    assert errors == ""


def test_other_names_for_as_many_classes_are_a_warning(kerasseg, model_file, pictures, capsys):
    names = [*(f"thing{i}" for i in range(11)), "void"]
    (pictures / "classes.txt").write_text("\n".join(names))
    try:
        code = kerasseg("evaluate", model_file, pictures)
    finally:
        (pictures / "classes.txt").unlink()
    page, errors = capsys.readouterr()
    assert (code, "mean IoU" in page) == (0, True)
    assert errors.startswith("warning: the model's classes are sky, building")


def test_a_file_that_vanishes_after_the_first_look_is_one_line(
    kerasseg, model_file, pictures, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "set"
    shutil.copytree(pictures, folder)
    (first, *_) = sorted((folder / "val").iterdir())
    monkeypatch.setattr(evaluate, "check_fit", lambda *_: first.unlink())
    assert kerasseg("evaluate", model_file, folder) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kerasseg: error: {first} cannot be read as an image: there is no")
    assert "put the file back, or load the set again" in error
    assert len(error.splitlines()) == 1


def test_with_output_there_is_a_page_with_its_figures(
    kerasseg, model_file, pictures, tmp_path, capsys
):
    folder = tmp_path / "scores"
    assert kerasseg("evaluate", model_file, pictures, "--output", folder) == 0
    page = capsys.readouterr().out
    assert "95 % interval of the mean IoU" in page
    assert "4 images, drawn again" in page
    assert "calibration error" in page
    assert page.endswith(f"The page is {folder / 'report.html'}.\n")
    found = json.loads((folder / "evaluation.json").read_text())
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {*found["files"]}
    assert {"confusion_matrix.png", "reliability.png", "report.html"} < written
    html = (folder / "report.html").read_text()
    for words in ("Evaluation <q>scores</q>", "<h2>Confusion matrix", "<h2>Confidence", "95"):
        assert words in html


def test_the_folder_of_the_page_is_neither_the_data_nor_anyone_elses(
    kerasseg, model_file, pictures, tmp_path, capsys
):
    (tmp_path / "mine.txt").write_text("mine")
    for folder, words in ((tmp_path, "holds other files"), (pictures / "new", "must not lie in")):
        assert kerasseg("evaluate", model_file, pictures, "--output", folder) == 2
        error = capsys.readouterr().err
        assert words in error
        assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert not (pictures / "new").exists()
