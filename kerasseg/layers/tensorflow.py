"""What only TensorFlow has: faster implementations, replicas, gradients, and its SavedModels.

`kerasseg.layers.backend.tensorflow_paths` is the way here, except for SavedModels, which JAX writes
too. This module imports no layer.
"""

import functools
import itertools

import tensorflow as tf

from kerasseg.layers import argmax_ops

# --- Dilated convolution --------------------------------------------------------------------------
#
# Keras calls `tf.nn.convolution`, which folds a map into `rate * rate` small ones, convolves these
# and unfolds the result. `tf.nn.conv2d` steps over the pixels between the taps.


@functools.cache
def has_dilated_kernels(dtype):
    """Whether `tf.nn.conv2d` has dilated kernels, for gradients too; on CPUs only oneDNN has them.

    In float32 alone: on CPUs TensorFlow has none for float16, and its gradient by a bfloat16
    kernel of 26 channels is not finite.
    """
    if dtype != "float32":
        return False
    with tf.init_scope():
        y, kernel = tf.zeros((1, 3, 3, 1)), tf.zeros((2, 2, 1, 1))
        try:  # the gradient by the input
            tf.nn.conv2d_transpose(y, kernel, (1, 5, 5, 1), 1, "VALID", dilations=2)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def dilated_convolution(layer, inputs, kernel):
    """What `keras.layers.Conv2D` computes without bias and activation, for `channels_last`."""
    return tf.nn.conv2d(
        inputs, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
    )


# --- Batch normalization --------------------------------------------------------------------------


def batch_normalization(inputs, gamma, beta, epsilon):
    """Normalizes a `channels_last` map by its own statistics, in one kernel, in float32.

    Returns:
        `(outputs, mean, variance)`, all float32.
    """
    x = tf.cast(inputs, "float32")
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon
    )
    count = tf.cast(tf.size(x) // x.shape[-1], "float32")
    return outputs, mean, variance * (count - 1) / count  # the kernel divides by `count - 1`


# --- Argmax pooling and unpooling -----------------------------------------------------------------
#
# Outside XLA, TensorFlow runs every slice, comparison and selection of the general functions as a
# pass of its own over the map. Here XLA makes one kernel of each of four pieces: pooling and
# unpooling, forward and backward. For its gradient, pooling remembers nothing but the positions.


def max_pool(windows, x):
    @tf.custom_gradient
    def pooling(x):
        pooled, argmax = fused(argmax_ops.max_pool, windows, x)
        outline = x[:0]  # no elements, but the height and width
        return (pooled, argmax), lambda upstream, _: fused(
            argmax_ops.max_pool_gradient, windows, upstream, argmax, outline
        )

    return pooling(x)


def max_unpool(windows, values, argmax, like=None):
    outline = () if like is None else (like[:0],)

    @tf.custom_gradient
    def unpooling(values):
        unpooled = fused(argmax_ops.max_unpool, windows, values, argmax, *outline)
        return unpooled, lambda upstream: fused(
            argmax_ops.max_unpool_gradient, windows, upstream, argmax
        )

    return unpooling(values)


def fused(function, windows, *maps):
    """`function(windows, *maps)` as one kernel.

    In a graph, the scope marks the operations. They remain ordinary operations, which every
    exporter knows; TensorFlow compiles them where they run. Not on GPUs, where Keras compiles the
    whole step; and not in a graph for maps of any size, since compiling for each size costs more
    than it saves, and TensorFlow gives up after about ten.
    """
    if tf.config.list_physical_devices("GPU"):
        return function(windows, *maps)
    if tf.executing_eagerly():
        return graph(function, windows, *((tuple(x.shape), x.dtype) for x in maps))(*maps)
    if any(None in x.shape[1:] for x in maps):
        return function(windows, *maps)
    with tf.xla.experimental.jit_scope():
        return function(windows, *maps)


@functools.lru_cache(maxsize=256)
def graph(function, windows, *shapes_and_dtypes):
    piece = tf.function(functools.partial(fused, function, windows), autograph=False)
    return piece.get_concrete_function(*itertools.starmap(tf.TensorSpec, shapes_and_dtypes))


# --- Label maps -----------------------------------------------------------------------------------


def is_false(flag):
    """Whether a flag is known to be false, also in a function that autograph has rewritten."""
    return not tf.is_symbolic_tensor(flag) and not bool(flag)


# --- Replicas of `tf.distribute` ------------------------------------------------------------------


def replica_count():
    """How many replicas share the batch of this step."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def sum_over_replicas(x):
    """The sum of what each replica calls with; gradients flow back to all of them."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, x)


# --- Gradients and SavedModels --------------------------------------------------------------------


def gradient(function, x):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x)


def run_saved_model(path, image):
    loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
    return loaded.serve(image).numpy()
