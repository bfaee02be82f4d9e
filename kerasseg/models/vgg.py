"""VGG-16, the encoder of the first segmentation networks (Simonyan and Zisserman, ICLR 2015)."""

from kerasseg.models.blocks import conv_block, scale_filters
from kerasseg.models.formats import layers

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

# Our layers, and those of keras.applications whose weights they can take.
CONVOLUTIONS = {
    f"encoder{stage}_conv{i}": f"block{stage}_conv{i}"
    for stage, filters in enumerate(STAGES, start=1)
    for i in range(1, len(filters) + 1)
}
FULLY_CONNECTED = {"fc6": "fc1", "fc7": "fc2"}


def convs(x, filters, name, width=1.0, **arguments):
    """One convolution after another: `name_conv1`, `name_conv2`, …; `arguments` of `conv_block`."""
    for i, count in enumerate(filters, start=1):
        x = conv_block(x, scale_filters(count, width), f"{name}_conv{i}", **arguments)
    return x


def vgg16(x, width=1.0, padding="same", pool_size=2, strides=(2, 2, 2, 2, 2), rates=(1,) * 5):
    """The 13 convolutions of VGG-16 and the poolings between them.

    ```
    encoder1   64  64         ─ pool ─  1/2
    encoder2  128 128         ─ pool ─  1/4
    encoder3  256 256 256     ─ pool ─  1/8
    encoder4  512 512 512     ─ pool ─  1/16
    encoder5  512 512 512     ─ pool ─  1/32
    ```

    Args:
        x: Map `(batch, height, width, channels)`.
        width: Scales every filter count.
        padding: Of the convolutions, `"same"` or `"valid"`. Poolings always keep a partial window
            at the border, as Caffe does.
        pool_size: Rows and columns of a pooling window.
        strides: Of the five poolings; `None` leaves one out.
        rates: Dilation of the convolutions of each stage.

    Returns:
        The five maps that leave the stages.
    """
    maps = []
    for stage, filters in enumerate(STAGES, start=1):
        x = convs(
            x,
            filters,
            f"encoder{stage}",
            width,
            batch_norm=False,
            padding=padding,
            rate=rates[stage - 1],
        )
        if strides[stage - 1] is not None:
            x = layers.MaxPooling2D(
                pool_size, strides[stage - 1], padding="same", name=f"encoder{stage}_pool"
            )(x)
        maps.append(x)
    return maps


def deeplab_vgg16(x, width):
    """VGG-16 as DeepLab v1 and v2 have it: poolings of 3x3, the last two strides turned into rates.

    ```
    encoder1 … encoder3  ─ pool, stride 2 ─  1/2, 1/4, 1/8
    encoder4             ─ pool, stride 1 ─  1/8
    encoder5, rate 2     ─ pool, stride 1 ─  1/8
    ```
    """
    return vgg16(x, width, pool_size=3, strides=(2, 2, 2, 1, 1), rates=(1, 1, 1, 1, 2))


def fully_connected(x, filters, name, kernel_size=1, width=1.0, dropout=0.5, **arguments):
    """A fully connected layer of VGG-16 as a convolution with ReLU, and dropout: `name`."""
    x = conv_block(
        x, scale_filters(filters, width), name, kernel_size, batch_norm=False, **arguments
    )
    return layers.Dropout(dropout, name=f"{name}_dropout")(x)
