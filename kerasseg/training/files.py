"""Files that are written completely or not at all, and what goes into them."""

import contextlib
import errno
import json
import math
import os
import secrets
from pathlib import Path

from kerasseg.datasets.faults import Unusable

__all__ = ["as_json", "one_line", "whole", "write_json_whole", "write_text_whole", "write_whole"]

TEMPORARY = ".kerasseg-"  # how the names of files begin that are not yet whole
WRITTEN = set()  # the paths of all files that this process has written whole


def write_whole(path, write):
    """Calls `write(path)` with another path, and moves the complete file into place in one step.

    A reader finds the old file or the new one, whatever happens to this process.

    Raises:
        OSError: if the file cannot be written; the old one then stays. What `write` raises, too.
    """
    with whole(path) as temporary:
        write(temporary)


@contextlib.contextmanager
def whole(path, new=False):
    """The path of a file beside `path`, of a name that no other has, which takes its place at last.

    If the block raises, nothing is left of it.

    Args:
        path: A `pathlib.Path`.
        new: Whether nothing may lie at `path`, also nothing that comes there meanwhile.

    Raises:
        FileExistsError: `new`, and there is something at `path`.
    """
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if new:
            place_new(temporary, path)
        else:
            os.replace(temporary, path)
        WRITTEN.add(path.absolute())
    finally:
        temporary.unlink(missing_ok=True)


def place_new(temporary, path):
    """Gives a file another name, if nothing has that name."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.replace(temporary, path)


def write_text_whole(path, text):
    """`write_whole` of a text."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json_whole(path, value):
    """`write_whole` of a value that `as_json` understands."""
    write_text_whole(path, json.dumps(as_json(value), indent=1))


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
    """The first line of an error's message, without its full stop.

    Of an error in a `tf.data` pipeline, what is said of the file, without TensorFlow's path to it.
    """
    text = str(error).strip()
    return text.rpartition(f"{Unusable.__name__}: ")[2].split("\n")[0].rstrip(".")
