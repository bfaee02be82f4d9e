"""Where the windows of a pooling lie: the arithmetic that pooling and unpooling share."""

import itertools
from typing import NamedTuple

import keras
from keras import ops


class WindowLayer(keras.layers.Layer):
    """What a pooling and its unpooling have in common: the four arguments that place the windows.

    Args:
        pool_size: Positive integer or pair: height and width of a window.
        strides: Positive integer or pair: step from window to window. `None` for `pool_size`.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = standardize_pair(pool_size, "pool_size")
        self.strides = standardize_pair(pool_size if strides is None else strides, "strides")
        self.padding = standardize_padding(padding)
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
        }


def standardize_pair(value, name):
    """`2` -> `(2, 2)`, for two positive integers."""
    pair = (value, value) if isinstance(value, int) else value
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(entry, int) and entry > 0 for entry in pair)
    ):
        raise ValueError(
            f"`{name}` must be a positive integer or a pair of them (height, width). "
            f"Received: {name}={value}"
        )
    return tuple(pair)


def standardize_padding(padding):
    if padding not in ("valid", "same"):
        raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding}")
    return padding


def standardize_data_format(data_format):
    """`None` -> Keras's default."""
    if data_format is None:
        return keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            "`data_format` must be 'channels_last', 'channels_first' or None (Keras's default). "
            f"Received: data_format={data_format}"
        )
    return data_format


def spatial_axes(data_format):
    """The axes of height and width."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def ceil_divide(size, divisor):
    return -(-size // divisor)


def window_count(size, window, stride, padding):
    """How many windows fit along an axis. `None` and run-time tensors pass through."""
    if size is None:
        return None
    if padding == "same":
        return ceil_divide(size, stride)
    if isinstance(size, int) and size < window:
        raise ValueError(
            f"padding='valid' expected at least {window} rows or columns, one window. "
            f"Received: size={size}. Use padding='same' or a larger input."
        )
    return (size - window) // stride + 1


def spanned_size(count, window, stride, padding):
    """How many rows `count` windows came from, at least ("valid") or at most ("same")."""
    if count is None:
        return None
    return count * stride if padding == "same" else (count - 1) * stride + window


class Placement(NamedTuple):
    """Windows along one axis.

    Attributes:
        count: How many windows.
        before: Rows of the first window that lie in front of the map.
        pad: How much to pad the map in front and behind; more than needed for a run-time size.
    """

    count: int
    before: int
    pad: tuple[int, int]


def place_windows(size, window, stride, padding):
    """Where windows lie along an axis of `size` rows, an integer or a run-time tensor.

    "same" pads what the windows reach beyond the map, the smaller half in front, as TensorFlow.
    """
    count = window_count(size, window, stride, padding)
    if padding == "valid":
        return Placement(count, 0, (0, 0))
    beyond = window - stride + -size % stride
    if not isinstance(size, int):
        return Placement(count, ops.maximum(beyond, 0) // 2, ((window - 1) // 2, window // 2))
    before = max(beyond, 0) // 2
    return Placement(count, before, (before, max(beyond, 0) - before))


def window_entries(x, layer, pad_value):
    """For each position in a window, row by row, a map of that entry of every window of `x`.

    Also returns the placement of the windows along height and width.
    """
    places = [
        place_windows(ops.shape(x)[axis], window, stride, layer.padding)
        for axis, window, stride in zip(layer.axes, layer.pool_size, layer.strides)
    ]
    x = pad_along(x, layer.axes, [place.pad for place in places], pad_value)
    entries = []
    for offsets in itertools.product(*map(range, layer.pool_size)):
        bounds = []
        for place, offset, stride in zip(places, offsets, layer.strides):
            start = place.pad[0] - place.before + offset
            bounds.append((start, start + (place.count - 1) * stride + 1, stride))
        entries.append(take_along(x, layer.axes, bounds))
    return entries, places


def take_along(x, axes, bounds):
    """Slices `x` along some axes; each of `bounds` is a start, a stop and, perhaps, a step."""
    index = [slice(None)] * 4
    for axis, bound in zip(axes, bounds):
        index[axis] = slice(*bound)
    return x[tuple(index)]


def pad_along(x, axes, pads, value):
    """Pads `x` along some axes; copies nothing where there is nothing to pad."""
    if all(pad == (0, 0) for pad in pads):
        return x
    widths = [(0, 0)] * 4
    for axis, pad in zip(axes, pads):
        widths[axis] = pad
    return ops.pad(x, widths, constant_values=value)


def position_dtype(pool_size):
    """The smallest unsigned integer type that counts the positions in a window."""
    positions = pool_size[0] * pool_size[1]
    return next(f"uint{bits}" for bits in (8, 16, 32) if positions <= 2**bits)


def may_be_equal(shape, other):
    """Whether two shapes agree wherever both are known."""
    return len(shape) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, other)
    )
