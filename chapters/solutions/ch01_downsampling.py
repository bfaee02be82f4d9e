# %% [markdown]
# # Solutions to lesson 1 · Downsampling

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.layers import ReflectionPadding2D

lesson = Chapter(
    "ch01_downsampling_solutions",
    "Solutions: downsampling",
    epochs=20,
    seeds=3,
    quick={"epochs": 1, "seeds": 1},
)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Exercise 1
#
# $\lfloor (224 + 2 \cdot 3 - 7) / 2 \rfloor + 1 = \lfloor 111.5 \rfloor + 1 = 112$: half the size,
# as in the first layer of ResNet.

# %%
padded = layers.ZeroPadding2D(3)(np.zeros((1, 224, 224, 3), "float32"))
assert layers.Conv2D(8, 7, strides=2)(padded).shape[1:3] == (112, 112)

# %% [markdown]
# ## Exercise 2
#
# A mirrored sheet of white paper is a larger sheet of white paper. The detector finds no change,
# and the frame is gone. In a photograph a mirror image continues the brightness across the border,
# so there is no false edge either, though lines that meet the border at an angle get a kink.

# %%
detector = np.full((3, 3, 1, 1), -1, "float32")
detector[1, 1] = 8
paper = np.ones((1, 4, 6, 1), "float32")
with_zeros = np.squeeze(ops.conv(paper, detector, padding="same"))
mirrored = np.squeeze(ops.conv(ReflectionPadding2D(1)(paper), detector))
lesson.figure(
    figures.number_grids(
        {"padded with zeros": with_zeros, "padded with a mirror image": mirrored},
        [None],
        shades=["padded with zeros"],
        title="A mirror image has no false edge",
    ),
    "mirror",
    "The edge detector on a sheet of white paper.",
)
assert not mirrored.any()

# %% [markdown]
# ## Exercise 3
#
# Average pooling of $2 \times 2$ is a convolution with stride 2 whose four weights are $1/4$. With
# several channels it is a depthwise convolution, because channels are not mixed. A convolution is
# linear: twice the input gives twice the output, and the output of a sum is the sum of the outputs.
# The maximum breaks the second rule. The maximum of $(1, 0)$ is 1 and that of $(0, 1)$ is 1, but
# the maximum of their sum $(1, 1)$ is 1 and not 2.

# %%
x = np.random.default_rng(0).normal(size=(1, 8, 12, 5)).astype("float32")
average = layers.DepthwiseConv2D(2, strides=2, use_bias=False, depthwise_initializer="ones")
assert np.allclose(average(x) / 4, layers.AveragePooling2D(2)(x), atol=1e-6)
assert max(1 + 0, 0 + 1) != max(1, 0) + max(0, 1)

# %% [markdown]
# ## Exercise 4
#
# For standard convolutions two small layers are cheaper: $2 \cdot 9 \cdot 64^2$ against
# $25 \cdot 64^2$ weights, and there is room for an activation between them. This is why VGG uses
# kernels of three only. For separable convolutions it is the other way round. Nearly all of their
# weights are in the $64^2$ of the mixing, which two layers pay twice. So networks with separable
# convolutions can afford large kernels.


# %%
def weights_of(*stack):
    model = keras.Sequential([keras.Input((32, 32, 64)), *stack])
    return model.count_params()


for kind in (layers.Conv2D, layers.SeparableConv2D):
    small = weights_of(*(kind(64, 3, use_bias=False) for _ in range(2)))
    large = weights_of(kind(64, 5, use_bias=False))
    print(f"{kind.__name__:16} two of 3x3: {small:6}, one of 5x5: {large:6}")

# %% [markdown]
# ## Exercise 5
#
# Each pooling divides the inputs of the fully connected layer by four, and the global average
# leaves one per channel. All three networks learn the hundred training digits by heart, and on the
# test digits they are equal within the chance of a few trainings: here sixty times fewer weights in
# the last layer cost nothing. They show their worth when the digits move by a single pixel. A layer
# with a weight for every place has learned where a stroke was in the training digits. Behind
# poolings and averages the exact place is gone, so it cannot be learned. Fewer weights do not
# always mean better scores; they mean fewer irrelevant details that a network *can* learn.

# %%
digits = datasets.load("digits", target="label", batch_size=32)
x, y = (np.concatenate(part) for part in zip(*digits.train.as_numpy_iterator()))
x_test, y_test = (np.concatenate(part) for part in zip(*digits.test.as_numpy_iterator()))


def classifier(pools, summary):
    image = keras.Input((8, 8, 1))
    x = image
    for filters, pool in ((32, pools), (64, pools), (64, False)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x) if pool else x
    return keras.Model(image, layers.Dense(10)(summary()(x)))


def train(model, images, labels, epochs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=0)
    return model


for name, pools, summary in (
    ("no pooling, Flatten", False, layers.Flatten),
    ("two poolings, Flatten", True, layers.Flatten),
    ("two poolings, global average", True, layers.GlobalAveragePooling2D),
):
    scores = []
    for seed in range(lesson.settings.seeds):
        keras.utils.set_random_seed(seed)
        few = np.random.default_rng(seed).permutation(len(x))[:100]
        model = train(classifier(pools, summary), x[few], y[few], 2 * lesson.settings.epochs)
        moved = np.roll(x_test, 1, axis=2)
        pairs = (x[few], y[few]), (x_test, y_test), (moved, y_test)
        scores.append([model.evaluate(*pair, verbose=0)[1] for pair in pairs])
    on_few, on_test, on_moved = np.mean(scores, axis=0)
    print(f"{name}: {model.layers[-1].count_params()} weights in Dense")
    print(f"   right: training {on_few:.2f}, test {on_test:.2f}, test moved {on_moved:.2f}")

# %% [markdown]
# ## Exercise 6
#
# A separable convolution computes $y_m = \sum_c p_{c,m}\,(d_c * x_c)$: for each input channel $c$
# one kernel $d_c$, for each pair a number $p_{c,m}$. So for each $c$ the kernels of the standard
# convolution, written as a matrix of nine rows and $M$ columns, must be the product of a column
# $d_c$ and a row $p_c$. The best such product is the first term of the matrix's singular value
# decomposition. Much is lost at first, because in training nothing made the nine-by-$M$ matrices
# nearly of rank one. A short training brings most of it back.

# %%
keras.utils.set_random_seed(0)
model = train(classifier(True, layers.GlobalAveragePooling2D), x, y, lesson.settings.epochs)
standard = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
kernel, bias = standard.get_weights()
by_channel = kernel.transpose(2, 0, 1, 3).reshape(64, 9, 64)
u, s, v = np.linalg.svd(by_channel, full_matrices=False)
depth = (u[:, :, 0] * s[:, :1]).T.reshape(3, 3, 64, 1)
point = v[:, 0][None, None]
print(f"share of the squared weights that is kept: {(s[:, 0] ** 2).sum() / (s**2).sum():.2f}")

separable = layers.SeparableConv2D(64, 3, padding="same", activation="relu")
y_map = separable(standard.input)
separable.set_weights([depth, point, bias])
for layer in model.layers[model.layers.index(standard) + 1 :]:
    y_map = layer(y_map)
smaller = keras.Model(model.input, y_map)


# %%
def accuracy(model):
    return (np.asarray(model(x_test)).argmax(-1) == y_test).mean()


print(f"standard convolution   {model.count_params():6} weights, {accuracy(model):.3f}")
print(f"replaced               {smaller.count_params():6} weights, {accuracy(smaller):.3f}")
train(smaller, x, y, 1)
print(f"one more epoch         {smaller.count_params():6} weights, {accuracy(smaller):.3f}")
