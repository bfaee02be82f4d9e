"""Convolution with holes."""

import keras


@keras.saving.register_keras_serializable(package="kerasseg")
class AtrousConv2D(keras.layers.Conv2D):
    """Convolution with holes: the kernel's taps lie `rate` pixels apart.

    A kernel of `k` sees `(k - 1) * rate + 1` pixels with the weights of `k` (à trous, Chen et al.
    2015, section 3.1; Yu and Koltun 2016, section 2; the book's chapter 6, "dilated convolutions").
    Equals `keras.layers.Conv2D(dilation_rate=rate)`; on TensorFlow it is faster where a kernel with
    holes is at hand, for Keras parts the map into as many small ones as there are holes.

    Args:
        filters: Positive integer, output channels.
        kernel_size: Positive integer or pair.
        rate: Positive integer or pair: distance of the taps. 1 is an ordinary convolution.
        **kwargs: What `keras.layers.Conv2D` takes, except `dilation_rate`.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: `(batch, new_height, new_width, filters)`; with `padding="valid"`, stride 1,
        `new_height = height - (kernel_size - 1) * rate`.

    Example:

    >>> row = np.arange(7.0).reshape(1, 1, 7, 1)
    >>> layer = AtrousConv2D(1, (1, 3), rate=(1, 2), kernel_initializer="ones")
    >>> ops.squeeze(layer(row))                        # 0+2+4, 1+3+5, 2+4+6
    [ 6.  9. 12.]
    """

    def __init__(self, filters, kernel_size, rate=2, **kwargs):
        if "dilation_rate" in kwargs:
            raise ValueError(
                "AtrousConv2D calls its dilation `rate`. "
                f"Received: dilation_rate={kwargs['dilation_rate']}. Pass rate= instead."
            )
        super().__init__(filters, kernel_size, dilation_rate=rate, **kwargs)

    def convolution_op(self, inputs, kernel):
        plain = self.data_format == "channels_last" and self.groups == 1
        if keras.backend.backend() == "tensorflow" and plain:
            from kerasseg.layers import tensorflow_atrous

            if tensorflow_atrous.has_kernels(inputs.dtype):
                return tensorflow_atrous.convolve(self, inputs, kernel)
        return super().convolution_op(inputs, kernel)

    def get_config(self):
        config = super().get_config()
        config["rate"] = config.pop("dilation_rate")
        return config
