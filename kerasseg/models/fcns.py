"""FCN-32s, 16s and 8s (Long, Shelhamer and Darrell, CVPR 2015)."""

from kerasseg.initializers import Bilinear
from kerasseg.models.formats import layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import fully_connected, vgg16

# Where the published networks start to crop: the scores of a stage, and the output.
STAGE_OFFSETS = {4: 5, 3: 9}
OUTPUT_OFFSETS = {32: 19, 16: 27, 8: 31}

fcn_model = segmentation_model(
    multiple=lambda padding, **_: 32 if padding == "same" else None, encoder="vgg16", top="whole"
)


def upsample(x, num_classes, factor, name, padding, trainable=True):
    """A transposed convolution that starts as bilinear upsampling."""
    return layers.Conv2DTranspose(
        num_classes,
        2 * factor,
        strides=factor,
        padding=padding,
        use_bias=False,
        kernel_initializer=Bilinear(),
        trainable=trainable,
        name=name,
    )(x)


def fcn(image, num_classes, skips, width, padding, dropout):
    """FCN that adds the scores of the stages `skips` on its way up."""
    if padding not in ("same", "paper"):
        raise ValueError(f"`padding` must be 'same' or 'paper'. Received: padding={padding!r}")
    is_paper = padding == "paper"
    padding = "valid" if is_paper else "same"  # of what follows the encoder
    # The paper's first convolution pads by 100, here by 99 and its own 1.
    x = layers.ZeroPadding2D(99, name="pad")(image) if is_paper else image

    *_, pool3, pool4, x = vgg16(x, width)
    x = fully_connected(x, 4096, "fc6", 7, width, dropout, padding=padding)
    x = fully_connected(x, 4096, "fc7", 1, width, dropout)
    x = layers.Conv2D(num_classes, 1, name="fc7_scores")(x)

    factor = 32
    for stage in skips:
        x = upsample(x, num_classes, 2, f"decoder{stage}_up", padding)
        # At first zero: the network starts as the coarser one.
        skip = layers.Conv2D(
            num_classes, 1, kernel_initializer="zeros", name=f"encoder{stage}_scores"
        )({3: pool3, 4: pool4}[stage])
        if is_paper:
            skip = layers.CropLike(STAGE_OFFSETS[stage], name=f"decoder{stage}_crop")(skip, x)
        x = layers.Add(name=f"decoder{stage}_sum")([x, skip])
        factor //= 2

    x = upsample(x, num_classes, factor, f"upsample{factor}", padding, trainable=False)
    return layers.CropLike(OUTPUT_OFFSETS[factor], name="crop")(x, image) if is_paper else x


@fcn_model
def fcn32s(image, num_classes, *, width=1.0, padding="same", dropout=0.5):
    """FCN-32s: a classifier turned into convolutions, its scores enlarged 32 times.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images". Deviations: those of `fcn8s`.

    ```
    encoder1 … encoder5  1/32 ─ fc6 4096 (7x7) ─ fc7 4096 ─ scores ─ x32 ─▶
    ```

    Args:
        width: Scales every filter count but that of the scores.
        padding: `"same"` or `"paper"`.
        dropout: Share of values dropped after fc6 and fc7.
    """
    return fcn(image, num_classes, (), width, padding, dropout)


@fcn_model
def fcn16s(image, num_classes, *, width=1.0, padding="same", dropout=0.5):
    """FCN-16s: FCN-32s that adds the scores of the fourth stage on its way up.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images". Deviations: those of `fcn8s`.

    ```
    encoder4  1/16 ─ scores ─────────────────────────────┐
    encoder5  1/32 ─ fc6 4096 ─ fc7 4096 ─ scores ─ x2 ─ + ─ x16 ─▶
    ```

    Args:
        width: Scales every filter count but that of the scores.
        padding: `"same"` or `"paper"`.
        dropout: Share of values dropped after fc6 and fc7.
    """
    return fcn(image, num_classes, (4,), width, padding, dropout)


@fcn_model
def fcn8s(image, num_classes, *, width=1.0, padding="same", dropout=0.5):
    """FCN-8s: FCN-32s that adds the scores of the fourth and third stage on its way up.

    Paper: Long, Shelhamer, Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
    2015. Book: chapter 6, "Enhancing and Segmenting Images".

    ```
    encoder3  1/8  ─ scores ───────────────────────────────────┐
    encoder4  1/16 ─ scores ─────────────────────────────┐     │
    encoder5  1/32 ─ fc6 4096 ─ fc7 4096 ─ scores ─ x2 ─ + ─ x2 ─ + ─ x8 ─▶
    ```

    An image of 224 x 224 pixels: poolings 112, 56, 28, 14, 7; fc6 and fc7 7; sums 14 and 28.

    Faithful: VGG-16 with fc6 (7x7) and fc7 as convolutions, ReLU and dropout; skips that start at
    zero and are summed; transposed convolutions over all classes without bias, which start as
    bilinear upsampling, the last of which stays so (section 4.3). 134,489,759 parameters for 21
    classes. The skips are not scaled, as in the networks that the authors trained stage by stage.

    Deviates: the scores of fc7 start at random, where the paper has zeros but found no difference:
    with zeros no gradient would reach the encoder at first. `padding="same"` pads every convolution
    evenly, fc6 too, and the image by reflection to a multiple of 32, so that all maps lie exactly
    on each other and small images stay small. `padding="paper"` is the published rule: 100 pixels
    of zeros around the image, a fc6 without padding, poolings that round up, and crops at the fixed
    offsets 5, 9 and 31 (27 and 19 for FCN-16s and 32s); 500 -> 349, 175, 88, 44, 22 -> fc6 16 ->
    sums 34 and 70 -> 568 -> 500 pixels.
    Both have the same weights. Without `encoder_weights` the convolutions start from He's
    initialization; the paper always starts from a trained classifier.

    Args:
        width: Scales every filter count but that of the scores.
        padding: `"same"` or `"paper"`.
        dropout: Share of values dropped after fc6 and fc7.
    """
    return fcn(image, num_classes, (4, 3), width, padding, dropout)
