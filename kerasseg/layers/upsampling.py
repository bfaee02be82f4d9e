"""Bilinear upsampling in both corner conventions."""

import keras
from keras import ops

from kerasseg.layers.arguments import (
    KeepsIntegers,
    at_least,
    check_is_map,
    check_is_shape,
    spatial_axes,
    standardize_data_format,
    standardize_pair,
)

CALL = "BilinearUpsampling2D()(inputs, like)"


@keras.saving.register_keras_serializable(package="kerasseg")
class BilinearUpsampling2D(KeepsIntegers):
    """Enlarges a map by bilinear interpolation.

    The two conventions differ in which input position output `i` of `out` shows, of `in`:

    - `align_corners=False`: `(i + 1/2) * in / out - 1/2`, pixels are areas; as PyTorch's default,
      `keras.layers.UpSampling2D` and `tf.image.resize`.
    - `align_corners=True`: `i * (in - 1) / (out - 1)`, pixels are points and corners fall on
      corners, so that a linear ramp stays one; as Caffe's Interp, hence DeepLab and PSPNet.

    Positions are computed in integers, so they are exact on every backend. A map of integers is
    interpolated in float32 and rounded, as by `keras.layers.UpSampling2D`.

    Args:
        size: Positive integer or pair: factors of height and width. Ignored if `like` is given.
        align_corners: Boolean, which convention.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Call arguments:
        inputs: The map.
        like: Optional tensor whose height and width the output takes.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: `(batch, height * size, width * size, channels)`, or the height and width of
        `like`.

    Raises:
        ValueError: a size that is not a positive integer or pair, or a list of tensors.

    Example:

    >>> row = np.array([0.0, 3.0]).reshape(1, 1, 2, 1)
    >>> wide = BilinearUpsampling2D((1, 2), align_corners=True)(row)
    >>> print(ops.convert_to_numpy(wide)[0, 0, :, 0])
    [0. 1. 2. 3.]
    >>> print(ops.convert_to_numpy(BilinearUpsampling2D((1, 2))(row))[0, 0, :, 0])
    [0.   0.75 2.25 3.  ]
    """

    def __init__(self, size=2, align_corners=False, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.size = standardize_pair(size, "size")
        self.align_corners = align_corners
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def build(self, inputs_shape, like_shape=None):
        check_is_shape(inputs_shape, "inputs", CALL)

    def call(self, inputs, like=None):
        check_is_map(inputs, "inputs", CALL)
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if "float" not in dtype:
            inputs = ops.cast(inputs, "float32")
        for axis, factor in zip(self.axes, self.size):
            size = ops.shape(inputs)[axis]
            target = size * factor if like is None else ops.shape(like)[axis]
            inputs = interpolate(inputs, axis, size, target, self.align_corners)
        return inputs if "float" in dtype else ops.cast(ops.round(inputs), dtype)

    def compute_output_spec(self, inputs, like=None):
        check_is_map(inputs, "inputs", CALL)
        return super().compute_output_spec(inputs, like)

    def compute_output_shape(self, inputs_shape, like_shape=None):
        shape = list(inputs_shape)
        for axis, factor in zip(self.axes, self.size):
            if like_shape is not None:
                shape[axis] = like_shape[axis]
            elif shape[axis] is not None:
                shape[axis] *= factor
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "align_corners": self.align_corners,
            "data_format": self.data_format,
        }


def interpolate(x, axis, size, target, align_corners):
    """Resizes one axis of `x` from `size` to `target` rows, integers or run-time tensors."""
    below, above, fraction = interpolation_positions(size, target, align_corners)
    fraction = ops.reshape(
        ops.cast(fraction, x.dtype), [-1 if other == axis else 1 for other in range(4)]
    )
    below = ops.take(x, below, axis=axis)
    return below + (ops.take(x, above, axis=axis) - below) * fraction


def interpolation_positions(size, target, align_corners):
    """For each output row: the two input rows it lies between, and how far behind the first.

    Positions are fractions of whole numbers, so nothing is rounded before the last division.
    """
    row = ops.arange(target, dtype="int32")
    if align_corners:
        numerator, denominator = row * (size - 1), at_least(target - 1, 1)
    else:
        numerator = at_least((2 * row + 1) * size - target, 0)
        denominator = 2 * target
        numerator = ops.minimum(numerator, (size - 1) * denominator)
    below = numerator // denominator
    above = ops.minimum(below + 1, size - 1)
    fraction = ops.cast(numerator % denominator, "float32") / ops.cast(denominator, "float32")
    return below, above, fraction
