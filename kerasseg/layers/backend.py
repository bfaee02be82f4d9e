"""What differs from backend to backend."""

import keras
from keras import ops

from kerasseg.layers import argmax_ops


def tensorflow_paths():
    """The module `kerasseg.layers.tensorflow` under TensorFlow, `None` under any other backend.

    The module holds faster implementations of what layers compute with `keras.ops`, and what
    `tf.distribute` needs. Both give the same numbers.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    from kerasseg.layers import tensorflow

    return tensorflow


def torch_paths():
    """The module `kerasseg.layers.torch` under PyTorch, `None` under any other backend."""
    if keras.backend.backend() != "torch":
        return None
    from kerasseg.layers import torch

    return torch


def jax_paths():
    """The module `kerasseg.layers.jax` under JAX, `None` under any other backend."""
    if keras.backend.backend() != "jax":
        return None
    from kerasseg.layers import jax

    return jax


def argmax_paths():
    """The module whose `max_pool` and `max_unpool` the layers call, the backend's own or general.

    All have the interface, and give the numbers, of `kerasseg.layers.argmax_ops`.
    """
    return tensorflow_paths() or torch_paths() or jax_paths() or argmax_ops


def can_branch(x):
    """Whether `ops.cond` on a flag that follows from a tensor is cheap: no device is waited for."""
    if torch := torch_paths():
        return torch.can_branch(x)
    return True


def is_false(flag, source, settings):
    """Whether a boolean tensor is known to be false; of one in a traced graph nothing is known.

    It follows from the tensor `source` and from settings. PyTorch waits for its device to read it,
    so it is not read again when it was true for the same source and settings just before.
    """
    if torch := torch_paths():
        return torch.is_false(flag, source, settings)
    if tensorflow := tensorflow_paths():
        return tensorflow.is_false(flag)
    try:
        return not flag
    except TypeError:  # a tensor without values yet
        return False


def gradient(function, x):
    """The gradient of a scalar function of a tensor, as a NumPy array."""
    own = tensorflow_paths() or torch_paths() or jax_paths()
    return ops.convert_to_numpy(own.gradient(function, x))
