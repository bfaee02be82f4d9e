# %% [markdown]
# # 5 · Unpooling: putting each maximum back in its place
#
# Max pooling answers the question "is this feature somewhere in the window?" and drops the answer
# to "where?". A classifier profits from that: a cat stays a cat if it moves by a pixel. A
# segmentation network pays for it. Its decoder has to draw the outline of the cat, and the exact
# place of every edge was given up on the way down.
#
# What if the pooling wrote down where each maximum was? Then the decoder could put the values back.
# This is *max unpooling*, the idea of DeconvNet and SegNet (lesson 13). Its rival, *average
# unpooling*, writes nothing down and copies each value over its whole window. This lesson builds
# both, shows what each of them keeps, and ends with a surprise: the positions of the maxima tell
# the decoder more than where to write.
#
# *You learn* how to unpool with and without the positions of the maxima, and what these positions
# tell a decoder.
# *In the book:* chapter 6, "Replicating with max-unpooling" and "Average unpooling".
# *You need:* lesson 1 (pooling) and lesson 4 (upsampling). *Time:* one minute on two cores.

# %%
import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_sample_image

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.layers import AverageUnpooling2D, MaxPoolingWithArgmax2D, MaxUnpooling2D

lesson = Chapter("ch05_unpooling", "Unpooling", epochs=25, quick={"epochs": 1})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Two contours that pooling cannot tell apart
#
# Here are two feature maps of a layer that responds to contours. In one the contour runs straight
# down; in the other it bends to the left. We pool both with windows of two by two. Each window has
# a colour, and its maximum is filled with it.

# %%
straight = np.array([[0, 7, 0, 2], [0, 9, 0, 0], [0, 8, 0, 0], [0, 5, 1, 0]])
bent = np.array([[0, 7, 0, 0], [0, 9, 2, 0], [8, 0, 0, 1], [5, 0, 0, 0]])
windows = [(0, 0, 2, 2), (0, 2, 2, 2), (2, 0, 2, 2), (2, 2, 2, 2)]  # top, left, height, width
maxima = {  # the (row, column) of the maximum of every window
    "straight": [(1, 1), (0, 3), (2, 1), (3, 2)],
    "bent": [(1, 1), (1, 2), (2, 0), (2, 3)],
    "pooled": [(0, 0), (0, 1), (1, 0), (1, 1)],
}
lesson.figure(
    figures.number_grids(
        {"straight": straight, "bent": bent, "pooled": np.array([[9, 2], [8, 1]])},
        [None, "max"],
        windows={"straight": windows, "bent": windows},
        marks=maxima,
    ),
    "two_contours",
    "Two different maps, and one pooled map that belongs to both of them.",
)

# %% [markdown]
# Both maps are pooled to the same four numbers. So pooling has no inverse: the pooled map alone
# cannot tell you which of the two it came from.
#
# What tells them apart is the *position* of each maximum inside its window, counted row by row from
# zero to three. The function below gathers the four values of each window along the last axis;
# `max` then finds the largest value, and `argmax` its position.


# %%
def max_pool(x, size=2):
    height, width = np.array(x.shape) // size
    windows = x.reshape(height, size, width, size).swapaxes(1, 2).reshape(height, width, -1)
    return windows.max(-1), windows.argmax(-1)


pooled, positions = max_pool(straight)
same, others = max_pool(bent)
assert np.array_equal(pooled, same)
print("straight:", positions.tolist(), " bent:", others.tolist())

# %% [markdown]
# The small map of positions is called the *pooling mask*. For a window of four values, two bits are
# enough to store it.
#
# ## Max unpooling by hand
#
# To unpool, start with a map of zeros, and write each pooled value at the position that the mask
# holds for its window. For a window in row $i$ and column $j$ with position $p$ and window size
# $n$, that is row $n\,i + \lfloor p / n \rfloor$ and column $n\,j + (p \bmod n)$, where
# $\lfloor\cdot\rfloor$ rounds down and $\bmod$ is the remainder. The function `places` computes
# this for all windows.


# %%
def places(positions, size=2):
    return [(size * i + p // size, size * j + p % size) for (i, j), p in np.ndenumerate(positions)]


def max_unpool(values, positions, size=2):
    unpooled = np.zeros([size * n for n in values.shape], values.dtype)
    for value, place in zip(values.ravel(), places(positions, size)):
        unpooled[place] = value
    return unpooled


assert places(positions) == maxima["straight"]
unpooled = max_unpool(pooled, positions)
copied = pooled.repeat(2, axis=0).repeat(2, axis=1)

# %%
cells = maxima["pooled"]
lesson.figure(
    figures.number_grids(
        {
            "pooled": pooled,
            "mask": positions,
            "max unpooling": unpooled,
            "average unpooling": copied,
        },
        windows={"max unpooling": windows, "average unpooling": windows},
        marks={"pooled": cells, "mask": cells, "max unpooling": maxima["straight"]},
    ),
    "unpooled",
    "Max unpooling writes each value to its old place; average unpooling fills its whole window.",
)

# %% [markdown]
# Compare the third grid with the map `straight` above. The four maxima are back in their places.
# The seven and the five are gone, because pooling had dropped them.
#
# The fourth grid is *average unpooling*. It needs no mask and repeats every value. It has its name
# from its partner: if you average each window of the result, you get the pooled map back. You know
# it from lesson 4, where it was called nearest-neighbour upsampling.
#
# ## The same as layers
#
# In a network the maps come in batches, have many channels and sometimes an odd number of rows.
# Keras has no max unpooling, so this package adds it as a pair of layers: `MaxPoolingWithArgmax2D`
# returns the pooled map and its mask, and `MaxUnpooling2D` takes both. `AverageUnpooling2D` takes a
# map alone, and does what Keras's `UpSampling2D` does. None of the three has weights, since moving
# a value leaves nothing to learn.

# %%
x = straight[None, :, :, None].astype("float32")
values, mask = MaxPoolingWithArgmax2D()(x)
assert np.array_equal(np.squeeze(mask), positions)
assert np.array_equal(np.squeeze(MaxUnpooling2D()(values, mask)), unpooled)
assert np.array_equal(np.squeeze(AverageUnpooling2D()(values)), copied)

# %% [markdown]
# ## On a photograph
#
# Now we halve a photograph twice and bring it back in two steps, with both kinds of pooling and
# unpooling. Before you run the cell: what will be left of the contours in each result, and in which
# of the two will you recognise the building?


# %%
def round_trip(image, depth=2):
    x, y, masks = image, image, []
    for _ in range(depth):
        x, mask = MaxPoolingWithArgmax2D()(x)
        y = layers.AveragePooling2D(2)(y)
        masks.append(mask)
    for _ in range(depth):
        x, y = MaxUnpooling2D()(x, masks.pop()), AverageUnpooling2D()(y)
    return {"photograph": image[0], "max unpooling": x[0], "average unpooling": y[0]}


photo = load_sample_image("china.jpg")[None, 96:192, 176:288] / np.float32(255)
lesson.figure(
    figures.panels(round_trip(photo), columns=3),
    "photograph",
    "Pooled twice and unpooled twice: a few exact points on black, or all tones without detail.",
)

# %% [markdown]
# After two steps, max unpooling has kept one value of sixteen in every channel. All of these stand
# exactly where they belong, and between them there is nothing. (The dots are coloured because the
# red, green and blue channels are pooled separately, and their maxima lie at different pixels.)
# Average unpooling has the opposite character: you recognise the building, since every tone is
# about right, but no edge is finer than a block of four by four.
#
# Look at the code again: `masks.pop()` takes the *last* mask first. The mask of the last pooling is
# the smallest, and the decoder needs it first. A mask only fits the map it was made with, so each
# unpooling of a decoder belongs to one pooling of the encoder.
#
# ## What undoes what?
#
# Pooling cannot be undone, as we saw. The other order works: if you unpool a map and pool the
# result, you have the map again, whatever the mask. There is one exception, and a single window
# shows it:

# %%
value, where = np.array([[-1]]), np.array([[2]])
inside = max_unpool(value, where)
lesson.figure(
    figures.number_grids(
        {"value": value, "unpooled": inside, "pooled again": max_pool(inside)[0]},
        ["unpool", "pool"],
        marks={"value": [(0, 0)], "unpooled": [(1, 0)]},
    ),
    "negative",
    "A negative value does not come back: the zeros around it are larger.",
)

# %% [markdown]
# For values from zero upward, random values and random masks confirm the rule:

# %%
generator = np.random.default_rng(0)
values = generator.uniform(0, 1, (1, 6, 9, 4)).astype("float32")
anywhere = generator.integers(0, 4, values.shape).astype("uint8")
pooled_again, _ = MaxPoolingWithArgmax2D()(MaxUnpooling2D()(values, anywhere))
assert np.array_equal(pooled_again, values)

# %% [markdown]
# The exception seldom matters in practice. Encoders usually pool after a ReLU, so that no value is
# negative, and decoders do not pool what they have unpooled.
#
# Max unpooling has a second meaning. Think of the gradient that flows back through a max pooling:
# only the maximum influences the result, so the whole gradient goes to the place of the maximum,
# and the others get zero. That *is* max unpooling, as long as windows do not overlap. (Where they
# do, gradients add up, and unpooling has to choose; see the exercises.)
#
# ## From sparse to dense
#
# At least three quarters of an unpooled map are zeros. But the output needs a value everywhere, so
# a decoder that unpools always convolves afterwards: the kernel spreads each value over its
# neighbourhood. Unpooling and convolution together are a stage of SegNet's decoder, which also has
# batch normalisation. In a stage that copies instead, the convolution has the opposite task: it has
# to sharpen.
#
# Let us put such stages into an autoencoder, a network that has to draw its own input from a small
# code. Lesson 6 is about autoencoders; here we only need the two decoders. With `use_masks=True`
# every unpooling gets the mask of its pooling; with `use_masks=False` it copies. All else is equal.


# %%
def autoencoder(use_masks, filters=16, code_channels=2):
    x = image = keras.Input((8, 8, 1), name="image")
    masks = []
    for stage in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"encoder{stage}")(x)
        x, mask = MaxPoolingWithArgmax2D(name=f"encoder{stage}_pool")(x)
        masks.append(mask)
    x = layers.Conv2D(code_channels, 1, name="code")(x)
    for stage in (2, 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"decoder{stage}")(x)
        if use_masks:
            x = MaxUnpooling2D(name=f"decoder{stage}_unpool")(x, masks.pop())
        else:
            x = AverageUnpooling2D(name=f"decoder{stage}_unpool")(x)
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="drawing")(x)
    return keras.Model(image, x)


lesson.figure(
    figures.architecture(autoencoder(use_masks=True)),
    "architecture",
    "The autoencoder with masks. The dashed arrows, the masks, lead around the code.",
)
assert autoencoder(True).count_params() == autoencoder(False).count_params()

# %% [markdown]
# A mask belongs to one map, channel by channel. That is why the decoder has sixteen channels
# wherever it unpools: as many as the encoder had where it pooled.
#
# The code at the bottom has two by two positions and two channels: eight numbers for an image of 64
# pixels. We train both networks on small handwritten digits. The loss, binary cross-entropy, is
# small where each drawn pixel is close to the true one (lesson 6).

# %%
digits = datasets.load("digits", target="image", batch_size=32)
test, _ = next(iter(digits.test))
test = np.asarray(test[:10])
drawings, trained = {"digit": test}, {}
for name, use_masks in (("copied", False), ("with masks", True)):
    keras.utils.set_random_seed(0)
    model = trained[name] = autoencoder(use_masks)
    model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["mse"])
    model.fit(digits.train, epochs=lesson.settings.epochs, verbose=0)
    drawings[name] = model.predict(test, verbose=0)
    print(f"{name:10} squared error on test digits {model.evaluate(digits.test, verbose=0)[1]:.4f}")

# %%
lesson.figure(
    figures.image_rows(drawings, "With masks, the drawing is sharper"),
    "digits",
    "Test digits, and what both networks draw from eight numbers.",
)

# %% [markdown]
# The network with masks draws clearly better; its squared error is less than half of the other's.
# Yet both codes have eight numbers. Has this network learned a better code?
#
# Look at its architecture again: the dashed arrows lead *around* the code. Each pooling hands one
# position per window and channel to the decoder, in this network 320 of them, and a position says
# where in its window the feature was strongest. Along a stroke of the digit, that is the course of
# the stroke. So perhaps the digit is in the masks.
#
# We can test it. First we cut the trained network in two: `keras.Model(a, b)` is the part that
# computes `b` from `a`. Then we keep the eight numbers of every digit, and give the decoder the
# masks of another digit. Which of the two will it draw?

# %%
model = trained["with masks"]
masks = [model.get_layer(f"encoder{stage}_pool").output[1] for stage in (1, 2)]
code = model.get_layer("code").output
encoder = keras.Model(model.input, [*masks, code])
decoder = keras.Model([*masks, code], model.output)
*own_masks, codes = encoder.predict(test, verbose=0)
shifted = [np.roll(mask, -1, axis=0) for mask in own_masks]  # those of the digit to the right
rows = {
    "code of": test,
    "masks of": np.roll(test, -1, axis=0),
    "drawn": decoder.predict([*shifted, codes], verbose=0),
}
lesson.figure(
    figures.image_rows(rows, "Whose shape does the drawing have?"),
    "swapped_masks",
    "Compare the last row with the other two: it is drawn from the code of the first row and the "
    "masks of the second.",
)

# %% [markdown]
# Almost every drawing shows the digit that lent its *masks*; the code changes little. So a pooling
# mask is a narrow *skip connection*: it carries information from the encoder to the decoder past
# the bottleneck.
#
# For segmentation this is welcome, because nobody asks such a network to compress. For an
# autoencoder, which is supposed to put all it knows into its code, it is a leak. That is why the
# autoencoders of the next lessons have no masks.
#
# ## Does it hold?
#
# In the [experiment](experiments/unpooling.py), each network is trained three times, and a
# nearest-neighbour classifier has to name the digit from one ingredient alone. It is right for
# about 97 % of the test digits if it sees only the masks, and for 87 % at most if it sees only the
# code of the same network. From the code of the network without masks it names 95 %: that code has
# to hold everything.
#
# ## Where it breaks
#
# - **Odd sizes.** With `padding="same"`, $45$ rows are pooled to $23$, and these would come back as
#   $46$. Give the layer the tensor that was pooled, `unpool(x, mask, like=before)`, and it takes
#   its size from there.
# - **Memory.** A mask has to live until the decoder needs it. Here it takes one byte a value;
#   TensorFlow's operation returns indices of eight bytes, or four on request. At prediction this is
#   the price of a decoder with masks. In training it hardly counts, since backpropagation keeps the
#   maps that were pooled anyway, and they are larger.
# - **GPUs.** On a GPU, Keras compiles models with XLA, TensorFlow's compiler, and XLA has no
#   version of `tf.nn.max_pool_with_argmax`. The layers of this package use only operations that it
#   knows.
#
# ## Summary
#
# - Max pooling keeps a value and drops its place; the pooling mask keeps the place.
# - Max unpooling puts values exactly in place, and leaves the rest zero. Average unpooling is dense
#   and blocky. Neither has weights; the convolutions that follow fill in or sharpen.
# - Pooling undoes unpooling for values that are not negative. Nothing undoes pooling.
# - Masks lead information around a bottleneck, as skip connections do.
#
# ## Exercises
#
# 1. Pool a map of four by four ones. What does the mask say when all values of a window are equal?
#    What happens to a flat area that is pooled and unpooled?
# 2. In the round trip of the photograph, unpool with the masks of the photograph turned upside
#    down. What do you expect to see?
# 3. How many bytes do the masks of SegNet take for an image of $360 \times 480$ pixels? Its five
#    poolings see $64, 128, 256, 512$ and $512$ channels.
# 4. Show with `tf.GradientTape` that max unpooling is the gradient of max pooling. Then take
#    windows of three by three with stride two. What changes, and why?
# 5. A small project: train the network with masks that are shuffled among the images of a batch. Is
#    it still better than copying? Explain the result.
#
# ## Further reading
#
# - Zeiler and Fergus 2014,
#   [Visualizing and understanding convolutional networks](https://arxiv.org/abs/1311.2901)
# - Noh, Hong and Han 2015,
#   [Learning deconvolution network for semantic segmentation](https://arxiv.org/abs/1505.04366)
# - Badrinarayanan, Kendall and Cipolla 2017, [SegNet](https://arxiv.org/abs/1511.00561)
