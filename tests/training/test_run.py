"""A run goes on where it was stopped, as if it had not been; nothing half-written is ever read."""

import csv
import errno
import functools
import json
import math
import os
import resource
import subprocess
import sys
import threading
import zipfile
from unittest import mock

import keras
import numpy as np
import pytest

from kerasseg import datasets, losses, metrics, training
from kerasseg.training.files import TEMPORARY
from kerasseg.training.run_folder import read_run, remove_run
from tests.conftest import environment
from tests.datasets.folders import ids, make_folder, picture, save
from tests.training.test_run_folder import held

EPOCHS = 4


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    masks = [ids(seed, classes=3) for seed in range(12)]
    masks[3][0] = 255
    return make_folder(tmp_path_factory.mktemp("pictures"), masks)


def load(pictures):
    return datasets.load("folder", data_dir=pictures, batch_size=4, seed=3)


def net(data):
    """A net with all that has a state: normalisation, dropout, a schedule, momenta."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.Dropout(0.5)(keras.layers.ReLU()(x))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same")(x))
    model.compile(
        keras.optimizers.Adam(training.cosine_with_warmup(0.05, EPOCHS * len(data.train))),
        losses.CrossEntropy(class_weights=[1, 2, 3]),
        metrics=[metrics.MeanIoU(3)],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def train(folder, pictures, callbacks=(), **options):
    """What a script does, each time it is started."""
    data = load(pictures)
    run = training.Run(folder, data, epochs=EPOCHS, **options)
    model = run.load() or net(data)
    if not run.over:
        model.fit(
            data.train,
            validation_data=data.validation,
            epochs=EPOCHS,
            initial_epoch=run.epoch,
            callbacks=[*callbacks, run],
            shuffle=False,
            verbose=0,
        )
    run.finish()
    return run


def log(folder):
    """The rows of `log.csv`, without the time they took."""
    with open(folder / "log.csv", newline="") as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]


def assert_same(folder, other):
    """Two runs have the same log, and the same weights in both of their models."""
    assert log(folder) == log(other)
    assert [row["epoch"] for row in log(folder)] == [str(1 + i) for i in range(EPOCHS)]
    for name in ("last.keras", "best.keras"):
        models = [keras.saving.load_model(run / name) for run in (folder, other)]
        for weight, expected in zip(*([*m.weights, *m.optimizer.variables] for m in models)):
            np.testing.assert_allclose(
                keras.ops.convert_to_numpy(weight),
                keras.ops.convert_to_numpy(expected),
                rtol=0,
                atol=1e-6,
                err_msg=weight.path,
            )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    train(folder, pictures)
    return folder


class Stopped(BaseException):
    """As sudden as can be inside one process."""


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.epoch = None
        self.moment = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.moment:
            raise Stopped


def test_a_run_stopped_at_any_moment_ends_as_if_it_had_not_been(
    tmp_path, pictures, uninterrupted, monkeypatch
):
    with pytest.raises(Stopped):
        train(tmp_path, pictures, [StopAt(0, 1)])
    replace, clock = os.replace, StopAt(-1, -1)
    for moment in ((0, "epoch_0001.keras"), (2, "last.keras"), (3, "log.csv")):

        def stop(source, path, moment=moment):
            if (clock.epoch, path.name) == moment:
                raise Stopped
            replace(source, path)

        monkeypatch.setattr(os, "replace", stop)
        with pytest.raises(Stopped):
            train(tmp_path, pictures, [clock])
    monkeypatch.setattr(os, "replace", replace)
    train(tmp_path, pictures)
    assert_same(tmp_path, uninterrupted)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.test_run import StopAt, train

folder, pictures = map(Path, sys.argv[1:])
replace = os.replace

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def kill_in_epoch_2():
    StopAt.on_train_batch_end = lambda self, batch, logs=None: self.epoch == 1 and batch and kill()

def kill_before_epoch_3_is_named():
    def half_done(source, path):
        if path.name == "run.json" and (folder / "checkpoints" / "epoch_0003.keras").is_file():
            kill()
        replace(source, path)
    os.replace = half_done

for moment in (kill_in_epoch_2, kill_before_epoch_3_is_named, lambda: None):
    process = os.fork()  # each start begins where nothing but imports has happened
    if not process:
        moment()
        train(folder, pictures, [StopAt(-1, -1)])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


def test_a_process_killed_twice_ends_as_if_it_had_not_been(tmp_path, pictures, uninterrupted):
    words = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(pictures)]
    result = subprocess.run(
        words, env=environment(keras.backend.backend()), stdout=subprocess.PIPE, text=True
    )
    assert result.stdout.split() == ["-9", "-9", "0"]
    assert_same(tmp_path / "run", uninterrupted)


def started(folder, pictures, scores=(), **options):
    """A run whose epochs had these validation scores, each with other weights."""
    data = load(pictures)
    run = training.Run(folder, data, **{"epochs": 9, **options})
    run.set_model(run.load() or net(data))
    run.on_train_begin()
    for score in scores:
        logs = {"loss": 1.0, "mean_iou": 0.1, "val_loss": 1.0, "val_mean_iou": score}
        run.on_epoch_begin(run.epoch)
        change_weights(run.model)
        run.on_epoch_end(run.epoch, logs)
    return run


def change_weights(model):
    model.set_weights([weights + 1 for weights in model.get_weights()])


def test_the_best_model_is_not_overwritten_by_a_worse_one_after_a_restart(tmp_path, pictures):
    best = tmp_path / "best.keras"
    started(tmp_path, pictures, [0.2, 0.5])
    content = best.read_bytes()
    run = started(tmp_path, pictures, [0.4])
    assert run.state["best"] == {"epoch": 2, "val_mean_iou": 0.5}
    assert best.read_bytes() == content
    run = started(tmp_path, pictures, [0.6])
    assert run.state["best"] == {"epoch": 4, "val_mean_iou": 0.6}
    assert best.read_bytes() == (tmp_path / "last.keras").read_bytes()


def test_patience_is_kept_over_a_restart(tmp_path, pictures):
    assert not started(tmp_path, pictures, [0.5, 0.4], patience=3).over
    assert not started(tmp_path, pictures, [0.3], patience=3).over
    run = started(tmp_path, pictures, [0.5], patience=3)
    assert run.over
    assert run.model.stop_training
    assert started(tmp_path, pictures, patience=3).over


def test_a_score_of_nan_is_worse_than_any(tmp_path, pictures):
    run = started(tmp_path, pictures, [math.nan, 0.0, math.nan])
    assert run.state["best"] == {"epoch": 2, "val_mean_iou": 0.0}
    assert json.loads((tmp_path / "run.json").read_text())["history"][2]["val_mean_iou"] is None


def test_files_that_no_epoch_names_are_never_read_and_vanish(tmp_path, pictures):
    started(tmp_path, pictures, [0.5])
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "epoch_0002.keras").write_bytes(b"PK half a file")
    (checkpoints / f"{TEMPORARY}0123456789abcdef.keras").write_bytes(b"PK")
    (tmp_path / "best.keras").unlink()
    (tmp_path / "best.keras").write_bytes(b"PK")
    assert started(tmp_path, pictures).epoch == 1
    assert [path.name for path in checkpoints.iterdir()] == ["epoch_0001.keras"]
    assert zipfile.is_zipfile(tmp_path / "best.keras")


def test_a_damaged_model_that_an_epoch_names_is_one_clear_error(tmp_path, pictures):
    started(tmp_path, pictures, [0.5])
    (tmp_path / "checkpoints" / "epoch_0001.keras").write_bytes(b"PK half a file")
    with pytest.raises(ValueError, match=r"epoch_0001.keras, which .*run.json names, cannot be"):
        started(tmp_path, pictures)


def models_in(folder):
    """{(inode, time of the last write)} of the model files of a run, whatever their names."""
    files = (path.stat() for path in folder.rglob("*.keras"))
    return {(file.st_ino, file.st_mtime_ns) for file in files}


def count_written(tmp_path, pictures, scores):
    """The model files that each epoch wrote, best or not."""
    run, before, counts = started(tmp_path, pictures), set(), []
    for score in scores:
        run.on_epoch_begin(run.epoch)
        change_weights(run.model)
        run.on_epoch_end(run.epoch, {"loss": 1.0, "val_mean_iou": score})
        counts.append(len(models_in(tmp_path) - before))
        before |= models_in(tmp_path)
    return counts


def test_an_epoch_writes_one_model_file(tmp_path, pictures):
    assert count_written(tmp_path, pictures, [0.5, 0.4, 0.6, 0.7]) == [1, 1, 1, 1]
    assert {path.name for path in tmp_path.rglob("*.keras")} == {
        *("best.keras", "last.keras", "epoch_0004.keras")
    }


def test_a_file_system_without_hard_links_has_copies(tmp_path, pictures, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    assert count_written(tmp_path, pictures, [0.5, 0.4]) == [3, 2]
    assert len(models_in(tmp_path)) == 4
    started(tmp_path, pictures, [0.6])
    assert (tmp_path / "best.keras").read_bytes() == (tmp_path / "last.keras").read_bytes()


def test_a_model_that_another_program_wrote_over_is_one_clear_error(tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5, 0.4])
    net(run.data).save(tmp_path / "best.keras")
    assert run.load() is not None
    message = r"epoch_0001.keras, which .* loaded: another program has.*last.keras, of epoch 2, sti"
    with pytest.raises(ValueError, match=message):
        run.load("best")
    with pytest.raises(ValueError, match=message):
        started(tmp_path, pictures)
    assert keras.saving.load_model(tmp_path / "last.keras") is not None
    net(run.data).save(tmp_path / "last.keras")
    with pytest.raises(ValueError, match=r"epoch_0002.keras, which .* loaded: another program has"):
        started(tmp_path, pictures)


def test_another_run_is_refused_with_what_differs_and_removed_by_force(tmp_path, pictures):
    started(tmp_path, pictures, [0.5], settings={"width": 0.5, "size": (6, 9)})
    content = (tmp_path / "best.keras").read_bytes()
    with pytest.raises(ValueError, match=r"another run. Received: width=0.5 there, 1.0 now\. Ch"):
        started(tmp_path, pictures, settings={"width": 1.0, "size": (6, 9)})
    assert (tmp_path / "best.keras").read_bytes() == content
    assert started(tmp_path, pictures, settings={"width": 0.5, "size": (6, 9)}).epoch == 1
    assert started(tmp_path, pictures, settings={"width": 1.0}, force=True).epoch == 0
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_other_files_is_refused_also_with_force(force, tmp_path, pictures):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "best.keras").write_text("another model")
    with pytest.raises(ValueError, match=r"holds other files.*Received: best.keras, thesis.tex\."):
        started(tmp_path, pictures, force=force)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", "best.keras"}
    assert (tmp_path / "best.keras").read_text() == "another model"


def test_force_removes_a_run_and_leaves_what_lies_beside_it(tmp_path, pictures):
    started(tmp_path, pictures, [0.5])
    mine = ["thesis.tex", "pictures/holiday.png", "checkpoints/epoch_0077.keras"]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert started(tmp_path, pictures, [0.4], force=True).epoch == 1
    assert [(tmp_path / name).read_text() for name in mine] == mine


def test_force_removes_nothing_where_another_model_lies_among_those_of_the_run(tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5])
    (tmp_path / "best.keras").unlink()
    net(run.data).save(tmp_path / "best.keras")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(ValueError, match="best.keras is not the model that the run wrote. Move it"):
        started(tmp_path, pictures, force=True)
    with pytest.raises(ValueError, match="best.keras is not the model that the run wrote. Move it"):
        started(tmp_path, pictures)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_file_that_has_the_name_of_a_later_one_of_the_run_is_left_alone(tmp_path, pictures):
    started(tmp_path, pictures, [0.5])
    path = tmp_path / "checkpoints" / "epoch_0003.keras"
    path.write_text("mine")
    with pytest.raises(ValueError, match="epoch_0003.keras is not of this run, which would write"):
        started(tmp_path, pictures)
    assert path.read_text() == "mine"


def test_a_run_whose_folder_another_has_emptied_meanwhile_says_so(tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5])
    (tmp_path / "run.json").unlink()
    with pytest.raises(ValueError, match="holds other files|has lost the files of this run"):
        run.on_epoch_end(1, {"loss": 1.0, "val_mean_iou": 0.6})
    assert not (tmp_path / "run.json").exists()


def test_all_that_a_run_writes_is_listed_and_removed_by_force(tmp_path, pictures):
    run = train(tmp_path, pictures)
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert files - {".lock"} <= {*run.state["files"]}
    remove_run(tmp_path, read_run(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.fixture
def changing(tmp_path):
    return make_folder(tmp_path / "changing", [ids(seed, classes=3) for seed in range(12)])


def spoil_nothing(folder):
    (folder / "notes.txt").write_text("beside the pictures")


def add_a_pair(folder):
    save(picture(12), folder / "images" / "12.png")
    save(ids(12, classes=3), folder / "masks" / "12.png")


def edit_a_mask(folder):
    os.utime(folder / "masks" / "03.png", ns=(1, 1))


def name_the_classes(folder):
    (folder / "classes.txt").write_text("sky\nroad\ncar\n")


def remove_the_masks(folder):
    for path in (folder / "masks").iterdir():
        path.unlink()


@pytest.mark.parametrize("change", [add_a_pair, edit_a_mask, name_the_classes, remove_the_masks])
def test_a_data_set_that_changed_is_one_clear_error(change, tmp_path, pictures, changing):
    watch = functools.partial(training.fingerprint, changing)
    run = started(tmp_path / "run", pictures, [0.5], fingerprint=watch)
    spoil_nothing(changing)
    run.check_unchanged()
    change(changing)
    with pytest.raises(ValueError, match=r"changed during epoch 2:.*The best model so far is"):
        run.on_epoch_end(1, {"val_mean_iou": 0.6})
    if change is not remove_the_masks:
        with pytest.raises(ValueError, match=r"is not the one that the run in .* began with"):
            started(tmp_path / "run", pictures, fingerprint=watch)
    assert zipfile.is_zipfile(tmp_path / "run" / "best.keras")
    assert len(log(tmp_path / "run")) == 1


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_one_clear_error(loss, tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5])
    run.on_train_batch_end(0, {"loss": 2.0, "mean_iou": 0.1})
    with pytest.raises(ValueError, match=rf"became {loss} in epoch 2, at step 8\. Either the tr"):
        run.on_train_batch_end(7, {"loss": loss})


def test_a_training_that_diverges_stops_at_once_and_keeps_the_best(tmp_path, pictures):
    class Diverge(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                weight = self.model.trainable_weights[0]
                weight.assign(np.full(weight.shape, np.nan))

    with pytest.raises(ValueError, match=r"The loss became nan in epoch 2, at step 1\."):
        train(tmp_path, pictures, [Diverge()])
    kept = keras.saving.load_model(tmp_path / "best.keras")
    assert all(np.isfinite(weight).all() for weight in kept.get_weights())


class DivergeInTheLastStep(keras.callbacks.Callback):
    async_safe = True

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.params["steps"] - 1:
            weight = self.model.trainable_weights[0]
            weight.assign(np.full(weight.shape, np.nan))


def test_a_loss_that_is_nan_in_the_last_step_keeps_no_model(tmp_path, pictures):
    with pytest.raises(ValueError, match=r"The loss became nan in epoch 1, at step 3\."):
        train(tmp_path, pictures, [DivergeInTheLastStep()])
    assert [*tmp_path.rglob("*.keras")] == []
    assert json.loads((tmp_path / "run.json").read_text())["epoch"] == 0


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="Keras itself waits there")
def test_no_step_waits_for_the_loss_of_the_one_before(tmp_path, pictures, monkeypatch):
    read, threads = training.Run.on_train_batch_end, []

    def noting(self, batch, logs=None):
        threads.append(threading.current_thread())
        read(self, batch, logs)

    monkeypatch.setattr(training.Run, "on_train_batch_end", noting)
    train(tmp_path, pictures)
    assert len(threads) == EPOCHS * 3
    assert threading.main_thread() not in threads


def test_a_full_disk_is_one_clear_error_and_the_next_start_goes_on(tmp_path, pictures):
    """A limit on the size of files ends a write in its middle, as a full disk does."""
    run = started(tmp_path, pictures, [0.5])
    content = (tmp_path / "best.keras").read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(OSError, match=r"cannot be written: File too large. 1 of 9 epochs"):
            run.on_epoch_end(1, {"loss": 1.0, "val_mean_iou": 0.6})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "best.keras").read_bytes() == content
    assert started(tmp_path, pictures, [0.6]).state["best"] == {"epoch": 2, "val_mean_iou": 0.6}


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path, pictures, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/run cannot be written: Not a directory. No epoch"):
        started(tmp_path / "file" / "run", pictures)

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    run = started(tmp_path / "run", pictures, [0.5])
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"Read-only file system. 1 of 9 epochs are kept"):
        run.on_epoch_end(1, {"loss": 1.0, "val_mean_iou": 0.6})


def test_a_run_keeps_other_processes_out_of_its_folder(tmp_path, pictures):
    other = held(tmp_path)
    with pytest.raises(ValueError, match="Another process trains in .* Wait until it has ended"):
        started(tmp_path, pictures)
    other.kill()
    other.wait()
    assert started(tmp_path, pictures, [0.5]).epoch == 1
    assert held(tmp_path) is None
    assert started(tmp_path, pictures).epoch == 1


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's alone")
def test_the_strategy_under_which_keras_cannot_fit_is_one_clear_error():
    import tensorflow as tf

    strategy = mock.Mock(spec=tf.distribute.MultiWorkerMirroredStrategy)
    with pytest.raises(ValueError, match="set KERAS_BACKEND=jax and take"):
        training.run.check_strategy(mock.Mock(distribute_strategy=strategy))


def test_an_autoencoder_is_kept_by_its_validation_loss(tmp_path):
    """No metric at all: the lowest loss is the best, and a restart knows it."""
    data = datasets.load("digits", target="image", batch_size=256)
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    run = training.Run(tmp_path, data, epochs=2, monitor="val_loss")
    arguments = {"validation_data": data.validation, "epochs": 2, "verbose": 0}
    model.fit(data.train, callbacks=[run], **arguments)
    losses = [row["val_loss"] for row in run.state["history"]]
    assert losses[1] < losses[0]
    assert run.state["best"] == {"epoch": 2, "val_loss": losses[1]}
    assert "epoch 2, with a loss of 0." in run.summary()
    run = training.Run(tmp_path, data, epochs=9, monitor="val_loss")
    model.optimizer.learning_rate = 0.0  # so the loss stays, and the best remains the second
    model.fit(data.train, callbacks=[run], **{**arguments, "epochs": 3}, initial_epoch=2)
    assert run.state["best"]["epoch"] == 2


@pytest.mark.parametrize(("metric", "better"), [("cosine_similarity", "max"), ("mse", "min")])
def test_the_direction_of_a_metric_is_asked_of_the_metric(metric, better, tmp_path):
    data = datasets.load("digits", target="image", batch_size=512)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])
    model.compile("sgd", "mse", metrics=[metric])
    run = training.Run(tmp_path, data, epochs=1, monitor=f"val_{metric}")
    model.fit(data.train, validation_data=data.validation, callbacks=[run], verbose=0)
    better_one = run._is_better(2.0, 1.0)
    assert (better_one, run._is_better(1.0, 2.0)) == (better == "max", better == "min")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"Received: monitor='val_mean_iou', while `fit` logs error, loss$"),
        ({"monitor": "val_eror"}, r"Received: monitor='val_eror', while `fit` logs error, loss$"),
        ({"monitor": "val_error"}, '`mode` must be "max" or "min" for a metric that does not'),
    ],
)
def test_a_monitor_that_cannot_be_is_an_error_at_the_first_step(options, message, tmp_path):
    def error(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred))

    steps = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: steps.append(1))
    data = datasets.load("digits", target="image", batch_size=512)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same")])
    model.compile("sgd", "mse", metrics=[error])
    run = training.Run(tmp_path, data, epochs=1, **options)
    with pytest.raises(ValueError, match=message):
        model.fit(data.train, validation_data=data.validation, callbacks=[count, run], verbose=0)
    assert len(steps) == 1


def test_a_monitor_of_validation_without_validation_is_one_error(tmp_path, pictures):
    data = load(pictures)
    run = training.Run(tmp_path, data, epochs=1)
    with pytest.raises(ValueError, match="with val_ in front it needs `validation_data`"):
        net(data).fit(data.train, callbacks=[run], verbose=0)


def test_an_unknown_mode_is_one_error(tmp_path, pictures):
    with pytest.raises(ValueError, match="Received: mode='highest'"):
        training.Run(tmp_path, load(pictures), epochs=1, mode="highest")


def forget(folder, *names):
    """What an older version left, which did not know these options."""
    path = folder / "run.json"
    state = json.loads(path.read_text())
    for name in names:
        del state["settings"][name]
    path.write_text(json.dumps(state))


def test_a_run_of_a_version_without_an_option_goes_on_with_its_default(tmp_path, pictures):
    now = {"settings": {"width": 0.5, "sharpen": 0}, "defaults": {"sharpen": 0}}
    started(tmp_path, pictures, [0.5], **now)
    forget(tmp_path, "sharpen", "monitor", "mode")
    other = {**now, "settings": {"width": 0.5, "sharpen": 2}}
    with pytest.raises(ValueError, match=r"Received: sharpen=0 there, 2 now\."):
        started(tmp_path, pictures, **other)
    with pytest.raises(ValueError, match=r"monitor=val_mean_iou there, val_loss now\."):
        started(tmp_path, pictures, monitor="val_loss", **now)
    assert started(tmp_path, pictures, **now).epoch == 1


def test_more_epochs_than_a_finished_run_had_go_on_and_fewer_are_refused(tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5, 0.4], epochs=2)
    run.finish()
    with pytest.raises(ValueError, match=r"Received: epochs=2 there, 1 now\."):
        started(tmp_path, pictures, epochs=1)
    run = started(tmp_path, pictures, epochs=3)
    assert (run.epoch, run.over, run.state["finished"]) == (2, False, False)
    run = started(tmp_path, pictures, [0.6], epochs=3)
    assert run.over
    assert run.state["settings"]["epochs"] == 3


def test_a_run_that_lost_its_patience_goes_on_with_more(tmp_path, pictures):
    run = started(tmp_path, pictures, [0.5, 0.4], patience=1)
    run.finish()
    assert run.stopped_early
    assert run.why_stopped() == (
        "stopped: no better score in 1 epoch than the mean IoU of 0.5000 in epoch 1; 2 of 9 "
        "epochs were trained."
    )
    assert started(tmp_path, pictures, patience=1).state["finished"]
    run = started(tmp_path, pictures, patience=5)
    assert (run.over, run.state["finished"]) == (False, False)


@pytest.mark.parametrize("force", [False, True])
def test_a_run_that_another_process_finished_meanwhile_is_left_alone(force, tmp_path, pictures):
    """Two start on one new folder; the second looked before the first had written anything."""
    second = training.Run(tmp_path, load(pictures), epochs=9, force=force)
    started(tmp_path, pictures, [0.5])
    content = (tmp_path / "best.keras").read_bytes()
    second.set_model(net(second.data))
    with pytest.raises(ValueError, match=r"has trained in .* meanwhile\. Start again to go on"):
        second.on_train_begin()
    assert (tmp_path / "best.keras").read_bytes() == content
    assert started(tmp_path, pictures).epoch == 1
