"""PSPNet (Zhao, Shi, Qi, Wang and Jia, CVPR 2017)."""

from kerasseg.models.blocks import conv_block, enlarged, scale_filters
from kerasseg.models.formats import layers
from kerasseg.models.resnets import resnet
from kerasseg.models.segmentation import segmentation_model


def head(x, filters, num_classes, dropout, name):
    """A 3x3 convolution, then the scores."""
    x = conv_block(x, filters, f"{name}_conv", use_bias=False)
    x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return layers.Conv2D(num_classes, 1, name=f"{name}_scores")(x)


@segmentation_model(multiple=8, remainder=1, encoder=("resnet50", "resnet101"))
def pspnet(image, num_classes, *, width=1.0, encoder="resnet50", auxiliary=False):
    """PSPNet: every pixel is classified together with the averages of the regions around it.

    Paper: Zhao, Shi, Qi, Wang, Jia, "Pyramid Scene Parsing Network", CVPR 2017, figure 3. Notes:
    the lecture's entry on PSPNet: receptive fields in theory and in effect.

    ```
    image 8n + 1                    ┌───────────── 2048 ─────────────┐
    conv1, conv2      1/4           ├─ 1 x 1 averages ─── 512 ─ up ──┤
    conv3       512   1/8           ├─ 2 x 2 averages ─── 512 ─ up ──┤
    conv4      1024   1/8, rate 2   ├─ 3 x 3 averages ─── 512 ─ up ──┼─ 4096 ─ head 512 ─ scores
    conv5      2048   1/8, rate 4 ──┴─ 6 x 6 averages ─── 512 ─ up ──┘         enlarged by 8
    ```

    An image of 473 x 473 pixels: conv3 to the scores 60 x 60.

    Faithful: a ResNet at output stride 8; the pyramid and its 4096 channels; a 3x3 convolution of
    512 with batch normalization, ReLU and dropout 0.1; corners aligned when a bin or the scores are
    enlarged, as the authors' Interp does, which needs sizes of 8n + 1: others are padded inside by
    reflection and cropped back. `auxiliary` adds the paper's second head behind conv4.

    Deviates: the encoder is that of `keras.applications`, whose weights fit: a 7x7 stem where the
    authors have three 3x3 convolutions (of 64, 64, 128), biases in front of the normalizations, and
    strides on the 1x1 convolutions, which the authors' ResNet-101 has on the 3x3.
    Without these biases 46,592,597 trainable parameters for 21 classes, 65,584,725 with ResNet-101.
    The windows are PyTorch's, so that the map may have any size. The head's normalizations have
    Keras's epsilon, 0.001. Train with batches of at least two: the mean of one image has no
    variance to be normalized by.

    Args:
        encoder: `"resnet50"` or `"resnet101"`.
        auxiliary: Whether the model has a second output, `auxiliary_logits`. The paper weighs its
            loss by 0.4 and drops it after training.

    Returns:
        A `keras.Model` from images in [0, 1], `(batch, height, width, channels)`, to float32
        logits `(batch, height, width, num_classes)`; with `auxiliary` to a list of two such.

    Example:

    >>> model = pspnet((None, None, 3), 21, width=0.125, auxiliary=True)
    >>> losses = [kerasseg.losses.CrossEntropy(), kerasseg.losses.CrossEntropy()]
    >>> model.compile("sgd", losses, loss_weights=[1.0, 0.4])
    >>> # model.fit(images, [labels, labels])        both outputs learn from the same labels
    >>> trained = keras.Model(model.input, model.outputs[0])
    >>> trained.output_shape
    (None, None, None, 21)
    """
    *_, conv4, conv5 = resnet(image, encoder, output_stride=8, width=width)
    x = layers.PyramidPooling((1, 2, 3, 6), scale_filters(512, width), name="pyramid")(conv5)
    scores = enlarged(head(x, scale_filters(512, width), num_classes, 0.1, "head"), image)
    if not auxiliary:
        return scores
    x = head(conv4, scale_filters(256, width), num_classes, 0.1, "auxiliary")
    return [scores, enlarged(x, image, "auxiliary_enlarge")]
