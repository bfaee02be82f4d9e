"""Max pooling that remembers where each maximum was."""

import keras
import numpy as np
from keras import ops

from kerasseg.layers.windows import (
    WindowLayer,
    compiles_pieces,
    position_dtype,
    window_entries,
)


@keras.saving.register_keras_serializable(package="kerasseg")
class MaxPoolingWithArgmax2D(WindowLayer):
    """Max pooling that also returns where in its window each maximum was.

    `MaxUnpooling2D` takes both and puts the values back (DeconvNet, Noh et al. 2015, section 3.2.1;
    SegNet, Badrinarayanan et al. 2017, section 3; the book's chapter 6, "max-unpooling"). A
    position costs one byte, where `tf.nn.max_pool_with_argmax` spends eight.

    Ties go to the first position. A NaN in a window makes its maximum NaN, as in PyTorch. With
    `padding="same"` windows stand where TensorFlow puts them, and padding never wins.

    Args:
        pool_size: Positive integer or pair: height and width of a window.
        strides: Positive integer or pair: step from window to window. `None` for `pool_size`.
        padding: `"valid"` (windows inside the map only) or `"same"` (windows cover the whole map).
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: a pair `pooled, argmax`, each `(batch, pooled_height, pooled_width, channels)`.
        `pooled` has the dtype of the computation. `argmax` is the position inside the window,
        counted row by row from the window's (padded) start, from 0 to `height * width - 1` of the
        window, in the smallest unsigned integer type: uint8 up to 256 positions.

    Example:

    >>> x = np.array([[1.0, 9.0, 2.0, 3.0],
    ...               [4.0, 5.0, 7.0, 6.0]]).reshape(1, 2, 4, 1)
    >>> pooled, argmax = MaxPoolingWithArgmax2D()(x)
    >>> ops.squeeze(pooled), ops.squeeze(argmax)
    ([9. 7.], [1 2])                     # 1: first row, second column; 2: second row, first column
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.input_spec = keras.InputSpec(ndim=4)

    def call(self, inputs, training=False):
        if compiles_pieces(training):
            from kerasseg.layers import tensorflow_training

            return tensorflow_training.max_pool(self.windows, inputs)
        return max_pool(self.windows, inputs)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for w in self.windows:
            shape[w.axis] = w.count(shape[w.axis])
        return tuple(shape), tuple(shape)

    def compute_output_spec(self, inputs, training=False):
        shape, _ = self.compute_output_shape(inputs.shape)
        dtype = self.compute_dtype if "float" in inputs.dtype else inputs.dtype
        return (
            keras.KerasTensor(shape, dtype=dtype),
            keras.KerasTensor(shape, dtype=position_dtype(self.windows)),
        )


def max_pool(windows, x):
    """The maximum of every window, and its position in the window."""
    candidates = window_entries(windows, x, lowest_value(x.dtype))
    pooled = candidates[0]
    argmax = first_real_position(windows, x) + ops.zeros_like(pooled, dtype="int32")
    for position, candidate in enumerate(candidates[1:], start=1):
        wins = ops.logical_or(candidate > pooled, candidate != candidate)  # NaN wins
        pooled = ops.where(wins, candidate, pooled)
        argmax = ops.where(wins, position, argmax)
    return pooled, ops.cast(argmax, position_dtype(windows))


def first_real_position(windows, x):
    """Where the search starts: behind the padding, which would win over a map of -inf."""
    position = 0
    for w, step in zip(windows, (windows[1].size, 1)):
        length = ops.shape(x)[w.axis]
        if w.pad(length)[0] > 0:
            start = w.stride * ops.arange(w.count(length), dtype="int32") - w.before(length)
            shape = [-1 if axis == w.axis else 1 for axis in range(4)]
            position = position + step * ops.reshape(ops.maximum(-start, 0), shape)
    return position


def lowest_value(dtype):
    """What padding holds so that it never wins."""
    dtype = keras.backend.standardize_dtype(dtype)
    return -float("inf") if "float" in dtype else int(np.iinfo(dtype).min)
