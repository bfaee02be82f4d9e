"""Unpooling: a small map becomes a large one again."""

import keras
from keras import ops

from kerasseg.layers.arguments import (
    KeepsIntegers,
    check_is_map,
    check_is_shape,
    spatial_axes,
    standardize_data_format,
    standardize_pair,
)
from kerasseg.layers.backend import argmax_paths
from kerasseg.layers.windows import WindowLayer, may_be_equal, unpooled_lengths

CALL = "MaxUnpooling2D()(values, argmax)"


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

    Raises:
        ValueError: sizes that are not positive integers, a list of tensors, `values` and `argmax`
            of different shapes, or a `like` that was not pooled to that shape.
        TypeError: an `argmax` that does not hold integers.

    Example:

    >>> values = np.array([9.0, 7.0]).reshape(1, 1, 2, 1)
    >>> argmax = np.array([1, 2]).reshape(1, 1, 2, 1)
    >>> print(ops.convert_to_numpy(MaxUnpooling2D()(values, argmax))[0, :, :, 0])
    [[0. 9. 0. 0.]
     [0. 0. 7. 0.]]
    """

    def build(self, values_shape, argmax_shape=None, like_shape=None):
        check_is_shape(values_shape, "values", CALL)

    def call(self, values, argmax=None, like=None):
        self._check(values, argmax, like)
        return argmax_paths().max_unpool(self.windows, values, argmax, like)

    def compute_output_shape(self, values_shape, argmax_shape=None, like_shape=None):
        shape = list(values_shape)
        for w, length in zip(self.windows, unpooled_lengths(self.windows, shape, like_shape)):
            shape[w.axis] = length
        return tuple(shape)

    def compute_output_spec(self, values, argmax=None, like=None):
        self._check(values, argmax, like)
        like_shape = None if like is None else like.shape
        shape = self.compute_output_shape(values.shape, argmax.shape, like_shape)
        dtype = self.compute_dtype if "float" in values.dtype else values.dtype
        return keras.KerasTensor(shape, dtype=dtype)

    def _check(self, values, argmax, like):
        check_is_map(values, "values", CALL)
        if argmax is None:
            raise ValueError(
                "`argmax` must be the second output of MaxPoolingWithArgmax2D. Received: "
                f"argmax=None. Call {CALL}."
            )
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
            [values.shape[w.axis] for w in self.windows],
            [w.count(like.shape[w.axis]) for w in self.windows],
        ):
            raise ValueError(
                "`like` must be the tensor that was pooled, but its windows are not as many as "
                f"`values`. Received: like.shape={like.shape}, values.shape={values.shape}. Give "
                "both layers the same pool_size, strides and padding."
            )


@keras.saving.register_keras_serializable(package="kerasseg")
class AverageUnpooling2D(KeepsIntegers):
    """Copies every value over its window: nearest-neighbour upsampling.

    `AveragePooling2D` undoes it (the book's chapter 6, "average-unpooling" or upsampling): to the
    bit at size 2, at size 4 as two poolings of 2, and to the rounding of its sums otherwise.

    Args:
        size: Positive integer or pair: height and width of a window.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: `(batch, height * size, width * size, channels)`.

    Raises:
        ValueError: a `size` that is neither a positive integer nor a pair of them; an unknown
            `data_format`.

    Example:

    >>> values = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    >>> print(ops.convert_to_numpy(AverageUnpooling2D()(values))[0, :, :, 0])
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
            inputs = ops.repeat(inputs, size, axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis, size in zip(self.axes, self.size):
            shape[axis] = None if shape[axis] is None else shape[axis] * size
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}
