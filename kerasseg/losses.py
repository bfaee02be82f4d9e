"""Losses of label maps: sparse integer labels, logits, void pixels, class weights."""

import math

import keras
import numpy as np
from keras import ops

from kerasseg.labels import as_label_map, check_ids, inside_classes, not_void


@keras.saving.register_keras_serializable(package="kerasseg")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of every pixel that is not void, with a weight for each class.

    `sum(w[t] * -log p[t]) / sum(w[t])` over the pixels of the batch whose truth `t` is not void:
    the sum of the weights normalises, as in PyTorch, so doubling every weight changes nothing.
    `model.fit(class_weight=...)` refuses label maps in NumPy arrays; this does not care where
    they come from. Book: chapter 6, weighted loss (notebook 6.5).

    Args:
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class; `None` for equal weights.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name, dtype: As in every Keras loss.

    Call with `y_true`, integer ids (batch, height, width) or (batch, height, width, 1), and
    `y_pred`, logits (batch, height, width, num_classes). The loss of an all-void batch is 0.
    An id outside the classes raises `ValueError` in eager calls. Compiled code cannot raise on
    every backend: there it makes the loss NaN, never a plausible number.

    Example: logits 0, 0 say one half for each of two classes; the last pixel is void.

    >>> float(CrossEntropy()(np.array([[[0, 1, 255]]]), np.zeros((1, 1, 3, 2))))
    0.6931471824645996
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        axis=-1,
        reduction="sum_over_batch_size",
        name="cross_entropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        weights = None if class_weights is None else [float(weight) for weight in class_weights]
        if weights is not None and (
            not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights)
        ):
            raise ValueError(
                "`class_weights` must be finite, non-negative numbers, not all zero. "
                f"Received: class_weights={weights}"
            )
        self.ignore_class = ignore_class
        self.class_weights = weights
        self.axis = axis

    def call(self, y_true, y_pred):
        num_classes = y_pred.shape[self.axis]
        if self.class_weights is not None and len(self.class_weights) != num_classes:
            raise ValueError(
                f"`class_weights` must have one weight a class, {num_classes} of them. "
                f"Received: class_weights={self.class_weights}"
            )
        truth = as_label_map(y_true, y_pred, self.axis)
        check_ids(truth, num_classes, self.ignore_class)
        counted, inside = not_void(truth, self.ignore_class), inside_classes(truth, num_classes)
        safe = ops.cast(ops.where(inside, truth, 0), "int32")
        losses = ops.sparse_categorical_crossentropy(safe, y_pred, from_logits=True, axis=self.axis)
        weights = ops.cast(counted, losses.dtype)
        if self.class_weights is not None:
            table = ops.convert_to_tensor(self.class_weights, dtype=losses.dtype)
            weights = weights * ops.take(table, safe, axis=0)
        # The reduction takes the mean over all pixels, so weights of mean one give the mean
        # over those that count.
        mean_weight = ops.mean(weights)
        weights = weights / ops.where(mean_weight > 0, mean_weight, 1.0)
        legal = ops.logical_or(inside, ops.logical_not(counted))
        return ops.where(legal, losses * weights, np.nan)

    def get_config(self):
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "class_weights": self.class_weights,
            "axis": self.axis,
        }
