# %% [markdown]
# # 1 · Downsampling: how a network makes its maps smaller
#
# A photograph has millions of pixels, and the answer to "is this a temple?" is a single word.
# Between the two a network throws away almost everything it was given. The art lies in what it
# throws away: the exact place of every leaf may go, the fact that there *is* a roof must stay.
#
# The part of a network that does this is called the *encoder*. It repeats a few kinds of operations
# many times. This lesson takes each of them apart: convolution with its stride and padding,
# pooling, and the cheap convolutions of networks for phones.
#
# *You learn* how convolution, stride, padding and pooling turn a large map into a small one, and
# what separable convolutions save.
# *In the book:* chapter 3, "Discovering CNNs".
# *You need:* Python, NumPy and the idea of a neural network. *Time:* half a minute on two cores.

# %%
import keras
import numpy as np
from keras import layers
from skimage.data import hubble_deep_field
from sklearn.datasets import load_sample_image

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter

lesson = Chapter("ch01_downsampling", "Downsampling", epochs=20, quick={"epochs": 2})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## How small can an image become?
#
# The simplest way to make an image smaller is to replace every block of pixels by its mean. Here is
# a photograph with fewer and fewer blocks. At which size do you stop recognising the temple? At
# which size would you still *guess* that there is a building?
#
# In the code, `reshape` gives each block two axes of its own, and `mean` averages over both.
# `lesson.figure` shows and saves what `figures` draws; you need not know how.

# %%
temple = load_sample_image("china.jpg")[:384, :576] / np.float32(255)
sizes = {"384 x 576 pixels": temple}
for size in (8, 32, 96):
    rows, columns = 384 // size, 576 // size
    blocks = temple.reshape(rows, size, columns, size, 3)
    sizes[f"{rows} x {columns}"] = blocks.mean((1, 3))
lesson.figure(
    figures.panels(sizes, title="Smaller images keep the scene and lose the detail", cell=3),
    "sizes",
    "One photograph, and the means of its blocks. The rough layout survives the longest.",
)

# %% [markdown]
# A network shrinks its maps for three reasons. Each value of a small map stands for a large part of
# the image, so the network can judge parts that belong together (lesson 2). A small map is cheap to
# compute with. And a fully connected layer behind a small map needs fewer weights, so it has less
# room to learn the training images by heart (exercise 5).
#
# But the mean is a poor summary: it keeps the colour of a block and nothing else. With
# convolutions, a network first computes better descriptions of each place, called *features*, and
# then shrinks those.
#
# ## Convolution by hand
#
# A convolution lays a small array of weights, the *kernel*, on a window of the image, multiplies
# number by number, and adds up the products. Then the window moves on. For an image $x$ of one
# channel and a kernel $w$ of $k$ rows and columns, the output in row $i$ and column $j$ is
#
# $$y_{i,j} = b + \sum_{u=0}^{k-1} \sum_{v=0}^{k-1} w_{u,v} \; x_{s i + u,\; s j + v}$$
#
# Here $u$ and $v$ count the rows and columns of the kernel, $b$ is a constant called the *bias*,
# and $s$ is the *stride*: by how many pixels the window moves from one output to the next. With
# $s = 2$ the output has half as many rows and columns. That is downsampling. The function below has
# no bias.


# %%
def convolve(x, kernel, stride=1):
    k = len(kernel)
    rows, columns = ((n - k) // stride + 1 for n in x.shape)
    y = np.zeros((rows, columns))
    for i, j in np.ndindex(rows, columns):
        window = x[stride * i : stride * i + k, stride * j : stride * j + k]
        y[i, j] = (window * kernel).sum()
    return y


# %% [markdown]
# We check it on an image that is dark on the left and bright on the right. Our kernel, with $-1$ on
# its left and $1$ on its right, asks: how much brighter is the right side of the window than the
# left?

# %%
image = np.array([[1, 1, 1, 4, 4, 4]] * 5)
kernel = np.array([[-1, 0, 1]] * 3)
by_hand = {stride: convolve(image, kernel, stride) for stride in (1, 2)}
lesson.figure(
    figures.number_grids(
        {"image": image, "kernel": kernel, "stride 1": by_hand[1], "stride 2": by_hand[2]},
        ["*", "=", "or"],
        windows={
            "image": [(0, 0, 3, 3), (2, 2, 3, 3)],
            "stride 1": [(0, 0, 1, 1), (2, 2, 1, 1)],
            "stride 2": [(0, 0, 1, 1), (1, 1, 1, 1)],
        },
        title="The kernel answers where the brightness changes",
    ),
    "convolution",
    "Blue: the first window and the output it gives. Orange: the last window at stride 2. "
    "Stride 1 gives a value for every window, stride 2 for every second one in each direction.",
)

# %% [markdown]
# The answer is zero where the window is equally bright everywhere, and nine on the edge: three
# rows, each brighter by three. Nobody tells a network to look for edges. It starts from random
# kernels, and gradient descent finds those that help with its task. In trained networks, many
# kernels of the first layer turn out to be edge detectors much like this one.
#
# Keras's layer computes the same sum. Its images have four axes (image, row, column, channel), and
# so have its kernels (row, column, input channel, output channel): hence each `None` below.
# (Strictly, the sum is a *cross-correlation*. A convolution in mathematics first rotates the kernel
# by half a turn. For a learned kernel this makes no difference.)

# %%
layer = layers.Conv2D(1, 3, strides=2, use_bias=False)
layer.build((None, 5, 6, 1))
layer.set_weights([kernel[:, :, None, None]])
output = layer(image[None, :, :, None].astype("float32"))
assert np.allclose(np.squeeze(output), by_hand[2])

# %% [markdown]
# ## Padding, and the edge that is not there
#
# Even at stride one the output is smaller than the image, because a window must not stick out.
# Twenty such layers would eat twenty pixels from every side. So most networks put zeros around each
# map first, which is called *padding*. With $n$ pixels, a kernel of $k$, a padding of $p$ on each
# side and the stride $s$, there is room for
#
# $$\left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
#
# windows, where the brackets mean rounding down. With $p = (k - 1)/2$ and stride one the size does
# not change. Keras calls this `padding="same"`, and no padding `"valid"`. The formula also says
# that kernels of one by one never shrink a map, however many you stack.
#
# Padding is not free, because to a kernel zeros look black. What will an edge detector say about a
# sheet of white paper? Its weights are 8 in the middle and $-1$ around, so where nothing changes it
# answers zero.

# %%
paper = np.ones((4, 6), int)
padded = np.pad(paper, 1)
detector = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
edges = convolve(padded, detector)
lesson.figure(
    figures.number_grids(
        {"white paper, padded": padded, "edge detector": detector, "edges": edges},
        ["*", "="],
        windows={"white paper, padded": [(0, 0, 3, 3)], "edges": [(0, 0, 1, 1)]},
        shades=["edges"],
        title="Zero padding draws a frame around a sheet of white paper",
    ),
    "padding",
    "The blue window contains five zeros of padding. Nothing changes inside the paper, and still "
    "the detector answers along its border.",
)

# %% [markdown]
# The frame marks the end of the image, not of any object. A network can learn to ignore it, but
# outputs near the border are less reliable, and lesson 3 has to avoid padding.
#
# ## Pooling: one number for a window
#
# *Pooling* also moves a window across the map, usually by its own width, and keeps one number of
# each window: the largest in **max pooling**, the mean in **average pooling**. There is nothing to
# learn, however large the window. Which of the two should you take? Consider three windows with the
# same mean.


# %%
def pool(x, choose, size=2):
    rows, columns = np.array(x.shape) // size
    windows = x.reshape(rows, size, columns, size)
    return choose(windows, axis=(1, 3))


feature = np.array([[5, 5, 3, 5, 0, 0], [5, 5, 5, 7, 0, 20]])
windows = [(0, 0, 2, 2), (0, 2, 2, 2), (0, 4, 2, 2)]
answers = [(0, 0, 1, 1), (0, 1, 1, 1), (0, 2, 1, 1)]
lesson.figure(
    figures.number_grids(
        {"map": feature, "mean": pool(feature, np.mean), "maximum": pool(feature, np.max)},
        ["pool", "or"],
        windows={"map": windows, "mean": answers, "maximum": answers},
        title="The wider the values spread, the further the maximum lies above the mean",
    ),
    "pooling",
    "Blue, orange, green: three windows and their pooled values. The mean cannot tell them apart.",
)

# %% [markdown]
# If a value says "here is an eye", then a window that contains one strong answer contains an eye,
# and the zeros around it are no argument against it. The maximum reports the eye; the mean waters
# it down. This is why max pooling is a common choice between convolutions.
#
# The layers give the same numbers. **Global average pooling** goes all the way: its window is the
# whole map, and one number per channel is left. Many classifiers end with it, and lesson 15 uses it
# to summarise a whole scene.

# %%
x = feature[None, :, :, None].astype("float32")
assert np.allclose(np.squeeze(layers.MaxPooling2D(2)(x)), pool(feature, np.max))
assert np.allclose(np.squeeze(layers.AveragePooling2D(2)(x)), pool(feature, np.mean))
assert np.allclose(layers.GlobalAveragePooling2D()(x), feature.mean())

# %% [markdown]
# Is the maximum always better? Make a guess for two images, before you look: a night sky with faint
# galaxies, and a photograph with a lot of noise. Both are pooled with windows of eight by eight.

# %%
rng = np.random.default_rng(0)
sky = hubble_deep_field()[300:684, 200:776].mean(-1, keepdims=True) / np.float32(255)
noisy = temple.mean(-1, keepdims=True) + rng.normal(0, 0.3, (384, 576, 1)).astype("float32")
pooled = {}
for name, picture in (("night sky", sky), ("noisy temple", noisy)):
    pooled[name] = picture
    pooled[f"{name}, maximum"] = np.asarray(layers.MaxPooling2D(8)(picture[None])[0])
    pooled[f"{name}, mean"] = np.asarray(layers.AveragePooling2D(8)(picture[None])[0])
lesson.figure(
    figures.panels(pooled, title="Max pooling keeps faint galaxies, and noise", columns=3, cell=3),
    "sky_and_noise",
    "Above, the maximum keeps faint galaxies visible that the mean loses. Below, it keeps the "
    "largest error of every window, and the mean loses the errors.",
)

# %% [markdown]
# With noise, the maximum picks the brightest error of each window, and nearly the whole image
# becomes white. In the mean, errors of both signs cancel. So use the maximum for features that are
# sparse and reliable, and the mean where every value counts, as in resizing an image or summarising
# a last map. A third choice is a convolution with stride two. It can learn the mean, or whatever
# weighted sum serves the task better, and pays for it with weights.
#
# ## From three channels to one map
#
# A colour image has three channels, and a feature map deep in a network has hundreds. Then each
# filter has one kernel *per channel*. Each kernel makes its own map from its own channel, the maps
# are added, and the bias is added last:
#
# $$y = b + \sum_{c=1}^{C} w_c * x_c$$
#
# where $x_c$ is channel $c$ of $C$, $w_c$ its kernel and $*$ the convolution. Let us build a filter
# that finds a flower. Its petals are rich in red and poor in blue. So the filter averages small
# windows of each channel and weights red by $1$, green and blue by $-0.5$ each. Every grey then
# gives zero. A negative bias demands a clear difference, and the activation, a ReLU, turns negative
# sums into zeros.

# %%
flower = load_sample_image("flower.jpg")[40:424, 60:636] / np.float32(255)
kernels = np.full((5, 5, 3, 1), 1 / 25, "float32") * np.float32([1, -0.5, -0.5])[:, None]
depthwise = layers.DepthwiseConv2D(5, padding="same", use_bias=False)
standard = layers.Conv2D(1, 5, padding="same", activation="relu")
for layer, weights in ((depthwise, [kernels]), (standard, [kernels, np.float32([-0.2])])):
    layer.build((None, *flower.shape))
    layer.set_weights(weights)
one_a_channel = np.asarray(depthwise(flower[None])[0])
found = np.asarray(standard(flower[None])[0])
assert np.allclose(found[..., 0], np.maximum(one_a_channel.sum(-1) - 0.2, 0), atol=1e-5)

# %%
lesson.figure(
    figures.panels(
        {
            "photograph": flower,
            "map of the red channel": (1 + one_a_channel[..., [0]]) / 2,
            "map of the green channel": (1 + one_a_channel[..., [1]]) / 2,
            "map of the blue channel": (1 + one_a_channel[..., [2]]) / 2,
            "their sum": (1 + one_a_channel.sum(-1, keepdims=True)) / 2,
            "with bias and ReLU": found / found.max(),
        },
        title="One map a channel, added up, becomes a detector of petals",
        columns=3,
        cell=3,
    ),
    "channels",
    "Middle grey is zero, brighter is positive. The last panel shows what is left after the bias "
    "and the activation: the petals.",
)

# %% [markdown]
# The `assert` is the formula. The layer that stops before the sum is called a **depthwise
# convolution**: one kernel per channel, as many maps as channels, nothing mixed.
#
# ## The price of a convolution
#
# How many weights do these layers have? Let there be $C$ channels coming in, $M$ maps going out and
# kernels of $K$ by $K$. A standard convolution has a kernel for every *pair* of an input and an
# output channel:
#
# $$\text{standard: } K^2 C M \qquad \text{depthwise: } K^2 C \qquad
# \text{separable: } K^2 C + C M$$
#
# A **depthwise separable convolution** is a depthwise one followed by a convolution of one by one,
# which does the mixing. The standard layer looks around and mixes channels in one step; the
# separable layer does one after the other. What remains is a share of
#
# $$\frac{K^2 C + C M}{K^2 C M} = \frac{1}{M} + \frac{1}{K^2},$$
#
# for kernels of three by three and many output channels about a ninth. Every weight is used once
# for every position of the output, so the number of multiplications is the number of weights times
# the height and width of the output, and shrinks by the same factor.

# %%
C, M, K = 64, 64, 3
for kind, weights in (
    (layers.Conv2D(M, K, use_bias=False), K**2 * C * M),
    (layers.DepthwiseConv2D(K, use_bias=False), K**2 * C),
    (layers.SeparableConv2D(M, K, use_bias=False), K**2 * C + C * M),
):
    kind.build((None, 32, 32, C))
    assert kind.count_params() == weights
    print(f"{type(kind).__name__:16} {weights:6} weights")

# %% [markdown]
# ## An encoder, twice
#
# Does a network that is so much smaller still learn? We write down an encoder for images of digits:
# three convolutions, two max poolings between them, and global average pooling at the end, followed
# by one fully connected layer that names the digit. The argument says which kind of convolution it
# uses from the second on. (The first sees a single channel, where there is nothing to separate.)


# %%
def encoder(convolution):
    image = keras.Input((8, 8, 1), name="image")
    settings = {"padding": "same", "activation": "relu"}
    x = layers.Conv2D(32, 3, name="encoder1_conv", **settings)(image)
    x = layers.MaxPooling2D(2, name="encoder1_pool")(x)
    x = convolution(64, 3, name="encoder2_conv", **settings)(x)
    x = layers.MaxPooling2D(2, name="encoder2_pool")(x)
    x = convolution(64, 3, name="encoder3_conv", **settings)(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, layers.Dense(10, name="digit")(x), name="encoder")


lesson.figure(
    figures.architecture(encoder(layers.Conv2D)),
    "architecture",
    "The encoder. Each pooling leaves a quarter of the positions, which pays for more channels "
    "behind it. The last arrow is the global average pooling.",
)

# %% [markdown]
# Read the drawing from left to right: the maps become smaller and the channels more. Nearly every
# encoder has this shape. What it loses in *where* it gains in *what*.
#
# Now we train it with both kinds of convolution on scikit-learn's handwritten digits. (The last
# layer has no softmax, which `from_logits=True` tells the loss.) One network has about a seventh of
# the other's weights. Before you run the cells, guess: how far apart will their curves be?

# %%
digits = datasets.load("digits", target="label", batch_size=32)
accuracy = {}
for convolution in (layers.Conv2D, layers.SeparableConv2D):
    model = encoder(convolution)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    history = model.fit(
        digits.train, validation_data=digits.test, epochs=lesson.settings.epochs, verbose=0
    )
    name = f"{convolution.__name__}: {model.count_params():,} weights"
    accuracy[name] = history.history["val_accuracy"]
    print(f"{name}, {100 * accuracy[name][-1]:.1f} % of the test digits right")

# %%
lesson.figure(
    figures.lines(
        range(1, lesson.settings.epochs + 1),
        accuracy,
        "epoch",
        "share of test digits recognised",
        "A seventh of the weights does nearly as well",
        ylim=(0.5, 1),
        xticks=[1, lesson.settings.epochs],
    ),
    "learning",
    "Standard and separable convolutions in the same encoder.",
)

# %% [markdown]
# The separable network learns more slowly at first and ends nearly as high. On these digits, two
# cheap steps do almost the work of an expensive one.
#
# ## Does it hold?
#
# MobileNets compared the two kinds on ImageNet's thousand classes: with standard convolutions 71.7
# % of the images were right, with separable ones 70.6 %, at a seventh of the weights and a ninth of
# the multiplications ([Howard et al. 2017](https://arxiv.org/abs/1704.04861), table 4). Among the
# segmentation networks of this course, DeepLab v1 to v3 use standard convolutions. Their successor,
# DeepLab v3+, replaced them by separable ones.
#
# ## Where it breaks
#
# - **What is pooled away is gone.** Two images that differ in the place of a maximum can have the
#   same pooled map. A network that must draw an outline needs that place back: lessons 4, 5 and 12.
# - **Even sizes are ambiguous.** With a kernel of three, stride two and an even number of rows,
#   Keras pads at the end only, PyTorch users usually on both sides. Ported weights then see the
#   image shifted by a pixel.
# - **Fewer multiplications are not always less time.** A separable convolution still has to read
#   and write whole feature maps, twice, and on a GPU that often takes longer than the arithmetic.
#
# ## Summary
#
# - A convolution multiplies a window with a kernel and adds up. Stride, pooling and missing padding
#   make the map smaller.
# - Zero padding keeps the size and invents an edge at the border.
# - Max pooling reports the strongest answer, average pooling cancels noise, global average pooling
#   summarises a map in one number per channel.
# - A filter makes one map per channel and adds them. A depthwise convolution leaves out the sum, a
#   separable one adds a convolution of one by one to mix.
# - Separable convolutions need about $1/K^2$ of the weights and multiplications.
#
# ## Exercises
#
# 1. An image of 224 by 224 pixels meets a kernel of seven with stride two and a padding of three.
#    How large is the output? Check it with a layer.
# 2. Pad the white paper with a mirror image of itself (`ReflectionPadding2D` of this package, or
#    `np.pad(..., mode="reflect")`). What happens to the frame, and why?
# 3. Write average pooling as a convolution. Why can max pooling not be written as one?
# 4. Two convolutions of three by three see as much as one of five by five. Compare their weights,
#    for standard and for separable layers with sixty-four channels throughout.
# 5. Train on a hundred digits only. Replace the global average pooling by `Flatten`, once with and
#    once without the two poolings. How do the number of weights and the gap between training and
#    test accuracy change? Then move the test digits by one pixel and measure again.
# 6. *Project.* Take the trained network with standard convolutions and replace the last one by the
#    separable convolution that comes closest to it. (For each input channel the kernels form a
#    matrix of nine by $M$; its best approximation of rank one is found by `np.linalg.svd`.) How
#    much accuracy is lost, and how much does one more epoch bring back?
#
# ## Further reading
#
# - Dumoulin and Visin 2016, [A guide to convolution arithmetic for deep
#   learning](https://arxiv.org/abs/1603.07285)
# - Howard et al. 2017, [MobileNets](https://arxiv.org/abs/1704.04861)
# - Chollet 2017, [Xception: deep learning with depthwise separable
#   convolutions](https://arxiv.org/abs/1610.02357)
# - Chen et al. 2018, [Encoder-decoder with atrous separable
#   convolution](https://arxiv.org/abs/1802.02611), which is DeepLab v3+
# - Islam, Jia and Bruce 2020, [How much position information do CNNs
#   encode?](https://arxiv.org/abs/2001.08248), on padding
