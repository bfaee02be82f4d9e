"""Autoencoders: an image through a narrow code and back (book, chapter 6, notebook 1)."""

import math

import keras
from keras import layers


def dense_autoencoder(
    input_shape=(28, 28, 1), code_size=32, *, hidden=(128, 64), name="dense_autoencoder"
):
    """The book's fully connected autoencoder: 784 - 128 - 64 - 32 - 64 - 128 - 784.

    Book: chapter 6, "Discovering autoencoders". ReLU everywhere, the code included; a sigmoid
    gives the image. 222,384 parameters at the defaults, 110,816 in the encoder and 111,568 in
    the decoder.

    Args:
        input_shape: `(height, width, channels)`, fixed: dense layers take no other size.
        code_size: Numbers in the code, the output of the layer `code`.
        hidden: Units of the encoder's hidden layers; the decoder mirrors them.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1] to images in [0, 1], both `(batch, *input_shape)`.
        `split_autoencoder` gives its two halves.
    """
    if None in input_shape:
        raise ValueError(
            "A dense autoencoder needs fixed height, width and channels. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    x = image = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        x = layers.Dense(units, activation="relu", name=f"encoder{i}")(x)
    x = layers.Dense(code_size, activation="relu", name="code")(x)
    for i, units in reversed(list(enumerate(hidden, start=1))):
        x = layers.Dense(units, activation="relu", name=f"decoder{i}")(x)
    x = layers.Dense(math.prod(input_shape), activation="sigmoid", name="pixels")(x)
    return keras.Model(image, layers.Reshape(input_shape, name="reconstruction")(x), name=name)


def split_autoencoder(model):
    """The two halves of an autoencoder, sharing its weights: image -> code and code -> image.

    Args:
        model: A `keras.Model` with a layer named `code`, as this package's autoencoders have.

    Returns:
        `(encoder, decoder)`, two `keras.Model`s; `decoder(encoder(x))` equals `model(x)`.

    Example:

    >>> encoder, decoder = split_autoencoder(dense_autoencoder())
    >>> encoder.count_params(), decoder.count_params()
    (110816, 111568)
    """
    if "code" not in [layer.name for layer in model.layers]:
        raise ValueError(
            "`model` must have a layer named 'code' between encoder and decoder. "
            f"Received: model={model.name} with layers {[layer.name for layer in model.layers]}"
        )
    code = model.get_layer("code").output
    encoder = keras.Model(model.input, code, name="encoder")
    return encoder, keras.Model(code, model.output, name="decoder")
