"""Dilated convolution."""

import keras

from kerasseg.layers.arguments import standardize_integer, standardize_pair
from kerasseg.layers.backend import tensorflow_paths


@keras.saving.register_keras_serializable(package="kerasseg")
class AtrousConv2D(keras.layers.Conv2D):
    """Dilated convolution: the kernel's taps lie `rate` pixels apart.

    A kernel of `k` sees `(k - 1) * rate + 1` pixels with the weights of `k` (à trous, Chen et al.
    2015, section 3.1; Yu and Koltun 2016, section 2; the book's chapter 6, "dilated convolutions").
    Equals `keras.layers.Conv2D(dilation_rate=rate)`; on TensorFlow it is faster where there is a
    dilated kernel, since Keras splits the map into `rate * rate` small ones.

    Args:
        filters: Positive integer, output channels.
        kernel_size: Positive integer or pair.
        rate: Positive integer or pair: distance of the taps; 1 is an ordinary convolution.
        **kwargs: What `keras.layers.Conv2D` takes, except `dilation_rate`.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: `(batch, new_height, new_width, filters)`; with `padding="valid"`, stride 1,
        `new_height = height - (kernel_size - 1) * rate`.

    Raises:
        ValueError: sizes that are not positive integers, `dilation_rate` in place of `rate`, or
            what `keras.layers.Conv2D` refuses.

    Example:

    >>> row = np.arange(7.0).reshape(1, 1, 7, 1)
    >>> layer = AtrousConv2D(1, (1, 3), rate=(1, 2), kernel_initializer="ones")
    >>> print(ops.convert_to_numpy(layer(row))[0, 0, :, 0])      # 0+2+4, 1+3+5, 2+4+6
    [ 6.  9. 12.]
    """

    def __init__(self, filters, kernel_size, rate=2, **kwargs):
        if "dilation_rate" in kwargs:
            raise ValueError(
                "AtrousConv2D calls its dilation `rate`. "
                f"Received: dilation_rate={kwargs['dilation_rate']}. Pass rate= instead."
            )
        super().__init__(
            standardize_integer(filters, "filters"),
            standardize_pair(kernel_size, "kernel_size"),
            dilation_rate=standardize_pair(rate, "rate"),
            **kwargs,
        )

    def convolution_op(self, inputs, kernel):
        tensorflow = tensorflow_paths()
        plain = self.data_format == "channels_last" and self.groups == 1
        if tensorflow and plain and tensorflow.has_dilated_kernels(inputs.dtype):
            return tensorflow.dilated_convolution(self, inputs, kernel)
        return super().convolution_op(inputs, kernel)

    def get_config(self):
        config = super().get_config()
        config["rate"] = config.pop("dilation_rate")
        return config
