"""Heads that see a map at several scales at once."""

import math

import keras
from keras import ops

from kerasseg.layers.arguments import (
    ceil_divide,
    spatial_axes,
    standardize_data_format,
    standardize_integer,
    standardize_integers,
)
from kerasseg.layers.atrous import AtrousConv2D
from kerasseg.layers.normalization import FusedBatchNormalization
from kerasseg.layers.upsampling import BilinearUpsampling2D


@keras.saving.register_keras_serializable(package="kerasseg")
class PyramidPooling(keras.layers.Layer):
    """PSPNet's pyramid: the map beside its averages over coarse grids.

    For each number of bins the map is averaged over a grid of that many windows a side, goes
    through a 1 x 1 convolution, batch normalisation and ReLU, and is enlarged again; all are
    concatenated behind the map (Zhao et al. 2017, section 3.2). The windows are those of PyTorch's
    `adaptive_avg_pool2d`: they need not divide the map, and overlap if they do not. The size may be
    known only at run time.

    Batch normalisation of one bin of one image has a variance of zero: train with larger batches.

    Args:
        bins: One or more positive integers, windows a side of each grid.
        filters: Positive integer, channels of each branch.
        align_corners: Boolean, how the branches are enlarged: as by Caffe's Interp, or as by
            default in PyTorch.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        kernel_regularizer: Optional regularizer of every convolution's kernel.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: `(batch, height, width, channels + len(bins) * filters)`.

    Raises:
        ValueError: numbers that are not positive integers; a `padding` other than "same".

    Example:

    >>> PyramidPooling().compute_output_shape((1, 60, 60, 2048))       # 2048 + 4 * 512
    (1, 60, 60, 4096)
    """

    def __init__(
        self,
        bins=(1, 2, 3, 6),
        filters=512,
        align_corners=True,
        data_format=None,
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**without_padding(kwargs))
        self.bins = standardize_integers(bins, "bins")
        self.filters = filters = standardize_integer(filters, "filters")
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.align_corners = align_corners
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)
        self.branches = [branch_of(self, filters, name=f"bins{count}") for count in self.bins]
        self.enlarge = BilinearUpsampling2D(
            align_corners=align_corners, data_format=self.data_format, dtype=self.dtype_policy
        )
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape):
        for count, branch in zip(self.bins, self.branches):
            branch.build(with_sizes(input_shape, self.axes, count))

    def call(self, inputs):
        maps = [inputs]
        for count, branch in zip(self.bins, self.branches):
            averages = average_windows(inputs, self.axes, count)
            maps.append(self.enlarge(branch(averages), like=inputs))
        return ops.concatenate(maps, axis=channel_axis(self))

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[channel_axis(self)] += len(self.bins) * self.filters
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "bins": self.bins,
            "filters": self.filters,
            "align_corners": self.align_corners,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="kerasseg")
class AtrousSpatialPyramidPooling(keras.layers.Layer):
    """DeepLab v3's head: one map seen at several rates.

    A 1 x 1 convolution, a 3 x 3 convolution for each rate and a 1 x 1 convolution of the image's
    mean, each with batch normalisation and ReLU, are concatenated and go through another 1 x 1
    convolution with batch normalisation and ReLU (Chen et al. 2017, section 3.3). The default rates
    belong to an output stride of 16; double them for 8.

    Batch normalisation of the mean of one image has a variance of zero: train with larger batches.

    Args:
        filters: Positive integer, channels of each branch and of the output.
        rates: One or more positive integers, the dilation of each 3 x 3 convolution.
        image_pooling: Boolean, whether there is a branch for the image's mean.
        dropout: Float, share of the output that training drops.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        kernel_regularizer: Optional regularizer of every convolution's kernel.

    Input shape: `(batch, height, width, channels)` for `channels_last`.
    Output shape: `(batch, height, width, filters)`.

    Raises:
        ValueError: numbers that are not positive integers; a `padding` other than "same".

    Example:

    >>> AtrousSpatialPyramidPooling().compute_output_shape((1, 33, 33, 2048))
    (1, 33, 33, 256)
    """

    def __init__(
        self,
        filters=256,
        rates=(6, 12, 18),
        image_pooling=True,
        dropout=0.0,
        data_format=None,
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**without_padding(kwargs))
        self.filters = filters = standardize_integer(filters, "filters")
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.rates = standardize_integers(rates, "rates")
        self.image_pooling = image_pooling
        self.dropout = dropout
        self.data_format = standardize_data_format(data_format)
        self.axes = spatial_axes(self.data_format)
        self.branches = [branch_of(self, filters, name="pixel")] + [
            branch_of(self, filters, 3, rate, name=f"rate{rate}") for rate in self.rates
        ]
        self.image_branch = branch_of(self, filters, name="image") if image_pooling else None
        self.projection = branch_of(self, filters, name="projection")
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.input_spec = keras.InputSpec(ndim=4)

    def build(self, input_shape):
        for branch in self.branches:
            branch.build(input_shape)
        if self.image_pooling:
            self.image_branch.build(with_sizes(input_shape, self.axes, 1))
        shape = list(input_shape)
        shape[channel_axis(self)] = self.filters * (len(self.branches) + self.image_pooling)
        self.projection.build(tuple(shape))

    def call(self, inputs):
        maps = [branch(inputs) for branch in self.branches]
        if self.image_pooling:
            image = self.image_branch(ops.mean(inputs, axis=self.axes, keepdims=True))
            maps.append(ops.broadcast_to(image, ops.shape(maps[0])))
        return self.drop(self.projection(ops.concatenate(maps, axis=channel_axis(self))))

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        shape[channel_axis(self)] = self.filters
        return tuple(shape)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "rates": self.rates,
            "image_pooling": self.image_pooling,
            "dropout": self.dropout,
            "data_format": self.data_format,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


def branch_of(layer, filters, kernel_size=1, rate=1, name=None):
    """Convolution, batch normalisation and ReLU, in the format and dtype of `layer`."""
    settings = {"dtype": layer.dtype_policy}
    return keras.Sequential(
        [
            AtrousConv2D(
                filters,
                kernel_size,
                rate,
                padding="same",
                use_bias=False,
                data_format=layer.data_format,
                kernel_regularizer=layer.kernel_regularizer,
                **settings,
            ),
            FusedBatchNormalization(axis=channel_axis(layer), **settings),
            keras.layers.ReLU(**settings),
        ],
        name=name,
    )


def without_padding(arguments):
    """The arguments of a layer whose convolutions keep height and width."""
    padding = arguments.pop("padding", "same")
    if str(padding).lower() != "same":
        raise ValueError(
            "The pyramids keep height and width, so that their branches fit together. "
            f"Received: padding={padding!r}. Leave it out."
        )
    return arguments


def average_windows(x, axes, count):
    """Averages over `count` windows a side, those of PyTorch's `adaptive_avg_pool2d`."""
    for axis in axes:
        shape = ops.shape(x)
        rows = ops.reshape(x, (-1, shape[axis], math.prod(shape[axis + 1 :])))
        averages = ops.matmul(ops.cast(window_weights(shape[axis], count), x.dtype), rows)
        x = ops.reshape(averages, with_sizes(shape, [axis], count))
    return x


def window_weights(size, count):
    """The matrix that averages `size` rows, perhaps known only at run time, in `count` windows."""
    window, row = ops.arange(count, dtype="int32")[:, None], ops.arange(size, dtype="int32")
    start, stop = window * size // count, ceil_divide((window + 1) * size, count)
    inside = ops.logical_and(row >= start, row < stop)
    return ops.cast(inside, "float32") / ops.cast(stop - start, "float32")


def with_sizes(shape, axes, size):
    """`shape` with another size along some axes."""
    return tuple(size if axis in axes else length for axis, length in enumerate(shape))


def channel_axis(layer):
    return 3 if layer.data_format == "channels_last" else 1
