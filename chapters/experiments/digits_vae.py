# %% [markdown]
# # Experiment · A small VAE of digits
#
# The variational autoencoder of lesson 7, with a code of two numbers, trained once and kept: forty
# thousand weights that draw a digit for every point of a plane. How much of a digit do two numbers
# keep, and how much do the two best numbers of PCA keep?
#
# Book: chapter 7, variational autoencoders (notebook 7.7). Here it learns scikit-learn's 8x8
# digits, enlarged to 16x16, which may be shared with the weights.
#
# Takes about two minutes on two cores.

# %%
import keras
import numpy as np
from keras import ops
from sklearn.decomposition import PCA

from kerasseg import datasets, figures, models
from ledger import Experiment

chapter = Experiment(
    "digits_vae",
    "A small VAE of digits",
    epochs=400,
    code_size=2,
    batch_size=100,
    seed=0,
    quick={"epochs": 1},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)

# %% [markdown]
# ## The digits
#
# Enlarged bicubically, as in lesson 7, which shows strokes more clearly.

# %%
data = datasets.load("digits", target="label", batch_size=2000, seed=settings.seed)
train, test = (
    np.clip(ops.image.resize(images, (16, 16), interpolation="bicubic"), 0, 1)
    for images, _ in (next(part.as_numpy_iterator()) for part in (data.train, data.test))
)

# %% [markdown]
# ## Training
#
# The loss is a sum over the pixels plus the divergence of the codes, which the sampling layer adds.
# The learning rate falls to zero along a cosine.

# %%
model = models.vae(train.shape[1:], settings.code_size, filters=(32, 64), seed=settings.seed)
steps = settings.epochs * -(-len(train) // settings.batch_size)
model.compile(
    keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps)),
    "binary_crossentropy",
    loss_weights=[train[0].size],
)
model.fit(train, train, batch_size=settings.batch_size, epochs=settings.epochs, verbose=0)

# %% [markdown]
# ## What two numbers keep
#
# The squared error of test digits that are encoded to the mean of their code and decoded again,
# beside PCA with as many numbers and beside the mean digit.

# %%
encoder, decoder = models.split_autoencoder(model)
codes = encoder.predict(test, verbose=0)
flat, flat_test = train.reshape(len(train), -1), test.reshape(len(test), -1)
pca = PCA(settings.code_size).fit(flat)
by = {
    "the VAE": decoder.predict(codes, verbose=0),
    "PCA": pca.inverse_transform(pca.transform(flat_test)).reshape(test.shape),
    "the mean digit": np.broadcast_to(train.mean(0), test.shape),
}
errors = {name: float(np.mean((images - test) ** 2)) for name, images in by.items()}
chapter.table(
    ("digits from", "squared error"),
    [(name, f"{error:.4f}") for name, error in errors.items()],
    f"Mean over the pixels of {len(test)} test digits, with {settings.code_size} numbers each.",
)

# %% [markdown]
# ## What the plane looks like
#
# The decoder draws from any code. These come from a regular grid, so that neighbours can be
# compared.

# %%
steps = np.linspace(-2, 2, 10, dtype="float32")
rows = {}
for second in steps[::-2]:
    grid = np.zeros((len(steps), settings.code_size), "float32")
    grid[:, 0], grid[:, 1] = steps, second
    rows[f"{second:+.1f}"] = decoder.predict(grid, verbose=0)
chapter.figure(
    figures.image_rows(rows, "Every place of the plane has an image, and neighbours look alike"),
    "plane",
    "What the decoder draws: the first number runs from -2 to 2 in each row, the second one stands "
    "at the left.",
)

# %% [markdown]
# ## The file

# %%
chapter.keep(
    model,
    data="1,797 handwritten digits of scikit-learn, 8x8, enlarged to 16x16 (UCI Optical "
    "Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak)",
    licence="CC BY 4.0 (data), Apache 2.0 (weights and code)",
    recipe=f"models.vae of filters 32 and 64 and {settings.code_size} numbers, {settings.epochs} "
    f"epochs, batches of {settings.batch_size}, Adam with a cosine from 0.004, binary "
    "cross-entropy summed over the pixels",
    scores=f"squared error {errors['the VAE']:.4f} on the test digits; PCA {errors['PCA']:.4f}",
    seed=settings.seed,
)
again = models.split_autoencoder(keras.saving.load_model(chapter.output / "model.keras"))[1]
chapter.exact(
    "largest difference between digits of the reloaded decoder and the trained one's",
    measured=float(np.abs(again.predict(codes, verbose=0) - by["the VAE"]).max()),
    expected=0.0,
    tolerance=1e-5,
    source="the file",
)
chapter.empirical(
    "squared error of the test digits, encoded and decoded",
    measured=errors["the VAE"],
    expected=f"below {errors['PCA']:.4f}, PCA with as many numbers",
    holds=errors["the VAE"] < errors["PCA"],
    source="measured here, one training",
)
chapter.conclude(
    "How much of a digit do two numbers keep?",
    f"Decoded from {settings.code_size} numbers, test digits have a squared error of "
    f"{errors['the VAE']:.4f}; with PCA's best {settings.code_size} it is {errors['PCA']:.4f}, and "
    f"that of the mean digit is {errors['the mean digit']:.4f}.",
)
chapter.finish()
