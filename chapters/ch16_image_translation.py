# %% [markdown]
# # 16 · From image to image: the same network, another head
#
# A segmentation network gives every pixel a class. Nothing in it insists on classes. If its last
# layer has one channel, it can give every pixel a distance; if it has three, a colour. This lesson
# asks three questions about a street: how far away is everything, which colours does it have, and
# what does it look like by day?
#
# A grey car may have been red or blue, so the second question has many right answers. You will see
# why a network that is trained to be close to the truth then answers in grey.
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

quick = {"epochs": 1, "image_size": (16, 16)}
lesson = Chapter(
    "ch16_image_translation", "From image to image", epochs=8, image_size=(48, 64), quick=quick
)
size, epochs = lesson.settings.image_size, lesson.settings.epochs
keras.utils.set_random_seed(0)

# %% [markdown]
# ## One street, five versions
#
# Our drawn streets come with everything we need: colours, classes and distances in metres. A
# *corruption* makes other inputs from the image: it takes the colour away, turns day into night, or
# leaves only the outlines. The network has to undo it. (The pair of numbers after the images is the
# random seed of a corruption.)


# %%
def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.as_numpy_iterator())]


streets = datasets.load("street_scenes", target="depth", image_size=size, augment=False)
batches = 8 if lesson.settings.quick else -1  # -1 takes all
train_images, train_metres = arrays(streets.train.take(batches))
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
    "One street in five versions. Which of the last three has lost most? Distances are on a "
    "logarithmic scale; dark is far.",
)

# %% [markdown]
# ## One network, many heads
#
# Here is the whole network, the U-Net of lesson 12 without its batch normalisation. That layer
# scales an image by the statistics of its batch: with other neighbours, the same image gives other
# numbers. A class survives this, an exact colour or distance suffers. Only two arguments depend on
# the task, the number of channels of the last convolution and the activation behind it.


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
# $1 \times 1$ convolution on $16$ maps. All other layers are the same for every task.
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
# An error of one metre matters at two metres and hardly matters at a hundred. So the network
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
# A single image has no depth. How can it tell distances at all? Think of two hints before you look
# at the result.

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
    "Unseen streets. The sky stands at 200 metres. Compare the sky line and the walls.",
)

# %% [markdown]
# Streets are alike: road below, sky above. So there is a strong baseline that does not look at the
# image at all. It answers at each place with the median distance of that place in the training
# images. A network has to be better than this before we may say that it sees anything. We compare
# by the relative error, and leave out the sky, which is easy.

# %%
solid, no_sky = metres < 200, np.ma.masked_greater_equal(train_metres, 200)
of_place = np.ma.median(no_sky, axis=0).filled(200)
for name, guess in {"the network": predicted, "the median of each place": of_place}.items():
    error = (np.abs(guess - metres) / metres)[solid]
    print(f"{name}: {100 * error.mean():.0f} % wrong in the mean")

# %% [markdown]
# The network beats the baseline, and with about twice as many epochs its error fell to $19\,\%$
# when we tried. One hint is the place: what stands lower in the image is nearer. Another is size: a
# car that looks smaller is farther away. Which of them does the network use? In its maps the road
# gets nearer towards the bottom, and the sky line is that of the image. But the cars hardly stand
# out from the road. So far it uses places and the classes of large areas, and little else. (The
# fine grid is the checkerboard of transposed convolutions, lesson 4.)
#
# Whichever hints it uses, the network learns the habits of streets, not geometry. It cannot know
# that a photograph of a street on a billboard is flat.
#
# ## From distances to points in space
#
# What is a distance map good for? To place a virtual object in a street, augmented reality needs
# points in space. If the camera is a *pinhole* with focal length $f$ in pixels, a pixel in column
# $u$ and row $v$ at distance $z$ (measured straight ahead, not along the ray) is the point
#
# $$X = \frac{(u - u_0)\, z}{f}, \qquad Y = \frac{(v_0 - v)\, z}{f}, \qquad Z = z,$$
#
# in metres to the right, up and ahead, where $(u_0, v_0)$ is the pixel straight ahead. The division
# by $f$ turns pixels into a slope, and the distance turns the slope into metres. Our drawn camera
# has a focal length of one image width. It looks at the horizon, which lies at about $45\,\%$ of
# the height in our streets.


# %%
def points(metres):
    height, width = metres.shape
    v, u = np.indices(metres.shape) + 0.5
    right, up = (u - width / 2) * metres / width, (0.45 * height - v) * metres / width
    return np.stack([right, up, metres], -1)


flat = np.array([[4.0, 4.0], [4.0, 8.0]])
print(points(flat).round(2).tolist())

# %% [markdown]
# In this image of two by two pixels, two neighbours at four metres lie two metres apart. A pixel
# twice as far away lies twice as far off the axis. If we leave out $Y$, we look at the street from
# above:

# %%
classes = datasets.load("street_scenes", image_size=size, augment=False)
labels = arrays(classes.test)[1][5]
shown_classes = [classes.class_names.index(n) for n in ("road", "building", "vegetation", "car")]


def from_above(depth, title):
    near = np.isin(labels, shown_classes) & (depth < 40)
    across_and_ahead = points(depth)[near][:, [0, 2]]
    names, colours = classes.class_names, classes.colours
    return figures.scatter(across_and_ahead, labels[near], names, colours, title)


lesson.figure(
    from_above(metres[5, ..., 0], "True distances: every wall is a line"),
    "from_above",
    "Image 5 from above, up to 40 metres ahead. The camera stands in the middle, just below.",
)
lesson.figure(
    from_above(predicted[5, ..., 0], "Predicted distances: the same street, blurred"),
    "predicted_from_above",
    "The same street by its predicted distances. Where have the walls gone?",
)

# %% [markdown]
# By the true distances, every wall is a line, and every row of the road stands at one distance. By
# the predicted ones, the road keeps its place, but the walls become clouds. A small relative error,
# which one hardly sees in a distance map, is several metres at $30$ metres. The left wall also
# begins too near. For a virtual object that has to stand on the road this is good enough, for
# driving it is not.
#
# ## Colour, with and without dilation
#
# For colours a U-Net is not the only choice. The output needs every pixel of the input, so why
# shrink the map at all? A chain of *dilated* convolutions (lesson 14) keeps its size and still sees
# far. We build the chain twice, with the same weights at the start, and change nothing but the
# rates. The chain predicts the residual (lesson 9), what has to be added to the grey image.


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
# Both chains have the same number of weights and of multiplications. One sees a square of $13$
# pixels a side, the other of $65$. In a window of $13$ pixels, can you tell a bright road from a
# bright sky?


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
    "Unseen streets, coloured by a chain that sees little and by one that sees far. Compare sky "
    "and road, then look at the cars.",
)

# %% [markdown]
# The narrow view paints the bright road of the third street blue, like a sky. The wide view knows
# where the sky is and where the road is, and gives the whole first street the light of the evening.
# But look at the cars. Both chains leave even the yellow ones nearly grey. Are they too small?
# Perhaps, but a larger network would meet the same difficulty.
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
# green and white is grey, although few cars have this colour. The network does not average out of
# weakness: the mean *is* the right answer to the question that the squared error asks. We can
# measure how pale it is. The *strength* of a colour is its distance from the grey of the same
# brightness:


# %%
def strength(results):
    luma = results @ np.array([0.299, 0.587, 0.114], "float32")
    return np.sqrt(np.mean((results - luma[..., None]) ** 2))


share = strength(coloured["rates 1 to 16"]) / strength(images)
print(f"its colours are {100 * share:.0f} % as strong as the true ones")

# %% [markdown]
# If you want one plausible colour instead of the mean of all, you need another loss. Zhang and
# others turn colours into classes, so that the network can say "red or blue, but not between", and
# give rare colours more weight. GANs train a second network, which learns to tell results from real
# images and so punishes grey.
#
# ## Night to day, outlines to scenes
#
# Back to the U-Net, with three channels and a sigmoid. At night there is little light, and the
# sensor adds noise. But no pixel has lost its information completely, so most can be restored.
# Merely brightening the image would brighten the noise, too. The network has to average
# neighbours and yet keep edges (lesson 8). Guess where it will fail.

# %%
keras.utils.set_random_seed(0)
model = train(
    unet((*size, 3), 3, activation="sigmoid"), train_damaged["night"], train_images, "mse"
)
by_day = np.asarray(model(damaged["night"]))
mean = np.broadcast_to(train_images.mean(0), images.shape)
rows = {"night": damaged["night"][shown]}
for name, result in {"mean of all": mean, "from night": by_day}.items():
    rows[f"{name}\n{decibels(result):.1f} dB"] = result[shown]
lesson.figure(
    figures.image_rows(
        {**rows, "truth": images[shown]}, "The night holds the colours, the noise hides the detail"
    ),
    "restored",
    "Unseen streets at night, the mean of all training images as a baseline, what the network "
    "makes of the night, and the originals.",
)

# %% [markdown]
# The colours of the sky, the walls and the yellow car come back: unlike a grey image, the night
# still holds them. Detail that is weaker than the noise does not come back. The lines on the road
# are gone, and where the network cannot tell texture from noise, blotches remain.
#
# Outlines are the opposite case. A drawing holds the places, but neither colours nor brightness, so
# there is much more for the mean to fill in. Exercise 3 tries it.
#
# ## Does it hold?
#
# On photographs of CamVid, at $64 \times 96$ pixels, night to day reaches 23.4 dB, and the best
# filter without a network 19.6 dB. Outlines to scenes reaches 19.0 dB, the mean of all images 15.0
# dB. The wide chain colours better than the narrow one, 31.3 against 30.6 dB in the mean of two
# trainings. A table of the mean colour for each row and grey value, which looks at no neighbour at
# all, reaches 32.4 dB: at this size, a few thousand weights and a few minutes are not enough to
# beat it. See the [experiment](results/image_translation_camvid/results.md).
#
# ## Where it breaks
#
# - **Several truths.** Wherever one input has many possible outputs, the squared error gives their
#   mean: grey paint, soft edges, no texture.
# - **PSNR prefers the mean.** It is computed from the squared error. A bold colour costs more when
#   it is wrong than it gains when it is right. So do not choose between such networks by PSNR
#   alone; look at the images.
# - **Habits instead of geometry.** A distance network trained on streets fails in a kitchen, and a
#   different focal length changes all distances by the same factor.
# - **Pairs.** Every task here needs input and target of the same scene. Hardly anybody has a street
#   by day and by night, the same in every pixel. We made our own pairs by damaging images, and a
#   network that has only seen such nights knows only such nights.
#
# ## Summary
#
# - The same network solves other tasks with another head: choose channels, activation and loss.
# - Predict logarithms of distances, since relative errors matter, and compare with a baseline that
#   does not look at the image. With the focal length, distances become points in space.
# - Dilated convolutions keep the size of the map and still see far. That suits tasks that need
#   every pixel of the input.
# - The squared error asks for the mean of all truths, the absolute error for the median. The mean
#   of many colours is grey.
#
# ## Exercises
#
# 1. Compute by hand which answer minimises the squared error for the truths $0, 0, 1, 1$, and which
#    answers minimise the absolute error. What is odd about the second?
# 2. How many weights does `unet` gain if you go from three channels to eight? Check with
#    `count_params()`.
# 3. Train the U-Net from outlines to images. Is it closer to the truth than the mean of all
#    training images? What does an outline tell, and what does the network have to invent?
# 4. Compute the height of the camera above the road from the true distances, with `points`.
# 5. Train the wide chain with the absolute error. Are its colours stronger or weaker?
# 6. A small project: give each colour a class by rounding each channel to four levels, train the
#    chain with cross-entropy, and paint every pixel in its most probable class. Are the colours
#    bolder now? Compare the PSNR, too.
#
# ## Further reading
#
# - Eigen, Puhrsch and Fergus 2014, [Depth map prediction from a single image using a multi-scale
#   deep network](https://arxiv.org/abs/1406.2283)
# - Zhang, Isola and Efros 2016, [Colorful image colorization](https://arxiv.org/abs/1603.08511)
# - Isola et al. 2017, [Image-to-image translation with conditional adversarial
#   networks](https://arxiv.org/abs/1611.07004)
