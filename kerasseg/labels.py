"""What losses and metrics must know of label maps: which ids are classes, which are void."""

from keras import ops


def squeeze_channel(labels, scores, axis):
    """(batch, height, width, 1) as (batch, height, width), for `axis` the channel axis."""
    if len(labels.shape) == len(scores.shape) and labels.shape[axis] == 1:
        return ops.squeeze(labels, axis=axis)
    return labels


def inside_classes(labels, num_classes):
    return ops.logical_and(labels >= 0, labels < num_classes)


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
    allowed = (ids >= 0) & (ids < num_classes)
    if ignore_class is not None:
        allowed |= ids == ignore_class
    if not allowed.all():
        void = "" if ignore_class is None else f", or {ignore_class} for void"
        raise ValueError(
            f"`y_true` must hold class ids 0 to {num_classes - 1}{void}. "
            f"Received: id={ids[~allowed][0]:g}"
        )
