"""One confusion matrix over a whole set, and the scores that are read off it."""

from numbers import Integral
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from kerasseg.layers.backend import torch_paths
from kerasseg.losses.label_maps import as_pixel_weights, predicted_ids, read_label_map


def count_pairs(truth, prediction, weights, num_ids, labels=1):
    """float32 (labels, ids, ids): how often, by its weight, a pixel of truth i was predicted as j.

    All three are maps of one shape, with the labels on the last axis if there are several; the
    first two hold int32 ids below `num_ids`.
    """
    first_cell = ops.arange(labels, dtype="int32") * num_ids**2
    cells = ops.reshape(first_cell + truth * num_ids + prediction, (-1,))
    segment_sum = (torch_paths() or ops).segment_sum
    counts = segment_sum(ops.reshape(weights, (-1,)), cells, num_segments=labels * num_ids**2)
    return ops.reshape(ops.cast(counts, "float32"), (labels, num_ids, num_ids))


def decide(scores, axis, from_logits, multi_label):
    """What scores decide, as `predicted_ids` says, and where they decide nothing, for some is NaN.

    Both are label maps, with labels on the last axis if there are several.
    """
    if multi_label or scores.shape[axis] == 1:
        is_nan = ops.isnan(ops.cast(scores, "float32"))
        maps = (predicted_ids(scores, axis, from_logits, multi_label=True), is_nan)
        return [ops.moveaxis(x, axis, -1) if multi_label else ops.squeeze(x, axis) for x in maps]
    if torch := torch_paths():
        largest, ids = torch.largest(scores, axis)
        return ids, ops.isnan(largest)
    is_nan = ops.any(ops.isnan(ops.cast(scores, "float32")), axis)
    return predicted_ids(scores, axis), is_nan


class Ratios(NamedTuple):
    """A score of each class (or label): what was hit, out of what, and its weight in the mean."""

    hit: object
    of: object
    weight: object


class Pixels(NamedTuple):
    """Numbers of pixels of each class (or label), (classes,).

    Attributes:
        hit: Those predicted as what they are: true positives.
        truth: Those of the class.
        predicted: Those predicted as the class.
        right, decided: Those about which the class was decided rightly, and all about which it was:
            `hit` and `truth` where a pixel has one of several classes; with labels, the pixels that
            rightly lack a label and all that lack it are among them.
    """

    hit: object
    truth: object
    predicted: object
    right: object
    decided: object


def pixels_of(matrix, num_classes=None):
    """`Pixels` of a float32 matrix (ids, ids), or of one for each label, (labels, ids, ids).

    Ids behind those of `num_classes` are no class.
    """
    if len(matrix.shape) == 3:
        hit, truth = matrix[:, 1, 1], ops.sum(matrix[:, 1], axis=-1)
        predicted, lacks = ops.sum(matrix[:, :, 1], axis=-1), ops.sum(matrix[:, 0], axis=-1)
        return Pixels(hit, truth, predicted, hit + matrix[:, 0, 0], truth + lacks)
    marginals = (ops.diagonal(matrix), ops.sum(matrix, axis=1), ops.sum(matrix, axis=0))
    hit, truth, predicted = (pixels[:num_classes] for pixels in marginals)
    return Pixels(hit, truth, predicted, hit, truth)


def iou(pixels):
    """TP / (TP + FP + FN), each class counting alike."""
    return Ratios(
        pixels.hit, pixels.truth + pixels.predicted - pixels.hit, ops.ones_like(pixels.hit)
    )


def frequency_weighted_iou(pixels):
    """The same, each class counting by its true pixels."""
    return iou(pixels)._replace(weight=pixels.truth)


def pixel_accuracy(pixels):
    """The share of right decisions, each pixel counting alike."""
    return Ratios(pixels.right, pixels.decided, pixels.decided)


def class_accuracy(pixels):
    """The share of the true pixels that was found, each class counting alike."""
    return Ratios(pixels.hit, pixels.truth, ops.ones_like(pixels.hit))


def score(matrix, measure=iou, ignore_class=None, num_classes=None):
    """The mean over the classes, and the score of each, of a confusion matrix.

    Args:
        matrix: Numbers (ids, ids), a row a true class; or (labels, 2, 2).
        measure: `iou`, `frequency_weighted_iou`, `pixel_accuracy` or `class_accuracy`.
        ignore_class: The void id. If it is the id of a class, that class does not count.
        num_classes: How many of the ids are classes; `None` for all.

    Returns:
        Tensors `(mean, per_class)`, () and (classes,), float64 if `matrix` is no tensor. NaN for a
        class that has no score (it is not in the truth, for `iou` not predicted either), which the
        mean leaves out, and for a mean of none.

    Example: class 0 has IoU 1/2, class 2 is nowhere.

    >>> mean, per_class = score([[1, 1, 0], [0, 2, 0], [0, 0, 0]])
    >>> round(float(mean), 4), ops.convert_to_numpy(per_class).round(4).tolist()
    (0.5833, [0.5, 0.6667, nan])
    """
    if not ops.is_tensor(matrix) and not isinstance(matrix, keras.Variable):
        matrix = np.asarray(matrix, "float64")  # in float32 where a backend has no float64
    matrix = ops.convert_to_tensor(matrix)
    left_out = ignore_class if len(matrix.shape) == 2 else None
    return mean_of(measure(pixels_of(matrix, num_classes)), left_out)


def mean_of(ratios, left_out=None):
    """The mean over the classes, (…), and the score of each, (…, classes), of `Ratios`.

    NaN for a class that has no score, as in `score`, and for a mean of none. `left_out` is the id
    of a class that does not count.
    """
    # A NaN must reach the score, so it counts as present.
    present = ops.logical_not(ops.equal(ratios.of, 0))
    if left_out is not None:
        present = ops.logical_and(present, np.arange(present.shape[-1]) != left_out)
    per_class = ratios.hit / ops.where(present, ratios.of, 1.0)
    weight = ops.where(present, ratios.weight, 0.0)
    mean = ops.sum(weight * per_class, axis=-1) / ops.sum(weight, axis=-1)
    return mean, ops.where(present, per_class, np.nan)


class LabelMapMetric(keras.metrics.Metric):
    """The arguments that all metrics of label maps take, and their checks."""

    _usual_name = None

    def __init__(
        self,
        num_classes,
        ignore_class=255,
        axis=-1,
        name=None,
        dtype=None,
        from_logits=True,
        multi_label=False,
    ):
        super().__init__(name=name or self._usual_name, dtype=dtype)
        least = 1 if multi_label else 2
        if not isinstance(num_classes, Integral) or num_classes < least:
            raise ValueError(
                f"`num_classes` must be an integer, at least {least}. Received: "
                f"num_classes={num_classes}. A binary model of one channel has 2 classes, 0 and 1."
            )
        self.num_classes = int(num_classes)
        self.ignore_class = ignore_class if ignore_class is None else int(ignore_class)
        self.axis = int(axis)
        self.from_logits = bool(from_logits)
        self.multi_label = bool(multi_label)

    def read(self, y_true, y_pred):
        """`(scores, LabelMap, prediction)` of a call, with the labels on the last axis.

        `legal` of the label map is false also where scores that count decide nothing, for they are
        NaN.
        """
        scores = ops.convert_to_tensor(y_pred)
        self._check_channels(scores.shape)
        labels = read_label_map(y_true, scores, self.axis, self.ignore_class, self.multi_label)
        prediction, undecided = decide(scores, self.axis, self.from_logits, self.multi_label)
        undecided = ops.logical_and(labels.counted, undecided)
        legal = ops.logical_and(labels.legal, ops.logical_not(undecided))
        return scores, labels._replace(legal=legal), prediction

    def weights_of(self, counted, sample_weight, scores):
        """How often each pixel counts: int32, or float32 with a `sample_weight`."""
        # Integers count exactly beyond 2^24 pixels a batch, where float32 would stand still.
        if sample_weight is None:
            return ops.cast(counted, "int32")
        weights = as_pixel_weights(sample_weight, scores, self.axis, "float32")
        weights = weights[..., None] if self.multi_label else weights
        return ops.where(counted, weights, 0.0)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
            "from_logits": self.from_logits,
            "multi_label": self.multi_label,
        }

    def _check_channels(self, shape):
        is_binary = self.num_classes == 2 and not self.multi_label
        if shape[self.axis] == self.num_classes or (is_binary and shape[self.axis] == 1):
            return
        other = -1 if self.axis % len(shape) == 1 else 1
        hint = f" Pass axis={other}." if shape[other] == self.num_classes else ""
        if shape[self.axis] == 1:
            hint = " One channel is a binary model: pass num_classes=2."
        raise ValueError(
            f"`y_pred` must have one score a class, {self.num_classes}, on axis {self.axis}. "
            f"Received: y_pred.shape={tuple(shape)}.{hint}"
        )


@keras.saving.register_keras_serializable(package="kerasseg")
class ConfusionMatrixMetric(LabelMapMetric):
    """What the scores of label maps share: they count into one matrix, and differ in the measure.

    `confusion_matrix[i, j]` is how many pixels of truth i were predicted as j since the last
    reset. It is float32: exact up to 2^24 pixels a cell; beyond, each update rounds its cells by up
    to one part in 2^24, so that a few pixels may be lost. Pixels whose truth is `ignore_class` are
    in no cell, whatever is predicted there. `kerasseg.metrics.confusion.score` reads the mean and
    the score of each class off it.

    What the channels of the predictions mean:

    - `num_classes` channels: one of several classes a pixel; the largest wins;
    - one channel where `num_classes` is 2, a binary model: id 1 where its logit is above 0, or
      its probability above 0.5 with `from_logits=False`;
    - `multi_label=True`: each channel is a binary decision of its own, and `confusion_matrix` is
      (labels, 2, 2). The score of a label is that of its pixels, the result the mean of the labels.

    Args:
        num_classes: Number of classes, void not counted, at least 2; or of labels.
        ignore_class: The void id, or `None`. If it is the id of a class, that class is left out of
            the mean, too.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        name, dtype: As in every Keras metric; the default name is that of the score, `mean_iou`.
        from_logits: Whether one channel, or each label, is a logit, or else a probability. Nothing
            depends on it where the largest of several channels wins.
        multi_label: Whether a pixel has a yes or no for each label.

    Call with `y_true` and `y_pred`, the scores of a batch, (batch, height, width, channels).
    `y_true` holds integer ids, (batch, height, width) or (batch, height, width, 1); with
    `multi_label` it has the shape of `y_pred` and holds 0, 1 and void. `sample_weight`, one number
    an image or a pixel, says how often a pixel counts.

    Result: a scalar in [0, 1]; NaN when no pixel was counted, since there is no score to give, and
    when the scores of a pixel that is not void hold NaN, as those of a diverged model do.

    Raises:
        ValueError: fewer than two classes; in a call, labels, scores or sample weights of another
            shape, and an id outside the classes. Compiled code cannot raise for an id on every
            backend: there it makes the score NaN.
    """

    extra_ids = 0  # that a subclass gives to pixels, behind those of the classes
    _direction = "up"  # what Keras's callbacks look for when their mode is "auto"

    def __init__(
        self,
        num_classes,
        ignore_class=255,
        axis=-1,
        name=None,
        dtype=None,
        from_logits=True,
        multi_label=False,
    ):
        super().__init__(num_classes, ignore_class, axis, name, dtype, from_logits, multi_label)
        self.num_ids = (2 if multi_label else self.num_classes) + self.extra_ids
        shape = (self.num_ids, self.num_ids)
        # float32 holds what every backend has.
        self.confusion_matrix = self.add_variable(
            (self.num_classes, *shape) if multi_label else shape,
            initializer="zeros",
            dtype="float32",
            name="confusion",
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.confusion_matrix.assign_add(self.count(y_true, y_pred, sample_weight))

    def count(self, y_true, y_pred, sample_weight=None):
        """What `update_state` adds to the matrix: the float32 matrix of these label maps alone."""
        scores, (truth, counted, legal), prediction = self.read(y_true, y_pred)
        weights = self.weights_of(counted, sample_weight, scores)
        truth, prediction = self._maps_to_compare(truth, prediction, counted)
        labels = self.num_classes if self.multi_label else 1
        counts = count_pairs(truth, prediction, weights, self.num_ids, labels)
        counts = counts if self.multi_label else counts[0]
        return ops.where(ops.all(legal), counts, np.nan)

    def result(self):
        return self._score()[0]

    def per_class(self):
        """Score of each class or label, a float32 array (num_classes,); NaN where it has none."""
        return ops.convert_to_numpy(self._score()[1])

    def _maps_to_compare(self, truth, prediction, counted):
        return truth, prediction

    def _measure(self, pixels):
        """The `Ratios` that the metric is made of."""
        raise NotImplementedError

    def _score(self):
        num_classes = None if self.multi_label else self.num_classes
        return score(self.confusion_matrix, self._measure, self.ignore_class, num_classes)
