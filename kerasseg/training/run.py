"""Training that survives being killed: a callback that keeps every epoch of `fit`.

An epoch is kept when `run.json` names it. That file is replaced in one step, after the epoch's
model has been written under a name of its own, so a process killed at any moment leaves a complete
epoch behind. Everything else follows from it: `log.csv`, and `best.keras` and `last.keras`, which
are further names of models that are there already.
"""

import contextlib
import csv
import functools
import itertools
import math
import os
import time
from pathlib import Path

import keras

from kerasseg.training.files import (
    TEMPORARY,
    WRITTEN,
    as_json,
    one_line,
    write_json_whole,
    write_whole,
)
from kerasseg.training.run_folder import (
    CHECKPOINT,
    FILES,
    check_own_model,
    checksum,
    files_of,
    link_or_copy,
    lock_folder,
    locked_run,
    read_run,
    remove_run,
    same_file,
)
from kerasseg.training.seeds import seeded_layers
from kerasseg_command.version import __version__

__all__ = ["Run"]

MEAN_IOU = "val_mean_iou"
LATER_OPTIONS = {"monitor": MEAN_IOU, "mode": "auto"}  # older runs do not name them
EVENTS = "tensorboard/*/events.out.*"  # which TensorBoard's callback names


class Run(keras.callbacks.Callback):
    """A training in a folder, which continues after it was killed as if it had never stopped.

    At the end of each epoch the model is saved with its optimizer, and `run.json` says so. The
    order of the images, their augmentation and the dropout of an epoch depend on the seed and the
    number of the epoch; the schedule depends on the optimizer's own count of steps; the best score
    and the patience are computed from the kept epochs. So, on one kind of machine and CPU, the
    weights after a kill and a restart are those of a training that was never killed.

    This is why Keras's own callbacks are not used: `BackupAndRestore` forgets the order of the
    images, the state of dropout and the best score; `EarlyStopping` forgets how long it has
    waited; `CSVLogger` writes an epoch twice if the process is killed before the epoch is kept;
    after `TerminateOnNaN` the useless epoch would still be scored and kept.

    Args:
        folder: Where the run lies: empty, not there yet, or left by the same run.
        data: The `kerasseg.datasets.Dataset` that `fit` trains on; its `epoch` is set, its `seed`
            seeds the layers.
        epochs: How many to train. More than the run in `folder` had: it goes on to so many.
        patience: After how many epochs without a better score to stop; `None` for never.
        monitor: The name of the score, as `fit` logs it, by which the best epoch is chosen.
        mode: "max" if a higher score is better, "min" if a lower one is; "auto" asks the metric.
        settings: What distinguishes this run from others, a dict for JSON. The other arguments and
            the backend are added.
        defaults: The defaults of `settings`, a dict. A run of an older version, without such an
            option, was trained with the default, and goes on if that is still the setting.
        fingerprint: A function without arguments that returns something else when the data set has
            changed, such as `functools.partial(fingerprint, data_dir)`; `None` for none.
        force: Whether another run in `folder` is removed, when `fit` begins: the files that its
            `run.json` lists, and nothing else.
        writes: Whether this process writes: `False` for all but one where several train together.

    Attributes:
        state: What `run.json` holds: "settings", "data" (the fingerprint), "versions", "epoch"
            (how many are finished), "best" ({"epoch", and the score under its name}, or `None`),
            "history" (the rows of `log.csv`), "models" ({file: checksum}), "earlier" (the checksums
            of the epoch before), "files" (the names of all that the run writes) and "finished".
        epoch: How many epochs are finished: `initial_epoch` for `fit`.
        over: Whether there is nothing left to train: all epochs are done, or patience ran out.
        stopped_early: Whether patience ran out before all epochs were done.

    Nothing is written before `fit` begins. It leaves in `folder`: `run.json`; `log.csv`, a row per
    epoch; `best.keras`, the epoch with the best score; `last.keras`; and `checkpoints/`, the same
    two files under the names of their epochs. A model is written once, and its other names are
    hard links (copies on a file system without links), so do not write over these files: a run
    whose model another program has changed does not go on. Copies of them are free to use.

    Raises:
        ValueError: the folder holds another run, or other files, also with `force`, or another
            process trains there; a `run.json` that a hand has changed; a file that is not of this
            run and has the name of one that is; the data set is not the one that the run began
            with; a kept model that is damaged. In `fit`: a loss that is NaN or infinite, a data set
            that changed, a `monitor` that `fit` does not log or whose direction is unknown.
        OSError: the folder cannot be written.

    Example:

    >>> run = Run("runs/a", data, epochs=50)  # doctest: +SKIP
    >>> model = run.load() or compiled_model()  # doctest: +SKIP
    >>> if not run.over:  # doctest: +SKIP
    ...     model.fit(data.train, validation_data=data.validation, callbacks=[run],
    ...               epochs=50, initial_epoch=run.epoch)
    >>> best = run.load("best")  # doctest: +SKIP
    """

    # Under JAX and PyTorch, Keras then calls `on_train_batch_end` beside the training, which need
    # not wait for the loss of each step, and raises its errors some steps later, at the latest
    # after the validation, before the epoch is saved. Under TensorFlow, Keras waits for every step
    # whatever the callbacks are.
    async_safe = True

    def __init__(
        self,
        folder,
        data,
        *,
        epochs,
        patience=None,
        monitor=MEAN_IOU,
        mode="auto",
        settings=None,
        defaults=None,
        fingerprint=None,
        force=False,
        writes=True,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise ValueError(f'`mode` must be "auto", "min" or "max". Received: mode={mode!r}')
        self.folder = Path(folder)
        self.data = data
        self.epochs = epochs
        self.patience = patience
        self.monitor = monitor
        self.mode = mode
        self.defaults = as_json({**(defaults or {}), **LATER_OPTIONS})
        self.fingerprint = fingerprint or (lambda: None)
        own = {"epochs": epochs, "patience": patience, "monitor": monitor, "mode": mode}
        self.state = as_json(
            {
                "settings": {**(settings or {}), **own, "backend": keras.backend.backend()},
                "data": self.fingerprint(),
                "versions": {"kerasseg": __version__, "keras": keras.__version__},
                "epoch": 0,
                "best": None,
                "history": [],
                "models": {},
                "earlier": [],
                "files": [],
                "finished": False,
            }
        )
        self.force = force
        self.writes = writes
        self._direction = None
        self._epoch_context = contextlib.ExitStack()
        self._found = locked_run(self.folder) if writes else read_run(self.folder)
        if self._found and not force:
            self._check_same(self._found)
            files = files_of(self.folder, self._found)
            settings = self.state["settings"]
            self.state = {**self.state, **self._found, "files": files, "settings": settings}
            self.state["finished"] &= self.over  # not if there are more epochs to train now

    @property
    def epoch(self):
        return self.state["epoch"]

    @property
    def over(self):
        return self.epoch >= self.epochs or self.stopped_early

    @property
    def stopped_early(self):
        best = self.state["best"]
        waited = self.epoch - best["epoch"] if best else 0
        return self.epoch < self.epochs and self.patience is not None and waited >= self.patience

    def load(self, which="last"):
        """The compiled model of the last finished epoch, or the "best"; `None` before the first."""
        if not self.epoch:
            return None
        with self._loading(which) as path:
            return keras.saving.load_model(path)

    @contextlib.contextmanager
    def _loading(self, which):
        """The path of the "last" or "best" model, and one error if anything is wrong with it."""
        last, best = map(self._checkpoint, (self.epoch, self.state["best"]["epoch"]))
        path = last if which == "last" else best
        try:
            self._check_model(path)
            yield path
        except Exception as error:  # a damaged zip or HDF5 file fails in many ways
            other = ""
            if path != last:
                with contextlib.suppress(Exception):
                    self._check_model(last)
                    other = f" {self.folder / 'last.keras'}, of epoch {self.epoch}, still loads."
            raise ValueError(
                f"{path}, which {self.folder / 'run.json'} names, cannot be loaded: "
                f"{one_line(error)}. Put it back, or start again in another folder or with --force."
                f"{other}"
            ) from error

    def _check_model(self, path):
        found = checksum(path)
        if self.state["models"].get(path.name, found) != found:
            raise ValueError("another program has written over it, or over its other name")

    def finish(self):
        """Notes that nothing is left to do, neither epochs nor what is made of them."""
        with self.writing():
            self.check_alone()
            self._publish()
            self._commit({"files": self._files(self.epoch), "finished": True})

    def why_stopped(self):
        """In a sentence, why no more epochs are trained than there are; empty if all are."""
        if not self.stopped_early:
            return ""
        best, score = self.state["best"], self.state["best"][self.monitor]
        than = "" if score is None else f" than the {self._spoken_monitor()} of {score:.4f}"
        return (
            f"stopped: no better score in {self.patience} epoch{'s' * (self.patience > 1)}{than} "
            f"in epoch {best['epoch']}; {self.epoch} of {self.epochs} epochs were trained."
        )

    def _spoken_monitor(self):
        return self.monitor.removeprefix("val_").replace("_", " ").replace(" iou", " IoU")

    def summary(self):
        """In a sentence or two, what is safe in the folder."""
        if not self.epoch:
            return "No epoch is finished yet."
        best = self.state["best"]
        name = self._spoken_monitor()
        score = "no" if best[self.monitor] is None else f"{best[self.monitor]:.4f}"
        score = f"a {name} of {score}" if score != "no" else f"no {name}"
        return (
            f"{self.epoch} of {self.epochs} epochs are kept. The best model so far is "
            f"{self.folder / 'best.keras'}, of epoch {best['epoch']}, with {score}."
        )

    def on_train_begin(self, logs=None):
        check_strategy(self.model)
        if self.epoch:
            with self._loading("best"):  # not only after the last epoch, when it is needed
                pass
        if not self.writes:
            return
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock_folder(self.folder.resolve())
            self.check_alone()
            if self.force and self._found and not self.epoch:
                remove_run(self.folder, self._found)
            self._check_free()
            self._commit({"files": self._files(self.epoch)})
            self._events_before = {self._name(path) for path in self.folder.glob(EVENTS)}
            (self.folder / "checkpoints").mkdir(exist_ok=True)
            self._remove_halves()
            self._publish()

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch
        self._epoch_context.close()
        self._epoch_context.enter_context(seeded_layers(self.model, self.data.seed, epoch))
        self._began = time.monotonic()

    def on_train_batch_begin(self, batch, logs=None):
        if batch and self._direction is None:  # after the first step Keras knows its metrics
            logs = self.model.get_metrics_result()
            self._check_monitor(self.monitor.removeprefix("val_"), logs)
            self._direction = direction(self.model, self.monitor, self.mode)

    def on_train_batch_end(self, batch, logs=None):
        """Stops at a loss that is no number. `logs` has its mean since the epoch began."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss became {loss} in epoch {self.epoch + 1}, at step {batch + 1}. Either "
                "the training diverged, and a smaller learning rate or no mixed precision helps; "
                "or an image holds NaN, or a label map an id outside the classes, which "
                "`kerasseg check` and `kerasseg.check_batch` find. "
                f"{self.summary()} Another try needs another folder, or --force."
            )

    def on_test_begin(self, logs=None):
        self._epoch_context.close()

    def on_epoch_end(self, epoch, logs=None):
        self._epoch_context.close()
        self.check_unchanged()
        self._check_monitor(self.monitor, logs)
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.monotonic() - self._began, 3)
        row = {"epoch": epoch + 1, "learning_rate": rate, **logs, "seconds": seconds}
        best, score = self.state["best"], as_json(float(logs[self.monitor]))
        if best is None or self._is_better(score, best[self.monitor]):
            best = {"epoch": epoch + 1, self.monitor: score}
        changes = {"epoch": epoch + 1, "best": best, "history": [*self.state["history"], row]}
        if self.writes:
            with self.writing():
                self.check_alone()
                self._check_free()
                path = self._checkpoint(epoch + 1)
                write_whole(path, self._save)
                sums = {**self.state["models"], path.name: checksum(path)}
                kept = {self._checkpoint(number).name for number in (epoch + 1, best["epoch"])}
                models = {name: sums[name] for name in sums if name in kept}
                earlier = list(self.state["models"].values())
                files = self._files(epoch + 1)
                self._commit({**changes, "models": models, "earlier": earlier, "files": files})
                self._publish()
        else:
            self.state = as_json({**self.state, **changes})
        if self.over:
            self.model.stop_training = True

    def _is_better(self, score, best):
        """Whether a score is better than the best; `None`, which stands for NaN, never is."""
        if score is None or best is None:
            return score is not None
        self._direction = self._direction or direction(self.model, self.monitor, self.mode)
        return score > best if self._direction == "max" else score < best

    def _checkpoint(self, epoch):
        return self.folder / "checkpoints" / f"epoch_{epoch:04}.keras"

    def _name(self, path):
        return path.relative_to(self.folder).as_posix()

    def _events(self):
        """The names of the files that TensorBoard's callback has written since `fit` began."""
        found = {self._name(path) for path in self.folder.glob(EVENTS)}
        return found - getattr(self, "_events_before", found)

    def _files(self, epoch):
        """What belongs to the run once so many epochs are kept: also the next one's checkpoint."""
        following = self._name(self._checkpoint(epoch + 1))
        free = not os.path.lexists(self.folder / following)
        place = self.folder.absolute()
        mine = (path for path in WRITTEN if path.is_relative_to(place) and path.is_file())
        others = sorted({path.relative_to(place).as_posix() for path in mine} | self._events())
        names = [*self.state["files"], *FILES, *others, *[following] * free]
        return [
            name
            for name in dict.fromkeys(names)
            if name == following or not CHECKPOINT.fullmatch(name) or (self.folder / name).exists()
        ]

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
        write_json_whole(self.folder / "run.json", state)
        self.state = self._found = state

    def _publish(self):
        """Brings all other files to what `run.json` says."""
        named = {}
        if self.epoch:
            named["last.keras"] = self._checkpoint(self.epoch)
            named["best.keras"] = self._checkpoint(self.state["best"]["epoch"])
        for name, checkpoint in named.items():
            path = self.folder / name
            if not same_file(path, checkpoint):
                check_own_model(path, self.state)
                write_whole(path, functools.partial(link_or_copy, checkpoint))
        write_whole(self.folder / "log.csv", self._write_log)
        for path in (self.folder / name for name in self.state["files"]):
            if CHECKPOINT.fullmatch(self._name(path)) and path not in named.values():
                path.unlink(missing_ok=True)

    def _remove_halves(self):
        """Removes what a process has left that was killed while it wrote."""
        for folder in (self.folder, self.folder / "checkpoints", self.folder / "pictures"):
            for path in folder.glob(f"{TEMPORARY}*"):
                path.unlink()

    def _check_free(self):
        """Raises `ValueError` if a name that the run needs belongs to another file."""
        later = (self._checkpoint(epoch) for epoch in range(self.epoch + 1, self.epochs + 1))
        for name in (*FILES, *map(self._name, later)):
            if name not in self.state["files"] and os.path.lexists(self.folder / name):
                raise ValueError(
                    f"{self.folder / name} is not of this run, which would write over it. Move it "
                    "away, or choose another folder."
                )

    def _write_log(self, path):
        rows = self.state["history"]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(["epoch", *itertools.chain(*rows)])))
            writer.writeheader()
            writer.writerows(rows)

    @contextlib.contextmanager
    def writing(self):
        """Turns an error of the file system into one that says what is safe, and the remedy."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot be written: {one_line(error.strerror or error)}. "
                f"{self.summary()} Make room there, or make it writable, and start again."
            ) from error

    def _check_same(self, kept):
        ours, theirs = self.state["settings"], kept["settings"]
        then = {**ours, **self.defaults, **theirs}  # an option they do not name had its default
        differing = [name for name in {**theirs, **ours} if ours.get(name) != then[name]]
        free = {"patience", *(["epochs"] if self.epochs > theirs.get("epochs", 0) else [])}
        differing = [name for name in differing if name not in free]
        if differing:
            shown = ", ".join(f"{n}={then[n]} there, {ours.get(n)} now" for n in differing)
            raise ValueError(
                f"{self.folder} holds another run. Received: {shown}. Choose another folder, or "
                "start with the same settings to go on, or with --force to remove that run."
            )
        if kept["data"] != self.state["data"]:
            raise ValueError(
                f"The data set is not the one that the run in {self.folder} began with: files, "
                "their sizes or times, or the classes differ. Put it back to go on, choose "
                "another folder, or start again with --force."
            )

    def check_alone(self):
        """Raises `ValueError` if another process has trained here since this one looked."""
        found = read_run(self.folder)
        if found is None and self._found is not None:
            raise ValueError(
                f"{self.folder} has lost the files of this run meanwhile. Put them back to go on, "
                "or start again."
            )
        if found != self._found:
            raise ValueError(
                f"Another process has trained in {self.folder} meanwhile. Start again to go on "
                "with its run, or choose another folder."
            )

    def _check_monitor(self, name, logs):
        """Raises `ValueError` if the score that chooses the best epoch is not there."""
        if name not in (logs or {}):
            raise ValueError(
                f"`monitor` must be a name that `fit` logs; with val_ in front it needs "
                f"`validation_data`. Received: monitor={self.monitor!r}, while `fit` logs "
                f"{', '.join(sorted(logs or {}))}"
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
                "start again with --force."
            )


def direction(model, monitor, mode):
    """ "max" or "min", found as Keras's `EarlyStopping` finds it.

    Raises:
        ValueError: mode is "auto", and the metric does not say which is better.
    """
    if mode != "auto":
        return mode
    if monitor == MEAN_IOU:
        return "max"
    probe = keras.callbacks.EarlyStopping(monitor, patience=9)
    probe.set_model(model)
    try:
        for epoch, score in enumerate((0.0, 1.0)):
            probe.on_epoch_end(epoch, {monitor: score})
    except ValueError as error:
        raise ValueError(
            f'`mode` must be "max" or "min" for a metric that does not say which is better. '
            f"Received: monitor={monitor!r}, mode={mode!r}"
        ) from error
    return "max" if probe.best == 1.0 else "min"


def check_strategy(model):
    """Raises `ValueError` under the TensorFlow strategy with which Keras's `fit` fails."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise ValueError(
                "Keras cannot `fit` under MultiWorkerMirroredStrategy. To train on several "
                "machines, set KERAS_BACKEND=jax and take `kerasseg train --distribute jax`, or "
                "keras.distribution.DataParallel."
            )
