# %% [markdown]
# # 7 · The latent space: drawing new images from random codes
#
# The decoder of an autoencoder turns a code into an image. In lesson 6 it drew digits from codes
# that belonged to no image at all. So could we invent a code at random and get a digit that nobody
# has ever written? With the autoencoder of lesson 6, hardly ever. With a small change in the middle
# of the network, often.
#
# The change is called the **variational autoencoder** (VAE). It replaces the code of an image by a
# cloud of codes, and it arranges the clouds so that they fill one known region without gaps.
#
# *You learn* how to make a decoder that draws from random codes, and why that takes a mean and a
# variance, a trick with the noise and one more term in the loss.
# *In the book:* chapter 7, the section on variational autoencoders, and notebook 7.7.
# *You need:* lesson 6 (autoencoders) and derivatives.
# *Time:* one minute on two cores.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from matplotlib.ticker import AutoLocator

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.layers import Sampling

settings = {"dataset": "digits", "data_dir": None, "epochs": 80}
choices = {"dataset": ("digits", "mnist")}
lesson = Chapter(
    "ch07_latent_space", "The latent space", quick={"epochs": 2}, choices=choices, **settings
)
keras.utils.set_random_seed(0)

most = 1000 if lesson.settings.quick else 60_000  # images
data = datasets.load(
    lesson.settings.dataset, target="label", batch_size=most, data_dir=lesson.settings.data_dir
)
(train, _), (test, test_labels) = (
    next(part.as_numpy_iterator()) for part in (data.train, data.test)
)
size = max(16, data.image_shape[0])  # small digits are enlarged, which shows strokes more clearly
train, test = (
    np.clip(ops.image.resize(images, (size, size), interpolation="bicubic"), 0, 1)
    for images in (train, test)
)

# %% [markdown]
# ## Random codes of an autoencoder
#
# Let us try it first. We train an autoencoder without any trick. (Its two halves are those of the
# network that you build below, joined without the new layer.) The code has only two numbers, so
# that we can look at all codes at once on a plane. Then we decode ten pairs of random numbers from
# the standard normal distribution, the usual bell curve around zero.

# %%
epochs, filters = lesson.settings.epochs, (16, 32)
encoder, decoder = models.split_autoencoder(models.vae(train.shape[1:], 2, filters=filters))
plain = keras.Model(encoder.input, decoder(encoder.output))
plain.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
plain.fit(train, train, batch_size=100, epochs=epochs, verbose=0)

random_codes = np.random.default_rng(0).standard_normal((10, 2)).astype("float32")
invented = decoder.predict(random_codes, verbose=0)
shown = [int(np.flatnonzero(test_labels == digit)[0]) for digit in range(10)]
rows = {
    "test digits": test[shown],
    "encoded,\ndecoded": plain.predict(test[shown], verbose=0),
    "decoded from\nrandom codes": invented,
}
lesson.figure(
    figures.image_rows(rows, "A random code of an autoencoder is no digit"),
    "random_codes",
    "Two numbers are few, so reconstructions are blurred. But random codes give no digit at all.",
)

# %% [markdown]
# Where do the codes of real digits lie, and where did we draw?

# %%
codes = encoder.predict(test, verbose=0)
draws = np.random.default_rng(1).standard_normal((300, 2))
colours = (test_labels, data.class_names, data.colours)
figure = figures.scatter(codes, *colours, "The codes of digits are not where we draw")
axes = figure.axes[0]
axes.plot(*draws.T, "kx", markersize=4)
axes.annotate("random codes", (4, 0), va="center", weight="bold")
axes.xaxis.set_major_locator(AutoLocator())
axes.yaxis.set_major_locator(AutoLocator())
axes.set(xlabel="first number", ylabel="second number")
lesson.figure(
    figure,
    "codes_autoencoder",
    "Coloured points: codes of test digits. Black crosses: where our random codes come from.",
)

# %% [markdown]
# The figure shows two faults. First, the codes lie far from where we drew. Nothing in the loss
# says where they should lie, so the network put them wherever it was convenient. Second, there are
# gaps between the codes. The decoder was never asked about a code in a gap, so its answer there is
# left to chance.
#
# On this plane you could pick a good place by eye. With eight numbers, or with two hundred, you
# cannot look. Then the codes of the training set are a few points in an enormous space, and a
# random code practically always misses. We want to *know* where to draw.
#
# ## The idea: a cloud instead of a point
#
# Suppose we shake every code a little before it is decoded. The decoder then has to draw the same
# digit from a whole neighbourhood of codes. Where the neighbourhoods of two digits overlap it has
# to find a compromise, an image that is plausible for both. So gaps close, and images change
# smoothly as you walk through the latent space.
#
# How much should a code be shaken? Let the network decide, image by image. The encoder of a VAE
# gives two results for each number of the code: a **mean** $\mu$, the centre of the cloud, and a
# **standard deviation** $\sigma$, its width. The code $z$ is drawn from the normal distribution
# with this mean and this width.
#
# A layer may output any real number, but a width has to be positive. So the encoder gives the
# *logarithm of the variance*, $\log \sigma^2$, and we compute
# $\sigma = \exp\big(\tfrac{1}{2} \log \sigma^2\big)$. The half is there because $\sigma$ is the
# square root of the variance.
#
# ## The obstacle: no gradient through a draw
#
# To train the encoder, backpropagation has to answer: if $\mu$ were a little larger, by how much
# would the loss change? With a random draw in between there seems to be no answer. Change $\mu$ by
# a hair and draw again: the loss jumps, but mostly because the dice fell differently.
#
# Let us watch that with one number and the toy loss $\ell(z) = z^2$. We move the mean in small
# steps and compute the loss twice: with new noise at every step, and with the same noise at all of
# them.


# %%
def draw(mean, log_variance, noise):
    return mean + np.exp(log_variance / 2) * noise


means = np.linspace(-2, 2, 41)
new_noise = np.random.default_rng(2).standard_normal(41)
same_noise = 0.5
losses = {
    "new noise at every step": draw(means, 0.0, new_noise) ** 2,
    "the same noise at every step": draw(means, 0.0, same_noise) ** 2,
}
lesson.figure(
    figures.lines(means, losses, "mean", "loss", "With the noise kept, the loss has a slope"),
    "noise_kept",
    "The slope of the orange curve is a gradient. The blue one jumps from point to point.",
)

# %% [markdown]
# The orange curve has a slope, and you saw how to get it: draw the noise $\varepsilon$ *first*,
# from a fixed distribution that no weight can change, and then move and stretch it:
#
# $$z = \mu + \sigma \, \varepsilon, \qquad \varepsilon \sim \mathcal{N}(0, 1).$$
#
# This is `draw` above, and it is called the **reparameterisation trick**. The distribution of $z$
# is the same as before. But the random part now enters from the side, like one more input, and
# between $\mu$ and $z$ there is only an addition, between $\sigma$ and $z$ only a product. Both
# have derivatives,
#
# $$\frac{\partial z}{\partial \mu} = 1, \qquad \frac{\partial z}{\partial \sigma} = \varepsilon,$$
#
# so the chain rule goes through:
#
# $$\frac{\partial \ell}{\partial \mu} = \frac{\partial \ell}{\partial z}, \qquad
# \frac{\partial \ell}{\partial \sigma} = \frac{\partial \ell}{\partial z} \, \varepsilon.$$
#
# The second formula makes sense: if the noise pushed the code to the right, and the loss falls
# when the code moves left, then less noise would have been better, and $\sigma$ should shrink.
#
# ## By hand: two draws
#
# Take the mean $\mu = 1$, the width $\sigma = 2$, the same loss $z^2$ with slope $2z$, and let the
# two values $\varepsilon = -1$ and $\varepsilon = 1$ stand for all noise. (Their mean is zero and
# their variance one, as it should be.)

# %%
noise = np.array([[-1.0], [1.0]])
code = draw(1.0, np.log(2.0**2), noise)
slope = 2 * code
grids = {
    "mean": np.ones((2, 1)),
    "width": np.full((2, 1), 2.0),
    "noise": noise,
    "code": code,
    "slope of the loss": slope,
    "gradient for the mean": slope,
    "gradient for the width": slope * noise,
}
both = {name: [(0, 0, 1, 1), (1, 0, 1, 1)] for name in grids}
arrows = ["+", "*", "=", None, None, None]
lesson.figure(
    figures.number_grids(grids, arrows, windows=both, columns=4),
    "by_hand",
    "Blue: the first draw. Orange: the second. The width's gradient is the slope times the noise.",
)
assert (slope.mean(), (slope * noise).mean()) == (2 * 1, 2 * 2)

# %% [markdown]
# The averages are right. The mean of $z^2$ is $\mu^2 + \sigma^2$, and its derivatives are
# $2\mu = 2$ and $2\sigma = 4$, just as the last two columns average to. This is no accident: no
# weight changes the distribution of the noise, so the gradient of the average loss is the average
# of the gradients. A single draw gives a gradient that is off, but right on average, and that is
# all that stochastic gradient descent needs.
#
# ## The layer, same numbers
#
# `kerasseg.layers.Sampling` draws the noise and does the rest. We ask TensorFlow for the gradients.
# (The layer takes $\log \sigma^2$ instead of $\sigma$. The derivative of $\sigma$ with respect to
# it is $\sigma / 2$, which is just $1$ for our width, so the numbers stay the same.)

# %%
mean, log_variance = tf.constant([[1.0, 1.0]]), tf.math.log([[4.0, 4.0]])
sampling = Sampling(seed=0)
with tf.GradientTape() as tape:
    tape.watch([mean, log_variance])
    code = sampling(mean, log_variance)
    loss = ops.sum(code**2)
by_mean, by_log_variance = tape.gradient(loss, [mean, log_variance])
noise = (code - 1) / 2  # what the layer must have drawn

assert np.allclose(by_mean, 2 * code)
assert np.allclose(by_log_variance, 2 * code * noise)

# %% [markdown]
# ## Why one more term in the loss
#
# Is shaking enough? Think like the encoder, which is trained for good reconstructions. Noise only
# disturbs them. It can make the noise harmless in two ways: let every $\sigma$ shrink to zero, or
# push all means so far apart that the clouds never touch. Either way we are back at the plain
# autoencoder.
#
# So both ways get a price. It is the **Kullback-Leibler divergence** of the cloud from the standard
# normal distribution, a measure of how much two distributions differ. For normal distributions and
# a code of $k$ numbers it is
#
# $$D = \frac{1}{2} \sum_{j=1}^{k} \big( \mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2 \big).$$
#
# Read it term by term: $\mu_j^2$ pulls the clouds to the middle, $\sigma_j^2$ keeps them from
# growing without limit, and $-\log \sigma_j^2$ becomes very large when a cloud shrinks to a point.


# %%
def divergence(mean, log_variance):
    return 0.5 * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=-1)


widths = np.linspace(0.05, 2.5, 50)
price = {
    f"mean {mu}": divergence(np.full((50, 1), mu), np.log(widths[:, None] ** 2)) for mu in (0, 1, 2)
}
lesson.figure(
    figures.lines(widths, price, "width of the cloud", "price", "Only mean 0 and width 1 are free"),
    "divergence",
    "The divergence of one number. It rises steeply where a cloud becomes a point.",
)
assert np.allclose(sampling.losses[0], divergence(np.ones(2), np.log(4 * np.ones(2))))

# %% [markdown]
# As the assertion shows, the layer adds this price to the loss of its model by itself. Together
# with the distance $d$ of lesson 6 between the pixels of an image and of its reconstruction, the
# loss of a VAE is
#
# $$L = \sum_{\text{pixels}} d(x, \hat x) + D.$$
#
# (Kingma and Welling derive this sum from probability theory. With its sign changed it is known as
# the *evidence lower bound*, or ELBO.)
#
# It is a tug-of-war. The first term wants narrow clouds far apart, the second wants all clouds to
# be the same one around zero. The result: clouds lie as close together as they can without being
# mistaken for each other, neighbours look alike, and all of them together fill a region we know,
# the standard normal distribution. **That is where we draw from.**
#
# ## The network
#
# Compared with lesson 6, two strided convolutions replace the encoder's dense layers, transposed
# ones (lesson 4) the decoder's, and three layers in the middle are new: `mean`, `log_variance` and
# `code`.


# %%
def vae(input_shape=(28, 28, 1), code_size=2, *, filters=(32, 64)):
    arguments = {"strides": 2, "padding": "same", "activation": "relu"}
    x = image = keras.Input(input_shape, name="image")
    for i, count in enumerate(filters, start=1):
        x = layers.Conv2D(count, 3, name=f"encoder{i}", **arguments)(x)
    height, width = x.shape[1:3]
    x = layers.Flatten(name="flatten")(x)

    mean = layers.Dense(code_size, name="mean")(x)
    log_variance = layers.Dense(code_size, name="log_variance")(x)
    x = Sampling(name="code")(mean, log_variance)

    x = layers.Dense(height * width * 2, activation="relu", name="grid_numbers")(x)
    x = layers.Reshape((height, width, 2), name="grid")(x)
    for i, count in reversed(list(enumerate(filters, start=1))):
        x = layers.Conv2DTranspose(count, 3, name=f"decoder{i}", **arguments)(x)
    channels, last = input_shape[-1], {"padding": "same", "activation": "sigmoid"}
    return keras.Model(image, layers.Conv2DTranspose(channels, 3, name="pixels", **last)(x))


# %%
lesson.figure(
    figures.architecture(vae()),
    "architecture",
    "The book's VAE. The encoder's path splits into a mean and a log variance; one code is drawn.",
)
assert vae().count_params() == models.vae().count_params() == 51_627

# %% [markdown]
# The library has it as `kerasseg.models.vae`, which also takes images whose sides are no multiples
# of four.
#
# ## Training
#
# One detail decides whether this works. $D$ is a sum over the code, so the first term has to be a
# *sum* over the pixels, but Keras takes their mean. `loss_weights` below multiplies this mean by
# the number of pixels. Without it $D$ would weigh hundreds of times too much, and the network would
# rather give every image the same code than draw it well.

# %%
model = vae(train.shape[1:], 2, filters=filters)
pixels = train[0].size
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", loss_weights=[pixels])
history = model.fit(train, train, batch_size=100, epochs=epochs, verbose=0)
losses = history.history["loss"]
print(f"loss for an image: {losses[0]:.1f} after one epoch, {losses[-1]:.1f} at the end")

# %% [markdown]
# ## Look: a map of all digits
#
# The latent space of two numbers is a plane, so we can look at all of it. We decode codes on a
# regular grid around zero and put each image where its code lies. The coloured points are test
# digits. (The encoder of `split_autoencoder` gives the mean of a code, not a draw.) Guess first:
# what will you find *between* two digits?

# %%
encoder, decoder = models.split_autoencoder(model)
reach, count, gap = 2.5, 11, 2
steps = (np.arange(count) + 0.5) / count * 2 * reach - reach
grid = np.stack(np.meshgrid(steps, steps[::-1]), -1).reshape(-1, 2).astype("float32")
tiles = decoder.predict(grid, verbose=0)[..., 0]
tiles = np.pad(tiles, [(0, 0), (gap, gap), (gap, gap)])  # a margin around each image
tiles = tiles.reshape(count, count, size + 2 * gap, -1).swapaxes(1, 2)

figure = figures.scatter(
    encoder.predict(test, verbose=0),
    *colours,
    "Neighbours look alike, and every place has an image",
)
axes = figure.axes[0]
figure.set_size_inches(8, 8)
drawn = tiles.reshape(count * (size + 2 * gap), -1)
axes.imshow(drawn, "gray_r", vmax=1.3, extent=(-reach, reach, -reach, reach), zorder=-1)
ticks = {"xticks": range(-2, 3), "yticks": range(-2, 3)}
axes.set(xlabel="first number", ylabel="second number", xlim=(-reach, reach), **ticks)
axes.set(ylim=(-reach, reach))
lesson.figure(
    figure,
    "map",
    "Grey, with dark ink: what the decoder draws at each place. Coloured points: the means of test "
    "digits. Each number stands in the middle of its class.",
)

# %% [markdown]
# Compare this with the map of the autoencoder. The codes have moved to the middle, where the bell
# curve is, and every place there has an image made of strokes. Between two digits lie shapes that
# are a little of both: one digit turns into the other step by step. We never asked for this order.
# It follows from the shaking: codes that are often confused have to look alike.
#
# ## Random codes, second attempt
#
# We use *the same random codes* as on top of the page. In addition we train the same network with
# codes of eight numbers, since two are too few to describe a digit well.

# %%
larger = vae(train.shape[1:], 8, filters=filters)
larger.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", loss_weights=[pixels])
larger.fit(train, train, batch_size=100, epochs=epochs, verbose=0)
codes_of_8 = np.random.default_rng(0).standard_normal((10, 8)).astype("float32")
rows = {
    "autoencoder,\n2 numbers": invented,
    "VAE,\n2 numbers": decoder.predict(random_codes, verbose=0),
    "VAE,\n8 numbers": models.split_autoencoder(larger)[1].predict(codes_of_8, verbose=0),
}
lesson.figure(
    figures.image_rows(rows, "From the same random codes, a VAE draws strokes and often a digit"),
    "generated",
    "None of these images was encoded. The first two rows use the same random codes.",
)

# %% [markdown]
# Not every draw is a digit. Some lie between two digits and are neither. But nearly all have
# strokes in the right place and of the right width, and some could pass for handwriting. With eight
# numbers the images are more varied. But there is also more room between the digits, so more draws
# are shapes that nobody would write.
#
# Is the comparison fair? You may object that the plain autoencoder would do better if we drew from
# where *its* codes lie. That is true: in exercise 1 it then draws about as well as the VAE. The
# point of the VAE is that you need not look where the codes are. You know it before training, for
# any number of dimensions.
#
# ## Where it breaks
#
# - **Blur.** One code stands for many images, and the loss compares pixel by pixel. The best answer
#   is then their mean, which is grey wherever they differ. GANs avoid this blur by training the
#   decoder against a network that tries to tell real images from drawn ones.
# - **Unused numbers.** If the price is high compared with the pixels, the network stops using some
#   numbers or all of them: their clouds become the standard normal one for every image, which costs
#   nothing and says nothing. This is called *posterior collapse*. The weight between the two terms
#   is a choice (exercise 3).
# - **Holes.** Nothing guarantees that all clouds together fill the bell curve evenly. With many
#   numbers, holes remain, and codes drawn there decode to no digit.
#
# The idea lives on: many image generators of today work in the latent space of a large autoencoder,
# which is trained with a small divergence term of this kind.
#
# ## Summary
#
# - An autoencoder leaves open where its codes lie and what is between them. Random codes miss.
# - A VAE encodes an image as a cloud, with a mean and a variance for each number, and decodes a
#   draw from it.
# - Gradients pass through the draw because the noise comes from outside: $z = \mu + \sigma
#   \varepsilon$.
# - The divergence keeps the clouds near the standard normal distribution. Without it they would
#   shrink to points.
# - The loss is a sum over pixels plus a sum over the code. The balance decides between sharp
#   images and an ordered latent space.
#
# ## Exercises
#
# 1. Draw random codes for the plain autoencoder from a normal distribution with the mean and the
#    covariance of its own codes. What do you get with two numbers, and what with eight?
# 2. Walk in a straight line from the code of a zero to that of a six and decode ten points on the
#    way. Compare with fading one image into the other.
# 3. Give the pixels a hundred times the weight, and then a twentieth of it. What happens to the
#    means and the widths?
# 4. Someone forgets the half and draws $\mu + \exp(\log \sigma^2) \, \varepsilon$. Which variance
#    do the draws have if the encoder states 0.25? And if it states 4?
# 5. Train with sixteen numbers. Compute the divergence of each number, averaged over the test
#    digits. How many numbers does the network use?
# 6. A small project: a generator to order. Fit one normal distribution to the codes of each class
#    and draw ten new images of every digit.
#
# ## Further reading
#
# - Kingma and Welling 2014, [Auto-encoding variational Bayes](https://arxiv.org/abs/1312.6114)
# - Rezende, Mohamed and Wierstra 2014, [Stochastic backpropagation and approximate inference in
#   deep generative models](https://arxiv.org/abs/1401.4082)
# - Doersch 2016, [Tutorial on variational autoencoders](https://arxiv.org/abs/1606.05908)
# - Rombach, Blattmann, Lorenz, Esser and Ommer 2022, [High-resolution image synthesis with latent
#   diffusion models](https://arxiv.org/abs/2112.10752)
