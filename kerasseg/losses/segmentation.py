"""Losses of label maps: sparse integer labels, logits, void pixels, class weights."""

import math

import keras
import numpy as np
from keras import ops

from kerasseg.layers import replicas
from kerasseg.losses.label_maps import as_pixel_weights, expand_to_rank, read_label_map
from kerasseg.losses.pixel_weights import (
    class_frequencies,
    median_frequency_weights,
    outline_weights,
    weights_in_order,
)

__all__ = [
    "CrossEntropy",
    "CrossEntropyDice",
    "Dice",
    "LabelMapLoss",
    "Tversky",
    "class_frequencies",
    "median_frequency_weights",
    "outline_weights",
]


@keras.saving.register_keras_serializable(package="kerasseg")
class LabelMapLoss(keras.losses.Loss):
    """What the losses below share: their arguments, and how label maps are read.

    Args:
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class, in their order or as a dict by id; `None`
            for equal weights.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name: As in every Keras loss, but a mean goes over what counts.
        dtype: As in every Keras loss, but never less than float32: sums over the pixels of a batch
            would overflow.
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        axis=-1,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        weights = None if class_weights is None else weights_in_order(class_weights)
        if weights is not None and (
            not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights)
        ):
            raise ValueError(
                "`class_weights` must be finite, non-negative numbers, not all zero. "
                f"Received: class_weights={weights}"
            )
        self.ignore_class = ignore_class if ignore_class is None else int(ignore_class)
        self.class_weights = weights
        self.axis = axis

    @property
    def dtype(self):
        return keras.backend.result_type(super().dtype, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "ignore_class": self.ignore_class,
            "class_weights": self.class_weights,
            "axis": self.axis,
            "dtype": self.dtype,
        }

    def _read(self, y_true, y_pred, sample_weight):
        """Maps (batch, height, width): `(ids, counted, legal, class_weights, sample_weights)`.

        The first three as in `read_label_map`; then, 0 on void, the weight of each pixel's class,
        and the pixel's own.
        """
        num_classes = y_pred.shape[self.axis]
        ids, counted, legal = read_label_map(
            y_true, y_pred, self.axis, num_classes, self.ignore_class
        )
        class_weights = ops.take(self._weight_of_each(num_classes), ids, axis=0)
        sample_weight = 1.0 if sample_weight is None else sample_weight
        sample_weights = as_pixel_weights(sample_weight, y_pred, self.axis, self.dtype)
        weights = (ops.where(counted, w, 0.0) for w in (class_weights, sample_weights))
        return ids, counted, legal, *weights

    def _weight_of_each(self, num_classes):
        weights = self.class_weights or [1.0] * num_classes
        if len(weights) != num_classes:
            raise ValueError(
                f"`class_weights` must have one weight a class, {num_classes} of them. "
                f"Received: class_weights={self.class_weights}"
            )
        return ops.convert_to_tensor(weights, dtype=self.dtype)

    def _for_reduction(self, weights):
        """Before a mean over all, weights of mean one: it becomes the mean over what counts."""
        if self.reduction in ("sum", "none", None):
            return weights
        return ops.divide_no_nan(weights, replicas.mean(weights))


@keras.saving.register_keras_serializable(package="kerasseg")
class CrossEntropy(LabelMapLoss):
    """Cross-entropy of every pixel that is not void, with a weight for each class.

    `sum(w[t] * -log p[t]) / sum(w[t])` over the pixels of the batch whose truth `t` is not void:
    the sum of the weights normalises, as in PyTorch, so doubling every weight changes nothing.
    `model.fit(class_weight=...)` refuses label maps in NumPy arrays; this does not care where
    they come from. Book: chapter 6, weighted loss (notebook 6.5).

    Args:
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class, in their order or as a dict by id; `None`
            for equal weights.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name, dtype: As in every Keras loss, but `dtype` is at least float32. `"sum"` and
            `None` divide by nothing: the sum, or the map, of `w[t] * -log p[t]`, 0 on void.

    Call with `y_true`, integer ids (batch, height, width) or (batch, height, width, 1), and
    `y_pred`, logits (batch, height, width, num_classes). `sample_weight`, one number an image or a
    pixel, multiplies the terms of the sum above, and its divisor only with
    `reduction="mean_with_sample_weight"`; on void pixels it does nothing. The loss of an all-void
    batch is 0. An id outside the classes raises `ValueError` in eager calls. Compiled code cannot
    raise on every backend: there it makes the loss NaN, never a plausible number.

    Example: logits 0, 0 say one half for each of two classes; the last pixel is void.

    >>> loss = CrossEntropy()(np.array([[[0, 1, 255]]]), np.zeros((1, 1, 3, 2)))
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
    ):
        super().__init__(ignore_class, class_weights, axis, reduction, name, dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        ids, _, legal, class_weights, sample_weights = self._read(y_true, y_pred, sample_weight)
        weights = self._for_reduction(class_weights) * sample_weights
        return super().__call__((ids, legal), y_pred, weights)

    def call(self, y_true, y_pred):
        ids, legal = y_true  # floats: Keras has cast them
        logits = ops.moveaxis(y_pred, self.axis, -1)  # Keras takes no other axis
        losses = ops.sparse_categorical_crossentropy(ops.cast(ids, "int32"), logits, True)
        return ops.where(ops.cast(legal, "bool"), losses, np.nan)


@keras.saving.register_keras_serializable(package="kerasseg")
class Tversky(LabelMapLoss):
    """One less the Tversky index: overlap, with prices for false positives and false negatives.

    For a class, over pixels with probabilities `p = softmax(logits)` and truth `g` in {0, 1}:

        TP = sum(p * g)    FP = sum(p * (1 - g))    FN = sum((1 - p) * g)
        index = TP / (TP + alpha * FP + beta * FN)

    and the loss is the mean of `1 - index` over the classes, each by its `class_weights` entry.
    `alpha = beta = 0.5` is Dice. `beta > alpha` asks for recall: to miss a pixel costs more than
    to claim one too many. (`keras.losses.Tversky` of Keras 3.15.1 has the two exchanged.)

    Which classes: those in the truth. A class that is absent has no overlap to win, so its term
    would be 1 even for a perfect prediction, whose probabilities are never quite 0; that is the
    floor of the book's Dice, 0.895 with 2 of 19 classes present. Nothing is lost, since the
    probabilities of a pixel sum to one: what an absent class claims, a present one lacks. That is
    so unless the present one has the class weight 0: with `[0, 1]`, to claim foreground where there
    is none costs nothing.

    Over what: the pixels of the batch together, or with `per_image` each image by itself, then the
    mean of the images. The batch is the default: it is nearer to the score, which is one ratio
    over the whole set, and ten pixels of a class in one image do not weigh as much as a street
    full of it in the next. Void pixels are in no sum; an image with nothing to score (all void, or
    classes of weight zero alone) does not count, and a batch of such images costs 0. An image with
    a sample weight of zero counts in the mean, with a loss of 0.

    Salehi, Erdogmus and Gholipour, MLMI 2017; as there, the default leans to recall.

    Args:
        alpha: Price of a false positive, non-negative.
        beta: Price of a false negative, non-negative.
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class, in their order or as a dict by id; `None`
            for equal weights. `[0, 1]` scores the foreground alone.
        per_image: Whether each image is scored by itself.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name, dtype: As in every Keras loss, but `dtype` is at least float32. Without
            reduction there is one loss an image, with `per_image=False` the same for all; an image
            with nothing to score has 0 there.

    Call with `y_true`, integer ids (batch, height, width) or (batch, height, width, 1), and
    `y_pred`, logits (batch, height, width, num_classes). `sample_weight`, one number an image or a
    pixel, says how often a pixel counts in the sums, and their mean over the pixels that are not
    void multiplies the loss: the weights of a weighted mean, as in every Keras loss. An id outside
    the classes raises `ValueError` in eager calls and makes the loss NaN in compiled ones.

    Example: half of the one pixel of class 0 is found, half is missed; the other pixel is void.
    One less 0.5 / (0.5 + 0.7 * 0.5):

    >>> loss = Tversky()(np.array([[[0, 255]]]), np.zeros((1, 1, 2, 2)))
    >>> round(float(loss), 4)
    0.4118
    """

    def __init__(
        self,
        alpha=0.3,
        beta=0.7,
        ignore_class=255,
        class_weights=None,
        per_image=False,
        axis=-1,
        reduction="sum_over_batch_size",
        name="tversky",
        dtype=None,
    ):
        super().__init__(ignore_class, class_weights, axis, reduction, name, dtype)
        if not (min(alpha, beta) >= 0 and 0 < max(alpha, beta) < math.inf):
            raise ValueError(
                "`alpha` and `beta` must be finite, non-negative numbers, not both zero. "
                f"Received: alpha={alpha}, beta={beta}"
            )
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.per_image = bool(per_image)

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        maps = self._read(y_true, y_pred, sample_weight)
        ids, counted, legal, class_weights, sample_weights = maps
        pixels = self._pixel_axes(ids)
        counts = self._sum(ops.cast(counted, self.dtype), pixels)
        mean_weight = ops.divide_no_nan(self._sum(sample_weights, pixels), counts)
        scored = self._sum(ops.cast(class_weights > 0, self.dtype), pixels) > 0
        scored = ops.cast(scored, self.dtype)
        weights = self._for_reduction(scored) * mean_weight
        weights = ops.broadcast_to(weights, ops.shape(ids)[:1])
        return super().__call__((ids, legal, sample_weights), y_pred, weights)

    def call(self, y_true, y_pred):
        ids, legal, weights = y_true  # floats: Keras has cast them
        pixels = self._pixel_axes(ids)
        found = ops.softmax(ops.moveaxis(y_pred, self.axis, -1))
        num_classes = found.shape[-1]
        truth = ops.one_hot(ops.cast(ids, "int32"), num_classes, dtype=found.dtype)
        weights = weights[..., None]

        hit = self._sum(weights * truth * found, pixels)
        missed = self._sum(weights * truth * (1 - found), pixels)
        in_vain = self._sum(weights * (1 - truth) * found, pixels)
        index = ops.divide_no_nan(hit, hit + self.alpha * in_vain + self.beta * missed)

        # Read off the truth, not off `hit + missed`: predictions of NaN must give NaN.
        present = self._sum(weights * truth, pixels) > 0
        class_weights = ops.where(present, self._weight_of_each(num_classes), 0.0)
        total = ops.sum(class_weights, axis=-1)
        losses = ops.divide_no_nan(ops.sum(class_weights * (1 - index), axis=-1), total)
        losses = ops.where(ops.all(ops.cast(legal, "bool"), pixels), losses, np.nan)
        return ops.broadcast_to(losses, ops.shape(ids)[:1])

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "per_image": self.per_image,
        }

    def _pixel_axes(self, ids):
        return tuple(range(1 if self.per_image else 0, len(ids.shape)))

    def _sum(self, x, pixels):
        sums = ops.sum(x, pixels)
        return sums if self.per_image else replicas.total(sums)


@keras.saving.register_keras_serializable(package="kerasseg")
class Dice(Tversky):
    """One less the Dice overlap, `2 TP / (2 TP + FP + FN)`: `Tversky` with both prices 0.5.

    Its docstring says which classes and pixels count, over what the sums go, and what sample
    weights do. There is no floor: a perfect prediction costs 0 whatever classes are absent, where
    the book's formula costs 0.895 with 2 of 19 present. Milletari, Navab and Ahmadi (V-Net), 3DV
    2016, without their squares; book, chapter 6, Dice loss (notebook 6.6).

    Args:
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class, in their order or as a dict by id; `None`
            for equal weights.
        per_image: Whether each image is scored by itself, or the batch as one.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name, dtype: As in `Tversky`.

    Example: half of the one pixel of class 0 is found: 1 - 2 * 0.5 / (2 * 0.5 + 0.5).

    >>> loss = Dice()(np.array([[[0, 255]]]), np.zeros((1, 1, 2, 2)))
    >>> round(float(loss), 4)
    0.3333
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        per_image=False,
        axis=-1,
        reduction="sum_over_batch_size",
        name="dice",
        dtype=None,
    ):
        super().__init__(
            0.5, 0.5, ignore_class, class_weights, per_image, axis, reduction, name, dtype
        )

    def get_config(self):
        config = super().get_config()
        del config["alpha"], config["beta"]
        return config


@keras.saving.register_keras_serializable(package="kerasseg")
class CrossEntropyDice(LabelMapLoss):
    """`cross_entropy_weight * CrossEntropy + dice_weight * Dice`.

    Cross-entropy gives every pixel a steady gradient, Dice every class an equal say. Isensee et
    al. (nnU-Net), Nature Methods 2021, add the two with equal weights, as the default does; book,
    chapter 6, mixed losses (notebook 6.6).

    Args:
        ignore_class: The void id, or `None`.
        class_weights: For both: one non-negative number a class, in their order or as a dict by id;
            `None` for equal weights.
        cross_entropy_weight, dice_weight: Non-negative numbers.
        per_image: Whether Dice scores each image by itself, or the batch as one.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name, dtype: As in every Keras loss, for each of the two. Without reduction there
            is one loss a pixel, which carries the Dice of its image.

    Call as either of the two. The loss of an all-void batch is 0.

    Example: log 2 and 1/3.

    >>> loss = CrossEntropyDice()(np.array([[[0, 255]]]), np.zeros((1, 1, 2, 2)))
    >>> round(float(loss), 4)
    1.0265
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        cross_entropy_weight=1.0,
        dice_weight=1.0,
        per_image=False,
        axis=-1,
        reduction="sum_over_batch_size",
        name="cross_entropy_dice",
        dtype=None,
    ):
        super().__init__(ignore_class, class_weights, axis, reduction, name, dtype)
        if not (0 <= cross_entropy_weight < math.inf and 0 <= dice_weight < math.inf):
            raise ValueError(
                "`cross_entropy_weight` and `dice_weight` must be finite, non-negative numbers. "
                f"Received: cross_entropy_weight={cross_entropy_weight}, dice_weight={dice_weight}"
            )
        self.cross_entropy_weight = float(cross_entropy_weight)
        self.dice_weight = float(dice_weight)
        self.per_image = bool(per_image)
        common = {"axis": axis, "reduction": reduction, "dtype": dtype}
        self.cross_entropy = CrossEntropy(ignore_class, class_weights, **common)
        self.dice = Dice(ignore_class, class_weights, per_image, **common)

    def __call__(self, y_true, y_pred, sample_weight=None):
        cross_entropy = self.cross_entropy(y_true, y_pred, sample_weight)
        dice = self.dice(y_true, y_pred, sample_weight)
        dice = expand_to_rank(dice, len(cross_entropy.shape))
        return self.cross_entropy_weight * cross_entropy + self.dice_weight * dice

    def get_config(self):
        return {
            **super().get_config(),
            "cross_entropy_weight": self.cross_entropy_weight,
            "dice_weight": self.dice_weight,
            "per_image": self.per_image,
        }
