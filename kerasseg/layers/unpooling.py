"""Unpooling: a small map becomes a large one again."""

import itertools
from typing import NamedTuple

import keras
from keras import ops

from kerasseg.layers.windows import (
    WindowLayer,
    ceil_divide,
    may_be_equal,
    pad_along,
    place_windows,
    spanned_size,
    spatial_axes,
    standardize_data_format,
    standardize_pair,
    take_along,
    window_count,
)


@keras.saving.register_keras_serializable(package="kerasseg")
class MaxUnpooling2D(WindowLayer):
    """Puts every value back to where its maximum was; all else is zero.

    The counterpart of `MaxPoolingWithArgmax2D`, made with the same arguments (DeconvNet, Noh et al.
    2015, section 3.2.1; SegNet, Badrinarayanan et al. 2017, section 3; the book's chapter 6,
    "max-unpooling"). Pooling the result gives the values back unless some are negative: a zero
    beats a negative maximum.

    Where windows overlap nothing is summed: the last window in row order wins, as in PyTorch, and
    the gradient goes to the winner alone.

    Args:
        pool_size: Positive integer or pair: height and width of a window.
        strides: Positive integer or pair: step from window to window. `None` for `pool_size`.
        padding: `"valid"` or `"same"`, as in the pooling.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Call arguments:
        values: The values to put back.
        argmax: Integers of the same shape, their positions inside the windows.
        like: Optional tensor whose height and width the output takes: the one that was pooled.
            Without it the output has `(rows - 1) * strides + pool_size` rows for "valid" and
            `rows * strides` for "same": the pooled one may have had more, or fewer.

    Input shape: `(batch, height, width, channels)` for `channels_last`, `values` and `argmax`.
    Output shape: `(batch, unpooled_height, unpooled_width, channels)`, the dtype of `values`.

    Example:

    >>> values = np.array([9.0, 7.0]).reshape(1, 1, 2, 1)
    >>> argmax = np.array([1, 2]).reshape(1, 1, 2, 1)
    >>> ops.squeeze(MaxUnpooling2D()(values, argmax))
    [[0. 9. 0. 0.]
     [0. 0. 7. 0.]]
    """

    def call(self, values, argmax, like=None):
        self._check(values, argmax, like)
        spans = self._spans(ops.shape(values), None if like is None else ops.shape(like))
        argmax = ops.cast(argmax, "float32")  # exact, and every device and runtime compares it
        argmax = pad_along(argmax, self.axes, [span.pad for span in spans], -1)
        values = pad_along(values, self.axes, [span.pad for span in spans], 0)
        phases = [
            self._phase(values, argmax, spans, phase)
            for phase in itertools.product(*map(range, self.strides))
        ]
        unpooled = interleave(phases, self.strides, self.axes)
        return take_along(unpooled, self.axes, [(s.before, s.before + s.size) for s in spans])

    def compute_output_shape(self, values_shape, argmax_shape, like_shape=None):
        shape = list(values_shape)
        for axis, size in zip(self.axes, self._sizes(values_shape, like_shape)):
            shape[axis] = size
        return tuple(shape)

    def compute_output_spec(self, values, argmax, like=None):
        self._check(values, argmax, like)
        like_shape = None if like is None else like.shape
        shape = self.compute_output_shape(values.shape, argmax.shape, like_shape)
        dtype = self.compute_dtype if "float" in values.dtype else values.dtype
        return keras.KerasTensor(shape, dtype=dtype)

    def _sizes(self, shape, like_shape):
        """Height and width of the output."""
        if like_shape is not None:
            return [like_shape[axis] for axis in self.axes]
        return [
            spanned_size(shape[axis], window, stride, self.padding)
            for axis, window, stride in zip(self.axes, self.pool_size, self.strides)
        ]

    def _spans(self, shape, like_shape):
        counts = [shape[axis] for axis in self.axes]
        sizes = self._sizes(shape, like_shape)
        return [
            span_windows(*entry, self.padding)
            for entry in zip(counts, sizes, self.pool_size, self.strides)
        ]

    def _phase(self, values, argmax, spans, phase):
        """Those rows and columns of the output that lie `phase` behind a multiple of the strides.

        A window reaches them with every stride-th of its positions. The position farthest from a
        window's start belongs to the earliest window, which later ones overwrite.
        """
        newest = [span.bounds(0) for span in spans]
        unpooled = ops.zeros_like(take_along(values, self.axes, newest))
        offsets = [
            range(first, window, stride)[::-1]
            for first, window, stride in zip(phase, self.pool_size, self.strides)
        ]
        for row, column in itertools.product(*offsets):
            bounds = [
                span.bounds(offset // stride)
                for span, offset, stride in zip(spans, (row, column), self.strides)
            ]
            position = row * self.pool_size[1] + column
            here = ops.equal(take_along(argmax, self.axes, bounds), float(position))
            unpooled = ops.where(here, take_along(values, self.axes, bounds), unpooled)
        return unpooled

    def _check(self, values, argmax, like):
        if "int" not in keras.backend.standardize_dtype(argmax.dtype):
            raise TypeError(
                "`argmax` must hold integers, the second output of MaxPoolingWithArgmax2D. "
                f"Received: argmax.dtype={argmax.dtype}. Call layer(values, argmax, like)."
            )
        if not may_be_equal(values.shape, argmax.shape):
            raise ValueError(
                "`values` and `argmax` must have the same shape. "
                f"Received: values.shape={values.shape}, argmax.shape={argmax.shape}."
            )
        if like is not None and not may_be_equal(
            [values.shape[axis] for axis in self.axes],
            [
                window_count(like.shape[axis], window, stride, self.padding)
                for axis, window, stride in zip(self.axes, self.pool_size, self.strides)
            ],
        ):
            raise ValueError(
                "`like` must be the tensor that was pooled, but its pooling has another height and "
                f"width than `values`. Received: like.shape={like.shape}, "
                f"values.shape={values.shape}. Give pooling and unpooling the same pool_size, "
                "strides and padding, and pass the tensor that went into the pooling."
            )


class Span(NamedTuple):
    """The part of an axis that windows cover.

    Attributes:
        size: Rows of the output.
        before: Rows of the first window in front of the output.
        pad: How many absent windows to add in front and behind.
        steps: Strides that the output spans, from the first window's start.
    """

    size: int
    before: int
    pad: tuple[int, int]
    steps: int

    def bounds(self, windows_back):
        """From where to where to slice the windows so that each meets the stride it is to fill."""
        start = self.pad[0] - windows_back
        return start, start + self.steps


def span_windows(count, size, window, stride, padding):
    """How `count` windows lie over `size` rows; both may be run-time tensors."""
    before = place_windows(size, window, stride, padding).before
    front = ceil_divide(window, stride) - 1
    if isinstance(count, int) and isinstance(size, int):
        behind = ceil_divide(before + size, stride) - count
    else:
        behind = ceil_divide(window - 1, stride)
    return Span(size, before, (front, behind), count + behind)


def interleave(phases, strides, axes):
    """Weaves maps, given row by row, into one that is larger by the strides."""
    height, width = strides
    rows = [weave(phases[row * width : (row + 1) * width], axes[1]) for row in range(height)]
    return weave(rows, axes[0])


def weave(maps, axis):
    """`[a0 a1], [b0 b1]` -> `a0 b0 a1 b1` along an axis."""
    if len(maps) == 1:
        return maps[0]
    shape = list(ops.shape(maps[0]))
    shape[axis] = shape[axis] * len(maps)
    return ops.reshape(ops.stack(maps, axis=axis + 1), shape)


@keras.saving.register_keras_serializable(package="kerasseg")
class AverageUnpooling2D(keras.layers.Layer):
    """Copies every value over its window: nearest-neighbour upsampling.

    `AveragePooling2D` undoes it, to the bit for sizes that are powers of two, to one rounding
    otherwise (the book's chapter 6, "average-unpooling" or upsampling).

    Args:
        size: Positive integer or pair: height and width of a window.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: `(batch, height * size, width * size, channels)`.

    Example:

    >>> ops.squeeze(AverageUnpooling2D()(np.array([1.0, 2.0]).reshape(1, 1, 2, 1)))
    [[1. 1. 2. 2.]
     [1. 1. 2. 2.]]
    """

    def __init__(self, size=2, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.size = standardize_pair(size, "size")
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)
        self.input_spec = keras.InputSpec(ndim=4)

    def call(self, inputs):
        for axis, size in zip(self.axes, self.size):
            inputs = weave([inputs] * size, axis)
        return inputs

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis, size in zip(self.axes, self.size):
            shape[axis] = None if shape[axis] is None else shape[axis] * size
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}
