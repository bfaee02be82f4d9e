"""Window positions to and from the flat indices of TensorFlow and PyTorch."""

import keras
from keras import ops

from kerasseg.layers.arguments import standardize_padding, standardize_pair
from kerasseg.layers.windows import Windows, may_be_equal, position_dtype


def argmax_to_flat(
    argmax, input_shape, pool_size=2, strides=None, padding="valid", convention="tensorflow"
):
    """Turns positions inside windows into flat indices into the map that was pooled.

    The result is what `tf.nn.max_pool_with_argmax` returns (`(row * width + column) * channels +
    channel`), or what `torch.nn.MaxPool2d(return_indices=True)` returns (`row * width + column`).
    TensorFlow's are those of `include_batch_in_index=False`.

    Args:
        argmax: `(batch, height, width, channels)`, from `MaxPoolingWithArgmax2D`.
        input_shape: `(batch, height, width, channels)` of the map that was pooled.
        pool_size, strides, padding: As in the pooling.
        convention: `"tensorflow"` or `"torch"`.

    Returns:
        Integers of the shape of `argmax`: int64, under JAX int32.

    Raises:
        ValueError: an unknown convention, or positions that are not those of such a pooling.

    Example:

    >>> argmax = np.array([[1, 2]]).reshape(1, 1, 2, 1)      # of windows of 2 x 2 in 2 x 4 pixels
    >>> ops.convert_to_numpy(argmax_to_flat(argmax, (1, 2, 4, 1))).ravel().tolist()
    [1, 6]
    """
    grid = WindowGrid(argmax, input_shape, pool_size, strides, padding, convention)
    argmax = ops.cast(argmax, grid.dtype)
    row = grid.first_rows + argmax // grid.window_width
    column = grid.first_columns + argmax % grid.window_width
    flat = row * grid.width + column
    return flat if convention == "torch" else flat * grid.channels + grid.channel


def argmax_from_flat(
    flat, input_shape, pool_size=2, strides=None, padding="valid", convention="tensorflow"
):
    """Turns flat indices into positions inside windows, as `MaxUnpooling2D` takes them.

    Args:
        flat: `(batch, height, width, channels)`, from `tf.nn.max_pool_with_argmax` or, with its
            channels moved last, from `torch.nn.MaxPool2d(return_indices=True)`.
        input_shape: `(batch, height, width, channels)` of the map that was pooled.
        pool_size, strides, padding: As in the pooling.
        convention: `"tensorflow"` or `"torch"`: whose indices they are.

    Returns:
        The positions, in the smallest unsigned integer type.

    Raises:
        ValueError: an unknown convention, or indices that are not those of such a pooling.

    Example:

    >>> flat = np.array([[1, 6]]).reshape(1, 1, 2, 1)
    >>> ops.convert_to_numpy(argmax_from_flat(flat, (1, 2, 4, 1))).ravel().tolist()
    [1, 2]
    """
    grid = WindowGrid(flat, input_shape, pool_size, strides, padding, convention)
    pixel = ops.cast(flat, grid.dtype)
    if convention == "tensorflow":
        pixel = pixel // grid.channels
    row = pixel // grid.width - grid.first_rows
    column = pixel % grid.width - grid.first_columns
    return ops.cast(row * grid.window_width + column, position_dtype(grid.windows))


class WindowGrid:
    """Where every window of a pooled map starts, as integers that broadcast against the map."""

    def __init__(self, pooled, input_shape, pool_size, strides, padding, convention):
        if convention not in ("tensorflow", "torch"):
            raise ValueError(
                f"`convention` must be 'tensorflow' or 'torch'. Received: convention={convention}"
            )
        if len(input_shape) != 4:
            raise ValueError(
                "`input_shape` must be (batch, height, width, channels) of the map that was "
                f"pooled. Received: input_shape={input_shape}"
            )
        _, _, self.width, self.channels = input_shape
        pool_size = standardize_pair(pool_size, "pool_size")
        strides = standardize_pair(pool_size if strides is None else strides, "strides")
        padding = standardize_padding(padding)
        self.windows = [Windows(*entry, padding) for entry in zip((1, 2), pool_size, strides)]
        self.window_width = pool_size[1]
        expected = [w.count(input_shape[w.axis]) for w in self.windows] + [self.channels]
        if not may_be_equal(pooled.shape[1:], expected):
            raise ValueError(
                f"Pooling a map of shape {tuple(input_shape)} gives (height, width, channels) = "
                f"{tuple(expected)}. Received: positions or indices of shape "
                f"{tuple(pooled.shape)}. Give the pooling's own pool_size, strides and padding."
            )
        self.dtype = "int32" if keras.backend.backend() == "jax" else "int64"
        rows, columns = (self._starts(w, input_shape[w.axis]) for w in self.windows)
        self.first_rows, self.first_columns = rows[:, None, None], columns[:, None]
        self.channel = ops.arange(self.channels, dtype=self.dtype)

    def _starts(self, w, length):
        return ops.arange(w.count(length), dtype=self.dtype) * w.stride - w.before(length)
