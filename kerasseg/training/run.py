"""Training that survives: a callback that keeps every epoch of `fit`, and the schedule.

An epoch is kept when `run.json` names it. That file is replaced in one step, after the epoch's
model lies on the disk under a name of its own, so a process killed at any moment leaves a whole
epoch behind. All else (`best.keras`, `last.keras`, `log.csv`) is read off it, and mended from it.
"""

import contextlib
import csv
import functools
import hashlib
import itertools
import json
import math
import os
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from kerasseg.training.files import write_text_whole, write_whole
from kerasseg.version import __version__

__all__ = ["Run", "cosine_with_warmup", "fingerprint"]

CHECKPOINTS = ("checkpoints/epoch_*.keras", "checkpoints/.epoch_*.keras")
OWN_FILES = (
    *("run.json", "log.csv", "best.keras", "last.keras"),
    *("evaluation.json", "curves.png", "report.html"),
    *CHECKPOINTS,
    *("pictures/best*.png", "pictures/worst*.png", "tensorboard/*/events.out.*"),
)


class Run(keras.callbacks.Callback):
    """A training in a folder, which goes on there after it was killed as if it had not been.

    At the end of each epoch the model with its optimizer is saved, and `run.json` says so. The
    order of the pictures, their variants and the dropout of an epoch are drawn from the seed and
    the number of the epoch; the schedule goes by the optimizer's own count of steps; the best
    score and the patience are read off the kept epochs. So, on one kind of machine and CPU, the
    weights after a kill and a restart are those of a training that was never killed.
    (`keras.callbacks.BackupAndRestore` of Keras 3.15.1 forgets the order of the pictures, the
    state of dropout, and the best score.)

    Args:
        folder: Where the run lies: empty, not there yet, or left by the same run.
        data: The `kerasseg.datasets.Dataset` that `fit` trains on; its `epoch` is set, its `seed`
            seeds the layers.
        epochs: How many to train.
        patience: After how many epochs without a better mean IoU to stop; `None` for never.
        settings: What makes this run another than others, a dict for JSON. `epochs`, `patience`
            and the backend are added.
        fingerprint: A function without arguments that gives something else when the data set has
            changed, such as `functools.partial(fingerprint, data_dir)`; `None` for none.
        force: Whether what another run left in `folder` is removed, when `fit` begins.
        writes: Whether this process writes: `False` for all but one where several train together.

    Attributes:
        state: What `run.json` holds: "settings", "data" (the fingerprint), "versions", "epoch"
            (how many are finished), "best" ({"epoch", "val_mean_iou"}, or `None`), "history" (the
            rows of `log.csv`) and "finished".
        epoch: How many epochs are finished: `initial_epoch` for `fit`.
        over: Whether there is nothing left to train: all epochs are done, or patience ran out.

    Nothing is written before `fit` begins. It leaves in `folder`: `run.json`; `log.csv`, a row an
    epoch; `best.keras`, the epoch with the highest `val_mean_iou`; `last.keras`; `checkpoints/`,
    which the two are copied from, so that who writes over them does not spoil the run.

    Raises:
        ValueError: the folder holds another run, or other files, or another process trains there;
            the data set is not the one that the run began with; a kept model that is damaged. In
            `fit`: a loss that is NaN or infinite, a data set that changed.
        OSError: the folder cannot be written.

    Example:

    >>> run = Run("runs/a", data, epochs=50)
    >>> model = run.load() or compiled_model()
    >>> if not run.over:
    ...     model.fit(data.train, validation_data=data.validation, callbacks=[run],
    ...               epochs=50, initial_epoch=run.epoch)
    >>> best = run.load("best")
    """

    def __init__(
        self,
        folder,
        data,
        *,
        epochs,
        patience=None,
        settings=None,
        fingerprint=None,
        force=False,
        writes=True,
    ):
        super().__init__()
        self.folder = Path(folder)
        self.data = data
        self.epochs = epochs
        self.patience = patience
        self.fingerprint = fingerprint or (lambda: None)
        settings = {
            **(settings or {}),
            "epochs": epochs,
            "patience": patience,
            "backend": keras.backend.backend(),
        }
        self.state = as_json(
            {
                "settings": settings,
                "data": self.fingerprint(),
                "versions": {"kerasseg": __version__, "keras": keras.__version__},
                "epoch": 0,
                "best": None,
                "history": [],
                "finished": False,
            }
        )
        self.force = force
        self.writes = writes
        if writes and (self.folder / "run.json").is_file():
            claim(self.folder.resolve())
        kept = None if force else read_run(self.folder)
        if kept:
            self._check_same(kept)
            self.state = kept

    @property
    def epoch(self):
        return self.state["epoch"]

    @property
    def over(self):
        waited = self.epoch - self.state["best"]["epoch"] if self.state["best"] else 0
        return self.epoch >= self.epochs or (self.patience is not None and waited >= self.patience)

    def load(self, which="last"):
        """The compiled model of the last finished epoch, or the "best"; `None` before the first."""
        if not self.epoch:
            return None
        path = self._checkpoint(self.epoch if which == "last" else self.state["best"]["epoch"])
        try:
            return keras.saving.load_model(path)
        except Exception as error:  # a damaged zip or HDF5 file fails in many ways
            raise ValueError(
                f"{path}, which {self.folder / 'run.json'} names, cannot be loaded: "
                f"{one_line(error)}. Put it back, or start anew in another folder or with --force."
            ) from error

    def finish(self):
        """Notes that nothing is left to do, neither epochs nor what is made of them."""
        with self._writing():
            self._publish()
            self._commit({"finished": True})

    def summary(self):
        """In a sentence or two, what is safe in the folder."""
        if not self.epoch:
            return "No epoch is finished yet."
        best = self.state["best"]
        return (
            f"{self.epoch} of {self.epochs} epochs are kept. The best model so far is "
            f"{self.folder / 'best.keras'}, of epoch {best['epoch']}, with a mean IoU of "
            f"{best['val_mean_iou']:.4f}."
        )

    def on_train_begin(self, logs=None):
        check_strategy(self.model)
        if not self.writes:
            return
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            claim(self.folder.resolve())
            if self.force and not self.epoch:
                remove_run(self.folder)
            self._commit({})
            (self.folder / "checkpoints").mkdir(exist_ok=True)
            self._publish()

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch
        seed_layers(self.model, self.data.seed, epoch)
        self._began = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in epoch {self.epoch + 1}, at step {batch + 1}. Either "
                "the training diverged, and a smaller learning rate or no mixed precision helps; "
                "or a picture holds NaN, or a label map an id outside the classes, which "
                "`kerasseg check` and `kerasseg.check_batch` find. "
                f"{self.summary()} Another try needs another folder, or --force."
            )

    def on_epoch_end(self, epoch, logs=None):
        self.check_unchanged()
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.monotonic() - self._began, 3)
        row = {"epoch": epoch + 1, "learning_rate": rate, **logs, "seconds": seconds}
        best, score = self.state["best"], logs["val_mean_iou"]
        score = -1.0 if math.isnan(score) else score  # no score is worse than any
        if best is None or score > best["val_mean_iou"]:
            best = {"epoch": epoch + 1, "val_mean_iou": score}
        changes = {"epoch": epoch + 1, "best": best, "history": [*self.state["history"], row]}
        if self.writes:
            with self._writing():
                write_whole(self._checkpoint(epoch + 1), self._save)
                self._commit(changes)
                self._publish()
        else:
            self.state = as_json({**self.state, **changes})
        if self.over:
            self.model.stop_training = True

    def _checkpoint(self, epoch):
        return self.folder / "checkpoints" / f"epoch_{epoch:04}.keras"

    def _save(self, path):
        # Keras makes objects to compare with, in which all processes would have to take part.
        distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)
        try:
            self.model.save(path)
        finally:
            keras.distribution.set_distribution(distribution)

    def _commit(self, changes):
        state = as_json({**self.state, **changes})
        words = json.dumps(state, indent=1)
        write_text_whole(self.folder / "run.json", words)
        self.state = state

    def _publish(self):
        """Brings all other files to what `run.json` says."""
        named = {}
        if self.epoch:
            named["last.keras"] = self._checkpoint(self.epoch)
            named["best.keras"] = self._checkpoint(self.state["best"]["epoch"])
        for name, checkpoint in named.items():
            if not same_file(self.folder / name, checkpoint):
                write_whole(self.folder / name, functools.partial(shutil.copy2, checkpoint))
        write_whole(self.folder / "log.csv", self._write_log)
        for path in itertools.chain(*map(self.folder.glob, CHECKPOINTS)):
            if path not in named.values():
                path.unlink()

    def _write_log(self, path):
        rows = self.state["history"]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["epoch"])
            writer.writeheader()
            writer.writerows(rows)

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot be written: {one_line(error.strerror or error)}. "
                f"{self.summary()} Make room there, or make it writable, and start again."
            ) from error

    def _check_same(self, kept):
        ours, theirs = self.state["settings"], kept["settings"]
        differing = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
        if differing:
            shown = ", ".join(f"{n}={theirs.get(n)} there, {ours.get(n)} now" for n in differing)
            raise ValueError(
                f"{self.folder} holds another run. Received: {shown}. Choose another folder, or "
                "start with the same settings to go on, or with --force to remove that run."
            )
        if kept["data"] != self.state["data"]:
            raise ValueError(
                f"The data set is not the one that the run in {self.folder} began with: files, "
                "their sizes or times, or the classes differ. Put it back to go on, choose "
                "another folder, or start anew with --force."
            )

    def check_unchanged(self):
        """Raises `ValueError` if the data set is not the one that the run began with."""
        try:
            changed = as_json(self.fingerprint()) != self.state["data"]
        except (OSError, ValueError):
            changed = True
        if changed:
            raise ValueError(
                f"The data set changed during epoch {self.epoch + 1}: files, their sizes or times, "
                f"or the classes. {self.summary()} Put the data back and start again to go on, or "
                "start anew with --force."
            )


def cosine_with_warmup(learning_rate, steps, warmup=0.05):
    """A learning rate that rises along a line, then falls to zero along a cosine.

    Loshchilov and Hutter, "SGDR", ICLR 2017; the rise as in Goyal et al. 2017.

    Args:
        learning_rate: Its peak.
        steps: Of the whole training: epochs times batches an epoch.
        warmup: The share of the steps in which it rises.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Example: a rise over 5 steps of 100.

    >>> schedule = cosine_with_warmup(0.01, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 100)]
    [0.002, 0.01, 0.0]
    """
    rising = max(1, round(warmup * steps))
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / rising,
        max(1, steps - rising),
        warmup_target=learning_rate,
        warmup_steps=rising,
    )


def fingerprint(data_dir):
    """Tells whether a folder of pictures has changed, without reading a pixel.

    Returns:
        {"pictures": how many pairs, "digest": of their splits, paths, sizes and times of change,
        and of the table of classes}.
    """
    from kerasseg.datasets import folder

    found = folder.find(data_dir)
    digest = hashlib.sha256(repr((found.class_names, found.colours)).encode())
    for split, pairs in sorted(found.splits.items()):
        digest.update(split.encode())
        for path in itertools.chain(*pairs):
            status = os.stat(path)
            digest.update(os.fsencode(os.path.relpath(path, data_dir)))
            digest.update(f"\0{status.st_size} {status.st_mtime_ns}\0".encode())
    return {"pictures": sum(map(len, found.splits.values())), "digest": digest.hexdigest()}


def seed_layers(model, seed, epoch):
    """Lets the random layers of a model draw what belongs to an epoch."""
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for i, state in enumerate(states):
        drawn = np.random.SeedSequence((seed, epoch, i)).generate_state(2)
        state.assign(drawn >> 1)  # PyTorch's are signed
    # Dropout without a seed of its own draws from PyTorch's global numbers.
    keras.utils.set_random_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))


def check_strategy(model):
    """Raises `ValueError` where `fit` of Keras 3.15.1 fails with "unsupported type PerReplica"."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                "Keras cannot `fit` under MultiWorkerMirroredStrategy. To train on several "
                "machines, set KERAS_BACKEND=jax and take `kerasseg train --distribute jax`, or "
                "keras.distribution.DataParallel."
            )


@functools.cache
def claim(folder):
    """Keeps other processes from training in a folder, for as long as this one lives.

    The system lifts its lock when the process ends, however it ends. Where there are no such locks,
    as on Windows and some network drives, nothing is kept away.
    """
    try:
        import fcntl
    except ImportError:
        return None
    try:
        file = open(folder / ".lock", "w")  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"Another process trains in {folder}. Wait until it has ended, or choose another "
            "folder."
        ) from error
    except OSError:  # no locks there, or no right to write, which the first write will say
        return None
    return file


def same_file(path, other):
    """Whether one is a copy of the other that nobody has touched, by size and time of change."""
    if not path.exists():
        return False
    status, expected = path.stat(), other.stat()
    return (status.st_size, status.st_mtime_ns) == (expected.st_size, expected.st_mtime_ns)


def read_run(folder):
    """What `run.json` holds, `None` where there is no run; other files are an error."""
    if not folder.exists():
        return None
    path = folder / "run.json"
    if path.is_file():
        try:
            return json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}. Start anew with --force.") from error
    strangers = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if strangers:
        raise ValueError(
            f"{folder} holds other files. Expected an empty folder, or a run to go on with. "
            f"Received: {', '.join(strangers[:3])}. Choose another folder, or pass --force."
        )
    return None


def remove_run(folder):
    """Removes what a run left in a folder, and nothing else; `run.json` goes first."""
    if (folder / "run.json").is_file():
        for path in itertools.chain(*map(folder.glob, OWN_FILES)):
            path.unlink(missing_ok=True)


def as_json(value):
    """What comes back when a value is written as JSON and read; NaN and infinity become `None`."""
    if isinstance(value, dict):
        return {str(key): as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def one_line(error):
    return str(error).strip().split("\n")[0].rstrip(".")
