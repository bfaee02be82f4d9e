"""What a model scores on a set of label maps, and the pictures that it does best and worst."""

import math

import keras
import numpy as np
from PIL import Image

from kerasseg.losses.label_maps import check_ids

__all__ = ["evaluate", "score_table"]


def evaluate(model, batches, classes, folder=None, pictures=4):
    """Scores of a model on label maps, all from one confusion matrix over the whole set.

    Args:
        model: A `keras.Model` from images to logits or probabilities (batch, height, width,
            classes).
        batches: `(images, labels)`, as `Dataset.validation` gives them; a `tf.data.Dataset` or any
            iterable of arrays.
        classes: What names the classes: an object with `class_names`, `colours` and
            `ignore_class`, such as a `kerasseg.datasets.Dataset` or `models.classes_of(model)`.
        folder: A `pathlib.Path` in which `pictures/` is made, with PNG files of the best and of the
            worst pictures: image, truth and prediction, void striped in both. `None` for no files.
        pictures: How many best and how many worst; none is both.

    Returns:
        A dict of what JSON can hold: "mean_iou" and "pixel_accuracy", `None` where every pixel is
        void; "per_class_iou", one number a class, `None` for a class that is neither in the truth
        nor predicted; "confusion_matrix", whole numbers, a row a true class; "class_names";
        "colours". With `folder`, "best_pictures" and "worst_pictures" as well: lists of {"image",
        "truth", "prediction": paths from `folder`, "iou": mean over the classes of this picture}.

    Raises:
        ValueError: another number of classes in the model; scores that hold NaN.

    Example:

    >>> scores = evaluate(model, data.validation, data)
    >>> scores["mean_iou"], len(scores["per_class_iou"])
    (0.57, 11)
    """
    count, void = len(classes.class_names), classes.ignore_class
    matrix = np.zeros((count, count), "int64")
    best, worst, ranked = [], [], 0
    batches = batches.as_numpy_iterator() if hasattr(batches, "as_numpy_iterator") else batches
    for images, labels in batches:
        check_ids(labels, count, void, name="labels")
        for image, truth, prediction in zip(images, labels, predict_ids(model, images, count)):
            counts = confusion_matrix(truth, prediction, count, void)
            matrix += counts
            iou = mean(per_class_iou(counts))
            if folder and iou is not None:
                ranked += 1
                entry = (iou, image, truth, prediction)
                best = sorted([*best, entry], key=lambda e: -e[0])[:pictures]
                worst = sorted([*worst, entry], key=lambda e: e[0])[:pictures]
    scores = {
        "mean_iou": mean(per_class_iou(matrix)),
        "pixel_accuracy": float(np.trace(matrix) / matrix.sum()) if matrix.any() else None,
        "per_class_iou": per_class_iou(matrix),
        "confusion_matrix": matrix.tolist(),
        "class_names": list(classes.class_names),
        "colours": None if classes.colours is None else np.asarray(classes.colours).tolist(),
    }
    if folder:
        kinds = {"best": best[: (ranked + 1) // 2], "worst": worst[: ranked // 2]}
        for kind, entries in kinds.items():
            scores[f"{kind}_pictures"] = [
                save_pictures(folder, f"{kind}{i}", scores["colours"], void, *entry)
                for i, entry in enumerate(entries)
            ]
    return scores


def score_table(scores):
    """The IoU of each class and its share of the true pixels, commonest first, as text.

    Args:
        scores: What `evaluate` returned.
    """
    shares = np.sum(scores["confusion_matrix"], axis=1)
    shares = shares / max(1, shares.sum())
    width = max(14, *(len(name) + 1 for name in scores["class_names"]))
    lines = [f"{'class':<{width}}{'share':>8}{'IoU':>8}"]
    for i in np.argsort(-shares, kind="stable"):
        iou = shown(scores["per_class_iou"][i], "absent")
        lines.append(f"{scores['class_names'][i]:<{width}}{shares[i]:>8.2%}{iou:>8}")
    for name in ("mean_iou", "pixel_accuracy"):
        lines.append(
            f"{name.replace('_iou', ' IoU').replace('_', ' '):<{width + 8}}"
            f"{shown(scores[name], 'none'):>8}"
        )
    return "\n".join(lines)


def shown(score, otherwise):
    return otherwise if score is None else f"{score:.4f}"


def predict_ids(model, images, num_classes):
    """The class of each pixel of a batch, integers (batch, height, width)."""
    scores = keras.ops.convert_to_numpy(model.predict_on_batch(images))
    if scores.shape[-1] != num_classes:
        raise ValueError(
            f"The model must have one score a class, {num_classes} of them. "
            f"Received: scores.shape={scores.shape}"
        )
    if np.isnan(scores).any():
        raise ValueError("The model's scores hold NaN: its training has diverged.")
    return scores.argmax(axis=-1)


def confusion_matrix(truth, prediction, num_classes, ignore_class):
    """How many pixels of truth i were predicted as j, int64; void pixels are in no cell."""
    counted = truth != ignore_class
    cells = truth[counted].astype("int64") * num_classes + prediction[counted]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class_iou(matrix):
    """TP / (TP + FP + FN) of each class; `None` for a class that has no pixels."""
    hit = np.diag(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - hit
    return [int(h) / int(u) if u else None for h, u in zip(hit, union)]


def mean(ious):
    """The mean over the classes that have a score, `None` if none has."""
    known = [iou for iou in ious if iou is not None]
    return math.fsum(known) / len(known) if known else None


def save_pictures(folder, name, colours, ignore_class, iou, image, truth, prediction):
    """Writes image, truth and prediction, as scored: void, striped, where the truth is void."""
    from kerasseg.figures import tinted, unit_range

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    void = (truth == ignore_class)[None]
    rows = {
        "image": unit_range(image),
        "truth": tinted(truth[None], void, colours)[0],
        "prediction": tinted(prediction[None], void, colours)[0],
    }
    entry = {"iou": iou}
    for kind, picture in rows.items():
        entry[kind] = f"pictures/{name}_{kind}.png"
        pixels = np.rint(np.clip(picture, 0, 1) * 255).astype("uint8")
        Image.fromarray(pixels).save(folder / entry[kind])
    return entry
