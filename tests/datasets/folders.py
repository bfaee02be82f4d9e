"""Folders of images and masks for the tests, and what `load` makes of them."""

import struct
import zlib

import numpy as np
from PIL import Image

from kerasseg import datasets

SIZE = (6, 9)
PALETTE = ((7, 7, 9), (128, 64, 128), (0, 0, 230), (70, 70, 70), (220, 20, 60))
NAMES = ("background", "road", "car", "wall", "person")


def load(folder, **arguments):
    return datasets.load(
        "folder", data_dir=folder, **{"augment": False, "batch_size": 1, **arguments}
    )


def everything(batches):
    """All images and masks of a split, as arrays (pairs, height, width, ...)."""
    images, masks = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(masks)


def both(data):
    """The images and masks of training and validation, in the order of the masks' corners."""
    images, masks = map(np.concatenate, zip(everything(data.train), everything(data.validation)))
    order = np.argsort(np.rint(images[:, 0, 0, 0] * 255))
    return images[order], masks[order]


def ids(seed=0, classes=5, size=SIZE):
    """A mask in which every class occurs."""
    mask = np.random.default_rng(seed).integers(0, classes, size).astype("uint8")
    mask[-1, :classes] = np.arange(classes)
    return mask


def coloured(mask):
    return np.array(PALETTE, "uint8")[mask]


def picture(number, size=SIZE):
    """A picture that its first pixel numbers."""
    image = np.random.default_rng(number).integers(0, 255, (*size, 3)).astype("uint8")
    image[0, 0] = number
    return image


def save(array, path, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **how)
    return path


def make_folder(path, masks, images="images", labels="masks", stem="{:02}"):
    """`masks` as PNG files in `path/labels`, a picture for each in `path/images`."""
    for i, mask in enumerate(masks):
        save(picture(i), path / images / f"{stem.format(i)}.png")
        save(np.asarray(mask), path / labels / f"{stem.format(i)}.png")
    return path


def palette_picture(mask, palette=PALETTE):
    """The mask as a palette image, as annotation tools save it."""
    image = Image.new("P", mask.shape[::-1])
    image.putdata(mask.ravel().tolist())
    image.putpalette(np.array(palette, "uint8").tobytes())
    return image


def png(rows, colour_type, bits=16):
    """The bytes of a PNG file that Pillow can read but not write, from its rows of bytes."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width = rows.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
