# %% [markdown]
# # Solutions to lesson 14 · Dilated networks

# %%
import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_sample_image

import kerasseg
from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.inference import dense_crf
from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from kerasseg.losses import CrossEntropy
from kerasseg.models.vgg import vgg16

lesson = Chapter(
    "ch14_dilated_networks_solutions", "Solutions: dilated networks", epochs=8, quick={"epochs": 1}
)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Exercise 1
#
# Every layer reaches two positions further, so the field has $1 + 7 \cdot 4 = 29$ positions a side.
# But an even distance plus an even distance is even: only every second row and column is ever
# reached, $15 \times 15$ of $29 \times 29$ positions. That is gridding.


# %%
def field_of(rates):
    scores = keras.Input((None, None, 1))
    x = scores
    for rate in rates:
        x = AtrousConv2D(1, 3, rate, padding="same", kernel_initializer="ones")(x)
    return keras.Model(scores, x)


impulse = np.zeros((1, 41, 41, 1), "float32")
impulse[0, 20, 20] = 1
reached = np.asarray(field_of([2] * 7)(impulse))[0, ..., 0]
assert np.count_nonzero(reached) == 15**2
lesson.figure(
    figures.panels({"seven layers of rate 2": np.log1p(reached)}, title="Equal rates leave holes"),
    "holes",
    "Positions that see the middle. White ones never do.",
)

# %% [markdown]
# ## Exercise 2
#
# The formula gives $1 + 2\,(1 + 2 + 4 + 8 + 16 + 32) = 127$ positions. The field almost doubles
# with every layer: $3, 7, 15, 31, 63, 127$.

# %%
assert kerasseg.receptive_field(field_of((1, 2, 4, 8, 16, 32))).size == 127

# %% [markdown]
# ## Exercise 3
#
# The kernels of the fifth stage then read the direct neighbours. On the finer map these lie half as
# far away in the image as before, so the same weights see another, smaller part of the image. They
# were trained (here: drawn at random) for wider patterns, and the answers differ by a large part of
# their size.

# %%
image = keras.Input((None, None, 3))
coarse = keras.Model(image, vgg16(image, 0.05, strides=(2, 2, 2, 2, None))[-1])
narrow = keras.Model(image, vgg16(image, 0.05, strides=(2, 2, 2, 1, None))[-1])
narrow.set_weights(coarse.get_weights())
x = load_sample_image("china.jpg")[None, :192, :256] / np.float32(255)
difference = np.abs(np.subtract(narrow(x)[:, ::2, ::2], coarse(x))).mean()
print(f"mean difference {difference:.3f}, mean of the map {np.mean(coarse(x)):.3f}")

# %% [markdown]
# ## Exercise 4
#
# On this map of $32 \times 32$ positions a rate of $12$ reaches $24$ pixels. A pixel in the middle
# of the largest object is only 13 pixels away from the frame, so all the taps step over the frame,
# and they may even land on a neighbour. Medium and large objects fail. Small objects do well,
# because there the convolutions in front of the pyramid already reach the frame.


# %%
def draw_street(rng):
    image, labels = np.full((64, 64, 3), 0.35), np.zeros((64, 64), int)
    glass = np.zeros((64, 64), int)
    for corner in ((0, 0), (0, 32), (32, 0), (32, 32)):
        kind, reach = rng.choice((1, 2)), rng.choice((6, 10, 15))
        middle = corner + rng.integers(reach, 33 - reach, 2)
        outside = tuple(slice(at - reach, at + reach) for at in middle)
        inside = tuple(slice(at - reach + 2, at + reach - 2) for at in middle)
        image[outside] = (0.9, 0.75, 0.2) if kind == 1 else (0.7, 0.3, 0.25)
        image[inside], labels[outside], glass[inside] = (0.6, 0.7, 0.75), kind, reach
    return image + rng.normal(0, 0.06, image.shape), labels, glass


rng = np.random.default_rng(0)
images, labels, glass = (np.stack(part) for part in zip(*(draw_street(rng) for _ in range(500))))


def branch(x, rate):
    x = AtrousConv2D(24, 3, rate, padding="same", activation="relu")(x)
    return layers.Conv2D(3, 1)(layers.Conv2D(24, 1, activation="relu")(x))


def pyramid(rates):
    return lambda x: layers.Add()([branch(x, rate) for rate in rates])


def train(head):
    keras.utils.set_random_seed(0)
    street = keras.Input((64, 64, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(street)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    model = keras.Model(street, BilinearUpsampling2D(2)(head(x)))
    model.compile(keras.optimizers.Adam(3e-3), CrossEntropy())
    model.fit(images[:400], labels[:400], 16, lesson.settings.epochs, verbose=0)
    right = np.argmax(model(images[400:]), -1) == labels[400:]
    return [f"{100 * right[glass[400:] == reach].mean():.0f} %" for reach in (6, 10, 15)]


print("rate 12 alone, small, medium, large:", train(pyramid((12, 12, 12))))

# %% [markdown]
# ## Exercise 5
#
# With a very small `colour_sigma` hardly two pixels are alike, so nearly every pixel keeps its own
# class and the edges stay blurred. With a very large one all colours count as alike. The CRF then
# pulls every pixel towards its surroundings, whatever the image shows, and small objects shrink or
# disappear.

# %%
streets = datasets.load("street_scenes", image_size=(192, 256), batch_size=8)
image, truth = (np.asarray(part)[3] for part in next(iter(streets.validation)))
one_hot = np.eye(256, dtype="float32")[truth][None, ..., : streets.num_classes]
shares = np.asarray(BilinearUpsampling2D(8)(layers.AveragePooling2D(8)(one_hot))[0])
blurred = shares / shares.sum(-1, keepdims=True)

part = (slice(20, 170), slice(130, 256))
panels = {"stride 8": figures.paint(blurred.argmax(-1)[part], streets.colours)}
for sigma in (0.003, 0.03, 0.3):
    settings = {"appearance_weight": 3, "appearance_sigma": 20, "smoothness_weight": 0}
    sharp = dense_crf(image, blurred, colour_sigma=sigma, **settings).argmax(-1)
    panels[f"colour_sigma {sigma}"] = figures.paint(sharp[part], streets.colours)
    changed = 100 * np.mean(sharp != blurred.argmax(-1))
    print(f"colour_sigma {sigma}: {changed:.1f} % of the pixels change their class")
lesson.figure(
    figures.panels(panels, columns=4, cell=2.2, title="How alike colours have to be"),
    "crf",
    "A part of the street, in the classes after the CRF.",
)

# %% [markdown]
# ## Exercise 6
#
# The chain has three kernels of $3 \times 3$ between $24$ channels, as many weights as the three
# kernels of the pyramid. Its field is larger, because the reaches of the layers add up, but the
# information from each distance has to pass through all layers behind it. On this task both do
# well; the chain needs no choice between distances, since it sees them all at once.


# %%
def chain(x):
    for rate in (1, 3, 6):
        x = AtrousConv2D(24, 3, rate, padding="same", activation="relu")(x)
    return layers.Conv2D(3, 1)(x)


print("pyramid, small, medium, large:", train(pyramid((1, 3, 6))))
print("chain, small, medium, large:", train(chain))
