"""Cross-entropy and Dice together."""

import math

import keras
from keras import ops

from kerasseg.losses.base import LabelMapLoss
from kerasseg.losses.cross_entropy import CrossEntropy
from kerasseg.losses.overlap import Dice


@keras.saving.register_keras_serializable(package="kerasseg")
class CrossEntropyDice(LabelMapLoss):
    """`cross_entropy_weight * CrossEntropy + dice_weight * Dice`.

    Cross-entropy gives every pixel a steady gradient, Dice every class an equal say. Isensee et
    al. (nnU-Net), Nature Methods 2021, add the two with equal weights, as the default does; book,
    chapter 6, mixed losses (notebook 6.6).

    Args:
        cross_entropy_weight, dice_weight: Non-negative numbers.
        per_image: Whether Dice scores each image separately, or the batch as one.
        ignore_class, class_weights, axis, from_logits, multi_label: As in `LabelMapLoss`, for both.
        reduction, name, dtype: As in every Keras loss, for each of the two. Without reduction there
            is one loss a pixel (and label), which carries the Dice of its image.

    Call as either of the two. The loss of an all-void batch is 0.

    Raises:
        ValueError: As in `LabelMapLoss`; weights that are negative or not finite.

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
        from_logits=None,
        multi_label=False,
    ):
        super().__init__(
            ignore_class, class_weights, axis, reduction, name, dtype, from_logits, multi_label
        )
        if not (0 <= cross_entropy_weight < math.inf and 0 <= dice_weight < math.inf):
            raise ValueError(
                "`cross_entropy_weight` and `dice_weight` must be finite, non-negative numbers. "
                f"Received: cross_entropy_weight={cross_entropy_weight}, dice_weight={dice_weight}"
            )
        self.cross_entropy_weight = float(cross_entropy_weight)
        self.dice_weight = float(dice_weight)
        self.per_image = bool(per_image)
        common = {
            "axis": axis,
            "reduction": reduction,
            "dtype": dtype,
            "from_logits": from_logits,
            "multi_label": multi_label,
        }
        self.cross_entropy = CrossEntropy(ignore_class, class_weights, **common)
        self.dice = Dice(ignore_class, class_weights, per_image, **common)

    def __call__(self, y_true, y_pred, sample_weight=None):
        cross_entropy = self.cross_entropy(y_true, y_pred, sample_weight)
        dice = self.dice(y_true, y_pred, sample_weight)
        if len(dice.shape) > 0:  # the loss of each image (and label), behind that of each pixel
            shape = ops.shape(dice)
            between = [1] * (len(cross_entropy.shape) - len(shape))
            dice = ops.reshape(dice, (shape[0], *between, *shape[1:]))
        return self.cross_entropy_weight * cross_entropy + self.dice_weight * dice

    def get_config(self):
        return {
            **super().get_config(),
            "cross_entropy_weight": self.cross_entropy_weight,
            "dice_weight": self.dice_weight,
            "per_image": self.per_image,
        }
