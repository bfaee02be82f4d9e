"""A folder for a page and its images, in which nothing but an older page of ours is replaced."""

import json

__all__ = ["clear_folder", "record_files"]


def clear_folder(folder, record):
    """Makes a folder, or removes what the last page there was made of.

    Args:
        folder: A `pathlib.Path`.
        record: The name of the JSON file in it that lists, under "files", what was written.

    Raises:
        ValueError: the folder is a file, or holds files that its record does not list.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder. Choose another --output.")
    there = {path.relative_to(folder).as_posix(): path for path in files_in(folder)}
    try:
        listed = json.loads((folder / record).read_text("utf-8"))["files"]
        ours = {name for name in [*listed, record] if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    others = sorted(there.keys() - ours)
    if others:
        raise ValueError(
            f"{folder} holds other files. Expected an empty folder, or one that the same command "
            f"has made. Received: {', '.join(others[:3])}. Choose another --output."
        )
    for path in there.values():
        path.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def record_files(folder):
    """The names of all files in a folder, for its record."""
    return sorted(path.relative_to(folder).as_posix() for path in files_in(folder))


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
