"""Which pixels of a label map lie near a contour."""

from keras import ops


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
