"""`kerasseg predict MODEL IMAGES... --output DIR`: label maps of your own images."""

import contextlib
import itertools
import os
import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kerasseg.anatomy.outputs import output_of, to_classes
from kerasseg.cli import model_files
from kerasseg.cli.paths import check_outside
from kerasseg.datasets.annotations import CocoWriter
from kerasseg.datasets.files import SUFFIXES, by_stem, decode, image_size, read_image
from kerasseg.datasets.memory import check_memory
from kerasseg.datasets.png import PngWriter
from kerasseg.figures import mean_colour
from kerasseg.inference.prediction import predicted_bands
from kerasseg.inference.resizing import resize_image, resized_rows
from kerasseg.training.files import whole
from kerasseg_command.terminal import show

OVERLAY = 0.6  # how strongly the colours of the classes cover the image
POLYGONS = "annotations.json"
SUFFIX_OF = {"labels": ".png", "overlays": ".png", "probabilities": ".npy"}
MOST_PIXELS = 2**30  # of a size that is asked for
WHOLE = 2**22  # pixels above which an image is predicted in tiles
TILE, SMALL_TILE, MANY_CLASSES = 512, 256, 32
BAND = 2**18  # pixels that are written in one go
LONGEST_NAME = 100  # bytes; file systems take 255


def run(options):
    check_size("--image-size", options.image_size)
    if options.polygons and options.image_size not in (None, ["native"]):
        raise ValueError(
            "--polygons are in pixels of the image itself. Leave out --image-size, or pass native."
        )
    model = model_files.load(options.model)
    channels = model_files.channels_of(model, options.model)
    known, meaning = model_files.classes_in(model), output_of(model)
    if options.image_size is None:
        check_size(f"{options.model}, image_size", known.image_size)
    if len(known.class_names) > 256:
        raise ValueError(
            f"A label map holds ids up to 255, but {options.model} knows {len(known.class_names)} "
            "classes. Use kerasseg.predict_image."
        )
    check_threshold(options, meaning)
    pictures = find_pictures(options.images)
    for folder in filter(os.path.isdir, options.images):
        check_outside(options.output, folder)
    names = file_names(known.class_names) if meaning.labels == "multilabel" else None
    targets = find_targets(pictures, options, names)
    for path in tqdm(pictures, "reading", unit=" images", disable=None):
        read(path, channels)  # once before anything is written: a damaged one ends it here
    polygons = CocoWriter(known.class_names, multi_label=names is not None)
    for path in tqdm(pictures, "predicting", unit=" images", disable=None):
        image = read(path, channels)
        bands = label_bands(model, meaning, image, known.image_size, options)
        write(targets[path], bands, output_size(image, options), known.colours, meaning)
        if options.polygons:
            polygons.add(f"{pictures[path]}{path.suffix}", written(targets[path]))
    if options.polygons:
        with whole(Path(options.output, POLYGONS), new=True) as temporary:
            temporary.write_text(polygons.text())
    show(f"{len(pictures)} label map{'s' * (len(pictures) > 1)} in {options.output}")
    return 0


def check_size(what, size):
    """Raises `ValueError` for what is no size to predict at, or one that needs too much memory."""
    if size in (None, ["native"]):
        return
    words = "Received: " + " ".join(map(str, size))
    if len(size) != 2 or "native" in size:
        raise ValueError(f"{what}: expected H W or native. {words}")
    if size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"{what}: expected {MOST_PIXELS:,} pixels at most. {words}")
    remedy = "Take a smaller --image-size."
    check_memory(size[0] * size[1] * 4, f"An image of {size[0]}x{size[1]} pixels", remedy)


def check_threshold(options, meaning):
    if options.threshold and meaning.labels == "classes" and meaning.num_classes != 2:
        raise ValueError(
            f"--threshold is for two classes, or for labels, but {options.model} has "
            f"{meaning.num_classes} classes, of which the likeliest is taken. Leave it out."
        )


def file_names(labels):
    """A name for the mask of each label that every file system takes."""
    names = [re.sub(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*]', "_", label).strip(". ") for label in labels]
    distinct = len({name.lower() for name in names}) == len(names)
    short = all(0 < len(os.fsencode(name)) <= LONGEST_NAME for name in names)
    return names if distinct and short else [f"label {i}" for i in range(len(names))]


def find_pictures(words):
    """{path: its name in the output folder, without suffix}; of folders, all that lies in them."""
    pictures = {}
    for path in map(Path, words):
        if path.is_dir():
            pictures |= {picture: Path(stem) for stem, picture in by_stem(path, []).items()}
        elif not path.exists():
            raise FileNotFoundError(f"There is no image and no folder {path}.")
        elif path.suffix.lower() not in SUFFIXES or not path.is_file():
            raise ValueError(
                f"{path} is not an image. Expected a file that ends in {', '.join(SUFFIXES)}, or a "
                "folder of such files."
            )
        else:
            pictures[path] = Path(path.stem)
    return pictures


def find_targets(pictures, options, label_names=None):
    """{image: {what is written of it: where}}; of a multi-label model, a mask for each label.

    Raises:
        ValueError: if something would be overwritten, or cannot be written.
    """
    output = Path(options.output)
    check_writable(output)
    if options.polygons and os.path.lexists(output / POLYGONS):
        raise ValueError(f"{output / POLYGONS} exists. Remove it, or choose another --output.")
    folders = {"labels": output}
    if options.overlays:
        folders["overlays"] = output / "overlays"
    if options.probabilities:
        folders["probabilities"] = output / "probabilities"
    targets, taken = {}, {}
    for picture, name in pictures.items():
        targets[picture] = {
            kind: folder / name.with_name(name.name + SUFFIX_OF[kind])
            for kind, folder in folders.items()
        }
        if label_names is not None:
            del targets[picture]["labels"]
            for i, label in enumerate(label_names):
                targets[picture][i] = output / name / f"{label}.png"
        for target in targets[picture].values():
            if target in taken:
                raise ValueError(
                    f"{taken[target]} and {picture} would both become {target}. Predict them into "
                    "two folders."
                )
            if os.path.lexists(target):
                raise ValueError(f"{target} exists. Remove it, or choose another --output.")
            taken[target] = picture
    for target, picture in taken.items():
        for folder in target.parents:
            if folder in taken:
                raise ValueError(
                    f"{folder} would be the label map of {taken[folder]} and the folder of that of "
                    f"{picture}. Predict them into two folders."
                )
    return targets


def check_writable(folder):
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file, not a folder. Choose another --output.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} cannot be written to. Choose another --output.")


def read(path, channels):
    """The image, uint8 (height, width, channels), grey if the model has one channel."""
    width, height = image_size(path)
    remedy = "Cut it into smaller images."
    check_memory(7 * width * height, f"{path}, of {width}x{height} pixels,", remedy)
    image = read_image(path)
    if channels == 1 and (image == image[..., :1]).all():
        return image[..., :1]
    if channels != 3:
        wanted = "grey images" if channels == 1 else f"images of {channels} channels"
        raise ValueError(
            f"The model takes {wanted}, but {path} is in colour. Convert the image, or take "
            "another model."
        )
    return image


def output_size(image, options):
    """The height and width of what is written of an image."""
    keeps = options.image_size in (None, ["native"])
    return image.shape[:2] if keeps else tuple(options.image_size)


def label_bands(model, meaning, image, trained_size, options):
    """Yields bands of rows: (image, uint8 ids or masks, float32 probabilities), from the top down.

    The image is brought to the size asked for, else to that of the training, from which the
    probabilities are brought back to the image's own.
    """
    asked = options.image_size
    size = trained_size if asked is None else None if asked == ["native"] else asked
    small = image if size is None else resize_image(image, size)
    shown = image if asked is None else small
    tile = options.tile
    if tile is None and small.shape[0] * small.shape[1] > WHOLE:
        tile = TILE if meaning.num_classes < MANY_CLASSES else SMALL_TILE
    bands = predicted_bands(
        model,
        small,
        tile=tile,
        overlap=options.overlap,
        flip=options.flip,
        output="probabilities",
    )
    if shown.shape != small.shape:
        bands = enlarged(bands, small.shape[:2], shown.shape[:2])
    for top, bottom, probabilities in bands:
        for rows in slices(bottom - top, shown.shape[1]):
            part = probabilities[rows]
            ids = ids_of(part, meaning, options.threshold)
            yield shown[top + rows.start : top + rows.stop], ids, part


def enlarged(bands, size, shown_size):
    """The same bands of probabilities at another size."""
    predicted = None
    for top, bottom, rows in bands:
        if predicted is None:
            predicted = np.empty((*size, rows.shape[-1]), "float32")
        predicted[top:bottom] = rows
    for rows in slices(*shown_size):
        yield rows.start, rows.stop, resized_rows(predicted, shown_size, rows.start, rows.stop)


def slices(height, width):
    """Slices of so many rows, each of `BAND` pixels or one row."""
    step = max(1, BAND // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def ids_of(probabilities, meaning, threshold=None):
    """uint8 ids (height, width), or masks (height, width, labels) of a multi-label model."""
    if threshold is None:
        return to_classes(probabilities, meaning._replace(axis=-1)).astype("uint8")
    if meaning.labels == "multilabel":
        return (probabilities > threshold).astype("uint8")
    return (probabilities[..., -1] > threshold).astype("uint8")  # of background and foreground


def write(targets, bands, size, colours, meaning):
    """Writes what `targets` names, each file whole; if anything fails before, none of them.

    Args:
        targets: {"labels", "overlays", "probabilities", or the number of a label: path}.
        bands: What `label_bands` yields.
        size: `(height, width)`.
        colours: (red, green, blue) of each class.
        meaning: What `output_of` says of the model.
    """
    first = next(bands)  # what is wrong with the model shows before anything is written
    try:
        with contextlib.ExitStack() as stack:
            files = {kind: stack.enter_context(opened(path)) for kind, path in targets.items()}
            writers = {
                kind: stack.enter_context(writer(kind, file, size, colours, meaning))
                for kind, file in files.items()
            }
            for image, ids, probabilities in itertools.chain([first], bands):
                for kind, add in writers.items():
                    add(rows_of(kind, image, ids, probabilities, colours))
    except OSError as error:
        path = next(iter(targets.values()))
        raise OSError(f"{path} cannot be written: {error.strerror or error}.") from error


@contextlib.contextmanager
def opened(path):
    """A file to write into, which is at `path` when the block has ended, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, new=True) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()


@contextlib.contextmanager
def writer(kind, file, size, colours, meaning):
    """A function that adds rows to a file."""
    if kind == "probabilities":
        channels = 1 if meaning.labels == "binary" else meaning.num_classes
        header = {"descr": "<f2", "fortran_order": False, "shape": (*size, channels)}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda rows: file.write(rows.astype("<f2").tobytes())
        return
    palette = None if kind == "overlays" else colours
    if isinstance(kind, int):
        palette = [(0, 0, 0), colours[kind]]
    with PngWriter(file, size, palette) as image:
        yield image.write


def rows_of(kind, image, ids, probabilities, colours):
    """What of a band goes into the file of a kind."""
    if kind == "probabilities":
        return probabilities
    if kind == "labels":
        return ids
    if kind != "overlays":
        return ids[..., kind]
    if ids.ndim == 2:
        tint = np.asarray(colours, "float32")[ids]
    else:
        tint = 255 * mean_colour(ids, colours, image / 255)
    return np.rint((1 - OVERLAY) * image + OVERLAY * tint).astype("uint8")


def written(targets):
    """The label map that was written, (height, width); or that of each label, as channels."""
    if "labels" in targets:
        return np.asarray(decode(targets["labels"]))
    masks = [path for kind, path in targets.items() if isinstance(kind, int)]
    return np.stack([np.asarray(decode(path)) for path in masks], axis=-1)
