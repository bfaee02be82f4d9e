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
LITTLE = 0.1  # standard deviation of an image of little contrast, which all this would drown


def augment(image, target, seed, *, strength=1.0, void=255, size=None, flips=False, turns=False):
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
        size: `(height, width)` of the variant, which shows a part of the image at a random place;
            `None`: that of the image.
        flips: Whether half of the variants are upside down, too.
        turns: Whether variants are turned by any angle, not by a few degrees.

    Returns:
        `(image, target)` of the same dtypes; without a target, the image twice.

    Example:

    >>> image, labels = tf.zeros((2, 3, 3)), tf.constant([[0, 1, 2], [3, 4, 5]])
    >>> augment(image, labels, (0, 0), strength=0)[1].numpy()
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    matrix = random_matrix(tf.shape(image), seeds[0], strength, size, flips, turns)
    colours = strength * tf.random.stateless_uniform((4,), seeds[1], -1, 1)
    shape = tf.shape(image)[:2] if size is None else size
    words = tf.random.stateless_uniform(shape, seeds[2], None, None, tf.int32)
    known = image.shape.is_fully_defined()
    return (compiled_vary if known else vary)(image, target, matrix, colours, words, void, size)


def cut(image, target, seed, size, void=255):
    """A part of an image and of its target, of a size, at a random place.

    Where an image is smaller, it lies inside: the rest is its mirror image, and void.

    Example:

    >>> image, labels = tf.zeros((2, 3, 3)), tf.constant([[0, 1, 2], [3, 4, 5]])
    >>> cut(image, labels, (0, 0), (2, 2))[1].numpy()
    array([[1, 2],
           [4, 5]], dtype=int32)
    """
    room = tf.cast(tf.shape(image)[:2] - size, tf.float32)
    draw = tf.random.stateless_uniform((2,), seed)
    top, left = tf.unstack(tf.round(room * draw))
    matrix = tf.stack([1.0, 0.0, left, 0.0, 1.0, top])
    image, moved = move(image, target, matrix, void, size)
    return image, image if target is None else moved


def random_matrix(shape, seed, strength, size=None, flips=False, turns=False):
    """The six numbers of a similarity around a random crop's centre, output to input pixels."""
    draw = tf.random.stateless_uniform((5,), seed)
    # Uniform in the logarithm: half as large is as likely as twice as large.
    zoom = tf.exp(strength * (math.log(SCALE[0]) + draw[0] * math.log(SCALE[1] / SCALE[0])))
    angle = (2 * draw[1] - 1) * strength * ROTATION
    mirror = tf.where(draw[2] < 0.5, -1.0, 1.0)
    more = tf.random.stateless_uniform((2,), tf.random.experimental.stateless_fold_in(seed, 1))
    upside_down = tf.where(more[0] < 0.5, -1.0, 1.0) if flips else 1.0
    angle += 2 * math.pi * more[1] if turns else 0.0
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    half = (tf.cast(shape[:2], tf.float32) - 1) / 2
    half_out = half if size is None else (tf.cast(size, tf.float32) - 1) / 2
    # A crop that is smaller lies anywhere inside the image; in one that is larger lies the image.
    room = tf.abs(half - half_out / zoom)
    centre = half + (2 * draw[3:5] - 1) * room
    a, b, c, d = mirror * cos, -sin * upside_down, mirror * sin, cos * upside_down
    return tf.stack(
        [
            *(a, b, centre[1] - a * half_out[1] - b * half_out[0]),
            *(c, d, centre[0] - c * half_out[1] - d * half_out[0]),
        ]
    )


def vary(image, target, matrix, colours, words, void, size=None):
    """The variant that these random numbers stand for.

    `compiled_vary` is the same through XLA, for images of a known size. TensorFlow's own
    operations, `ImageProjectiveTransformV3` and `adjust_saturation`, compute the place of every
    pixel once per channel and convert to HSV and back, and are slower.
    """
    image, target = move(image, target, matrix, void, size)
    share = tf.minimum(1.0, contrast(image) / LITTLE)
    image = recolour(image, colours[:3], share)
    if target is None:
        return image, image
    return add_noise(image, share * colours[3], words), target


compiled_vary = tf.function(vary, jit_compile=True)


def move(image, target, matrix, void, size=None):
    """Image and target seen through the matrix, in their own dtypes, perhaps at another size."""
    height, width = tf.unstack(tf.shape(image)[:2]) if size is None else size
    x = tf.range(width, dtype=tf.float32)
    y = tf.range(height, dtype=tf.float32)[:, None]
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


def contrast(image):
    """The standard deviation of the pixels of an image, over all channels."""
    return tf.sqrt(tf.reduce_mean(tf.square(image - tf.reduce_mean(image, (0, 1)))))


def recolour(image, draw, share=1.0):
    """Contrast, brightness and, for colour images, saturation, each by a draw from [-1, 1].

    Of an image of little contrast, such as a dark micrograph, the brightness changes by a share, as
    it would be black otherwise.
    """
    mean = tf.reduce_mean(image, (0, 1))
    image += CONTRAST * draw[0] * (image - mean) + share * BRIGHTNESS * draw[1]
    if image.shape[-1] == 3:
        image += SATURATION * draw[2] * (image - tf.image.rgb_to_grayscale(image))
    return tf.clip_by_value(image, 0.0, 1.0)


def add_noise(image, draw, words):
    """Uniform noise of an amplitude up to `NOISE`, a byte of each pixel's word per channel."""
    steps = tf.cast(tf.bitcast(words, tf.uint8)[..., : image.shape[-1]], tf.float32) / 127.5 - 1
    return tf.clip_by_value(image + NOISE * draw * steps, 0.0, 1.0)
