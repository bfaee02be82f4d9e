"""Ways to damage images, so that a network can learn to restore them.

    from kerasseg import datasets, metrics, models
    from kerasseg.datasets import corruptions

    data = datasets.load("digits", corruption=corruptions.noise(0.4))
    model = models.dense_autoencoder(data.image_shape)
    model.compile("adam", "binary_crossentropy", metrics=[metrics.PSNR()])
    model.fit(data.train, validation_data=data.validation, epochs=10)

Each function here returns a corruption: a function of images, float32 (batch, height, width,
channels) in [0, 1], and a seed, two integers, that gives images of the same shape, clipped to
[0, 1]. Any function of this kind can be passed to `load`, which applies it to the images and never
to the targets: differently in every epoch of the training images, always alike in the others. Two
different corruptions of one seed are independent, so that they can be combined.

Book: chapter 6, notebooks 6.2 (noise) and 6.3 (super-resolution). Lecture notes: missing content,
smart upscaling, grey to colour, night to day, sketch to image.
"""

import numpy as np
import tensorflow as tf

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
ERASED_PATCHES, NIGHT = 1, 2  # make of one seed one for each corruption; noise takes it as it is


def noise(sigma=(0.3, 0.6)):
    """Gaussian noise.

    Args:
        sigma: Standard deviation, where the image goes from 0 to 1; a pair is a range, from which
            each image draws its own, as in the book's notebook 6.2 (the default).

    Raises:
        ValueError: a negative `sigma`, or a range whose larger end comes first.

    Example:

    >>> float(noise(0)(tf.fill((1, 2, 3, 1), 0.5), (0, 0))[0, 0, 0, 0])
    0.5
    """
    low, high = ordered_range("sigma", sigma, 0, float("inf"))

    def corrupt(images, seed):
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        deviation = draw(images, seeds[0], low, high)
        return clip(images + deviation * tf.random.stateless_normal(tf.shape(images), seeds[1]))

    return corrupt


def erased_patches(count=1, size=(0.2, 0.4), value=0.5):
    """Rectangles of one value, somewhere inside the image: content to be filled in.

    Args:
        count: Rectangles per image; they may overlap.
        size: Their height and width as shares of the image's; a pair is a range, from which each
            side of each rectangle is drawn.
        value: What they are filled with, from 0 (black) to 1 (white).

    Raises:
        ValueError: no rectangle, or a size that is not a share.

    Example:

    >>> erased_patches(size=0.5, value=1.0)(tf.zeros((1, 4, 2, 1)), (0, 0)).numpy().sum()
    np.float32(2.0)
    """
    low, high = ordered_range("size", size, 0, 1)
    if count < 1:
        raise ValueError(f"`count` must be at least 1. Received: count={count}")

    def corrupt(images, seed):
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        seed = tf.random.experimental.stateless_fold_in(seed, ERASED_PATCHES)
        draws = tf.random.stateless_uniform((4, batch, count, 1), seed)
        rows = covered(height, low + (high - low) * draws[0], draws[1])
        columns = covered(width, low + (high - low) * draws[2], draws[3])
        erased = tf.reduce_any(rows[..., :, None] & columns[..., None, :], axis=1)
        return tf.where(erased[..., None], tf.cast(value, images.dtype), images)

    return corrupt


def covered(length, share, place):
    """Which of `length` pixels a piece covers: its share of them, and its place between the ends.

    Args:
        length: A scalar.
        share, place: float32 (..., 1) in [0, 1]. A piece has at least one pixel.

    Returns:
        Booleans (..., length).
    """
    size = tf.maximum(tf.round(share * tf.cast(length, tf.float32)), 1)
    start = tf.floor(place * (tf.cast(length, tf.float32) - size + 1))
    pixel = tf.range(length, dtype=tf.float32)
    return (pixel >= start) & (pixel < start + size)


def downscaling(factor=4, method="bilinear"):
    """Shrinks by the mean over areas, and enlarges again: detail to be restored.

    The result is what `method` makes of the small image, the baseline that a network for
    super-resolution has to beat. The book shrinks without averaging, which leaves stairs at edges.

    Args:
        factor: How many times smaller, at least 1; sides are rounded up.
        method: "bilinear", "bicubic" or "nearest".

    Raises:
        ValueError: another method, or a factor below 1.

    Example:

    >>> image = tf.reshape([0.0, 0.5, 0.5, 1.0], (1, 2, 2, 1))
    >>> downscaling(2, "nearest")(image, (0, 0)).numpy().ravel()
    array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    methods = ("bilinear", "bicubic", "nearest")
    if method not in methods:
        raise ValueError(f"`method` must be one of {methods}. Received: method={method!r}")
    if factor < 1:
        raise ValueError(f"`factor` must be at least 1. Received: factor={factor}")

    def corrupt(images, seed):
        size = tf.shape(images)[1:3]
        small = tf.cast(tf.math.ceil(size / factor), tf.int32)
        shrunk = tf.image.resize(images, small, method="area")
        return clip(tf.image.resize(shrunk, size, method=method))

    return corrupt


def greying():
    """The brightness alone, in every channel: colour to be restored. Grey images do not change.

    Example:

    >>> greying()(tf.reshape([1.0, 0.0, 0.0], (1, 1, 1, 3)), (0, 0)).numpy().ravel()
    array([0.299, 0.299, 0.299], dtype=float32)
    """

    def corrupt(images, seed):
        return tf.broadcast_to(brightness(images), tf.shape(images))

    return corrupt


def night(exposure=(0.1, 0.3), sigma=0.05):
    """Little light, most of it blue, and a noisy sensor.

    Args:
        exposure: Share of the light that is left; a pair is a range, from which each image draws
            its own. Of red and green, 60 % and 75 % of that.
        sigma: Standard deviation of the noise.

    Raises:
        ValueError: an exposure that is not a share, or a negative `sigma`.

    Example:

    >>> night(exposure=0.5, sigma=0)(tf.ones((1, 1, 1, 3)), (0, 0)).numpy().ravel()
    array([0.3  , 0.375, 0.5  ], dtype=float32)
    """
    low, high = ordered_range("exposure", exposure, 0, 1)
    grain = noise(sigma)

    def corrupt(images, seed):
        seed = tf.random.experimental.stateless_fold_in(seed, NIGHT)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        tint = tf.constant([0.6, 0.75, 1.0]) if images.shape[-1] == 3 else 1.0
        return grain(images * tint * draw(images, seeds[0], low, high), seeds[1])

    return corrupt


def outlines(strength=2.0):
    """A drawing: dark lines on white where the brightness changes (Sobel), in every channel.

    Args:
        strength: What a step from black to white is multiplied by before it is cut off at black.

    Raises:
        ValueError: a strength of 0 or less.

    Example:

    >>> step = tf.reshape([0.0, 0.0, 0.0, 1.0, 1.0, 1.0] * 2, (1, 2, 6, 1))
    >>> outlines()(step, (0, 0)).numpy()[0, 0].ravel()
    array([1., 1., 0., 0., 1., 1.], dtype=float32)
    """
    if strength <= 0:
        raise ValueError(f"`strength` must be positive. Received: strength={strength}")

    def corrupt(images, seed):
        slope = tf.norm(tf.image.sobel_edges(brightness(images)) / 4, axis=-1)
        return tf.broadcast_to(clip(1 - strength * slope), tf.shape(images))

    return corrupt


def brightness(images):
    """(batch, height, width, 1) of colour or grey images."""
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(LUMA), axis=-1, keepdims=True)


def draw(images, seed, low, high):
    """One uniform number per image, (batch, 1, 1, 1)."""
    return tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed, low, high)


def clip(images):
    return tf.clip_by_value(images, 0.0, 1.0)


def ordered_range(name, value, least, most):
    """(low, high) of a number or of a pair."""
    low, high = np.broadcast_to(value, 2).tolist()
    if not least <= low <= high <= most:
        raise ValueError(
            f"`{name}` must be a number from {least} to {most}, or a pair of such numbers, the "
            f"smaller first. Received: {name}={value}"
        )
    return low, high
