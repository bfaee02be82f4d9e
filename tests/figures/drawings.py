"""The drawings that the tests of figures look at."""

import functools

import keras
import pytest
from keras import layers, ops

from kerasseg import models
from kerasseg.figures.model_layout import lay_out
from kerasseg.figures.model_stages import stages_of
from kerasseg.layers import BilinearUpsampling2D
from tests.models.zoo import without_weights

IMAGE = (None, None, 3)


def super_resolution():
    """A sum with the enlarged input, past the boxes of the input's row."""
    x = small = keras.Input(IMAGE, name="small")
    for i in range(1, 4):
        x = layers.Conv2D(48, 3, padding="same", name=f"features{i}")(x)
    x = ops.depth_to_space(x, 4)
    return keras.Model(small, layers.Add(name="sum")([x, BilinearUpsampling2D(4)(small)]))


CASES = {
    "super_resolution": super_resolution,
    "dense_autoencoder": lambda: models.dense_autoencoder(),
    "conv_autoencoder": lambda: models.conv_autoencoder(IMAGE),
    "vae": lambda: models.vae(),
    "unet_valid": lambda: models.unet(IMAGE, 2, padding="valid"),
    "fcn8s_paper": lambda: models.fcn8s(IMAGE, 21, padding="paper"),
    "deeplab_v2_resnet": lambda: models.deeplab_v2(IMAGE, 21, encoder="resnet101"),
    "deeplab_v3_stride_8": lambda: models.deeplab_v3(IMAGE, 21, output_stride=8),
    "dilatednet_large": lambda: models.dilatednet(IMAGE, 21, context="large"),
    "dilatednet_front": lambda: models.dilatednet(IMAGE, 21, context=None),
    "pspnet_auxiliary": lambda: models.pspnet(IMAGE, 21, auxiliary=True),
}
SEGMENTATION = """
    unet segnet segnet_basic deconvnet fcn32s fcn16s fcn8s fc_densenet56 fc_densenet67
    fc_densenet103 deeplab_v1 deeplab_v2 deeplab_v3 dilatednet pspnet hypercolumn
"""
for name in SEGMENTATION.split():
    CASES[name] = functools.partial(getattr(models, name), IMAGE, 21)
SIZES = {"unet_valid": (572, 572), "deconvnet": (224, 224)}
every_model = pytest.mark.parametrize("name", CASES)


@functools.cache
def stages(name):
    return stages_of(without_weights(CASES[name]), SIZES.get(name, (256, 256)))


@functools.cache
def drawing(name):
    return lay_out(stages(name))
