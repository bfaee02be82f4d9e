"""Initial values for transposed convolutions."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="kerasseg")
class Bilinear(keras.initializers.Initializer):
    """Makes a transposed convolution start as bilinear upsampling, one channel to itself.

    For a factor `f` it belongs to `Conv2DTranspose(channels, 2 * f - f % 2, strides=f,
    padding="same", use_bias=False)`, with as many channels as its input has (FCN, Long et al. 2015,
    section 3.3, and the `upsample_filt` of its code; the book does not have it). The result equals
    half-pixel bilinear resizing except near the border, where it fades to zero.

    Example:

    >>> print(ops.convert_to_numpy(Bilinear()((1, 4, 1, 1)))[0, :, 0, 0])
    [0.25 0.75 0.75 0.25]
    """

    def __call__(self, shape, dtype=None):
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(
                "Bilinear initializes Conv2DTranspose kernels (height, width, filters, channels) "
                f"with as many filters as input channels. Received: shape={tuple(shape)}"
            )
        kernel = np.outer(bilinear_filter(shape[0]), bilinear_filter(shape[1]))
        weights = kernel[:, :, None, None] * np.eye(shape[2])
        return ops.convert_to_tensor(weights, dtype=dtype or keras.config.floatx())

    def get_config(self):
        return {}


def bilinear_filter(size):
    """`4` -> 1/4, 3/4, 3/4, 1/4; `3` -> 1/2, 1, 1/2: a triangle over `size` taps."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    return 1 - np.abs(np.arange(size) - center) / factor
