"""Overlap of label maps: Tversky's index, and Dice as one case of it."""

import math

import keras
import numpy as np
from keras import ops

from kerasseg.layers import replicas
from kerasseg.losses.base import LabelMapLoss


@keras.saving.register_keras_serializable(package="kerasseg")
class Tversky(LabelMapLoss):
    """1 minus the Tversky index: overlap, with prices for false positives and false negatives.

    For a class, over pixels with probabilities `p` and truth `g` in {0, 1}:

        TP = sum(p * g)    FP = sum(p * (1 - g))    FN = sum((1 - p) * g)
        index = TP / (TP + alpha * FP + beta * FN)

    and the loss is the mean of `1 - index` over the classes, each by its `class_weights` entry.
    `alpha = beta = 0.5` is Dice. `beta > alpha` asks for recall: a missed pixel costs more than a
    false one. (`keras.losses.Tversky` exchanges the two.)

    Only classes that occur in the truth count. An absent class can have no overlap, so its term
    would be 1 even for a perfect prediction, whose probabilities are never quite 0; that is the
    floor of the book's Dice, 0.895 with 2 of 19 classes present. Nothing is lost, since the
    probabilities of a pixel sum to one: what an absent class claims, a present one lacks. The
    exception is a present class of weight 0: with `[0, 1]`, foreground where there is none costs
    nothing.

    One channel `p` is scored as the two classes `1 - p` and `p`: background and foreground, each if
    it is present. `class_weights=[0, 1]` scores the foreground alone. With `multi_label`, each
    label is scored like this, then the labels are averaged.

    The sums go over all pixels of the batch, or with `per_image` over those of each image, whose
    losses are then averaged. The batch is the default: it is nearer to the score, which is one
    ratio over the whole set, and ten pixels of a class in one image do not weigh as much as a
    street full of it in the next. Void pixels are in no sum; an image with nothing to score (all
    void, or classes of weight zero alone) does not count, and a batch of such images costs 0. An
    image with a sample weight of zero counts in the mean, with a loss of 0.

    Salehi, Erdogmus and Gholipour, MLMI 2017; as there, the default leans to recall.

    Args:
        alpha: Price of a false positive, non-negative.
        beta: Price of a false negative, non-negative.
        per_image: Whether each image is scored separately.
        ignore_class, class_weights, axis, from_logits, multi_label: As in `LabelMapLoss`.
        reduction, name, dtype: As in every Keras loss, but `dtype` is at least float32. Without
            reduction there is one loss an image (with `multi_label` one for each of its labels),
            with `per_image=False` the same for all; an image with nothing to score has 0 there.

    Call with labels and scores as `LabelMapLoss` describes them. `sample_weight`, one number an
    image or a pixel, says how often a pixel counts in the sums, and their mean over the pixels that
    are not void multiplies the loss: the weights of a weighted mean, as in every Keras loss.

    Raises:
        ValueError: As in `LabelMapLoss`; prices that are negative, not finite or both zero.

    Example: half of the one pixel of class 0 is found, half is missed; the other pixel is void.
    The loss is 1 - 0.5 / (0.5 + 0.7 * 0.5).

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
        from_logits=None,
        multi_label=False,
    ):
        super().__init__(
            ignore_class, class_weights, axis, reduction, name, dtype, from_logits, multi_label
        )
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
        label_map, class_weights, sample_weights = self._read(y_true, y_pred, sample_weight)
        pixels, losses_shape = self._pixel_axes(label_map.ids)
        counts = self._sum(ops.cast(label_map.counted, self.dtype), pixels)
        mean_weight = ops.divide_no_nan(self._sum(sample_weights, pixels), counts)
        scored = self._sum(ops.cast(class_weights > 0, self.dtype), pixels) > 0
        scored = ops.broadcast_to(ops.cast(scored, self.dtype), losses_shape)
        weights = self._for_reduction(scored) * mean_weight
        ids = ops.where(label_map.counted, label_map.ids, -1)  # of no class
        truth = [ids, ops.all(label_map.legal, pixels)]
        truth += [] if sample_weight is None else [sample_weights]
        return super().__call__(truth, self._class_logits(y_pred), weights)

    def call(self, y_true, y_pred):
        ids, legal, *weights = y_true  # floats: Keras has cast them
        num_classes = y_pred.shape[-1]
        truth = ops.one_hot(ops.cast(ids, "int32"), num_classes, dtype=y_pred.dtype)
        truth = truth * weights[0][..., None] if weights else truth
        hit, missed, in_vain = self._pixels(truth, ops.softmax(y_pred))
        prices = self.alpha * in_vain + self.beta * missed
        index = ops.divide_no_nan(hit, hit + prices)

        present = ops.cast(ops.not_equal(hit + missed, 0), index.dtype)  # NaN is, and stays NaN
        class_weights = present * (1 if self.multi_label else self._weight_of_each(num_classes))
        total = ops.sum(class_weights, axis=-1)
        losses = ops.divide_no_nan(ops.sum(class_weights * (1 - index), axis=-1), total)
        losses = ops.where(ops.cast(legal, "bool"), losses, np.nan)
        return ops.broadcast_to(losses, self._pixel_axes(ids)[1])

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "beta": self.beta,
            "per_image": self.per_image,
        }

    def _pixel_axes(self, ids):
        """The axes that are summed over, and the shape of the losses: (batch,), or with labels."""
        rank, shape = len(ids.shape) - self.multi_label, ops.shape(ids)
        return tuple(range(1 if self.per_image else 0, rank)), (shape[0], *shape[rank:])

    def _sum(self, x, pixels):
        sums = ops.sum(x, pixels)
        return sums if self.per_image else replicas.total(sums)

    def _pixels(self, truth, found):
        """Of each class the pixels that were hit, those missed, and those claimed in vain.

        One matrix product counts what of class `i` was claimed as class `j`. The probabilities of
        a pixel sum to one, so the entries beside the diagonal are the errors. They are not
        differences of large numbers, and a small loss keeps its precision on devices that round
        the factors of a product.
        """
        counts = ops.matmul(ops.swapaxes(self._flat(truth), -1, -2), self._flat(found))
        counts = counts if self.per_image else replicas.total(ops.squeeze(counts, 0))
        own = ops.eye(counts.shape[-1], dtype=counts.dtype)
        errors = counts * (1 - own)
        return [ops.sum(x, axis) for x, axis in ((counts * own, -1), (errors, -1), (errors, -2))]

    def _flat(self, x):
        """(images or 1, pixels, classes), with an axis of labels before the pixels."""
        labels, shape = x.shape[-2:-1] if self.multi_label else (), ops.shape(x)
        start = 1 if self.per_image else 0
        pixels = math.prod(shape[start : len(shape) - 1 - len(labels)])
        x = ops.reshape(x, (shape[0] if start else 1, pixels, *labels, shape[-1]))
        return ops.swapaxes(x, 1, 2) if self.multi_label else x


@keras.saving.register_keras_serializable(package="kerasseg")
class Dice(Tversky):
    """1 minus the Dice overlap, `2 TP / (2 TP + FP + FN)`: `Tversky` with both prices 0.5.

    Its docstring says which classes and pixels count, over what the sums go, and what sample
    weights do. There is no floor: a perfect prediction costs 0 whatever classes are absent, while
    the book's formula gives 0.895 with 2 of 19 present. Milletari, Navab and Ahmadi (V-Net), 3DV
    2016, without their squares; book, chapter 6, Dice loss (notebook 6.6).

    Args:
        per_image: Whether each image is scored separately, or the batch as one.
        ignore_class, class_weights, axis, from_logits, multi_label: As in `LabelMapLoss`.
        reduction, name, dtype: As in `Tversky`.

    Raises:
        ValueError: As in `LabelMapLoss`.

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
        from_logits=None,
        multi_label=False,
    ):
        super().__init__(
            0.5,
            0.5,
            ignore_class,
            class_weights,
            per_image,
            axis,
            reduction,
            name,
            dtype,
            from_logits,
            multi_label,
        )

    def get_config(self):
        config = super().get_config()
        del config["alpha"], config["beta"]
        return config
