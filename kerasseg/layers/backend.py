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


def argmax_paths():
    """The module whose `max_pool` and `max_unpool` the layers call, the backend's own or general.

    All have the interface, and give the numbers, of `kerasseg.layers.argmax_ops`.
    """
    return tensorflow_paths() or argmax_ops


def gradient(function, x):
    """The gradient of a scalar function of a tensor, as a NumPy array."""
    if tensorflow := tensorflow_paths():
        return ops.convert_to_numpy(tensorflow.gradient(function, x))
    if keras.backend.backend() == "jax":
        import jax

        return ops.convert_to_numpy(jax.grad(function)(x))
    import torch

    x = x.detach().requires_grad_()
    return ops.convert_to_numpy(torch.autograd.grad(function(x), x)[0])
