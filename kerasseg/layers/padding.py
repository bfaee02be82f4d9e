"""Padding a map by a mirror, so that a network can halve it or look beyond its border."""

import keras
from keras import ops

from kerasseg.layers.arguments import (
    KeepsIntegers,
    at_least,
    is_integer,
    spatial_axes,
    standardize_data_format,
    standardize_integer,
)


class MirrorPadding(KeepsIntegers):
    """Height and width grow to `padded(size)`, by reflection, as evenly as possible."""

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def padded(self, size):
        raise NotImplementedError

    def call(self, inputs):
        for axis in self.axes:
            size = ops.shape(inputs)[axis]
            padded = self.padded(size)
            if not (isinstance(size, int) and size == padded):
                inputs = ops.take(inputs, mirror_indices(size, padded), axis=axis)
        return inputs

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for axis in self.axes:
            shape[axis] = None if shape[axis] is None else self.padded(shape[axis])
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


@keras.saving.register_keras_serializable(package="kerasseg")
class PadToMultiple(MirrorPadding):
    """Pads height and width to the next multiple, by reflection, as evenly as possible.

    A network with four poolings of two needs sizes divisible by 16; one that aligns the corners of
    a map at output stride 8 needs one more than a multiple of 8. With this layer in front of it and
    `CenterCropLike` behind it, every size from one pixel upward passes through without a shift. The
    border is a mirror that repeats where the map is smaller than the padding; a map of one pixel is
    repeated. The odd row or column goes to the bottom or right. The mirror is the one of U-Net's
    paper (Ronneberger et al. 2015, section 2, overlap-tile strategy).

    Args:
        multiple: Positive integer; the output's height and width are divisible by it.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        remainder: Integer from 0, below `multiple`: what their division leaves instead of 0.
        minimum: Integer, which the output's height and width reach at least.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: the same with height and width rounded up to the next that divides so.

    Raises:
        ValueError: sizes that are not integers, or outside these bounds.

    Example:

    >>> row = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> padded = PadToMultiple(8)(row)      # width 3 -> 8: two before, three behind
    >>> print(ops.convert_to_numpy(padded)[0, 0, :, 0])
    [3. 2. 1. 2. 3. 2. 1. 2.]
    """

    def __init__(self, multiple, data_format=None, remainder=0, minimum=1, **kwargs):
        super().__init__(data_format, **kwargs)
        self.multiple = standardize_integer(multiple, "multiple")
        self.minimum = standardize_integer(minimum, "minimum", at_least=0)
        if not is_integer(remainder) or not 0 <= remainder < multiple:
            raise ValueError(
                f"`remainder` must be an integer from 0 to {multiple - 1}, below `multiple`. "
                f"Received: remainder={remainder}, multiple={multiple}"
            )
        self.remainder = int(remainder)

    def padded(self, size):
        size = at_least(size, self.minimum)
        count = (size + self.multiple - 1 - self.remainder) // self.multiple
        return count * self.multiple + self.remainder

    def get_config(self):
        return {
            **super().get_config(),
            "multiple": self.multiple,
            "remainder": self.remainder,
            "minimum": self.minimum,
        }


@keras.saving.register_keras_serializable(package="kerasseg")
class ReflectionPadding2D(MirrorPadding):
    """Pads height and width by a mirror on all sides, of any width.

    The border of DilatedNet (Yu and Koltun 2016, section 4). Where the map is smaller than the
    padding the mirror repeats, so that every size from one pixel upward can be padded.

    Args:
        padding: Integer from 0, rows and columns on each side.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, any dtype.
    Output shape: `(batch, height + 2 * padding, width + 2 * padding, channels)`.

    Raises:
        ValueError: sizes that are not integers, or outside these bounds.

    Example:

    >>> row = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    >>> print(ops.convert_to_numpy(ReflectionPadding2D(2)(row))[0, 0, :, 0])
    [3. 2. 1. 2. 3. 2. 1.]
    """

    def __init__(self, padding, data_format=None, **kwargs):
        super().__init__(data_format, **kwargs)
        self.padding = standardize_integer(padding, "padding", at_least=0)

    def padded(self, size):
        return size + 2 * self.padding

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}


def mirror_indices(size, padded):
    """Which of `size` positions each of `padded` positions shows: `(3, 8)` -> 2 1 0 1 2 1 0 1."""
    # Counted from a multiple of the period in front of the map: exported graphs know no modulus
    # of negative numbers.
    start = rows_in_front(size, padded) * (mirror_period(size) - 1)
    return mirror(ops.arange(padded, dtype="int32") + start, size)


def rows_in_front(size, padded):
    """How many of the rows that padding adds lie in front of the map: an odd one lies behind it."""
    return (padded - size) // 2


def mirror(position, size):
    """Reflects positions outside `size` rows into them: with 3 rows, -2 … 5 -> 2 1 0 1 2 1 0 1.

    Only operators, so that integers, NumPy arrays and the tensors of every backend will do.
    """
    period = mirror_period(size)
    position = position % period
    return (period - abs(2 * position - period)) // 2


def mirror_period(size):
    """After how many positions a repeated mirror shows the same again."""
    return 2 * (size - 1) + 1 // size  # 1 for a single row
