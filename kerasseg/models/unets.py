"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015)."""

import keras

from kerasseg.models.blocks import conv_block, scale_filters, score_head
from kerasseg.models.formats import channel_axis, in_data_format, layers, spatial_shape

STAGES = (64, 128, 256, 512)
BOTTLENECK = 1024


def two_convs(x, filters, name, **arguments):
    x = conv_block(x, filters, f"{name}_conv1", **arguments)
    return conv_block(x, filters, f"{name}_conv2", **arguments)


@in_data_format
def unet(
    input_shape,
    num_classes,
    *,
    width=1.0,
    batch_norm=True,
    padding="same",
    dropout=0.5,
    activation=None,
    data_format=None,
    name="unet",
):
    """U-Net: an encoder, a decoder, and a copy of each encoder map concatenated with the decoder's.

    Paper: Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image
    Segmentation", MICCAI 2015. Book: chapter 6, "Enhancing and Segmenting Images".

    ```
    encoder1   64  ─────────────────────────────── skip ─▶ decoder1   64 ─▶ scores
      encoder2  128  ────────────────────── skip ─▶ decoder2  128
        encoder3  256  ───────────── skip ─▶ decoder3  256
          encoder4  512  ──── skip ─▶ decoder4  512
                 bottleneck 1024
    ```

    An image of 256 x 256 pixels: encoder and decoder 256, 128, 64, 32, the bottleneck 16.

    Faithful: 23 convolutions, He initialization of all but the scores, dropout at the end of the
    contracting path, 2x2 up-convolutions, concatenation. 31,030,658 parameters for one input
    channel, two classes and `batch_norm=False`.

    Deviates: batch normalization after each 3x3 convolution, which then has no bias, since the
    paper's network is hard to train without it: 31,037,698 trainable parameters for three channels
    and two classes (`batch_norm=False` takes it out). `padding="same"`, so that the logits have the
    input's size. `padding="valid"` is the paper's rule: no padding at all, each skip cropped to the
    decoder's map, 572 -> 388 pixels; it needs sizes of 16 k + 12, from 188. Sizes that the model
    meets at run time, where `input_shape` has `None`, are not checked. The up-convolutions have no
    activation and the skip lies in front of their output; the authors' release has a ReLU behind
    them and the skip behind, which the paper does not say. They start with half of He's variance:
    Keras counts 4 taps of the output's channels as inputs, where a pixel sees one tap of twice as
    many.

    Args:
        input_shape: `(height, width, channels)`, height and width may be `None`.
        num_classes: Channels of the output.
        width: Scales every filter count.
        batch_norm: Whether to normalize after each 3x3 convolution, in place of its bias.
        padding: `"same"` or `"valid"`.
        dropout: Share of values dropped after the fourth stage and after the bottleneck.
        activation: Of the output; `None` gives logits. With `"softmax"` the matching loss is
            `kerasseg.losses.CrossEntropy(from_logits=False)`. So it is with `num_classes=1` and
            `"sigmoid"`, for label maps of 0 and 1; the metric is then
            `kerasseg.metrics.MeanIoU(2, from_logits=False)`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`.

    Raises:
        ValueError: an `input_shape`, a `num_classes` or a `width` of which no model can be made,
            or a `padding` that is unknown or does not fit the size.
    """
    check_padding(padding, input_shape)
    filters = [scale_filters(count, width) for count in STAGES]
    arguments = {"batch_norm": batch_norm, "use_bias": not batch_norm, "padding": padding}
    image = keras.Input(input_shape, name="image")
    skips = []

    x = layers.PadToMultiple(16, name="pad")(image) if padding == "same" else image
    for stage in (1, 2, 3, 4):
        x = two_convs(x, filters[stage - 1], f"encoder{stage}", **arguments)
        if stage == 4:
            x = layers.Dropout(dropout, name=f"encoder{stage}_dropout")(x)
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"encoder{stage}_pool")(x)

    x = two_convs(x, scale_filters(BOTTLENECK, width), "bottleneck", **arguments)
    x = layers.Dropout(dropout, name="bottleneck_dropout")(x)

    for stage in (4, 3, 2, 1):
        x = layers.Conv2DTranspose(
            filters[stage - 1],
            2,
            strides=2,
            kernel_initializer="he_normal",
            name=f"decoder{stage}_up",
        )(x)
        skip = skips.pop()
        if padding == "valid":
            skip = layers.CenterCropLike(name=f"decoder{stage}_crop")(skip, x)
        x = layers.Concatenate(axis=channel_axis(), name=f"decoder{stage}_concat")([skip, x])
        x = two_convs(x, filters[stage - 1], f"decoder{stage}", **arguments)

    like = image if padding == "same" else None
    logits = score_head(x, num_classes, like, activation=activation)
    return keras.Model(image, logits, name=name)


def check_padding(padding, input_shape):
    if padding not in ("same", "valid"):
        raise ValueError(f"`padding` must be 'same' or 'valid'. Received: padding={padding!r}")
    sizes = [size for size in spatial_shape(input_shape) if size is not None]
    if padding == "valid" and any(size < 188 or size % 16 != 12 for size in sizes):
        fitting = [max(188, (size + 3) // 16 * 16 + 12) for size in sizes]
        raise ValueError(
            "With padding='valid' every height and width must be 16 k + 12 and at least 188, so "
            f"that each pooling divides evenly. Received: input_shape={tuple(input_shape)}. "
            f"The next sizes that fit: {fitting}."
        )
