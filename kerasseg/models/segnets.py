"""SegNet (Badrinarayanan, Kendall and Cipolla, PAMI 2017)."""

import keras

from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from kerasseg.models.blocks import conv_block, in_data_format, scale_filters, score_head

# The encoder is VGG-16's. The decoder mirrors it and narrows on the last convolution of a stage.
ENCODER = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DECODER = ((64,), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))


def convs(x, stage_filters, width, name):
    for i, filters in enumerate(stage_filters, start=1):
        x = conv_block(x, scale_filters(filters, width), f"{name}_conv{i}")
    return x


@in_data_format
def segnet(
    input_shape, num_classes, *, width=1.0, activation=None, data_format=None, name="segnet"
):
    """SegNet: every decoder stage unpools with the argmax of its encoder stage.

    Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder
    Architecture for Image Segmentation", PAMI 2017. Notes: the lecture on DeconvNet and SegNet.

    ```
    encoder1  64  64         ── argmax ─▶ decoder1  64       ─▶ scores
    encoder2 128 128         ── argmax ─▶ decoder2 128  64
    encoder3 256 256 256     ── argmax ─▶ decoder3 256 256 128
    encoder4 512 512 512     ── argmax ─▶ decoder4 512 512 256
    encoder5 512 512 512     ── argmax ─▶ decoder5 512 512 512
    ```

    Faithful: 13 VGG-16 convolutions and their mirror image, all 3x3 with bias, batch
    normalisation and ReLU, but for the last, which gives the scores; 2x2 poolings that keep a
    partial window at the border, 360 -> 180 -> 90 -> 45 -> 23 -> 12 rows, and unpoolings that
    return to exactly the size that was pooled. 29,449,355 trainable parameters for three channels
    and 11 classes.

    Deviates: batch normalisation keeps moving averages, where the authors recompute the
    statistics over the training set after training.

    Args:
        input_shape: `(height, width, channels)`, height and width may be `None`.
        num_classes: Channels of the output.
        width: Scales every filter count.
        activation: Of the output, e.g. `"softmax"`; `None` gives logits.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`.
    """
    x = image = keras.Input(input_shape, name="image")
    pooled_away = []

    for stage in (1, 2, 3, 4, 5):
        x = before = convs(x, ENCODER[stage - 1], width, f"encoder{stage}")
        x, argmax = MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        pooled_away.append((argmax, before))

    for stage in (5, 4, 3, 2, 1):
        argmax, before = pooled_away.pop()
        x = MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")(x, argmax, like=before)
        x = convs(x, DECODER[stage - 1], width, f"decoder{stage}")

    return keras.Model(
        image, score_head(x, num_classes, kernel_size=3, activation=activation), name=name
    )
