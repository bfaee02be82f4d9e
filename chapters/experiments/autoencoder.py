# %% [markdown]
# # Experiment · The autoencoder
#
# An encoder squeezes a picture into a few numbers, the code; a decoder draws the picture from the
# code alone. Nobody labels anything: the picture is its own target.
#
# Book: chapter 6, "Discovering autoencoders" (notebook 6.1). Lecture notes: encoder, latent space,
# decoder, and three losses. The book prints curves and leaves open what they should be compared
# with. Here every number has a neighbour: the best *linear* code of the same size, which is PCA.
#
# By default this runs on scikit-learn's 8x8 digits. For the book's own data: `python
# chapters/experiments/autoencoder.py --dataset mnist --data-dir PATH`. That takes 20 epochs;
# `--full` takes the book's 60: a GPU, or a night on two cores.
#
# Takes 1 to 2 minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from kerasseg import datasets, figures, models
from ledger import Experiment

chapter = Experiment(
    "autoencoder",
    "The autoencoder",
    dataset="digits",
    data_dir=None,
    epochs=None,
    code_size=None,
    batch_size=None,
    seed=0,
    quick={"epochs": 2},
    full={"dataset": "mnist", "epochs": 60},
    choices={"dataset": ("digits", "mnist")},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)

# %% [markdown]
# ## The data
#
# Three splits, and each has one job: the net learns from the first, the second chooses the epoch
# to keep, the third gives the numbers that are printed. The book validates on what it tests on.

# %%
small = settings.dataset == "digits"
epochs = settings.epochs or (150 if small else 20)
batch_size = settings.batch_size or (32 if small else 128)
code_size = settings.code_size or (8 if small else 32)  # an eighth of the pixels; the book's 32

data = datasets.load(
    settings.dataset,
    target="image",
    batch_size=batch_size,
    data_dir=settings.data_dir,
    seed=settings.seed,
)
labelled = datasets.load(
    settings.dataset, target="label", batch_size=1000, data_dir=settings.data_dir
)


def arrays(batches):
    images, labels = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


train_images, train_labels = arrays(labelled.train)
test_images, test_labels = arrays(labelled.test)
print(f"{len(train_images)} training and {len(test_images)} test pictures of {data.image_shape}")

# %% [markdown]
# ## What there is to beat: the best linear code
#
# PCA finds the `code_size` directions from which a picture can be redrawn with the smallest squared
# error. No linear encoder and decoder of that size can do better on the pictures it is fitted to.

# %%
flat_train = train_images.reshape(len(train_images), -1)
flat_test = test_images.reshape(len(test_images), -1)
pca = PCA(code_size, random_state=0).fit(flat_train)
linear_codes = pca.transform(flat_test)
linear_pictures = pca.inverse_transform(linear_codes)
mse_linear = float(np.mean((linear_pictures - flat_test) ** 2))
mse_mean = float(np.mean((flat_train.mean(0) - flat_test) ** 2))
print(f"squared error per pixel: the mean picture {mse_mean:.5f}, PCA {mse_linear:.5f}")

# %% [markdown]
# ## The network
#
# Dense layers narrow down to the code and widen again. The book's network on 28x28 pictures is
# 784 - 128 - 64 - 32 - 64 - 128 - 784, and has 222,384 weights.

# %%
model = models.dense_autoencoder(data.image_shape, code_size)
model.summary()

# %% [markdown]
# ## Training
#
# The loss is the book's binary cross-entropy of each pixel. Its best value is not zero: a grey
# pixel of value t costs at least its own entropy, -t log t - (1 - t) log(1 - t). Whoever reports
# less has made a mistake, so the floor is computed here.

# %%
steps = epochs * len(data.train)
schedule = keras.optimizers.schedules.CosineDecay(3e-3 if small else 2e-3, steps)
model.compile(keras.optimizers.Adam(schedule), loss="binary_crossentropy", metrics=["mse"])
path = chapter.output / "autoencoder.keras"
best = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
history = model.fit(
    data.train,
    validation_data=data.validation,
    epochs=epochs,
    callbacks=[best],
    shuffle=False,  # the pipeline shuffles
)
chapter.figure(
    figures.learning_curves(history, ["loss", "mse"], ["binary cross-entropy", "squared error"]),
    "learning_curves",
    "Cross-entropy and squared error per pixel, on training pictures and on held-out ones.",
    f"Held-out squared error falls to {min(history.history['val_mse']):.4f}",
)

# %%
model = keras.saving.load_model(path)  # the best epoch, as it lies on the disk
pictures = model.predict(test_images, batch_size=500, verbose=0)
bce, mse = model.evaluate(data.test, verbose=0)
t = np.clip(test_images.astype("float64"), 1e-12, 1 - 1e-12)
floor = float(np.mean(-t * np.log(t) - (1 - t) * np.log(1 - t)))

# %% [markdown]
# ## The same with convolutions
#
# Dense layers do not know which pixels are neighbours. Convolutions of stride 2 do, and halve the
# map until one pixel is left, whose channels are the code. Same code, same schedule, same epochs.
# How well it does hangs on how many numbers of its code survive: a ReLU whose input is negative for
# every picture gives nothing and learns nothing.

# %%
halvings = int(np.ceil(np.log2(data.image_shape[0])))
filters = (*(32, 64, 128, 256)[: halvings - 1], code_size)
convolutional = models.conv_autoencoder(data.image_shape, filters=filters)
schedule = keras.optimizers.schedules.CosineDecay(3e-3 if small else 2e-3, steps)
convolutional.compile(keras.optimizers.Adam(schedule), loss="binary_crossentropy", metrics=["mse"])
best = keras.callbacks.ModelCheckpoint(
    chapter.output / "convolutional.keras", monitor="val_loss", save_best_only=True
)
convolutional.fit(
    data.train,
    validation_data=data.validation,
    epochs=epochs,
    callbacks=[best],
    shuffle=False,
    verbose=2 if settings.quick else 0,
)
convolutional = keras.saving.load_model(chapter.output / "convolutional.keras")
redrawn = convolutional.predict(test_images, batch_size=500, verbose=0)
mse_convolutional = float(np.mean((redrawn - test_images) ** 2))


def dead_numbers(autoencoder):
    """How many numbers of the code are zero for every test picture."""
    coded = models.split_autoencoder(autoencoder)[0].predict(test_images, verbose=0)
    return int((coded.reshape(-1, code_size).max(0) == 0).sum())


dead = {"Dense": dead_numbers(model), "convolutions": dead_numbers(convolutional)}
print(f"squared error per pixel: Dense {mse:.5f}, convolutions {mse_convolutional:.5f}")
print(f"numbers of the code that are dead, of {code_size}: {dead}")

# %% [markdown]
# ## Looking at the reconstructions

# %%
shown = [int(np.flatnonzero(test_labels == digit)[0]) for digit in range(10)]
chapter.figure(
    figures.image_rows(
        {
            "input": test_images[shown],
            f"PCA, {code_size} numbers": linear_pictures.reshape(test_images.shape)[shown],
            f"autoencoder,\n{code_size} numbers": pictures[shown],
            f"convolutions,\n{code_size} numbers": redrawn[shown],
        },
        f"Squared error: PCA {mse_linear:.4f}, Dense layers {mse:.4f}, "
        f"convolutions {mse_convolutional:.4f}",
    ),
    "reconstructions",
    "The first test picture of each digit, redrawn from its code by PCA and by the autoencoders.",
)

# %% [markdown]
# ## Three distances
#
# The notes name three losses: cross-entropy, L1 (the absolute error) and L2 (the squared error).
# They do not ask for the same picture. Of ten pictures that a code cannot tell apart, let a pixel
# be white in four and black in six. What should the decoder draw there? Tried: every grey.

# %%
greys = np.arange(101) / 100
white_or_black = np.array([1.0] * 4 + [0.0] * 6)


def cross_entropy(truth, drawn):
    drawn = np.clip(drawn, 1e-7, 1 - 1e-7)
    return -(truth * np.log(drawn) + (1 - truth) * np.log(1 - drawn)).mean(-1)


DISTANCES = {
    "cross-entropy": ("binary_crossentropy", cross_entropy),
    "L1": ("mae", lambda truth, drawn: np.abs(truth - drawn).mean(-1)),
    "L2": ("mse", lambda truth, drawn: ((truth - drawn) ** 2).mean(-1)),
}
chapter.exact(
    "the best grey for a pixel that is white in 4 of 10 pictures: cross-entropy, L1, L2",
    measured=[
        float(greys[distance(white_or_black, greys[:, None]).argmin()])
        for _, distance in DISTANCES.values()
    ],
    expected=[0.4, 0.0, 0.4],
    source="closed form: mean, median, mean",
)

# %% [markdown]
# Cross-entropy and L2 draw the mean, L1 the median: it leaves out what it is not sure of. Now nets
# of one shape, from the same first weights, for as many steps, each with one of the losses, and
# each judged by all three. Who is trained for a distance need not be the best by it: behind a
# sigmoid, the gradients of L1 and L2 vanish where the net is wrong and sure of it, and that of
# cross-entropy does not.
#
# The code has no ReLU here. With it, numbers of the code die (see the end), in some nets and not in
# others, which would blur the comparison.


# %%
def with_linear_code():
    narrow, widen = (
        [layers.Dense(units, activation="relu") for units in widths]
        for widths in ((128, 64), (64, 128))
    )
    pixels = layers.Dense(flat_test.shape[1], activation="sigmoid")
    return keras.Sequential([*narrow, layers.Dense(code_size), *widen, pixels])


def share_of_black(pixels):
    return float((pixels < 0.02).mean())


seeds = (0,) if settings.quick else (0, 1, 2)
half = max(1, epochs // 2)
judged = {name: {other: [] for other in DISTANCES} for name in DISTANCES}
black = {name: [] for name in DISTANCES}
rows = {"input": test_images[shown]}
for name, (loss, _) in DISTANCES.items():
    for seed in seeds:
        keras.utils.set_random_seed(settings.seed + seed)
        net = with_linear_code()
        steps = -(-len(flat_train) // batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(3e-3 if small else 2e-3, half * steps)
        net.compile(keras.optimizers.Adam(schedule), loss, steps_per_execution=steps)
        net.fit(flat_train, flat_train, batch_size=batch_size, epochs=half, verbose=0)
        drawn = net.predict(flat_test, batch_size=500, verbose=0)
        for other, (_, distance) in DISTANCES.items():
            judged[name][other].append(float(distance(flat_test, drawn).mean()))
        black[name].append(share_of_black(drawn))
    rows[f"trained for\n{name}"] = drawn[shown].reshape(-1, *data.image_shape)
    means = {other: float(np.mean(numbers)) for other, numbers in judged[name].items()}
    print(f"trained for {name}:", ", ".join(f"{other} {mean:.4f}" for other, mean in means.items()))
chapter.figure(
    figures.image_rows(
        rows,
        f"Black pixels: {share_of_black(flat_test):.0%} in the pictures; drawn for "
        + ", ".join(f"{name} {np.mean(shares):.0%}" for name, shares in black.items()),
    ),
    "losses",
    "The same test pictures by three nets that differ in nothing but the loss.",
)

# %% [markdown]
# ## The two halves
#
# The encoder alone turns a picture into its code; the decoder alone turns a code into a picture.
# Both share the autoencoder's weights.

# %%
encoder, decoder = models.split_autoencoder(model)
codes = encoder.predict(test_images, batch_size=500, verbose=0)
halves = decoder.predict(codes, batch_size=500, verbose=0)
train_codes = encoder.predict(train_images, batch_size=500, verbose=0)

# %% [markdown]
# ## Do codes know digits?
#
# The net never saw a label. If pictures of one digit still lie together in code space, then their
# nearest neighbours tell the digit. The same question to the raw pixels and to PCA's codes says
# what the code has kept.


# %%
def knn_accuracy(train, test):
    reference = slice(None, 10_000)  # enough neighbours, and seconds instead of minutes
    classifier = KNeighborsClassifier(5).fit(train[reference], train_labels[reference])
    return float(classifier.score(test, test_labels))


accuracy = {
    "pixels": knn_accuracy(flat_train, flat_test),
    "PCA codes": knn_accuracy(pca.transform(flat_train), linear_codes),
    "autoencoder codes": knn_accuracy(train_codes, codes),
}
print("5 nearest neighbours:", ", ".join(f"{name} {score:.1%}" for name, score in accuracy.items()))

# %% [markdown]
# ## A map of the codes
#
# t-SNE lays the codes out in the plane so that neighbours stay neighbours. Distances between
# far-away clusters mean nothing.

# %%
mapped = slice(None, 150 if settings.quick else 2000)
plane = TSNE(random_state=0).fit_transform(codes[mapped])
chapter.figure(
    figures.scatter(
        plane,
        test_labels[mapped],
        data.class_names,
        data.colours,
        f"Five neighbours name {accuracy['autoencoder codes']:.0%} of the digits",
    ),
    "codes",
    f"Every point is the code of a test picture, its {code_size} numbers laid out in the plane by "
    "t-SNE; the colour, which the net never saw, is its digit.",
)

# %% [markdown]
# ## What was measured

# %%
whole = models.dense_autoencoder()
halves_of_whole = models.split_autoencoder(whole)
book = "book, notebook 6.1"
for name, net, count in (
    ("autoencoder", whole, 222_384),
    ("encoder", halves_of_whole[0], 110_816),
    ("decoder", halves_of_whole[1], 111_568),
):
    chapter.exact(
        f"weights of the book's {name}", measured=net.count_params(), expected=count, source=book
    )
chapter.exact(
    "decoder(encoder(x)) differs from autoencoder(x) by nothing",
    measured=float(np.abs(halves - pictures).max()),
    expected=0.0,
    tolerance=1e-6,
    source="the halves share the weights",
)
chapter.exact(
    "how far the cross-entropy lies below the entropy of the pixels",
    measured=max(floor - bce, 0.0),
    expected=0.0,
    unit="nats",
    source="Gibbs' inequality",
)
mean_picture = flat_train.mean(0).clip(1e-7, 1 - 1e-7)
of_mean = float(
    -np.mean(flat_test * np.log(mean_picture) + (1 - flat_test) * np.log(1 - mean_picture))
)
chapter.empirical(
    "binary cross-entropy per test pixel",
    measured=bce,
    expected=f"below the mean picture's, {of_mean:.4f}" if small else "near 0.081, after 60 epochs",
    holds=bce < of_mean if small else abs(bce - 0.081) < 0.01,
    unit="nats",
    source=f"the mean picture; the floor is {floor:.4f}" if small else book,
)
chapter.empirical(
    "share of PCA's squared error that the Dense autoencoder saves",
    measured=1 - mse / mse_linear,
    expected="above 0.3",
    holds=mse < 0.7 * mse_linear,
    source="one training",
)
chapter.empirical(
    "share of PCA's squared error that convolutions save",
    measured=1 - mse_convolutional / mse_linear,
    expected="above 0.3",
    holds=mse_convolutional < 0.7 * mse_linear,
    source="one training",
)
chapter.empirical(
    f"squared error per test pixel, with {convolutional.count_params():,} weights of convolutions",
    measured=mse_convolutional,
    expected=f"below {mse:.5f}, the Dense autoencoder's with {model.count_params():,} weights "
    f"(PCA: {mse_linear:.5f})",
    holds=mse_convolutional < mse,
    source="one training of each",
)
for name in DISTANCES:
    of_others = min(min(judged[other][name]) for other in DISTANCES if other != name)
    chapter.empirical(
        f"{name} per test pixel, of the net trained for it",
        measured=float(np.mean(judged[name][name])),
        spread=float(np.std(judged[name][name])) if len(seeds) > 1 else None,
        expected=f"below {of_others:.4f}, the best of those trained for the others",
        holds=max(judged[name][name]) < of_others,
        source="lecture notes: cross-entropy, L1, L2",
    )
of_others = max(black["cross-entropy"] + black["L2"])
chapter.empirical(
    f"pixels drawn black by the net trained for L1 (black are {share_of_black(flat_test):.3f})",
    measured=float(np.mean(black["L1"])),
    spread=float(np.std(black["L1"])) if len(seeds) > 1 else None,
    expected=f"above {of_others:.3f}, the most of those trained for the others",
    holds=min(black["L1"]) > of_others,
    source="closed form: the median",
)
for name, score in accuracy.items():
    chapter.empirical(
        f"5-NN accuracy on {name}",
        measured=score,
        expected="above 0.8; chance is 0.1",
        holds=score > 0.8,
        source="lecture notes: codes for clustering",
    )
for name, count in dead.items():
    chapter.empirical(
        f"numbers of the code that are zero for every test picture, {name}",
        measured=count,
        expected=f"0 of {code_size}",
        holds=count == 0,
        source="the book's code has a ReLU, whose units can die",
    )
chapter.finish()
