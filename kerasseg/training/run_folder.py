"""The folder of a run: reading it, locking it, removing it.

A run is the list of files that its `run.json` holds. Whatever else lies in its folder belongs to
somebody else, and is neither overwritten nor removed.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import stat
import zipfile
from pathlib import PurePosixPath

from kerasseg.requirements import require

CHECKPOINT = re.compile(r"checkpoints/epoch_\d{4,}\.keras")
SUSPECTS = 12  # regions on the page of a run
PICTURES = tuple(
    f"pictures/{kind}{i}_{part}.png"
    for kind, count in (("best", 4), ("worst", 4), ("now", 4), ("suspect", SUSPECTS))
    for i in range(count)
    for part in ("image", "truth", "prediction")
)
FILES = (  # of every run, beside its checkpoints
    *("run.json", "log.csv", "best.keras", "last.keras"),
    *("progress.json", "evaluation.json", "curves.png", "report.html"),
    *PICTURES,
)
OTHER_FOLDER = "Choose another folder."


def read_run(folder):
    """What `run.json` holds; `None` where there is no run.

    Raises:
        ValueError: the folder holds other files, or a `run.json` that is none of a run.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder. {OTHER_FOLDER}")
    path = folder / "run.json"
    if path.is_file():
        try:
            state = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not JSON: {error}. {OTHER_FOLDER}") from error
        check_state(state, path)
        return state
    others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if others:
        raise ValueError(
            f"{folder} holds other files. Expected an empty folder, or a run to go on with. "
            f"Received: {', '.join(others[:3])}. {OTHER_FOLDER}"
        )
    return None


def locked_run(folder):
    """What `read_run` says, in a folder where nobody else changes it any more if there is a run."""
    if read_run(folder) is None:
        return None
    lock_folder(folder.resolve())
    return read_run(folder)


def check_state(state, path):
    """Raises `ValueError` if what a `run.json` holds is not what a run writes."""
    try:
        epoch, best, history = state["epoch"], state["best"], state["history"]
        settings, models = state["settings"], state.get("models", {})
        names = [*state.get("files", ()), *(f"checkpoints/{name}" for name in models)]
        sound = {
            "settings": isinstance(settings, dict),
            "epoch": type(epoch) is int and epoch >= 0,
            "history": len(history) == epoch and all(is_row(row) for row in history),
            "best": is_best(best, settings.get("monitor", "val_mean_iou"), epoch),
            "models": all(isinstance(digest, str) for digest in models.values()),
            "earlier": all(isinstance(digest, str) for digest in state.get("earlier", ())),
            "files": all(is_inside(path.parent, name) for name in names),
            "finished": type(state.get("finished", False)) is bool,
        }
        wrong = [key for key in sound if not sound[key]]
    except (AttributeError, KeyError, TypeError) as error:
        wrong = [str(error)]
    if wrong:
        raise ValueError(
            f"{path} is not what a run wrote: {', '.join(wrong)}. Put it back as it was, or choose "
            "another folder."
        )


def is_row(row):
    """Whether this can be what was logged of an epoch: {name: number, or `None`}."""
    return all(value is None or type(value) in (int, float) for value in row.values())


def is_best(best, monitor, epoch):
    """Whether this can be the best of so many epochs: {"epoch", and the score under its name}."""
    if epoch == 0 or best is None:
        return best is None and epoch == 0
    score = best[monitor]
    number = score is None or type(score) in (int, float)
    return number and type(best["epoch"]) is int and 1 <= best["epoch"] <= epoch


def is_inside(folder, name):
    """Whether a name is that of a file in a folder or below, reached without links to elsewhere."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or {"..", "."} & {*parts}:
        return False
    parent = (folder / name).parent.resolve()
    return parent.is_relative_to(folder.resolve())


def files_of(folder, state):
    """The names of a run's files, from its folder; those of an older version are known by name."""
    if "files" in state:
        return list(state["files"])
    checkpoints = {state["epoch"], (state["best"] or state)["epoch"]}
    names = [*FILES, *(f"checkpoints/epoch_{n:04}.keras" for n in checkpoints)]
    return [name for name in names if (folder / name).is_file()]


def remove_run(folder, state):
    """Removes the files of a run, `run.json` last, and the folders that are empty then.

    Args:
        folder: A `pathlib.Path`.
        state: What `read_run` returned.

    Raises:
        ValueError: a model that the run did not write bears the name of one that it did.
    """
    names = files_of(folder, state)
    for name in names:
        if name.endswith(".keras"):
            check_own_model(folder / name, state)
    for name in sorted(names, key="run.json".__eq__):
        (folder / name).unlink(missing_ok=True)
    inner = {path for name in names for path in PurePosixPath(name).parents} - {PurePosixPath(".")}
    for name in sorted(inner, reverse=True):
        if (folder / name).is_dir() and not any((folder / name).iterdir()):
            (folder / name).rmdir()


def check_own_model(path, state):
    """Raises `ValueError` if another program has put a model in the place of one of the run."""
    known = {*state.get("models", {}).values(), *state.get("earlier", ())}
    try:
        strange = known and checksum(path) not in known
    except (OSError, zipfile.BadZipFile):  # there is none, or half of one
        return
    if strange:
        raise ValueError(
            f"{path} is not the model that the run wrote. Move it to another folder, if you need "
            "it, or remove it."
        )


@functools.cache
def lock_folder(folder):
    """Keeps other processes from training in a folder, for as long as this process lives.

    The operating system releases the lock when the process ends, even if it is killed. File
    systems without locks, such as some network drives, protect nothing.

    Args:
        folder: A resolved `pathlib.Path`.

    Raises:
        ValueError: another process holds the lock, or `.lock` is a file of somebody else.
    """
    filelock = require("filelock")
    path = folder / ".lock"
    if os.path.lexists(path):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size:  # taking the lock empties it
            raise ValueError(
                f"{path}, which marks a folder in use, holds something else. {OTHER_FOLDER}"
            )
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise ValueError(
            f"Another process trains in {folder}. Wait until it has ended, or choose another "
            "folder."
        ) from error
    except (OSError, NotImplementedError):  # no locks, or no right to write: the next write says so
        return None
    return lock


def link_or_copy(path, other):
    """Gives a file a second name, `other`; a copy where the file system has no hard links."""
    try:
        os.link(path, other)
    except (OSError, NotImplementedError):
        # A network drive may have made the link and lost the answer.
        if not (other.exists() and os.path.samefile(path, other)):
            shutil.copy2(path, other)


def checksum(path):
    """A digest of a `.keras` file, from the checksums that its directory holds, read in no time.

    Raises:
        OSError, zipfile.BadZipFile: no such file, or a part of one.
    """
    with zipfile.ZipFile(path) as archive:
        parts = sorted((part.filename, part.file_size, part.CRC) for part in archive.infolist())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def same_file(path, other):
    """Whether a `.keras` file is the other, or a copy of what it holds."""
    try:
        return os.path.samefile(path, other) or checksum(path) == checksum(other)
    except (OSError, zipfile.BadZipFile):  # there is none, or half of one
        return False
