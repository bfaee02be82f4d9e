"""Cropping a map to the size of another."""

import keras
from keras import ops

from kerasseg.layers.arguments import (
    KeepsIntegers,
    check_is_map,
    check_is_shape,
    spatial_axes,
    standardize_data_format,
    standardize_integer,
)


@keras.saving.register_keras_serializable(package="kerasseg")
class CenterCropLike(KeepsIntegers):
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

    Raises:
        ValueError: a list of tensors, no `like`, or one that is larger.

    Example:

    >>> row = np.arange(6.0).reshape(1, 1, 6, 1)
    >>> cropped = CenterCropLike()(row, np.zeros((1, 1, 3, 1)))      # one off in front, two behind
    >>> print(ops.convert_to_numpy(cropped)[0, 0, :, 0])
    [1. 2. 3.]
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def build(self, inputs_shape, like_shape=None):
        check_is_shape(inputs_shape, "inputs", self._usage())

    def call(self, inputs, like=None):
        check_is_map(inputs, "inputs", self._usage())
        if like is None:
            raise ValueError(
                "`like` must be the map whose height and width to take. Received: like=None. "
                f"Call {self._usage()}."
            )
        self.compute_output_shape(inputs.shape, like.shape)
        index = [slice(None)] * len(inputs.shape)
        for axis in self.axes:
            target = ops.shape(like)[axis]
            start = self.start(ops.shape(inputs)[axis] - target)
            index[axis] = slice(start, start + target)
        return inputs[tuple(index)]

    def start(self, surplus):
        return surplus // 2

    def compute_output_spec(self, inputs, like=None):
        check_is_map(inputs, "inputs", self._usage())
        return super().compute_output_spec(inputs, like)

    def compute_output_shape(self, inputs_shape, like_shape=None):
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

    def _usage(self):
        return f"{type(self).__name__}(…)(inputs, like)"


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

    Raises:
        ValueError: a list of tensors, no `like`, or one that is larger.

    Example:

    >>> row = np.arange(6.0).reshape(1, 1, 6, 1)
    >>> cropped = CropLike(0)(row, np.zeros((1, 1, 3, 1)))
    >>> print(ops.convert_to_numpy(cropped)[0, 0, :, 0])
    [0. 1. 2.]
    """

    def __init__(self, offset, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        self.offset = standardize_integer(offset, "offset", at_least=0)

    def start(self, surplus):
        return self.offset

    def get_config(self):
        return {**super().get_config(), "offset": self.offset}
