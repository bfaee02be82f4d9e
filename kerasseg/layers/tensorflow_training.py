"""The fast route of pooling and unpooling: TensorFlow on CPUs, in training only.

Outside XLA, TensorFlow runs every slice, comparison and selection of the general route as a pass of
its own over the map. Here the same functions are compiled by XLA into four pieces of about one pass
each, pooling and unpooling, forward and backward, inside a graph that need not be compiled itself.
For its gradient, pooling remembers nothing but the positions.

ONNX has no compiled pieces, so exports take the general route: they do not train.
"""

import functools

import tensorflow as tf

from kerasseg.layers import pooling, unpooling


def is_faster():
    """On a GPU, Keras compiles the whole training step, pooling and all."""
    return not tf.config.list_physical_devices("GPU")


def max_pool(windows, x):
    """`pooling.max_pool` in two compiled pieces."""

    @tf.custom_gradient
    def pool(x):
        pooled, argmax = run_compiled(pooling.max_pool, windows, x)
        outline = x[:0]  # no elements, but the height and width
        return (pooled, argmax), lambda upstream, _: run_compiled(
            max_pool_gradient, windows, upstream, argmax, outline
        )

    return pool(x)


def unpool(windows, values, argmax, like=None):
    """`unpooling.unpool` in two compiled pieces."""
    outline = () if like is None else (like[:0],)

    @tf.custom_gradient
    def put_back(values):
        unpooled = run_compiled(unpooling.unpool, windows, values, argmax, *outline)
        return unpooled, lambda upstream: run_compiled(unpool_gradient, windows, upstream, argmax)

    return put_back(values)


def max_pool_gradient(windows, upstream, argmax, like):
    return unpooling.unpool(windows, upstream, argmax, like, add=True)


def unpool_gradient(windows, upstream, argmax):
    values = tf.zeros(tf.shape(argmax), upstream.dtype)  # the gradient is the same for all values
    with tf.GradientTape() as tape:
        tape.watch(values)
        unpooled = unpooling.unpool(windows, values, argmax, upstream)
    return tape.gradient(unpooled, values, upstream)


def run_compiled(function, windows, *tensors):
    """`function(windows, *tensors)`, compiled once for all tensors of these shapes and dtypes."""
    specs = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors)
    return compiled(function, windows, specs)(*tensors)


@functools.lru_cache(maxsize=512)
def compiled(function, windows, specs):
    piece = tf.function(functools.partial(function, windows), jit_compile=True, autograph=False)
    return piece.get_concrete_function(*specs)
