"""What the layers' tests share: random cases, gradients and compilation on every backend."""

import keras
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from keras import ops

BACKEND = keras.backend.backend()
COMPILED = {"tensorflow": ["graph", "xla"], "jax": ["xla"], "torch": []}[BACKEND]


def bounded(max_examples):
    """Hypothesis, the same examples in every run; few under JAX, which compiles every shape."""
    return settings(
        max_examples=max(max_examples // 4, 4) if BACKEND == "jax" else max_examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def pooling_cases(draw, overlap=True, padding=("valid", "same"), ties=True):
    """A map and the arguments of a pooling that fits it: `(x, pool_size, strides, padding)`."""
    pair = st.tuples(st.integers(1, 4), st.integers(1, 4))
    pool_size = draw(pair)
    strides = draw(pair) if overlap else pool_size
    padding = draw(st.sampled_from(padding))
    least = pool_size if padding == "valid" else (1, 1)
    height, width = (draw(st.integers(n, 9)) for n in least)
    shape = (draw(st.integers(1, 2)), height, width, draw(st.integers(1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    if ties:
        x = rng.integers(-3, 3, shape)
    else:
        x = rng.permutation(np.prod(shape)).reshape(shape) - np.prod(shape) // 2
    return x.astype("float32"), pool_size, strides, padding


def numpy(x):
    return ops.convert_to_numpy(x)


def channels_first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def channels_last(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def gradient(function, x, upstream):
    """The gradient of `sum(function(x) * upstream)` at `x`."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return numpy(tape.gradient(y, x, tf.cast(upstream, y.dtype)))
    if BACKEND == "jax":
        import jax

        y, backward = jax.vjp(function, jax.numpy.asarray(x))
        return numpy(backward(jax.numpy.asarray(upstream, y.dtype))[0])
    import torch

    x = torch.tensor(x, requires_grad=True)
    y = function(x)
    return numpy(torch.autograd.grad(y, x, torch.tensor(upstream, dtype=y.dtype))[0])


def compiled(function, mode):
    """`function` as a graph or through XLA, as far as the backend has them."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=mode == "xla")
