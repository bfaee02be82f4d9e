"""DeepLab v1 (Chen, Papandreou, Kokkinos, Murphy and Yuille, ICLR 2015)."""

from kerasseg.models.blocks import enlarged, scores
from kerasseg.models.formats import layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import deeplab_vgg16, fully_connected


@segmentation_model(multiple=8, remainder=1, encoder="vgg16", top="decimated")
def deeplab_v1(image, num_classes, *, width=1.0, dropout=0.5):
    """DeepLab v1 (LargeFOV): VGG-16 without its last two strides, and a widely dilated fc6.

    Paper: Chen, Papandreou, Kokkinos, Murphy, Yuille, "Semantic Image Segmentation with Deep
    Convolutional Nets and Fully Connected CRFs", ICLR 2015, model DeepLab-LargeFOV. Book: chapter
    6, "dilated convolutions". Notes: the lecture's entry on DeepLab v1.

    ```
    image 8n + 1                  321
    encoder1  64  64      ─ pool  161
    encoder2 128 128      ─ pool   81
    encoder3 256 256 256  ─ pool   41
    encoder4 512 512 512  ─ pool   41
    encoder5 512 512 512  ─ pool   41    rate 2; 3x3 average
    fc6 1024 (3x3)                 41    rate 12
    fc7 1024 (1x1)                 41
    scores                         41  ─ enlarged by 8 ─▶
    ```

    Faithful: poolings of 3x3 with stride 2 and, the last two, 1; an average pooling of 3x3 that
    counts the zeros around the map, as Caffe does; 20,505,429 parameters for 21 classes. Corners
    are aligned when the scores are enlarged, as by the authors' Interp, which needs sizes of
    8n + 1: others are padded inside by reflection and cropped back. A position of fc7 sees 435
    pixels; the paper's table says 224, which follows from 8 * 24 + 32.

    Deviates: the loss belongs to the enlarged scores, where the authors shrink the labels. The
    dense CRF is a step of its own, `kerasseg.inference`. The paper's multi-scale form, with
    branches on the image and the first four poolings, is left out. With `encoder_weights` fc6 and
    fc7 take the taps 0, 3, 6 and every fourth filter of VGG-16's.

    Args:
        dropout: Share of values dropped after fc6 and fc7.
    """
    *_, x = deeplab_vgg16(image, width)
    x = layers.ZeroPadding2D(1, name="average_pad")(x)
    x = layers.AveragePooling2D(3, 1, name="average")(x)
    x = fully_connected(x, 1024, "fc6", 3, width, dropout, rate=12)
    x = fully_connected(x, 1024, "fc7", 1, width, dropout)
    return enlarged(scores(x, num_classes), image)
