# %% [markdown]
# # Solutions to lesson 15 · Context

# %%
import keras
import numpy as np
from keras import layers

from kerasseg.chapter import Chapter
from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from kerasseg.losses import CrossEntropy

lesson = Chapter("ch15_context_solutions", "Solutions: context", epochs=8, quick={"epochs": 1})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Exercise 1
#
# The windows begin at $\lfloor 7 i / 3 \rfloor$, so at rows $0, 2, 4$, and end before
# $\lceil 7 (i + 1) / 3 \rceil$, so before rows $3, 5, 7$. Rows $2$ and $4$ belong to two windows.

# %%
windows = [list(range(i * 7 // 3, -(-(i + 1) * 7 // 3))) for i in range(3)]
assert windows == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]

# %% [markdown]
# ## Exercise 2
#
# An image of $513$ pixels has $33$ positions at a stride of $16$. On average about $7$, $5$ and
# $3.6$ of nine taps are valid at the rates $6$, $12$ and $18$. An image of $129$ pixels has $9$
# positions. At the rate $6$ fewer than three taps are valid, and at the other two rates only the
# middle one.


# %%
def valid_taps(side, rate):
    return (1 + 2 * max(0, 1 - rate / side)) ** 2


for side in (33, 9):
    print(f"{side} positions:", *(f"{valid_taps(side, rate):.2f}" for rate in (6, 12, 18)))

# %% [markdown]
# ## Exercise 3
#
# None has to remain, even if after this short training a part of the houses is still called tower.
# A boat is told from a car by the blue in the mean, a lamp from a stone by the same blue, and a
# tower from a house by how much red there is in all, since every scene has just one building. With
# two buildings in a scene, the single mean could no longer tell which of them is the tower, and the
# finer grids would be needed.

# %%
NAMES = ("sky", "ground", "boat", "car", "house", "tower", "lamp")
SKY, GROUND, BOAT, CAR, HOUSE, TOWER, LAMP = range(len(NAMES))
BLUE, ORANGE, RED = (0.3, 0.5, 0.8), (0.8, 0.6, 0.3), (0.7, 0.3, 0.3)
DARK, FAINT = (0.2, 0.2, 0.2), (0.6, 0.6, 0.5)


def put(image, labels, top, left, height, width, colour, label):
    block = (slice(top, top + height), slice(left, left + width))
    image[block], labels[block] = colour, label


def draw_scene(rng):
    image, labels = np.full((64, 64, 3), 0.5), np.full((64, 64), GROUND)
    at_sea, is_tall = rng.random(2) < 0.5
    put(image, labels, 0, 0, 8, 64, BLUE if at_sea else ORANGE, SKY)
    height, label = (30, TOWER) if is_tall else (14, HOUSE)
    put(image, labels, 42 - height, rng.integers(2, 50), height, 12, RED, label)
    for place in rng.integers((44, 0), (59, 59), (3, 2)):
        put(image, labels, *place, 5, 5, FAINT, GROUND if at_sea else LAMP)
    place = rng.integers((46, 2), (55, 46))
    put(image, labels, *place, 8, 16, DARK, BOAT if at_sea else CAR)
    return image + rng.normal(0, 0.05, image.shape), labels


def with_means(x, bins):
    """The pyramid without batch normalisation; the map has 16 x 16 positions."""
    maps = [x]
    for count in bins:
        means = layers.AveragePooling2D(16 // count)(x)
        means = layers.Conv2D(32, 1, activation="relu")(means)
        maps.append(layers.UpSampling2D(16 // count)(means))
    return layers.Concatenate()(maps)


def train(draw, bins):
    rng = np.random.default_rng(0)
    images, labels = (np.stack(part) for part in zip(*(draw(rng) for _ in range(700))))
    keras.utils.set_random_seed(0)
    x = scene = keras.Input((64, 64, 3))
    for stride in (2, 2, 1):
        x = layers.Conv2D(32, 3, strides=stride, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 1, activation="relu")(with_means(x, bins))
    x = layers.Conv2D(len(NAMES), 1)(x)
    model = keras.Model(scene, BilinearUpsampling2D(4)(x))
    weights = (np.bincount(labels.ravel(), minlength=len(NAMES)) / labels.size + 1e-3) ** -0.5
    model.compile(keras.optimizers.Adam(3e-3), CrossEntropy(class_weights=weights))
    model.fit(images[:600], labels[:600], 16, lesson.settings.epochs, verbose=0)
    truth, answer = labels[600:], np.argmax(model(images[600:]), -1)
    right = {NAMES[i]: 100 * np.mean(answer[truth == i] == i) for i in np.unique(truth)}
    print(f"bins {bins}:", *(f"{name} {share:.0f} %" for name, share in right.items()))


train(draw_scene, (1,))

# %% [markdown]
# ## Exercise 4
#
# Every outer tap of every position lies outside the map and reads zeros. Only the middle tap is
# left, and that is a $1 \times 1$ convolution.

# %%
x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
wide = AtrousConv2D(4, 3, rate=16, padding="same", use_bias=False)
assert np.allclose(wide(x), x @ np.asarray(wide.kernel)[1, 1], atol=1e-5)

# %% [markdown]
# ## Exercise 5
#
# No. Enlarging takes weighted means, and the ReLU of a mean is not the mean of ReLUs. Between the
# values $-1$ and $1$ the enlarged map passes through $0$; after a ReLU in front it passes through
# $0.5$.

# %%
row, middle = np.array([-1.0, 1.0]), 0.5
relu_last = max(0, middle * row[0] + middle * row[1])
relu_first = middle * max(0, row[0]) + middle * max(0, row[1])
print("ReLU after enlarging:", relu_last, "  ReLU before enlarging:", relu_first)

# %% [markdown]
# ## Exercise 6
#
# Now the whole image always has half a blue and half an orange strip, so the single mean says
# nothing about a block. The $2 \times 2$ grid helps: each of its lower windows holds one half of
# the strip, and that tells boats from cars. Had we left the strip at the upper edge, in other
# windows than the blocks, this grid would not help either.


# %%
def draw_harbour(rng):
    image, labels = np.full((64, 64, 3), 0.5), np.full((64, 64), GROUND)
    sea_is_left = rng.random() < 0.5
    for left in (0, 32):
        at_sea = sea_is_left == (left == 0)
        put(image, labels, 32, left, 6, 32, BLUE if at_sea else ORANGE, SKY)
        place = rng.integers((52, left + 1), (56, left + 16))
        put(image, labels, *place, 8, 14, DARK, BOAT if at_sea else CAR)
    return image + rng.normal(0, 0.05, image.shape), labels


train(draw_harbour, (1,))
train(draw_harbour, (1, 2))
