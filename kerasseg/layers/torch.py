"""What only PyTorch has: argmax pooling by its own kernels, and checks that copy nothing.

`kerasseg.layers.backend` is the way here. Files that are written from a trace, such as those of
ONNX and LiteRT, contain the general functions of `kerasseg.layers.argmax_ops` instead.
"""

import math
import threading
import weakref
from typing import NamedTuple

import keras
import torch

from kerasseg.layers import argmax_ops
from kerasseg.layers.windows import position_dtype, unpooled_lengths

# --- Argmax pooling and unpooling -----------------------------------------------------------------
#
# PyTorch's kernels know flat indices of eight bytes. Here they live no longer than a call: what is
# returned, and remembered for gradients, are positions of one byte.


def max_pool(windows, x):
    x = keras.ops.convert_to_tensor(x)
    lengths = lengths_of(windows, x)
    if is_exporting() or windows[1].size > lengths[1]:  # wider windows: two entries, one flat index
        return argmax_ops.max_pool(windows, x)
    return MaxPool.apply(x, windows, lengths)


def max_unpool(windows, values, argmax, like=None):
    if is_exporting() or any(w.stride < w.size for w in windows):  # where the last window must win
        return argmax_ops.max_unpool(windows, values, argmax, like)
    values, argmax = keras.ops.convert_to_tensor(values), keras.ops.convert_to_tensor(argmax)
    like_shape = None if like is None else like.shape
    return Put.apply(values, argmax, windows, unpooled_lengths(windows, values.shape, like_shape))


def is_exporting():
    return torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export() or torch.jit.is_tracing()


class MaxPool(torch.autograd.Function):
    """`pooled, argmax` of a map."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, windows, lengths):
        kernels = [PoolKernel.of(w, length) for w, length in zip(windows, lengths)]
        maps = x.movedim(-1, 1) if windows[0].axis == 1 else x
        sizes = ([getattr(k, name) for k in kernels] for name in ("size", "stride", "padding"))
        pooled, flat = torch.nn.functional.max_pool2d(
            maps, *sizes, ceil_mode=any(k.ceil for k in kernels), return_indices=True
        )
        kept = tuple(slice(k.skip, None) for k in kernels)
        pooled, flat = pooled[..., *kept], flat[..., *kept]
        if windows[0].axis == 1:
            pooled, flat = pooled.movedim(1, -1), flat.movedim(1, -1)
        return pooled, positions(windows, flat, lengths)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.windows, ctx.lengths = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx, upstream, _):
        (argmax,) = ctx.saved_tensors
        return Put.apply(upstream, argmax, ctx.windows, ctx.lengths), None, None


class Put(torch.autograd.Function):
    """Adds up values at their positions in a map of zeros."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values, argmax, windows, lengths):
        grid = Grid.of(windows, argmax.shape, lengths)
        put = values.new_zeros(math.prod(grid.shape))
        overlap = any(w.stride < w.size for w in windows)
        put = (put.scatter_add_ if overlap else put.scatter_)(
            0, grid.indices(windows, argmax), values.flatten()
        )
        put = put.reshape(grid.shape)
        for w, before, length in zip(windows, grid.before, lengths):
            put = put.narrow(w.axis, before, length)
        return put

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, argmax, ctx.windows, ctx.lengths = inputs
        ctx.save_for_backward(argmax)

    @staticmethod
    def backward(ctx, upstream):
        (argmax,) = ctx.saved_tensors
        return Take.apply(upstream, argmax, ctx.windows, ctx.lengths), None, None, None


class Take(torch.autograd.Function):
    """The entries of a map at the positions: the gradient of `Put`, and `Put` is its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, argmax, windows, lengths):
        grid = Grid.of(windows, argmax.shape, lengths)
        widths = [0] * 8  # in front and behind, the last axis first
        for w, before, length in zip(windows, grid.before, lengths):
            behind = grid.shape[w.axis] - before - length
            widths[6 - 2 * w.axis : 8 - 2 * w.axis] = before, behind
        x = torch.nn.functional.pad(x, widths) if any(widths) else x
        return x.flatten().index_select(0, grid.indices(windows, argmax)).reshape(argmax.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, argmax, ctx.windows, ctx.lengths = inputs
        ctx.save_for_backward(argmax)

    @staticmethod
    def backward(ctx, upstream):
        (argmax,) = ctx.saved_tensors
        return Put.apply(upstream, argmax, ctx.windows, ctx.lengths), None, None, None


class PoolKernel(NamedTuple):
    """What to tell PyTorch about an axis so that its windows lie where ours do.

    PyTorch pads alike in front and behind, and its padding never wins. Where ours is one row longer
    behind, `ceil` adds that row; or, if windows start at every row, PyTorch pads as much in front,
    and the first `skip` windows are left out.
    """

    size: int
    stride: int
    padding: int
    ceil: bool
    skip: int

    @classmethod
    def of(cls, w, length):
        front, behind = w.pad(length)
        if behind > front and w.stride == 1:
            return cls(w.size, w.stride, behind, False, 1)
        return cls(w.size, w.stride, front, w.padding == "same", 0)


class Grid(NamedTuple):
    """A map that is large enough for all entries of its windows, padding too.

    Attributes:
        shape: Of the grid, four axes.
        before: How many of its rows, and how many columns, lie in front of the map.
    """

    shape: tuple[int, int, int, int]
    before: tuple[int, int]

    @classmethod
    def of(cls, windows, pooled_shape, lengths):
        shape, before = list(pooled_shape), [w.before(n) for w, n in zip(windows, lengths)]
        for w, front, length in zip(windows, before, lengths):
            windows_end = (pooled_shape[w.axis] - 1) * w.stride + w.size
            shape[w.axis] = max(front + length, windows_end)
        return cls(tuple(shape), tuple(before))

    def indices(self, windows, argmax):
        """Where in the grid, flat, the entries at these positions are; flat, too."""
        axes, device = [w.axis for w in windows], argmax.device
        row, column = (math.prod(self.shape[axis + 1 :]) for axis in axes)
        first = 0  # entry of each window
        for axis, count in enumerate(argmax.shape):
            step = math.prod(self.shape[axis + 1 :])
            step *= windows[axes.index(axis)].stride if axis in axes else 1
            first = first + step * torch.arange(count, device=device).reshape(-1, *[1] * (3 - axis))
        offsets = window_offsets(windows, row, column, device)
        return offsets.index_select(0, argmax.flatten().int()).add_(first.flatten())


def positions(windows, flat, lengths):
    """Positions in the windows, of flat indices into each channel of a map."""
    width, device = lengths[1], flat.device
    rows, columns = (
        torch.arange(flat.shape[w.axis], device=device) * w.stride - w.before(length)
        for w, length in zip(windows, lengths)
    )
    first = rows[:, None] * width + columns
    behind = flat.sub_(first[..., None] if windows[0].axis == 1 else first)
    offsets = window_offsets(windows, width, 1, device)
    count = (windows[0].size - 1) * width + windows[1].size
    table = torch.zeros(count, dtype=torch.int32, device=device)
    table[offsets] = torch.arange(len(offsets), dtype=torch.int32, device=device)
    table = keras.ops.cast(table, position_dtype(windows))
    return table.index_select(0, behind.flatten()).reshape(behind.shape)


def window_offsets(windows, row, column, device):
    """How far each position of a window lies behind its first, for these steps; int64."""
    rows, columns = (torch.arange(w.size, device=device) for w in windows)
    return (rows[:, None] * row + columns * column).flatten()


def lengths_of(windows, x):
    return [x.shape[w.axis] for w in windows]


# --- Label maps -----------------------------------------------------------------------------------


def largest(scores, axis):
    """The largest scores and their int32 indices, the first of equal ones; a NaN is the largest."""
    values, indices = scores.max(axis)
    return values, indices.int()


def segment_sum(data, segment_ids, num_segments):
    """`keras.ops.segment_sum` of one axis; integers are added exactly, not as float32."""
    dtype = data.dtype if data.is_floating_point() else torch.int64
    return data.new_zeros(num_segments, dtype=dtype).scatter_add_(
        0, segment_ids.long(), data.to(dtype)
    )


class LastTrue(threading.local):
    """What the last flag that was read and true followed from: a reference, and the settings."""

    source, settings = None, None


last_true = LastTrue()


def can_branch(x):
    return isinstance(x, torch.Tensor) and x.device.type == "cpu" and not is_traced(x)


def is_traced(x):
    return torch.compiler.is_compiling() or is_exporting() or x.device.type == "meta"


def is_false(flag, source, settings):
    if is_traced(flag):
        return False
    if isinstance(source, torch.Tensor) and not source.is_inference():
        settings = (source._version, *settings)  # changes with the values
        if last_true.source and last_true.source() is source and last_true.settings == settings:
            return False
        if flag:
            last_true.source, last_true.settings = weakref.ref(source), settings
            return False
    return not flag


# --- Gradients ------------------------------------------------------------------------------------


def gradient(function, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x)[0]
