"""DeepLab v2 (Chen, Papandreou, Kokkinos, Murphy and Yuille, PAMI 2018)."""

from kerasseg.models.blocks import enlarged
from kerasseg.models.formats import layers
from kerasseg.models.resnets import resnet
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import deeplab_vgg16, fully_connected

RATES = (6, 12, 18, 24)


def vgg_scores(x, num_classes, rate, width):
    """fc6, fc7 and fc8 of VGG-16, narrower and as convolutions, fc6 at a rate."""
    x = fully_connected(x, 1024, f"fc6_rate{rate}", 3, width, rate=rate)
    x = fully_connected(x, 1024, f"fc7_rate{rate}", width=width)
    return layers.Conv2D(num_classes, 1, name=f"scores_rate{rate}")(x)


def resnet_scores(x, num_classes, rate):
    return layers.AtrousConv2D(num_classes, 3, rate, padding="same", name=f"scores_rate{rate}")(x)


@segmentation_model(multiple=8, remainder=1, encoder=("vgg16", "resnet101"))
def deeplab_v2(image, num_classes, *, width=1.0, encoder="vgg16"):
    """DeepLab v2: four classifiers look at one map at four rates, and their scores are summed.

    Paper: Chen, Papandreou, Kokkinos, Murphy, Yuille, "DeepLab: Semantic Image Segmentation with
    Deep Convolutional Nets, Atrous Convolution, and Fully Connected CRFs", PAMI 2018, figure 7.
    Notes: the lecture's entry on DeepLab v2, which takes over several rates from DilatedNet.

    ```
    image 8n + 1                          VGG-16                      ResNet-101
                               ┌─ 3x3 rate 6   1024 ─ 1024 ─ scores   3x3 rate 6   scores ─┐
    encoder 1/8, 512 or 2048 ──┼─ 3x3 rate 12  1024 ─ 1024 ─ scores   3x3 rate 12  scores ─┼─ sum
                               ├─ 3x3 rate 18  1024 ─ 1024 ─ scores   3x3 rate 18  scores ─┤
                               └─ 3x3 rate 24  1024 ─ 1024 ─ scores   3x3 rate 24  scores ─┘
    ```

    An image of 321 x 321 pixels: 161 and 81 rows in front, then 41 up to the sum, which is
    enlarged by 8.

    Faithful: ASPP-L. VGG-16 with poolings of 3x3, the last two of stride 1, conv5 at rate 2, and
    dropout 0.5 behind fc6 and fc7; ResNet-101 with rates 2 and 4 in conv4 and conv5 instead of
    strides, its classifiers without normalization or ReLU; corners aligned when the scores are
    enlarged, as by Caffe's Interp, which needs sizes of 8n + 1: others are padded inside by
    reflection and cropped back. For 21 classes VGG-16 has 37,877,652 parameters, as
    counted from the authors' release; the paper names no number.

    Deviates: ResNet-101 is that of `keras.applications`, whose weights fit: it has biases in front
    of the normalizations, without which 44,048,532 parameters are trainable for 21 classes. Batch
    normalization is not frozen. The paper's inputs at three scales are not part of the model.

    Args:
        encoder: `"vgg16"` or `"resnet101"`.
    """
    if encoder == "vgg16":
        *_, x = deeplab_vgg16(image, width)
        branches = [vgg_scores(x, num_classes, rate, width) for rate in RATES]
    else:
        *_, x = resnet(image, encoder, output_stride=8, width=width)
        branches = [resnet_scores(x, num_classes, rate) for rate in RATES]
    return enlarged(layers.Add(name="scores")(branches), image)
