# %% [markdown]
# # Solutions · 6 · Autoencoders
#
# One section for each exercise of [the lesson](../ch06_autoencoder.py): the answer in words, then
# the code that shows it.

# %%
import io

import keras
import numpy as np
from keras import layers, ops
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter

lesson = Chapter("ch06_autoencoder_solutions", "Autoencoders", epochs=60, quick={"epochs": 2})
keras.utils.set_random_seed(0)

data = datasets.load("digits", target="label", batch_size=2000)
(train, train_labels), (validation, _), (test, test_labels) = (
    next(part.as_numpy_iterator()) for part in (data.train, data.validation, data.test)
)
flat_train, flat_test = (images.reshape(len(images), -1) for images in (train, test))


def trained(model, loss="binary_crossentropy"):
    model.compile(keras.optimizers.Adam(2e-3), loss, steps_per_execution=38)
    model.fit(train, train, 32, lesson.settings.epochs, verbose=0)
    return model


def outputs(network, inputs):
    return ops.convert_to_numpy(network(inputs))


def squared_error(images):
    return float(np.mean((images - test) ** 2))


# %% [markdown]
# ## Exercise 1
#
# The autoencoder gains most with four and with eight numbers, where it saves about two fifths of
# PCA's error. With two numbers it gains less: a sheet with two dimensions, even a curved one,
# cannot pass close to all digits. With sixteen PCA is already good, and what limits the autoencoder
# is its short training rather than its code.

# %%
sizes = (8, 16) if lesson.settings.quick else (2, 4, 8, 16)
networks = {k: trained(models.dense_autoencoder((8, 8, 1), k)) for k in sizes}
errors = {"PCA": [], "autoencoder": []}
for k in sizes:
    pca = PCA(k).fit(flat_train)
    redrawn = pca.inverse_transform(pca.transform(flat_test)).reshape(test.shape)
    errors["PCA"].append(squared_error(redrawn))
    errors["autoencoder"].append(squared_error(outputs(networks[k], test)))
lesson.figure(
    figures.lines(
        sizes,
        errors,
        "numbers in the code",
        "squared error per pixel",
        "Four and eight numbers gain most over PCA, sixteen hardly anything",
        xscale="log",
        xticks=sizes,
        xticklabels=sizes,
        ylim=(0, None),
    ),
    "code_sizes",
    "Squared error on test digits by the numbers in the code.",
)

# %% [markdown]
# ## Exercise 2
#
# Without activations every layer is a matrix, and a product of matrices is a matrix: the network is
# linear. PCA is the best linear code of its size on the training images, so the error ends close
# above PCA's, and never below it on the images both were fitted to. (The network's code need not
# *be* PCA's. Any mixture of the same directions is as good.)

# %%
linear = keras.Sequential([layers.Flatten(), layers.Dense(8, name="code"), layers.Dense(64)])
linear.add(layers.Reshape((8, 8, 1)))
pca = PCA(8).fit(flat_train)
best = np.mean((pca.inverse_transform(pca.transform(flat_train)) - flat_train) ** 2)
trained(linear, "mse")
of_linear = np.mean((outputs(linear, train) - train) ** 2)
print(f"squared error on training images: linear network {of_linear:.4f}, PCA {best:.4f}")
assert of_linear > best

# %% [markdown]
# ## Exercise 3
#
# The threshold is the error that nineteen of twenty validation digits stay below, and about as many
# test digits do. Digits in negative and digits on their side are all caught: nothing in the
# training set taught the network to draw them.

# %%
model = networks[8]


def error_of_each(images):
    return np.mean((outputs(model, images) - images) ** 2, axis=(1, 2, 3))


threshold = np.quantile(error_of_each(validation), 0.95)
images = {
    "test digits": test,
    "in negative": 1 - test,
    "on their side": np.rot90(test, axes=(1, 2)),
}
for name, strange in images.items():
    print(f"{name}: {np.mean(error_of_each(strange) > threshold):.0%} above the threshold")

# %% [markdown]
# ## Exercise 4
#
# The mean absolute distance is smallest at the median, which is 0 for four ones and six zeros. The
# cross-entropy and the squared error are smallest at the mean, 0.4. So a network trained with
# `"mae"` leaves a pixel black where it is in doubt, and its images have more black.

# %%
greys = np.linspace(0, 1, 101)[:, None]
truth = np.array([1.0] * 4 + [0.0] * 6)
print("best grey: absolute", greys[np.abs(greys - truth).mean(1).argmin()], end=", ")
print("squared", greys[((greys - truth) ** 2).mean(1).argmin()])
keras.utils.set_random_seed(0)
absolute = trained(models.dense_autoencoder((8, 8, 1), 8), "mae")
rows = {
    "digit": test[:10],
    "cross-entropy": outputs(model, test[:10]),
    "absolute error": outputs(absolute, test[:10]),
}
black = {name: np.mean(row < 0.02) for name, row in rows.items()}
shares = ", ".join(f"{name} {share:.0%}" for name, share in black.items())
lesson.figure(
    figures.image_rows(rows, f"Black pixels: {shares}"),
    "losses",
    "The same digits from two networks that differ in the loss alone.",
)

# %% [markdown]
# ## Exercise 5
#
# With so few labels the result depends on which digits have them, so we average over many draws. A
# single neighbour is better than five, as there are only two of each class. The encoder was
# trained on all images without labels, so distances between codes could follow the shapes that
# occur, where distances between images only compare pixel with pixel. But here the pixels win by a
# few percent: on tiny, centred images they are a good description already, and the code has lost
# detail. On larger images, where the same object has other pixels when it moves, a learned code has
# more to offer.

# %%
encoder, decoder = models.split_autoencoder(networks[16])
features = {
    "pixels": (flat_train, flat_test),
    "codes": (outputs(encoder, train), outputs(encoder, test)),
}
rng = np.random.default_rng(0)
draws = [
    np.concatenate(
        [rng.choice(np.flatnonzero(train_labels == digit), 2, False) for digit in range(10)]
    )
    for _ in range(50)
]
for name, (known, asked) in features.items():
    for k in (1, 5):
        neighbours = KNeighborsClassifier(k)
        scores = [
            neighbours.fit(known[chosen], train_labels[chosen]).score(asked, test_labels)
            for chosen in draws
        ]
        print(f"{name}, {k} of 20 labelled neighbours: {np.mean(scores):.1%} right")

# %% [markdown]
# ## Exercise 6
#
# Down to four bits a number hardly anything is lost: the decoder is smooth, so a small error in the
# code is a small error in the image. Then the error rises steeply. Halving the bits from eight to
# four halves the file for free, which shows that eight bits were a waste. Training with rounded
# codes would go further still.


# %%
def rounded(codes, bits, largest):
    steps = 2**bits - 1
    return np.float32(np.round(np.clip(codes / largest, 0, 1) * steps) / steps * largest)


def jpeg(images, quality):
    sheet = images.reshape(-1, 10, 8, 8).swapaxes(1, 2).reshape(-1, 80)
    file = io.BytesIO()
    Image.fromarray(np.uint8(255 * sheet + 0.5)).save(file, "JPEG", quality=quality, optimize=True)
    error = np.mean((np.asarray(Image.open(file)) / 255 - sheet) ** 2)
    return file.tell() / len(images), float(error)


# %%
encoder, decoder = models.split_autoencoder(networks[8])
codes = outputs(encoder, test)
largest = outputs(encoder, train).max(axis=0) + 1e-6
points = {}
for bits in (8, 4, 3, 2, 1):
    images = outputs(decoder, rounded(codes, bits, largest))
    points[bits] = squared_error(images)  # eight numbers of b bits are b bytes
by_jpeg = [jpeg(test, quality) for quality in (1, 4, 6, 8)]
figure = figures.lines(
    list(points),
    {"autoencoder": list(points.values())},
    "bytes for each digit",
    "squared error per pixel",
    "Four bits for each number are enough",
    ylim=(0, None),
)
figure.axes[0].plot(*zip(*by_jpeg), "s--", color="0.4", label="JPEG, on one sheet")
figure.axes[0].legend()
lesson.figure(figure, "bits", "8, 4, 3, 2 and 1 bits for each of the eight numbers of the code.")
