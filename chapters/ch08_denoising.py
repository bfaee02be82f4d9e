# %% [markdown]
# # 8 · Denoising: back to the images you have seen
#
# Look at the second row of the first figure below. Most pixels are wrong, some of them by half the
# way from black to white, and you can still read most of the digits. No pixel tells you what it
# was. You read the digits because you know what digits look like.
#
# This lesson teaches a network to do the same. Removing noise means finding the plausible images
# nearby. A network can do this by remembering every image it has seen; a trained network does it
# better, and the same training fills in erased parts of an image.
#
# *You learn* how a network restores damaged images by projecting them onto the images it was
# trained on.
# *In the book:* chapter 6, "Denoising with autoencoders".
# *You need:* lessons 4 (transposed convolution) and 6 (autoencoders).
# *Time:* one minute on two cores.

# %%
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter, median_filter
from skimage import data as bundled

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.datasets import corruptions
from kerasseg.layers import CenterCropLike, PadToMultiple
from kerasseg.palette import CURVES

lesson = Chapter("ch08_denoising", "Denoising", epochs=40, data_dir=None, quick={"epochs": 1})
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
SIGMA = 0.3

# %% [markdown]
# ## Noise, and how to measure it
#
# We add Gaussian noise to scikit-learn's digits, images of $8 \times 8$ pixels with values from $0$
# (black) to $1$ (white). Every pixel $x$ becomes
#
# $$y = x + \sigma n,$$
#
# where $n$ is drawn from a normal distribution with mean $0$ and variance $1$, and $\sigma$, the
# standard deviation of the noise, is $0.3$. Values outside the range are cut off. The training
# images get new noise in every epoch.


# %%
def load(corruption):
    return datasets.load("digits", target="image", corruption=corruption, batch_size=64)


def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.as_numpy_iterator())]


noisy_digits = load(corruptions.noise(SIGMA))
noisy, clean = arrays(noisy_digits.test)
lesson.figure(
    figures.image_rows({"digit": clean[:10], "noisy": noisy[:10]}, "Most are still legible"),
    "noise",
    "Ten test digits, and the same digits with Gaussian noise.",
)

# %% [markdown]
# To compare restored images we need a number. The usual one is the *peak signal-to-noise ratio*,
# the mean squared error (MSE) of an image on a logarithmic scale:
#
# $$\mathrm{PSNR} = 10 \log_{10} \frac{1}{\mathrm{MSE}}.$$
#
# Its unit is the decibel (dB), and the numerator is the square of the largest possible value. Ten
# decibels more mean a tenth of the squared error. We take the mean over the images.


# %%
def psnr(images, truth):
    return np.mean(-10 * np.log10(np.mean((images - truth) ** 2, axis=(1, 2, 3))))


print(f"noisy digits: {psnr(noisy, clean):.1f} dB")

# %% [markdown]
# ## What filters can do
#
# The classical answers to noise are filters. A *Gaussian filter* replaces every pixel by a weighted
# mean of its neighbours: noise averages out. A *median filter* takes the middle value of the
# neighbours, which removes single outliers and keeps edges sharper.
#
# Both assume that neighbouring pixels are alike. In these tiny images the strokes are one or two
# pixels wide, so what the filters smooth away is the digit itself. One of the two makes the images
# even worse than they were. Which one?

# %%
by_median = median_filter(noisy, (1, 3, 3, 1))  # the window: images, rows, columns, channels
by_gaussian = gaussian_filter(noisy, (0, 0.5, 0.5, 0))  # standard deviations of the weights
print(f"median filter: {psnr(by_median, clean):.1f} dB")
print(f"Gaussian filter: {psnr(by_gaussian, clean):.1f} dB")

# %% [markdown]
# ## The idea: project onto what you have seen
#
# Suppose you knew all clean images, $x_1, x_2, \dots$, and all were equally likely. You receive the
# noisy image $y$. Which clean image was it? Small noise is more likely than large noise, so images
# near $y$ are more likely than images far away. By Bayes' rule the image $x_i$ has the probability
#
# $$w_i = \frac{\exp(-\|y - x_i\|^2 / 2\sigma^2)}{\sum_j \exp(-\|y - x_j\|^2 / 2\sigma^2)},$$
#
# where $\|y - x_i\|^2$ is the sum of the squared differences of all pixels. Which answer $a$ has
# the smallest expected squared error, $\sum_i w_i \|a - x_i\|^2$? Set its derivative to zero, and
# you find the mean of all candidates, weighted by their probabilities:
#
# $$\hat x(y) = \sum_i w_i x_i.$$

# %% [markdown]
# ## By hand
#
# Let there be only three images of $3 \times 3$ pixels: a vertical line, a horizontal line and a
# diagonal. We see the vertical line with two pixels changed by one half.


# %%
def project(noisy, seen, sigma):
    distances = ((noisy - seen) ** 2).sum(axis=-1)
    weights = np.exp(-distances / (2 * sigma**2))
    return weights @ seen / weights.sum(), weights / weights.sum()


vertical = np.tile([0.0, 1.0, 0.0], (3, 1))
horizontal, diagonal = vertical.T, np.eye(3)
seen = np.stack([vertical, horizontal, diagonal]).reshape(3, 9)
changed = vertical + np.array([[0, 0, 0], [0.5, 0, 0], [0, -0.5, 0]])
mean, weights = project(changed.ravel(), seen, sigma=np.sqrt(0.5))
grids = {f"weight {w:.2f}": image.reshape(3, 3) for w, image in zip(weights, seen)}
lesson.figure(
    figures.number_grids(
        {"noisy": changed, **grids, "their mean": mean.reshape(3, 3)},
        [None, "+", "+", "="],
        shades=["noisy", *grids, "their mean"],
        title="The weighted mean is almost the vertical line",
    ),
    "by_hand",
    "A noisy image, the three known images with their weights, and the mean. Compare the two 0.5.",
)

# %% [markdown]
# Check the weights yourself. With $\sigma^2 = 1/2$ each is proportional to
# $\exp(-\|y - x_i\|^2)$, and the three squared distances are 0.5, 2.5 and 3.5.
#
# An image of only two pixels is a point in the plane. Let an edge slide over the two pixels: first
# the left one turns white, then the right one. The images of all these edges form a line with a
# corner. We add noise, which pushes the points off the line, and let `project` bring them back.

# %%
edge = np.linspace(0, 2, 101)
seen_edges = np.stack([edge.clip(0, 1), (edge - 1).clip(0, 1)], axis=-1)
points = rng.choice(seen_edges, 60) + rng.normal(0, 0.15, (60, 2))
moved = np.array([project(point, seen_edges, 0.15)[0] for point in points])
figure = Figure(figsize=(5, 4.2), layout="constrained")
axes = figure.subplots()
axes.plot(*seen_edges.T, color=CURVES[0], linewidth=3)
axes.plot(*points.T, "o", color=CURVES[1])
axes.quiver(*points.T, *(moved - points).T, angles="xy", scale_units="xy", scale=1, width=0.004)
axes.set(xlabel="left pixel", ylabel="right pixel", title="Denoising moves images towards the line")
lesson.figure(
    figure,
    "plane",
    "Blue: the images we have seen. Orange: noisy ones. Arrows: what the denoiser does to them.",
)

# %% [markdown]
# Keep this drawing in mind. In the space of all images, with one dimension for each pixel, the
# plausible images form a thin surface. Noise pushes an image in a random direction, and nearly all
# directions lead off the surface. So a denoiser is roughly a *projection* back to the surface.
#
# Look at the arrows near the corner. Where two parts of the line are equally near, the mean lies
# between them and off the line. A mean of several sharp images is a blurred image.

# %% [markdown]
# ## The same as layers
#
# The weights $w_i$ look familiar: an exponential divided by a sum of exponentials is a softmax.
# Write out $\|y - x_i\|^2 = \|y\|^2 - 2\,y \cdot x_i + \|x_i\|^2$, where $y \cdot x_i$ is the sum
# of the products of the pixels. The first term is the same for all $i$ and cancels. Divided by
# $-2\sigma^2$, the others are a weighted sum of the pixels, with weights $x_i / \sigma^2$, plus a
# constant: a `Dense` layer with a bias. The weighted mean of the images is a second one without.


# %%
def memory(seen, sigma):
    network = keras.Sequential(
        [
            keras.Input(seen.shape[1:]),
            layers.Dense(len(seen), activation="softmax"),
            layers.Dense(seen.shape[1], use_bias=False),
        ]
    )
    squares = (seen**2).sum(axis=-1)
    network.set_weights([seen.T / sigma**2, -squares / (2 * sigma**2), seen])
    return network


assert np.allclose(memory(seen, np.sqrt(0.5))(changed.reshape(1, 9))[0], mean, atol=1e-6)

# %% [markdown]
# So the best denoiser for a known set of images *is* a network with one hidden layer. We did not
# train it, we wrote the images into its weights. Let it remember the training digits and restore
# the test digits, which it has never seen. (Our noise is cut off, so here $w_i$ is approximate.)

# %%
train_digits = arrays(load(None).train)[1].reshape(-1, 64)
remembered = memory(train_digits, SIGMA).predict(noisy.reshape(-1, 64), verbose=0)
by_memory = remembered.reshape(clean.shape)
print(f"a memory of {len(train_digits):,} digits: {psnr(by_memory, clean):.1f} dB")

# %% [markdown]
# It is better than the filters by far. But it needs a unit for every image, it cannot combine the
# top of one seven with the bottom of another, and no memory holds an image near every photograph.

# %% [markdown]
# ## A network that learns the projection
#
# We cannot list all images, but we have examples, and we can add noise to them as often as we like.
# Train a network $f$ to return the clean image:
#
# $$\min_f \; \mathrm{E}\,\| f(x + \sigma n) - x \|^2.$$
#
# Here $\mathrm{E}$ is the mean over all images $x$ and all noise $n$. For one noisy image the best
# answer is, once more, the mean of the clean images that it may have been. So training makes $f$
# approach $\hat x$.
#
# In lesson 6 an autoencoder needed a narrow code, because it could otherwise copy its input. Here
# copying is a bad answer: the input is noisy. So a denoising autoencoder needs no bottleneck. Ours
# halves the map twice by convolutions with a stride and doubles it twice by transposed
# convolutions. Its code has $2 \times 2$ positions with 64 channels, four times as many numbers as
# the image.


# %%
def conv_autoencoder(input_shape, filters=(32, 64, 128, 256)):
    arguments = {"kernel_size": 4, "strides": 2, "padding": "same", "activation": "relu"}
    image = keras.Input(input_shape, name="image")
    x = PadToMultiple(2 ** len(filters))(image)
    for i, count in enumerate(filters[:-1], start=1):
        x = layers.Conv2D(count, name=f"encoder{i}", **arguments)(x)
    x = layers.Conv2D(filters[-1], name="code", **arguments)(x)
    for i, count in reversed(list(enumerate(filters, start=1))):
        x = layers.Conv2DTranspose(count, name=f"decoder{i}", **arguments)(x)
    x = layers.Conv2D(input_shape[-1], 1, activation="sigmoid", name="pixels")(x)
    return keras.Model(image, CenterCropLike()(x, image), name="conv_autoencoder")


denoiser = conv_autoencoder((8, 8, 1), filters=(32, 64))
library = models.conv_autoencoder((8, 8, 1), filters=(32, 64))
assert denoiser.count_params() == library.count_params()
lesson.figure(
    figures.architecture(denoiser), "architecture", "The network, from the image to the image."
)

# %% [markdown]
# `PadToMultiple` and `CenterCropLike` make the network accept any height and width: the image is
# padded until its sides can be halved twice, and the result is cropped. The library has this
# network as `kerasseg.models.conv_autoencoder`.
#
# We train it on pairs of a noisy and a clean digit. The loss is the binary cross-entropy of each
# pixel, as in lesson 6. Its best answer is the same mean as that of the squared error, but its
# gradient does not vanish where the sigmoid is close to $0$ or $1$, so training is faster. The
# learning rate falls to zero along a cosine, so that the weights settle at the end.


# %%
def train(batches):
    model = conv_autoencoder((8, 8, 1), filters=(32, 64))
    rate = keras.optimizers.schedules.CosineDecay(3e-3, lesson.settings.epochs * len(batches))
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    # The batches come shuffled, so `fit` need not shuffle them.
    history = model.fit(batches, epochs=lesson.settings.epochs, verbose=0, shuffle=False)
    print(f"{len(history.epoch)} epochs, last loss {history.history['loss'][-1]:.3f}")
    return model


denoiser = train(noisy_digits.train)

# %% [markdown]
# Before you run the next cell, make a guess: where will the memory and the network differ, in the
# background or in the strokes?

# %%
by_network = denoiser.predict(noisy, verbose=0)
rows = {"noisy": noisy, "Gaussian": by_gaussian, "memory": by_memory, "network": by_network}
rows = {f"{name}\n{psnr(row, clean):.1f} dB": row[:10] for name, row in rows.items()}
lesson.figure(
    figures.image_rows({"digit": clean[:10], **rows}, "The network knows what strokes look like"),
    "denoised",
    "Ten test digits, noisy, and restored in three ways; the mean PSNR over all test digits.",
)

# %% [markdown]
# The filter leaves a grey veil and washed-out strokes. Memory and network both give a black
# background. But the memory's digits are other people's: it has nothing better than the training
# images nearest to the input. The fourth digit, an eight, comes back in another shape, while the
# network keeps close to this writer's strokes. It has learned strokes, and strokes can be combined
# in more ways than whole images.

# %% [markdown]
# ## What does the network do with an image that is no digit?
#
# If the network projects onto digits, it should return nothing else. We feed it four images without
# noise: a chessboard, a grey area, a frame and a single column. What do you expect for the
# chessboard?

# %%
chess = np.indices((8, 8)).sum(0) % 2
grey = np.full((8, 8), 0.5)
frame = np.pad(np.zeros((6, 6)), 1, constant_values=1)
column = np.zeros((8, 8)) + (np.arange(8) == 0)
strange = np.stack([chess, grey, frame, column])[..., None].astype("float32")
lesson.figure(
    figures.image_rows(
        {"input": strange, "network": denoiser.predict(strange, verbose=0)},
        "What is no digit does not survive",
    ),
    "strange",
    "Four images unlike any training image, and what the denoiser makes of them.",
)

# %% [markdown]
# None of the inputs survives. The chessboard and the grey area become nearly the same pale shape,
# much like a mean of digits. The frame keeps its top and bottom, where digits may have ink, but its
# sides disappear like the column. This is the price of knowing what images look like.

# %% [markdown]
# ## Erased patches
#
# Noise leaves a trace of every pixel. Now let a grey rectangle hide part of the image, so that
# nothing is left of some pixels. A small filter cannot help inside the hole, because the neighbours
# are hidden too. But nothing in the training was about noise in particular. The same network,
# trained anew on images with holes, learns to fill them. We do not tell it where the hole is.

# %%
holed_digits = load(corruptions.erased_patches(1, size=(0.3, 0.5)))
holed, whole = arrays(holed_digits.test)
filled = train(holed_digits.train).predict(holed, verbose=0)
hidden = holed != whole
for name, images in (("grey", holed), ("filled", filled)):
    print(f"{name}: {-10 * np.log10(np.mean((images - whole)[hidden] ** 2)):.1f} dB in the holes")
lesson.figure(
    figures.image_rows(
        {
            "digit": whole[:10],
            "erased": holed[:10],
            "median": median_filter(holed, (1, 3, 3, 1))[:10],
            "network": filled[:10],
        },
        "The network continues the strokes through the hole",
    ),
    "filled",
    "Ten test digits with an erased rectangle, filled by a median filter and by the network.",
)

# %% [markdown]
# The network finds the hole, because grey rectangles are no digits, and continues the strokes.
# Where several digits would fit, it draws their mean: pale strokes, as in the fourth digit.

# %% [markdown]
# ## On photographs
#
# Small parts of photographs repeat: edges, surfaces, textures. The network is made of convolutions,
# so it learns such parts from small crops and then runs on photographs of any size. We take
# photographs that come with scikit-image, in grey and at half their size, keep two for the test,
# and cut the training crops from the others. (With `--data-dir FOLDER` you can use the PNG files of
# a benchmark instead, in `FOLDER/train400` and `FOLDER/bsd68`.)


# %%
def grey_image(image, shrink=1):
    return np.asarray(image.convert("L").reduce(shrink), "float32")[..., None] / 255


def photographs(folder, names):
    if lesson.settings.data_dir:
        files = sorted(Path(lesson.settings.data_dir, folder).glob("*.png"))
        return [grey_image(Image.open(file)) for file in files]
    return [grey_image(Image.fromarray(getattr(bundled, name)()), shrink=2) for name in names]


others = ("astronaut", "coffee", "rocket", "brick", "gravel", "grass", "coins", "clock")
training_photos = photographs("train400", others)
test_photos = photographs("bsd68", ("camera", "chelsea"))

# %% [markdown]
# The noise has a standard deviation of $25$ on the scale of $0$ to $255$ on which photographs are
# stored, the usual level in papers; nothing is cut off. The loss is the squared error, as in PSNR.


# %%
def crop(photo, size=40):
    top, left = (rng.integers(0, length - size + 1) for length in photo.shape[:2])
    return photo[top : top + size, left : left + size]


def add_noise(images):
    return images + 25 / 255 * tf.random.normal(tf.shape(images))


count = 64 if lesson.settings.quick else 1600
crops = np.stack([crop(training_photos[i % len(training_photos)]) for i in range(count)])
pairs = tf.data.Dataset.from_tensor_slices(crops).shuffle(count).batch(32)
photo_denoiser = conv_autoencoder((None, None, 1), filters=(32, 64))
epochs = min(12, lesson.settings.epochs)
rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * len(pairs))
photo_denoiser.compile(keras.optimizers.Adam(rate), "mse")
photo_denoiser.fit(
    pairs.map(lambda images: (add_noise(images), images)),
    epochs=epochs,
    verbose=2,
    shuffle=False,  # the batches come shuffled
)

# %%
results = []
for photo in test_photos:
    noisy_photo = np.asarray(add_noise(photo))
    restored = photo_denoiser.predict(noisy_photo[None], verbose=0)[0]
    median = median_filter(noisy_photo, (3, 3, 1))
    gaussian = gaussian_filter(noisy_photo, (0.8, 0.8, 0))
    results.append([noisy_photo, median, gaussian, restored])
names = ("noisy", "median filter", "Gaussian filter", "network")
scores = [np.mean([psnr(r[i][None], p) for r, p in zip(results, test_photos)]) for i in range(4)]
part = (slice(40, 140), slice(60, 190))
shown = {f"{n}\n{s:.1f} dB": image[part] for n, s, image in zip(names, scores, results[0])}
lesson.figure(
    figures.panels({"photograph": test_photos[0][part], **shown}, columns=3),
    "photograph",
    "A part of a test photograph. The numbers are means over the test photographs.",
)

# %% [markdown]
# Compare the sky with the outline of the man. A filter has one strength for all places: if it is
# weak, grain is left in the sky, and if it is strong, it blurs the outline. The network decides
# from the neighbourhood whether to average or to keep an edge. In smooth parts it is well ahead of
# the Gaussian filter. In the mean it gains little: most of the squared error lies at edges and in
# fine texture, which it removes with the noise, and there it is hardly better.

# %% [markdown]
# ## Does it hold?
#
# On MNIST, with $\sigma = 0.5$, the convolutional autoencoder gains 10.7 dB over the noisy image,
# the best linear denoiser for this data set 8.3 dB and a median filter 4.8 dB
# ([experiment](results/denoising_mnist/results.md)). The book's dense autoencoder, with a code of
# $32$ numbers, gains 6.6 dB. That does not compare the kinds of layers alone: the code of the
# convolutional network holds 2,048 numbers, so one network has a bottleneck and the other none.
#
# On the photographs of BSD68, with `--data-dir`, the network reaches 26.3 dB and the Gaussian
# filter 26.2 dB. Halving the maps costs detail that nothing brings back. DnCNN reports 29.2 dB with
# seventeen convolutions at full resolution that predict the noise and subtract it, an idea that
# lesson 9 takes up.

# %% [markdown]
# ## Where it breaks
#
# - **Another noise.** A network trained on one strength of noise blurs images that have less and
#   leaves grain in images that have more. Train on the strengths that you expect, as the book does.
# - **Means are blurred.** Where several clean images fit, the network draws their mean. A sharp
#   answer needs another loss, such as a discriminator's (GAN).
# - **Other images.** Whatever is unlike the training set is changed, as the chessboard showed.

# %% [markdown]
# ## Summary
#
# - Denoising moves an image back to the images one has seen. The best answer in squared error is
#   the mean of the clean images that fit.
# - For a known set of images this denoiser is a network of two dense layers that stores them.
# - A trained network learns a similar projection from pairs of a damaged and a clean image, and it
#   combines parts of images where a memory can only mix whole ones.
# - The corruption defines the task: noise, holes or anything else that we can simulate.

# %% [markdown]
# ## Exercises
#
# 1. Test the denoiser on digits with $\sigma = 0.1$ and $0.5$. Where does it help least, and why?
#    Train another one on the range between the two and compare.
# 2. Compute the PSNR of the memory with a tenth, a third and all of the training digits. How does
#    it grow?
# 3. Replace the network by `models.dense_autoencoder((8, 8, 1))`. Which result is better? How does
#    a code of only four numbers change the images?
# 4. By mistake, noise is added to the test images twice. What PSNR do you expect of the input, and
#    what does the denoiser lose?
# 5. Apply the denoiser to its own output, five times. Does the image stay? Would it under an exact
#    projection?
# 6. Project: train without clean images. Give the network two noisy versions of each digit, one as
#    input and one as target (Noise2Noise). Why does this work?
#
# ## Further reading
#
# - Vincent and others 2008, [Extracting and composing robust features with denoising
#   autoencoders](https://doi.org/10.1145/1390156.1390294)
# - Alain and Bengio 2014, [What regularized auto-encoders learn from the data-generating
#   distribution](https://arxiv.org/abs/1211.4246)
# - Zhang and others 2017, [Beyond a Gaussian denoiser: residual learning of deep CNN for image
#   denoising](https://arxiv.org/abs/1608.03981)
# - Lehtinen and others 2018, [Noise2Noise: learning image restoration without clean
#   data](https://arxiv.org/abs/1803.04189)
