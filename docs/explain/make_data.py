"""Writes what explanations need from Python: two scripts of data, and a photograph.

`python docs/explain/make_data.py` trains the VAE of lesson 7 on scikit-learn's digits, which takes
about half a minute. Every training gives another plane; the files are committed.
"""

import base64
import json
import re
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from PIL import Image
from skimage.data import chelsea

from kerasseg import datasets, models
from kerasseg.anatomy import receptive_field
from kerasseg.models.vgg import vgg16
from kerasseg.palette import DIGITS

HERE = Path(__file__).parent
HEIGHT, WIDTH = 288, 448  # of the photograph: multiples of VGG-16's stride


def write(name, value):
    """A script that adds one object: browsers read scripts, but no other files, from `file://`."""
    text = f"explain.data.{name} = {json.dumps(value, separators=(',', ':'))};\n"
    (HERE / f"{name}.js").write_text(text.replace("},{", "},\n{"))


def vgg_stages():
    """The layers of VGG-16 up to each stage, and of the whole without poolings and with rates."""
    image = keras.Input((HEIGHT, WIDTH, 3))
    maps = vgg16(image, width=0.02)
    found = [preset(f"VGG-16, stage {i}", image, x) for i, x in enumerate(maps, start=1)]
    for name, rates in (("without poolings", (1,) * 5), ("with rates instead", (1, 2, 4, 8, 16))):
        image = keras.Input((HEIGHT, WIDTH, 3))
        last = vgg16(image, width=0.02, strides=(None,) * 5, rates=rates)[-1]
        found.append(preset(f"VGG-16 {name}", image, last))
    return found


def preset(name, image, x):
    model = keras.Model(image, x)
    size, stride, offset = receptive_field(model)
    windows = [window(layer) for layer in model.layers]
    return {
        "name": name,
        "size": size,
        "stride": stride,
        "offset": offset,
        "layers": [found for found in windows if found],
    }


def window(layer):
    """Kernel, stride and rate of a convolution or pooling; `None` for a pointwise layer."""
    name = re.sub(r"encoder(\d)_(conv|pool)(\d?)", r"\2\1_\3", layer.name).rstrip("_")
    if isinstance(layer, layers.Conv2D):
        sizes = layer.kernel_size, layer.strides, layer.dilation_rate
    elif isinstance(layer, layers.MaxPooling2D):
        sizes = layer.pool_size, layer.strides, (1, 1)
    else:
        return None
    kernel, stride, rate = (rows for rows, _ in sizes)
    return {"name": name, "kernel": kernel, "stride": stride, "rate": rate}


def trained_vae():
    """The VAE of lesson 7, the digits enlarged as there, and the codes of the test digits."""
    keras.utils.set_random_seed(0)
    data = datasets.load("digits", target="label", batch_size=2000)
    (train, _), (test, labels) = (
        next(part.as_numpy_iterator()) for part in (data.train, data.test)
    )
    train, test = (
        np.clip(ops.image.resize(images, (16, 16), interpolation="bicubic"), 0, 1)
        for images in (train, test)
    )
    model = models.vae((16, 16, 1), 2, filters=(16, 32))
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", loss_weights=[16 * 16])
    model.fit(train, train, batch_size=100, epochs=80, verbose=0)
    encoder, decoder = models.split_autoencoder(model)
    return decoder, encoder.predict(test, verbose=0), labels


def decoder_layers(decoder):
    """The decoder as a list of layers, weights as base64 of little-endian float32."""
    found = []
    for layer in decoder.layers:
        if isinstance(layer, layers.Dense):
            found.append({"kind": "dense", "units": layer.units})
        elif isinstance(layer, layers.Reshape):
            found.append({"kind": "reshape", "shape": layer.target_shape})
        elif isinstance(layer, layers.Conv2DTranspose):
            size, stride = layer.kernel_size[0], layer.strides[0]
            found.append({"kind": "transpose", "size": size, "stride": stride})
            found[-1]["filters"] = layer.filters
        elif isinstance(layer, layers.Activation):
            found[-1]["activation"] = layer.activation.__name__
        elif not isinstance(layer, (layers.InputLayer, layers.Identity)):
            raise TypeError(f"vae_plane.js has no layer of this kind. Received: {layer}")
        if layer.weights:
            found[-1]["activation"] = layer.activation.__name__
            kernel, bias = (w.astype("<f4").tobytes() for w in layer.get_weights())
            found[-1]["kernel"] = base64.b64encode(kernel).decode()
            found[-1]["bias"] = base64.b64encode(bias).decode()
    return found


def main():
    Image.fromarray(chelsea()[:HEIGHT, :WIDTH]).save(HERE / "receptive_field.jpg", quality=80)
    write(
        "receptive_field_data",
        {"height": HEIGHT, "width": WIDTH, "photo": "receptive_field.jpg", "presets": vgg_stages()},
    )
    decoder, codes, labels = trained_vae()
    digits = {
        "layers": decoder_layers(decoder),
        "codes": [[*np.round(code, 2).tolist(), int(label)] for code, label in zip(codes, labels)],
        "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in DIGITS],
    }
    write("vae_digits", digits)


if __name__ == "__main__":
    main()
