"""Checks of what layers are made with, and arithmetic on sizes."""

import operator
from collections.abc import Iterable

import keras
from keras import ops


def standardize_integer(value, name, at_least=1):
    """A Python integer from `at_least` on; NumPy's integers are accepted, `True` is not."""
    if not is_integer(value) or value < at_least:
        kind = "a positive integer" if at_least == 1 else "an integer, zero or more"
        raise ValueError(f"`{name}` must be {kind}. Received: {name}={value!r}")
    return int(value)


def standardize_integers(value, name):
    """`6` -> `(6,)`, for one or more positive integers."""
    values = (value,) if is_integer(value) else value
    if (
        not is_sequence(values)
        or not all(is_integer(n) and n > 0 for n in values)
        or not len(values)
    ):
        raise ValueError(
            f"`{name}` must be a positive integer or several of them. Received: {name}={value!r}"
        )
    return tuple(map(int, values))


def standardize_pair(value, name):
    """`2` -> `(2, 2)`, for two positive integers."""
    pair = (value, value) if is_integer(value) else value
    if not is_sequence(pair) or len(pair) != 2 or not all(is_integer(n) and n > 0 for n in pair):
        raise ValueError(
            f"`{name}` must be a positive integer or a pair of them (height, width). "
            f"Received: {name}={value!r}"
        )
    return tuple(map(int, pair))


def is_integer(value):
    """Whether a value is a whole number, also one of NumPy or an array without axes; no bool."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def is_sequence(value):
    sized = isinstance(value, Iterable) and hasattr(value, "__len__")
    return sized and not isinstance(value, str) and getattr(value, "ndim", 1) > 0


def standardize_padding(padding):
    """`"valid"` or `"same"`, in small letters as in Keras."""
    if str(padding).lower() not in ("valid", "same"):
        raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding!r}")
    return padding.lower()


def standardize_data_format(data_format):
    """`None` -> Keras's default."""
    if data_format is None:
        return keras.config.image_data_format()
    if str(data_format).lower() not in ("channels_last", "channels_first"):
        raise ValueError(
            "`data_format` must be 'channels_last', 'channels_first' or None (Keras's default). "
            f"Received: data_format={data_format!r}"
        )
    return data_format.lower()


def spatial_axes(data_format):
    """The axes of height and width."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def check_is_map(x, name, call):
    """Stops a list of tensors where a layer takes them one by one: `call` says how."""
    if isinstance(x, (list, tuple)):
        raise ValueError(
            f"`{name}` must be one tensor. Received: a {type(x).__name__} of {len(x)} tensors. "
            f"Pass the tensors one by one: {call}."
        )


def check_is_shape(shape, name, call):
    """The same of a shape, in the `build` of a layer, which Keras calls before `call`."""
    if any(isinstance(size, (list, tuple)) for size in shape):
        check_is_map(list(shape), name, call)


def ceil_divide(size, divisor):
    return (size + divisor - 1) // divisor  # not -(-size // divisor): ONNX divides towards zero


def at_least(size, least):
    """The larger of a size, an integer or an integer tensor, and a Python integer."""
    if isinstance(size, int):
        return max(size, least)
    # Keras's type for a bare integer follows `floatx`, so it is told the size's own.
    return ops.maximum(size, ops.cast(least, size.dtype) if hasattr(size, "dtype") else least)


class KeepsIntegers(keras.layers.Layer):
    """A layer of maps of any dtype: floats take the dtype of the computation, integers stay."""

    def compute_output_spec(self, inputs, *args, **kwargs):
        spec = super().compute_output_spec(inputs, *args, **kwargs)
        dtype = spec.dtype if "float" in inputs.dtype else inputs.dtype
        return keras.KerasTensor(spec.shape, dtype=dtype)
