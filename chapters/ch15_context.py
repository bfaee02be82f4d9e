# %% [markdown]
# # 15 · Context: what a scene says about its pixels
#
# Some pixels cannot be classified from their neighbourhood, however sharp the feature map is. The
# hull of a boat and the body of a car may look alike; the water or the street around them does not.
# PSPNet, the network of this lesson, began with a list of such errors. Its answer is simple: beside
# every position, put averages of the regions around it, up to the mean of the whole image.
#
# You will pool by hand, build the heads of PSPNet and DeepLab v3, and measure in a confusion matrix
# which errors each of them removes.
#
# *You learn* how to tell every pixel what kind of scene it belongs to, with pyramid pooling and
# image pooling, and how to recognise a dilated kernel that is too wide for its map.
# *In the book:* chapter 6 ends at dilated convolutions, and this lesson continues there.
# *You need:* lesson 2 (effective receptive field) and lesson 14 (dilated networks).
# *Time:* one minute on two cores.

# %%
import keras
import numpy as np
from keras import layers

from kerasseg import figures, models
from kerasseg.chapter import Chapter
from kerasseg.layers import (
    AtrousConv2D,
    AtrousSpatialPyramidPooling,
    BilinearUpsampling2D,
    PyramidPooling,
)
from kerasseg.layers.pyramids import average_windows
from kerasseg.losses import CrossEntropy
from kerasseg.models.resnets import resnet
from kerasseg.palette import DIGITS
from kerasseg.training import UpdateBatchNorm

lesson = Chapter("ch15_context", "Context", epochs=8, quick={"epochs": 1})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Three kinds of confusion
#
# The authors of PSPNet looked at the errors of an FCN and found three patterns:
#
# - **Mismatched relationship.** The network calls a boat on a river a car, because it looks like
#   one. Cars are seldom on rivers, but the network does not see the river.
# - **Confusion categories.** One part of a skyscraper is called skyscraper, another part building.
#   Each part alone could be either, but the whole object has one class.
# - **Inconspicuous classes.** A pillow has the pattern of the sheet below it and is overlooked.
#   Who knows that the room is a bedroom would look for it.
#
# We draw scenes that have all three. A strip of sky at the top is the only sign of the place: blue
# at the sea, orange in the city. A dark block is a *boat* at the sea and a *car* in the city. A red
# block is a *house* or a *tower*, depending only on its height. And faint yellow spots are *lamps*
# in the city, but mere stones, part of the *ground*, at the sea.

# %%
NAMES = ("sky", "ground", "boat", "car", "house", "tower", "lamp")
SKY, GROUND, BOAT, CAR, HOUSE, TOWER, LAMP = range(len(NAMES))


def draw_scene(rng):
    image, labels = np.full((64, 64, 3), 0.5), np.full((64, 64), GROUND)
    at_sea, is_tall = rng.random(2) < 0.5

    def put(top, left, height, width, colour, label):
        block = (slice(top, top + height), slice(left, left + width))
        image[block], labels[block] = colour, label

    put(0, 0, 8, 64, (0.3, 0.5, 0.8) if at_sea else (0.8, 0.6, 0.3), SKY)
    height, label = (30, TOWER) if is_tall else (14, HOUSE)
    put(42 - height, rng.integers(2, 50), height, 12, (0.7, 0.3, 0.3), label)
    for place in rng.integers((44, 0), (59, 59), (3, 2)):
        put(*place, 5, 5, (0.6, 0.6, 0.5), GROUND if at_sea else LAMP)
    put(*rng.integers((46, 2), (55, 46)), 8, 16, (0.2, 0.2, 0.2), BOAT if at_sea else CAR)
    return image + rng.normal(0, 0.05, image.shape), labels


rng = np.random.default_rng(0)
images, labels = (np.stack(part) for part in zip(*(draw_scene(rng) for _ in range(800))))

pairs = ((BOAT, HOUSE), (BOAT, TOWER), (CAR, HOUSE), (CAR, TOWER))
has = [(labels == kind).any((1, 2)) for kind in range(len(NAMES))]
shown = [int(np.argmax(has[first] & has[second])) for first, second in pairs]
rows = {"image": images[shown].clip(0, 1), "classes": figures.paint(labels[shown], DIGITS)}
lesson.figure(
    figures.image_rows(rows, "The sky tells boats from cars, and stones from lamps", cell=1.5),
    "scenes",
    "Two scenes at the sea and two in the city. Classes: sky blue, ground orange, boat green, car "
    "red, house violet, tower brown, lamp pink.",
)

# %% [markdown]
# A network whose receptive field ends below the sky cannot tell boats from cars. A field that is
# large on paper may not be enough, either. Lesson 2 showed that the *effective* field, the part
# that really influences a position, is much smaller than the theoretical one (almost three times,
# say the lecture notes). PSPNet therefore does not rely on the field of its convolutions.
#
# ## Pyramid pooling by hand
#
# *Pyramid pooling* cuts the map into $1 \times 1$, $2 \times 2$, $3 \times 3$ and $6 \times 6$
# windows and takes the mean of each. The single window summarises the scene. The finer grids also
# tell on which side of the image something is. If the map has $n$ rows and we want $b$ windows,
# window $i$ goes
#
# $$\text{from row } \lfloor i n / b \rfloor \text{ up to, but not including, row }
# \lceil (i + 1) n / b \rceil .$$
#
# The symbols $\lfloor\ \rfloor$ and $\lceil\ \rceil$ round down and up; in Python, `a // b` rounds
# down and `-(-a // b)` rounds up. Where $b$ does not divide $n$, neighbouring windows share a row.


# %%
def pool_windows(feature_map, bins):
    rows, columns = (
        [slice(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)]
        for n in feature_map.shape
    )
    return np.array([[feature_map[down, across].mean() for across in columns] for down in rows])


feature_map = np.array([[8, 6, 0, 2], [6, 4, 2, 0], [1, 1, 4, 4], [1, 1, 4, 4]])
pooled = {f"{bins} x {bins}": pool_windows(feature_map, bins) for bins in (1, 2, 3)}

# %%
windows = {"map": [None, (0, 0, 2, 2), (1, 1, 2, 2)]}
windows |= {"2 x 2": [None, (0, 0, 1, 1)], "3 x 3": [None, None, (1, 1, 1, 1)]}
lesson.figure(
    figures.number_grids(
        {"map": feature_map, **pooled},
        ["mean of windows", None, None],
        windows=windows,
        title="One map, averaged over three grids",
    ),
    "windows",
    "A window and its mean have the same colour. Three windows do not divide four rows, so they "
    "overlap.",
)

# %% [markdown]
# The library computes the same means for whole batches:

# %%
batch = feature_map[None, :, :, None].astype("float32")
for bins in (1, 2, 3):
    means = average_windows(batch, axes=(1, 2), count=bins)
    assert np.allclose(np.reshape(means, (bins, bins)), pooled[f"{bins} x {bins}"])

# %% [markdown]
# ## PSPNet
#
# The encoder is a ResNet, a classifier whose blocks each add a correction to their input. Its last
# two strides have become rates, as in lesson 14, so its last map has one position for eight pixels
# in each direction. It has 2,048 channels. Every grid of means goes through a $1 \times 1$
# convolution, which leaves 512 channels, so that the four grids together have as many channels as
# the map. Then each is enlarged to the size of the map. (Called with two maps,
# `BilinearUpsampling2D` enlarges the first to the size of the second.) All are concatenated: each
# position now has its own features and, beside them, what is known about its surroundings. A
# $3 \times 3$ convolution looks at both. With images of $473 \times 473$ pixels, as in the paper,
# the map has $60 \times 60$ positions, and all four grids divide it evenly.


# %%
def pspnet(input_shape, num_classes, *, width=1.0):
    def convolution(x, filters, kernel, name):
        settings = {"padding": "same", "use_bias": False, "name": name}
        x = layers.Conv2D(round(filters * width), kernel, **settings)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input(input_shape, name="image")
    x = resnet(image, "resnet50", output_stride=8, width=width)[-1]

    pyramid, (rows, columns) = [x], x.shape[1:3]
    for bins in (1, 2, 3, 6):
        window = (rows // bins, columns // bins)
        means = layers.AveragePooling2D(window, name=f"means{bins}")(x)
        means = convolution(means, 512, 1, f"means{bins}_conv")
        pyramid.append(BilinearUpsampling2D(align_corners=True)(means, x))
    x = layers.Concatenate(name="pyramid")(pyramid)

    x = layers.Dropout(0.1)(convolution(x, 512, 3, "head"))
    scores = layers.Conv2D(num_classes, 1, name="scores")(x)
    return keras.Model(image, BilinearUpsampling2D(align_corners=True)(scores, image))


# %%
network = pspnet((473, 473, 3), 21, width=0.25)
lesson.figure(
    figures.architecture(network),
    "pspnet",
    "PSPNet at a quarter of its width. All four grids of means are taken from the map of conv5; "
    "enlarged, they stand beside it in the pyramid.",
)
library = models.pspnet((473, 473, 3), 21, width=0.25)
assert network.count_params() == library.count_params()

# %% [markdown]
# The library has it as `kerasseg.models.pspnet`, for images of any size, and the pyramid alone as
# the layer `PyramidPooling`. At full width and for 21 classes PSPNet has 46,677,397 weights.
#
# ## DeepLab v3: rates and the mean of the image
#
# DeepLab v3 brings both ideas together. Its pyramid has three rates, as in lesson 14, and a
# $1 \times 1$ convolution beside them; their maps are now concatenated instead of summed. One
# branch is new: the mean of the whole map, which is the $1 \times 1$ grid of PSPNet. This *global
# average pooling* forgets *where* something is, but not *that* it is there, and to know that a boat
# is a boat it is enough that there is water somewhere.


# %%
def deeplab_v3(input_shape, num_classes, *, width=1.0):
    def convolution(x, filters, kernel, rate, name):
        settings = {"padding": "same", "use_bias": False, "name": name}
        x = AtrousConv2D(round(filters * width), kernel, rate, **settings)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = keras.Input(input_shape, name="image")
    multi_grid = (1, 2, 4)  # multiplies the rates of the three blocks of the last stage
    x = resnet(image, "resnet50", output_stride=16, multi_grid=multi_grid, width=width)[-1]

    branches = [convolution(x, 256, 1, 1, "pixel")]
    branches += [convolution(x, 256, 3, rate, f"rate{rate}") for rate in (6, 12, 18)]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    mean = convolution(mean, 256, 1, 1, "mean_conv")
    branches.append(BilinearUpsampling2D()(mean, x))

    x = convolution(layers.Concatenate(name="pyramid")(branches), 256, 1, 1, "projection")
    scores = layers.Conv2D(num_classes, 1, name="scores")(layers.Dropout(0.1)(x))
    return keras.Model(image, BilinearUpsampling2D(align_corners=True)(scores, image))


library = models.deeplab_v3((257, 257, 3), 21, width=0.25)
assert deeplab_v3((257, 257, 3), 21, width=0.25).count_params() == library.count_params()

# %% [markdown]
# The library has it as `kerasseg.models.deeplab_v3`, with 39,131,285 weights at full width, and the
# pyramid as `AtrousSpatialPyramidPooling`. In the paper, the mean of the image raised the score
# from 76.6 to 77.2 (mean IoU in percent). That is not much, and no surprise: in photographs, most
# objects can be recognised without their surroundings.

# %% [markdown]
# ## Which head removes which confusion?
#
# Back to our scenes. We train a small network four times: three convolutions, two of them with a
# stride of two, then one of four heads, then the scores. The first head does nothing. The second
# is a pyramid of means. The third looks with three rates, but without the mean of the image, the
# fourth with it. None of the rates reaches from a boat to the sky.
#
# Three details help a training this short. Pixels of rare classes count more in the loss (lesson
# 10). The learning rate falls along a cosine to zero over all steps, 40 in each epoch, so that the
# network comes to rest. And `UpdateBatchNorm` makes the running averages of the batch normalisation
# forget the first, bad batches sooner.

# %%
HEADS = {
    "no context": layers.Identity,
    "pyramid pooling": lambda: PyramidPooling(filters=32),
    "three rates": lambda: AtrousSpatialPyramidPooling(32, (1, 2, 4), image_pooling=False),
    "three rates and mean": lambda: AtrousSpatialPyramidPooling(32, (1, 2, 4)),
}


shares = np.bincount(labels.ravel()) / labels.size


def train(head):
    keras.utils.set_random_seed(0)
    x = scene = keras.Input((64, 64, 3))
    for stride in (2, 2, 1):
        x = layers.Conv2D(32, 3, strides=stride, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 1, activation="relu")(head(x))
    scores = layers.Conv2D(len(NAMES), 1)(x)
    model = keras.Model(scene, BilinearUpsampling2D(4)(scores))
    epochs = lesson.settings.epochs
    falling = keras.optimizers.schedules.CosineDecay(5e-3, 40 * epochs)
    model.compile(keras.optimizers.Adam(falling), CrossEntropy(class_weights=shares**-0.5))
    options = {"batch_size": 15, "epochs": epochs, "callbacks": [UpdateBatchNorm()]}
    seen = 30 if lesson.settings.quick else 600
    model.fit(images[:seen], labels[:seen], **options, verbose=0)
    return np.argmax(model(images[600:]), -1)


answers = {name: train(make_head()) for name, make_head in HEADS.items()}

# %% [markdown]
# Guess first: what will the first network answer where it cannot know? Half boats and half cars, or
# something else?

# %%
truth = labels[600:]
shown = [int(np.argmax(has[first][600:] & has[second][600:])) for first, second in pairs]
rows = {"image": images[600:][shown].clip(0, 1)}
for name, ids in {"truth": truth, **answers}.items():
    rows[name] = figures.paint(ids[shown], DIGITS)
lesson.figure(
    figures.image_rows(rows, "Only heads that see the sky tell boats from cars"),
    "answers",
    "Unseen scenes, in the colours of the first figure. Look at the dark blocks of the two scenes "
    "at the left: which heads paint them green?",
)

# %% [markdown]
# A *confusion matrix* counts this. Row by row, it says what share of the pixels of a true class got
# which answer; a perfect network has 100 on the diagonal and nothing beside it.


# %%
def confusion(answer):
    counts = np.zeros((len(NAMES), len(NAMES)))
    np.add.at(counts, (truth, answer), 1)
    return np.round(100 * counts / counts.sum(1, keepdims=True)).astype(int)


tables = {
    name: np.vstack([["", *NAMES], np.column_stack([NAMES, confusion(answers[name])])])
    for name in ("no context", "pyramid pooling")
}
lesson.figure(
    figures.number_grids(
        tables,
        shades=tables,
        columns=1,
        title="Percent of each true class (row) by answer (column)",
    ),
    "confusion",
    "Without context, boats and cars, houses and towers, lamps and ground are confused.",
)

# %% [markdown]
# Each of the three confusions has its place beside the diagonal. Without context, most dark blocks
# get the same answer, at the sea and in the city: that is the mismatched relationship. It is not
# half and half, because blocks that look alike get nearly the same scores, and the larger score
# wins, by however little. The ends of a tower are called house, and the middle of a house is called
# tower: confusion categories. And most lamps are taken for ground: inconspicuous classes.
#
# One row can look good at the expense of another: a network that calls every block a car finds all
# cars. The IoU (lesson 11) counts both kinds of errors, so we compare the four heads by it, in
# percent:


# %%
def iou_of(answer):
    hits = [np.sum((answer == kind) & (truth == kind)) for kind in range(len(NAMES))]
    either = [np.sum((answer == kind) | (truth == kind)) for kind in range(len(NAMES))]
    return 100 * np.divide(hits, either)


print(" " * 20, *(f"{name:>6}" for name in NAMES))
for name, answer in answers.items():
    print(f"{name:20}", *(f"{value:6.0f}" for value in iou_of(answer)))

# %% [markdown]
# Rates widen the view, so that towers and houses come out whole. But the sky stays out of their
# reach, and boats and cars remain a guess. The mean of the image brings the sky in. The pyramid of
# means finds boats and cars, too, but its outlines are worse: lamps grow into blots. Our small
# network has only a $1 \times 1$ convolution behind the head, where PSPNet has a $3 \times 3$
# convolution that looks at the neighbours again. The means tell *what* is there and the rates
# *where* it ends. Here the fourth head, which has both, is the best.
#
# ## Counting the valid taps
#
# Could we not just use larger rates? Look at a $3 \times 3$ kernel of rate $r$ on a map of
# $h \times w$ positions. Its outer taps lie $r$ positions away. Where they lie outside the map,
# they read the zeros of the padding, and their weights do nothing. The upper taps lie outside for
# the first $r$ of $h$ rows, so they are valid for a share of $1 - r/h$; the lower taps likewise.
# With the middle tap, the average number of valid taps is, rows times columns,
#
# $$\Big(1 + 2 \max\big(0, 1 - \tfrac{r}{h}\big)\Big)
# \Big(1 + 2 \max\big(0, 1 - \tfrac{r}{w}\big)\Big).$$
#
# If every weight and every input is one, a convolution with zero padding counts them for us:


# %%
def valid_taps(height, width, rate):
    return (1 + 2 * max(0, 1 - rate / height)) * (1 + 2 * max(0, 1 - rate / width))


count = AtrousConv2D(1, 3, rate=12, padding="same", kernel_initializer="ones")
counted = np.asarray(count(np.ones((1, 9, 13, 1))))
assert np.isclose(counted.mean(), valid_taps(9, 13, 12), atol=1e-5)
print(f"rate 12 on a map of 9 x 13 positions: {counted.mean():.2f} valid taps of 9")

# %%
sides = np.arange(5, 70)
curves = {f"rate {r}": [valid_taps(side, side, r) for side in sides] for r in (6, 12, 18, 24)}
lesson.figure(
    figures.lines(
        sides[::4],
        {name: taps[::4] for name, taps in curves.items()},
        "side of the map, in positions",
        "valid taps of nine, on average",
        "On a small map, a wide kernel has one tap left",
    ),
    "valid_taps",
    "Valid taps on a square map, by its side and the rate. Where a curve is at one, the kernel is "
    "a 1x1 convolution.",
)

# %% [markdown]
# When $r$ reaches the side of the map, only the middle tap is left: the kernel has become a
# $1 \times 1$ convolution, and the other eight weights are useless. The authors of DeepLab v3
# noticed this, and it is why they added the mean of the image instead of a still larger rate. It
# also means that experiments on tiny images say nothing about rates. If you train at a stride of
# $16$ on images of $128$ pixels, the map has $8$ positions a side, and the pyramid of v3 has almost
# no dilation. Print the valid taps before you blame the network.
#
# ## Hypercolumns: several layers at one place
#
# Context can also come from depth. A deep layer knows the scene but not the place, a shallow one
# the place but not the scene. A *hypercolumn* stacks the features of several layers above each
# pixel, after enlarging all of them, and classifies the stack. For VGG-16 these are thousands of
# numbers for every pixel. There is a cheaper way to the same result. A score is a weighted sum of
# the stack, so it splits into one sum for each layer. And enlarging is linear, so each layer can be
# scored first, on its small map, and only the scores, one channel a class, need to be enlarged:

# %%
rng = np.random.default_rng(0)
shallow, deep = rng.normal(size=(1, 16, 16, 3)), rng.normal(size=(1, 4, 4, 5))
of_shallow, of_deep = rng.normal(size=(3, 2)), rng.normal(size=(5, 2))
enlarge = BilinearUpsampling2D(4)

stacked = np.concatenate([shallow, enlarge(deep)], -1) @ np.concatenate([of_shallow, of_deep])
summed = shallow @ of_shallow + np.asarray(enlarge(deep @ of_deep))
assert np.allclose(stacked, summed, atol=1e-5)

# %% [markdown]
# `kerasseg.models.hypercolumn` computes it like this. Look back at lesson 11: adding enlarged score
# maps of several layers is what the skips of FCN do.
#
# ## Where it breaks
#
# - **The mean forgets places.** It says that there is water, not where. In a harbour, with boats
#   and cars in one image, the finer grids of the pyramid have to help.
# - **Windows depend on the size of the image.** If you train on crops and then use whole images,
#   each window covers a larger part of the scene than in training.
# - **Batch normalisation of a single mean.** One image has one mean per channel, so a batch of one
#   has no variance. Train these heads with larger batches.
# - **Coarse outlines.** Context does not sharpen anything. PSPNet and DeepLab v3 enlarge their
#   scores by a factor of $8$ or $16$. Thin objects need the decoders of lessons 12 and 13.
#
# Our scenes were drawn so that nothing but the context decides. That shows what each head can do,
# not how much it helps on photographs.
#
# ## Summary
#
# - Three kinds of errors come from missing context: mismatched relationships, confused categories
#   and overlooked objects.
# - Pyramid pooling puts the means of coarse windows beside every position. One window is global
#   average pooling.
# - DeepLab v3 puts several rates and the mean of the image side by side.
# - A rate as large as the map leaves one valid tap of nine, so count the valid taps.
# - Classifying a stack of layers equals adding their enlarged scores.
#
# ## Exercises
#
# 1. Compute the windows of `pool_windows` for seven rows and three bins on paper. Which rows belong
#    to two windows?
# 2. How many valid taps do the rates of DeepLab v3 have on images of $513$ pixels at a stride of
#    $16$, and how many on images of $129$ pixels?
# 3. Train the toy with the $1 \times 1$ grid only, `bins=(1,)`. Which of the confusions remain, and
#    why?
# 4. Show that a $3 \times 3$ kernel with a rate of $16$ on a map of $16 \times 16$ positions is a
#    $1 \times 1$ convolution with the middle weights.
# 5. Scoring before enlarging gives the same result as enlarging before scoring. Is that still true
#    if there is a ReLU behind the scores, before or after they are enlarged?
# 6. A small project: draw harbours. Put a strip across the middle, one half of it blue and the
#    other orange, in random order, and a block at the bottom of each half. Which grid of the
#    pyramid is now needed? Would it also help if the strip were at the upper edge?
#
# ## Further reading
#
# - Zhao et al. 2017, [Pyramid scene parsing network](https://arxiv.org/abs/1612.01105)
# - Chen et al. 2017, [Rethinking atrous convolution for semantic image
#   segmentation](https://arxiv.org/abs/1706.05587) (DeepLab v3)
# - Hariharan et al. 2015, [Hypercolumns for object segmentation and fine-grained
#   localization](https://arxiv.org/abs/1411.5752)
# - Chen et al. 2018, [Encoder-decoder with atrous separable
#   convolution](https://arxiv.org/abs/1802.02611) (v3+)
