"""Scores of images against what they should be: one score for each image, then the mean."""

import keras
import numpy as np
from keras import ops

from kerasseg.layers.arguments import spatial_axes, standardize_data_format
from kerasseg.layers.windows import may_be_equal

# The window of SSIM: Wang et al., section III.C
SSIM_SIZE, SSIM_SIGMA = 11, 1.5


class ImageMetric(keras.metrics.Metric):
    """What the scores of images share: one score an image, averaged over all images seen.

    Args:
        max_value: The largest value that a pixel can have; images lie in [0, max_value].
        name, dtype: As in every Keras metric.
    """

    _direction = "up"  # what Keras's callbacks look for when their mode is "auto"

    def __init__(self, max_value=1.0, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not max_value > 0:
            raise ValueError(f"`max_value` must be positive. Received: max_value={max_value}")
        self.max_value = float(max_value)
        self.total, self.count = (
            self.add_variable((), initializer="zeros", dtype="float32", name=name)
            for name in ("total", "count")
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = (ops.cast(x, "float32") for x in (y_true, y_pred))
        if not may_be_equal(y_true.shape, y_pred.shape):
            raise ValueError(
                "`y_true` and `y_pred` must be images of one shape. Received: "
                f"y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
            )
        scores = self.scores(y_true, y_pred)
        weights = image_weights(1.0 if sample_weight is None else sample_weight, scores)
        # An infinite score of no weight would be NaN.
        self.total.assign_add(ops.sum(ops.where(weights > 0, weights * scores, 0.0)))
        self.count.assign_add(ops.sum(weights))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "max_value": self.max_value}

    def scores(self, y_true, y_pred):
        """One score an image, (batch,), of float32 images."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="kerasseg")
class PSNR(ImageMetric):
    """Peak signal-to-noise ratio in decibels, `10 log10(max_value² / MSE)`: the higher the better.

    Computed for each image, then averaged over the images, as papers report it. (`keras.ops.psnr`
    and the book's notebook 6.1 treat a batch as one image, which gives a lower number.) An image
    without error has an infinite PSNR, and so has a mean that includes one. NaN before the first
    image.

    Args:
        max_value: The largest value that a pixel can have; images lie in [0, max_value].
        name, dtype: As in every Keras metric.

    Call with `y_true` and `y_pred` of one shape, (batch, ...): images in either data format, or
    flat ones. `sample_weight`, (batch,), says how often an image counts.

    Raises:
        ValueError: a `max_value` that is not positive; in a call, images of two shapes, or weights
            that are not one an image.

    Example: an error of 0.1 in each pixel is -20 dB of the range.

    >>> metric = PSNR()
    >>> metric.update_state(np.zeros((1, 2, 2, 3)), np.full((1, 2, 2, 3), 0.1))
    >>> round(float(metric.result()), 4)
    20.0
    """

    def __init__(self, max_value=1.0, name="psnr", dtype=None):
        super().__init__(max_value, name, dtype)

    def scores(self, y_true, y_pred):
        pixels = tuple(range(1, len(y_pred.shape)))
        error = ops.mean(ops.square(y_true / self.max_value - y_pred / self.max_value), axis=pixels)
        return -10 * ops.log10(error)


@keras.saving.register_keras_serializable(package="kerasseg")
class SSIM(ImageMetric):
    """Structural similarity: 1 for equal images, near 0 for unrelated ones, below 0 for inverted.

    Means, variances and the covariance under a Gaussian window of 11x11 pixels (sigma 1.5) that
    lies wholly in the image, with constants `0.01²` and `0.03²` for images in [0, 1]; the mean over
    windows and channels, then over images. NaN before the first image. (`keras.ops.image.ssim`
    can be off by 1e-4 where there is little contrast, since float32 rounds its sums; it leaves them
    to convolutions, which GPUs round further.) Wang, Bovik, Sheikh and Simoncelli, IEEE
    Transactions on Image Processing 13(4), 2004.

    Args:
        max_value: The largest value that a pixel can have; images lie in [0, max_value].
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name, dtype: As in every Keras metric.

    Call with `y_true` and `y_pred`, images of one shape, (batch, height, width, channels), at
    least 11x11 pixels. `sample_weight`, (batch,), says how often an image counts.

    Raises:
        ValueError: a `max_value` that is not positive, an unknown `data_format`; in a call, images
            of two shapes or smaller than the window, or weights that are not one an image.

    Example:

    >>> metric = SSIM()
    >>> metric.update_state(np.full((1, 11, 11, 3), 0.5), np.full((1, 11, 11, 3), 0.25))
    >>> round(float(metric.result()), 4)  # (2 * 0.5 * 0.25 + 1e-4) / (0.5² + 0.25² + 1e-4)
    0.8001
    """

    def __init__(self, max_value=1.0, data_format=None, name="ssim", dtype=None):
        super().__init__(max_value, name, dtype)
        self.data_format = standardize_data_format(data_format)

    def scores(self, y_true, y_pred):
        axes = spatial_axes(self.data_format)
        if any(y_pred.shape[a] is not None and y_pred.shape[a] < SSIM_SIZE for a in axes):
            raise ValueError(
                f"SSIM needs images of at least {SSIM_SIZE}x{SSIM_SIZE} pixels, its window. "
                f"Received: y_pred.shape={tuple(y_pred.shape)}, data_format={self.data_format}"
            )
        x, y = y_true / self.max_value, y_pred / self.max_value
        # Variances do not change with the origin; near their mean, squares round least.
        origin = ops.mean(x, axis=axes, keepdims=True)
        x, y = x - origin, y - origin
        mean_x, mean_y = gaussian_means(x, axes), gaussian_means(y, axes)
        variances = gaussian_means(x * x + y * y, axes) - mean_x * mean_x - mean_y * mean_y
        covariance = gaussian_means(x * y, axes) - mean_x * mean_y
        mean_x, mean_y = mean_x + origin, mean_y + origin
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        return ops.mean(luminance * structure, axis=(1, 2, 3))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


def gaussian_means(x, axes):
    """Means of `x` under the window of SSIM, wherever it lies wholly in the image."""
    distances = np.arange(SSIM_SIZE) - SSIM_SIZE // 2
    weights = np.exp(-np.square(distances / SSIM_SIGMA) / 2)
    for axis in axes:
        count = ops.shape(x)[axis] - SSIM_SIZE + 1
        before = (slice(None),) * axis
        x = sum(
            float(weight) * x[*before, start : start + count]
            for start, weight in enumerate(weights / weights.sum())
        )
    return x


def image_weights(sample_weight, scores):
    """`sample_weight` as float32 (batch,)."""
    weights = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    if any(n != 1 for n in weights.shape[1:]):
        raise ValueError(
            "`sample_weight` must have one weight an image, (batch,). "
            f"Received: sample_weight.shape={tuple(weights.shape)}"
        )
    return ops.broadcast_to(ops.reshape(weights, (-1,)), ops.shape(scores))
