"""Whether a folder of images has changed."""

import hashlib
import os

__all__ = ["fingerprint"]


def fingerprint(data_dir):
    """A fingerprint that changes when a folder of images does, without reading a pixel.

    Args:
        data_dir: A folder as `kerasseg.datasets.load("folder", data_dir=...)` takes it.

    Returns:
        {"pictures": the number of pairs, "digest": of their splits, paths, sizes and modification
        times, and of the table of classes}.

    Raises:
        FileNotFoundError: a folder of no known layout, or without images.
        ValueError: two layouts in one folder, or a wrong table of classes.
    """
    from kerasseg.datasets import folder

    found = folder.find(data_dir)
    digest = hashlib.sha256(repr((found.class_names, found.colours)).encode())
    for split, pairs in sorted(found.splits.items()):
        digest.update(split.encode())
        for path in paths_of(pairs):
            status = os.stat(path)
            digest.update(os.fsencode(os.path.relpath(path, data_dir)))
            digest.update(f"\0{status.st_size} {status.st_mtime_ns}\0".encode())
    return {"pictures": sum(map(len, found.splits.values())), "digest": digest.hexdigest()}


def paths_of(pairs):
    """The files of (image, mask), or of (image, masks) where each label has a mask."""
    for image, masks in pairs:
        yield image
        yield from masks if isinstance(masks, tuple) else [masks]
