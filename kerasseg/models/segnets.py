"""SegNet and SegNet-Basic (Badrinarayanan, Kendall and Cipolla, PAMI 2017)."""

from kerasseg.models.blocks import conv_block, scale_filters, scores
from kerasseg.models.formats import channel_axis, layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import STAGES, convs

# The decoder mirrors the encoder and narrows on the last convolution of a stage.
DECODER = ((64,), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))


@segmentation_model(encoder="vgg16")
def segnet(image, num_classes, *, width=1.0):
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
    normalization and ReLU, but for the last, which gives the scores; 2x2 poolings that keep a
    partial window at the border, 360 -> 180 -> 90 -> 45 -> 23 -> 12 rows, and unpoolings that
    return to exactly the size that was pooled. 29,449,355 trainable parameters for three channels
    and 11 classes.

    Deviates: batch normalization keeps moving averages, where the authors recompute the
    statistics over the training set after training.
    """
    x, pooled_away = image, []

    for stage in (1, 2, 3, 4, 5):
        x = before = convs(x, STAGES[stage - 1], f"encoder{stage}", width)
        x, argmax = layers.MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        pooled_away.append((argmax, before))

    for stage in (5, 4, 3, 2, 1):
        argmax, before = pooled_away.pop()
        unpool = layers.MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")
        x = unpool(x, argmax, like=before)
        x = convs(x, DECODER[stage - 1], f"decoder{stage}", width)

    return scores(x, num_classes, kernel_size=3)


@segmentation_model()
def segnet_basic(image, num_classes, *, width=1.0):
    """SegNet-Basic: four stages of one 7x7 convolution, for comparing decoders.

    Paper: Badrinarayanan, Kendall, Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder
    Architecture for Image Segmentation", PAMI 2017, section 3.1. Notes: the lecture on DeconvNet
    and SegNet.

    ```
    encoder1  64  ── argmax ─▶ decoder1  64  ─▶ scores
    encoder2  64  ── argmax ─▶ decoder2  64
    encoder3  64  ── argmax ─▶ decoder3  64
    encoder4  64  ── argmax ─▶ decoder4  64
    ```

    An image of 360 x 480 pixels: 180 x 240, 90 x 120, 45 x 60 and 23 x 30 after the poolings.

    Faithful: a local response normalization of the image, 0 to 255; 7x7 convolutions with batch
    normalization, followed by ReLU in the encoder and by nothing in the decoder; 2x2 poolings and
    unpoolings as in `segnet`; 1x1 scores. A position behind the last pooling sees 106 x 106 pixels.
    1,416,587 trainable parameters for three channels and 11 classes.

    Deviates: convolutions have biases, as in the authors' released net and against their paper.
    """
    filters = scale_filters(64, width)
    x = layers.Rescaling(255.0, name="rescaling")(image)
    x = layers.LocalResponseNormalization(name="normalization")(x)
    pooled_away = []

    for stage in (1, 2, 3, 4):
        x = before = conv_block(x, filters, f"encoder{stage}_conv", 7)
        x, argmax = layers.MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        pooled_away.append((argmax, before))

    for stage in (4, 3, 2, 1):
        argmax, before = pooled_away.pop()
        unpool = layers.MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")
        x = unpool(x, argmax, like=before)
        x = layers.Conv2D(filters, 7, padding="same", name=f"decoder{stage}_conv")(x)
        x = layers.FusedBatchNormalization(axis=channel_axis(), name=f"decoder{stage}_conv_bn")(x)

    return scores(x, num_classes)
