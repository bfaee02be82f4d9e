"""What losses and metrics must know of label maps: which ids are classes, which are void."""

import keras
from keras import ops


def as_label_map(labels, scores, axis):
    """Labels without a channel axis of one, checked against scores with the classes on `axis`.

    (batch, height, width), (batch, height, width, 1) and (batch, 1, height, width) are understood.
    """
    expected = list(scores.shape)
    expected.pop(axis)
    if len(labels.shape) == len(expected) + 1:
        for channel in (-1, axis):
            if labels.shape[channel] == 1:
                labels = ops.squeeze(labels, axis=channel)
                break
    if len(labels.shape) != len(expected) or any(
        None not in sizes and sizes[0] != sizes[1] for sizes in zip(labels.shape, expected)
    ):
        raise ValueError(
            "`y_true` must hold class ids, one a pixel, (batch, height, width). Received: "
            f"y_true.shape={tuple(labels.shape)}, y_pred.shape={tuple(scores.shape)}. One-hot "
            "masks become ids by `argmax` over their channels."
        )
    return labels


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


def check_ids(labels, num_classes, ignore_class):
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
            f"`y_true` must hold class ids 0 to {num_classes - 1}{void}. "
            f"Received: id={ids[~allowed][0]:g}"
        )
