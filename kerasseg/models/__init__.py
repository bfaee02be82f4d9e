"""The networks, one architecture a file, in the order of their history."""

from kerasseg.models.autoencoders import dense_autoencoder, split_autoencoder
from kerasseg.models.segnets import segnet
from kerasseg.models.unets import unet

__all__ = ["dense_autoencoder", "segnet", "split_autoencoder", "unet"]
