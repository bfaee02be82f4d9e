"""`kerasseg train`: what it leaves, what it refuses, and ten kills."""

import csv
import importlib.machinery
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasseg import cli, datasets, models, training
from kerasseg.cli import train as command
from tests.conftest import environment
from tests.datasets.folders import ids, picture, save
from tests.training.test_run_folder import held

SMALL = ("--model", "segnet_basic", "--width", "0.05", "--image-size", "16", "24")
SMALL += ("--batch-size", "4", "--epochs", "2")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(10):
        mask = ids(i, classes=3, size=(16, 24))
        mask[i] = 255
        save(picture(i, size=(16, 24)), folder / "images" / f"{i}.png")
        save(mask, folder / "masks" / f"{i}.png")
    (folder / "classes.txt").write_text("sky 128 128 128\nroad 128 64 128\ncar 64 0 128\n")
    return folder


def train(pictures, output, *options):
    return cli.main(["train", str(pictures), "--output", str(output), *SMALL, *options])


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """A finished run, its folder and what was printed."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    with pytest.MonkeyPatch.context() as patch, open(folder.parent / "page", "w+") as page:
        patch.setattr("sys.stdout", page)
        assert train(pictures, folder) == 0
        page.seek(0)
        return folder, page.read()


def log(folder):
    with open(folder / "log.csv", newline="") as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]


def test_it_leaves_models_log_curves_scores_and_a_page(trained):
    folder, page = trained
    left = {path.name for path in folder.iterdir()} - {"tensorboard"}
    assert left == {
        ".lock",
        *("best.keras", "last.keras", "checkpoints", "run.json", "log.csv"),
        *("progress.json", "evaluation.json"),
        *("pictures", "curves.png", "report.html"),
    }
    assert [row["epoch"] for row in log(folder)] == ["1", "2"]
    assert "class weights: {'sky':" in page
    for words in ("road ", "mean IoU ", str(folder / "best.keras"), str(folder / "report.html")):
        assert words in page.split("The best epoch, ")[1]


def test_the_scores_of_the_best_model_are_those_of_its_epoch_in_the_log(trained):
    folder, _ = trained
    scores = json.loads((folder / "evaluation.json").read_text())
    best = json.loads((folder / "run.json").read_text())["best"]
    logged = [float(row["val_mean_iou"]) for row in log(folder)]
    assert best == {"epoch": int(np.argmax(logged)) + 1, "val_mean_iou": max(logged)}
    assert (scores["chosen_on"], scores["split"]) == ("validation", "validation")
    assert scores["mean_iou"] == pytest.approx(max(logged), abs=1e-6)


def test_the_model_file_knows_its_classes_and_takes_any_size(trained):
    model = keras.saving.load_model(trained[0] / "best.keras")
    classes = models.classes_of(model)
    assert classes.class_names == ("sky", "road", "car")
    assert classes.colours == ((128, 128, 128), (128, 64, 128), (64, 0, 128))
    assert (classes.ignore_class, classes.image_size) == (255, (16, 24))
    assert model(np.zeros((1, 9, 7, 3))).shape == (1, 9, 7, 3)


def test_a_finished_run_says_so_and_nothing_is_written(trained, pictures, capsys):
    folder, _ = trained
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    assert train(pictures, folder) == 0
    assert "The run is finished: nothing was done." in capsys.readouterr().out.replace("\n", " ")
    named = ("best.keras", "run.json", "evaluation.json", "report.html")
    after = {path: path.stat().st_mtime_ns for path in folder.glob("*.*")}
    assert all(after[folder / name] == before[folder / name] for name in named)


def one_error(capsys):
    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 1
    return errors[0]


def test_other_settings_are_refused_and_nothing_is_lost(trained, pictures, capsys):
    folder, _ = trained
    before = (folder / "best.keras").read_bytes()
    assert train(pictures, folder, "--seed", "7", "--loss", "both") == 2
    error = one_error(capsys)
    assert "holds another run. Received: loss=crossentropy there, both now, seed=0" in error
    assert "--force" in error
    assert (folder / "best.keras").read_bytes() == before


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(
    pictures, tmp_path, capsys, monkeypatch
):
    def interrupt(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kerasseg.training.Run.on_epoch_begin", interrupt)
        patch.setattr("kerasseg.training.Run._began", 0.0, raising=False)
        assert train(pictures, tmp_path / "b") == 130
    page = capsys.readouterr().out
    assert "Interrupted. 1 of 2 epochs are kept. The best model so far is" in page
    assert "The same command goes on from there." in page
    assert train(pictures, tmp_path / "b") == 0
    assert "Going on after epoch 1 of 2." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder-weights", "gone.h5"], "segnet_basic takes no --encoder-weights"),
        (["--encoder", "vgg16"], "segnet_basic takes no --encoder. Leave it out"),
        (["--model", "unet", "--encoder-weights", "gone.h5"], "Pass --encoder vgg16, say"),
        (["--model", "unet", "--encoder", "vgg"], "such as 'vgg16' or 'resnet50'"),
        (["--model", "segnet", "--encoder-weights", "gone.h5"], "exist for width=1 alone"),
        (["--model", "deeplab_v3", "--width", "0"], "--width: expected a number above 0. Rec"),
        (["--epochs", "0"], "--epochs: expected a whole number of at least 1. Received: 0"),
        (["--seed", "one"], "--seed: expected a whole number from 0"),
        (["--balance", "2"], "--balance: expected a number from 0 to 1. Received: 2"),
        (["--distribute", "multiworker"], "invalid choice: 'multiworker' (choose from"),
        (["--distribute", "jax"], "--distribute jax needs KERAS_BACKEND=jax. Received: KERAS_BAC"),
    ],
)
def test_wrong_options_are_one_error_and_2_and_nothing_is_written(
    options, message, pictures, tmp_path, capsys
):
    try:
        code = train(pictures, tmp_path / "c", *options)
    except SystemExit as leaving:
        code = leaving.code
    assert code == 2
    assert message in one_error(capsys)
    assert not (tmp_path / "c").exists()


def test_a_folder_where_another_process_trains_is_one_error_and_2(trained, pictures, capsys):
    folder, _ = trained
    training.run_folder.lock_folder.cache_clear()  # as if the process that trained there had ended
    other = held(folder)
    assert train(pictures, folder) == 2
    other.kill()
    assert f"Another process trains in {folder}. Wait" in one_error(capsys)


@pytest.mark.slow
def test_one_device_says_so_and_trains(pictures, tmp_path, capsys):
    assert train(pictures, tmp_path, "--distribute", "mirrored", "--epochs", "1") == 0
    page = capsys.readouterr().out
    assert "There is one device: --distribute mirrored changes nothing." in page


@pytest.mark.slow
def test_mixed_precision_computes_in_float16_and_keeps_its_optimizer(pictures, tmp_path):
    assert train(pictures, tmp_path, "--mixed-precision", "--epochs", "1") == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Keras only warns of a state that is lost
        model = keras.saving.load_model(tmp_path / "last.keras")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert "float16" in {layer.compute_dtype for layer in model.layers}
    assert {weight.dtype for weight in model.weights} <= {"float32", "int32", "uint32", "bool"}
    assert keras.backend.standardize_dtype(model(np.zeros((1, 16, 24, 3))).dtype) == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_encoder_weights_of_a_file_are_what_the_training_begins_with(
    pictures, tmp_path, monkeypatch
):
    vgg = keras.applications.VGG16(weights=None, include_top=False)
    vgg.save(tmp_path / "vgg16.keras")
    begun = stopped_without_training(monkeypatch)
    weights = ("--encoder-weights", str(tmp_path / "vgg16.keras"))
    words = ["train", str(pictures), "--output", str(tmp_path / "a"), "--model", "segnet", *weights]
    assert cli.main(words) == 130
    kernels = [[w for w in m.weights if "kernel" in w.path][12] for m in (begun[0], vgg)]
    np.testing.assert_array_equal(*kernels)
    assert float(begun[0].optimizer.learning_rate) == pytest.approx(2e-4, rel=1)


@pytest.mark.slow
def test_a_run_with_an_encoder_goes_on_with_it(pictures, tmp_path, capsys):
    words = ("--model", "unet", "--encoder", "mobilenetv3small", "--width", "0.05")
    assert train(pictures, tmp_path, *words, "--epochs", "1") == 0
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["encoder"] == words[3]
    assert train(pictures, tmp_path, *words, "--epochs", "2") == 0
    assert "Going on after epoch 1 of 2." in capsys.readouterr().out
    assert train(pictures, tmp_path, "--model", "unet", "--width", "0.05", "--epochs", "2") == 2
    assert "encoder" in one_error(capsys)


@pytest.mark.parametrize(("origin", "count"), [("there", 1), (None, 0)])
def test_tensorboard_is_fed_where_it_is_installed(origin, count, tmp_path, monkeypatch):
    spec = importlib.machinery.ModuleSpec("tensorboard", None, origin=origin)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    callbacks = command.tensorboard(mock.Mock(folder=tmp_path))
    assert [c.log_dir for c in callbacks] == [str(tmp_path / "tensorboard")] * count


def test_a_missing_folder_is_one_error_and_2_and_nothing_is_written(tmp_path, capsys):
    assert train(tmp_path / "gone", tmp_path / "c") == 2
    assert "No images in" in one_error(capsys)
    assert not (tmp_path / "c").exists()


def test_help_shows_an_example_and_says_what_chooses_and_what_scores(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    page = capsys.readouterr().out
    assert "kerasseg train data/camvid --model unet --image-size 96 128" in page
    assert "The best epoch is chosen on images that it is not scored on." in page


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_neither_log_nor_weights(pictures, tmp_path):
    words = [sys.executable, "-m", "kerasseg_command", "train", str(pictures), *SMALL]
    words += ["--model", "unet", "--width", "0.02", "--epochs", "100", "--patience", "100"]
    env = environment(keras.backend.backend())
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([*words, "--output", str(whole)], env=env, check=True)
    draw, kills = random.Random(0), 0

    def epochs():
        path = killed / "run.json"
        return json.loads(path.read_text())["epoch"] if path.exists() else 0

    while kills < 10:
        process = subprocess.Popen([*words, "--output", str(killed)], env=env)
        start, before = time.monotonic(), epochs()
        while process.poll() is None and epochs() == before and time.monotonic() - start < 300:
            time.sleep(0.02)
        assert process.poll() is None, "it must be killed before it ends"
        time.sleep(draw.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kills += 1
        assert epochs() > before
    subprocess.run([*words, "--output", str(killed)], env=env, check=True)
    assert log(killed) == log(whole)
    assert [row["epoch"] for row in log(whole)] == [str(1 + i) for i in range(100)]
    for name in ("best.keras", "last.keras"):
        ours, expected = (keras.saving.load_model(run / name) for run in (killed, whole))
        for weight, reference in zip(ours.get_weights(), expected.get_weights()):
            np.testing.assert_allclose(weight, reference, rtol=0, atol=1e-6)


def stopped_without_training(monkeypatch):
    """`fit` that notes the model and ends at once."""
    begun = []

    def fit(model, *_, **__):
        begun.append(model)
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "fit", fit)
    return begun


@pytest.mark.slow
def test_more_epochs_go_on_with_the_schedule_of_a_training_of_that_length(
    trained, pictures, tmp_path, capsys
):
    shutil.copytree(trained[0], tmp_path / "a")
    assert train(pictures, tmp_path / "a", "--epochs", "4") == 0
    assert "Going on after epoch 2 of 4." in capsys.readouterr().out
    assert train(pictures, tmp_path / "b", "--epochs", "4") == 0
    extended, whole = ([row["learning_rate"] for row in log(tmp_path / name)] for name in "ab")
    assert [float(rate) for rate in extended[2:]] == [float(rate) for rate in whole[2:]]
    assert float(extended[1]) == 0 < float(extended[2])
    assert train(pictures, tmp_path / "a") == 2  # fewer than it has
    assert "Received: epochs=4 there, 2 now." in one_error(capsys)


@pytest.mark.slow
def test_early_stopping_is_announced(pictures, tmp_path, capsys):
    options = ("--epochs", "9", "--patience", "1", "--learning-rate", "1e-30")
    assert train(pictures, tmp_path / "a", *options) == 0
    assert "stopped: no better score in 1 epoch than the mean IoU of" in capsys.readouterr().out
    assert len(log(tmp_path / "a")) < 9


@pytest.mark.slow
def test_a_run_of_a_version_without_an_option_goes_on(trained, pictures, tmp_path, capsys):
    folder = tmp_path / "a"
    shutil.copytree(trained[0], folder)
    path = folder / "run.json"
    state = json.loads(path.read_text())
    for name in ("balance", "distribute", "chosen_on", "monitor", "mode"):
        del state["settings"][name]
    path.write_text(json.dumps(state))
    assert train(pictures, folder, "--epochs", "3", "--balance", "0.5") == 2
    assert "Received: balance=0.6 there, 0.5 now." in one_error(capsys)
    assert train(pictures, folder, "--epochs", "3") == 0
    assert "Going on after epoch 2 of 3." in capsys.readouterr().out


@pytest.mark.slow
def test_with_a_test_split_that_scores_and_validation_chooses(tmp_path, capsys):
    for split, numbers in (("train", range(8)), ("val", range(8, 10)), ("test", range(10, 13))):
        for i in numbers:
            save(picture(i, size=(16, 24)), tmp_path / "d" / split / "images" / f"{i}.png")
            mask = ids(i, classes=3, size=(16, 24))
            save(mask, tmp_path / "d" / split / "masks" / f"{i}.png")
    assert train(tmp_path / "d", tmp_path / "a", "--epochs", "1") == 0
    page = capsys.readouterr().out
    assert "chosen on the validation images." in page
    assert "Its scores on the test images:" in page
    scores = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    assert (scores["chosen_on"], scores["split"]) == ("validation", "test")
    assert np.sum(scores["confusion_matrix"]) == 3 * 16 * 24
    words = ["evaluate", str(tmp_path / "a" / "best.keras"), str(tmp_path / "d"), "--json"]
    assert cli.main([*words, "--split", "test"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["mean_iou"] == pytest.approx(scores["mean_iou"], abs=1e-6)


@pytest.mark.slow
def test_normalization_in_a_short_training_is_as_with_statistics_estimated_anew(
    tmp_path, monkeypatch
):
    """Twelve images that colour alone tells apart; the averages of 0.99 would not get there."""
    rng = np.random.default_rng(0)
    for i in range(12):
        mask = rng.integers(0, 2, (4, 6)).repeat(4, 0).repeat(4, 1).astype("uint8")
        image = np.stack([120 * mask + 60, 200 - 80 * mask, np.full_like(mask, 90)], -1)
        save(image.astype("uint8"), tmp_path / "d" / "images" / f"{i}.png")
        save(mask, tmp_path / "d" / "masks" / f"{i}.png")
    assert train(tmp_path / "d", tmp_path / "a", "--epochs", "4", "--model", "unet") == 0
    data = datasets.load("folder", data_dir=tmp_path / "d", image_size=(16, 24), augment=0)
    model = keras.saving.load_model(tmp_path / "a" / "last.keras")
    before = model.evaluate(data.validation, verbose=0, return_dict=True)["loss"]
    training.update_batch_norm(model, data.train)
    after = model.evaluate(data.validation, verbose=0, return_dict=True)["loss"]
    assert before == pytest.approx(after, rel=0.25)


def test_a_file_that_vanishes_during_training_is_named_without_tensorflows_path(
    pictures, tmp_path, capsys, monkeypatch
):
    folder = tmp_path / "set"
    shutil.copytree(pictures, folder)
    images = [*folder.rglob("images/*")] or [*(folder / "train").iterdir()]
    monkeypatch.setattr(datasets.dataset, "CACHE_LIMIT", 0)
    monkeypatch.setattr(command, "tensorboard", lambda kept: [p.unlink() for p in images] and [])
    assert train(folder, tmp_path / "run") == 2
    error = one_error(capsys)
    assert "cannot be read as an image: there is no such file" in error
    assert error.startswith(f"kerasseg: error: {folder}")
    assert "The data set changed during epoch 1" in error


@pytest.fixture
def decoded(monkeypatch):
    """Counter {(folder, name): how often a file was decoded}, by Pillow or by TensorFlow."""
    counts, decode = Counter(), datasets.files.decode

    def count(path):
        counts[Path(os.fsdecode(path)).parts[-2:]] += 1
        return path

    def read_file(path):
        def read(path):
            return Path(os.fsdecode(count(path))).read_bytes()

        return tf.ensure_shape(tf.numpy_function(read, [path], tf.string), ())

    monkeypatch.setattr(datasets.files, "decode", lambda path: decode(count(path)))
    monkeypatch.setattr(tf.io, "read_file", read_file)
    return counts


def test_a_set_that_fits_into_memory_is_decoded_once(pictures, tmp_path, decoded):
    """By the check, whose images then serve for class weights, epochs, statistics and scores."""
    assert train(pictures, tmp_path, "--epochs", "3") == 0
    files = [(kind, f"{i}.png") for kind in ("images", "masks") for i in range(10)]
    assert decoded == dict.fromkeys(files, 1)


def test_a_larger_set_is_decoded_by_the_check_and_once_in_every_epoch(
    tmp_path, decoded, monkeypatch
):
    """Batch normalization's sample, ten batches, is decoded once more and kept, and so are the
    validation images that the page shows during the training."""
    for i in range(30):
        save(picture(i, size=(16, 24)), tmp_path / "d" / "images" / f"{i:02}.png")
        save(ids(i, classes=3, size=(16, 24)), tmp_path / "d" / "masks" / f"{i:02}.png")
    monkeypatch.setattr(datasets.dataset, "CACHE_LIMIT", 10 * 16 * 24 * 4)  # ten pairs of thirty
    seen, begin = [], training.Run.on_epoch_begin

    def on_epoch_begin(self, epoch, logs=None):
        seen.append(decoded.copy())
        if epoch == 2:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    monkeypatch.setattr(training.Run, "on_epoch_begin", on_epoch_begin)
    assert train(tmp_path / "d", tmp_path / "a", "--epochs", "3", "--batch-size", "1") == 130
    for kind in ("images", "masks"):
        files = [(kind, f"{i:02}.png") for i in range(30)]
        before, after_one, after_two = ([counts[file] for file in files] for counts in seen)
        assert set(before) == {1, 2}  # the check, and the validation images that are drawn
        assert before.count(2) <= 10
        first, second = np.subtract(after_one, before), np.subtract(after_two, after_one)
        read = Counter(first.tolist())
        assert read[2] == 10  # sampled
        assert read[0] in (6, 10)  # scored; the four that choose, if they were kept when drawn
        assert Counter(second.tolist()) == {0: 10, 1: 20}
