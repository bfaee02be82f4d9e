"""While a model is trained: how long it takes, and a page with images of every epoch."""

import json

import numpy as np
import pytest
from PIL import Image

from kerasseg import training
from kerasseg.training import progress
from kerasseg.training.progress import Progress, first_images, label_maps, spoken
from tests.datasets.folders import ids, make_folder
from tests.training.test_run import load, net

CLOCK = "kerasseg.training.progress.time.monotonic"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return make_folder(folder, [ids(seed, classes=3) for seed in range(12)])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (99.4, "99 s"), (100, "2 min"), (5400, "90 min"), (6060, "1 h 41 min")],
)
def test_a_time_is_spoken_as_exactly_as_it_is_known(seconds, words):
    assert spoken(seconds) == words


def trained(folder, pictures, seconds, monkeypatch, **options):
    """Epochs that took so long, with the lines that were shown."""
    data, lines, now = load(pictures), [], [0.0]
    run = training.Run(folder, data, **{"epochs": 10, **options})
    model = net(data)
    callback = Progress(run, show=lines.append)
    monkeypatch.setattr(CLOCK, lambda: now[0])
    for each in (run, callback):
        each.set_model(model)
        each.on_train_begin()
    for i, duration in enumerate(seconds):
        run.on_epoch_begin(i)
        callback.on_epoch_begin(i)
        now[0] += duration
        logs = {"loss": 1.0, "val_loss": 1.0, "val_mean_iou": 0.5 - i / 10}
        run.on_epoch_end(i, logs)
        callback.on_epoch_end(i, logs)
    return run, callback, lines


def test_the_time_left_leaves_the_first_epoch_out_which_compiles(
    tmp_path,
    pictures,
    monkeypatch,
):
    monkeypatch.setattr(progress, "write_report", lambda folder: None)
    _, _, lines = trained(tmp_path, pictures, [90, 10, 20, 10], monkeypatch)
    assert lines == [
        "About 14 min for the other 9 epochs.",
        "About 80 s for the other 8 epochs.",
        "About 2 min for the other 7 epochs.",
    ]


def test_every_epoch_draws_four_validation_images_and_the_page(
    tmp_path,
    pictures,
    monkeypatch,
):
    run, callback, _ = trained(tmp_path, pictures, [1, 1], monkeypatch)
    state = json.loads((tmp_path / "progress.json").read_text())
    assert (state["epoch"], state["epochs"], state["left"]) == (2, 10, "8 s")
    count = min(4, len(run.data.source.splits["validation"]))
    assert len(state["pictures"]) == count
    images, _ = first_images(run.data.validation, 4)
    expected = np.asarray(callback.model.predict_on_batch(images)).argmax(-1)
    np.testing.assert_array_equal(label_maps(callback.model, images, False), expected)
    for name, image in zip((f"now{i}_image.png" for i in range(count)), images):
        drawn = np.asarray(Image.open(tmp_path / "pictures" / name)) / 255
        np.testing.assert_allclose(drawn, image, atol=1 / 255)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Validation images after epoch 2" in page
    assert page.count('alt="prediction"') == count
    assert "2 of 10" in page
    assert "8 s" in page
    assert 'http-equiv="refresh"' in page
    assert set(state["pictures"][0]) == {"iou", "image", "truth", "prediction"}


def test_a_page_that_takes_long_is_drawn_after_some_epochs(
    tmp_path,
    pictures,
    monkeypatch,
):
    drawn = []
    monkeypatch.setattr(progress, "write_report", lambda folder: drawn.append(1))
    _, callback, _ = trained(tmp_path, pictures, [1], monkeypatch)
    assert callback._cost == 0
    callback._cost = 1.0
    for epoch in range(1, 8):
        callback.kept.state["epoch"] = epoch + 1
        monkeypatch.setattr(CLOCK, lambda epoch=epoch: 1.0 + epoch)
        callback.on_epoch_end(epoch)
        callback._cost = 1.0
    assert len(drawn) == 2


def test_a_training_that_stops_early_says_so_on_its_page(
    tmp_path,
    pictures,
    monkeypatch,
):
    run, callback, lines = trained(tmp_path, pictures, [1, 1], monkeypatch, patience=1)
    assert run.over
    callback.on_epoch_begin(2)
    assert len(lines) == 1
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "stopped: no better score in 1 epoch than the mean IoU of 0.5000 in epoch 1" in page
    assert 'http-equiv="refresh"' not in page
