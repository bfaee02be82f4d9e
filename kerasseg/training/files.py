"""Writing a file whole or not at all."""

import os


def write_whole(path, write):
    """Calls `write(path)` on another path, and puts the file in place in one step when it is whole.

    A reader finds the old file or the new one, whatever happens to this process.
    """
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.unlink(missing_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_whole(path, text):
    """`write_whole` of a text."""
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
