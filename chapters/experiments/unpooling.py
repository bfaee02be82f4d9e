# %% [markdown]
# # Experiment · Pooling and unpooling
#
# Max pooling keeps the largest value of every window and forgets where it stood. Argmax pooling
# keeps the place too, so that max unpooling can put every maximum back where it was; the other
# values are lost. Average unpooling knows no places; it copies a value over its whole window.
#
# Book: chapter 6, "Replicating with max-unpooling" and "Average unpooling". Lecture notes: the
# pooling mask (x1 to x4 go to the ones), unpooling in DeconvNet and SegNet, the price of the masks.
# The notes say that unpooling reverses pooling. Here that becomes identities, which hold exactly
# or fail exactly, and a small experiment on what the mask carries past the code.
#
# By default this runs on scikit-learn's 8x8 digits. `--full` trains the autoencoders on MNIST
# (`--data-dir PATH`) for 20 epochs, three of each kind: a GPU, or a night on two cores.
#
# Takes 2 to 3 minutes on two cores.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_sample_image
from sklearn.neighbors import KNeighborsClassifier

from kerasseg import datasets, figures
from kerasseg.layers import (
    AverageUnpooling2D,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    argmax_to_flat,
)
from ledger import Experiment

chapter = Experiment(
    "unpooling",
    "Pooling and unpooling",
    dataset="digits",
    data_dir=None,
    epochs=60,
    seed=0,
    quick={"epochs": 2},
    full={"dataset": "mnist", "epochs": 20},
    choices={"dataset": ("digits", "mnist")},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)
rng = np.random.default_rng(settings.seed)
notes = "lecture notes: unpooling"


def array(tensor):
    return ops.convert_to_numpy(tensor)


# %% [markdown]
# ## By hand: four windows
#
# A 4x4 map, four windows of 2x2. The loop below is all there is to argmax pooling: in every
# window, which of the four is largest, and how large is it? The position is counted row by row
# inside the window, 0 to 3, and fits into one byte.

# %%
grid = np.array([[1, 9, 2, 3], [4, 5, 7, 6], [0, 0, 8, 1], [3, 0, 2, 4]], "float32")


def pool_by_hand(x, size=2):
    pooled = np.zeros((x.shape[0] // size, x.shape[1] // size), x.dtype)
    argmax = np.zeros(pooled.shape, int)
    for row, column in np.ndindex(*pooled.shape):
        window = x[row * size : (row + 1) * size, column * size : (column + 1) * size]
        argmax[row, column] = window.argmax()
        pooled[row, column] = window.max()
    return pooled, argmax


def unpool_by_hand(pooled, argmax, size=2):
    x = np.zeros((pooled.shape[0] * size, pooled.shape[1] * size), pooled.dtype)
    for row, column in np.ndindex(*pooled.shape):
        down, right = divmod(argmax[row, column], size)
        x[row * size + down, column * size + right] = pooled[row, column]
    return x


pooled, argmax = pool_by_hand(grid)
print("pooled\n", pooled, "\npositions\n", argmax, "\nunpooled\n", unpool_by_hand(pooled, argmax))

# %% [markdown]
# ## The library's layers, with the same numbers
#
# `MaxPoolingWithArgmax2D` and `MaxUnpooling2D` do the same for batches and channels, for windows
# that overlap, odd sizes and every backend.

# %%
x = grid[None, :, :, None]
layer_pooled, layer_argmax = MaxPoolingWithArgmax2D()(x)
layer_unpooled = MaxUnpooling2D()(layer_pooled, layer_argmax)
by_hand = (pooled, argmax, unpool_by_hand(pooled, argmax))
for name, ours, hand in zip(
    ("pooling", "positions", "unpooling"), (layer_pooled, layer_argmax, layer_unpooled), by_hand
):
    chapter.exact(
        f"{name}: the layer differs from the loop by",
        measured=float(np.abs(array(ours).astype("float32")[0, ..., 0] - hand).max()),
        expected=0.0,
        source=notes,
    )

# %% [markdown]
# ## A picture, pooled and brought back
#
# Half, a quarter, an eighth of the size, and back in as many steps (the photograph comes with
# scikit-learn). Max unpooling keeps each bright
# point where it was and leaves black around it; average unpooling keeps the tone and makes blocks.

# %%
picture = load_sample_image("china.jpg")[None, 60:380, 120:560] / np.float32(255)


def max_round_trip(x, depth):
    pool, unpool, seen = MaxPoolingWithArgmax2D(), MaxUnpooling2D(), []
    for _ in range(depth):
        before = x
        x, positions = pool(x)
        seen.append((positions, before))
    for positions, before in reversed(seen):
        x = unpool(x, positions, like=before)
    return array(x)


def average_round_trip(x, depth):
    for _ in range(depth):
        x = layers.AveragePooling2D(2)(x)
    for _ in range(depth):
        x = AverageUnpooling2D()(x)
    return array(x)


trips = {
    "max pooling,\nmax unpooling": max_round_trip,
    "average pooling,\naverage unpooling": average_round_trip,
}
rows = {
    name: np.concatenate([picture] + [trip(picture, depth) for depth in (1, 2, 3)])
    for name, trip in trips.items()
}
chapter.figure(
    figures.image_rows(
        rows, "Max unpooling keeps 1/4, 1/16, 1/64 of the pixels; average unpooling blurs", cell=2
    ),
    "round_trips",
    "A photograph of 320x440 pixels, then pooled once, twice, three times and unpooled as often.",
)
kept = float((max_round_trip(rng.uniform(0.1, 1, (2, 32, 48, 3)), 1) != 0).mean())
chapter.exact(
    "share of a max-unpooled map that is not zero", measured=kept, expected=0.25, source=notes
)

# %% [markdown]
# ## What undoes what
#
# Pooling after unpooling gives back what was unpooled. That is the round trip in the other
# direction, and it is exact, with one condition that the notes leave out: max unpooling fills with
# zeros, and a zero beats a negative maximum. After a ReLU no value is negative, so SegNet is safe.


# %%
def pool_again(values, argmax):
    return array(MaxPoolingWithArgmax2D()(MaxUnpooling2D()(values, argmax))[0])


shape = (2, 12, 18, 5)
positions = rng.integers(0, 4, shape).astype("uint8")
positive = rng.uniform(0, 1, shape).astype("float32")
negative = -rng.uniform(0.1, 1, shape).astype("float32")
average = layers.AveragePooling2D(2)(AverageUnpooling2D()(negative))
undone = {
    "max pooling undoes max unpooling of values >= 0; the two differ by": pool_again(
        positive, positions
    )
    - positive,
    "max pooling makes zeros of unpooled negative values; the largest is": pool_again(
        negative, positions
    ),
    "average pooling undoes average unpooling; the two differ by": array(average) - negative,
}
for claim, difference in undone.items():
    chapter.exact(claim, measured=float(np.abs(difference).max()), expected=0.0, source=notes)

# %% [markdown]
# ## Unpooling is the gradient of pooling
#
# If the pooled map wants to grow by `y`, the input must grow by `y` at the maxima and by nothing
# elsewhere: the gradient of max pooling is max unpooling with the pooling's own positions. So
# TensorFlow's gradient, which knows nothing of our layer, checks it.

# %%
x = rng.normal(size=(2, 9, 14, 3)).astype("float32")  # 9 is odd: the last row stands alone
with tf.GradientTape() as tape:
    variable = tf.constant(x)
    tape.watch(variable)
    plain = tf.nn.max_pool2d(variable, 2, 2, "SAME")
upstream = rng.normal(size=plain.shape).astype("float32")
gradient = tape.gradient(plain, variable, upstream)
pool, unpool = MaxPoolingWithArgmax2D(padding="same"), MaxUnpooling2D(padding="same")
_, positions = pool(x)
chapter.exact(
    "max unpooling differs from the gradient of TensorFlow's max pooling by",
    measured=float(np.abs(array(unpool(upstream, positions, like=x)) - gradient).max()),
    expected=0.0,
    source="chain rule",
)
flat = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME").argmax
ours = argmax_to_flat(positions, x.shape, padding="same")
chapter.exact(
    "positions that differ from tf.nn.max_pool_with_argmax",
    measured=int((array(ours) != flat.numpy()).sum()),
    expected=0,
    source="TensorFlow",
)

# %% [markdown]
# The layer is not TensorFlow's operation for a second reason. Where there is a GPU, Keras compiles
# with XLA unasked, and XLA has no kernel for that operation: a training that ran on a laptop stops
# with an error. XLA can be called on a CPU, too, to see it.

# %%
by_xla = tf.function(lambda x: pool(x)[1], jit_compile=True)(x)
chapter.exact(
    "positions that change when XLA compiles the layer",
    measured=int((array(by_xla) != array(positions)).sum()),
    expected=0,
    source="XLA",
)
try:
    tf.function(lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME"), jit_compile=True)(x)
    refusal = "none"
except tf.errors.OpError as error:
    refusal = type(error).__name__
chapter.empirical(
    "what XLA says to tf.nn.max_pool_with_argmax",
    measured=refusal,
    expected="InvalidArgumentError: no kernel",
    holds=refusal == "InvalidArgumentError",
    source="TensorFlow's issue 103438",
)

# %% [markdown]
# ## What the masks cost
#
# The decoder needs the positions of every pooling until the end of the step: the notes' objection
# to DeconvNet and SegNet. TensorFlow's indices take eight bytes each; positions inside a window
# take one.

# %%
pooled_maps = [(180, 240, 64), (90, 120, 128), (45, 60, 256), (23, 30, 512), (12, 15, 512)]
entries = sum(h * w * c for h, w, c in pooled_maps)
ours = array(positions).itemsize * entries
theirs = flat.dtype.size * entries
print(
    f"SegNet at 360x480: {ours / 2**20:.1f} MiB a picture; as flat indices {theirs / 2**20:.1f} MiB"
)
chapter.exact("bytes of SegNet's masks a picture", measured=ours, expected=entries, source=notes)
chapter.exact("bytes as flat indices", measured=theirs, expected=8 * entries, source="TensorFlow")

# %% [markdown]
# ## What the masks carry
#
# Two autoencoders with one code, a few numbers, and one difference: the first decoder unpools with
# the encoder's masks, the second copies (average unpooling). The masks go round the code, and they
# are not nothing: each says, at every place and in every channel, which of four pixels was the
# brightest.

# %%
small = settings.dataset == "digits"
data = datasets.load(
    settings.dataset,
    target="image",
    batch_size=32 if small else 128,
    data_dir=settings.data_dir,
    seed=settings.seed,
)
labelled = datasets.load(
    settings.dataset, target="label", batch_size=1000, data_dir=settings.data_dir
)


def autoencoder(masks, filters=16, code_channels=2):
    x = image = keras.Input(data.image_shape, name="image")
    seen = []
    for stage in (1, 2):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"encoder{stage}")(x)
        before = x
        x, positions = MaxPoolingWithArgmax2D(name=f"encoder{stage}_pool")(x)
        seen.append((positions, before))
    x = layers.Conv2D(code_channels, 1, name="code")(x)
    for stage in (2, 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"decoder{stage}")(x)
        positions, before = seen.pop()
        if masks:
            x = MaxUnpooling2D(name=f"decoder{stage}_unpool")(x, positions, like=before)
        else:
            x = AverageUnpooling2D(name=f"decoder{stage}_unpool")(x)
    x = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="reconstruction")(x)
    return keras.Model(image, x, name="max_unpooling" if masks else "average_unpooling")


def arrays(batches):
    images, labels = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


test_images, test_labels = arrays(labelled.test)
seeds = (0,) if settings.quick else (0, 1, 2)
errors, trained, reconstructions = {}, {}, {"input": test_images[:10]}
for masks, name in ((True, "max unpooling"), (False, "average unpooling")):
    errors[name], trained[name] = [], []
    for seed in seeds:
        keras.utils.set_random_seed(settings.seed + seed)
        model = autoencoder(masks)
        model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["mse"])
        model.fit(
            data.train, validation_data=data.validation, epochs=settings.epochs, shuffle=False
        )
        path = chapter.output / f"{model.name}.keras"
        model.save(path)
        model = keras.saving.load_model(path)  # the layers come back by their registered names
        errors[name].append(float(model.evaluate(data.test, verbose=0)[1]))
        trained[name].append(model)
    reconstructions[name.replace(" ", "\n")] = model.predict(test_images[:10], verbose=0)
chapter.figure(
    figures.image_rows(
        reconstructions,
        "Squared error with masks {:.4f}, without {:.4f}".format(*map(np.mean, errors.values())),
    ),
    "reconstructions",
    "Test pictures redrawn from codes of the same size, with the encoder's masks and without.",
)

# %% [markdown]
# So the decoder with masks draws better. But then the code is no longer all that it knows. How much
# the masks know by themselves, their nearest neighbours tell: no code, no pixel values, positions
# alone. Beside them, what the codes know: that of the same net, which may leave out what the masks
# carry, and that of the net without masks, which has to hold everything; and the raw pixels.


# %%
def masks_of(model, images):
    """All positions, each as four zeros and ones."""
    masks = [model.get_layer(f"encoder{stage}_pool").output[1] for stage in (1, 2)]
    found = keras.Model(model.input, masks).predict(images, batch_size=500, verbose=0)
    return np.concatenate([np.eye(4, dtype="uint8")[m].reshape(len(m), -1) for m in found], 1)


def code_of(model, images):
    encoder = keras.Model(model.input, model.get_layer("code").output)
    return encoder.predict(images, batch_size=500, verbose=0).reshape(len(images), -1)


def pixels_of(_, images):
    return images.reshape(len(images), -1)


def knn_accuracy(features, model):
    known, asked = (features(model, images) for images in (train_images[:5_000], test_images))
    classifier = KNeighborsClassifier(5).fit(known, train_labels[:5_000])
    return float(classifier.score(asked, test_labels))


train_images, train_labels = arrays(labelled.train)
with_masks, without = trained.values()
accuracy = {
    "masks": [knn_accuracy(masks_of, model) for model in with_masks],
    "code beside masks": [knn_accuracy(code_of, model) for model in with_masks],
    "code without masks": [knn_accuracy(code_of, model) for model in without],
    "pixels": [knn_accuracy(pixels_of, None)],
}
print({name: np.round(values, 3).tolist() for name, values in accuracy.items()})

# %% [markdown]
# ## What was measured


# %%
def over_seeds(numbers):
    """Mean and spread; without a spread where there is one seed."""
    return {
        "measured": float(np.mean(numbers)),
        "spread": float(np.std(numbers)) if len(numbers) > 1 else None,
    }


drawn_with, drawn_without = errors.values()
chapter.empirical(
    "test error with masks, against copying",
    **over_seeds(drawn_with),
    expected=f"below {min(drawn_without):.4f}, the least without",
    holds=max(drawn_with) < min(drawn_without),
    unit="squared error",
    source=notes + " keeps detail",
)
for rival in ("code beside masks", "code without masks", "pixels"):
    best = max(accuracy[rival])
    chapter.empirical(
        f"5-NN accuracy on the masks alone, against {rival}",
        **over_seeds(accuracy["masks"]),
        expected=f"above {best:.3f}, the best; chance is 0.1",
        holds=min(accuracy["masks"]) > best,
        source="measured here",
    )
chapter.finish()
