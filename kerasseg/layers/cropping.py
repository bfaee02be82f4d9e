"""Cropping a map to the size of another."""

import keras
from keras import ops

from kerasseg.layers.windows import spatial_axes, standardize_data_format


@keras.saving.register_keras_serializable(package="kerasseg")
class CenterCropLike(keras.layers.Layer):
    """Cuts the middle out of a map, as large as another map.

    What U-Net does to its skips (Ronneberger et al. 2015, figure 1) and FCN-like networks to their
    output. Of an odd number of surplus rows the larger half goes at the bottom: the crop starts at
    `(height - like_height) // 2`.

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Call arguments:
        inputs: The map to crop.
        like: The map whose height and width to take, neither of them larger.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: `(batch, like_height, like_width, channels)`.

    Example:

    >>> row = np.arange(6.0).reshape(1, 1, 6, 1)
    >>> ops.squeeze(CenterCropLike()(row, np.zeros((1, 1, 3, 1))))  # one off in front, two behind
    [1. 2. 3.]
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def call(self, inputs, like):
        self.compute_output_shape(inputs.shape, like.shape)
        index = [slice(None)] * len(inputs.shape)
        for axis in self.axes:
            target = ops.shape(like)[axis]
            start = (ops.shape(inputs)[axis] - target) // 2
            index[axis] = slice(start, start + target)
        return inputs[tuple(index)]

    def compute_output_shape(self, inputs_shape, like_shape):
        shape = list(inputs_shape)
        for axis in self.axes:
            if None not in (shape[axis], like_shape[axis]) and shape[axis] < like_shape[axis]:
                raise ValueError(
                    "`inputs` must be at least as large as `like`. Received: "
                    f"inputs.shape={tuple(inputs_shape)}, like.shape={tuple(like_shape)}. "
                    "Swap the two, or pad `inputs` first."
                )
            shape[axis] = like_shape[axis]
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}
