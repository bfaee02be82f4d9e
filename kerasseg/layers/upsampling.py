"""Bilinear upsampling in both corner conventions."""

import keras
from keras import ops

from kerasseg.layers.windows import spatial_axes, standardize_data_format, standardize_pair


@keras.saving.register_keras_serializable(package="kerasseg")
class BilinearUpsampling2D(keras.layers.Layer):
    """Enlarges a map by bilinear interpolation.

    The two conventions differ in which input position output `i` of `out` shows, of `in`:

    - `align_corners=False`: `(i + 1/2) * in / out - 1/2`, pixels are areas; as PyTorch's default,
      `keras.layers.UpSampling2D` and `tf.image.resize`.
    - `align_corners=True`: `i * (in - 1) / (out - 1)`, pixels are points and corners fall on
      corners, so that a linear ramp stays one; as Caffe's Interp, hence DeepLab and PSPNet.

    Positions are computed in integers, so they are exact on every backend.

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

    Example:

    >>> row = np.array([0.0, 3.0]).reshape(1, 1, 2, 1)
    >>> ops.squeeze(BilinearUpsampling2D((1, 2), align_corners=True)(row))
    [0. 1. 2. 3.]
    >>> ops.squeeze(BilinearUpsampling2D((1, 2))(row))
    [0.   0.75 2.25 3.  ]
    """

    def __init__(self, size=2, align_corners=False, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.size = standardize_pair(size, "size")
        self.align_corners = align_corners
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def call(self, inputs, like=None):
        for axis, factor in zip(self.axes, self.size):
            size = ops.shape(inputs)[axis]
            target = size * factor if like is None else ops.shape(like)[axis]
            inputs = interpolate(inputs, axis, size, target, self.align_corners)
        return inputs

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
        numerator, denominator = row * (size - 1), ops.maximum(target - 1, 1)
    else:
        numerator = ops.maximum((2 * row + 1) * size - target, 0)
        denominator = 2 * target
        numerator = ops.minimum(numerator, (size - 1) * denominator)
    below = numerator // denominator
    above = ops.minimum(below + 1, size - 1)
    fraction = ops.cast(numerator % denominator, "float32") / ops.cast(denominator, "float32")
    return below, above, fraction
