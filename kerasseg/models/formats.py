"""The data format of the model that is being built, and layers that are made in it."""

import contextvars
import functools
import inspect
from collections.abc import Iterable
from types import ModuleType

import keras
import numpy as np

import kerasseg.layers
from kerasseg.layers.arguments import is_integer, standardize_data_format

# Of this thread alone: `keras.config.set_image_data_format` would change it for every other.
DATA_FORMAT = contextvars.ContextVar("data_format", default=None)


def data_format():
    """The data format of the model being built; outside one, Keras's default."""
    return DATA_FORMAT.get() or keras.config.image_data_format()


def channel_axis():
    """The axis of the channels in that data format."""
    return -1 if data_format() == "channels_last" else 1


def spatial_shape(input_shape):
    """(height, width) of an input shape without its batch axis."""
    return tuple(input_shape[:2] if channel_axis() == -1 else input_shape[1:])


def in_data_format(build):
    """Decorator of a model function: its `data_format` holds for every layer it makes.

    The function takes its layers from `layers` of this module and its axes from `channel_axis`, so
    that its body need not repeat the argument. Integers of NumPy become Python's, which all layers
    of Keras take. What every architecture takes, `input_shape` and `num_classes`, is checked here.
    """
    names = list(inspect.signature(build).parameters)

    @functools.wraps(build)
    def wrapper(*args, **kwargs):
        args, kwargs = with_python_integers((args, kwargs))
        given = {**dict(zip(names, args)), **kwargs}
        token = DATA_FORMAT.set(standardize_data_format(given.get("data_format")))
        try:
            check_arguments(given)
            return build(*args, **kwargs)
        finally:
            DATA_FORMAT.reset(token)

    return wrapper


def with_python_integers(value):
    """A value, and what lists, tuples, dicts and arrays hold, with integers of Python."""
    if isinstance(value, dict):
        return {key: with_python_integers(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = map(with_python_integers, value)
        return list(parts) if isinstance(value, list) else tuple(parts)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return value.tolist()
    return int(value) if isinstance(value, np.integer) else value


def check_arguments(arguments):
    """Stops an `input_shape` or a `num_classes` of which no model can be made."""
    shape = arguments.get("input_shape", (1, 1, 1))
    axes = ("height", "width", "channels")
    axes = axes if channel_axis() == -1 else (axes[2], *axes[:2])
    sizes = tuple(shape) if isinstance(shape, Iterable) else ()
    if len(sizes) != 3 or not all(
        is_count(size) or (size is None and axis != "channels") for axis, size in zip(axes, sizes)
    ):
        raise ValueError(
            f"`input_shape` must be ({', '.join(axes)}), positive integers; height and width may "
            f"be None. Received: input_shape={shape!r}"
        )
    num_classes = arguments.get("num_classes", 1)
    if not is_count(num_classes):
        raise ValueError(
            f"`num_classes` must be a positive integer. Received: num_classes={num_classes!r}"
        )


def is_count(number):
    return is_integer(number) and number > 0


class FormattedLayers:
    """The layers of some modules, which take the data format of the model being built."""

    def __init__(self, *modules: ModuleType):
        self.modules = modules

    def __getattr__(self, name):
        found = [getattr(module, name) for module in self.modules if hasattr(module, name)]
        if not found:
            raise AttributeError(f"No layer of Keras or kerasseg is called {name!r}.")
        layer_class = found[0]
        if not takes_data_format(layer_class):
            return layer_class
        return functools.partial(layer_class, data_format=data_format())


@functools.cache
def takes_data_format(layer_class):
    """Whether a layer, or the one that its further arguments go to, has that argument."""
    return any(
        "data_format" in inspect.signature(ancestor.__init__).parameters
        for ancestor in layer_class.__mro__
    )


layers = FormattedLayers(kerasseg.layers, keras.layers)
