"""DeepLab v2 (Chen, Papandreou, Kokkinos, Murphy and Yuille, PAMI 2018)."""

import keras

from kerasseg.models.blocks import enlarge_scores
from kerasseg.models.formats import in_data_format, layers
from kerasseg.models.pretrained import encoder_input, load_encoder
from kerasseg.models.resnets import load_resnet, resnet
from kerasseg.models.vgg import CONVOLUTIONS, deeplab_vgg16, fully_connected

RATES = (6, 12, 18, 24)


def vgg_scores(x, num_classes, rate, width):
    """fc6, fc7 and fc8 of VGG-16, narrower and as convolutions, fc6 at a rate."""
    x = fully_connected(x, 1024, f"fc6_rate{rate}", 3, width, rate=rate)
    x = fully_connected(x, 1024, f"fc7_rate{rate}", width=width)
    return layers.Conv2D(num_classes, 1, name=f"scores_rate{rate}")(x)


def resnet_scores(x, num_classes, rate):
    return layers.AtrousConv2D(num_classes, 3, rate, padding="same", name=f"scores_rate{rate}")(x)


@in_data_format
def deeplab_v2(
    input_shape,
    num_classes,
    *,
    width=1.0,
    encoder="vgg16",
    encoder_weights=None,
    activation=None,
    data_format=None,
    name="deeplab_v2",
):
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
        input_shape: `(height, width, channels)`, height and width may be `None`.
        num_classes: Channels of the output.
        width: Scales every filter count.
        encoder: `"vgg16"` or `"resnet101"`.
        encoder_weights: `None`, `"imagenet"`, a path or a `keras.Model`: weights of
            `keras.applications`, for the encoder's convolutions.
        activation: Of the output; `None` gives logits. With `"softmax"` the matching loss is
            `kerasseg.losses.CrossEntropy(from_logits=False)`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`.

    Raises:
        ValueError: an `input_shape`, a `num_classes` or a `width` of which no model can be made, an
            unknown `encoder`, or `encoder_weights` that do not fit.
    """
    if encoder not in ("vgg16", "resnet101"):
        raise ValueError(f"`encoder` must be 'vgg16' or 'resnet101'. Received: encoder={encoder!r}")
    image = keras.Input(input_shape, name="image")
    x = encoder_input(image, encoder_weights, width)
    x = padded = layers.PadToMultiple(8, remainder=1, name="pad")(x)

    if encoder == "vgg16":
        *_, x = deeplab_vgg16(x, width)
        branches = [vgg_scores(x, num_classes, rate, width) for rate in RATES]
    else:
        *_, x = resnet(x, encoder, output_stride=8, width=width)
        branches = [resnet_scores(x, num_classes, rate) for rate in RATES]
    x = layers.Add(name="scores")(branches)

    model = keras.Model(image, enlarge_scores(x, padded, image, activation), name=name)
    if encoder == "vgg16":
        return load_encoder(model, encoder_weights, "VGG16", CONVOLUTIONS)
    return load_resnet(model, encoder, encoder_weights)
