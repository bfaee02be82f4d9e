"""FC-DenseNet, the One Hundred Layers Tiramisu (Jégou et al., 2017)."""

from kerasseg.models.blocks import scale_filters, scores
from kerasseg.models.formats import channel_axis, layers
from kerasseg.models.segmentation import segmentation_model

FIRST = 48


def bn_relu_conv(x, filters, name, dropout, kernel_size=3):
    x = layers.FusedBatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Conv2D(
        filters, kernel_size, padding="same", kernel_initializer="he_uniform", name=f"{name}_conv"
    )(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)


def concat(maps, name):
    if len(maps) == 1:
        return maps[0]
    return layers.Concatenate(axis=channel_axis(), name=name)(maps)


def dense_block(x, count, growth, dropout, name):
    """`count` layers, each of which sees all maps so far and adds `growth`; and the new ones."""
    new = []
    for i in range(1, count + 1):
        new.append(bn_relu_conv(x, growth, f"{name}_layer{i}", dropout))
        x = concat([x, new[-1]], f"{name}_concat{i}")
    return x, concat(new, f"{name}_new")


def fc_densenet(image, num_classes, width, dropout, *, encoder, bottleneck, growth):
    """The architecture that the three sizes share: `encoder` has the layers of each dense block."""
    growth = scale_filters(growth, width)
    skips = []

    x = layers.Conv2D(
        scale_filters(FIRST, width),
        3,
        padding="same",
        kernel_initializer="he_uniform",
        name="first_conv",
    )(image)
    for stage, count in enumerate(encoder, start=1):
        x, _ = dense_block(x, count, growth, dropout, f"encoder{stage}")
        skips.append(x)
        x = bn_relu_conv(x, x.shape[channel_axis()], f"encoder{stage}_down", dropout, kernel_size=1)
        x = layers.MaxPooling2D(2, name=f"encoder{stage}_pool")(x)

    _, new = dense_block(x, bottleneck, growth, dropout, "bottleneck")

    for stage, count in reversed(list(enumerate(encoder, start=1))):
        x = layers.Conv2DTranspose(
            new.shape[channel_axis()],
            3,
            strides=2,
            padding="same",
            kernel_initializer="he_uniform",
            name=f"decoder{stage}_up",
        )(new)
        x = concat([x, skips.pop()], f"decoder{stage}_concat")
        x, new = dense_block(x, count, growth, dropout, f"decoder{stage}")

    return scores(x, num_classes)


@segmentation_model(multiple=32)
def fc_densenet56(image, num_classes, *, width=1.0, dropout=0.2):
    """FC-DenseNet56: dense blocks on the way down and up, and only new maps on the way up.

    Paper: Jégou, Drozdzal, Vazquez, Romero, Bengio, "The One Hundred Layers Tiramisu: Fully
    Convolutional DenseNets for Semantic Segmentation", CVPR Workshops 2017, tables 1 and 2. Notes:
    the lecture on FC-DenseNet. Every layer of a dense block sees the maps of all layers before it
    and adds 12 of its own.

    ```
    first conv 48
    encoder1  4 layers   96  ───────────────────────────── skip ─▶ decoder1  4 layers  192 ─▶ scores
      encoder2  4 layers  144  ───────────────────── skip ─▶ decoder2  4 layers  240
        encoder3  4 layers  192  ───────────── skip ─▶ decoder3  4 layers  288
          encoder4  4 layers  240  ───── skip ─▶ decoder4  4 layers  336
            encoder5  4 layers  288  ─ skip ─▶ decoder5  4 layers  384
                    bottleneck  4 layers, 48 new maps
    ```

    An image of 224 x 224 pixels: encoder and decoder 224, 112, 56, 28, 14, the bottleneck 7.

    Faithful: a layer is batch normalization, ReLU, 3x3 convolution and dropout; each stage ends
    with a 1x1 convolution and 2x2 pooling; a 3x3 transposed convolution of stride 2 takes the new
    maps of the block below alone, the skip is laid behind it; He initialization, uniform, of all
    but the scores; a bias everywhere. 56 convolutions, 1,376,795 trainable parameters for three
    channels and 11 classes (the paper's table says 1.5 million), and the bottleneck sees 538
    pixels.

    Deviates: batch normalization uses moving averages outside training, where the authors use the
    statistics of the batch at hand, in the test too. Images are padded to a multiple of 32, and
    the logits cropped; the authors' poolings drop odd rows, and their skips a row more.

    Args:
        width: Scales the filters of the first convolution and the growth of the blocks.
        dropout: Share of values dropped after each convolution of a block.
    """
    return fc_densenet(
        image, num_classes, width, dropout, encoder=(4, 4, 4, 4, 4), bottleneck=4, growth=12
    )


@segmentation_model(multiple=32)
def fc_densenet67(image, num_classes, *, width=1.0, dropout=0.2):
    """FC-DenseNet67: `fc_densenet56` with five layers a block, each of which adds 16 maps.

    3,463,243 trainable parameters for three channels and 11 classes; the bottleneck sees 664
    pixels. The deviations are those of `fc_densenet56`.

    Args:
        width: Scales the filters of the first convolution and the growth of the blocks.
        dropout: Share of values dropped after each convolution of a block.
    """
    return fc_densenet(
        image, num_classes, width, dropout, encoder=(5, 5, 5, 5, 5), bottleneck=5, growth=16
    )


@segmentation_model(multiple=32)
def fc_densenet103(image, num_classes, *, width=1.0, dropout=0.2):
    """FC-DenseNet103: `fc_densenet56` with 4 to 15 layers a block, each of which adds 16 maps.

    ```
    encoder     4  5  7 10 12 layers      112  192  304  464  656 maps, with what came in
    bottleneck 15                         896
    decoder    12 10  7  5  4            1088  816  576  384  256
    ```

    9,322,091 trainable parameters for three channels and 11 classes, 9,425,163 with the moving
    averages, which the paper's 9.4 million counts; the bottleneck sees 1,622 pixels. The first
    step of `fit` takes long to compile, above all under XLA. The deviations are those of
    `fc_densenet56`.

    Args:
        width: Scales the filters of the first convolution and the growth of the blocks.
        dropout: Share of values dropped after each convolution of a block.
    """
    return fc_densenet(
        image, num_classes, width, dropout, encoder=(4, 5, 7, 10, 12), bottleneck=15, growth=16
    )
