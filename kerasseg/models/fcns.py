"""FCN-32s, 16s and 8s (Long, Shelhamer and Darrell, CVPR 2015)."""

import keras

from kerasseg.initializers import Bilinear
from kerasseg.models.blocks import output
from kerasseg.models.formats import in_data_format, layers
from kerasseg.models.pretrained import encoder_input, load_encoder
from kerasseg.models.vgg import CONVOLUTIONS, FULLY_CONNECTED, fully_connected, vgg16

# Where the published networks start to crop: the scores of a stage, and the output.
STAGE_OFFSETS = {4: 5, 3: 9}
OUTPUT_OFFSETS = {32: 19, 16: 27, 8: 31}


def upsample(x, num_classes, factor, name, padding, trainable=True):
    """A transposed convolution that starts as bilinear upsampling."""
    return layers.Conv2DTranspose(
        num_classes,
        2 * factor,
        strides=factor,
        padding=padding,
        use_bias=False,
        kernel_initializer=Bilinear(),
        trainable=trainable,
        name=name,
    )(x)


def fcn(
    input_shape,
    num_classes,
    *,
    skips,
    width,
    padding,
    encoder_weights,
    dropout,
    activation,
    name,
):
    """FCN that adds the scores of the stages `skips` on its way up."""
    if padding not in ("same", "paper"):
        raise ValueError(f"`padding` must be 'same' or 'paper'. Received: padding={padding!r}")
    is_paper = padding == "paper"
    padding = "valid" if is_paper else "same"  # of what follows the encoder
    image = keras.Input(input_shape, name="image")

    x = encoder_input(image, encoder_weights, width)
    # The paper's first convolution pads by 100, here by 99 and its own 1.
    pad = layers.ZeroPadding2D(99, name="pad") if is_paper else layers.PadToMultiple(32, name="pad")
    x = pad(x)
    *_, pool3, pool4, x = vgg16(x, width)
    x = fully_connected(x, 4096, "fc6", 7, width, dropout, padding=padding)
    x = fully_connected(x, 4096, "fc7", 1, width, dropout)
    x = layers.Conv2D(num_classes, 1, name="fc7_scores")(x)

    factor = 32
    for stage in skips:
        x = upsample(x, num_classes, 2, f"decoder{stage}_up", padding)
        # At first zero: the network starts as the coarser one.
        skip = layers.Conv2D(
            num_classes, 1, kernel_initializer="zeros", name=f"encoder{stage}_scores"
        )({3: pool3, 4: pool4}[stage])
        if is_paper:
            skip = layers.CropLike(STAGE_OFFSETS[stage], name=f"decoder{stage}_crop")(skip, x)
        x = layers.Add(name=f"decoder{stage}_sum")([x, skip])
        factor //= 2

    x = upsample(x, num_classes, factor, f"upsample{factor}", padding, trainable=False)
    if is_paper:
        x = layers.CropLike(OUTPUT_OFFSETS[factor], name="crop")(x, image)
    else:
        x = layers.CenterCropLike(name="crop")(x, image)
    model = keras.Model(image, output(x, activation), name=name)
    return load_encoder(model, encoder_weights, "VGG16", {**CONVOLUTIONS, **FULLY_CONNECTED})


@in_data_format
def fcn32s(
    input_shape,
    num_classes,
    *,
    width=1.0,
    padding="same",
    encoder_weights=None,
    dropout=0.5,
    activation=None,
    data_format=None,
    name="fcn32s",
):
    """FCN-32s: a classifier turned into convolutions, its scores enlarged 32 times.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images". Arguments, output and
    deviations are those of `fcn8s`.

    ```
    encoder1 … encoder5  1/32 ─ fc6 4096 (7x7) ─ fc7 4096 ─ scores ─ x32 ─▶
    ```

    Raises:
        ValueError: As `fcn8s`.
    """
    return fcn(
        input_shape,
        num_classes,
        skips=(),
        width=width,
        padding=padding,
        encoder_weights=encoder_weights,
        dropout=dropout,
        activation=activation,
        name=name,
    )


@in_data_format
def fcn16s(
    input_shape,
    num_classes,
    *,
    width=1.0,
    padding="same",
    encoder_weights=None,
    dropout=0.5,
    activation=None,
    data_format=None,
    name="fcn16s",
):
    """FCN-16s: FCN-32s that adds the scores of the fourth stage on its way up.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images". Arguments, output and
    deviations are those of `fcn8s`.

    ```
    encoder4  1/16 ─ scores ─────────────────────────────┐
    encoder5  1/32 ─ fc6 4096 ─ fc7 4096 ─ scores ─ x2 ─ + ─ x16 ─▶
    ```

    Raises:
        ValueError: As `fcn8s`.
    """
    return fcn(
        input_shape,
        num_classes,
        skips=(4,),
        width=width,
        padding=padding,
        encoder_weights=encoder_weights,
        dropout=dropout,
        activation=activation,
        name=name,
    )


@in_data_format
def fcn8s(
    input_shape,
    num_classes,
    *,
    width=1.0,
    padding="same",
    encoder_weights=None,
    dropout=0.5,
    activation=None,
    data_format=None,
    name="fcn8s",
):
    """FCN-8s: FCN-32s that adds the scores of the fourth and third stage on its way up.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images".

    ```
    encoder3  1/8  ─ scores ───────────────────────────────────┐
    encoder4  1/16 ─ scores ─────────────────────────────┐     │
    encoder5  1/32 ─ fc6 4096 ─ fc7 4096 ─ scores ─ x2 ─ + ─ x2 ─ + ─ x8 ─▶
    ```

    An image of 224 x 224 pixels: poolings 112, 56, 28, 14, 7; fc6 and fc7 7; sums 14 and 28.

    Faithful: VGG-16 with fc6 (7x7) and fc7 as convolutions, ReLU and dropout; skips that start at
    zero and are summed; transposed convolutions over all classes without bias, which start as
    bilinear upsampling, the last of which stays so (section 4.3). 134,489,759 parameters for 21
    classes. The skips are not scaled, as in the networks that the authors trained stage by stage.

    Deviates: the scores of fc7 start at random, where the paper has zeros but found no difference:
    with zeros no gradient would reach the encoder at first. `padding="same"` pads every convolution
    evenly, fc6 too, and the image by reflection to a multiple of 32, so that all maps lie exactly
    on each other and small images stay small. `padding="paper"` is the published rule: 100 pixels
    of zeros around the image, a fc6 without padding, poolings that round up, and crops at the fixed
    offsets 5, 9 and 31 (27 and 19 for FCN-16s and 32s); 500 -> 349, 175, 88, 44, 22 -> fc6 16 ->
    sums 34 and 70 -> 568 -> 500 pixels.
    Both have the same weights. Without `encoder_weights` the convolutions start from He's
    initialization; the paper always starts from a trained classifier.

    Args:
        input_shape: `(height, width, channels)`, height and width may be `None`.
        num_classes: Channels of the output.
        width: Scales every filter count but that of the scores.
        padding: `"same"` or `"paper"`.
        encoder_weights: `None`, `"imagenet"`, a path or a `keras.Model`: weights of
            `keras.applications.VGG16`, fully connected layers included.
        dropout: Share of values dropped after fc6 and fc7.
        activation: Of the output; `None` gives logits. With `"softmax"` the matching loss is
            `kerasseg.losses.CrossEntropy(from_logits=False)`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`.

    Raises:
        ValueError: an `input_shape`, a `num_classes` or a `width` of which no model can be made, an
            unknown `padding`, or `encoder_weights` that do not fit.
    """
    return fcn(
        input_shape,
        num_classes,
        skips=(4, 3),
        width=width,
        padding=padding,
        encoder_weights=encoder_weights,
        dropout=dropout,
        activation=activation,
        name=name,
    )
