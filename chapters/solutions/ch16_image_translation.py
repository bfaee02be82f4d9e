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
# answer from $0$ to $1$. Moving the answer brings it nearer to two truths and farther from two
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
# A little closer. The drawing tells where the sky ends and how the street runs, and the network
# uses that. It has to invent all colours, and most of the brightness, because an outline does not
# say which of its sides is the bright one. The invention is a mean, so the scenes are brown and
# grey.


# %%
def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.as_numpy_iterator())]


def load(target="image", corruption=None):
    return datasets.load(
        "street_scenes", target=target, corruption=corruption, image_size=size, augment=False
    )


def decibels(results):
    metric = PSNR()
    metric.update_state(images, np.clip(results, 0, 1))
    return float(metric.result())


drawn = load(corruption=corruptions.outlines())
(outlines, images), (_, known) = arrays(drawn.test), arrays(drawn.train)
keras.utils.set_random_seed(0)
scores = models.unet((*size, 3), 3, width=0.25, batch_norm=False)
sketcher = keras.Sequential([scores, layers.Activation("sigmoid")])
sketcher.compile(keras.optimizers.Adam(1e-3), "mse")
sketcher.fit(drawn.train, epochs=2 * epochs, verbose=0)
rows = {"outlines": outlines[[5, 20, 40]]}
mean = np.broadcast_to(known.mean(0), images.shape)
for name, result in {"mean of all": mean, "network": np.asarray(sketcher(outlines))}.items():
    rows[f"{name}\n{decibels(result):.1f} dB"] = result[[5, 20, 40]]
    print(f"{name}: {decibels(result):.1f} dB")
lesson.figure(
    figures.image_rows({**rows, "truth": images[[5, 20, 40]]}, "Outlines tell places, not paint"),
    "outlines",
    "Unseen drawings, the mean of all training images, the network's scenes, and the originals.",
)

# %% [markdown]
# ## Exercise 4
#
# The camera hangs $1.5$ metres above the road. The points of the road should therefore lie about
# $1.5$ metres below it. They scatter, because `points` takes the horizon for granted at $45\,\%$ of
# the height, and in these streets it lies anywhere between $40\,\%$ and $50\,\%$.

# %%
_, metres = arrays(load("depth").test)
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
# colour instead of the mean. That was to be bolder, but it is not: vivid colours are rare and
# spread over many classes, so at nearly every place the most probable class is one of the greys.
# Zhang and others give rare colours a larger weight in the loss. They also predict the colour alone
# and keep the brightness of the input, which we lose here by rounding; this costs most of the PSNR.


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
    rows[f"{name}\n{decibels(result):.1f} dB"] = result[[5, 20, 40]]
lesson.figure(
    figures.image_rows(
        {**rows, "truth": images[[5, 20, 40]]}, "The most probable class is a grey, too"
    ),
    "classes",
    "Unseen streets, coloured with two losses for numbers and with one for classes.",
)
