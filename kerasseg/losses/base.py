"""What the losses of label maps share: arguments, reading, weights."""

import math

import keras
from keras import ops

from kerasseg.layers import replicas
from kerasseg.losses.label_maps import as_pixel_weights, class_count, read_label_map
from kerasseg.losses.pixel_weights import weights_in_order
from kerasseg.losses.scores import LEAST_OF_SIGMOID, logits_of, logits_of_either


@keras.saving.register_keras_serializable(package="kerasseg")
class LabelMapLoss(keras.losses.Loss):
    """What `CrossEntropy`, `Tversky`, `Dice` and `CrossEntropyDice` share.

    What the channels of the predictions mean:

    - several channels: one of several classes a pixel, by a softmax;
    - one channel, a binary model: the logit of id 1, where that of id 0 is 0. So `z` in one channel
      costs the same as `[0, z]` in two, with two class weights as well;
    - `multi_label=True`: each channel is a binary decision of its own. The loss is the mean of the
      labels' binary losses; a label that is void everywhere does not count.

    With `from_logits=False` they are what a softmax or a sigmoid made of these logits, and cost the
    same. If `from_logits` is left out, a softmax over several classes is recognized: predictions
    that are non-negative and sum to 1, up to 0.01, in every pixel of a batch count as
    probabilities, everything else as logits. A sigmoid cannot be recognized, since logits may lie
    between 0 and 1, too: a model with a sigmoid needs `from_logits=False`
    (`kerasseg.anatomy.output_of(model).arguments` has the right arguments for any model).

    Args:
        ignore_class: The void id, or `None`.
        class_weights: One non-negative number a class (two for a binary model, one a label with
            `multi_label`), in their order or as a dict by id; `None` for equal weights.
        axis: Of the classes in the predictions: -1, or 1 for `channels_first`.
        reduction, name: As in every Keras loss, but a mean goes over what counts.
        dtype: As in every Keras loss, but never less than float32: sums over the pixels of a batch
            would overflow.
        from_logits: Whether the predictions are logits, or else probabilities. `None`: logits,
            unless a softmax over several classes is recognized.
        multi_label: Whether a pixel has a yes or no for each label.

    Call with `y_true` and `y_pred`, the scores of a batch, (batch, height, width, channels).
    `y_true` holds integer ids, (batch, height, width) or (batch, height, width, 1); with
    `multi_label` it has the shape of `y_pred` and holds 0, 1 and void.

    Raises:
        ValueError: class weights that are negative, not finite, all zero or not as many as the
            classes. In a call: labels or sample weights of another shape than the scores; an id
            outside the classes. Compiled code cannot raise for an id on every backend: there it
            makes the loss NaN, never a plausible number.
    """

    def __init__(
        self,
        ignore_class=255,
        class_weights=None,
        axis=-1,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        from_logits=None,
        multi_label=False,
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
        self.axis = int(axis)
        self.from_logits = None if from_logits is None else bool(from_logits)
        self.multi_label = bool(multi_label)

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
            "from_logits": self.from_logits,
            "multi_label": self.multi_label,
        }

    def _read(self, y_true, y_pred, sample_weight):
        """`(label_map, class_weights, sample_weights)`; both weights 0 on void.

        Of each pixel, or with `multi_label` of each pixel's labels: what `read_label_map` says, the
        weight of its class or label, and its own weight.
        """
        label_map = read_label_map(y_true, y_pred, self.axis, self.ignore_class, self.multi_label)
        class_weights = sample_weights = ops.cast(label_map.counted, self.dtype)
        if self.class_weights:
            channels = y_pred.shape[self.axis]
            if self.multi_label:
                weights = self._weight_of_each(channels)
            else:
                weights = ops.take(self._weight_of_each(class_count(channels)), label_map.ids, 0)
            class_weights = ops.where(label_map.counted, weights, 0.0)
        if sample_weight is not None:
            weights = as_pixel_weights(sample_weight, y_pred, self.axis, self.dtype)
            weights = weights[..., None] if self.multi_label else weights
            sample_weights = ops.where(label_map.counted, weights, 0.0)
        return label_map, class_weights, sample_weights

    def _class_logits(self, y_pred):
        """Logits with an axis of classes at the end, whatever the predictions mean.

        (batch, height, width, classes), or (batch, height, width, labels, 2) with `multi_label`.
        Logits of given probabilities are their logarithms: a softmax returns the probabilities.
        """
        scores = ops.moveaxis(ops.cast(y_pred, self.dtype), self.axis, -1)
        if self.multi_label or scores.shape[-1] == 1:
            are_logits = self.from_logits is not False
            no = ops.zeros_like(scores) if are_logits else 1 - scores
            scores = ops.stack([no, scores], axis=-1)
            scores = scores if self.multi_label else ops.squeeze(scores, -2)
            return scores if are_logits else logits_of(scores, LEAST_OF_SIGMOID)
        if self.from_logits is None:
            return logits_of_either(scores)
        return scores if self.from_logits else logits_of(scores)

    def _weight_of_each(self, num_classes):
        weights = self.class_weights or [1.0] * num_classes
        if len(weights) != num_classes:
            raise ValueError(
                f"`class_weights` must have one weight a class, {num_classes} of them. "
                f"Received: class_weights={self.class_weights}"
            )
        return ops.convert_to_tensor(weights, dtype=self.dtype)

    def _for_reduction(self, weights):
        """Before a mean over all, weights of mean one: it becomes the mean over what counts.

        With `multi_label`, it becomes the mean over the labels of the means over what counts.
        """
        if self.reduction in ("sum", "none", None):
            return weights
        if self.multi_label:
            of_pixels = replicas.mean(weights, axis=tuple(range(len(weights.shape) - 1)))
            of_labels = ops.where(of_pixels > 0, self._weight_of_each(weights.shape[-1]), 0.0)
            weights = ops.divide_no_nan(weights, of_pixels) * of_labels
            return ops.divide_no_nan(weights, ops.mean(of_labels))
        return ops.divide_no_nan(weights, replicas.mean(weights))
