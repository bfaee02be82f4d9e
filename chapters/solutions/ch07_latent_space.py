# %% [markdown]
# # Solutions · 7 · The latent space
#
# One section for each exercise of [the lesson](../ch07_latent_space.py): the answer in words, then
# the code that shows it.

# %%
import keras
import numpy as np
from keras import ops

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter

lesson = Chapter("ch07_latent_space_solutions", "The latent space", epochs=40, quick={"epochs": 1})

data = datasets.load("digits", target="label", batch_size=2000)
(train, train_labels), (test, test_labels) = (
    next(part.as_numpy_iterator()) for part in (data.train, data.test)
)
train, test = (
    np.clip(ops.image.resize(images, (16, 16), interpolation="bicubic"), 0, 1)
    for images in (train, test)
)
pixels = train[0].size
rng = np.random.default_rng(0)


def trained(code_size, weight=1.0, is_plain=False):
    """The encoder, the decoder and the whole network."""
    keras.utils.set_random_seed(0)
    model = models.vae((16, 16, 1), code_size, filters=(16, 32))
    encoder, decoder = models.split_autoencoder(model)
    fitted = keras.Model(model.input, decoder(encoder(model.input))) if is_plain else model
    fitted.compile(
        keras.optimizers.Adam(3e-3),
        "binary_crossentropy",
        loss_weights=[weight * pixels],
        run_eagerly=lesson.settings.quick,  # compiling would not pay
    )
    fitted.fit(train, train, 100, lesson.settings.epochs, verbose=0)
    return encoder, decoder, model


def outputs(network, inputs):
    return ops.convert_to_numpy(network(inputs))


def decoded(decoder, codes):
    return outputs(decoder, np.asarray(codes, "float32"))


# %% [markdown]
# ## Exercise 1
#
# Now the draws land where the codes are, and the plain autoencoder does much better. With two
# numbers the draws are as blurred as its reconstructions. With eight numbers some are digits and
# others are mixtures that nobody would write. The price is that one has to look at the codes first,
# and that nothing makes them follow a normal distribution.

# %%
rows = {}
for code_size in (2, 8):
    encoder, decoder, _ = trained(code_size, is_plain=True)
    codes = outputs(encoder, train)
    own = rng.multivariate_normal(codes.mean(0), np.cov(codes.T), 10)
    rows[f"standard normal,\n{code_size} numbers"] = decoded(decoder, rng.normal(size=own.shape))
    rows[f"own distribution,\n{code_size} numbers"] = decoded(decoder, own)
lesson.figure(
    figures.image_rows(rows, "An autoencoder draws better where its own codes lie"),
    "own_distribution",
    "Random codes of plain autoencoders: from the bell curve around zero, and from a normal "
    "distribution fitted to the codes of the training set.",
)

# %% [markdown]
# ## Exercise 2
#
# Fading shows both digits at once, one getting weaker and the other stronger: two half transparent
# images. In the latent space the strokes themselves change. Points in the middle need not be one of
# the ten digits, but they have the ink and the strokes of one image, not of two.

# %%
encoder, decoder, vae = trained(8)
zero, six = (test[np.flatnonzero(test_labels == digit)[0]] for digit in (0, 6))
share = np.linspace(0, 1, 10)[:, None]
start, end = outputs(encoder, np.stack([zero, six]))
rows = {
    "fading": (1 - share)[..., None, None] * zero + share[..., None, None] * six,
    "through the\nlatent space": decoded(decoder, (1 - share) * start + share * end),
}
lesson.figure(
    figures.image_rows(rows, "In the latent space strokes move; fading only mixes"),
    "walk",
    "From a zero to a six in ten equal steps.",
)

# %% [markdown]
# ## Exercise 3
#
# With a hundred times the weight on the pixels the divergence hardly counts: the means spread far
# beyond the bell curve and the clouds become narrow, almost points, so random codes miss again.
# With a twentieth of the weight the price wins: the means move to zero, the widths to one, and all
# images are decoded to nearly the same blur. That is posterior collapse.


# %%
def clouds(model, images):
    """The means and the widths of the clouds of some images."""
    layers = [model.get_layer(name).output for name in ("mean", "log_variance")]
    mean, log_variance = keras.Model(model.input, layers)(images)
    return map(ops.convert_to_numpy, (mean, ops.exp(log_variance / 2)))


rows = {"test digits": test[:10]}
for weight in (100, 1, 1 / 20):
    encoder, decoder, model = trained(2, weight)
    mean, width = clouds(model, test)
    print(f"weight {weight:g}: means spread by {mean.std():.2f}, average width {width.mean():.2f}")
    rows[f"weight {weight:g},\nreconstructed"] = decoded(decoder, mean[:10])
    rows[f"weight {weight:g},\nrandom codes"] = decoded(decoder, rng.normal(size=(10, 2)))
lesson.figure(
    figures.image_rows(rows, "The weight of the pixels decides between sharpness and order"),
    "weights",
    "Reconstructions and random codes of the same network with three weights.",
)

# %% [markdown]
# ## Exercise 4
#
# The noise is stretched by the variance instead of its root, so the draws have the *square* of the
# stated variance: 0.0625 instead of 0.25, and 16 instead of 4. Narrow clouds become narrower still
# and wide ones wider. The network can adapt by stating other values, but then the divergence is
# that of a cloud which is never drawn.

# %%
noise = rng.standard_normal(1_000_000)
for variance in (0.25, 4.0):
    log_variance = np.log(variance)
    forgot = np.var(np.exp(log_variance) * noise)
    correct = np.var(np.exp(log_variance / 2) * noise)
    print(f"stated {variance}: with the half {correct:.3f}, without {forgot:.3f}")

# %% [markdown]
# ## Exercise 5
#
# A number that the network does not use has the standard normal cloud for every image, so its
# divergence is nearly zero. It costs nothing, and the decoder has learned to ignore it. A few of
# the sixteen end like this: what they could add to the images is worth less than their price.

# %%
mean, width = clouds(trained(16)[2], test)
price = np.mean(mean**2 + width**2 - 1 - 2 * np.log(width), axis=0) / 2
print("divergence of each number:", *(f"{value:.2f}" for value in np.sort(price)[::-1]))
print(f"numbers in use: {(price > 0.1).sum()} of {len(price)}")

# %% [markdown]
# ## Exercise 6
#
# The clouds of one class form a region of their own, and a normal distribution is a fair
# description of it. So we draw codes from the distribution of a class and decode them. (A
# *conditional* VAE learns this in one go: it gives the label to the encoder and to the decoder.)

# %%
encoder, decoder = models.split_autoencoder(vae)
mean, width = clouds(vae, train)
codes = mean + width * rng.standard_normal(mean.shape)
rows = {}
for digit in range(10):
    of_class = codes[train_labels == digit]
    new = rng.multivariate_normal(of_class.mean(0), np.cov(of_class.T), 10)
    rows[f"ordered: {digit}"] = decoded(decoder, new)
lesson.figure(
    figures.image_rows(rows, "Digits to order: codes drawn for each class", cell=0.7),
    "to_order",
    "Ten new images of every class, drawn from a normal distribution fitted to its codes.",
)
