"""Autoencoders: an image through a narrow code and back (book, chapters 6 and 7)."""

import math

import keras

from kerasseg.models.blocks import output, scale_filters
from kerasseg.models.formats import channel_axis, in_data_format, layers, spatial_shape

GRID_CHANNELS = 2  # of the small map that a variational decoder begins with


@in_data_format
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

    Raises:
        ValueError: an `input_shape` that is not fixed.
    """
    check_is_fixed(input_shape, "A dense autoencoder")
    x = image = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        x = layers.Dense(units, activation="relu", name=f"encoder{i}")(x)
    x = layers.Dense(code_size, activation="relu", name="code")(x)
    for i, units in reversed(list(enumerate(hidden, start=1))):
        x = layers.Dense(units, activation="relu", name=f"decoder{i}")(x)
    x = layers.Dense(math.prod(input_shape), activation="sigmoid", name="pixels")(x)
    return keras.Model(image, layers.Reshape(input_shape, name="reconstruction")(x), name=name)


@in_data_format
def conv_autoencoder(
    input_shape,
    *,
    filters=(32, 64, 128, 256),
    width=1.0,
    output_channels=None,
    activation="sigmoid",
    data_format=None,
    name="conv_autoencoder",
):
    """The book's convolutional autoencoder: halve the map, double the channels, and back.

    Book: chapter 6, notebook 3, "Enhancing images", which makes images sharper with it.

    ```
    image ─▶ encoder1  32                                   decoder1  32 ─▶ pixels
               encoder2  64                              decoder2  64
                 encoder3  128                        decoder3  128
                   code  256  ──────────────────▶  decoder4  256
    ```

    Faithful: 4x4 convolutions of stride 2, transposed ones back, ReLU everywhere, the code
    included, and a 1x1 convolution with a sigmoid. 2,427,427 parameters for three channels. All
    that the decoder knows of the image passes through the code: 256 channels at a 16th of the
    height and width, one number for each pixel. Fewer `filters` at the end make it narrower.

    Deviates: an image whose size is not divisible by 16 is padded by reflection and cropped again,
    where the book resizes the output.

    Args:
        input_shape: `(height, width, channels)`, height and width may be `None`.
        filters: Of the encoder's convolutions, the code's last; the decoder mirrors them.
        width: Scales every filter count.
        output_channels: Channels of the output, `None` for those of the input: 3 for a
            grey input gives a model that adds colour, 1 one that estimates depth.
        activation: Of the output; `None` gives any numbers.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1] to float32 images in [0, 1] of their size.
        `split_autoencoder` gives its two halves if height and width are fixed.

    Raises:
        ValueError: an `input_shape` or a `width` of which no model can be made, or, with
            `channels_first`, an `activation` that goes along the last axis.
    """
    filters = [scale_filters(count, width) for count in filters]
    names = [*(f"encoder{i}" for i in range(1, len(filters))), "code"]
    arguments = {"kernel_size": 4, "strides": 2, "padding": "same", "activation": "relu"}
    image = keras.Input(input_shape, name="image")

    x = layers.PadToMultiple(2 ** len(filters), name="pad")(image)
    for count, layer_name in zip(filters, names):
        x = layers.Conv2D(count, name=layer_name, **arguments)(x)
    for i, count in reversed(list(enumerate(filters, start=1))):
        x = layers.Conv2DTranspose(count, name=f"decoder{i}", **arguments)(x)
    x = layers.Conv2D(output_channels or image.shape[channel_axis()], 1, name="pixels")(x)

    x = crop_to(image, x)
    return keras.Model(image, output(x, activation, "reconstruction"), name=name)


@in_data_format
def vae(
    input_shape=(28, 28, 1),
    code_size=2,
    *,
    filters=(32, 64),
    width=1.0,
    seed=None,
    data_format=None,
    name="vae",
):
    """The book's variational autoencoder: the code is drawn from a normal distribution.

    Paper: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014. Book: chapter 7,
    notebook 7. The distribution of every code is pulled towards the standard normal one, so that a
    random code decodes to an image like those of the training set.

    ```
    image ─▶ encoder1 32 ─▶ encoder2 64 ─▶ mean, log_variance ─▶ code (drawn)
    code  ─▶ grid 7x7x2 ─▶ decoder2 64 ─▶ decoder1 32 ─▶ pixels
    ```

    Faithful: 3x3 convolutions of stride 2 and transposed ones back, ReLU, a sigmoid. 51,627
    parameters at the defaults, 31,364 in the encoder and 20,263 in the decoder.

    Deviates: the draw is scaled by `exp(log_variance / 2)`, the standard deviation; the book
    forgets the half (`kerasseg.layers.Sampling`).

    The model adds the divergence of its codes to the loss, summed over the code. The loss of the
    images has to be summed over the pixels too, which Keras averages: multiply it by their number,
    as in the example.

    Args:
        input_shape: `(height, width, channels)`, fixed.
        code_size: Numbers in the code.
        filters: Of the encoder's convolutions; the decoder mirrors them.
        width: Scales every filter count.
        seed: Optional integer that makes the draws repeatable.
        data_format: `"channels_last"`, `"channels_first"` or `None` for Keras's default.
        name: Of the model.

    Returns:
        A `keras.Model` from images in [0, 1] to float32 images in [0, 1], both
        `(batch, *input_shape)`, with layers `mean`, `log_variance` and `code`. Every call draws
        a new code, in `predict` too. The encoder of `split_autoencoder` gives the mean, not a draw.

    Raises:
        ValueError: an `input_shape` that is not fixed, or a `width` of which no model can be made.

    Example:

    >>> model = vae()
    >>> model.compile("adam", "binary_crossentropy", loss_weights=[28 * 28])
    """
    check_is_fixed(input_shape, "A variational autoencoder")
    filters = [scale_filters(count, width) for count in filters]
    arguments = {"strides": 2, "padding": "same", "activation": "relu"}
    x = image = keras.Input(input_shape, name="image")

    for i, count in enumerate(filters, start=1):
        x = layers.Conv2D(count, 3, name=f"encoder{i}", **arguments)(x)
    grid = list(x.shape)
    grid[channel_axis()] = GRID_CHANNELS
    x = layers.Flatten(name="flatten")(x)
    mean = layers.Dense(code_size, name="mean")(x)
    log_variance = layers.Dense(code_size, name="log_variance")(x)
    x = layers.Sampling(seed, name="code")(mean, log_variance)

    x = layers.Dense(math.prod(grid[1:]), activation="relu", name="grid_numbers")(x)
    x = layers.Reshape(grid[1:], name="grid")(x)
    for i, count in reversed(list(enumerate(filters, start=1))):
        x = layers.Conv2DTranspose(count, 3, name=f"decoder{i}", **arguments)(x)
    channels = image.shape[channel_axis()]
    x = layers.Conv2DTranspose(channels, 3, padding="same", name="pixels")(x)

    x = crop_to(image, x)
    return keras.Model(image, output(x, "sigmoid", "reconstruction"), name=name)


def crop_to(image, x):
    """The middle of `x`, as large as the image; without the image itself if sizes are fixed."""
    sizes, targets = (spatial_shape(y.shape[1:]) for y in (x, image))
    if None in sizes + targets:
        return layers.CenterCropLike(name="crop")(x, image)
    surplus = [size - target for size, target in zip(sizes, targets)]
    if not any(surplus):
        return x
    return layers.Cropping2D([(n // 2, n - n // 2) for n in surplus], name="crop")(x)


def check_is_fixed(input_shape, what):
    if None in input_shape:
        raise ValueError(
            f"{what} needs fixed height, width and channels. "
            f"Received: input_shape={tuple(input_shape)}"
        )


def split_autoencoder(model):
    """The two halves of an autoencoder, sharing its weights: image -> code and code -> image.

    Args:
        model: A `keras.Model` with a layer named `code`, as this package's autoencoders have, of
            fixed height and width.

    Returns:
        `(encoder, decoder)`, two `keras.Model`s; `decoder(encoder(x))` equals `model(x)`. The
        encoder of a variational autoencoder gives the mean of the code; the model
        itself decodes a random draw around it.

    Raises:
        ValueError: If the model has no layer named `code`, or no fixed height and width.

    Example:

    >>> encoder, decoder = split_autoencoder(dense_autoencoder())
    >>> encoder.count_params(), decoder.count_params()
    (110816, 111568)
    """
    found = {layer.name: layer for layer in model.layers}
    if "code" not in found:
        raise ValueError(
            "`model` must have a layer named 'code' between encoder and decoder. "
            f"Received: model={model.name} with layers {list(found)}"
        )
    if None in model.input_shape[1:]:
        raise ValueError(
            "`model` must have a fixed height and width, for a decoder cannot know to what size it "
            f"has to crop. Received: model.input_shape={model.input_shape}"
        )
    code = found["code"]
    encoded = found["mean"].output if isinstance(code, layers.Sampling) else code.output
    encoder = keras.Model(model.input, encoded, name="encoder")
    return encoder, keras.Model(code.output, model.output, name="decoder")
