# %% [markdown]
# # 2 · The receptive field: how much one output sees
#
# Look at a street through a keyhole. You see a pane of glass. Is it the window of a bus or of a
# house? Nobody can tell, however clever, because the answer lies outside the keyhole.
#
# Every output of a convolutional network looks at the image through such a keyhole. It is called
# the *receptive field*: the part of the image that can change this output. A network that labels
# every pixel needs a large one, to know what a pixel belongs to. It also needs a fine map, to draw
# the outline. This lesson shows why the two are in conflict, and how convolutions with holes
# resolve it.
#
# *You learn* how to compute what an output of a network sees, and how dilation enlarges it without
# making the map smaller.
# *In the book:* chapter 3, "Effective receptive field", and chapter 6, "Dilated convolutions".
# *You need:* lesson 1 (convolution, stride, pooling). *Time:* half a minute on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops
from skimage.data import chelsea
from sklearn.datasets import load_sample_image

from kerasseg import figures
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.chapter import Chapter
from kerasseg.layers import AtrousConv2D

lesson = Chapter("ch02_receptive_field", "Receptive field", epochs=12, quick={"epochs": 1})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Through the keyhole
#
# The next figure shows the same point of a photograph through four keyholes. Cover the right ones
# with your hand and guess what you see. At which size do you become certain?

# %%
cat = chelsea() / np.float32(255)
row, column = 115, 180
keyholes = {}
for size in (12, 40, 100, 220):
    top, left = row - size // 2, column - size // 2
    keyholes[f"{size} x {size} pixels"] = cat[top : top + size, left : left + size]
lesson.figure(
    figures.panels(keyholes, title="The same point, seen by four receptive fields", cell=1.8),
    "keyholes",
    "The pixels of the smallest window are in the middle of all others. Their meaning comes from "
    "what lies around them.",
)

# %% [markdown]
# ## How the field grows
#
# Take two convolutions with kernels of three, one after the other. An output of the second looks at
# three values of the map in between. Each of those looks at three pixels, and their windows
# overlap. The drawing follows a single output back to the image, along one row. The numbers count
# the paths: in how many ways a value can reach the output. (`np.roll` shifts a row.)


# %%
def paths_back(paths, rate=1):
    below = np.zeros_like(paths)
    for tap in (-rate, 0, rate):
        below += np.roll(paths, tap)
    return below


output = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0])
between = paths_back(output)
image_row = paths_back(between)
rows = {"one output": output, "map in between": between, "row of the image": image_row}
lesson.figure(
    figures.number_grids(
        rows,
        marks={
            name: [[(0, int(i)) for i in np.flatnonzero(numbers)]] for name, numbers in rows.items()
        },
        columns=1,
        title="Two kernels of three see five pixels, the middle one on three paths",
    ),
    "paths",
    "Blue: what the output depends on. Numbers: how many paths lead from there to the output.",
)

# %% [markdown]
# So a kernel of $k$ adds $k - 1$ pixels to the field. But after a stride or a pooling, neighbours
# in the map are further apart in the image, and each further kernel adds more. Call this distance
# the *jump* $j$ (the output stride of the map). With $r$ for the receptive field, $k_l$ and $s_l$
# for the kernel and the stride of layer $l$, both grow layer by layer:
#
# $$r_l = r_{l-1} + (k_l - 1)\, j_{l-1}, \qquad j_l = s_l\, j_{l-1}, \qquad r_0 = j_0 = 1.$$
#
# The function below takes a list of pairs, kernel and stride. Our example is VGG-16, a classic
# encoder: five stages of convolutions, `(3, 1)`, each followed by a pooling, `(2, 2)`.


# %%
def field_by_hand(windows):
    field, jump = 1, 1
    for kernel, stride in windows:
        field += (kernel - 1) * jump
        jump *= stride
    return field, jump


stages = [2, 2, 3, 3, 3]
vgg16 = [window for n in stages for window in [(3, 1)] * n + [(2, 2)]]
print("VGG-16 sees a field of {} pixels, at a jump of {}".format(*field_by_hand(vgg16)))

# %% [markdown]
# `receptive_field` reads kernels and strides from the graph of any Keras model. We build the same
# stages, with one channel only, because channels do not change the field. (`AtrousConv2D` is
# explained below. At rate one it is an ordinary convolution.)


# %%
def trunk(rates, pool):
    x = image = keras.Input((None, None, 1), name="image")
    for convolutions, rate in zip(stages, rates):
        for _ in range(convolutions):
            x = AtrousConv2D(1, 3, rate=rate, padding="same")(x)
        x = layers.MaxPooling2D(2)(x) if pool else x
    return keras.Model(image, x)


field = receptive_field(trunk((1, 1, 1, 1, 1), pool=True))
assert (field.size, field.stride) == field_by_hand(vgg16) == (212, 32)

# %% [markdown]
# ## The dilemma: a large field or a fine map
#
# The field of VGG-16 is large, but one output stands for a square of thirty-two by thirty-two
# pixels. You cannot draw the outline of a bicycle with such a brush. What if we simply leave out
# the poolings? Then the map stays as fine as the image. Before you run the cell, guess what happens
# to the field.

# %%
for name, rates, pool in (
    ("with poolings", (1, 1, 1, 1, 1), True),
    ("without poolings", (1, 1, 1, 1, 1), False),
    ("with dilation instead", (1, 2, 4, 8, 16), False),
):
    field = receptive_field(trunk(rates, pool))
    print(f"{name:22} field {field.size:3} pixels, one output every {field.stride:2} pixels")

# %% [markdown]
# Without poolings the same thirteen convolutions see only an eighth as far in each direction. All
# that is left in the keyhole is a pane of glass. This is the dilemma of segmentation. A classifier
# can accept the coarse map, because it gives one answer for the whole image. A segmentation network
# wants both.
#
# There are two ways out. Shrink first and enlarge again, as the decoders of later lessons do. Or
# keep the size and let each kernel reach further. This is the third line of the table, and the rest
# of this lesson is about it.
#
# ## Dilation: a kernel with holes
#
# A larger kernel would see more, but its weights grow with the square of its size. **Dilated
# convolution**, also called *atrous* convolution from the French *à trous*, "with holes", keeps the
# weights and moves them apart. Its *rate* $d$ is the distance between two neighbouring weights, so
# that a kernel of $k$ reaches over $(k - 1)\,d + 1$ pixels. Rate 1 is the ordinary convolution.


# %%
def with_holes(kernel, rate):
    reach = (len(kernel) - 1) * rate + 1
    spread = np.zeros((reach, reach), kernel.dtype)
    spread[::rate, ::rate] = kernel
    return spread


kernel = np.arange(1, 10).reshape(3, 3)
spread = with_holes(kernel, 2)
taps = [list(map(tuple, np.argwhere(spread).tolist()))]
lesson.figure(
    figures.number_grids(
        {"rate 1": kernel, "rate 2": spread},
        ["spread"],
        marks={"rate 1": [list(np.ndindex(3, 3))], "rate 2": taps},
        title="Nine weights reach over 3 x 3 pixels, or over 5 x 5",
    ),
    "dilation",
    "Blue: the weights. The zeros in between are never stored, and nobody multiplies by them.",
)

# %% [markdown]
# The package's layer for it is `AtrousConv2D`. (Keras's `Conv2D` with a `dilation_rate` gives the
# same, sometimes more slowly.) It gives the numbers of an ordinary convolution with the spread
# kernel. With `padding="same"` its output has the size of its input, so dilation does not
# downsample. It only looks further.

# %%
x = np.random.default_rng(0).normal(size=(1, 9, 12, 1)).astype("float32")
layer = AtrousConv2D(1, 3, rate=2, padding="same", use_bias=False)
layer.build(x.shape)
layer.set_weights([kernel[:, :, None, None]])
large_kernel = spread[:, :, None, None].astype("float32")
assert np.allclose(layer(x), ops.conv(x, large_kernel, padding="same"), atol=1e-4)

# %% [markdown]
# ## Sparse features and dense features
#
# DeepLab, the network that made dilation popular, explains it with an experiment that we repeat. We
# look for vertical edges with a kernel of seven by seven, the slope of a bell curve, in two ways.
# *First shrink:* take every second pixel and convolve what is left. *Dilate:* convolve the whole
# photograph at rate two. Both outputs see thirteen by thirteen pixels, through the same weights.

# %%
photo = load_sample_image("china.jpg")[60:252, 90:346].mean(-1)[None, :, :, None] / 255
steps = np.arange(-3, 4)
bell = np.exp(-(steps**2) / 4)
edge = np.outer(bell, steps * bell)[:, :, None, None]
sparse = np.asarray(ops.conv(photo[:, ::2, ::2], edge, padding="same"))
dense = np.asarray(ops.conv(photo, edge, padding="same", dilation_rate=2))
assert np.allclose(dense[:, ::2, ::2], sparse)

# %%
crop, half_crop = (0, slice(20, 80), slice(140, 220)), (0, slice(10, 40), slice(70, 110))
strongest = np.abs(dense).max()
lesson.figure(
    figures.panels(
        {
            "photograph": photo[crop],
            "first shrink": 0.5 + sparse[half_crop] / strongest,
            "dilate": 0.5 + dense[crop] / strongest,
        },
        title="Dilation computes a value at every pixel",
        columns=3,
        cell=3,
    ),
    "sparse_and_dense",
    "Vertical edges: grey is none, white and black are edges of either direction. The middle panel "
    "has a quarter as many values as the right one.",
)

# %% [markdown]
# The `assert` tells the whole story: wherever the sparse map has a value, the dense map has exactly
# the same. Its outputs see no further. What we gain is the other three quarters of the values,
# which the small map never computed and which enlarging could only guess from their neighbours.
# (The ripples on the roof appear because neighbouring outputs read different pixels. We come back
# to this below.)
#
# ## Does the field matter? Buses and houses
#
# Now we test the story of the keyhole. Our toy images show buses and houses. Both have the same
# wall with the same windows. A bus has two dark wheels below, a house a dark roof above. The task
# is to say for every pixel of a wall whether it belongs to a bus or to a house. Everything else is
# background, wheels and roofs included.


# %%
def street(rng):
    image = rng.normal(0.4, 0.05, (48, 80, 1))
    labels = np.zeros((48, 80), "int32")
    for half in (0, 40):
        top, left = rng.integers(8, 17), half + rng.integers(2, 9)
        kind = rng.integers(1, 3)
        roof, wheels = image[top - 5 : top, left : left + 30], image[top + 24 : top + 29]
        image[top : top + 24, left : left + 30] = 0.7
        for row, column in np.ndindex(3, 4):
            window = slice(top + 3 + 7 * row, top + 7 + 7 * row)
            image[window, left + 3 + 7 * column : left + 6 + 7 * column] = 1
        if kind == 1:
            wheels[:, left + 3 : left + 9] = wheels[:, left + 21 : left + 27] = 0
        else:
            roof[:] = 0
        labels[top : top + 24, left : left + 30] = kind
    return image, labels


rng = np.random.default_rng(0)
images, labels = map(np.stack, zip(*(street(rng) for _ in range(240))))

# %% [markdown]
# The network is six convolutions with rates and a convolution of one by one, which turns the
# features of each pixel into three scores. There is no pooling, so its maps are as large as the
# image. The only argument is the list of rates. We build it twice: with all rates one, and with
# rates that double.


# %%
def segmenter(rates):
    x = image = keras.Input((48, 80, 1), name="image")
    for i, rate in enumerate(rates, 1):
        conv = AtrousConv2D(16, 3, rate=rate, padding="same", name=f"rate{rate}_conv{i}")
        x = layers.ReLU()(conv(x))
    return keras.Model(image, layers.Conv2D(3, 1, name="scores")(x), name="segmenter")


narrow, wide = segmenter([1, 1, 1, 1, 1, 1]), segmenter([1, 1, 2, 4, 8, 8])
assert narrow.count_params() == wide.count_params()
lesson.figure(
    figures.architecture(wide, input_size=(48, 80)),
    "architecture",
    "The network with doubling rates. Every map has the size of the image.",
)

# %% [markdown]
# Both networks have the same number of weights and do the same number of multiplications. They
# differ in the receptive field alone.

# %%
predicted = {}
for name, model in (("narrow", narrow), ("wide", wide)):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(images[:200], labels[:200], 8, lesson.settings.epochs, verbose=0)
    predicted[name] = model.predict(images[200:], verbose=0).argmax(-1)
    right = (predicted[name] == labels[200:])[labels[200:] > 0].mean()
    print(f"{name}: field {receptive_field(model).size}, {100 * right:.0f} % of the walls right")

# %% [markdown]
# Before you look at the predictions of the narrow network: it is not bad everywhere. On which parts
# of a wall can it know the answer, and what will it say about the others?

# %%
has_both = [i for i in range(40) if len(np.unique(labels[200 + i])) == 3][:4]
test_images, truth = images[200:][has_both], labels[200:][has_both]
colours = [(255, 255, 255), (0, 114, 178), (230, 159, 0)]
lesson.figure(
    figures.image_rows(
        {
            "image": test_images,
            "truth": figures.paint(truth, colours),
            "narrow field": figures.paint(predicted["narrow"][has_both], colours),
            "wide field": figures.paint(predicted["wide"][has_both], colours),
        },
        "The narrow field knows the class only near the roof and the wheels",
    ),
    "buses_and_houses",
    "Blue: bus. Orange: house. Only the wide network sees the roof or the wheels from every part "
    "of the wall.",
)

# %% [markdown]
# The narrow network is right near the roof and near the wheels, where these lie within its field.
# Elsewhere it sees nothing but wall and windows, which look the same on both, so it gives one
# answer for all of them. One kind of object is right throughout, and the other falls apart into
# pieces of two classes.
#
# Real networks make the same mistake: FCN breaks large objects into pieces with different labels
# ([Noh et al. 2015](https://arxiv.org/abs/1505.04366), figure 1). The authors of DeepLab and of
# PSPNet built their networks to avoid it (lesson 14, lesson 15).
#
# ## A field with gaps, and a field that fades
#
# The receptive field tells us how *far* an output sees, not how *well*: there are two limits. To
# see them, we ask of every pixel how strongly it can change one output. That is the gradient of the
# output with respect to the pixel, and `effective_receptive_field` computes it. In a network whose
# weights are all one, it is the number of paths from the pixel to the output, which you met at the
# beginning.


# %%
def influence(rates):
    x = image = keras.Input((31, 31, 1))
    for rate in rates:
        ones = {"kernel_initializer": "ones", "use_bias": False, "padding": "same"}
        x = AtrousConv2D(1, 3, rate=rate, **ones)(x)
    return effective_receptive_field(keras.Model(image, x), np.ones((1, 31, 31, 1), "float32"))


maps = {
    "rates 1, 1, 1": influence([1, 1, 1]),
    "rates 1, 2, 4": influence([1, 2, 4]),
    "rates 2, 2, 2": influence([2, 2, 2]),
    "rates 4, 4, 4": influence([4, 4, 4]),
}
lesson.figure(
    figures.panels(maps, title="Rates of 1, 2, 4 leave no gaps; 2, 2, 2 and 4, 4, 4 do", cell=1.8),
    "gridding",
    "Three convolutions each. Blue: the pixels that the output depends on, darker with more paths. "
    "White pixels inside the field are never looked at.",
)

# %% [markdown]
# This is **gridding**. If all rates are two, every path makes steps of two, and three of four
# pixels are never reached. Two neighbouring outputs then look at entirely different pixels, and
# their answers need not agree. Rates of one, two and four miss no pixel of their field.
#
# The first two maps show the second limit. From a corner of the field there is a single path to the
# output, from the middle there are many. For a stack of ten convolutions we draw the influence with
# two frames: the field in theory, and the part that holds nearly all of the influence, which is
# called the **effective receptive field**.

# %%
x = image = keras.Input((31, 31, 1))
for _ in range(10):
    x = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones")(x)
ten = keras.Model(image, x)
share = effective_receptive_field(ten, np.ones((1, 31, 31, 1), "float32"))
lesson.figure(
    figures.influence_map(share, receptive_field(ten)),
    "effective_field",
    "Ten convolutions of three by three. The influence falls off like a bell from the middle. The "
    "title compares the sides of the two squares.",
)

# %% [markdown]
# The effective field grows more slowly than the theoretical one. For such stacks the theoretical
# field grows in proportion to the number of layers $n$, the effective one only to $\sqrt{n}$: a
# path is a sum of $n$ random steps, left, right or straight on, and the spread of such a sum grows
# like $\sqrt{n}$, as for a sum of $n$ dice. So the ratio of the two fields is not fixed. It depends
# on the depth and on the weights.
#
# ## Does it hold?
#
# Luo and colleagues measured the effective field of real networks
# ([2016](https://arxiv.org/abs/1701.04128)). It is much smaller than in theory, and training
# enlarges it. Zhou and colleagues found the same earlier, by covering parts of an image and
# watching the features ([2015](https://arxiv.org/abs/1412.6856)). The authors of PSPNet took it as
# a reason to add a summary of the whole image (lesson 15).
#
# ## Where it breaks
#
# - **At large rates the kernel leaves the map.** On a map of 9 by 13, a kernel at rate 12 has
#   nearly all of its weights over the padding, and acts like a convolution of one by one (lesson
#   15).
# - **Fine maps are expensive.** Without its poolings VGG-16 would compute its last stage on a map
#   with hundreds of times as many places. Practical networks keep the first three poolings and
#   dilate only behind them (lesson 14).
# - **A wide field is a chance, not a guarantee.** The weights must learn to use it.
#
# ## Summary
#
# - The receptive field of an output is the part of the image that can change it. Each kernel adds
#   $k - 1$ jumps, each stride multiplies the jump.
# - Poolings enlarge the field and coarsen the map. Dilation enlarges the field and keeps the map.
# - Where a shrunk map has a value, a dilated convolution gives the same value, and the missing ones
#   too.
# - Equal rates above one leave gaps. Most of the influence on an output comes from the middle of
#   its field.
#
# ## Exercises
#
# 1. Compute the field and the jump of a network with a convolution of seven with stride two, a
#    pooling of three with stride two, and two convolutions of three. Check it with
#    `receptive_field`.
# 2. Extend `field_by_hand` by a rate, and confirm the field of the dilated trunk.
# 3. Which field does the segmenter need for these walls? Try rates that give a field between the
#    two of the lesson, and plot how many pixels are right.
# 4. Draw the influence of the rates $(1, 2, 3)$ and $(2, 4, 8)$. Doubling alone is not enough: what
#    do the rates of a block have in common when there are gaps?
# 5. Measure the side of the effective field of stacks of five, ten, twenty and forty convolutions.
#    Does it grow with $\sqrt{n}$?
# 6. *Project.* Turn a network with a stride into a dense one: build a convolution with stride two
#    followed by an ordinary one, copy the weights into a network without stride whose second
#    convolution has rate two, and show that every value of the first is also in the second.
#
# ## Further reading
#
# - Chen et al. 2016,
#   [DeepLab](https://arxiv.org/abs/1606.00915): atrous convolution, and the figure of sparse and
#   dense features
# - Yu and Koltun 2016,
#   [Multi-scale context aggregation by dilated convolutions](https://arxiv.org/abs/1511.07122)
# - Luo et al. 2016,
#   [Understanding the effective receptive field](https://arxiv.org/abs/1701.04128)
# - Wang et al. 2018,
#   [Understanding convolution for semantic segmentation](https://arxiv.org/abs/1702.08502), on
#   gridding
# - Araujo, Norris and Sim 2019,
#   [Computing receptive fields of convolutional networks](https://doi.org/10.23915/distill.00021)
