"""Random changes of an image and its label map, together where they move pixels."""

import math

import tensorflow as tf

from kerasseg.layers.padding import mirror

# The ranges at full strength.
SCALE = (0.75, 1.6)
ROTATION = math.radians(5)
BRIGHTNESS = 0.15
CONTRAST = 0.3
SATURATION = 0.4
NOISE = 0.04


def augment(image, target, seed, *, strength=1.0, void=255):
    """One random variant of a pair: flip, scale, crop and rotate both, recolour the image.

    Both are read at the same places of the original, so they stay aligned: the image bilinearly
    with a mirrored border, an integer target at the nearest pixel, with `void` where nothing
    covers it. Colours and noise change in the image alone.

    Args:
        image: float32 (height, width, channels) in [0, 1].
        target: A label map, integers (height, width), or one map per channel, integers (height,
            width, channels); or depths, float32 (height, width, 1), which shrink as the image
            grows (Eigen et al. 2014, section 3.4); or `None`, where the variant is its own target
            and therefore gets no noise.
        seed: Two integers (a tensor of shape (2,)); equal seeds give equal variants.
        strength: From 0 to 1, how far to go in everything but the mirror: left and right are
            swapped in half of the variants at any strength.
        void: The id of uncovered label pixels.

    Returns:
        `(image, target)` of the same shapes and dtypes; without a target, the image twice.

    Example:

    >>> image, labels = tf.zeros((2, 3, 3)), tf.constant([[0, 1, 2], [3, 4, 5]])
    >>> augment(image, labels, (0, 0), strength=0)[1].numpy()
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    matrix = random_matrix(tf.shape(image), seeds[0], strength)
    colours = strength * tf.random.stateless_uniform((4,), seeds[1], -1, 1)
    words = tf.random.stateless_uniform(tf.shape(image)[:2], seeds[2], None, None, tf.int32)
    known = image.shape.is_fully_defined()
    return (compiled_vary if known else vary)(image, target, matrix, colours, words, void)


def random_matrix(shape, seed, strength):
    """The six numbers of a similarity around a random crop's centre, output to input pixels."""
    draw = tf.random.stateless_uniform((5,), seed)
    # Uniform in the logarithm: half as large is as likely as twice as large.
    zoom = tf.exp(strength * (math.log(SCALE[0]) + draw[0] * math.log(SCALE[1] / SCALE[0])))
    angle = (2 * draw[1] - 1) * strength * ROTATION
    mirror = tf.where(draw[2] < 0.5, -1.0, 1.0)
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    half = (tf.cast(shape[:2], tf.float32) - 1) / 2
    # Enlarged, the crop lies anywhere inside the image; shrunk, the image inside the crop.
    room = half * tf.abs(1 - 1 / zoom)
    centre = half + (2 * draw[3:5] - 1) * room
    a, b, c, d = mirror * cos, -sin, mirror * sin, cos
    return tf.stack(
        [
            *(a, b, centre[1] - a * half[1] - b * half[0]),
            *(c, d, centre[0] - c * half[1] - d * half[0]),
        ]
    )


def vary(image, target, matrix, colours, words, void):
    """The variant that these random numbers stand for.

    `compiled_vary` is the same through XLA, for images of a known size. TensorFlow's own
    operations, `ImageProjectiveTransformV3` and `adjust_saturation`, compute the place of every
    pixel once per channel and convert to HSV and back, and are slower.
    """
    image, target = move(image, target, matrix, void)
    image = recolour(image, colours[:3])
    if target is None:
        return image, image
    return add_noise(image, colours[3], words), target


compiled_vary = tf.function(vary, jit_compile=True)


def move(image, target, matrix, void):
    """Image and target seen through the matrix, in their own dtypes."""
    x = tf.range(tf.shape(image)[1], dtype=tf.float32)
    y = tf.range(tf.shape(image)[0], dtype=tf.float32)[:, None]
    a, b, c, d, e, f = tf.unstack(matrix)
    columns, rows = a * x + b * y + c, d * x + e * y + f
    image = bilinear(image, rows, columns)
    if target is None:
        return image, None
    if target.dtype.is_integer:
        return image, nearest(target, rows, columns, void)
    return image, tf.norm([a, d]) * bilinear(target, rows, columns)


def bilinear(image, rows, columns):
    """The image, (height, width, channels), at fractional places; mirrored beyond its border."""
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    upper = at(image, top, left) * (1 - right) + at(image, top, left + 1) * right
    lower = at(image, top + 1, left) * (1 - right) + at(image, top + 1, left + 1) * right
    return upper * (1 - down) + lower * down


def nearest(labels, rows, columns, void):
    """The label map at the pixels nearest to these places, one per channel; `void` outside."""
    rows, columns = tf.round(rows), tf.round(columns)
    height, width = (tf.cast(size, tf.float32) for size in tf.unstack(tf.shape(labels)[:2]))
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    if labels.shape.rank == 3:
        inside = inside[..., None]
    return tf.where(inside, at(labels, rows, columns), tf.cast(void, labels.dtype))


def at(pixels, rows, columns):
    """The values at whole rows and columns, counted in a mirror image beyond the border."""
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    in_one_row = tf.reshape(pixels, (-1, *pixels.shape[2:]))
    rows, columns = tf.cast(rows, tf.int32), tf.cast(columns, tf.int32)
    return tf.gather(in_one_row, mirror(rows, height) * width + mirror(columns, width))


def recolour(image, draw):
    """Contrast, brightness and, for colour images, saturation, each by a draw from [-1, 1]."""
    mean = tf.reduce_mean(image, (0, 1))
    image += CONTRAST * draw[0] * (image - mean) + BRIGHTNESS * draw[1]
    if image.shape[-1] == 3:
        image += SATURATION * draw[2] * (image - tf.image.rgb_to_grayscale(image))
    return tf.clip_by_value(image, 0.0, 1.0)


def add_noise(image, draw, words):
    """Uniform noise of an amplitude up to `NOISE`, a byte of each pixel's word per channel."""
    steps = tf.cast(tf.bitcast(words, tf.uint8)[..., : image.shape[-1]], tf.float32) / 127.5 - 1
    return tf.clip_by_value(image + NOISE * draw * steps, 0.0, 1.0)
