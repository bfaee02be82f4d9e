"""The folder of a run: reading it, locking it, removing it."""

import functools
import hashlib
import itertools
import json
import os
import shutil
import zipfile

from kerasseg.requirements import require

CHECKPOINTS = ("checkpoints/epoch_*.keras", "checkpoints/.epoch_*.keras")
OWN_FILES = (
    *("run.json", "log.csv", "best.keras", "last.keras"),
    *("evaluation.json", "curves.png", "report.html"),
    *CHECKPOINTS,
    *("pictures/best*.png", "pictures/worst*.png", "tensorboard/*/events.out.*"),
)


def read_run(folder):
    """What `run.json` holds; `None` where there is no run.

    Raises:
        ValueError: the folder holds other files, or `run.json` is not JSON.
    """
    if not folder.exists():
        return None
    path = folder / "run.json"
    if path.is_file():
        try:
            return json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}. Start again with --force.") from error
    others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if others:
        raise ValueError(
            f"{folder} holds other files. Expected an empty folder, or a run to go on with. "
            f"Received: {', '.join(others[:3])}. Choose another folder, or pass --force."
        )
    return None


def remove_run(folder):
    """Removes what a run left in a folder, and nothing else; `run.json` goes first."""
    if (folder / "run.json").is_file():
        for path in itertools.chain(*map(folder.glob, OWN_FILES)):
            path.unlink(missing_ok=True)


@functools.cache
def lock_folder(folder):
    """Keeps other processes from training in a folder, for as long as this process lives.

    The operating system releases the lock when the process ends, even if it is killed. File
    systems without locks, such as some network drives, protect nothing.

    Args:
        folder: A resolved `pathlib.Path`.

    Raises:
        ValueError: another process holds the lock.
    """
    filelock = require("filelock")
    lock = filelock.FileLock(folder / ".lock", timeout=0)
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
