"""Max pooling that remembers where each maximum was."""

import inspect

import keras

from kerasseg.layers.backend import argmax_paths
from kerasseg.layers.windows import WindowLayer, position_dtype


@keras.saving.register_keras_serializable(package="kerasseg")
class MaxPoolingWithArgmax2D(WindowLayer):
    """Max pooling that also returns where in its window each maximum was.

    `MaxUnpooling2D` takes both and puts the values back (DeconvNet, Noh et al. 2015, section 3.2.1;
    SegNet, Badrinarayanan et al. 2017, section 3; the book's chapter 6, "max-unpooling"). A
    position costs one byte, where `tf.nn.max_pool_with_argmax` spends eight.

    Ties go to the first position. A NaN, the last of several, is the maximum, as in PyTorch. With
    `padding="same"` windows lie where TensorFlow puts them, and padding never wins.

    Args:
        pool_size: Positive integer or pair: height and width of a window.
        strides: Positive integer or pair: step from window to window. `None` for `pool_size`.
        padding: `"valid"` (windows inside the map only) or `"same"` (windows cover the whole map).
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: a pair `pooled, argmax`, each `(batch, pooled_height, pooled_width, channels)`.
        `pooled` has the dtype of the computation. `argmax` is the position inside the window,
        counted row by row from the window's (padded) start, from 0 to `height * width - 1` of the
        window, in the smallest unsigned integer type: uint8 up to 256 positions.

    Raises:
        ValueError: sizes that are not positive integers; with `"valid"` a map smaller than a
            window.

    Example:

    >>> x = np.array([[1.0, 9.0, 2.0, 3.0],
    ...               [4.0, 5.0, 7.0, 6.0]]).reshape(1, 2, 4, 1)
    >>> pooled, argmax = MaxPoolingWithArgmax2D()(x)
    >>> ops.convert_to_numpy(pooled).ravel().tolist()
    [9.0, 7.0]
    >>> ops.convert_to_numpy(argmax).ravel().tolist()     # first row, second column; second, first
    [1, 2]
    """

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape):
        if isinstance(builder_of(self), keras.layers.TimeDistributed):
            raise ValueError(
                "MaxPoolingWithArgmax2D has two outputs, and TimeDistributed stacks one. Received: "
                f"input_shape={tuple(input_shape)} from TimeDistributed. Merge time and batch "
                "instead: pooled, argmax = layer(keras.ops.reshape(x, (-1, *x.shape[2:])))."
            )

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)  # refuses a map smaller than a window
        return argmax_paths().max_pool(self.windows, inputs)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for w in self.windows:
            shape[w.axis] = w.count(shape[w.axis])
        return tuple(shape), tuple(shape)

    def compute_output_spec(self, inputs):
        shape, _ = self.compute_output_shape(inputs.shape)
        dtype = self.compute_dtype if "float" in inputs.dtype else inputs.dtype
        return (
            keras.KerasTensor(shape, dtype=dtype),
            keras.KerasTensor(shape, dtype=position_dtype(self.windows)),
        )


def builder_of(layer):
    """The layer whose `build` or call is building `layer`; `None` if that is nobody but itself."""
    frame = inspect.currentframe()
    while frame := frame.f_back:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.layers.Layer) and caller is not layer:
            return caller
    return None
