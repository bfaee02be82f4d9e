"""Label maps for losses and metrics: which ids are classes, which are void, what scores decide."""

from typing import NamedTuple

import keras
from keras import ops

from kerasseg.layers.backend import is_false
from kerasseg.layers.windows import may_be_equal


class LabelMap(NamedTuple):
    """Labels taken apart, (batch, height, width), with an axis of labels if they are multi-label.

    Attributes:
        ids: int32 ids of classes, 0 where there is none.
        counted: Where the truth is not void.
        legal: Where the truth is a class or void. Compiled code cannot raise on every backend, so
            whatever is not legal must make its result NaN.
    """

    ids: object
    counted: object
    legal: object


def read_label_map(y_true, scores, axis, ignore_class, multi_label=False):
    """Checks labels against scores, and takes them apart: the first step of every loss and metric.

    Labels are ids without a channel axis or with one of size 1. With `multi_label` they are masks
    of 0, 1 and void of the shape of the scores.

    Raises:
        ValueError: labels of another shape; an id outside the classes, but not in compiled code.
    """
    labels = as_integers(y_true)
    if multi_label:
        check_masks(labels.shape, scores.shape, axis)
        labels = ops.moveaxis(labels, axis, -1)
        num_ids = 2
    else:
        labels = as_label_map(labels, scores.shape, axis)
        num_ids = class_count(scores.shape[axis])
    inside, counted = inside_classes(labels, num_ids), not_void(labels, ignore_class)
    legal = ops.logical_or(inside, ops.logical_not(counted))
    if is_false(ops.all(legal), y_true, (num_ids, ignore_class, multi_label)):
        raise illegal_id(labels, legal, num_ids, ignore_class)
    return LabelMap(ops.cast(ops.where(inside, labels, 0), "int32"), counted, legal)


def class_count(channels):
    """How many classes channels stand for: one channel is binary, with the ids 0 and 1."""
    return 2 if channels == 1 else channels


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


def as_integers(labels):
    """Labels as a tensor in which every id and every void can be told apart."""
    labels = ops.convert_to_tensor(labels)
    # In 8 bits, 256 classes would be none, and a void of -1 the id 255.
    return ops.cast(labels, keras.backend.result_type(labels.dtype, "int32"))


def as_label_map(labels, scores_shape, axis):
    """Labels without a channel axis of one, checked against scores with the classes on `axis`.

    (batch, height, width), (batch, height, width, 1) and (batch, 1, height, width) are understood.
    """
    expected = without(scores_shape, axis)
    squeezed = without_channel(labels, expected, axis)
    if not may_be_equal(squeezed.shape, expected):
        raise ValueError(
            "`y_true` must hold class ids, one a pixel, (batch, height, width). "
            f"Received: y_true.shape={tuple(labels.shape)}, y_pred.shape={tuple(scores_shape)}. "
            + remedy(tuple(labels.shape), tuple(scores_shape), axis)
        )
    return squeezed


def remedy(labels, scores, axis):
    """What to do about labels of one shape where the scores have another."""
    expected = without(scores, axis)
    for channels in (-1, 1):
        if len(labels) == len(scores) and may_be_equal(without(labels, channels), expected):
            return remedy_for_channels(labels[channels], scores[axis], channels)
    plain = tuple(without(labels, -1)) if len(labels) == 4 and labels[-1] == 1 else labels
    other = -1 if axis % len(scores) == 1 else 1
    if may_be_equal(plain, without(scores, other)):
        return f"The classes seem to lie on another axis of `y_pred`: pass axis={other}."
    if len(plain) != 3 or len(expected) != 3:
        return "Reshape the masks to (batch, height, width)."
    if plain[0] != expected[0]:
        return "There must be as many masks as images."
    if plain[1:] == tuple(expected[:0:-1]):
        return "Height and width are exchanged: use `np.swapaxes(masks, 1, 2)`."
    size, masks = tuple(expected[1:]), "masks" if len(labels) == 4 else "masks[..., None]"
    return (
        "Resize the masks by nearest neighbour, which makes up no ids: `keras.ops.image.resize("
        f"{masks}, {size}, interpolation='nearest', data_format='channels_last')`."
    )


def remedy_for_channels(count, classes, axis):
    """The same for masks of `count` channels on `axis`."""
    one_hot = (
        f"One-hot masks become ids by `np.argmax(masks, axis={axis})`. Masks of several labels a "
        "pixel, each 0 or 1, need multi_label=True."
    )
    colours = (
        "Masks that show classes as colours become ids one colour at a time: "
        f"`ids[(masks == colour).all(axis={axis})] = class_id`."
    )
    if count == classes:
        return f"{one_hot} {colours}" if count == 3 else one_hot
    if count in (3, 4):
        return colours
    return f"One-hot masks of {count} classes do not belong to a model of {classes}."


def check_masks(labels, scores, axis):
    """Stops multi-label masks of another shape than the scores."""
    if may_be_equal(labels, scores):
        return
    moved = list(scores)
    moved.insert(1 if axis % len(scores) == len(scores) - 1 else len(scores) - 1, moved.pop(axis))
    if may_be_equal(labels, moved):
        source, target = (-1, 1) if moved[-1] == scores[axis] else (1, -1)
        hint = f"Move their labels: `np.moveaxis(masks, {source}, {target})`."
    elif len(labels) < len(scores) or labels[-1] == 1:
        hint = "For one class a pixel, leave multi_label=True out."
    else:
        hint = "There must be one channel a label, and one mask pixel for each pixel of `y_pred`."
    raise ValueError(
        "With multi_label=True, `y_true` must hold a mask of 0 and 1 for each label, in the shape "
        f"of `y_pred`. Received: y_true.shape={tuple(labels)}, y_pred.shape={tuple(scores)}. {hint}"
    )


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


def illegal_id(labels, legal, num_classes, ignore_class, name="y_true"):
    """The error about the first of the labels that is not legal."""
    labels, legal = ops.convert_to_numpy(labels), ops.convert_to_numpy(legal)
    void = "" if ignore_class is None else f", or {ignore_class} for void"
    return ValueError(
        f"`{name}` must hold class ids 0 to {num_classes - 1}{void}. "
        f"Received: id={labels[~legal][0]:g}"
    )


def without(shape, axis):
    """A shape as a list that lacks one axis."""
    shape = list(shape)
    shape.pop(axis)
    return shape


def without_channel(x, expected, axis):
    """`x` without a last axis of one, or an `axis` of one, where that gives the expected shape."""
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
