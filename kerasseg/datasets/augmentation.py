"""Random changes of a picture and its label map, together where they move pixels."""

import math

import tensorflow as tf

# The ranges at full strength.
SCALE = (0.75, 1.6)
ROTATION = math.radians(5)
BRIGHTNESS = 0.15
CONTRAST = 0.3
SATURATION = 0.4


def augment(image, target, seed, *, strength=1.0, void=255):
    """One random variant of a pair: flip, scale, crop and rotate both, recolour the image.

    Image and target are moved by the same matrix in one operation each, so they cannot come
    apart: the image bilinearly with a mirrored border, an integer target by nearest neighbour
    with `void` where nothing covers it. The colours change in the image alone.

    Args:
        image: float32 (height, width, channels) in [0, 1].
        target: A label map, integers (height, width), or an image like the first.
        seed: Two integers (a tensor of shape (2,)); equal seeds give equal variants.
        strength: From 0 to 1, how far to go in everything but the mirror, which left and right
            swap in half of the variants at any strength.
        void: The id of uncovered label pixels.

    Returns:
        `(image, target)` of the same shapes and dtypes.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    matrix = random_matrix(tf.shape(image), seeds[0], strength)
    if target.dtype.is_integer:
        target = move(target[..., None], matrix, "NEAREST", "CONSTANT", void)[..., 0]
        return recolour(move(image, matrix, "BILINEAR", "REFLECT"), seeds[1:], strength), target
    image, target = (move(x, matrix, "BILINEAR", "REFLECT") for x in (image, target))
    return image, target


def random_matrix(shape, seed, strength):
    """The eight numbers of a similarity around a random crop's centre, output to input pixels."""
    draw = tf.random.stateless_uniform((5,), seed)
    # Uniform in the logarithm: half as large is as likely as twice as large.
    zoom = tf.exp(strength * (math.log(SCALE[0]) + draw[0] * math.log(SCALE[1] / SCALE[0])))
    angle = (2 * draw[1] - 1) * strength * ROTATION
    mirror = tf.where(draw[2] < 0.5, -1.0, 1.0)
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    half = (tf.cast(shape[:2], tf.float32) - 1) / 2
    # Enlarged, the crop may lie anywhere inside the picture; shrunk, the picture inside the crop.
    room = half * tf.abs(1 - 1 / zoom)
    centre = half + (2 * draw[3:5] - 1) * room
    a, b, c, d = mirror * cos, -sin, mirror * sin, cos
    return tf.stack(
        [
            *(a, b, centre[1] - a * half[1] - b * half[0]),
            *(c, d, centre[0] - c * half[1] - d * half[0]),
            *(0.0, 0.0),
        ]
    )


def move(x, matrix, interpolation, fill_mode, fill_value=0):
    """`x` (height, width, channels) seen through the matrix, in its own dtype."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=x[None],
        transforms=matrix[None],
        output_shape=tf.shape(x)[:2],
        interpolation=interpolation,
        fill_mode=fill_mode,
        fill_value=tf.cast(fill_value, tf.float32),
    )
    return tf.ensure_shape(moved[0], x.shape)


def recolour(image, seeds, strength):
    """Brightness, contrast and, for colour images, saturation; clipped to [0, 1]."""
    if strength == 0:
        return image
    image = tf.image.stateless_random_brightness(image, strength * BRIGHTNESS, seeds[0])
    contrast, saturation = strength * CONTRAST, strength * SATURATION
    image = tf.image.stateless_random_contrast(image, 1 - contrast, 1 + contrast, seeds[1])
    if image.shape[-1] == 3:
        image = tf.image.stateless_random_saturation(
            image, 1 - saturation, 1 + saturation, seeds[2]
        )
    return tf.clip_by_value(image, 0.0, 1.0)
