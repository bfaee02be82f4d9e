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
            start = self.start(ops.shape(inputs)[axis] - target)
            index[axis] = slice(start, start + target)
        return inputs[tuple(index)]

    def start(self, surplus):
        return surplus // 2

    def compute_output_shape(self, inputs_shape, like_shape):
        shape = list(inputs_shape)
        for axis in self.axes:
            sizes = shape[axis], like_shape[axis]
            if None not in sizes and sizes[0] - sizes[1] < self.start(0):
                raise ValueError(
                    f"From row and column {self.start(0)} on, `inputs` must be at least as large "
                    f"as `like`. Received: inputs.shape={tuple(inputs_shape)}, "
                    f"like.shape={tuple(like_shape)}. Swap the two, or pad `inputs` first."
                )
            shape[axis] = like_shape[axis]
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


@keras.saving.register_keras_serializable(package="kerasseg")
class CropLike(CenterCropLike):
    """Cuts a map to the size of another, from a fixed row and column on.

    FCN's crops: where the two maps lie on each other follows from the paddings in front of them,
    not from their sizes (the `offset` of Caffe's Crop layer in Long et al. 2015).

    Args:
        offset: Integer from 0, the first row and column of `inputs` that stay.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Call arguments:
        inputs: The map to crop.
        like: The map whose height and width to take, at least `offset` smaller.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: `(batch, like_height, like_width, channels)`.

    Example:

    >>> row = np.arange(6.0).reshape(1, 1, 6, 1)
    >>> ops.squeeze(CropLike(0)(row, np.zeros((1, 1, 3, 1))))
    [0. 1. 2.]
    """

    def __init__(self, offset, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        if not isinstance(offset, int) or offset < 0:
            raise ValueError(
                f"`offset` must be an integer, zero or more. Received: offset={offset}"
            )
        self.offset = offset

    def start(self, surplus):
        return self.offset

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}
