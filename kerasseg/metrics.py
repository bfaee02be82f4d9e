"""Scores of label maps, all from one confusion matrix over the whole set, void left out."""

from numbers import Integral

import keras
import numpy as np
from keras import ops

from kerasseg.labels import as_label_map, check_ids, inside_classes, not_void


@keras.saving.register_keras_serializable(package="kerasseg")
class MeanIoU(keras.metrics.Metric):
    """Mean intersection over union, where void pixels do not count at all.

    IoU of a class is TP / (TP + FP + FN) over all the pixels seen since the last reset. The mean
    goes over the classes that occur in truth or prediction; pixels whose truth is `ignore_class`
    are in no cell of the matrix, whatever is predicted there. (`keras.metrics.MeanIoU` keeps the
    ignored class in the mean as soon as it is predicted, and drops ids outside the classes in
    silence.) Long, Shelhamer and Darrell, CVPR 2015, section 5; book, chapter 6.

    Args:
        num_classes: Number of classes, void not counted.
        ignore_class: The void id, or `None`.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        name, dtype: As in every Keras metric.

    Call with `y_true`, integer ids (batch, height, width) or (batch, height, width, 1), and
    `y_pred`, logits or probabilities (batch, height, width, num_classes): the largest wins.
    `sample_weight`, if given, has the shape of the label map or broadcasts to it.

    Result: a scalar in [0, 1]; NaN when no pixel was counted, since there is no score to give.
    An id outside the classes raises `ValueError` in eager calls. Compiled code cannot raise on
    every backend: there it makes the score NaN.

    Example: four pixels, the last one void. Class 0: 1 of 2, class 1: 1 of 2.

    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 1, 255]]], ops.one_hot([[[0, 1, 1, 0]]], 2))
    >>> float(metric.result()), metric.per_class().tolist()
    (0.5, [0.5, 0.5])
    """

    def __init__(self, num_classes, ignore_class=255, axis=-1, name="mean_iou", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(num_classes, Integral) or num_classes < 1:
            raise ValueError(
                f"`num_classes` must be a positive integer. Received: num_classes={num_classes}"
            )
        self.num_classes = int(num_classes)
        self.ignore_class = ignore_class
        self.axis = axis
        # Rows are truths, columns predictions. float32 holds what every backend has.
        self.confusion_matrix = self.add_variable(
            (num_classes, num_classes), initializer="zeros", dtype="float32", name="confusion"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        scores = ops.convert_to_tensor(y_pred)
        self._check_scores(scores)
        truth = as_label_map(ops.convert_to_tensor(y_true), scores, self.axis)
        check_ids(truth, self.num_classes, self.ignore_class)
        counts = confusion_counts(
            truth,
            ops.argmax(scores, axis=self.axis),
            self.num_classes,
            self.ignore_class,
            sample_weight,
        )
        self.confusion_matrix.assign_add(counts)

    def result(self):
        iou, present = self._iou()
        return ops.sum(ops.where(present, iou, 0.0)) / ops.sum(ops.cast(present, "float32"))

    def per_class(self):
        """IoU of each class, a float32 array (num_classes,); NaN for a class never seen."""
        iou, present = self._iou()
        return ops.convert_to_numpy(ops.where(present, iou, np.nan))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
        }

    def _iou(self):
        matrix = ops.convert_to_tensor(self.confusion_matrix)
        intersection = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - intersection
        # A NaN union must reach the score, so it counts as present.
        present = ops.logical_not(ops.equal(union, 0))
        return intersection / ops.where(present, union, 1.0), present

    def _check_scores(self, scores):
        if scores.shape[self.axis] != self.num_classes:
            raise ValueError(
                f"`y_pred` must have one score a class, {self.num_classes}, on axis {self.axis}. "
                f"Received: y_pred.shape={tuple(scores.shape)}"
            )


def confusion_counts(truth, prediction, num_classes, ignore_class=255, sample_weight=None):
    """float32 matrix (classes, classes): how often truth i was predicted as j, void left out.

    A truth outside the classes makes every count NaN.
    """
    counted, inside = not_void(truth, ignore_class), inside_classes(truth, num_classes)
    row, column = ops.cast(truth, "int32"), ops.cast(prediction, "int32")
    cell = ops.where(inside, row * num_classes + column, 0)

    # Integers count exactly beyond 2^24 pixels a batch, where float32 would stand still.
    weight = ops.cast(counted, "int32")
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, "float32")
        if len(sample_weight.shape) == len(truth.shape) + 1:
            sample_weight = ops.squeeze(sample_weight, axis=-1)
        missing = len(truth.shape) - len(sample_weight.shape)
        sample_weight = ops.reshape(sample_weight, (*ops.shape(sample_weight), *[1] * missing))
        weight = ops.cast(weight, "float32") * sample_weight

    counts = ops.segment_sum(
        ops.reshape(weight, (-1,)), ops.reshape(cell, (-1,)), num_segments=num_classes**2
    )
    counts = ops.reshape(ops.cast(counts, "float32"), (num_classes, num_classes))
    legal = ops.all(ops.logical_or(inside, ops.logical_not(counted)))
    return ops.where(legal, counts, np.nan)
