"""ResNet-50 and ResNet-101 as encoders (He, Zhang, Ren and Sun, CVPR 2016)."""

from kerasseg.models.blocks import scale_filters
from kerasseg.models.formats import channel_axis, layers

BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
FILTERS = (64, 128, 256, 512)


def conv_bn(x, filters, kernel_size, name, layer=None, **arguments):
    """A convolution with bias, and batch normalization: `name_conv`, `name_bn`."""
    layer = layers.Conv2D if layer is None else layer
    x = layer(filters, kernel_size, name=f"{name}_conv", **arguments)(x)
    normalize = layers.FusedBatchNormalization(
        axis=channel_axis(), epsilon=1.001e-5, name=f"{name}_bn"
    )
    return normalize(x)


def bottleneck(x, narrow, wide, stride, rate, first, name):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut, itself a convolution in the first block."""
    shortcut = conv_bn(x, wide, 1, f"{name}_0", strides=stride) if first else x
    x = conv_bn(x, narrow, 1, f"{name}_1", strides=stride)
    x = layers.ReLU(name=f"{name}_1_relu")(x)
    # Of one class at every rate: weights files, which name classes, then fit all output strides.
    x = conv_bn(x, narrow, 3, f"{name}_2", layers.AtrousConv2D, rate=rate, padding="same")
    x = layers.ReLU(name=f"{name}_2_relu")(x)
    x = conv_bn(x, wide, 1, f"{name}_3")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)


def resnet(x, encoder="resnet50", output_stride=32, multi_grid=(1, 1, 1), width=1.0):
    """The convolutional part of a ResNet, whose last strides may be turned into rates.

    Paper: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1, whose
    names the layers have. Strides turned into rates: Chen et al. 2017, section 3.1.

    ```
    stage               output stride 32   16           8
    conv1  7x7 64         1/2              1/2          1/2
    conv2  3 x 256        1/4              1/4          1/4
    conv3  4 x 512        1/8              1/8          1/8
    conv4  6 x 1024       1/16             1/16         1/8, rate 2
    conv5  3 x 2048       1/32             1/16, rate 2 1/8, rate 4
    ```

    ResNet-101 has 23 blocks in conv4. The blocks of conv5 multiply their rate by `multi_grid`.
    Without it, the map at output stride 8 or 16 holds the one at 32 on every fourth or second
    row and column: a rate looks at the same pixels as a stride, only more often.

    Structure, names and numbers are those of `keras.applications`, so that its weights fit: biases
    in front of the normalizations, the stride on a block's first convolution, explicit padding. Row
    `i` of a map at output stride `s` looks at the image around row `s * i`; in an image of `s * n +
    1` rows the first and last look at the image's first and last. Give it such sizes, as this
    package's networks do: on the CPU TensorFlow's gradient of a 1x1 convolution of stride 2 writes
    out of bounds (in oneDNN) where a map of fewer than 16 channels, from `width` below 0.25, has an
    even height or width.

    Args:
        x: Map `(batch, height, width, channels)`, any size.
        encoder: `"resnet50"` or `"resnet101"`.
        output_stride: 8, 16 or 32.
        multi_grid: Three factors, one for each block of conv5.
        width: Scales every filter count.

    Returns:
        The four maps that leave conv2, conv3, conv4 and conv5.
    """
    check_resnet(encoder, output_stride)
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = conv_bn(x, scale_filters(64, width), 7, "conv1", strides=2)
    x = layers.ReLU(name="conv1_relu")(x)
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(x)

    maps, reached, rate = [], 4, 1
    for stage, (blocks, count) in enumerate(zip(BLOCKS[encoder], FILTERS), start=2):
        stride = 1 if stage == 2 else 2
        if reached * stride > output_stride:
            stride, rate = 1, rate * stride
        reached *= stride
        grid = multi_grid if stage == 5 else (1,) * blocks
        for block, factor in enumerate(grid, start=1):
            x = bottleneck(
                x,
                scale_filters(count, width),
                scale_filters(4 * count, width),
                stride if block == 1 else 1,
                rate * factor,
                first=block == 1,
                name=f"conv{stage}_block{block}",
            )
        maps.append(x)
    return maps


def check_resnet(encoder, output_stride):
    if encoder not in BLOCKS:
        raise ValueError(f"`encoder` must be one of {list(BLOCKS)}. Received: encoder={encoder!r}")
    if output_stride not in (8, 16, 32):
        raise ValueError(
            f"`output_stride` must be 8, 16 or 32. Received: output_stride={output_stride}"
        )


def names_in(model):
    """`{name: name}` of the layers of a model's ResNet: those of `keras.applications` are equal."""
    return {x.name: x.name for x in model.layers if x.name.startswith("conv") and x.weights}
