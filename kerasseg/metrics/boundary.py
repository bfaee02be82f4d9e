"""Intersection over union near the contours, and which pixels those are."""

import keras
from keras import ops

from kerasseg.metrics.iou import MeanIoU


@keras.saving.register_keras_serializable(package="kerasseg")
class BoundaryIoU(MeanIoU):
    """Mean IoU near the contours: it shows wrong outlines, which the IoU of large objects hides.

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
        axis, name, dtype, from_logits, multi_label: As in `ConfusionMatrixMetric`.

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
        from_logits=True,
        multi_label=False,
    ):
        super().__init__(num_classes, ignore_class, axis, name, dtype, from_logits, multi_label)
        if not 0 < dilation_ratio <= 1:
            raise ValueError(
                "`dilation_ratio` must be a share of the diagonal, above 0 and at most 1. "
                f"Received: dilation_ratio={dilation_ratio}"
            )
        self.dilation_ratio = float(dilation_ratio)

    def get_config(self):
        return {**super().get_config(), "dilation_ratio": self.dilation_ratio}

    def _maps_to_compare(self, truth, prediction, counted):
        outside, bands = self.num_ids - 1, []
        for ids in (truth, prediction):
            band = self._near_contour(ops.where(counted, ids, -1))
            bands.append(ops.where(band, ids, outside))
        return bands

    def _near_contour(self, ids):
        if not self.multi_label:
            return near_contour(ids, self.dilation_ratio)
        maps = ops.moveaxis(ids, -1, 1)  # each label's mask separately
        shape = ops.shape(maps)
        band = near_contour(ops.reshape(maps, (-1, *shape[2:])), self.dilation_ratio)
        return ops.moveaxis(ops.reshape(band, shape), 1, -1)


def near_contour(ids, dilation_ratio):
    """Where a map of ids, (batch, height, width), has another id, or its edge, within reach.

    The reach is `dilation_ratio` of the diagonal, in rows and columns alike. A square is of one id
    if each of its rows is, and the column through its middle.
    """
    height, width = ops.shape(ids)[1:]
    diagonal = ops.sqrt(ops.cast(height * height + width * width, "float32"))
    reach = ops.cast(ops.maximum(ops.round(dilation_ratio * diagonal), 1), "int32")
    rows, columns = (ops.arange(length, dtype="int32") for length in (height, width))
    row_breaks = any_between(changes(ids, axis=2), columns - reach + 1, columns + reach, axis=2)
    return ops.logical_or(
        any_between(row_breaks, rows - reach, rows + reach, axis=1),
        any_between(changes(ids, axis=1), rows - reach + 1, rows + reach, axis=1),
    )


def changes(ids, axis):
    """Where an id differs from the one before it on an axis: one longer, and true at both ends."""
    beyond = [(int(a == axis), int(a == axis)) for a in range(3)]
    padded = ops.pad(ids, beyond, constant_values=-2)  # no id, nor the -1 of void
    return ops.not_equal(ops.diff(padded, axis=axis), 0)


def any_between(flags, first, last, axis):
    """Whether one of the flags from `first[i]` to `last[i]` on an axis is set, for each i."""
    length = ops.shape(flags)[axis]
    before = ops.cumsum(ops.cast(flags, "int32"), axis=axis)
    before = ops.pad(before, [(int(a == axis), 0) for a in range(3)])
    upto = ops.take(before, ops.clip(last + 1, 0, length), axis=axis)
    return upto > ops.take(before, ops.clip(first, 0, length), axis=axis)
