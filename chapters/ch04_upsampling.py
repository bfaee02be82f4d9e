# %% [markdown]
# # 4 · Upsampling: from a small map to a large one
#
# An encoder shrinks. After its last pooling, a photograph of several hundred pixels a side has
# become a map of perhaps sixteen positions a side: each of them knows a lot about *what* is there,
# and little about *where*. A segmentation network has to give one answer for every pixel. So a
# decoder solves the same small problem again and again: make a map twice as large. Which numbers
# belong at the new positions?
#
# There are three answers. *Repeat* the nearest value, *interpolate* between the neighbours, or
# *learn* how to spread a value. The learned answer is the transposed convolution. You will see it
# in three forms that agree, and you will see its side effect, a checkerboard.
#
# *You learn* how to enlarge a feature map by repeating, by interpolating and by a transposed
# convolution, and how to avoid the checkerboard.
# *In the book:* chapter 6, "Transposed convolution" and "Upsampling and resizing".
# *You need:* lesson 1 (convolution, stride and padding). *Time:* half a minute on two cores.

# %%
from timeit import timeit

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_sample_image

from kerasseg import figures
from kerasseg.chapter import Chapter
from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D

lesson = Chapter("ch04_upsampling", "Upsampling", epochs=100, quick={"epochs": 30})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Steps or slopes
#
# Here is a small piece of a photograph, enlarged eight times by two layers that have no weights. On
# the left every pixel is repeated; on the right the colours change gradually from one pixel centre
# to the next.

# %%
photo = load_sample_image("china.jpg") / np.float32(255)
small = photo[None, 28:60, 184:228]  # batch, rows, columns, channels
enlarged = {
    "repeated (nearest neighbour)": layers.UpSampling2D(8)(small)[0],
    "interpolated (bilinear)": layers.UpSampling2D(8, interpolation="bilinear")(small)[0],
}
lesson.figure(
    figures.panels(enlarged, columns=2, cell=3.6),
    "enlarged",
    "The same piece of a photograph, eight times larger: steps on the left, slopes on the right.",
)

# %% [markdown]
# Neither image contains a detail that the small one did not have. Upsampling brings back the *size*
# of a map and never what was thrown away on the way down. That is the task of the masks of lesson 5
# and the skip connections of lessons 11 and 12.
#
# ## Repeat: nearest neighbour
#
# Repeating needs no arithmetic at all. Each new pixel takes the value of the nearest old one, so
# that at factor two every value fills a square of two by two. A slanted edge becomes a staircase.
# Lesson 5 meets the same operation under the name average unpooling.
#
# ## Interpolate: A, B and ?
#
# Bilinear interpolation takes a mean of the four nearest old pixels, and a closer one counts more.
# Suppose a new pixel lies a share $t$ of the way from the left to the right neighbour, and a share
# $u$ of the way from the upper to the lower one. First we go along the two rows, and get $A$ in the
# upper and $B$ in the lower row. Then we go from $A$ down to $B$:
#
# $$A = (1 - t)\,x_{00} + t\,x_{01}, \qquad B = (1 - t)\,x_{10} + t\,x_{11}, \qquad
# ? = (1 - u)\,A + u\,B$$
#
# where $x_{00}$ and $x_{01}$ are the upper left and upper right neighbour, and $x_{10}$ and
# $x_{11}$ the lower ones.
#
# What are $t$ and $u$? Think of a pixel as a small square. Enlarging from $n$ to $m$ pixels cuts
# the same length into smaller squares. If the old centres have the positions $0, 1, 2, \dots$, the
# centre of new pixel $i$ falls on
#
# $$p_i = \left(i + \tfrac12\right)\frac{n}{m} - \tfrac12$$
#
# The whole part of $p_i$ names the neighbour before it, and the fraction is the share $t$ (or $u$,
# for rows). From two to four pixels we get $-\frac14, \frac14, \frac34, \frac54$. The first and the
# last lie outside the old centres; there, the value at the border is repeated.
#
# The function enlarges along the first axis; we call it once per axis, and the order does not
# matter. (`align_corners` follows below.)


# %%
def interpolate_rows(x, new, align_corners=False):
    old, i = len(x), np.arange(new)
    position = i * (old - 1) / (new - 1) if align_corners else (i + 0.5) * old / new - 0.5
    position = position.clip(0, old - 1)
    before = np.minimum(position.astype(int), old - 2)
    share = (position - before)[:, None]
    return (1 - share) * x[before] + share * x[before + 1]


four = np.array([[10.0, 20.0], [30.0, 40.0]])
bilinear = interpolate_rows(interpolate_rows(four, 4).T, 4).T

# %%
names = np.full((4, 4), "")
names[0, 2], names[3, 2], names[2, 2] = "A", "B", "?"
repeated = four.repeat(2, axis=0).repeat(2, axis=1)
three = [(0, 2), (3, 2), (2, 2)]  # A, B and ? as (row, column)
lesson.figure(
    figures.number_grids(
        {"four values": four, "new pixels": names, "repeated": repeated, "interpolated": bilinear},
        marks={"new pixels": three, "repeated": three, "interpolated": three},
    ),
    "a_b_and_question",
    "A has the value of the upper row, B of the lower one; ? lies three quarters of the way down.",
)

# %% [markdown]
# Check the marked cells with a pencil. With $t = \frac34$ we get $A = \frac14 \cdot 10 + \frac34
# \cdot 20 = 17.5$ and $B = 37.5$; with $u = \frac34$, the question mark is $\frac14 \cdot 17.5 +
# \frac34 \cdot 37.5 = 32.5$. The layer of the package has the same numbers:

# %%
layer = BilinearUpsampling2D(2)
assert np.allclose(np.squeeze(layer(four[None, :, :, None])), bilinear)

# %% [markdown]
# ## Two conventions: `align_corners`
#
# A pixel can also be seen as a *point* instead of a square. Then the first new point lies on the
# first old one, the last on the last, and the rest at equal steps in between: $p_i = i\,(n - 1) /
# (m - 1)$. This is what `align_corners=True` means. DeepLab and PSPNet do it this way; Keras, and
# PyTorch by default, see squares.

# %%
for align_corners in (False, True):
    row = interpolate_rows(four.T, 4, align_corners).T[0]
    print(f"align_corners={align_corners!s:5}  upper row: {row.round(2)}")
    layer = BilinearUpsampling2D(2, align_corners=align_corners)
    assert np.allclose(layer(four[None, :, :, None])[0, 0, :, 0], row)

# %% [markdown]
# The shift is small: next to nothing in the middle of the map, and less than half an old pixel at
# its border. A network trained with either convention works. What does hurt is to train with one
# and predict with the other, because at stride eight "half an old pixel" moves every outline near
# the border by up to four pixels of the image.
#
# ## Learn: the transposed convolution
#
# Repeating and interpolating are fixed rules. Why not let training decide how a value is spread?
#
# A convolution *collects*: a window of inputs, weighted by the kernel, becomes one output. A
# transposed convolution goes the other way and *spreads*: one input, multiplied by the kernel,
# becomes a window of outputs. Think of the kernel as a rubber stamp. Every input value stamps its
# multiple of the kernel onto the output. The stride $s$ is the distance from one stamp to the next.
# Where stamps overlap, they add up.


# %%
def stamp(x, kernel, stride):
    size = len(kernel)
    output = np.zeros([(n - 1) * stride + size for n in x.shape])
    for row, column in np.ndindex(*x.shape):
        top, left = row * stride, column * stride
        output[top : top + size, left : left + size] += x[row, column] * kernel
    return output


x = np.array([[1, 2], [3, 4]])
cross = np.array([[0, 1, 0], [1, 2, 1], [0, 1, 0]])
stamped = stamp(x, cross, stride=2)

# %%
corners = [(0, 0), (0, 1), (1, 0), (1, 1)]
lesson.figure(
    figures.number_grids(
        {"input": x, "kernel": cross, "output, stride 2": stamped},
        ["*", "stamps"],
        windows={
            "input": [(row, column, 1, 1) for row, column in corners],
            "output, stride 2": [(2 * row, 2 * column, 3, 3) for row, column in corners],
        },
    ),
    "stamps",
    "Each input value stamps the kernel onto the window of its own colour; overlaps add up.",
)

# %%
layer = layers.Conv2DTranspose(1, 3, strides=2, use_bias=False)
layer.build((None, 2, 2, 1))
layer.set_weights([cross[:, :, None, None]])  # rows, columns, output and input channels
assert np.allclose(np.squeeze(layer(x[None, :, :, None].astype("float32"))), stamped)

# %% [markdown]
# The drawing also tells you the size of the output. The first stamp covers $k$ rows, the size of
# the kernel, and each further one adds $s$. If the convolution that we turn round had $p$ rows of
# padding on each side, they are cut off again:
#
# $$H' = (H - 1)\,s + k - 2p$$
#
# with $H$ rows going in and $H'$ rows coming out. Keras's `padding="same"` cuts so much that
# exactly $H' = s\,H$ rows are left.
#
# ## The same as a matrix
#
# Where does the name come from? Take a single row, to keep the matrices small: five values, the
# kernel $(1, 2, 3)$ and stride two. The convolution has two outputs, and we can write it as a
# matrix $C$ of two rows. Each row of $C$ holds the kernel where its window lies. The *transpose* of
# $C$ has five rows and two columns, so it leads from two numbers to five. Each of its columns is
# one stamp.

# %%
C = np.array([[1, 2, 3, 0, 0], [0, 0, 1, 2, 3]])
y = np.array([1, 10])
lesson.figure(
    figures.number_grids(
        {"C": C, "C transposed": C.T, "y": y[:, None], "result": (C.T @ y)[:, None]},
        [None, "*", "="],
        windows={
            "C": [(0, 0, 1, 3), (1, 2, 1, 3)],
            "C transposed": [(0, 0, 3, 1), (2, 1, 3, 1)],
            "y": [(0, 0, 1, 1), (1, 0, 1, 1)],
        },
    ),
    "matrix",
    "The kernel lies in the rows of C and in the columns of its transpose. In the middle of the "
    "result, 3 of the first stamp and 10 of the second add up.",
)
kernel = np.array([1.0, 2.0, 3.0])
by_layer = ops.conv_transpose(y.reshape(1, 2, 1) * 1.0, kernel[:, None, None], strides=2)
assert np.allclose(np.squeeze(by_layer), C.T @ y)

# %% [markdown]
# Transposing is not inverting. The transpose has the *shape* of an inverse, from two numbers back
# to five, but not its values, and no matrix could have them: five numbers cannot be recovered from
# two.

# %%
five = np.array([1, 2, 3, 4, 5])
print("five numbers:                           ", five)
print("convolved, then transposed convolution: ", C.T @ (C @ five))

# %% [markdown]
# For the same reason, the other name *deconvolution* misleads: in signal processing it means the
# inverse. Backpropagation through a convolution multiplies the incoming gradient by the transpose,
# so every framework has this operation anyway.
#
# ## The same as a convolution with zeros in between
#
# There is a third form, which uses nothing but an ordinary convolution. Put $s - 1$ zeros between
# the values, $k - 1$ zeros around them, flip the kernel, and collect with stride one:

# %%
spread = np.zeros(7, int)
spread[2:-2:2] = y
flipped = kernel[::-1]
collected = np.array([spread[i : i + 3] @ flipped for i in range(5)])
assert np.allclose(collected, C.T @ y)
lesson.figure(
    figures.number_grids(
        {"y with zeros inserted": spread, "flipped kernel": flipped, "result": collected},
        ["*", "="],
        windows={"y with zeros inserted": [(0, 2, 1, 3)], "result": [(0, 2, 1, 1)]},
    ),
    "zeros_inserted",
    "An ordinary convolution with the flipped kernel: the framed window gives the framed result.",
)

# %% [markdown]
# So a transposed convolution is a convolution with enough padding, inside and outside. Computing it
# like this would be slow, since most products are with zero.
#
# ## Uneven overlap and the checkerboard
#
# How many stamps reach an output pixel? We count by stamping ones with a kernel of ones. With
# kernel three and stride two, neighbouring pixels get one, two or four stamps, so some pixels are
# brighter than their neighbours without a reason in the input. This is the *checkerboard*. If the
# stride divides the kernel size, as two divides four, all counts are equal. And if we enlarge first
# and apply an ordinary convolution afterwards, every output collects a full window.

# %%
ones = np.ones((5, 5))
resized = np.ones((8, 8))  # ones repeated or interpolated are ones
windows = np.lib.stride_tricks.sliding_window_view(resized, (3, 3))  # all windows, stride 1
counts = {
    "kernel 3, stride 2": stamp(ones, np.ones((3, 3)), 2)[3:-3, 3:-3],
    "kernel 4, stride 2": stamp(ones, np.ones((4, 4)), 2)[3:-3, 3:-3],
    "resized, then kernel 3": windows.sum((2, 3)),
}
lesson.figure(
    figures.number_grids(counts, shades=list(counts), title="How many values reach each output"),
    "overlap",
    "Away from the border: an uneven overlap for kernel 3 and stride 2, an even one otherwise.",
)

# %% [markdown]
# Does an even overlap make an even image? The counts treat all kernel weights as equal, but in a
# network they are not. At stride two the even rows of the output see other weights of the kernel
# than the odd rows do, and nothing forces the two groups to have the same sum.
#
# Let us look at a whole decoder. It doubles its map three times, and the argument `double` says
# how:


# %%
def decoder(double, filters=(32, 16, 8)):
    x = image = keras.Input((None, None, 3))
    for count in filters:
        x = double(x, count)
    return keras.Model(image, layers.Conv2D(1, 1)(x))


def transposed(size):
    def double(x, filters):
        return layers.Conv2DTranspose(filters, size, 2, padding="same", activation="relu")(x)

    return double


def resize_and_convolve(interpolation):
    def double(x, filters):
        x = layers.UpSampling2D(2, interpolation=interpolation)(x)
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    return double


# %% [markdown]
# We give each decoder random weights and the same small photograph. Random weights draw nothing
# sensible, and that is what we want: a regular pattern can only come from the layers. Before you
# run the cell, guess which of the four images have a grid. What about kernel four, which obeys the
# rule?

# %%
ways = {
    "transposed, kernel 3": transposed(3),
    "transposed, kernel 4": transposed(4),
    "nearest, then convolution": resize_and_convolve("nearest"),
    "bilinear, then convolution": resize_and_convolve("bilinear"),
}
coarse = layers.AveragePooling2D(8)(photo[None, 80:272, 200:456])
untrained = {}
for name, double in ways.items():
    keras.utils.set_random_seed(3)
    drawn = decoder(double).predict(coarse, verbose=0)[0, 48:112, 64:144]
    untrained[name] = (drawn - drawn.min()) / np.ptp(drawn)
lesson.figure(
    figures.panels(untrained, columns=2, cell=3.4),
    "checkerboard",
    "What four untrained decoders draw: both transposed convolutions leave a grid.",
)

# %% [markdown]
# Both transposed convolutions draw a regular grid, kernel four included. The rule about stride and
# kernel removes the uneven *overlap*, not the uneven *weights*. Training can make the weights even,
# but nothing forces it to.
#
# In a resize followed by a convolution the same weights serve all positions, so that a flat area
# stays flat even before training. Nearest neighbour leaves small squares, because a convolution of
# three by three is not wide enough to smooth them; the bilinear decoder is the smoothest of all.
#
# ## What it costs
#
# Nearest neighbour only copies. Bilinear interpolation needs a few products for each new value, and
# a transposed convolution mixes all channels: with $k = 4$, $s = 2$ and $c$ channels going in, each
# new value is a sum of $(k / s)^2\,c = 4\,c$ products. So the first should be the fastest. We let
# the clock decide:


# %%
def milliseconds(layer, x):
    layer(x)  # the first call creates the weights
    return 1000 * min(timeit(lambda: layer(x), number=5) for _ in range(5)) / 5


feature_map = ops.ones((1, 128, 128, 32))
for name, layer in {
    "nearest": layers.UpSampling2D(2),
    "bilinear": layers.UpSampling2D(2, interpolation="bilinear"),
    "transposed convolution": layers.Conv2DTranspose(32, 4, 2, padding="same"),
}.items():
    time = milliseconds(layer, feature_map)
    print(f"{name:22} {layer.count_params():6,} weights {time:6.1f} ms")

# %% [markdown]
# The transposed convolution is the slowest. Among the other two, you may find the order reversed,
# as it was on the processor this page was written on. Counting products is not the whole story: the
# bilinear layer is one optimised routine, while Keras's nearest neighbour copies the map twice,
# once for the rows and once for the columns. Compared with the convolution that follows, both are
# cheap.
#
# ## A transposed convolution that interpolates
#
# Can the learned layer do what the fixed rule does? Yes: with the right kernel, a transposed
# convolution *is* bilinear upsampling, except near the border. Each value has to be spread as a
# tent, largest in the middle and falling to zero at the neighbours. For factor two this is the
# outer product of $(\frac14, \frac34, \frac34, \frac14)$ with itself. The initializer `Bilinear` of
# this package fills a kernel with it; FCN starts its decoder this way (lesson 11).
#
# Now an experiment. One transposed convolution, sixteen weights, learns to double photographs. We
# train it on one photograph and test it on another. It starts from random weights. What will its
# kernel look like after training?


# %%
def pairs(name, side=80):
    grey = load_sample_image(name)[:400].mean(-1, keepdims=True) / 255
    tiles = grey.reshape(5, side, 8, side, 1).swapaxes(1, 2).reshape(40, side, side, 1)
    return ops.convert_to_numpy(layers.AveragePooling2D(2)(tiles)), tiles


def doubling(start):
    layer = layers.Conv2DTranspose(1, 4, 2, "same", use_bias=False, kernel_initializer=start)
    return keras.Sequential([keras.Input((None, None, 1)), layer])


keras.utils.set_random_seed(0)
learned = doubling("glorot_uniform")
kernels = {"random start": np.squeeze(learned.get_weights()[0])}
learned.compile(keras.optimizers.Adam(0.05), "mse")
learned.fit(*pairs("flower.jpg"), batch_size=8, epochs=lesson.settings.epochs, verbose=0)

# %%
bilinear_start = doubling(Bilinear())
kernels["learned"] = np.squeeze(learned.get_weights()[0])
kernels["bilinear"] = np.squeeze(bilinear_start.get_weights()[0])
lesson.figure(
    figures.number_grids(kernels, shades=list(kernels), title="The layer learns a tent"),
    "learned_kernel",
    "The kernel before and after training, and the kernel of bilinear upsampling.",
)
for name, model in {"learned": learned, "bilinear": bilinear_start}.items():
    model.compile(loss="mse")
    error = model.evaluate(*pairs("china.jpg"), verbose=0)
    print(f"{name:8} squared error on the other photograph: {1000 * error:.3f} thousandths")

# %% [markdown]
# Nobody told the layer about interpolation, and still it finds a tent. It is steeper than the
# bilinear one, and it does better on the other photograph. The reason is in the data: the pixels of
# the small photographs are means over squares. Taking means blurs, and a steeper tent sharpens.
#
# Here a random start does no harm, because fitting sixteen weights by squared error is linear
# regression with a single minimum. In a deep network the start matters more. A decoder that begins
# with interpolation gives a usable, if coarse, map before it has learned anything.
#
# ## Does it hold?
#
# In the [experiment](experiments/upsampling.py), three such decoders learn to enlarge photographs
# by a factor of four. After training, the part of the squared error that repeats with the grid is
# about 2 % with kernel three, 1 % with kernel four and 0.1 % with a resize and a convolution. So
# training alone does not remove the checkerboard.
#
# ## Where it breaks
#
# - **Detail.** No upsampling adds what the encoder dropped. That takes positions (lesson 5) or
#   whole feature maps (lesson 12) handed across.
# - **Borders.** Outside its map, a transposed convolution finds zeros, so its output fades at the
#   border. A resize repeats its border instead.
# - **Label maps.** Never interpolate class numbers: halfway between road and car lies some third
#   class. Enlarge scores, or repeat labels (lesson 10).
#
# ## Summary
#
# - Nearest neighbour repeats; bilinear interpolation takes a mean of four neighbours in which the
#   closer ones count more. Neither has weights.
# - `align_corners` decides whether pixels are squares or points. Use the same convention in
#   training and in prediction.
# - A transposed convolution stamps its kernel, scaled by each value. Its matrix is the transpose of
#   a convolution's, not the inverse.
# - A stride that divides the kernel size makes the overlap even, but not the weights. A resize
#   followed by a convolution has neither problem.
#
# ## Exercises
#
# 1. Enlarge `four` to six by six with both conventions. Write down the upper rows before you run
#    the code.
# 2. How many rows does a transposed convolution with $k = 5$, $s = 3$ and $p = 1$ make of seven?
#    Keras has no argument for $p$: build it from `padding="valid"` and a cropping.
# 3. For which kernel sizes and strides up to six is the overlap even? Let the computer try all, and
#    find the rule that it obeys.
# 4. Show with `tf.GradientTape` that the gradient of a convolution is a transposed convolution.
# 5. Nearest neighbour followed by a convolution of three by three *is* a transposed convolution
#    with a kernel of four by four. Find that kernel. Why can it not draw a grid on a flat area?
# 6. A small project: train the four decoders on photographs. Which grids remain?
#
# ## Further reading
#
# - Dumoulin and Visin 2016,
#   [A guide to convolution arithmetic for deep learning](https://arxiv.org/abs/1603.07285)
# - Odena, Dumoulin and Olah 2016,
#   [Deconvolution and checkerboard artifacts](https://doi.org/10.23915/distill.00003)
# - Long, Shelhamer and Darrell 2015,
#   [Fully convolutional networks for semantic segmentation](https://arxiv.org/abs/1411.4038)
# - Aitken et al. 2017,
#   [Checkerboard artifact free sub-pixel convolution](https://arxiv.org/abs/1707.02937)
