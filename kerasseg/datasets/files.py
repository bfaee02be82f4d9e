"""Pictures and their label maps in folders: pair them, check them, read them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def pair_by_stem(image_folder, label_folder):
    """[(image path, label path)] of two folders whose files share their stems.

    Raises:
        FileNotFoundError: a folder without images, or an image without a label map (its path).
    """
    images, labels = by_stem(image_folder), by_stem(label_folder)
    missing = [image for stem, image in images.items() if stem not in labels]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(images)} images have no label map of the same stem in "
            f"{label_folder}. The first: {missing[0]}. Add the label map or remove the image."
        )
    return [(image, labels[stem]) for stem, image in images.items()]


def by_stem(folder):
    """{stem: path} of the images in a folder, in the order of their names."""
    folder = Path(folder)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {}
    for path in paths:
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise ValueError(f"Two files of one stem: {found[path.stem]} and {path}.")
            found[path.stem] = path
    if not found:
        raise FileNotFoundError(
            f"No images in {folder}. Expected files that end in {', '.join(SUFFIXES)}."
        )
    return found


def pair_by_list(list_file):
    """[(image path, label path)] of a text file with one "image label" pair a line.

    The published CamVid lists hold absolute paths of the machine they were made on
    (`/SegNet/CamVid/train/x.png /SegNet/CamVid/trainannot/x.png`): the last two parts of each
    path count, from the folder of the list.
    """
    list_file = Path(list_file)
    pairs = []
    for number, line in enumerate(list_file.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 2:
            raise ValueError(
                f'{list_file}, line {number}: expected "image label", two paths without spaces. '
                f"Received: {line!r}"
            )
        pair = tuple(list_file.parent.joinpath(*Path(word).parts[-2:]) for word in words)
        for path in pair:
            if not path.is_file():
                raise FileNotFoundError(f"{list_file}, line {number} names {path}: no such file.")
        pairs.append(pair)
    if not pairs:
        raise FileNotFoundError(f"No images in {list_file}: the list is empty.")
    return pairs


def read_image(path):
    """uint8 array (height, width, 3). An unreadable or truncated file raises `ValueError`."""
    picture = decode(path)
    if picture.mode.startswith("I;16"):  # `convert` would clip 16 bits to white
        grey = (np.asarray(picture) // 257).astype("uint8")
        return np.repeat(grey[..., None], 3, axis=-1)
    if picture.mode in ("I", "F"):
        raise ValueError(f"{path}: expected 8 or 16 bits a channel. Received: mode={picture.mode}")
    return np.asarray(picture.convert("RGB"))


def read_label(path):
    """uint8 array (height, width) of class ids; a palette image gives its indices."""
    picture = decode(path)
    ids = np.asarray(picture)
    if ids.ndim != 2:
        raise ValueError(
            f"{path} is no label map: expected one channel of class ids. Received: "
            f"mode={picture.mode}, {ids.shape[-1]} channels. Convert colours to ids first."
        )
    if ids.max(initial=0) > 255:
        raise ValueError(f"{path}: class ids go up to 255. Received: id={ids.max()}")
    return ids.astype("uint8")


def decode(path):
    """The decoded Pillow image. Decoding whole, not only the header, is what finds damage."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error


def check_pairs(pairs, num_classes, ignore_class):
    """Reads every pair once and raises `ValueError` at the first that would spoil a training.

    Looks for unreadable files, label maps of another size than their image, and ids outside the
    classes. It runs before the first epoch, so that nothing is lost in the middle of one.

    Returns:
        The set of the sizes seen, (height, width).
    """
    with ThreadPoolExecutor() as pool:
        check = partial(check_pair, num_classes=num_classes, ignore_class=ignore_class)
        return set(pool.map(check, pairs))


def check_pair(pair, num_classes, ignore_class):
    image_path, label_path = pair
    image, label = read_image(image_path), read_label(label_path)
    if image.shape[:2] != label.shape:
        raise ValueError(
            f"{label_path} is {label.shape[0]}x{label.shape[1]} pixels (height x width), but its "
            f"image {image_path} is {image.shape[0]}x{image.shape[1]}. They must be equal."
        )
    present = np.flatnonzero(np.bincount(label.ravel(), minlength=256))
    outside = [int(i) for i in present if i >= num_classes and i != ignore_class]
    if outside:
        raise ValueError(
            f"{label_path} holds the label id {outside[0]}, which is outside the classes. "
            f"Allowed ids: 0 to {num_classes - 1}, and {ignore_class} for void. "
            f"Received: ids={present.tolist()}"
        )
    return label.shape


def records(pairs):
    """A `tf.data.Dataset` of {"image": path, "label": path}."""
    return tf.data.Dataset.from_tensor_slices(
        {"image": [str(image) for image, _ in pairs], "label": [str(label) for _, label in pairs]}
    )


def read_pair(record, size=(None, None)):
    """Image and label map of one record, inside a `tf.data` pipeline, of `size` where known."""

    def read(image_path, label_path):
        return read_image(image_path.decode()), read_label(label_path.decode())

    image, label = tf.numpy_function(read, [record["image"], record["label"]], (tf.uint8, tf.uint8))
    return tf.ensure_shape(image, (*size, 3)), tf.ensure_shape(label, size)
