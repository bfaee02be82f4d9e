# %% [markdown]
# # Solutions of lesson 4 · Upsampling

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_sample_image

from kerasseg import figures
from kerasseg.chapter import Chapter
from kerasseg.layers import BilinearUpsampling2D

solutions = Chapter(
    "ch04_upsampling_solutions", "Solutions: upsampling", epochs=12, quick={"epochs": 1}
)


def stamp(x, kernel, stride):
    size = len(kernel)
    output = np.zeros([(n - 1) * stride + size for n in x.shape])
    for row, column in np.ndindex(*x.shape):
        top, left = row * stride, column * stride
        output[top : top + size, left : left + size] += x[row, column] * kernel
    return output


# %% [markdown]
# ## Exercise 1
#
# For squares, the new centres lie at $(i + \frac12)\,\frac26 - \frac12$, which is $-\frac13, 0,
# \frac13, \frac23, 1, \frac43$. What lies outside takes the border's value, so the upper row is 10,
# 10, 13.33, 16.67, 20, 20. For points, they lie at $i\,\frac15$, and the row is 10, 12, 14, 16, 18,
# 20.

# %%
four = np.array([[10.0, 20.0], [30.0, 40.0]])[None, :, :, None]
for align_corners, row in (
    (False, [10, 10, 40 / 3, 50 / 3, 20, 20]),
    (True, [10, 12, 14, 16, 18, 20]),
):
    enlarged = np.squeeze(BilinearUpsampling2D(3, align_corners=align_corners)(four))
    print(f"align_corners={align_corners!s:5} {enlarged[0].round(2)}")
    assert np.allclose(enlarged[0], row)

# %% [markdown]
# ## Exercise 2
#
# $H' = (7 - 1) \cdot 3 + 5 - 2 = 21$. Without padding Keras returns 23 rows, and cropping one row
# and one column on each side leaves 21.

# %%
x = np.random.default_rng(0).normal(size=(1, 7, 7, 1)).astype("float32")
whole = layers.Conv2DTranspose(1, 5, strides=3, padding="valid")(x)
cropped = layers.Cropping2D(1)(whole)
assert whole.shape[1] == (7 - 1) * 3 + 5
assert cropped.shape[1] == (7 - 1) * 3 + 5 - 2 * 1

# %% [markdown]
# ## Exercise 3
#
# The overlap is even exactly where the stride divides the kernel size. At the other sizes, along
# each axis, some positions get one stamp more than others. If the kernel is smaller than the
# stride, some positions get none.


# %%
def has_even_overlap(size, stride):
    counts = stamp(np.ones((15, 15)), np.ones((size, size)), stride)
    border = size + stride
    return np.ptp(counts[border:-border, border:-border]) == 0


sizes = range(1, 7)
even = np.array([[has_even_overlap(size, stride) for stride in sizes] for size in sizes])
print("rows: kernel size 1 to 6, columns: stride 1 to 6")
print(even.astype(int))
assert np.array_equal(even, [[size % stride == 0 for stride in sizes] for size in sizes])

# %% [markdown]
# ## Exercise 4
#
# A convolution is $\mathbf{y} = C\mathbf{x}$. If $\mathbf{g}$ is the gradient with respect to
# $\mathbf{y}$, the chain rule gives $C^\top\mathbf{g}$ for the gradient with respect to
# $\mathbf{x}$, and this is the transposed convolution of $\mathbf{g}$ with the same kernel. The
# tape knows nothing of transposed convolutions and still finds the same numbers.

# %%
generator = np.random.default_rng(1)
x = tf.constant(generator.normal(size=(1, 9, 11, 1)), "float32")
kernel = generator.normal(size=(3, 3, 1, 1)).astype("float32")
with tf.GradientTape() as tape:
    tape.watch(x)
    y = ops.conv(x, kernel, strides=2, padding="valid")
g = generator.normal(size=y.shape).astype("float32")
by_tape = tape.gradient(y, x, g)
assert np.allclose(by_tape, ops.conv_transpose(g, kernel, 2, "valid"), atol=1e-5)

# %% [markdown]
# ## Exercise 5
#
# Repeating a value over two by two positions is a stamp of ones, with stride two. The convolution
# that follows spreads each of the four ones by its flipped kernel. So the kernel of four by four is
# the flipped kernel, stamped on a grid of two by two ones with stride one.
#
# In each of the four groups of weights that an output position can see (even or odd row, even or
# odd column), *all nine* weights of the small kernel add up. The four sums are equal, and so a flat
# area stays flat. A free kernel of four by four has four independent sums; that is its freedom, and
# its checkerboard.

# %%
small_kernel = generator.normal(size=(3, 3)).astype("float32")
large_kernel = stamp(np.ones((2, 2)), small_kernel[::-1, ::-1], stride=1).astype("float32")
x = generator.normal(size=(1, 6, 8, 1)).astype("float32")
resized = layers.UpSampling2D(2)(x)
one_way = ops.conv(resized, small_kernel[:, :, None, None], padding="same")
other_way = ops.conv_transpose(x, large_kernel[:, :, None, None], 2, "same")
assert np.allclose(one_way, other_way, atol=1e-5)

sums = [large_kernel[row::2, column::2].sum() for row in (0, 1) for column in (0, 1)]
print("sums of the four groups:", np.round(sums, 4))
assert np.allclose(sums, small_kernel.sum(), atol=1e-5)

# %% [markdown]
# ## Exercise 6
#
# A small version: each decoder learns for a few epochs to enlarge tiles of one photograph by a
# factor of four, and then enlarges a piece of another photograph. After so little training you
# still see a clear grid with kernel three and a faint one with kernel four, best on the orange roof
# and the columns. The two decoders that resize leave none; nearest neighbour leaves small squares.


# %%
def transposed(size):
    return lambda x, filters: layers.Conv2DTranspose(
        filters, size, 2, padding="same", activation="relu"
    )(x)


def resize_and_convolve(interpolation):
    def double(x, filters):
        x = layers.UpSampling2D(2, interpolation=interpolation)(x)
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    return double


def tiles(name, side=80):
    image = load_sample_image(name)[:400] / np.float32(255)
    large = image.reshape(5, side, 8, side, 3).swapaxes(1, 2).reshape(40, side, side, 3)
    return ops.convert_to_numpy(layers.AveragePooling2D(4)(large)), large


train, test = tiles("flower.jpg"), tiles("china.jpg")
shown = {"original": test[1][27]}
for name, double in {
    "transposed, kernel 3": transposed(3),
    "transposed, kernel 4": transposed(4),
    "nearest": resize_and_convolve("nearest"),
    "bilinear": resize_and_convolve("bilinear"),
}.items():
    keras.utils.set_random_seed(0)
    x = image = keras.Input((None, None, 3))
    for filters in (16, 16):
        x = double(x, filters)
    model = keras.Model(image, layers.Conv2D(3, 1)(x))
    model.compile(keras.optimizers.Adam(3e-3), "mse")
    model.fit(*train, batch_size=4, epochs=solutions.settings.epochs, verbose=0)
    shown[name] = model.predict(test[0][27:28], verbose=0)[0]
solutions.figure(
    figures.panels(shown, columns=3),
    "trained_decoders",
    "A piece of a photograph that was not trained on, enlarged four times.",
)
