"""DeconvNet (Noh, Hong and Han, ICCV 2015)."""

from kerasseg.models.blocks import conv_block, scale_filters, scores
from kerasseg.models.formats import layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import STAGES, convs

# The decoder mirrors the encoder and narrows on the last deconvolution of a stage.
DECODER = ((64, 64), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512))


def deconvs(x, stage_filters, width, name):
    for i, filters in enumerate(stage_filters, start=1):
        filters = scale_filters(filters, width)
        x = conv_block(x, filters, f"{name}_deconv{i}", convolution=layers.Conv2DTranspose)
    return x


@segmentation_model(encoder="vgg16")
def deconvnet(image, num_classes, *, width=1.0):
    """DeconvNet: a classifier, and its mirror image of unpoolings and transposed convolutions.

    Paper: Noh, Hong, Han, "Learning Deconvolution Network for Semantic Segmentation", ICCV 2015.
    Notes: the lecture on DeconvNet and SegNet.

    ```
    encoder1  64  64          224 ──── argmax ─▶ decoder1  64  64      ─▶ scores
    encoder2 128 128          112 ──── argmax ─▶ decoder2 128  64
    encoder3 256 256 256       56 ──── argmax ─▶ decoder3 256 256 128
    encoder4 512 512 512       28 ──── argmax ─▶ decoder4 512 512 256
    encoder5 512 512 512       14 ──── argmax ─▶ decoder5 512 512 512
                                7                 7
                    fc6 4096 (7x7)  1             fc6_deconv 512 (7x7)
                               fc7 4096 (1x1) ────┘
    ```

    Faithful: 13 VGG-16 convolutions, fc6 and fc7, a 7x7 transposed convolution back to 512 maps,
    and 3x3 transposed convolutions behind every unpooling, all with batch normalization and ReLU
    and without dropout; 2x2 poolings whose argmax the unpoolings take. 251,805,653 trainable
    parameters for 21 classes. At 224 x 224 pixels fc6 and fc7 are one position, as in the paper.

    Deviates: the paper trains in two stages, on crops of single objects and then on proposals; here
    `fit` sees whole images once. Images may have other sizes. fc6 has no padding and fc6_deconv
    undoes it, so that a larger map of fc7 has a position for every 7x7 window of the fifth pooling;
    a smaller map, from an image below 224, is first mirrored up to 7 x 7 and cropped back. Poolings
    keep a partial window at the border and unpoolings return to the size that was pooled. The paper
    runs the network on 50 proposals of an image and keeps the largest score of each pixel; here it
    sees the whole image.
    """
    x, pooled_away = image, []

    for stage in (1, 2, 3, 4, 5):
        x = before = convs(x, STAGES[stage - 1], f"encoder{stage}", width)
        x, argmax = layers.MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        pooled_away.append((argmax, before))

    pool5 = x
    deep, wide = scale_filters(512, width), scale_filters(4096, width)
    x = layers.PadToMultiple(1, minimum=7, name="fc6_pad")(x)
    x = conv_block(x, wide, "fc6", 7, padding="valid")
    x = conv_block(x, wide, "fc7", 1)
    x = conv_block(x, deep, "fc6_deconv", 7, convolution=layers.Conv2DTranspose, padding="valid")
    x = layers.CenterCropLike(name="fc6_crop")(x, pool5)

    for stage in (5, 4, 3, 2, 1):
        argmax, before = pooled_away.pop()
        unpool = layers.MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")
        x = unpool(x, argmax, like=before)
        x = deconvs(x, DECODER[stage - 1], width, f"decoder{stage}")

    return scores(x, num_classes)
