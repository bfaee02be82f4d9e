"""`kerasseg predict MODEL IMAGES... --output DIR`: label maps of your own images."""

import os
import re
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from kerasseg.anatomy.outputs import output_of, to_classes
from kerasseg.cli import model_files
from kerasseg.datasets.files import SUFFIXES, by_stem, read_image
from kerasseg.figures import mean_colour
from kerasseg.inference import predict_image
from kerasseg.inference.resizing import resize_image
from kerasseg.training.files import write_whole

OVERLAY = 0.6  # how strongly the colours of the classes cover the image
SUFFIX_OF = {"labels": ".png", "overlays": ".png", "probabilities": ".npy"}


def run(options):
    size = options.image_size
    if size not in (None, ["native"]) and (len(size) != 2 or "native" in size):
        raise ValueError(
            "--image-size: expected H W or native. Received: " + " ".join(map(str, size))
        )
    model = model_files.load(options.model)
    channels = model_files.channels_of(model, options.model)
    known, meaning = model_files.classes_in(model), output_of(model)
    if len(known.class_names) > 256:
        raise ValueError(
            f"A label map holds ids up to 255, but {options.model} knows {len(known.class_names)} "
            "classes. Use kerasseg.predict_image."
        )
    pictures = find_pictures(options.images)
    names = file_names(known.class_names) if meaning.labels == "multilabel" else None
    targets = find_targets(pictures, options, names)
    for path in tqdm(pictures, "reading", unit=" images", disable=None):
        read(path, channels)  # once before anything is written: a damaged one ends it here
    for path in tqdm(pictures, "predicting", unit=" images", disable=None):
        image = read(path, channels)
        predicted = label_map(model, meaning, image, known.image_size, options)
        write(targets[path], *predicted, known.colours)
    print(f"{len(pictures)} label map{'s' * (len(pictures) > 1)} in {options.output}")
    return 0


def file_names(labels):
    """A name for the mask of each label that every file system takes."""
    names = [re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", label).strip(". ") for label in labels]
    distinct = len({name.lower() for name in names}) == len(names)
    return names if distinct and all(names) else [f"label {i}" for i in range(len(names))]


def find_pictures(words):
    """{path: its name in the output folder, without suffix}; of folders, all that lies in them."""
    pictures = {}
    for path in map(Path, words):
        if path.is_dir():
            pictures |= {picture: Path(stem) for stem, picture in by_stem(path, []).items()}
        elif not path.exists():
            raise FileNotFoundError(f"There is no image and no folder {path}.")
        elif path.suffix.lower() not in SUFFIXES:
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
            if target.exists():
                raise ValueError(f"{target} exists. Remove it, or choose another --output.")
            taken[target] = picture
    return targets


def check_writable(folder):
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file, not a folder. Choose another --output.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{there} cannot be written to. Choose another --output.")


def read(path, channels):
    """The image, uint8 (height, width, channels), grey if the model has one channel."""
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


def label_map(model, meaning, image, trained_size, options):
    """(image, uint8 ids or masks, float16 probabilities or `None`), all of one height and width."""
    asked = options.image_size
    size = trained_size if asked is None else None if asked == ["native"] else asked
    small = image if size is None else resize_image(image, size)
    shown = image if asked is None else small
    direct = shown.shape == small.shape and not options.probabilities
    predicted = predict_image(
        model,
        small,
        tile=options.tile,
        overlap=options.overlap,
        flip=options.flip,
        output="classes" if direct else "probabilities",
    )
    if direct:
        return shown, predicted, None
    # One channel at a time: all of them at the size of a large image may not fit into memory.
    size, kept, masks = shown.shape[:2], [], []
    ids, largest = np.zeros(size, "uint8"), np.zeros(size, "float32")
    for i in range(predicted.shape[-1]):
        probability = resize_image(predicted[..., i : i + 1], size)[..., 0]
        if meaning.labels == "classes":
            ids[probability > largest] = i
            np.maximum(largest, probability, out=largest)
        else:
            mask = to_classes(probability[..., None], meaning._replace(axis=-1))
            masks.append(mask.reshape(size).astype("uint8"))
        if options.probabilities:
            kept.append(probability.astype("float16"))
    if masks:
        ids = masks[0] if meaning.labels == "binary" else np.stack(masks, axis=-1)
    return shown, ids, np.stack(kept, axis=-1) if kept else None


def write(targets, image, ids, probabilities, colours):
    """Writes what `targets` names, each file whole or not at all."""

    def labels(path):
        write_labels(path, ids, colours)

    def overlays(path):
        if ids.ndim == 2:
            tint = np.asarray(colours, "float32")[ids]
        else:
            tint = 255 * mean_colour(ids, colours, image / 255)
        picture = (1 - OVERLAY) * image + OVERLAY * tint
        Image.fromarray(np.rint(picture).astype("uint8")).save(path)

    def probabilities_(path):
        np.save(path, probabilities)

    def mask(i):
        return lambda path: write_labels(path, ids[..., i], [(0, 0, 0), colours[i]])

    writers = {"labels": labels, "overlays": overlays, "probabilities": probabilities_}
    for kind, target in targets.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, mask(kind) if isinstance(kind, int) else writers[kind])
        except OSError as error:
            raise OSError(f"{target} cannot be written: {error.strerror}.") from error


def write_labels(path, ids, colours):
    """A PNG file whose values are ids, shown in colours."""
    picture = Image.fromarray(ids)
    picture.putpalette(np.asarray(colours, "uint8").tobytes())
    picture.save(path)
