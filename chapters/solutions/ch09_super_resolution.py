# %% [markdown]
# # Solutions to lesson 9: super-resolution
#
# The street scenes of the lesson, with fewer epochs.

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import datasets
from kerasseg.chapter import Chapter
from kerasseg.layers import BilinearUpsampling2D

lesson = Chapter(
    "ch09_super_resolution_solutions", "Solutions: super-resolution", epochs=3, quick={"epochs": 1}
)
keras.utils.set_random_seed(0)
data = datasets.load("street_scenes", target="image", image_size=(96, 128), augment=False)
train_images = np.concatenate([images for images, _ in data.train])
large = np.concatenate([images for images, _ in data.validation.take(6)])
if lesson.settings.quick:
    train_images = train_images[:64]


def shrink(images, factor=4):
    return np.asarray(layers.AveragePooling2D(factor)(images))


def skip(images, factor=4):
    return images[:, 1::factor, 1::factor]


def sub_pixel_network(factor=4, filters=32):
    x = small = keras.Input((None, None, 3))
    for _ in range(4):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(3 * factor**2, 3, padding="same", kernel_initializer="zeros")(x)
    x = layers.Add()([ops.depth_to_space(x, factor), BilinearUpsampling2D(factor)(small)])
    return keras.Model(small, x)


def train(small_images, factor=4):
    network = sub_pixel_network(factor)
    network.compile(keras.optimizers.Adam(1e-3), "mse")
    network.fit(small_images, train_images, batch_size=8, epochs=lesson.settings.epochs, verbose=0)
    return network


def enlarged(network, small):
    return np.clip(network.predict(small, verbose=0), 0, 1)


def psnr(images):
    return -10 * np.log10(np.mean((images - large) ** 2, axis=(1, 2, 3))).mean()


# %% [markdown]
# ## Exercise 1
#
# Only the last convolution depends on the factor: it has $3 \cdot 2^2 = 12$ filters instead of 48,
# so the network has 32,108 weights. Each small pixel has to explain four pixels instead of sixteen,
# so less is lost and the results of both methods are closer to the original.

# %%
half = shrink(large, 2)
network = train(shrink(train_images, 2), 2)
assert network.count_params() == 32_108
print(f"factor 2: bilinear {psnr(np.asarray(BilinearUpsampling2D(2)(half))):.1f} dB")
print(f"factor 2: network {psnr(enlarged(network, half)):.1f} dB")

# %% [markdown]
# ## Exercise 2
#
# On each kind of small image the network that was trained on it is the better one. The network
# trained on skipped pixels has learned that their edges are stairs and sharpens less. It cannot
# know what the missing pixels would have told it: its best result stays below that of the other
# network on averaged images.

# %%
networks = {"averaged": train(shrink(train_images)), "skipped": train(skip(train_images))}
for name, network in networks.items():
    on_averaged, on_skipped = (psnr(enlarged(network, f(large))) for f in (shrink, skip))
    print(f"trained on {name}: {on_averaged:.1f} dB averaged, {on_skipped:.1f} dB skipped")

# %% [markdown]
# ## Exercise 3
#
# The two results contain the same image, but partly different errors, because the network is not
# exactly symmetric. In the mean of the two the part of the errors in which they differ is halved.
# The squared error of a mean is never above the mean of the squared errors. The gain is small here,
# because street scenes look alike from both sides and the network has become nearly symmetric.

# %%
small, network = shrink(large), networks["averaged"]
plain = enlarged(network, small)
mirrored = enlarged(network, small[:, :, ::-1])[:, :, ::-1]
errors = [np.mean((images - large) ** 2) for images in (plain, mirrored, (plain + mirrored) / 2)]
assert errors[2] <= (errors[0] + errors[1]) / 2
print(f"plain {psnr(plain):.2f} dB, mean of the two {psnr((plain + mirrored) / 2):.2f} dB")

# %% [markdown]
# ## Exercise 4
#
# A transposed convolution with kernel and stride 4 lets every position write its own square of
# 4 x 4 pixels. So does the sub-pixel layer. The kernel of the 1 x 1 convolution has the shape
# (1, 1, inputs, 48), where the 48 filters count rows, columns and colours of the square in this
# order. `Conv2DTranspose` wants (rows, columns, colours, inputs).

# %%
rng = np.random.default_rng(0)
maps = rng.normal(size=(1, 5, 7, 6)).astype("float32")
kernel = rng.normal(size=(1, 1, 6, 48)).astype("float32")
transposed = layers.Conv2DTranspose(3, 4, strides=4, use_bias=False)
transposed.build(maps.shape)
transposed.set_weights([kernel.reshape(6, 4, 4, 3).transpose(1, 2, 3, 0)])
by_sub_pixels = ops.depth_to_space(ops.conv(maps, kernel), 4)
assert np.allclose(transposed(maps), by_sub_pixels, atol=1e-5)

# %% [markdown]
# ## Exercise 5
#
# The filter has 25 inputs and a constant for each of the 16 pixels, the same for all colours. It is
# a strong rival: it is fitted exactly, by least squares, and a linear filter can sharpen edges.
# With the few epochs of this page the network only just reaches it. It has to pass it, as the one
# in the experiment does, before we can say that it has learned more than a filter.


# %%
def neighbourhoods(small):
    padded = np.pad(small, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), (1, 2))
    rows = windows.reshape(-1, 25)
    return np.append(rows, np.ones((len(rows), 1), "float32"), axis=1)


def squares(images):
    count, height, width, colours = images.shape
    x = images.reshape(count, height // 4, 4, width // 4, 4, colours)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(-1, 16)


inputs, targets = neighbourhoods(shrink(train_images)), squares(train_images)
filters = np.linalg.solve(inputs.T @ inputs + 1e-3 * np.eye(26), inputs.T @ targets)
count, height, width, colours = large.shape
x = (neighbourhoods(small) @ filters).reshape(count, height // 4, width // 4, colours, 4, 4)
by_filter = x.transpose(0, 1, 4, 2, 5, 3).reshape(large.shape).clip(0, 1)
bilinear = np.asarray(BilinearUpsampling2D(4)(small))
for name, images in (("bilinear", bilinear), ("linear filter", by_filter), ("network", plain)):
    print(f"{name}: {psnr(images):.1f} dB")
