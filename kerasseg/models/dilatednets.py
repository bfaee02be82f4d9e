"""DilatedNet (Yu and Koltun, ICLR 2016)."""

import keras
import numpy as np

from kerasseg.models.blocks import conv_block, scale_filters
from kerasseg.models.formats import layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import fully_connected, vgg16

# What the front end's convolutions take away on each side of the image.
MARGIN = 186
RATES = (1, 1, 2, 4, 8, 16, 1)
# Channels of each convolution of the context module, in multiples of the number of classes.
CONTEXTS = {
    "basic": (1, 1, 1, 1, 1, 1, 1),
    "large": (2, 2, 4, 8, 16, 32, 32),
}


@keras.saving.register_keras_serializable(package="kerasseg")
class IdentityConvolution(keras.initializers.RandomNormal):
    """Makes a convolution pass its input on, however many channels it has.

    Equations 4 and 5 of Yu and Koltun 2016: input and output channels are split into `classes`
    groups, and the middle tap leads from every input to every output of its group with the weight
    `classes / outputs`. From one channel a class to many and back the chain is an identity, for
    inputs that its ReLUs let through. All other weights are noise.

    Args:
        classes: Integer, the number of groups.
        noise: Standard deviation of the noise, relative to the weights that are not noise.
        seed: Optional integer that makes the noise repeatable.

    Example:

    >>> kernel = IdentityConvolution(classes=2)((1, 1, 2, 4))      # two channels, each to two
    >>> print(ops.convert_to_numpy(kernel)[0, 0])
    [[0.5 0.5 0.  0. ]
     [0.  0.  0.5 0.5]]
    """

    def __init__(self, classes, noise=0.0, seed=None):
        super().__init__(0.0, noise, seed)
        self.classes = classes

    def __call__(self, shape, dtype=None):
        rows, columns, inputs, outputs = shape
        group_in, group_out = (np.arange(n) * self.classes // n for n in (inputs, outputs))
        is_middle = np.zeros((rows, columns, 1, 1), bool)
        is_middle[rows // 2, columns // 2] = True
        passes_on = is_middle & (group_in[:, None] == group_out)
        noise = super().__call__(shape, dtype)
        return keras.ops.where(passes_on, 1.0, noise) * (self.classes / outputs)

    def get_config(self):
        return {"classes": self.classes, "noise": self.stddev, "seed": super().get_config()["seed"]}


def context_module(x, num_classes, multiples, noise, width):
    """Seven 3x3 convolutions with ReLU, ever wider apart, and a 1x1 convolution to the scores."""
    for i, (rate, multiple) in enumerate(zip(RATES, multiples), start=1):
        x = conv_block(
            x,
            scale_filters(multiple, width) * num_classes,
            f"context_conv{i}",
            batch_norm=False,
            rate=rate,
            kernel_initializer=IdentityConvolution(num_classes, noise),
        )
    initializer = IdentityConvolution(num_classes, noise)
    return layers.Conv2D(num_classes, 1, kernel_initializer=initializer, name="context_scores")(x)


@segmentation_model(multiple=8, encoder="vgg16", top="whole")
def dilatednet(image, num_classes, *, width=1.0, context="basic", dropout=0.5):
    """DilatedNet: VGG-16 with dilation for its last two poolings, and a module that adds context.

    Paper: Yu, Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", ICLR 2016. Book:
    chapter 6, "dilated convolutions". Notes: the lecture's entry on DilatedNet.

    ```
    image, mirrored by 186 on each side      528 -> 900
    encoder1  64  64      ─ pool             448
    encoder2 128 128      ─ pool             222
    encoder3 256 256 256  ─ pool             108
    encoder4 512 512 512                     102
    encoder5 512 512 512           rate 2     90
    fc6 4096 (7x7)                 rate 4     66
    fc7 4096 (1x1), scores                    66

    context              conv1 conv2 conv3 conv4 conv5 conv6 conv7 scores
      rate                   1     1     2     4     8    16     1      1
      "basic" channels       C     C     C     C     C     C     C      C
      "large" channels      2C    2C    4C    8C   16C   32C   32C      C
      sees                   3     5     9    17    33    65    67     67  ─ enlarged by 8 ─▶
    ```

    Faithful: no padding but the mirror in front; a position of fc7 sees 380 pixels; the context
    module starts as an identity (the large one with a little noise), since the paper found that it
    does not train from random weights. The front end has 134,346,581 parameters for 21 classes,
    141,149,720 with the large context, and 134,313,443 for 11 classes with the basic one.

    Deviates: any size, mirrored to a multiple of 8 and cropped back. The logits are enlarged,
    before any softmax, where the authors' `predict.py` enlarges the probabilities. The context
    module pads each convolution with zeros, as the released networks with the basic module do; the
    one with the large module pads its input once, by 33. Front end and context may be trained
    together, and the front end's scores start around one; the paper trains the front end first
    (`context=None`). With Adam take small steps, about 0.0001: after large ones the context's ReLUs
    let nothing through.

    Args:
        width: Scales every filter count, those of the context in whole multiples of `num_classes`.
        context: `"basic"`, `"large"` or `None`.
        dropout: Share of values dropped after fc6 and fc7.
    """
    if context not in (*CONTEXTS, None):
        raise ValueError(
            f"`context` must be 'basic', 'large' or None. Received: context={context!r}"
        )
    x = layers.ReflectionPadding2D(MARGIN, name="mirror")(image)
    *_, x = vgg16(x, width, "valid", strides=(2, 2, 2, None, None), rates=(1, 1, 1, 1, 2))
    x = fully_connected(x, 4096, "fc6", 7, width, dropout, padding="valid", rate=4)
    x = fully_connected(x, 4096, "fc7", 1, width, dropout)
    # At one, not zero: the context's ReLUs let the first scores of every class through.
    x = layers.Conv2D(num_classes, 1, bias_initializer="ones", name="scores")(x)
    if context is not None:
        noise = 0.001 if context == "large" else 0.0
        x = context_module(x, num_classes, CONTEXTS[context], noise, width)
    return layers.BilinearUpsampling2D(8, dtype="float32", name="enlarge")(x)
