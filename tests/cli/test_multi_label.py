"""Several labels per pixel, from the folder of images to the report, by the command line alone."""

import json

import keras
import numpy as np
import pytest

from kerasseg import cli, models
from tests.datasets.folders import picture, save


@pytest.fixture
def folder(tmp_path):
    """`masks/LABEL/`: two labels that overlap."""
    for i in range(6):
        save(picture(i, size=(16, 24)), tmp_path / "d" / "images" / f"{i}.png")
        for label, columns in (("red", slice(0, 16)), ("round", slice(8, 24))):
            mask = np.zeros((16, 24), "uint8")
            mask[:, columns] = 1
            save(mask, tmp_path / "d" / "masks" / label / f"{i}.png")
    return tmp_path / "d"


@pytest.mark.slow
def test_labels_that_overlap_go_from_the_folder_to_the_report(folder, tmp_path, capsys):
    words = ["--model", "segnet_basic", "--width", "0.05", "--image-size", "16", "24"]
    run = tmp_path / "run"
    words += ["--epochs", "1", "--batch-size", "4", "--output", str(run)]
    assert cli.main(["train", str(folder), *words]) == 0
    model = keras.saving.load_model(run / "best.keras")
    assert model.output_shape[-1] == 2
    assert models.classes_of(model).multi_label
    scores = json.loads((run / "evaluation.json").read_text())
    assert np.shape(scores["confusion_matrix"]) == (2, 2, 2)
    assert (run / "report.html").is_file()
    capsys.readouterr()
    assert cli.main(["evaluate", str(run / "best.keras"), str(folder), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["mean_iou"] == pytest.approx(scores["mean_iou"], abs=1e-6)
