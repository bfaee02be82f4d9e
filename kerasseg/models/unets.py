"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015)."""

from kerasseg.models.blocks import conv_block, scale_filters, scores
from kerasseg.models.classifiers import feature_maps
from kerasseg.models.formats import channel_axis, layers, spatial_shape
from kerasseg.models.segmentation import segmentation_model

STAGES = (64, 128, 256, 512)
BOTTLENECK = 1024
BEHIND_A_CLASSIFIER = (32, 64, 128, 256, 512)  # filters of the decoder at strides 1, 2, 4, 8, 16


def two_convs(x, filters, name, **arguments):
    x = conv_block(x, filters, f"{name}_conv1", **arguments)
    return conv_block(x, filters, f"{name}_conv2", **arguments)


def multiple(padding, encoder, **_):
    return None if padding == "valid" else 16 if encoder is None else 32


@segmentation_model(multiple)
def unet(
    image,
    num_classes,
    *,
    width=1.0,
    batch_norm=True,
    padding="same",
    dropout=0.5,
    encoder=None,
    encoder_weights=None,
    encoder_trainable=True,
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

    With an `encoder`, a classifier takes the place of the contracting path. The last of its maps
    with each stride is a skip; it is not padded for the next convolution. In ResNetV2 it lies
    inside the next residual block, whose first convolutions keep the stride. A stride that the
    classifier does not have has no skip: ConvNeXt has no map of stride 2, Xception none of 2 and 4.
    The preprocessing of the classifier is a part of the model: images stay in [0, 1].

    ```
    image                                                               decoder1   32 ─▶ scores
      encoder 1/2  ─────────────────────────────── skip ─▶ decoder2   64
        encoder 1/4  ────────────────────── skip ─▶ decoder3  128
          encoder 1/8  ───────────── skip ─▶ decoder4  256
            encoder 1/16  ─── skip ─▶ decoder5  512
                    encoder 1/32
    ```

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
        width: Scales every filter count, but those of an `encoder` that is a classifier.
        batch_norm: Whether to normalize after each 3x3 convolution, in place of its bias.
        padding: `"same"` or `"valid"`.
        dropout: Share of values dropped after the fourth stage and after the bottleneck.
        encoder: `None`, the name of a function in `keras.applications`, such as `"vgg16"`,
            `"resnet50"` or `"mobilenetv3small"`, or a `keras.Model` from there or of that kind,
            with its weights. All networks there work but `InceptionV3` and `InceptionResNetV2`,
            whose maps do not lie on each other; `NASNet` works as a model of a fixed size alone.
            Networks from there are recognized by the names of their layers. If your own model
            takes images from 0 to 255, it must begin with its preprocessing, such as a layer
            `Rescaling(1 / 255)`; otherwise it gets them in [0, 1], and a log line says so.
        encoder_weights: `None`, `"imagenet"`, the path of a `.keras` or `.h5` file, or a
            `keras.Model`, for an `encoder` that is a name. `EfficientNetB0` to `B7` take no `.h5`.
        encoder_trainable: Whether the `encoder` learns; see `kerasseg.models.unfreeze`. Layers of
            your own `encoder` that you have frozen stay frozen in any case.
        activation: Of the output; `None` gives logits. With `"softmax"` the matching loss is
            `kerasseg.losses.CrossEntropy(from_logits=False)`. So it is with `num_classes=1` and
            `"sigmoid"`, for label maps of 0 and 1; the metric is then
            `kerasseg.metrics.MeanIoU(2, from_logits=False)`.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`, or their `activation`; with
        `padding="valid"` they have 184 rows and columns fewer than the image, and with
        `channels_first` the channels are axis 1 of both.

    Raises:
        ValueError: an `input_shape`, a `num_classes`, a `padding` or another argument of which no
            model can be made; an `encoder` that is neither, or with maps of fewer than two strides;
            `encoder_weights` of another network.
        ConnectionError: `encoder_weights="imagenet"` where the download fails.
    """
    check_arguments(image, padding, encoder, encoder_weights, encoder_trainable)
    arguments = {"batch_norm": batch_norm, "use_bias": not batch_norm, "padding": padding}

    if encoder is None:
        filters, x, skips = STAGES, image, []
        for stage, count in enumerate(STAGES, start=1):
            x = two_convs(x, scale_filters(count, width), f"encoder{stage}", **arguments)
            if stage == 4:
                x = layers.Dropout(dropout, name=f"encoder{stage}_dropout")(x)
            skips.append(x)
            x = layers.MaxPooling2D(2, name=f"encoder{stage}_pool")(x)
        x = two_convs(x, scale_filters(BOTTLENECK, width), "bottleneck", **arguments)
    else:
        filters = BEHIND_A_CLASSIFIER
        maps = feature_maps(image, encoder, encoder_weights, encoder_trainable)
        deepest, x = maps.popitem()
        skips = [maps.get(2**stage) for stage in range(deepest.bit_length() - 1)]
    x = layers.Dropout(dropout, name="bottleneck_dropout")(x)

    for stage, skip in reversed(list(enumerate(skips, start=1))):
        x = layers.Conv2DTranspose(
            scale_filters(filters[stage - 1], width),
            2,
            strides=2,
            kernel_initializer="he_normal",
            name=f"decoder{stage}_up",
        )(x)
        if padding == "valid":
            skip = layers.CenterCropLike(name=f"decoder{stage}_crop")(skip, x)
        if skip is not None:
            x = layers.Concatenate(axis=channel_axis(), name=f"decoder{stage}_concat")([skip, x])
        x = two_convs(x, scale_filters(filters[stage - 1], width), f"decoder{stage}", **arguments)

    return scores(x, num_classes)


def check_arguments(image, padding, encoder, encoder_weights, encoder_trainable):
    if encoder is None and (encoder_weights is not None or not encoder_trainable):
        raise ValueError(
            "`encoder_weights` and `encoder_trainable=False` need an `encoder`. Received: "
            f"encoder=None, encoder_weights={encoder_weights!r}, "
            f"encoder_trainable={encoder_trainable}. Pass encoder='vgg16', say."
        )
    if encoder is not None and padding == "valid":
        raise ValueError(
            "`padding` must be 'same' with an `encoder`, whose convolutions pad. "
            "Received: padding='valid'"
        )
    check_padding(padding, tuple(image.shape[1:]))


def check_padding(padding, input_shape):
    if padding not in ("same", "valid"):
        raise ValueError(f"`padding` must be 'same' or 'valid'. Received: padding={padding!r}")
    sizes = [size for size in spatial_shape(input_shape) if size is not None]
    if padding == "valid" and any(size < 188 or size % 16 != 12 for size in sizes):
        fitting = [max(188, (size + 3) // 16 * 16 + 12) for size in sizes]
        raise ValueError(
            "With padding='valid' every height and width must be 16 k + 12 and at least 188, so "
            f"that each pooling divides evenly. Received: input_shape={input_shape}. "
            f"The next sizes that fit: {fitting}."
        )
