"""What losses and metrics must know of label maps: which ids are classes, which are void."""

import keras
from keras import ops

from kerasseg.layers.windows import may_be_equal


def read_label_map(y_true, scores, axis, num_classes, ignore_class):
    """Label maps, taken apart: the first step of every loss and metric.

    Returns `(ids, counted, legal)`, each (batch, height, width): int32 ids of classes, 0 where
    there is none; where the truth is not void; where it is a class or void. An illegal id raises
    `ValueError`, but not in compiled code, which cannot raise on every backend: there whatever is
    not `legal` must make the result NaN.
    """
    labels = as_label_map(y_true, scores, axis)
    check_ids(labels, num_classes, ignore_class)
    inside, counted = inside_classes(labels, num_classes), not_void(labels, ignore_class)
    ids = ops.cast(ops.where(inside, labels, 0), "int32")
    return ids, counted, ops.logical_or(inside, ops.logical_not(counted))


def as_label_map(labels, scores, axis):
    """Labels without a channel axis of one, checked against scores with the classes on `axis`.

    (batch, height, width), (batch, height, width, 1) and (batch, 1, height, width) are understood.
    """
    labels = ops.convert_to_tensor(labels)
    # In 8 bits, 256 classes would be none, and a void of -1 the id 255.
    labels = ops.cast(labels, keras.backend.result_type(labels.dtype, "int32"))
    expected = without(scores.shape, axis)
    labels = without_channel(labels, expected, axis)
    if not may_be_equal(labels.shape, expected):
        raise ValueError(
            "`y_true` must hold class ids, one a pixel, (batch, height, width). Received: "
            f"y_true.shape={tuple(labels.shape)}, y_pred.shape={tuple(scores.shape)}. One-hot "
            "masks become ids by `argmax` over their channels."
        )
    return labels


def as_pixel_weights(sample_weight, scores, axis, dtype):
    """`sample_weight` in a dtype, so that it broadcasts against label maps, (batch, height, width).

    One weight for all, one an image, (batch,), and one a pixel, perhaps with a channel axis of
    one, are understood. Keras itself would take (batch,) for one weight a column.
    """
    sample_weight = ops.convert_to_tensor(sample_weight)
    expected = without(scores.shape, axis)
    weights = without_channel(ops.cast(sample_weight, dtype), expected, axis)
    weights = expand_to_rank(weights, len(expected))
    if not may_be_equal([n if n != 1 else None for n in weights.shape], expected):
        raise ValueError(
            "`sample_weight` must have one weight a pixel, (batch, height, width), or one an "
            f"image, (batch,). Received: sample_weight.shape={tuple(sample_weight.shape)}, "
            f"y_pred.shape={tuple(scores.shape)}"
        )
    return weights


def predicted_ids(scores, axis=-1, from_logits=True, multi_label=False):
    """What scores decide, int32: the ids of the largest, or 1 where a channel says yes.

    Several channels give a label map without their axis: the largest wins. One channel gives a
    label map of 0 and 1, and with `multi_label` each channel a mask of 0 and 1: a logit says yes
    above 0, a probability above 0.5.
    """
    if scores.shape[axis] == 1 or multi_label:
        ids = ops.cast(scores > (0 if from_logits else 0.5), "int32")
        return ids if multi_label else ops.squeeze(ids, axis)
    return ops.cast(ops.argmax(scores, axis=axis), "int32")


def inside_classes(labels, num_classes):
    """Where labels are ids of classes: whole numbers in the range."""
    inside = ops.logical_and(labels >= 0, labels < num_classes)
    if "float" in keras.backend.standardize_dtype(labels.dtype):
        inside = ops.logical_and(inside, ops.equal(labels, ops.floor(labels)))
    return inside


def not_void(labels, ignore_class):
    if ignore_class is None:
        return ops.ones_like(labels, dtype="bool")
    return ops.not_equal(labels, ignore_class)


def check_ids(labels, num_classes, ignore_class, name="y_true"):
    """Raises `ValueError` for an id outside the classes; while a graph is traced, does nothing."""
    try:
        ids = ops.convert_to_numpy(labels)
    except (NotImplementedError, TypeError):  # a tensor without values yet
        return
    allowed = (ids >= 0) & (ids < num_classes) & (ids % 1 == 0)
    if ignore_class is not None:
        allowed |= ids == ignore_class
    if not allowed.all():
        void = "" if ignore_class is None else f", or {ignore_class} for void"
        raise ValueError(
            f"`{name}` must hold class ids 0 to {num_classes - 1}{void}. "
            f"Received: id={ids[~allowed][0]:g}"
        )


def without(shape, axis):
    """A shape as a list that lacks one axis."""
    shape = list(shape)
    shape.pop(axis)
    return shape


def without_channel(x, expected, axis):
    """`x` less a last axis of one, or an `axis` of one, where that gives the expected shape."""
    for channel in (-1, axis):
        if (
            len(x.shape) == len(expected) + 1
            and x.shape[channel] == 1
            and may_be_equal(without(x.shape, channel), expected)
        ):
            return ops.squeeze(x, axis=channel)
    return x


def expand_to_rank(x, rank):
    """`x` with axes of one behind its own."""
    return ops.reshape(x, (*ops.shape(x), *[1] * (rank - len(x.shape))))
