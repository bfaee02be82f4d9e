"""Hypercolumns (Hariharan, Arbeláez, Girshick and Malik, CVPR 2015)."""

from kerasseg.models.formats import channel_axis, layers
from kerasseg.models.segmentation import segmentation_model
from kerasseg.models.vgg import fully_connected, vgg16


def enlarged_scores(x, num_classes, name, factor):
    """What the map `name` adds to the scores of each pixel, `factor` times as dense as the map."""
    normalize = layers.FusedBatchNormalization(
        axis=channel_axis(), center=False, scale=False, name=f"{name}_bn"
    )
    x = layers.Conv2D(num_classes, 1, name=f"{name}_scores")(normalize(x))
    return layers.BilinearUpsampling2D(factor, dtype="float32", name=f"{name}_enlarge")(x)


@segmentation_model(multiple=32, encoder="vgg16", top="whole")
def hypercolumn(image, num_classes, *, width=1.0, dropout=0.5):
    """Hypercolumn: every pixel is classified from the maps of several layers at its place.

    Paper: Hariharan, Arbeláez, Girshick, Malik, "Hypercolumns for Object Segmentation and
    Fine-grained Localization", CVPR 2015. Neither the book nor the notes treat it; FCN's skips are
    the same idea.

    ```
    encoder3  256  1/8  ─ scores ─ x8  ─┐
    encoder4  512  1/16 ─ scores ─ x16 ─┤
    fc7      4096  1/32 ─ scores ─ x32 ─┴─ + ─▶
    ```

    An image of 224 x 224 pixels: maps of 28, 14 and 7, and 4864 numbers above each pixel.

    Faithful: the layers of the paper's VGG-16, the third and fourth pooling and fc7; bilinear
    upsampling. A linear classifier of the enlarged and concatenated maps equals the sum of one
    classifier for each map, enlarged afterwards (section 3.2): the same function at a fraction of
    the cost, and what is built here.

    Deviates: the paper refines boxes of detections with a grid of classifiers; here one classifier
    sees the whole image. It is 1x1 on all maps, where the released network has 3x3 on the third
    pooling. The maps differ by orders of magnitude: the authors multiply them by constants (0.0027
    and 0.063) that belong to their weights, here they are normalized by their own statistics.
    Images are padded by reflection to a multiple of 32.

    Args:
        dropout: Share of values dropped after fc6 and fc7.
    """
    *_, pool3, pool4, x = vgg16(image, width)
    x = fully_connected(x, 4096, "fc6", 7, width, dropout)
    x = fully_connected(x, 4096, "fc7", 1, width, dropout)

    scores = [
        enlarged_scores(pool3, num_classes, "encoder3", 8),
        enlarged_scores(pool4, num_classes, "encoder4", 16),
        enlarged_scores(x, num_classes, "fc7", 32),
    ]
    return layers.Add(dtype="float32", name="sum")(scores)
