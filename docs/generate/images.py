"""Images for a page: those above 100 kB are written as WebP, so that a page weighs below 1 MB."""

import io
import shutil

from PIL import Image

LARGE = 100_000  # bytes
ENCODINGS = ({"lossless": True}, {"quality": 80})  # drawings and photographs


def copy(path, target):
    """Copies an image, and returns where it lies: at `target`, or beside it with another suffix."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".png" or path.stat().st_size <= LARGE:
        return shutil.copy(path, target)
    image = Image.open(path).convert("RGBA")
    target = target.with_suffix(".webp")
    target.write_bytes(min((encoded(image, words) for words in ENCODINGS), key=len))
    return target


def encoded(image, words):
    stream = io.BytesIO()
    image.save(stream, "webp", **words)
    return stream.getvalue()
