"""DeepLab v3 (Chen, Papandreou, Schroff and Adam, 2017)."""

from kerasseg.models.blocks import enlarged, scale_filters, scores
from kerasseg.models.formats import layers
from kerasseg.models.resnets import resnet
from kerasseg.models.segmentation import segmentation_model

RATES = {16: (6, 12, 18), 8: (12, 24, 36)}


@segmentation_model(
    lambda output_stride, **_: output_stride, remainder=1, encoder=("resnet50", "resnet101")
)
def deeplab_v3(image, num_classes, *, width=1.0, encoder="resnet50", output_stride=16):
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
        encoder: `"resnet50"` or `"resnet101"`.
        output_stride: 16 or 8.
    """
    if output_stride not in RATES:
        raise ValueError(
            f"`output_stride` must be one of {list(RATES)}. Received: output_stride={output_stride}"
        )
    *_, conv5 = resnet(image, encoder, output_stride, multi_grid=(1, 2, 4), width=width)

    x = layers.AtrousSpatialPyramidPooling(
        scale_filters(256, width), RATES[output_stride], dropout=0.1, name="pyramid"
    )(conv5)
    return enlarged(scores(x, num_classes), image)
