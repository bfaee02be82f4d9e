"""Whether a model is right as often as its probabilities say."""

import keras
import numpy as np
from keras import ops

from kerasseg.layers.arguments import is_integer
from kerasseg.metrics.confusion import LabelMapMetric


@keras.saving.register_keras_serializable(package="kerasseg")
class ExpectedCalibrationError(LabelMapMetric):
    """How far the confidence of a model is from its accuracy, on average over the pixels.

    The confidence of a pixel is the probability of what is predicted there: of the likeliest class;
    for one channel or for labels, of the yes or the no that was decided, so at least 0.5. Pixels
    are sorted by confidence into `bins` of equal width. In each bin the mean confidence is compared
    with the share of right pixels, and the differences are averaged, each bin weighted by its
    pixels. 0.1 means that a model that says 90 % is typically right in 80 % (or in 100 %). Void
    pixels do not count; all labels of a multi-label model count alike. Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017, equation 3, with 15 bins.

    Args:
        num_classes, ignore_class: As in `ConfusionMatrixMetric`.
        bins: How many intervals from 0 to 1 there are; one includes its upper end.
        axis, name, dtype, multi_label: As in `ConfusionMatrixMetric`.
        from_logits: Whether the scores are logits, or else probabilities, also of several classes.

    Inputs and errors: those of `ConfusionMatrixMetric`, and a `ValueError` for a number of bins
    that is no positive integer. Result: a scalar in [0, 1], NaN as in `ConfusionMatrixMetric`.

    Example: two pixels with a confidence of 0.9, one of them right: |0.9 - 0.5|.

    >>> metric = ExpectedCalibrationError(2, from_logits=False)
    >>> metric.update_state([[[0, 1]]], [[[[0.9, 0.1], [0.9, 0.1]]]])
    >>> round(float(metric.result()), 4)
    0.4
    """

    _direction = "down"  # what Keras's callbacks look for when their mode is "auto"
    _usual_name = "calibration_error"

    def __init__(
        self,
        num_classes,
        ignore_class=255,
        bins=15,
        axis=-1,
        name=None,
        dtype=None,
        from_logits=True,
        multi_label=False,
    ):
        super().__init__(num_classes, ignore_class, axis, name, dtype, from_logits, multi_label)
        if not is_integer(bins) or bins < 1:
            raise ValueError(f"`bins` must be a positive integer. Received: bins={bins!r}")
        self.bins = int(bins)
        self.sums = self.add_variable(
            (3, self.bins), initializer="zeros", dtype="float32", name="sums"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.sums.assign_add(self.count(y_true, y_pred, sample_weight))

    def count(self, y_true, y_pred, sample_weight=None):
        """What `update_state` adds: float32 (3, bins), which `reliability` reads.

        The rows are pixels, right pixels, and by how much the confidences exceed the middle of
        their bin in all: such small numbers lose nothing in float32.
        """
        scores, (truth, counted, legal), prediction = self.read(y_true, y_pred)
        weights = self.weights_of(counted, sample_weight, scores)
        confidence = self._confidence(scores)
        places = ops.cast(ops.ceil(confidence * self.bins), "int32") - 1
        places = ops.clip(places, 0, self.bins - 1)
        excess = confidence - (ops.cast(places, "float32") + 0.5) / self.bins
        excess = ops.where(counted, excess, 0.0)  # void may be NaN
        right = ops.cast(ops.equal(truth, prediction), weights.dtype)
        sums = [
            ops.segment_sum(ops.reshape(x, (-1,)), ops.reshape(places, (-1,)), self.bins)
            for x in (weights, weights * right, ops.cast(weights, "float32") * excess)
        ]
        sums = ops.stack([ops.cast(each, "float32") for each in sums])
        return ops.where(ops.all(legal), sums, np.nan)

    def result(self):
        pixels, right, confidence = totals(self.sums)
        return ops.sum(ops.abs(right - confidence)) / ops.sum(pixels)

    def get_config(self):
        return {**super().get_config(), "bins": self.bins}

    def _confidence(self, scores):
        """The probability of what is decided, with the labels on the last axis."""
        scores = ops.cast(scores, "float32")
        if self.multi_label or scores.shape[self.axis] == 1:
            yes = ops.sigmoid(scores) if self.from_logits else scores
            confidence = ops.maximum(yes, 1 - yes)
            if self.multi_label:
                return ops.moveaxis(confidence, self.axis, -1)
            return ops.squeeze(confidence, self.axis)
        probabilities = ops.softmax(scores, self.axis) if self.from_logits else scores
        return ops.max(probabilities, self.axis)


def totals(sums):
    """(pixels, right pixels, sum of the confidences) of each bin, from what `count` gives."""
    pixels, right, excess = (sums[i] for i in range(3))
    bins = sums.shape[-1]
    return pixels, right, excess + pixels * ((np.arange(bins) + 0.5) / bins).astype("float32")


def reliability(sums):
    """What a reliability diagram shows, and the calibration error.

    Args:
        sums: A float array (3, bins), what `ExpectedCalibrationError.count` gives, perhaps added
            over many images.

    Returns:
        A dict: "error", the expected calibration error; "confidence" and "accuracy", their means
        over all pixels; "bins", for each bin {"pixels", "confidence", "accuracy"}. Means of no
        pixel are NaN.

    Example: of two pixels with a confidence of 0.9, one is right.

    >>> found = reliability(np.array([[0.0, 2.0], [0.0, 1.0], [0.0, 0.3]]))
    >>> round(found["error"], 4), found["accuracy"], found["bins"][0]["pixels"]
    (0.4, 0.5, 0.0)
    """
    pixels, right, confidence = totals(np.asarray(sums, "float64"))
    with np.errstate(invalid="ignore"):
        shares = {"confidence": confidence / pixels, "accuracy": right / pixels}
        means = {
            "error": np.abs(right - confidence).sum() / pixels.sum(),
            "confidence": confidence.sum() / pixels.sum(),
            "accuracy": right.sum() / pixels.sum(),
        }
    columns = {"pixels": pixels, **shares}
    return {
        **{name: float(value) for name, value in means.items()},
        "bins": [
            {name: float(values[i]) for name, values in columns.items()} for i in range(len(pixels))
        ],
    }
