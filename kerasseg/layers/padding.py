"""Padding a map so that a network can halve it as often as it likes."""

import keras
from keras import ops

from kerasseg.layers.windows import spatial_axes, standardize_data_format


@keras.saving.register_keras_serializable(package="kerasseg")
class PadToMultiple(keras.layers.Layer):
    """Pads height and width to the next multiple, by reflection, as evenly as possible.

    A network with four poolings of two wants sizes divisible by 16. This layer goes in front of
    it, `CenterCropLike` behind it, and every size from one pixel upward passes through without a
    shift. The border is a mirror that repeats where the map is smaller than the padding; a map of
    one pixel is repeated. The odd row or column goes to the bottom or right. The mirror is the one
    of U-Net's paper (Ronneberger et al. 2015, section 2, overlap-tile strategy).

    Args:
        multiple: Positive integer; the output's height and width are divisible by it.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: the same with height and width rounded up to the multiple.

    Example:

    >>> row = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> ops.squeeze(PadToMultiple(8)(row))[0]      # width 3 -> 8: two before, three behind
    [3. 2. 1. 2. 3. 2. 1. 2.]
    """

    def __init__(self, multiple, data_format=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(multiple, int) or multiple < 1:
            raise ValueError(
                f"`multiple` must be a positive integer. Received: multiple={multiple}"
            )
        self.multiple = multiple
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def call(self, inputs):
        for axis in self.axes:
            size = ops.shape(inputs)[axis]
            padded = self._round_up(size)
            if not (isinstance(size, int) and size == padded):
                inputs = ops.take(inputs, mirror_indices(size, padded), axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis in self.axes:
            shape[axis] = None if shape[axis] is None else self._round_up(shape[axis])
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "multiple": self.multiple,
            "data_format": self.data_format,
        }

    def _round_up(self, size):
        return (size + self.multiple - 1) // self.multiple * self.multiple


def mirror_indices(size, padded):
    """Which of `size` positions each of `padded` positions shows: `(3, 8)` -> 2 1 0 1 2 1 0 1."""
    period = ops.maximum(2 * (size - 1), 1)
    before = (padded - size) // 2
    # Counted from a multiple of the period in front of the map: exported graphs know no modulus
    # of negative numbers.
    position = ops.mod(ops.arange(padded, dtype="int32") + before * (period - 1), period)
    return ops.minimum(position, period - position)
