"""The networks, one architecture a file, in the order of their history."""

from kerasseg.anatomy.classes import classes_of, with_classes
from kerasseg.anatomy.convolutionalization import convolutionalize
from kerasseg.models.autoencoders import (
    conv_autoencoder,
    dense_autoencoder,
    split_autoencoder,
    vae,
)
from kerasseg.models.deconvnets import deconvnet
from kerasseg.models.deeplab1 import deeplab_v1
from kerasseg.models.deeplab2 import deeplab_v2
from kerasseg.models.deeplab3 import deeplab_v3
from kerasseg.models.dilatednets import dilatednet
from kerasseg.models.fc_densenets import fc_densenet56, fc_densenet67, fc_densenet103
from kerasseg.models.fcns import fcn8s, fcn16s, fcn32s
from kerasseg.models.freezing import freeze, unfreeze
from kerasseg.models.heads import with_new_head
from kerasseg.models.hypercolumns import hypercolumn
from kerasseg.models.pspnets import pspnet
from kerasseg.models.segnets import segnet, segnet_basic
from kerasseg.models.unets import unet

__all__ = [
    "classes_of",
    "conv_autoencoder",
    "convolutionalize",
    "deconvnet",
    "deeplab_v1",
    "deeplab_v2",
    "deeplab_v3",
    "dense_autoencoder",
    "dilatednet",
    "fc_densenet56",
    "fc_densenet67",
    "fc_densenet103",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "freeze",
    "hypercolumn",
    "pspnet",
    "segnet",
    "segnet_basic",
    "split_autoencoder",
    "unet",
    "unfreeze",
    "vae",
    "with_classes",
    "with_new_head",
]


def __dir__():
    return __all__
