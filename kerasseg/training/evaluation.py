"""What a model scores on a set of label maps, and the images with the best and the worst scores."""

import keras
import numpy as np
from PIL import Image

from kerasseg.inference.prediction import predictor
from kerasseg.losses.label_maps import predicted_ids
from kerasseg.metrics.confusion import ConfusionMatrixMetric, iou, pixel_accuracy, score
from kerasseg.tables import table
from kerasseg.training.files import as_json, write_whole

__all__ = ["evaluate", "score_table"]


def evaluate(model, batches, classes, folder=None, pictures=4):
    """Scores of a model on label maps, all from one confusion matrix over the whole set.

    The matrix, and what is read off it, are those of `kerasseg.metrics`: `MeanIoU` in `fit` gives
    the same number. What the model's output means is read off its graph
    (`kerasseg.anatomy.output_of`); of several outputs the main one is scored.

    Args:
        model: A `keras.Model` from images to logits or probabilities (batch, height, width,
            channels): a channel a class, one channel for the ids 0 and 1, or a channel a label.
        batches: `(images, labels)`, as `Dataset.validation` gives them; a `tf.data.Dataset` or any
            iterable of arrays. Images are (batch, height, width, channels) for every model; labels
            are integer ids (batch, height, width), for a multi-label model masks of 0, 1 and void
            (batch, height, width, labels).
        classes: What names the classes: an object with `class_names`, `colours`, `ignore_class`
            and, if it knows, `multi_label`, such as a `kerasseg.datasets.Dataset` or
            `models.classes_of(model)`.
        folder: A `pathlib.Path` in which `pictures/` is made, with PNG files of the best and of the
            worst images: image, truth and prediction, void striped in both. `None` for no files.
        pictures: How many best and how many worst; none is both.

    Returns:
        A dict of what JSON can hold: "mean_iou" and "pixel_accuracy", `None` where every pixel is
        void; "per_class_iou", one number a class, `None` for a class that is neither in the truth
        nor predicted, or whose id is `ignore_class`; "confusion_matrix", whole numbers, a row a
        true class, or for a multi-label model one [[true no, false yes], [false no, true yes]] a
        label; "labels", "classes", "binary" or "multilabel"; "class_names"; "colours". With
        `folder`, "best_pictures" and "worst_pictures" as well: lists of {"image", "truth",
        "prediction": paths from `folder`, "iou": mean over the classes of this image}.

    Raises:
        ValueError: if the model has another number or another kind of classes, if its output is
            smaller or larger than the image or holds NaN, or if labels hold other ids.

    Example:

    >>> scores = evaluate(model, data.validation, data)  # doctest: +SKIP
    >>> scores["mean_iou"], len(scores["per_class_iou"])  # doctest: +SKIP
    (0.57, 11)
    """
    predict, meaning = predictor(model, getattr(classes, "multi_label", None))
    metric, matrix = metric_for(meaning, classes), 0
    best, worst, ranked = [], [], 0
    batches = batches.as_numpy_iterator() if hasattr(batches, "as_numpy_iterator") else batches
    for images, labels in batches:
        images = np.asarray(images)
        scores = predict(images)
        if scores.shape[1:3] != images.shape[1:3]:
            raise ValueError(
                "`model` must score every pixel of an image. Received: scores.shape="
                f"{scores.shape} for images.shape={images.shape}. Resize its output to the size of "
                "the image; unet takes padding='same' for that."
            )
        for image, truth, logits in zip(images, labels, scores):
            counts = metric.count(truth[None], logits[None])
            counts = keras.ops.convert_to_numpy(counts).astype("int64")
            matrix = matrix + counts
            value = as_json(float(score(counts, iou, classes.ignore_class)[0]))
            if folder and value is not None:
                ranked += 1
                prediction = predicted_ids(
                    logits, -1, meaning.activation is None, metric.multi_label
                )
                prediction = keras.ops.convert_to_numpy(prediction)
                entry = (value, image, np.asarray(truth), prediction)
                best = sorted([*best, entry], key=lambda e: -e[0])[:pictures]
                worst = sorted([*worst, entry], key=lambda e: e[0])[:pictures]
    mean_iou, per_class = score(matrix, iou, classes.ignore_class)
    colours = None if classes.colours is None else np.asarray(classes.colours).tolist()
    found = {
        "mean_iou": as_json(float(mean_iou)),
        "pixel_accuracy": as_json(float(score(matrix, pixel_accuracy, classes.ignore_class)[0])),
        "per_class_iou": as_json(keras.ops.convert_to_numpy(per_class).tolist()),
        "confusion_matrix": matrix.tolist(),
        "labels": meaning.labels,
        "class_names": list(classes.class_names),
        "colours": colours,
    }
    if folder:
        kinds = {"best": best[: (ranked + 1) // 2], "worst": worst[: ranked // 2]}
        for kind, entries in kinds.items():
            found[f"{kind}_pictures"] = [
                save_pictures(folder, f"{kind}{i}", colours, classes.ignore_class, *entry)
                for i, entry in enumerate(entries)
            ]
    return found


def metric_for(meaning, classes):
    """The metric that counts the confusions of a model's output, its classes on the last axis."""
    count = len(classes.class_names)
    if meaning.num_classes != count:
        raise ValueError(
            f"The model must have one score a class, {count} of them. Received: "
            f"scores.shape[-1]={meaning.num_classes if meaning.labels != 'binary' else 1}, and the "
            f"classes {', '.join(classes.class_names)}"
        )
    if meaning.labels == "multilabel" and meaning.activation == "softmax":
        raise ValueError(
            "A multi-label model must end in a sigmoid or in logits. Received: a softmax, which "
            "gives one class a pixel. Build the model with activation='sigmoid'."
        )
    return ConfusionMatrixMetric(count, classes.ignore_class, **meaning._replace(axis=-1).arguments)


def class_shares(matrix):
    """The share of each class in the pixels that are not void, or of each label in its own ones.

    Args:
        matrix: A confusion matrix, or one 2x2 matrix a label, as in what `evaluate` returns.
    """
    if matrix.ndim == 3:
        return matrix[:, 1].sum(axis=1) / np.maximum(1, matrix.sum(axis=(1, 2)))
    return matrix.sum(axis=1) / max(1, matrix.sum())


def score_table(scores):
    """The IoU of each class and its share of the true pixels, commonest first, as text.

    Args:
        scores: What `evaluate` returned.

    Example: of ten pixels, six are road.

    >>> scores = {"class_names": ["sky", "road"], "confusion_matrix": [[4, 0], [1, 5]],
    ...           "per_class_iou": [0.8, 0.8333], "mean_iou": 0.8167, "pixel_accuracy": 0.9}
    >>> print(score_table(scores))
    class            share     IoU
    road            60.00%  0.8333
    sky             40.00%  0.8000
    mean IoU                0.8167
    pixel accuracy          0.9000
    """
    matrix = np.array(scores["confusion_matrix"])
    shares = class_shares(matrix)
    rows = [("label" if matrix.ndim == 3 else "class", "share", "IoU")]
    for i in np.argsort(-shares, kind="stable"):
        value = scores["per_class_iou"][i]
        shown = "absent" if value is None else f"{value:.4f}"
        rows.append((scores["class_names"][i], f"{shares[i]:6.2%}", shown))
    for name in ("mean IoU", "pixel accuracy"):
        value = scores[name.lower().replace(" ", "_")]
        rows.append((name, "", "none" if value is None else f"{value:.4f}"))
    return table(rows, right=(1, 2))


def save_pictures(folder, name, colours, ignore_class, iou, image, truth, prediction):
    """Writes image, truth and prediction, as scored: void, striped, where the truth is void."""
    from kerasseg.figures import tinted, unit_range

    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    truth = truth.reshape(prediction.shape)  # it may have a channel axis of one
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
        write_whole(folder / entry[kind], Image.fromarray(pixels).save)
    return entry
