"""What a model scores on a set of label maps, and the images with the best and the worst scores."""

import keras
import numpy as np
from PIL import Image

from kerasseg.inference.prediction import predictor
from kerasseg.losses.label_maps import predicted_ids
from kerasseg.metrics import BoundaryIoU, ConfusionMatrixMetric, ExpectedCalibrationError
from kerasseg.metrics.calibration import reliability
from kerasseg.metrics.confusion import iou, pixel_accuracy, pixels_of, score
from kerasseg.tables import table
from kerasseg.training.bootstrap import mean_iou_interval
from kerasseg.training.files import as_json, write_whole

__all__ = ["evaluate", "score_table", "trust_table"]


def evaluate(model, batches, classes, folder=None, pictures=4):
    """Scores of a model on label maps, over the whole set, and how far they can be trusted.

    The confusion matrix, and what is read off it, are those of `kerasseg.metrics`: `MeanIoU` in
    `fit` gives the same number. What the model's output means is read off its graph
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
        A dict of what JSON can hold, with `None` for a score that there is not:

        - "mean_iou", "boundary_iou" and "pixel_accuracy": see `kerasseg.metrics`;
        - "mean_iou_interval": its bootstrap confidence interval of 95 %, as
          `kerasseg.training.bootstrap.mean_iou_interval` says; "images": how many there are;
        - "per_class_iou" and "per_class_boundary_iou": one number a class, `None` for a class that
          is neither in the truth nor predicted, or whose id is `ignore_class`;
        - "confusion_matrix": whole numbers, a row a true class, or for a multi-label model one
          [[true no, false yes], [false no, true yes]] a label;
        - "calibration": what `kerasseg.metrics.calibration.reliability` returns;
        - "labels": "classes", "binary" or "multilabel"; "class_names"; "colours";
        - with `folder`, "best_pictures" and "worst_pictures": lists of {"image", "truth",
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
    tally = Tally(meaning, classes)
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
            value = tally.add(truth, logits)
            if folder and value is not None:
                ranked += 1
                prediction = predicted_ids(
                    logits, -1, meaning.activation is None, tally.confusion.multi_label
                )
                prediction = keras.ops.convert_to_numpy(prediction)
                entry = (value, image, np.asarray(truth), prediction)
                best = sorted([*best, entry], key=lambda e: -e[0])[:pictures]
                worst = sorted([*worst, entry], key=lambda e: e[0])[:pictures]
    found = tally.scores()
    if folder:
        kinds = {"best": best[: (ranked + 1) // 2], "worst": worst[: ranked // 2]}
        for kind, entries in kinds.items():
            found[f"{kind}_pictures"] = [
                save_pictures(folder, f"{kind}{i}", found["colours"], classes.ignore_class, *entry)
                for i, entry in enumerate(entries)
            ]
    return found


class Tally:
    """What is counted of each image, and the scores that are read off the sums.

    Args:
        meaning: What the model's output means, its classes on the last axis.
        classes: As in `evaluate`.
    """

    def __init__(self, meaning, classes):
        self.meaning, self.classes = meaning, classes
        arguments = (len(classes.class_names), classes.ignore_class)
        check_output(meaning, classes)
        told = meaning._replace(axis=-1).arguments
        self.confusion = ConfusionMatrixMetric(*arguments, **told)
        self.boundary = BoundaryIoU(*arguments, **told)
        self.calibration = ExpectedCalibrationError(*arguments, **told)
        self.matrix = self.edges = self.sums = 0
        self.hits, self.unions = [], []

    def add(self, truth, logits):
        """Counts an image; its own mean IoU, `None` where every pixel is void."""

        def count(metric):  # whole numbers add up exactly in float64
            counts = metric.count(truth[None], logits[None])
            return keras.ops.convert_to_numpy(counts).astype("float64")

        counts = count(self.confusion)
        self.matrix = self.matrix + counts
        self.edges = self.edges + count(self.boundary)
        self.sums = self.sums + count(self.calibration)
        ratios = iou(pixels_of(keras.ops.convert_to_tensor(counts)))
        self.hits.append(keras.ops.convert_to_numpy(ratios.hit))
        self.unions.append(keras.ops.convert_to_numpy(ratios.of))
        return as_json(float(score(counts, iou, self.classes.ignore_class)[0]))

    def scores(self):
        """What `evaluate` returns, without images."""
        classes, void = self.classes, self.classes.ignore_class
        several = None if self.confusion.multi_label else len(classes.class_names)
        mean_iou, per_class = score(self.matrix, iou, void)
        boundary_iou, per_class_boundary = score(self.edges, iou, void, several)
        left_out = None if self.confusion.multi_label else void
        found = {
            "mean_iou": float(mean_iou),
            "mean_iou_interval": mean_iou_interval(self.hits, self.unions, left_out),
            "boundary_iou": float(boundary_iou),
            "pixel_accuracy": float(score(self.matrix, pixel_accuracy, void)[0]),
            "images": len(self.hits),
            "per_class_iou": keras.ops.convert_to_numpy(per_class).tolist(),
            "per_class_boundary_iou": keras.ops.convert_to_numpy(per_class_boundary).tolist(),
            "confusion_matrix": self.matrix.astype("int64").tolist(),
            "calibration": reliability(self.sums),
            "labels": self.meaning.labels,
            "class_names": list(classes.class_names),
            "colours": None if classes.colours is None else np.asarray(classes.colours).tolist(),
        }
        return as_json(found)


def check_output(meaning, classes):
    """Raises `ValueError` for a model of another number or another kind of classes."""
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


def trust_table(scores):
    """How far the scores can be trusted, as text: what `score_table` leaves out.

    Args:
        scores: What `evaluate` returned; what one of an older version lacks is left out.

    Example:

    >>> calibration = {"error": 0.05, "confidence": 0.94, "accuracy": 0.9}
    >>> print(trust_table({"mean_iou_interval": [0.7, 0.9], "images": 12, "boundary_iou": 0.625,
    ...                    "calibration": calibration}))
    95 % interval of the mean IoU  0.7000 … 0.9000  12 images, drawn again
    boundary IoU                            0.6250
    calibration error                       0.0500  94.0 % sure, 90.0 % right
    """
    rows = []
    if interval := scores.get("mean_iou_interval"):
        words = " … ".join(f"{end:.4f}" for end in interval)
        drawn = f"{scores['images']:,} images, drawn again"
        rows.append(("95 % interval of the mean IoU", words, drawn))
    if (value := scores.get("boundary_iou")) is not None:
        rows.append(("boundary IoU", f"{value:.4f}", ""))
    calibration = scores.get("calibration") or {}
    if (value := calibration.get("error")) is not None:
        means = (f"{100 * calibration[name]:.1f} %" for name in ("confidence", "accuracy"))
        rows.append(("calibration error", f"{value:.4f}", "{} sure, {} right".format(*means)))
    return table(rows, right=(1,))


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
