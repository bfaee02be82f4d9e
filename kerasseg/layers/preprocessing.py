"""What some encoders and papers do to an image before the first convolution."""

import keras
import numpy as np
from keras import ops

from kerasseg.layers.arguments import is_integer, standardize_data_format

# Of ImageNet's training images, in the order red, green, blue.
MEANS = (123.68, 116.779, 103.939)


@keras.saving.register_keras_serializable(package="kerasseg")
class CaffePreprocessing(keras.layers.Layer):
    """Turns images in [0, 1] into what VGG-16's and ResNet's weights expect.

    Those weights come from Caffe: blue, green, red instead of red, green, blue, from 0 to 255,
    minus the mean of each colour over ImageNet. Equals `preprocess_input` of
    `keras.applications.vgg16` and `resnet` on images of 0 to 255.

    An image of other than three channels keeps their order. From a single grey channel the
    mean of the three means is subtracted; from channel i of several, the mean of red, green, blue,
    red and so on.

    Args:
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, floats in [0, 1].
    Output shape: the same.

    Raises:
        ValueError: an unknown `data_format`.

    Example:

    >>> red = np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
    >>> print(ops.convert_to_numpy(CaffePreprocessing()(red))[0, 0, 0])
    [-103.939 -116.779  131.32 ]
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.channel_axis = 3 if self.data_format == "channels_last" else 1
        self.input_spec = keras.InputSpec(ndim=4)

    def call(self, inputs):
        shape = [1] * 4
        shape[self.channel_axis] = -1
        means = ops.reshape(ops.cast(self._means(inputs), inputs.dtype), shape)
        centered = inputs * 255.0 - means
        is_rgb = inputs.shape[self.channel_axis] == 3
        return ops.flip(centered, self.channel_axis) if is_rgb else centered

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}

    def _means(self, inputs):
        channels = inputs.shape[self.channel_axis]
        if channels == 1:
            return [sum(MEANS) / 3]
        return [MEANS[channel % 3] for channel in range(channels)]


@keras.saving.register_keras_serializable(package="kerasseg")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by the energy of its neighbours among the channels.

    `x / (1 + alpha / size * sum of squares) ** beta`, the sum over `size` channels around it, as
    `torch.nn.LocalResponseNorm` and Caffe's LRN (Krizhevsky et al. 2012, section 3.3). SegNet-Basic
    begins with it, on images of 0 to 255: it levels out light and shadow.

    Args:
        size: Odd positive integer, channels of the sum.
        alpha: Float, how much the neighbours count.
        beta: Float, the exponent.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`, floats.
    Output shape: the same.

    Raises:
        ValueError: a `size` that is not an odd positive integer; an unknown `data_format`.

    Example:

    >>> pixel = np.array([3.0, 0.0, 4.0]).reshape(1, 1, 1, 3)        # 1 + 5 / 5 * 25 = 26
    >>> y = LocalResponseNormalization(5, alpha=5.0, beta=1.0)(pixel)
    >>> print(ops.convert_to_numpy(y)[0, 0, 0])
    [0.11538462 0.         0.15384616]
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, data_format=None, **kwargs):
        super().__init__(**kwargs)
        if not is_integer(size) or size < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be an odd positive integer. Received: size={size}")
        self.size = int(size)
        self.alpha = alpha
        self.beta = beta
        self.data_format = standardize_data_format(data_format)
        self.channel_axis = 3 if self.data_format == "channels_last" else 1
        self.input_spec = keras.InputSpec(ndim=4)

    def call(self, inputs):
        channels = inputs.shape[self.channel_axis]
        around = np.abs(np.subtract.outer(range(channels), range(channels))) <= self.size // 2
        # Scaled before they are squared: half precision ends at 65504.
        squares = ops.square(inputs * (self.alpha / self.size) ** 0.5)
        energy = ops.tensordot(squares, ops.cast(around, squares.dtype), [[self.channel_axis], [0]])
        return inputs / (1.0 + ops.moveaxis(energy, -1, self.channel_axis)) ** self.beta

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "data_format": self.data_format,
        }
