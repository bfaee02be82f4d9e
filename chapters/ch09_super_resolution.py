# %% [markdown]
# # 9 · Super-resolution: drawing what a small image has lost
#
# You have an image of $48 \times 64$ pixels and need it four times as high and wide. Fifteen of
# sixteen pixels have to come from somewhere. Interpolation spreads out what is there, so the result
# is blurred. A network that has seen many sharp images of this kind can do better, because it knows
# what usually lies behind a blurred edge: a sharp edge.
#
# The lesson starts with the other direction. Making an image small is easy to do wrong, and what
# goes wrong there cannot be repaired. Then it answers two questions of design: why should the
# network not draw the whole image, and how does it get from few pixels to many?
#
# *You learn* how to shrink images without false patterns (aliasing), and how a network with a
# residual and sub-pixels makes them large again.
# *In the book:* chapter 6, "Improving image quality".
# *You need:* lessons 4 (interpolation, transposed convolution) and 8 (the loss and its mean, PSNR).
# *Time:* half a minute on two cores.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.metrics import PSNR

lesson = Chapter(
    "ch09_super_resolution", "Super-resolution", dataset="street_scenes", data_dir=None, epochs=8,
    image_size=(192, 256), quick={"epochs": 1, "image_size": (96, 128)},
    choices={"dataset": ("street_scenes", "camvid")},
)  # fmt: skip
keras.utils.set_random_seed(0)

# %% [markdown]
# ## The problem
#
# Our images are drawn street scenes. (With `--dataset camvid --data-dir FOLDER` they are
# photographs.) We shrink the validation images by a factor of four and enlarge them again by
# bilinear interpolation (lesson 4).

# %%
settings = lesson.settings
data = datasets.load(
    settings.dataset,
    target="image",
    image_size=settings.image_size,
    data_dir=settings.data_dir,
    augment=False,
)
large = np.concatenate([images for images, _ in data.validation.take(4)])  # four batches
small = np.asarray(layers.AveragePooling2D(4)(large))
bilinear = np.asarray(BilinearUpsampling2D(4)(small))
lesson.figure(
    figures.panels({"small": small[1], "bilinear": bilinear[1], "original": large[1]}, columns=3),
    "problem",
    "A small image, its bilinear enlargement, and the image that we want back.",
)

# %% [markdown]
# ## Shrink without inventing stripes
#
# The simplest way to shrink by a factor of four is to keep every fourth pixel. Try it by hand on a
# row of fine stripes, one white pixel in three:


# %%
def keep_every_fourth(row):
    return row[::4]


def mean_of_four(row):
    return row.reshape(-1, 4).mean(axis=1)


stripes = np.tile([1.0, 0.0, 0.0], 4)
groups = [(0, 0, 1, 4), (0, 4, 1, 4), (0, 8, 1, 4)]
lesson.figure(
    figures.number_grids(
        {
            "fine stripes": stripes,
            "every fourth pixel": keep_every_fourth(stripes),
            "mean of four": mean_of_four(stripes),
        },
        windows={"fine stripes": groups},
        marks={name: [(0, 0), (0, 1), (0, 2)] for name in ("every fourth pixel", "mean of four")},
        columns=1,
        title="Skipping pixels makes fine stripes coarse",
    ),
    "stripes",
    "Each group of four pixels becomes one pixel of the same colour below.",
)

# %% [markdown]
# Keeping every fourth pixel gives stripes again, one white pixel in three, now four times as wide.
# The original has no such stripes. This is **aliasing**: a pattern too fine for the small image
# comes back as a coarse one. The mean leaves only a weak trace of it.
#
# Why does it happen? Take a wave with frequency $f$, in cycles per pixel, and look at it only at
# the pixels $s k$, where $s$ is the step and $k = 0, 1, 2, \dots$ For every whole number $m$
#
# $$\cos(2 \pi f s k) = \cos\!\big(2 \pi (f - \tfrac{m}{s})\, s k\big),$$
#
# because the two angles differ by $2 \pi m k$, whole turns. So the waves $f$ and $f - m/s$ have the
# same samples. Our stripes have $f = 1/3$; with $s = 4$ and $m = 1$ they look like $1/12$, one
# stripe in twelve pixels. The small image can hold frequencies up to $1/(2s)$, the *Nyquist
# frequency*, and everything finer looks like one of these. Therefore remove what is too fine
# *before* you skip pixels. The simplest way is the mean over each square of $s \times s$ pixels,
# which is also what a larger pixel of a camera sees.
#
# An image with nearly all frequencies shows both ways at once. The rings below become finer from
# the centre to the border. Guess what the border looks like if you keep every fourth pixel.

# %%
y, x = np.mgrid[-96:96, -96:96]
rings = (0.5 + 0.5 * np.cos(np.pi / 200 * (x**2 + y**2)))[..., None].astype("float32")
averaged = np.asarray(layers.AveragePooling2D(4)(rings[None]))[0]
assert np.allclose(averaged[0, :, 0], mean_of_four(rings[:4].mean(axis=0)[:, 0]), atol=1e-6)
lesson.figure(
    figures.panels(
        {"rings": rings, "every fourth pixel": rings[::4, ::4], "mean of 4 x 4": averaged},
        columns=3,
    ),
    "aliasing",
    "Rings, and two ways to shrink them. (Extra rings at the left: your screen shrinks them, too.)",
)

# %% [markdown]
# Skipping pixels invents new sets of rings. Only the one in the centre is real. The mean turns the
# finest rings into grey, which is right: a small image cannot show them. Pale ghosts remain,
# because a mean over a square does not remove all that is too fine.
#
# `AveragePooling2D(4)` is this mean, as the assert says. Be careful with `tf.image.resize`: its
# bilinear method looks at only four of the sixteen pixels unless you pass `antialias=True`. We use
# the mean for all pairs of small and large images.
#
# ## Why not learn the whole image?
#
# A network could map the small image directly to the large one. But look at the bilinear image
# above: colours, surfaces and the place of every object are already right. What is missing is
# $r = x - b$, the **residual**, where $x$ is the large image and $b$ the bilinear enlargement.

# %%
residual = large - bilinear
print(f"standard deviation of the images {large.std():.3f}, of the residuals {residual.std():.3f}")
lesson.figure(
    figures.panels(
        {"bilinear": bilinear[1], "residual": 0.5 + residual[1], "original": large[1]}, columns=3
    ),
    "residual",
    "Bilinear image plus residual gives the original. Grey means that nothing is missing.",
)

# %% [markdown]
# The residual is large near edges and close to zero on surfaces, apart from their grain. That makes
# it the better target, for three reasons:
#
# - A network that draws the whole image must first learn to copy its input through all its layers,
#   and every error in copying shows up as a wrong colour.
# - Its answer without any training is bad. A network that adds to the bilinear image begins as
#   good as interpolation, if its last layer starts with zeros.
# - Training is spent on what is missing, not on what is already known.

# %% [markdown]
# ## From few pixels to many: sub-pixels
#
# The second question is where to enlarge. We could enlarge first and let all layers work on the
# large image, but then every convolution costs sixteen times as much, and the enlarged image holds
# nothing that the small one does not. It is cheaper to do all the work on the small image. At the
# end each position has to give $4 \times 4$ pixels. So the last convolution computes sixteen
# numbers for each position and colour, and we lay them out as a square. This is called a
# **sub-pixel** layer or *pixel shuffle*. By hand, with a factor of two:


# %%
def sub_pixels(maps, factor):
    rows, columns, _ = maps.shape
    image = np.zeros((factor * rows, factor * columns), maps.dtype)
    for row, column in np.ndindex(*image.shape):
        channel = factor * (row % factor) + column % factor
        image[row, column] = maps[row // factor, column // factor, channel]
    return image


maps = np.arange(24).reshape(4, 2, 3).transpose(1, 2, 0)  # 2 x 3 positions, 4 channels
cells = [(0, 0), (0, 1), (1, 0), (1, 1)]
channels = {f"channel {i}": maps[..., i] for i in range(4)}
marks = {f"channel {i}": [None] * i + [(0, 0)] for i in range(4)}
lesson.figure(
    figures.number_grids(
        {**channels, "image": sub_pixels(maps, 2)},
        [None, None, None, "lay out"],
        marks={**marks, "image": cells},
        title="Four channels at one position become four pixels",
    ),
    "sub_pixels",
    "The four numbers at the upper left position are coloured.",
)

# %% [markdown]
# Keras has this as `ops.depth_to_space`. It has no weights, it only moves numbers:

# %%
moved = ops.depth_to_space(maps[None].astype("float32"), 2)
assert np.allclose(moved[0, ..., 0], sub_pixels(maps, 2))

# %% [markdown]
# Compare this with the transposed convolution of lesson 4. A $1 \times 1$ convolution with a
# sub-pixel layer behind it is a transposed convolution whose windows do not overlap (exercise 4). A
# larger convolution lets them overlap, but everywhere equally. So there is no checkerboard from
# uneven overlap. Another grid can appear, because each pixel of a square has its own filter, and
# the filters may disagree. Zeros as the first weights make them start alike.
#
# ## The network
#
# Four convolutions look for structure in the small image, a fifth computes the sub-pixels, and the
# bilinear image is added. The last convolution starts with zeros.


# %%
def sub_pixel_network(factor=4, filters=32, residual=True):
    x = small = keras.Input((None, None, 3), name="small")
    for i in range(1, 5):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"features{i}")(x)
    arguments = {"padding": "same", "kernel_initializer": "zeros", "name": "sub_pixels"}
    x = layers.Conv2D(3 * factor**2, 3, **arguments)(x)
    x = ops.depth_to_space(x, factor)
    if residual:
        x = layers.Add(name="sum")([x, BilinearUpsampling2D(factor, name="bilinear")(small)])
    return keras.Model(small, x)


network = sub_pixel_network()
assert np.allclose(network(small[:1]), bilinear[:1], atol=1e-6)
lesson.figure(
    figures.architecture(network, input_size=(48, 64)),
    "architecture",
    "All convolutions work on the small image; the enlargement comes last.",
)

# %% [markdown]
# The network has 42,512 weights, and the assert shows that before training it *is* bilinear
# interpolation. It takes images of any size, so we can train it on small crops and run it on
# whole images.
#
# ## Train, with and without the residual
#
# Each training example is a random square of a scene and its small version. We train two networks
# that differ in one point: one adds the bilinear image, the other has to draw everything. The loss
# is the squared error, which is what PSNR measures. The batches come shuffled, so `fit` need not
# shuffle them.


# %%
def pair(images, _):
    count = tf.shape(images)[0]
    crops = tf.image.random_crop(images, (count, 96, 96, 3))
    return tf.nn.avg_pool2d(crops, 4, 4, "VALID"), crops


networks, curves = {}, {}
for name, residual in (("with residual", True), ("whole image", False)):
    keras.utils.set_random_seed(0)
    networks[name] = sub_pixel_network(residual=residual)
    networks[name].compile(keras.optimizers.Adam(1e-3), "mse", metrics=[PSNR()])
    history = networks[name].fit(
        data.train.map(pair),
        validation_data=(small, large),
        epochs=settings.epochs,
        verbose=0,
        shuffle=False,
    )
    curves[name] = history.history["val_psnr"]
    print(f"{name}: {networks[name].count_params():,} weights, {curves[name][-1]:.1f} dB")

# %% [markdown]
# We expect the first network to start higher. Will the second catch up?


# %%
def psnr(images):
    return -10 * np.log10(np.mean((images - large) ** 2, axis=(1, 2, 3))).mean()


epochs = np.arange(settings.epochs) + 1
curves["bilinear"] = [psnr(bilinear)] * settings.epochs
lesson.figure(
    figures.lines(
        epochs,
        curves,
        "epoch",
        "PSNR in dB, validation images",
        "The residual gives training a head start",
    ),
    "curves",
    "Validation images after each epoch, for the two networks and for bilinear interpolation.",
)

# %% [markdown]
# The network that draws the whole image needs all these epochs to come as far as bilinear
# interpolation. It is still rising: until here it has learned what the other one gets for nothing.
#
# ## Look at the images
#
# A decibel tells you little about what an image looks like. Look at a whole scene first, at the
# size at which you would see it on a screen, and then at an enlarged part of it.

# %%
enlarged = np.clip(networks["with residual"].predict(small, verbose=0), 0, 1)
lesson.figure(
    figures.panels({"bilinear": bilinear[1], "network": enlarged[1]}, columns=2, cell=3.4),
    "scene",
    "A validation scene, enlarged four times from the same small image.",
)

# %%
height, width = settings.image_size
part = (1, slice(height // 2, 11 * height // 12), slice(5 * width // 8, width))
nearest = np.asarray(layers.UpSampling2D(4)(small))
shown = {"small": nearest, "bilinear": bilinear, "network": enlarged}
shown = {f"{name}, {psnr(images):.1f} dB": images[part] for name, images in shown.items()}
lesson.figure(
    figures.panels({**shown, "original": large[part]}, columns=2, cell=3.4),
    "part",
    "A part of the same scene. The numbers are means over the validation images.",
)

# %% [markdown]
# Follow the outline of the car and of its shadow. The bilinear edges are ramps, those of the
# network are closer to steps, and dark and bright parts have more contrast. It sharpens where there
# is no edge, too: the red lamp and the windows get faint lines that the original does not have.
#
# Now look for what the network does *not* do. Detail that was smaller than one small pixel, such as
# the grain of the road, has not come back. Several sharp images fit the same small one, and the
# answer with the smallest squared error is their mean (lesson 8), in which such detail averages
# out. So the image with the best PSNR still looks soft. Networks that invent a plausible texture,
# trained with a discriminator for example, score lower in PSNR and often look better.

# %% [markdown]
# ## The network expects its own kind of small image
#
# We trained on small images made by averaging. What if somebody gives us small images made by
# keeping every fourth pixel?

# %%
skipped = large[:, 1::4, 1::4]  # one of the four pixels in the middle of each square
for name, images in (("averaged", small), ("skipped", skipped)):
    by_network = np.clip(networks["with residual"].predict(images, verbose=0), 0, 1)
    by_bilinear = np.asarray(BilinearUpsampling2D(4)(images))
    print(f"{name}: bilinear {psnr(by_bilinear):.1f} dB, network {psnr(by_network):.1f} dB")

# %% [markdown]
# Both lose. Each pixel now stands for sixteen but shows only one of them, with its grain, and half
# a pixel beside the centre of the square. The network loses more and falls behind interpolation: it
# has learned to sharpen soft edges, and here it sharpens grain and edges that are hard already.

# %% [markdown]
# ## Does it hold?
#
# On CamVid, photographs of streets, a larger network of this kind reaches 24.8 dB and bilinear
# interpolation 23.8 dB ([experiment](results/super_resolution_camvid/results.md)). Its strongest
# rival is simple: the best linear filter, fitted by least squares, reaches 24.6 dB (exercise 5).
# The residual helps there, too: the same U-Net gains 0.6 dB when it adds to the bilinear image.

# %% [markdown]
# ## Where it breaks
#
# - **Detail is a guess.** The network draws what is likely. For a number plate or a medical image
#   that is not evidence.
# - **Another way of shrinking**, another camera or JPEG artefacts in the small image: the network
#   corrects what it was trained on. Train it on the images that it will see.
# - **PSNR is not the eye.** Compare images at real size as well, and compare methods on the same
#   images only.

# %% [markdown]
# ## Summary
#
# - Remove what is too fine before you skip pixels, by a mean over each square for example.
#   Otherwise fine patterns come back as coarse ones.
# - Let the network learn the residual: it starts as good as interpolation and spends its weights on
#   edges.
# - Work on the small image and lay out sub-pixels at the end: sixteen channels become a square of
#   four by four pixels.
# - The squared error asks for the mean of all sharp images that fit, so results stay soft.

# %% [markdown]
# ## Exercises
#
# 1. Enlarge by a factor of two only. How many weights does the network have, and how much does it
#    gain over bilinear interpolation?
# 2. Train the network on small images made by skipping pixels, and test it on both kinds.
# 3. Mirror the small image, enlarge it, mirror the result back, and average it with the plain
#    result. Why does the mean of the two have a higher PSNR, although both come from one network?
# 4. Show that a sub-pixel layer behind a $1 \times 1$ convolution equals `Conv2DTranspose` with
#    kernel and stride four. How do you have to order the weights?
# 5. Project: fit the best linear filter. Predict the $4 \times 4$ pixels inside each small pixel
#    from the $5 \times 5$ small pixels around it by least squares. How far does it get?
#
# ## Further reading
#
# - Dong and others 2015, [Image super-resolution using deep convolutional
#   networks](https://arxiv.org/abs/1501.00092) (SRCNN)
# - Kim, Lee and Lee 2016, [Accurate image super-resolution using very deep convolutional
#   networks](https://arxiv.org/abs/1511.04587) (the residual)
# - Shi and others 2016, [Real-time single image and video super-resolution using an efficient
#   sub-pixel convolutional neural network](https://arxiv.org/abs/1609.05158)
# - Ledig and others 2017, [Photo-realistic single image super-resolution using a generative
#   adversarial network](https://arxiv.org/abs/1609.04802)
