# %% [markdown]
# # 16 · From image to image: the same network, another head
#
# A segmentation network gives every pixel a class. Nothing in it insists on classes. If its last
# layer has one channel, it can give every pixel a distance; if it has three, a colour. This lesson
# takes one U-Net and one street, and asks four questions: how far away is it, what colour is it,
# what does it look like by day, and what could have been behind this drawing?
#
# Two of these questions have many right answers. There you will see why a network that is trained
# to be close to the truth answers in grey.
#
# *You learn* how to choose the head and the loss for distances and colours, how to turn a distance
# map into points in space, and why the mean of many answers looks grey.
# *In the book:* chapter 6, "Convolutional encoders-decoders".
# *You need:* lesson 12 (U-Net), lesson 14 (dilated networks) and lesson 9 (PSNR).
# *Time:* two minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers

import kerasseg
from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.datasets import corruptions
from kerasseg.layers import AtrousConv2D
from kerasseg.metrics import PSNR

quick = {"epochs": 1, "image_size": (16, 32)}
lesson = Chapter(
    "ch16_image_translation", "From image to image", epochs=5, image_size=(48, 64), quick=quick
)
size, epochs = lesson.settings.image_size, lesson.settings.epochs
keras.utils.set_random_seed(0)

# %% [markdown]
# ## One street, five versions
#
# Our drawn streets come with everything we need: colours, classes and distances in metres. A
# *corruption* makes the other inputs from the image. It takes the colour away, turns day into
# night, or leaves only the outlines. The network will have to go back.


# %%
def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.as_numpy_iterator())]


streets = datasets.load("street_scenes", target="depth", image_size=size, augment=False)
train_images, train_metres = arrays(streets.train)
images, metres = arrays(streets.test)

damages = {"grey": corruptions.greying(), "night": corruptions.night(sigma=0.02)}
damages["outlines"] = corruptions.outlines()
train_damaged = {name: damage(train_images, (0, 1)) for name, damage in damages.items()}
damaged = {name: damage(images, (0, 2)).numpy() for name, damage in damages.items()}

versions = {"image": images[5], "distance": np.log(metres[5, ..., 0])}
versions |= {name: result[5] for name, result in damaged.items()}
lesson.figure(
    figures.panels(versions, columns=5, cell=1.9),
    "versions",
    "One street and what we can ask for. Distances are on a logarithmic scale; dark is far.",
)

# %% [markdown]
# ## One network, many heads
#
# Here is the whole network. It is the U-Net of lesson 12 without its batch normalisation. That
# layer divides out how bright an image is, and brightness is part of the answer here. Only two
# arguments depend on the task: the number of channels of the last convolution and what follows it.


# %%
def unet(input_shape, num_classes, *, width=0.25, activation=None):
    def two_convolutions(x, filters, name):
        for i in (1, 2):
            settings = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
            x = layers.Conv2D(filters, 3, name=f"{name}_conv{i}", **settings)(x)
        return x

    image = keras.Input(input_shape, name="image")
    filters = [round(width * count) for count in (64, 128, 256, 512, 1024)]
    x, skips = image, []
    for stage in range(4):
        x = two_convolutions(x, filters[stage], f"encoder{stage + 1}")
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = two_convolutions(x, filters[4], "bottleneck")

    for stage in (3, 2, 1, 0):
        x = layers.Conv2DTranspose(filters[stage], 2, 2, name=f"decoder{stage + 1}_up")(x)
        x = layers.Concatenate()([skips[stage], x])
        x = two_convolutions(x, filters[stage], f"decoder{stage + 1}")
    head = layers.Conv2D(num_classes, 1, activation=activation, name="head")
    return keras.Model(image, head(x))


# %%
network = unet((*size, 3), 1)
lesson.figure(
    figures.architecture(network),
    "unet",
    "The network of this lesson, with one output channel for distances.",
)
library = models.unet((*size, 3), 1, width=0.25, batch_norm=False)
assert network.count_params() == library.count_params()
for task, channels in (("distance", 1), ("colour", 3), ("eight classes", 8)):
    print(f"{task}: {unet((*size, 3), channels).count_params():,} weights")

# %% [markdown]
# The library has it as `kerasseg.models.unet(width=0.25, batch_norm=False)`. With one channel it
# has 1,941,105 weights. One more channel costs only $16$ weights and a bias, because the head is a
# $1 \times 1$ convolution on $16$ maps. All the rest, which finds edges, cars and the horizon, is
# the same for every task.
#
# The output and the loss belong together:
#
# | task | channels | activation | loss |
# |---|---|---|---|
# | classes | one per class | none (logits) | cross-entropy |
# | distance | one | none: a logarithm has any sign | absolute error |
# | colour | three | sigmoid: from zero to one | squared error |
#
# ## Distances
#
# An error of one metre matters at two metres and does not matter at a hundred. So the network
# predicts the *logarithm* of the distance: a difference of logarithms is a ratio, and $10\,\%$ too
# far costs the same everywhere. We subtract the logarithm of $20$ metres, a typical distance, so
# that the targets lie around zero. The learning rate falls along a cosine to zero, which settles a
# short training.


# %%
def train(model, inputs, targets, loss):
    falling = keras.optimizers.schedules.CosineDecay(2e-3, epochs * len(inputs) // 8)
    model.compile(keras.optimizers.Adam(falling), loss)
    model.fit(inputs, targets, batch_size=8, epochs=epochs, verbose=0)
    return model


train(network, train_images, np.log(train_metres / 20), "mae")
predicted = 20 * np.exp(network(images))

# %% [markdown]
# One image has no depth. How can a single photograph tell distances at all? Think of two hints
# before you look at the result.

# %%
maps = {}
for i in (5, 20, 40):
    maps[f"image {i}"] = images[i]
    maps[f"{i}: true distance"] = np.log(metres[i, ..., 0])
    maps[f"{i}: predicted"] = np.log(np.clip(predicted[i, ..., 0], 1, 200))
ticks = {np.log(m): f"{m} m" for m in (2, 5, 10, 20, 50, 200)}
lesson.figure(
    figures.panels(
        maps,
        columns=3,
        highest=np.log(200),
        scale=ticks,
        title="Predicted distances follow the street",
    ),
    "distance",
    "Unseen streets. The sky stands at 200 metres.",
)
solid, no_sky = metres < 200, np.ma.masked_greater_equal(train_metres, 200)
of_place = np.ma.median(no_sky, axis=0).filled(200)
for name, guess in {"the network": predicted, "the median of each place": of_place}.items():
    error = np.mean((np.abs(guess - metres) / metres)[solid])
    print(f"{name}: {100 * error:.0f} % wrong in the mean")

# %% [markdown]
# The second line is what you know without looking at the image: streets are alike, and the bottom
# of every image is near. In the mean, a training this short is about as good, and a longer one is
# better. But the median is one map for all streets. The network answers differently to each street,
# by the hints: what stands lower in the image is nearer, and a car that looks smaller is farther
# away. The network has learned the habits of streets, not geometry. Show it a car on a billboard,
# and it will give the billboard the distance of a car of that size.
#
# ## From distances to points in space
#
# What is a distance map good for? Augmented reality wants points in space. If the camera is a
# *pinhole* with focal length $f$ in pixels, looking straight ahead, a pixel in column $u$ and row
# $v$ at distance $z$ is the point
#
# $$X = \frac{(u - u_0)\, z}{f}, \qquad Y = \frac{(v_0 - v)\, z}{f}, \qquad Z = z,$$
#
# in metres to the right, up and ahead, where $(u_0, v_0)$ is the pixel straight ahead. Our drawn
# camera has a focal length of one image width.


# %%
def points(metres):
    height, width = metres.shape
    v, u = np.indices(metres.shape) + 0.5
    right, up = (u - width / 2) * metres / width, (0.45 * height - v) * metres / width
    return np.stack([right, up, metres], -1)


flat = np.array([[4.0, 4.0], [4.0, 8.0]])
print(points(flat).round(2).tolist())

# %% [markdown]
# If we leave out $Y$, we look at the street from above:

# %%
classes = datasets.load("street_scenes", image_size=size, augment=False)
_, labels = arrays(classes.test)
near = np.isin(labels[5], [0, 1, 3, 4]) & (predicted[5, ..., 0] < 40)
for name, depth in (("true", metres[5, ..., 0]), ("predicted", predicted[5, ..., 0])):
    print(f"{name}: the nearest car is {depth[labels[5] == 4].min():.1f} m away")
from_above = points(predicted[5, ..., 0])[near][:, [0, 2]]
lesson.figure(
    figures.scatter(
        from_above, labels[5][near], classes.class_names, classes.colours, "The street from above"
    ),
    "from_above",
    "The first street from above, up to 40 metres ahead, by its predicted distances.",
)

# %% [markdown]
# ## Colour, with and without dilation
#
# For colours a U-Net is not the only choice. The output needs every pixel of the input, so why
# shrink the map at all? A chain of *dilated* convolutions (lesson 14) keeps its size and still sees
# far. We build the chain twice, with the same weights at the start, and change nothing but the
# rates. The chain predicts what has to be added to the grey image.


# %%
def colouring_net(rates, filters=16):
    x = image = keras.Input((None, None, 3))
    for rate in rates:
        x = AtrousConv2D(filters, 3, rate, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Add()([image, layers.Conv2D(3, 1)(x)]))


RATES = {"rates 1": (1, 1, 1, 1, 1, 1), "rates 1 to 16": (1, 1, 2, 4, 8, 16)}
coloured = {"grey": damaged["grey"]}
for name, rates in RATES.items():
    keras.utils.set_random_seed(0)
    chain = train(colouring_net(rates), train_damaged["grey"], train_images, "mse")
    coloured[name] = np.asarray(chain(damaged["grey"]))
    print(f"{name}: {chain.count_params()} weights, sees {kerasseg.receptive_field(chain).size}")

# %% [markdown]
# Both chains have as many weights and take the same time. One sees $13$ pixels, the other $65$. In
# a window of $13$ pixels, can you tell a bright road from a bright sky?


# %%
def decibels(results):
    metric = PSNR()
    metric.update_state(images, np.clip(results, 0, 1))
    return float(metric.result())


shown = [5, 20, 40, 60]
rows = {f"{name}\n{decibels(x):.1f} dB": x[shown] for name, x in coloured.items()}
lesson.figure(
    figures.image_rows({**rows, "truth": images[shown]}, "A wide view finds the colour of places"),
    "colour",
    "Unseen streets, coloured by a chain that sees little and by one that sees far.",
)

# %% [markdown]
# The narrow view mixes up bright roads and bright skies. The wide view knows where the sky is and
# where the road is. But look at the cars. Even the better network paints most of them grey. Is it
# too small? No, it does what we asked for.
#
# ## Why the mean looks grey
#
# The paint of a car cannot be seen in a grey image. Of four cars that look the same, let one be red
# and three be blue, and look at the red channel: the true answers are $1, 0, 0, 0$. The network has
# to give one answer $g$ to all four. We try some, and compute for each the mean squared and the
# mean absolute error:

# %%
answers = np.array([1.0, 0.0, 0.0, 0.0])
guesses = np.array([0.0, 0.25, 0.5, 1.0])
squared = ((guesses[:, None] - answers) ** 2).mean(1)
absolute = np.abs(guesses[:, None] - answers).mean(1)
lesson.figure(
    figures.number_grids(
        {
            "true answers": answers[:, None],
            "one guess g": guesses[:, None],
            "squared error": squared[:, None],
            "absolute error": absolute[:, None],
        },
        ["", "", None],
        marks={
            "one guess g": [(1, 0), (0, 0)],
            "squared error": [(1, 0)],
            "absolute error": [None, (0, 0)],
        },
    ),
    "guesses",
    "The squared error is smallest at the mean (blue), the absolute error at the median (orange).",
)
assert np.isclose(keras.losses.MeanSquaredError()(answers, np.full(4, 0.25)), squared[1])

# %% [markdown]
# In general, the best answer to several possible truths $t$ is
#
# $$\arg\min_g \operatorname{E}\,(g - t)^2 = \operatorname{E}\, t
# \qquad\text{and}\qquad \arg\min_g \operatorname{E}\,|g - t| = \operatorname{median}\, t,$$
#
# where $\operatorname{E}$ is the mean over all truths that fit the input. The mean of red, blue,
# green and white is a pale grey, although hardly any car has this colour. The network is not unsure
# and does not average out of weakness: the mean *is* the right answer to the question that the
# squared error asks. We can measure it. The *strength* of a colour is its distance from its own
# grey:


# %%
def strength(results):
    luma = results @ np.array([0.299, 0.587, 0.114], "float32")
    return np.sqrt(np.mean((results - luma[..., None]) ** 2))


share = strength(coloured["rates 1 to 16"]) / strength(images)
print(f"its colours are {100 * share:.0f} % as strong as the true ones")

# %% [markdown]
# If you want one plausible colour instead of the mean of all, you need another loss. Zhang and
# others turn colours into classes, so that the network can say "red or blue, but not between". GANs
# train a second network, which learns to tell results from real images and so punishes grey.
#
# ## Night to day, outlines to scenes
#
# Back to the U-Net, with three channels and a sigmoid. At night nearly everything can be restored:
# there is little light and some noise, but each pixel still has its own information. An outline
# drawing says much less. Guess which result will look more like the original, and where the second
# one will fail.

# %%
rows = {}
for name in ("night", "outlines"):
    keras.utils.set_random_seed(0)
    model = unet((*size, 3), 3, activation="sigmoid")
    result = np.asarray(train(model, train_damaged[name], train_images, "mse")(damaged[name]))
    rows[name] = damaged[name][shown]
    rows[f"from {name}\n{decibels(result):.1f} dB"] = result[shown]

# %%
lesson.figure(
    figures.image_rows({**rows, "truth": images[shown]}, "What is not in the input becomes a mean"),
    "restored",
    "Unseen streets at night and as drawings, what the network makes of them, and the originals.",
)

# %% [markdown]
# By day one recognises the sky, the walls and the bus. Where the noise hid the detail, there are
# blurred patches. In the scenes, sky, houses and road have their places, because outlines show
# them. The paint is invented, and the invention is the mean again.
#
# ## Does it hold?
#
# On photographs of CamVid, at $64 \times 96$ pixels, night to day reaches 23.4 dB, and the best
# filter without a network 19.6 dB. The wide chain colours better than the narrow one, 31.3 against
# 30.6 dB in both of two trainings. A table of the mean colour for each row and grey value, which
# looks at no neighbour at all, reaches 32.4 dB: at this size, a few thousand weights and a few
# minutes are not enough to beat it. See the
# [experiment](results/image_translation_camvid/results.md).
#
# ## Where it breaks
#
# - **Several truths.** Wherever one input has many possible outputs, the squared error gives their
#   mean: grey paint, soft edges, no texture.
# - **PSNR prefers the mean.** A bold and plausible colour has a lower PSNR than grey. So do not
#   choose between such networks by PSNR alone; look at the images.
# - **Habits instead of geometry.** A distance network trained on streets fails in a kitchen, and a
#   different focal length changes all distances by the same factor.
# - **Pairs.** Every task here needs input and target of the same scene. Nobody has the same street
#   by day and by night, pixel by pixel. We made our own pairs by damaging images, and a network
#   that has only seen such nights knows only such nights.
#
# ## Summary
#
# - The same network solves other tasks with another head: choose channels, activation and loss.
# - Distances are best predicted as logarithms. With the focal length they become points in space.
# - Dilated convolutions keep the map whole and still see far. That suits tasks with a pixel in for
#   each pixel out.
# - The squared error asks for the mean of all truths, the absolute error for the median. The mean
#   of many colours is grey.
#
# ## Exercises
#
# 1. Compute by hand which answer minimises the squared error for the truths $0, 0, 1, 1$, and which
#    answers minimise the absolute error. What is odd about the second?
# 2. How many weights does `unet` gain if you go from three channels to eight? Check with
#    `count_params()`.
# 3. Predict the distance of every pixel as the median of its place over the training images,
#    without any network. How good is that?
# 4. Compute the height of the camera above the road from the true distances, with `points`.
# 5. Train the wide chain with the absolute error. Are its colours stronger or weaker?
# 6. A small project: give each colour a class by rounding each channel to four levels, train the
#    chain with cross-entropy, and paint every pixel in its most probable class. Compare the images
#    and the PSNR.
#
# ## Further reading
#
# - Eigen, Puhrsch and Fergus 2014, [Depth map prediction from a single image using a multi-scale
#   deep network](https://arxiv.org/abs/1406.2283)
# - Zhang, Isola and Efros 2016, [Colorful image colorization](https://arxiv.org/abs/1603.08511)
# - Isola et al. 2017, [Image-to-image translation with conditional adversarial
#   networks](https://arxiv.org/abs/1611.07004)
