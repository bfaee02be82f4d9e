"""Argmax pooling and unpooling with `keras.ops`: what runs under every backend.

TensorFlow, PyTorch and JAX have faster versions with the same interface and the same numbers
(`kerasseg.layers.backend.argmax_paths`).
"""

import itertools
import math
from typing import NamedTuple

from keras import ops

from kerasseg.layers.arguments import ceil_divide
from kerasseg.layers.windows import (
    both,
    pad_axes,
    position_dtype,
    slice_axes,
    unpooled_lengths,
    window_entries,
)


def max_pool(windows, x):
    """The maximum of every window, and its position in the window.

    The search starts in the middle of the window, which is real even where the rest is padding.
    """
    entries = window_entries(windows, x)
    middle = (windows[0].size - 1) // 2 * windows[1].size + (windows[1].size - 1) // 2
    pooled, _ = entries[middle]
    argmax = ops.full_like(pooled, middle, dtype="int32")
    for position in [*range(middle)[::-1], *range(middle + 1, len(entries))]:
        entry, real = entries[position]
        if position < middle:  # ties go to the first, of several NaN to the last
            larger = ops.logical_or(
                entry >= pooled, ops.logical_and(entry != entry, pooled == pooled)
            )
        else:
            larger = ops.logical_or(entry > pooled, entry != entry)
        wins = both(larger, real)  # padding never does
        pooled = ops.where(wins, entry, pooled)
        argmax = ops.where(wins, position, argmax)
    return pooled, ops.cast(argmax, position_dtype(windows))


def max_unpool(windows, values, argmax, like=None, add=False):
    """Puts values back; where windows overlap the last one wins, or all of them `add` up."""
    like_shape = None if like is None else ops.shape(like)
    lengths = unpooled_lengths(windows, ops.shape(values), like_shape)
    covers = [cover(w, ops.shape(values)[w.axis], length) for w, length in zip(windows, lengths)]
    argmax = ops.cast(argmax, "float32")  # exact, and every device and runtime compares it
    argmax = pad_axes(windows, argmax, [c.pad for c in covers], -1)
    values = pad_axes(windows, values, [c.pad for c in covers], 0)
    if all(w.size == w.stride for w in windows):
        unpooled = spread(windows, values, argmax)
    else:
        unpooled = interleave(windows, unpool_phases(windows, covers, values, argmax, add))
    bounds = [(c.before, c.before + length) for c, length in zip(covers, lengths)]
    return slice_axes(windows, unpooled, bounds)


def spread(windows, values, argmax):
    """Unpools windows side by side: every value, copied over its window, stays at its position.

    No tensor has more than four axes, which is what LiteRT compares.
    """
    (height, rows), (width, columns) = ((w.axis, w.stride) for w in windows)
    shape = ops.shape(values)
    outer, inner = math.prod(shape[:height]), math.prod(shape[width + 1 :])
    folded = (outer * shape[height], 1, shape[width], inner)
    positions = ops.reshape(ops.arange(rows * columns, dtype="float32"), (rows, 1, columns))
    here = ops.equal(
        ops.tile(ops.reshape(argmax, folded), (1, 1, 1, columns)),
        ops.repeat(positions, inner, axis=2),
    )
    copies = ops.tile(ops.reshape(values, folded), (1, 1, 1, columns))
    unpooled = ops.where(here, copies, ops.zeros((), values.dtype))
    return ops.reshape(unpooled, reached(windows, shape))


def unpool_phases(windows, covers, values, argmax, add):
    return [
        unpool_phase(windows, covers, phase, values, argmax, add)
        for phase in itertools.product(*(range(w.stride) for w in windows))
    ]


def unpool_phase(windows, covers, phase, values, argmax, add):
    """Those rows and columns of the output that lie `phase` behind a multiple of the strides.

    Every stride-th position of a window falls on them. The positions farthest from a window's start
    come first: they belong to the earliest window, and later ones overwrite it.
    """
    unpooled = ops.zeros_like(slice_axes(windows, values, [c.windows(0) for c in covers]))
    offsets = (range(p, w.size, w.stride)[::-1] for p, w in zip(phase, windows))
    for row, column in itertools.product(*offsets):
        steps = (row // windows[0].stride, column // windows[1].stride)
        bounds = [c.windows(step) for c, step in zip(covers, steps)]
        value = slice_axes(windows, values, bounds)
        position = row * windows[1].size + column
        here = ops.equal(slice_axes(windows, argmax, bounds), float(position))
        unpooled = ops.where(here, value + unpooled if add else value, unpooled)
    return unpooled


def max_pool_gradient(windows, upstream, argmax, like):
    """The gradient of `max_pool` by its input, for the gradient `upstream` of what it pooled."""
    return max_unpool(windows, upstream, argmax, like, add=True)


def max_unpool_gradient(windows, upstream, argmax):
    """The gradient of `max_unpool` by the values, for the gradient `upstream` of its output."""
    argmax = ops.cast(argmax, "float32")
    entries = [entry for entry, _ in window_entries(windows, upstream)]
    wins = [ops.equal(argmax, float(position)) for position in range(len(entries))]
    if any(w.stride < w.size for w in windows):
        numbers = ops.reshape(ops.arange(ops.size(argmax[0]), dtype="int32"), ops.shape(argmax)[1:])
        numbers = ops.broadcast_to(numbers, ops.shape(argmax))
        winners = max_unpool(windows, numbers, argmax, upstream)
        for position, (winner, _) in enumerate(window_entries(windows, winners)):
            wins[position] = ops.logical_and(wins[position], ops.equal(winner, numbers))
    return sum(ops.where(wins, entry, 0) for wins, entry in zip(wins, entries))


class Cover(NamedTuple):
    """How the windows of one axis cover the output.

    Attributes:
        before: Rows of the first window in front of the output.
        pad: How many windows without values to add in front and behind.
        steps: How many strides the output spans, counted from the start of the first window.
    """

    before: int
    pad: tuple[int, int]
    steps: int

    def windows(self, back):
        """From where to where to slice the windows so that each lies `back` strides behind."""
        return self.pad[0] - back, self.pad[0] - back + self.steps


def cover(w, count, length):
    """How `count` windows cover `length` rows, integers or run-time tensors."""
    before = w.before(length)
    if isinstance(count, int) and isinstance(length, int):
        behind = ceil_divide(before + length, w.stride) - count
    elif w.padding == "same" and w.size <= w.stride:
        behind = 0
    else:
        behind = ceil_divide(w.size - 1, w.stride)
    return Cover(before, (ceil_divide(w.size, w.stride) - 1, behind), count + behind)


def reached(windows, shape):
    shape = list(shape)
    for w in windows:
        shape[w.axis] = shape[w.axis] * w.stride
    return shape


def interleave(windows, phases):
    """Weaves maps, one for each pair of a row and a column phase, into a larger one."""
    (height, rows), (width, columns) = ((w.axis, w.stride) for w in windows)
    shape = reached(windows, ops.shape(phases[0]))
    woven = [
        ops.stack(phases[row * columns : (row + 1) * columns], axis=width + 1)
        for row in range(rows)
    ]
    return ops.reshape(ops.stack(woven, axis=height + 1), shape)
