# %% [markdown]
# # Solutions to lesson 2 · The receptive field

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import figures
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.chapter import Chapter
from kerasseg.layers import AtrousConv2D

lesson = Chapter(
    "ch02_receptive_field_solutions", "Solutions: fields", epochs=8, quick={"epochs": 1}
)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Exercise 1
#
# The convolution adds $6 \cdot 1$ pixels, and the jump becomes $2$. The pooling adds $2 \cdot 2$,
# and the jump becomes $4$. The last two convolutions add $2 \cdot 4$ each. Together
# $1 + 6 + 4 + 8 + 8 = 27$ pixels at a jump of $4$. This is the beginning of a ResNet.

# %%
x = image = keras.Input((None, None, 3))
x = layers.Conv2D(8, 7, strides=2, padding="same")(x)
x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
for _ in range(2):
    x = layers.Conv2D(8, 3, padding="same")(x)
field = receptive_field(keras.Model(image, x))
assert (field.size, field.stride) == (27, 4)

# %% [markdown]
# ## Exercise 2
#
# A kernel of $k$ at rate $d$ reaches over $(k - 1)\,d + 1$ positions of its map, so it adds
# $(k - 1)\,d\,j$ pixels.


# %%
def field_by_hand(windows):
    field, jump = 1, 1
    for kernel, stride, rate in windows:
        field += (kernel - 1) * rate * jump
        jump *= stride
    return field, jump


stages = zip([2, 2, 3, 3, 3], [1, 2, 4, 8, 16])
dilated = [(3, 1, rate) for n, rate in stages for _ in range(n)]
assert field_by_hand(dilated) == (181, 1)

# %% [markdown]
# ## Exercise 3
#
# A wall is twenty-four pixels high. A pixel at its top edge must look past the whole wall to see
# the wheels, but it also knows the answer if it sees that there is *no* roof just above it. So the
# worst pixels are those in the middle, twelve pixels from either. A field of about twenty-five
# pixels, twelve in each direction, is enough to see one of the two, and fields below that are wrong
# in a growing part of the wall. The curve shows it: with a field of thirteen a large part of the
# walls is wrong, with one of twenty-seven hardly any of them.


# %%
def street(rng):
    image = rng.normal(0.4, 0.05, (48, 80, 1))
    labels = np.zeros((48, 80), "int32")
    for half in (0, 40):
        top, left = rng.integers(8, 17), half + rng.integers(2, 9)
        kind = rng.integers(1, 3)
        wall = slice(top, top + 24), slice(left, left + 30)
        image[wall], labels[wall] = 0.7, kind
        for row, column in np.ndindex(3, 4):
            window = slice(top + 3 + 7 * row, top + 7 + 7 * row)
            image[window, left + 3 + 7 * column : left + 6 + 7 * column] = 1
        if kind == 1:
            image[top + 24 : top + 29, left + 3 : left + 9] = 0
            image[top + 24 : top + 29, left + 21 : left + 27] = 0
        else:
            image[top - 5 : top, left : left + 30] = 0
    return image, labels


rng = np.random.default_rng(0)
images, labels = map(np.stack, zip(*(street(rng) for _ in range(240))))
fields, right = [], []
for rates in ([1] * 6, [1, 1, 2, 2, 2, 2], [1, 1, 2, 3, 3, 3], [1, 1, 2, 4, 8, 8]):
    x = image = keras.Input((48, 80, 1))
    for rate in rates:
        x = AtrousConv2D(12, 3, rate=rate, padding="same", activation="relu")(x)
    model = keras.Model(image, layers.Conv2D(3, 1)(x))
    model.compile(
        keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(images[:200], labels[:200], batch_size=8, epochs=lesson.settings.epochs, verbose=0)
    predicted = model.predict(images[200:], verbose=0).argmax(-1)
    fields.append(receptive_field(model).size)
    right.append((predicted == labels[200:])[labels[200:] > 0].mean())
    print(f"rates {rates}: field {fields[-1]}, {100 * right[-1]:.0f} % right")
lesson.figure(
    figures.lines(
        fields,
        {"walls": right},
        "receptive field in pixels",
        "share of wall pixels that are right",
        "Nearly all pixels are right once every field reaches roof or wheels",
        ylim=(0, 1.05),
    ),
    "fields",
    "Networks with equal weights and different rates.",
)

# %% [markdown]
# ## Exercise 4
#
# The rates $(1, 2, 3)$ see all of their $13 \times 13$ pixels. The rates $(2, 4, 8)$ double, but
# all of their steps are even, and three of four pixels are missing. So the rates of a block must
# not have a common divisor larger than one. This is not yet enough: rates of $(1, 9)$ leave gaps
# too, because the first layer sees only three pixels and the second steps over nine.


# %%
def influence(rates):
    x = image = keras.Input((31, 31, 1))
    for rate in rates:
        ones = {"kernel_initializer": "ones", "use_bias": False, "padding": "same"}
        x = AtrousConv2D(1, 3, rate=rate, **ones)(x)
    return effective_receptive_field(keras.Model(image, x), np.ones((1, 31, 31, 1), "float32"))


lesson.figure(
    figures.panels(
        {f"rates {rates}": influence(rates) for rates in ((1, 2, 3), (2, 4, 8))},
        title="A common divisor of all rates leaves gaps",
    ),
    "divisors",
    "White pixels inside the field are never looked at.",
)

# %% [markdown]
# ## Exercise 5
#
# In the table the effective side, here the root of the number of pixels that hold 95 % of the
# influence, doubles when the depth is multiplied by four. So it grows with $\sqrt{n}$. The field in
# theory nearly quadruples. The reason: with equal weights a path is a sum of $n$ random steps of
# $-1$, $0$ or $1$, and the spread of such a sum grows with $\sqrt{n}$.


# %%
def side_in_effect(depth):
    row = np.ones(1)
    for _ in range(depth):
        row = np.convolve(row, np.ones(3) / 3)
    largest_first = np.sort(np.outer(row, row), axis=None)[::-1]
    return (np.searchsorted(np.cumsum(largest_first), 0.95) + 1) ** 0.5


for depth in (5, 10, 20, 40):
    print(f"{depth:2} layers: {2 * depth + 1:2} pixels in theory, {side_in_effect(depth):4.1f}")

# %% [markdown]
# ## Exercise 6
#
# Without the stride, the first convolution computes all outputs instead of every second one in each
# direction. The second convolution must then take every second of them to see what it saw before:
# rate two. The strided network's values are all in the dense map, at every second row and column.
# This is how DeepLab turns a pretrained classifier into a network with fine maps, without training
# a single weight again.

# %%
photo = np.random.default_rng(0).normal(size=(1, 41, 60, 3)).astype("float32")
first = np.random.default_rng(1).normal(size=(3, 3, 3, 8)).astype("float32")
second = np.random.default_rng(2).normal(size=(3, 3, 8, 5)).astype("float32")
strided = np.asarray(ops.conv(ops.relu(ops.conv(photo, first, 2)), second))
dense = np.asarray(ops.conv(ops.relu(ops.conv(photo, first)), second, dilation_rate=2))
print(f"with stride {strided.shape[1:3]}, with rate {dense.shape[1:3]}")
assert np.allclose(dense[:, ::2, ::2], strided, atol=1e-4)
