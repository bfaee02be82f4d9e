"""Scores of label maps, all from one confusion matrix over the whole set, void left out."""

from numbers import Integral

import keras
import numpy as np
from keras import ops

from kerasseg.losses.label_maps import as_pixel_weights, read_label_map
from kerasseg.metrics.contours import near_contour
from kerasseg.metrics.image_quality import PSNR, SSIM

__all__ = [
    "PSNR",
    "SSIM",
    "BoundaryIoU",
    "ConfusionMatrixMetric",
    "FrequencyWeightedIoU",
    "MeanAccuracy",
    "MeanIoU",
    "PixelAccuracy",
]


@keras.saving.register_keras_serializable(package="kerasseg")
class ConfusionMatrixMetric(keras.metrics.Metric):
    """What the scores below share: they count into one matrix, and differ in what they read off.

    `confusion_matrix[i, j]` is how many pixels of truth i were predicted as j since the last
    reset. It is float32: exact up to 2^24 pixels a cell; beyond, each update rounds its cells by up
    to one part in 2^24, so that a few pixels may be lost. Pixels whose truth is `ignore_class` are
    in no cell, whatever is predicted there.
    A score is a weighted mean over the classes of numerator / denominator, where a denominator of
    zero leaves the class out.

    Args:
        num_classes: Number of classes, void not counted.
        ignore_class: The void id, or `None`. If it is the id of a class, that class is left out of
            the mean, too.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        name, dtype: As in every Keras metric.

    Call with `y_true`, integer ids (batch, height, width) or (batch, height, width, 1), and
    `y_pred`, logits or probabilities (batch, height, width, num_classes): the largest wins.
    `sample_weight`, one number an image or a pixel, says how often a pixel counts.

    Result: a scalar in [0, 1]; NaN when no pixel was counted, since there is no score to give, and
    when the scores of a pixel that is not void hold NaN, as those of a diverged model do. An id
    outside the classes raises `ValueError` in eager calls. Compiled code cannot raise on every
    backend: there it makes the score NaN.
    """

    extra_ids = 0  # that a subclass gives to pixels, behind those of the classes

    def __init__(self, num_classes, ignore_class=255, axis=-1, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not isinstance(num_classes, Integral) or num_classes < 1:
            raise ValueError(
                f"`num_classes` must be a positive integer. Received: num_classes={num_classes}"
            )
        self.num_classes = int(num_classes)
        self.ignore_class = ignore_class if ignore_class is None else int(ignore_class)
        self.axis = axis
        # float32 holds what every backend has.
        ids = self.num_classes + self.extra_ids
        self.confusion_matrix = self.add_variable(
            (ids, ids), initializer="zeros", dtype="float32", name="confusion"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        scores = ops.convert_to_tensor(y_pred)
        if scores.shape[self.axis] != self.num_classes:
            raise ValueError(
                f"`y_pred` must have one score a class, {self.num_classes}, on axis {self.axis}. "
                f"Received: y_pred.shape={tuple(scores.shape)}"
            )
        truth, counted, legal = read_label_map(
            y_true, scores, self.axis, self.num_classes, self.ignore_class
        )
        # Integers count exactly beyond 2^24 pixels a batch, where float32 would stand still.
        weights = ops.cast(counted, "int32")
        if sample_weight is not None:
            sample_weight = as_pixel_weights(sample_weight, scores, self.axis, "float32")
            weights = ops.cast(weights, "float32") * sample_weight
        prediction = ops.cast(ops.argmax(scores, axis=self.axis), "int32")
        # The largest of scores with NaN would be a plausible class.
        unscored = ops.any(ops.isnan(ops.cast(scores, "float32")), axis=self.axis)
        legal = ops.logical_and(legal, ops.logical_not(ops.logical_and(counted, unscored)))
        truth, prediction = self._maps_to_compare(truth, prediction, counted)
        counts = confusion_counts(truth, prediction, weights, self.confusion_matrix.shape[0])
        self.confusion_matrix.assign_add(ops.where(ops.all(legal), counts, np.nan))

    def result(self):
        ratio, present, weight = self._scores()
        weight = ops.where(present, weight, 0.0)
        return ops.sum(weight * ratio) / ops.sum(weight)

    def per_class(self):
        """Score of each class, a float32 array (num_classes,); NaN for a class that has none."""
        ratio, present, _ = self._scores()
        return ops.convert_to_numpy(ops.where(present, ratio, np.nan))

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
        }

    def _maps_to_compare(self, truth, prediction, counted):
        return truth, prediction

    def _fractions(self, hit, truth, predicted):
        """Numerator, denominator and weight of each class, from its numbers of pixels."""
        raise NotImplementedError

    def _scores(self):
        matrix = ops.convert_to_tensor(self.confusion_matrix)
        marginals = (ops.diagonal(matrix), ops.sum(matrix, axis=1), ops.sum(matrix, axis=0))
        numerator, denominator, weight = self._fractions(
            *(pixels[: self.num_classes] for pixels in marginals)
        )
        # A NaN must reach the score, so it counts as present.
        present = ops.logical_not(ops.equal(denominator, 0))
        present = ops.logical_and(present, np.arange(self.num_classes) != self.ignore_class)
        return numerator / ops.where(present, denominator, 1.0), present, weight


@keras.saving.register_keras_serializable(package="kerasseg")
class MeanIoU(ConfusionMatrixMetric):
    """Mean intersection over union, where void pixels do not count at all.

    IoU of a class is TP / (TP + FP + FN) over all the pixels seen since the last reset. The mean
    goes over the classes that occur in truth or prediction; pixels whose truth is `ignore_class`
    are in no cell of the matrix, whatever is predicted there. (`keras.metrics.MeanIoU` keeps the
    ignored class in the mean as soon as it is predicted, and drops ids outside the classes in
    silence.) Long, Shelhamer and Darrell, CVPR 2015, section 5; book, chapter 6.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: four pixels, the last one void. Class 0: 1 of 2, class 1: 1 of 2.

    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 1, 255]]], ops.one_hot([[[0, 1, 1, 0]]], 2))
    >>> float(metric.result()), metric.per_class().tolist()
    (0.5, [0.5, 0.5])
    """

    def __init__(self, num_classes, ignore_class=255, axis=-1, name="mean_iou", dtype=None):
        super().__init__(num_classes, ignore_class, axis, name, dtype)

    def _fractions(self, hit, truth, predicted):
        return hit, truth + predicted - hit, ops.ones_like(hit)


@keras.saving.register_keras_serializable(package="kerasseg")
class FrequencyWeightedIoU(ConfusionMatrixMetric):
    """Mean of the classes' IoU, each weighted by its share of the true pixels.

    So it is a score of the large classes; void has no share. `per_class()` gives the IoU of each
    class, as `MeanIoU`. Long, Shelhamer and Darrell, CVPR 2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: class 0 has IoU 2/3 and three of four pixels, class 1 has 1/2 and one.

    >>> metric = FrequencyWeightedIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> float(metric.result())
    0.625
    """

    def __init__(
        self, num_classes, ignore_class=255, axis=-1, name="frequency_weighted_iou", dtype=None
    ):
        super().__init__(num_classes, ignore_class, axis, name, dtype)

    def _fractions(self, hit, truth, predicted):
        return hit, truth + predicted - hit, truth


@keras.saving.register_keras_serializable(package="kerasseg")
class PixelAccuracy(ConfusionMatrixMetric):
    """Share of the pixels that are not void whose prediction is right.

    (`keras.metrics.SparseCategoricalAccuracy` knows no void.) `per_class()` gives the share of
    each class's true pixels. Long, Shelhamer and Darrell, CVPR 2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: three of the four pixels that count.

    >>> metric = PixelAccuracy(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> float(metric.result())
    0.75
    """

    def __init__(self, num_classes, ignore_class=255, axis=-1, name="pixel_accuracy", dtype=None):
        super().__init__(num_classes, ignore_class, axis, name, dtype)

    def _fractions(self, hit, truth, predicted):
        return hit, truth, truth


@keras.saving.register_keras_serializable(package="kerasseg")
class MeanAccuracy(ConfusionMatrixMetric):
    """Mean over the true classes of the share of their pixels whose prediction is right.

    A class that is predicted but never true has no such share and does not count by itself; the
    classes whose pixels it took lose. Long, Shelhamer and Darrell, CVPR 2015, section 5.

    Arguments, inputs and errors: those of `ConfusionMatrixMetric`.

    Example: two of three pixels of class 0, all of class 1.

    >>> metric = MeanAccuracy(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 1, 255]]], ops.one_hot([[[0, 0, 1, 1, 0]]], 2))
    >>> round(float(metric.result()), 4)
    0.8333
    """

    def __init__(self, num_classes, ignore_class=255, axis=-1, name="mean_accuracy", dtype=None):
        super().__init__(num_classes, ignore_class, axis, name, dtype)

    def _fractions(self, hit, truth, predicted):
        return hit, truth, ops.ones_like(hit)


@keras.saving.register_keras_serializable(package="kerasseg")
class BoundaryIoU(MeanIoU):
    """Mean IoU of what lies near the contours: it sees outlines that the IoU of large things hides.

    Of each class, in truth and in prediction, only the pixels within `d` of its contour stay: a
    square of `2 d + 1` pixels around them holds a pixel of another class, or reaches beyond the
    image. `d` is `dilation_ratio` of the image's diagonal, rounded, at least 1. IoU of a class is
    the intersection of the two bands over their union, both summed over the whole set; the mean
    goes over the classes as in `MeanIoU`. Cheng et al., CVPR 2021, whose published code does the
    same for one mask at a time by `d` erosions of 3x3.

    Void has a contour as any class has, and it is the same in truth and prediction: where the truth
    is void, so is the prediction. Then void pixels leave both bands. So a prediction that is right
    wherever it counts scores 1, and what it says on void changes nothing.

    Args:
        num_classes, ignore_class: As in `ConfusionMatrixMetric`.
        dilation_ratio: Width of the bands, as a share of the diagonal.
        axis, name, dtype: As in `ConfusionMatrixMetric`.

    Inputs and errors: those of `ConfusionMatrixMetric`. The last row and column of
    `confusion_matrix` are for pixels outside the bands.

    Example: the truth is a row of class 0 alone; in a single row, each pixel is at the edge.

    >>> metric = BoundaryIoU(num_classes=2)
    >>> metric.update_state([[[0, 0, 0, 0]]], ops.one_hot([[[0, 0, 0, 1]]], 2))
    >>> float(metric.result()), metric.per_class().tolist()
    (0.375, [0.75, 0.0])
    """

    extra_ids = 1

    def __init__(
        self,
        num_classes,
        ignore_class=255,
        dilation_ratio=0.02,
        axis=-1,
        name="boundary_iou",
        dtype=None,
    ):
        super().__init__(num_classes, ignore_class, axis, name, dtype)
        if not 0 < dilation_ratio <= 1:
            raise ValueError(
                "`dilation_ratio` must be a share of the diagonal, above 0 and at most 1. "
                f"Received: dilation_ratio={dilation_ratio}"
            )
        self.dilation_ratio = float(dilation_ratio)

    def get_config(self):
        return {**super().get_config(), "dilation_ratio": self.dilation_ratio}

    def _maps_to_compare(self, truth, prediction, counted):
        outside = self.num_classes
        bands = []
        for ids in (truth, prediction):
            band = near_contour(ops.where(counted, ids, -1), self.dilation_ratio)
            bands.append(ops.where(band, ids, outside))
        return bands


def confusion_counts(truth, prediction, weights, num_ids):
    """float32 matrix (ids, ids): how often, by its weight, a pixel of truth i was predicted as j.

    All three are maps of one shape, the first two int32 ids below `num_ids`.
    """
    cells = ops.reshape(truth * num_ids + prediction, (-1,))
    counts = ops.segment_sum(ops.reshape(weights, (-1,)), cells, num_segments=num_ids**2)
    return ops.reshape(ops.cast(counts, "float32"), (num_ids, num_ids))
