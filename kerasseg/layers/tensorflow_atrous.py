"""The fast route of atrous convolution: TensorFlow's own kernels with holes.

Keras calls `tf.nn.convolution`, which folds a map into `rate * rate` small ones without holes,
convolves these and unfolds the result. `tf.nn.conv2d` leaps over the pixels between the taps.
"""

import functools

import tensorflow as tf


@functools.cache
def has_kernels(dtype):
    """Whether kernels with holes are at hand, for gradients too; on CPUs only oneDNN has them.

    In float32 alone: TensorFlow 2.21 on CPUs has none for float16, and its gradient by a bfloat16
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


def convolve(layer, inputs, kernel):
    """What `keras.layers.Conv2D` computes without bias and activation, for `channels_last`."""
    return tf.nn.conv2d(
        inputs, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate
    )
