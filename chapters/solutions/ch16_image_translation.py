# %% [markdown]
# # Solutions to lesson 16 · From image to image

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.datasets import corruptions
from kerasseg.layers import AtrousConv2D
from kerasseg.metrics import PSNR

quick = {"epochs": 1, "image_size": (16, 32)}
lesson = Chapter(
    "ch16_image_translation_solutions", "Solutions", epochs=4, image_size=(48, 64), quick=quick
)
size, epochs = lesson.settings.image_size, lesson.settings.epochs

# %% [markdown]
# ## Exercise 1
#
# The mean is $0.5$, and it minimises the squared error. The absolute error is $0.5$ for *every*
# answer from $0$ to $1$: moving the answer brings it nearer to two truths and farther from two
# others by the same amount. With an even split the median is not unique, so the absolute error does
# not decide between red and blue, either.

# %%
truths, guesses = np.array([0, 0, 1, 1]), np.linspace(0, 1, 11)
squared = ((guesses[:, None] - truths) ** 2).mean(1)
absolute = np.abs(guesses[:, None] - truths).mean(1)
assert guesses[squared.argmin()] == 0.5
assert np.allclose(absolute, 0.5)
lesson.figure(
    figures.lines(
        guesses,
        {"squared error": squared, "absolute error": absolute},
        "one answer to the truths 0, 0, 1, 1",
        "mean error",
        "The squared error prefers the mean, the absolute error nothing",
    ),
    "errors",
    "Errors of one answer to four truths.",
)

# %% [markdown]
# ## Exercise 2
#
# Each channel of the head has $16$ weights and a bias, so five more channels cost $85$ weights.

# %%
three, eight = (
    models.unet((*size, 3), channels, width=0.25, batch_norm=False).count_params()
    for channels in (3, 8)
)
assert eight - three == 5 * (16 + 1)

# %% [markdown]
# ## Exercise 3
#
# Streets are alike: road below, sky above. The median of the place is wrong by more than a quarter
# of the distance, in the mean, without looking at the image. Always compare with such a baseline. A
# network has to be better than this before it has learned to see anything.


# %%
def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.as_numpy_iterator())]


def load(target="image", corruption=None):
    return datasets.load(
        "street_scenes", target=target, corruption=corruption, image_size=size, augment=False
    )


measured = load("depth")
images, metres = arrays(measured.test)
_, known = arrays(measured.train)
median = np.ma.median(np.ma.masked_greater_equal(known, 200), 0).filled(200)
solid = metres < 200
error = 100 * np.abs(median - metres)[solid] / metres[solid]
print(f"mean error {error.mean():.0f} %, half of the pixels below {np.median(error):.0f} %")

# %% [markdown]
# ## Exercise 4
#
# The camera hangs $1.5$ metres above the road. The points of the road should therefore lie about
# $1.5$ metres below it. They scatter, because `points` takes the horizon for granted at $45\,\%$ of
# the height, and in these streets it lies anywhere between $40\,\%$ and $50\,\%$.

# %%
_, labels = arrays(load("label").test)
rows = np.indices(labels.shape)[1] + 0.5
up = (0.45 * size[0] - rows) * metres[..., 0] / size[1]
near_road = (labels == 0) & (metres[..., 0] < 10)
print(f"the road lies at {np.median(up[near_road]):.2f} m")

# %% [markdown]
# ## Exercise 5
#
# Usually weaker. The absolute error asks for the median of all paints. Most cars are grey, white or
# black, so the median is grey, and the few red ones do not move it at all. They do move the mean.


# %%
def colouring_net(channels, filters=16):
    x = image = keras.Input((None, None, 3))
    for rate in (1, 1, 2, 4, 8, 16):
        x = AtrousConv2D(filters, 3, rate, padding="same", activation="relu")(x)
    x = layers.Conv2D(channels, 1)(x)
    return keras.Model(image, layers.Add()([image, x]) if channels == 3 else x)


def fit(model, data, loss):
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(data, epochs=epochs, shuffle=False, verbose=0)
    return np.asarray(model(grey))


def strength(results):
    luma = results @ np.array([0.299, 0.587, 0.114], "float32")
    return np.sqrt(np.mean((results - luma[..., None]) ** 2))


by_colour = load(corruption=corruptions.greying())
grey, _ = arrays(by_colour.test)
results = {}
for loss in ("mse", "mae"):
    keras.utils.set_random_seed(0)
    results[loss] = fit(colouring_net(3), by_colour.train, loss)
    print(f"{loss}: colours {strength(results[loss]) / strength(images):.2f} times as strong")

# %% [markdown]
# ## Exercise 6
#
# Four levels in each of three channels make $64$ classes. The network now names the most probable
# colour instead of the mean. Its colours are bolder, and its PSNR is lower, because rounding alone
# costs some and a wrong bold colour costs more than grey.


# %%
def to_classes(images):
    levels = ops.cast(ops.clip(ops.floor(images * 4), 0, 3), "int32")
    return levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]


keras.utils.set_random_seed(0)
as_classes = by_colour.train.map(lambda grey, images: (grey, to_classes(images)))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
classes = fit(colouring_net(64), as_classes, loss).argmax(-1)
results["64 classes"] = (np.stack([classes // 16, classes // 4 % 4, classes % 4], -1) + 0.5) / 4

# %%
rows = {"grey": grey[[5, 20, 40]]}
for name, result in results.items():
    psnr = PSNR()
    psnr.update_state(images, np.clip(result, 0, 1))
    rows[f"{name}\n{float(psnr.result()):.1f} dB"] = result[[5, 20, 40]]
lesson.figure(
    figures.image_rows({**rows, "truth": images[[5, 20, 40]]}, "A class is bolder than a mean"),
    "classes",
    "Unseen streets, coloured with two losses for numbers and with one for classes.",
)
