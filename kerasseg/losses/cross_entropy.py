"""Cross-entropy of label maps."""

import keras
import numpy as np
from keras import ops

from kerasseg.losses.base import LabelMapLoss


@keras.saving.register_keras_serializable(package="kerasseg")
class CrossEntropy(LabelMapLoss):
    """Cross-entropy of every pixel that is not void, with a weight for each class.

    `sum(w[t] * -log p[t]) / sum(w[t])` over the pixels of the batch whose truth `t` is not void:
    the sum of the weights normalises, as in PyTorch, so doubling every weight changes nothing.
    (`model.fit(class_weight=...)` refuses label maps in NumPy arrays; these weights work with every
    kind of data.) The loss of an all-void batch is 0. Of one channel, or of each label with
    `multi_label`, it is binary cross-entropy. Book: chapter 6, weighted loss (notebook 6.5).

    Args:
        ignore_class, class_weights, axis, from_logits, multi_label: As in `LabelMapLoss`.
        reduction, name, dtype: As in every Keras loss, but `dtype` is at least float32. `"sum"` and
            `None` divide by nothing: the sum, or the map, of `w[t] * -log p[t]`, 0 on void; with
            `multi_label` a map of every label.

    Call with labels and scores as `LabelMapLoss` describes them. `sample_weight`, one number an
    image or a pixel, multiplies the terms of the sum above, and its divisor only with
    `reduction="mean_with_sample_weight"`; on void pixels it has no effect.

    Raises:
        ValueError: As in `LabelMapLoss`.

    Example: logits 0, 0 say one half for each of two classes; the last pixel is void. One channel
    of logit 0 says the same, and so does a probability of one half.

    >>> loss = CrossEntropy()(np.array([[[0, 1, 255]]]), np.zeros((1, 1, 3, 2)))
    >>> round(float(loss), 4)
    0.6931
    >>> loss = CrossEntropy()(np.array([[[0, 1, 255]]]), np.zeros((1, 1, 3, 1)))
    >>> round(float(loss), 4)
    0.6931
    >>> loss = CrossEntropy(from_logits=False)(np.array([[[0, 1]]]), np.full((1, 1, 2, 1), 0.5))
    >>> round(float(loss), 4)
    0.6931
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        axis=-1,
        reduction="sum_over_batch_size",
        name="cross_entropy",
        dtype=None,
        from_logits=None,
        multi_label=False,
    ):
        super().__init__(
            ignore_class, class_weights, axis, reduction, name, dtype, from_logits, multi_label
        )

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        label_map, class_weights, sample_weights = self._read(y_true, y_pred, sample_weight)
        weights = self._for_reduction(class_weights) * sample_weights
        truth = (label_map.ids, label_map.legal)
        return super().__call__(truth, self._class_logits(y_pred), weights)

    def call(self, y_true, y_pred):
        ids, legal = y_true  # floats: Keras has cast them
        # Of a tensor that a softmax has made, Keras on TensorFlow would take the softmax's input
        # in its place, other backends not. A reshaped tensor is read as it is.
        logits = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
        flat_ids = ops.reshape(ops.cast(ids, "int32"), (-1,))
        losses = ops.sparse_categorical_crossentropy(flat_ids, logits, from_logits=True)
        losses = ops.reshape(losses, ops.shape(ids))
        return ops.where(ops.cast(legal, "bool"), losses, np.nan)
