"""DeepLab v3 (Chen, Papandreou, Schroff and Adam, 2017)."""

import keras

from kerasseg.models.blocks import enlarge_scores, scale_filters
from kerasseg.models.formats import in_data_format, layers
from kerasseg.models.pretrained import encoder_input
from kerasseg.models.resnets import load_resnet, resnet

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}


@in_data_format
def deeplab_v3(
    input_shape,
    num_classes,
    *,
    width=1.0,
    encoder="resnet50",
    output_stride=16,
    encoder_weights=None,
    activation=None,
    data_format=None,
    name="deeplab_v3",
):
    """DeepLab v3: several rates side by side, and the mean of the whole image.

    Paper: Chen, Papandreou, Schroff, Adam, "Rethinking Atrous Convolution for Semantic Image
    Segmentation", 2017, figure 5. Notes: the lecture's entries on DeepLab v2 and v3.

    ```
    image 16n + 1                          ┌─ 1x1 ──────────── 256 ─┐
    conv1, conv2      1/4                  ├─ 3x3, rate 6 ──── 256 ─┤
    conv3       512   1/8                  ├─ 3x3, rate 12 ─── 256 ─┼─ 1280 ─ 1x1 256 ─ scores
    conv4      1024   1/16                 ├─ 3x3, rate 18 ─── 256 ─┤           enlarged by 16
    conv5      2048   1/16, rates 2 4 8  ──┴─ mean of the map  256 ─┘
    ```

    An image of 513 x 513 pixels: conv4 to the scores 33 x 33 at output stride 16, 65 x 65 at 8.

    Faithful: output stride 16, or 8 with the rates of conv4 and conv5 and of the pyramid doubled;
    Multi-Grid (1, 2, 4) over the three blocks of conv5; five branches of 256 with batch
    normalization and ReLU, their concatenation through a 1x1 convolution of 256, dropout 0.1 as in
    the authors' code; corners aligned when the scores are enlarged, also as in their code, which
    needs sizes of 16n + 1 or 8n + 1: others are padded inside by reflection and cropped back. Both
    strides have the same weights, so a network trained at 16 can be trained further at 8, as in the
    paper, if its other arguments are the same.

    Deviates: the paper's cascade of further blocks, its weaker form, is left out. The encoder is
    that of `keras.applications`, whose weights fit: a 7x7 stem where the authors' code has three
    3x3 convolutions, the stride on a block's first convolution, and biases in front of the
    normalizations. Without these biases 39,048,533 trainable parameters for 21 classes, 58,040,661
    with ResNet-101. The normalizations of the pyramid have Keras's momentum and epsilon, 0.99 and
    0.001, where the paper has 0.9997 and 0.00001. Train with batches of at least two: the mean of
    one image has no variance to be normalized by.

    Args:
        input_shape: `(height, width, channels)`, height and width may be `None`.
        num_classes: Channels of the output.
        width: Scales every filter count.
        encoder: `"resnet50"` or `"resnet101"`.
        output_stride: 16 or 8.
        encoder_weights: `None`, `"imagenet"`, a path or a `keras.Model`: weights of
            `keras.applications`.
        activation: Of the output; `None` gives logits. With `"softmax"` the matching loss is
            `kerasseg.losses.CrossEntropy(from_logits=False)`.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`.

    Raises:
        ValueError: an `input_shape`, a `num_classes` or a `width` of which no model can be made, an
            unknown `encoder` or `output_stride`, or `encoder_weights` that do not fit.
    """
    if output_stride not in RATES:
        raise ValueError(
            f"`output_stride` must be one of {list(RATES)}. Received: output_stride={output_stride}"
        )
    image = keras.Input(input_shape, name="image")
    x = encoder_input(image, encoder_weights, width)
    padded = layers.PadToMultiple(output_stride, remainder=1, name="pad")(x)
    *_, conv5 = resnet(padded, encoder, output_stride, multi_grid=(1, 2, 4), width=width)

    x = layers.AtrousSpatialPyramidPooling(
        scale_filters(256, width), RATES[output_stride], dropout=0.1, name="pyramid"
    )(conv5)
    x = layers.Conv2D(num_classes, 1, name="scores")(x)

    model = keras.Model(image, enlarge_scores(x, padded, image, activation), name=name)
    return load_resnet(model, encoder, encoder_weights)
