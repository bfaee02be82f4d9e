# %% [markdown]
# # Solutions of lesson 5 · Unpooling

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_sample_image

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.layers import AverageUnpooling2D, MaxPoolingWithArgmax2D, MaxUnpooling2D

solutions = Chapter(
    "ch05_unpooling_solutions", "Solutions: unpooling", epochs=20, quick={"epochs": 1}
)

# %% [markdown]
# ## Exercise 1
#
# The first of several equal values counts as the maximum, so every position is 0. A flat area comes
# back as single values in the upper left corner of each window, on black: max unpooling turns it
# into dots. This is one more reason for the convolution that follows.

# %%
values, mask = MaxPoolingWithArgmax2D()(np.ones((1, 4, 4, 1), "float32"))
dots = np.squeeze(MaxUnpooling2D()(values, mask))
print(np.squeeze(mask))
print(dots)
assert np.array_equal(dots, np.tile([[1, 0], [0, 0]], (2, 2)))

# %% [markdown]
# ## Exercise 2
#
# You still recognise the roof and the windows: every value is in the right window of two by two, so
# it is off by one row and one column at most. But the lines of the roof tiles, clear with the right
# masks, are lost or run the wrong way. Masks matter for fine outlines, not for the coarse layout.
# (This is one step of unpooling; with every further step an error can be twice as large.)

# %%
photo = load_sample_image("china.jpg")[None, 96:192, 176:288] / np.float32(255)
pool, unpool = MaxPoolingWithArgmax2D(), MaxUnpooling2D()
values, mask = pool(photo)
_, wrong = pool(photo[:, ::-1])
solutions.figure(
    figures.panels(
        {
            "photograph": photo[0],
            "its own masks": unpool(values, mask)[0],
            "masks upside down": unpool(values, wrong)[0],
        },
        columns=3,
    ),
    "wrong_masks",
    "Unpooled once, with the right and with the wrong positions.",
)

# %% [markdown]
# ## Exercise 3
#
# With `padding="same"`, 360 by 480 pixels become 180 by 240, 90 by 120, 45 by 60, 23 by 30 and 12
# by 15. One byte a value makes 5.3 million bytes, about 5 MiB. With indices of eight bytes it would
# be eight times as much, 40 MiB. For a batch of ten, multiply by ten.

# %%
height, width, total = 360, 480, 0
for channels in (64, 128, 256, 512, 512):
    height, width = -(-height // 2), -(-width // 2)  # rounded up
    total += height * width * channels
print(f"{total:,} bytes: {total / 2**20:.1f} MiB, or {8 * total / 2**20:.1f} MiB as int64")

# %% [markdown]
# ## Exercise 4
#
# The gradient of max pooling sends each incoming value to the place of the maximum, and so does max
# unpooling. Both agree to the last bit.
#
# With windows of three by three and stride two, neighbouring windows share pixels, and one pixel
# can be the maximum of several windows. The gradient then *adds* their values, because the pixel
# influences all these results. Unpooling must not add: the same pixel was pooled twice, so both
# windows hold the same value, and a sum would double it. So `MaxUnpooling2D` lets the last window
# win.


# %%
def gradient_and_unpooling(size, stride):
    x = tf.constant(np.random.default_rng(0).normal(size=(1, 9, 13, 2)), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        pooled = tf.nn.max_pool2d(x, size, stride, "VALID")
    incoming = np.random.default_rng(1).normal(size=pooled.shape).astype("float32")
    _, mask = MaxPoolingWithArgmax2D(size, stride)(x)
    return tape.gradient(pooled, x, incoming), MaxUnpooling2D(size, stride)(incoming, mask, like=x)


gradient, unpooled = gradient_and_unpooling(2, 2)
assert np.array_equal(gradient, unpooled)
gradient, unpooled = gradient_and_unpooling(3, 2)
different = int((ops.abs(gradient - unpooled) > 1e-6).numpy().sum())
print(f"overlapping windows: {different} of {gradient.shape.num_elements()} values differ")
assert different > 0

# %% [markdown]
# ## Exercise 5
#
# With masks of other images the decoder gets positions that have nothing to do with the digit. It
# cannot ignore them, because unpooling puts every value at *some* position, and this position is
# noise now. The error rises above that of copying. So what helped was the content of the masks, and
# not the operation.


# %%
class Shuffled(layers.Layer):
    """Gives every image of a batch the mask of its neighbour in the batch."""

    def call(self, mask):
        return ops.roll(mask, 1, axis=0)


def autoencoder(kind, filters=16, code_channels=2):
    x = image = keras.Input((8, 8, 1))
    masks = []
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x, mask = MaxPoolingWithArgmax2D()(x)
        masks.append(Shuffled()(mask) if kind == "masks of others" else mask)
    x = layers.Conv2D(code_channels, 1)(x)
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = AverageUnpooling2D()(x) if kind == "copied" else MaxUnpooling2D()(x, masks.pop())
    return keras.Model(image, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


digits = datasets.load("digits", target="image", batch_size=32)
for kind in ("own masks", "copied", "masks of others"):
    keras.utils.set_random_seed(0)
    model = autoencoder(kind)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["mse"])
    model.fit(digits.train, epochs=solutions.settings.epochs, verbose=0)
    print(f"{kind:16} squared error {model.evaluate(digits.test, verbose=0)[1]:.4f}")
