"""Where the windows of a pooling lie: the arithmetic that pooling and unpooling share."""

import itertools
from typing import NamedTuple

import keras
from keras import ops

from kerasseg.layers.arguments import (
    at_least,
    ceil_divide,
    spatial_axes,
    standardize_data_format,
    standardize_padding,
    standardize_pair,
)


class WindowLayer(keras.layers.Layer):
    """What a pooling and its unpooling have in common: the four arguments that place the windows.

    Args:
        pool_size: Positive integer or pair: height and width of a window.
        strides: Positive integer or pair: step from window to window. `None` for `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Raises:
        ValueError: sizes that are not positive integers, an unknown padding or data format.
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = standardize_pair(pool_size, "pool_size")
        self.strides = standardize_pair(pool_size if strides is None else strides, "strides")
        self.padding = standardize_padding(padding)
        self.data_format = standardize_data_format(data_format)
        self.windows = tuple(
            Windows(*entry, self.padding)
            for entry in zip(spatial_axes(self.data_format), self.pool_size, self.strides)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


class Windows(NamedTuple):
    """The windows along one axis; lengths may be integers or run-time tensors.

    "same" pads what the windows reach beyond the map, the smaller half in front, as TensorFlow.
    """

    axis: int
    size: int
    stride: int
    padding: str

    def count(self, length):
        """How many windows `length` rows have, perhaps `None`."""
        if length is None:
            return None
        if self.padding == "same":
            return ceil_divide(length, self.stride)
        if isinstance(length, int) and length < self.size:
            raise ValueError(
                f"padding='valid' expected at least one window, {self.size} rows or columns. "
                f"Received: size={length}. Use padding='same' or a larger input."
            )
        return (length - self.size) // self.stride + 1

    def tiles(self):
        """Whether the windows lie side by side, without gaps."""
        return self.size == self.stride

    def reach(self, count):
        """How many rows `count` windows come from: at least, or with "same" at most."""
        if count is None:
            return None
        same = self.padding == "same"
        return count * self.stride if same else (count - 1) * self.stride + self.size

    def before(self, length):
        """How many rows of the first window lie in front of the map."""
        return self._beyond(length) // 2

    def pad(self, length):
        """How much to pad in front and behind: enough for any length if it is a tensor."""
        if self.padding == "same" and not isinstance(length, int):
            return (self.size - 1) // 2, self.size // 2
        beyond = self._beyond(length)
        return beyond // 2, beyond - beyond // 2

    def is_inside(self, length, offset):
        """Of which windows the row at `offset` lies in the map; `None` for all."""
        front, behind = self.pad(length)
        if front <= offset < self.size - behind:
            return None
        row = ops.arange(self.count(length), dtype="int32") * self.stride
        row = row - self.before(length) + offset
        inside = ops.logical_and(row >= 0, row < length)
        return ops.reshape(inside, [-1 if axis == self.axis else 1 for axis in range(4)])

    def _beyond(self, length):
        if self.padding == "valid":
            return 0
        beyond = (self.count(length) - 1) * self.stride + self.size - length
        return at_least(beyond, 0)


def unpooled_lengths(windows, shape, like_shape):
    """Height and width of what is unpooled: those of `like`, or what the windows reach."""
    if like_shape is not None:
        return [like_shape[w.axis] for w in windows]
    return [w.reach(shape[w.axis]) for w in windows]


def window_entries(windows, x):
    """For each position in a window, row by row: that entry of every window, and which are real.

    The second is `None` where no window has padding, else it broadcasts against the first.
    """
    lengths = [ops.shape(x)[w.axis] for w in windows]
    cut = tile_entries if all(w.tiles() for w in windows) else strided_entries
    inside = [
        [w.is_inside(length, offset) for offset in range(w.size)]
        for w, length in zip(windows, lengths)
    ]
    real = [both(*pair) for pair in itertools.product(*inside)]
    return list(zip(cut(windows, x, lengths), real))


def tile_entries(windows, x, lengths):
    """The entries of windows side by side, cut out by reshaping: slices with a step are slow."""
    reaches = [w.reach(w.count(length)) for w, length in zip(windows, lengths)]
    if windows[0].padding == "same":
        fronts = [w.before(length) for w, length in zip(windows, lengths)]
        pads = [(f, reach - length - f) for f, reach, length in zip(fronts, reaches, lengths)]
        x = pad_axes(windows, x, pads, 0)
    else:
        x = slice_axes(windows, x, [(0, reach) for reach in reaches])
    entries = [x]
    for w in windows:
        entries = [entry for x in entries for entry in every(x, w.axis, w.stride)]
    return entries


def strided_entries(windows, x, lengths):
    x = pad_axes(windows, x, [w.pad(length) for w, length in zip(windows, lengths)], 0)
    entries = []
    for offsets in itertools.product(*(range(w.size) for w in windows)):
        bounds = []
        for w, length, offset in zip(windows, lengths, offsets):
            start = w.pad(length)[0] - w.before(length) + offset
            bounds.append((start, start + (w.count(length) - 1) * w.stride + 1, w.stride))
        entries.append(slice_axes(windows, x, bounds))
    return entries


def every(x, axis, step):
    """`x[::step]`, `x[1::step]`, … along an axis whose length `step` divides."""
    shape = list(ops.shape(x))
    shape[axis : axis + 1] = [shape[axis] // step, step]
    folded = ops.reshape(x, shape)
    return [folded[(slice(None),) * (axis + 1) + (i,)] for i in range(step)]


def both(condition, other):
    """Logical and, where `None` is true."""
    if condition is None or other is None:
        return other if condition is None else condition
    return ops.logical_and(condition, other)


def slice_axes(windows, x, bounds):
    """Slices `x` along the axes of the windows; each bound is a start, a stop, perhaps a step."""
    index = [slice(None)] * 4
    for w, bound in zip(windows, bounds):
        index[w.axis] = slice(*bound)
    return x[tuple(index)]


def pad_axes(windows, x, pads, value):
    """Pads `x` along the axes of the windows; copies nothing where there is nothing to pad."""
    if all(isinstance(rows, int) and rows == 0 for pad in pads for rows in pad):
        return x
    widths = [(0, 0)] * 4
    for w, pad in zip(windows, pads):
        widths[w.axis] = pad
    return ops.pad(x, widths, constant_values=value)


def position_dtype(windows):
    """The smallest unsigned integer type that counts the positions in a window."""
    positions = windows[0].size * windows[1].size
    return next(f"uint{bits}" for bits in (8, 16, 32) if positions <= 2**bits)


def may_be_equal(shape, other):
    """Whether two shapes agree wherever both are known."""
    return len(shape) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, other)
    )
