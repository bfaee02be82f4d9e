# %% [markdown]
# # 14 · Dilated networks: fine maps from a classifier
#
# A classifier halves its feature maps five times. What is left of an image has one position for
# every $32 \times 32$ pixels, and on such a grid no network can draw a traffic sign. FCN and U-Net
# bring the lost detail back afterwards. The networks of this lesson lose less of it in the first
# place: they take out the last strides and *dilate* the kernels behind them, so that every weight
# still sees what it saw before.
#
# You will build DeepLab v1, the context module of DilatedNet and the pyramid of DeepLab v2, and you
# will watch a wide field join a large object that a narrow field breaks into pieces.
#
# *You learn* how to turn strides into dilation, and why a network needs several rates to see small
# and large objects as one piece.
# *In the book:* chapter 6, the section on dilated convolutions.
# *You need:* lesson 2 (receptive field, dilation) and lesson 11 (FCN).
# *Time:* one minute on two cores.

# %%
import keras
import numpy as np
from keras import layers

import kerasseg
from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.inference import dense_crf
from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from kerasseg.losses import CrossEntropy
from kerasseg.models.vgg import vgg16

settings = {"dataset": "street_scenes", "data_dir": None, "epochs": 8, "quick": {"epochs": 1}}
choices = {"dataset": ("street_scenes", "camvid")}
lesson = Chapter("ch14_dilated_networks", "Dilated networks", choices=choices, **settings)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## What a coarse grid can say
#
# First, let us see what is at stake. We take the ground truth of a street, keep one vector of class
# shares for every cell of $32 \times 32$ pixels, and enlarge these vectors by bilinear
# interpolation. A network with one position per cell can hardly do better, because here we read the
# answers off the ground truth. Then we do the same with cells of $8 \times 8$ pixels. (In
# `shares_at`, `np.eye` turns each label into a vector with a single one. Pixels of the class void
# have a number beyond the classes and count nowhere.)

# %%
dataset, data_dir = lesson.settings.dataset, lesson.settings.data_dir
streets = datasets.load(dataset, image_size=(192, 256), batch_size=8, data_dir=data_dir)
image, truth = (np.asarray(part)[3] for part in next(iter(streets.validation)))


def shares_at(stride):
    one_hot = np.eye(256, dtype="float32")[truth][None, ..., : streets.num_classes]
    shares = BilinearUpsampling2D(stride)(layers.AveragePooling2D(stride)(one_hot))[0]
    return np.asarray(shares) / np.sum(shares, -1, keepdims=True)


coarse, fine = (figures.paint(shares_at(stride).argmax(-1), streets.colours) for stride in (32, 8))
maps = {"image": image, "ground truth": figures.paint(truth, streets.colours)}
maps |= {"one position per 32 pixels": coarse, "one position per 8 pixels": fine}
lesson.figure(
    figures.panels(maps, columns=2, cell=3.4, title="A coarse grid loses what is small"),
    "grids",
    "What two grids keep of the ground truth of one street. Look for the people and the signs.",
)

# %% [markdown]
# On the coarse grid, people, signs and the car are gone. On the fine one, all of them are there,
# with rounded outlines. So we want a classifier whose last map has a stride of $8$. We could leave
# out two poolings, but then every kernel behind them would see a smaller part of the image, and its
# trained weights would no longer fit. Dilation solves this.
#
# ## From a stride to a rate, by hand
#
# The row `1, 4, 2, 0, 3, 1, 5, 2` is enough to see it. A layer pools with windows of two, then
# filters with three weights. With a stride of two, the pooling keeps every second maximum. With a
# stride of one, it keeps them all, and the neighbours that the filter used to see now lie two steps
# apart. So we let the filter take two steps:


# %%
def pool(row, stride):
    return np.maximum(row, np.append(row[1:], 0))[::stride]


def convolve(row, weights, rate):
    padded = np.pad(row, rate)
    return sum(w * padded[i * rate : i * rate + len(row)] for i, w in enumerate(weights))


row, weights = np.array([1, 4, 2, 0, 3, 1, 5, 2]), (1, 2, 1)
strided, stepping = pool(row, 2), pool(row, 1)
sparse, dense = convolve(strided, weights, rate=1), convolve(stepping, weights, rate=2)
assert (dense[::2] == sparse).all()

# %%
kept = [[(0, column) for column in range(0, 8, 2)]]
grids = {"pooled, stride 2": strided, "filtered, rate 1": sparse}
grids |= {"pooled, stride 1": stepping, "filtered, rate 2": dense}
lesson.figure(
    figures.number_grids(
        grids,
        ["1, 2, 1", None, "1, 2, 1"],
        marks={"pooled, stride 1": kept, "filtered, rate 2": kept},
        title="The same filter gives the same answers, and new ones between them",
        columns=2,
    ),
    "stride_and_rate",
    "Above, pooling with a stride of 2 and a plain filter. Below, pooling with a stride of 1 and a "
    "filter of rate 2. Every second number (blue) is the number above.",
)

# %% [markdown]
# The rule for a whole network follows: when you set a stride from two to one, double the rate of
# all later kernels. No weight changes, so weights from ImageNet stay valid. We try it on the
# library's VGG-16, narrow and with random weights. The first network below pools four times with a
# stride of two. The second pools the fourth time with a stride of one and doubles the rate of its
# fifth stage.

# %%
anything = keras.Input((None, None, 3))
strides, rates = (2, 2, 2, 2, None), (1, 1, 1, 1, 1)
with_strides = keras.Model(anything, vgg16(anything, 0.05, strides=strides)[-1])
strides, rates = (2, 2, 2, 1, None), (1, 1, 1, 1, 2)
with_rates = keras.Model(anything, vgg16(anything, 0.05, strides=strides, rates=rates)[-1])
with_rates.set_weights(with_strides.get_weights())

few, many = with_strides(image[None]), with_rates(image[None])
assert np.allclose(many[:, ::2, ::2], few, atol=1e-5)
print("with strides", few.shape[1:3], "with rates", many.shape[1:3])

# %% [markdown]
# Four times as many positions, and one in four is the old one. The other three are what the strided
# network would have said about a shifted image.
#
# ## DeepLab v1
#
# DeepLab v1 applies the rule to VGG twice. The first three stages keep their strides, so here they
# come from the library: `vgg16` returns the maps of all five stages, and the third is enough. The
# last two poolings stay, with a stride of one. The fifth stage therefore gets a rate of $2$, and
# the first fully connected layer, `fc6`, which is a convolution here (lesson 3), would get a rate
# of $4$. (Strictly, the fifth pooling would need a rate of $2$ as well. The authors leave it dense,
# and add an average pooling whose windows count the zeros of the padding.)
#
# That layer has $7 \times 7$ taps. The authors thin it out: $3 \times 3$ taps at a rate of $12$
# span the same $25 \times 25$ positions as $7 \times 7$ taps at a rate of $4$, and a quarter of the
# filters is enough. Only 20,505,429 of 134 million weights are left (for 21 classes), and in the
# paper the score, after the CRF that we meet below, is the same.


# %%
def deeplab_v1(input_shape, num_classes, *, width=1.0, dropout=0.5):
    def convolution(x, filters, kernel, rate, name):
        settings = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        return AtrousConv2D(round(filters * width), kernel, rate, name=name, **settings)(x)

    image = keras.Input(input_shape, name="image")
    x = vgg16(image, width, pool_size=3)[2]  # three stages, one position per 8 pixels

    for stage, rate in ((4, 1), (5, 2)):
        for i in (1, 2, 3):
            x = convolution(x, 512, 3, rate, f"encoder{stage}_conv{i}")
        x = layers.MaxPooling2D(3, strides=1, padding="same", name=f"encoder{stage}_pool")(x)

    x = layers.AveragePooling2D(3, strides=1)(layers.ZeroPadding2D(1)(x))
    x = convolution(x, 1024, 3, 12, "fc6")
    x = convolution(layers.Dropout(dropout)(x), 1024, 1, 1, "fc7")
    scores = layers.Conv2D(num_classes, 1, name="scores")(layers.Dropout(dropout)(x))
    return keras.Model(image, BilinearUpsampling2D(align_corners=True)(scores, image))


# %%
network = deeplab_v1((321, 321, 3), 21, width=0.25)
lesson.figure(
    figures.architecture(network),
    "deeplab_v1",
    "DeepLab v1 at a quarter of its width: from the third pooling on, no map gets smaller.",
)
library = models.deeplab_v1((321, 321, 3), 21, width=0.25)
assert network.count_params() == library.count_params()
print("one position of fc7 sees", kerasseg.receptive_field(network, "fc7").size, "pixels")

# %% [markdown]
# The library has it as `kerasseg.models.deeplab_v1`. With sides of $8n + 1$ pixels, for a whole
# number $n$, the first and the last position of the map lie on the first and the last pixel, so
# `align_corners=True` (lesson 4) puts every score where it was computed. The library pads images of
# other sizes.
#
# ## DilatedNet: no idle poolings, and a context module
#
# A pooling with a stride of one makes no map smaller. It only spreads each maximum over its
# neighbours. DilatedNet leaves both of these poolings out. It then adds a module that widens the
# field of the finished scores: seven $3 \times 3$ convolutions with the rates in the code below. If
# the layers up to number $i$ see $F_i$ positions across, and layer $i$ has rate $r_i$, then
#
# $$F_i = F_{i-1} + 2 r_i, \qquad F_0 = 1.$$
#
# With rates that double, the field doubles too, while every layer has only nine taps.


# %%
def identity(shape, dtype=None):
    kernel = np.zeros(shape, "float32")
    kernel[shape[0] // 2, shape[1] // 2] = np.eye(shape[2])
    return kernel


def context_module(x, num_classes, rates=(1, 1, 2, 4, 8, 16, 1), start=identity):
    for rate in rates:
        x = AtrousConv2D(
            num_classes, 3, rate, padding="same", activation="relu", kernel_initializer=start
        )(x)
    return layers.Conv2D(num_classes, 1, kernel_initializer=start)(x)


# %% [markdown]
# What does such a chain see? We set all its weights to one for a moment. Then a single 1 in the
# middle of an empty map spreads to every position that sees it. Guess before you run the cell: will
# there be holes, as in the gridding of lesson 2?

# %%
scores = keras.Input((None, None, 1))
spread = keras.Model(scores, context_module(scores, 1, start="ones"))
impulse = np.zeros((1, 81, 81, 1), "float32")
impulse[0, 40, 40] = 1

sizes = np.cumsum([1, 2, 2, 4, 8, 16, 32, 2])
seen = {}
for i in (2, 3, 4, 5, 6, 7):
    reached = np.asarray(keras.Model(scores, spread.layers[i].output)(impulse))[0, ..., 0]
    seen[f"layer {i}: {sizes[i]} positions"] = np.log1p(reached)
lesson.figure(
    figures.panels(seen, columns=3, title="Doubling the rates doubles the field, without holes"),
    "context",
    "Positions that see the middle after each layer of the context module. Darker means more paths "
    "from the middle, on a logarithmic scale.",
)
assert (reached > 0).sum() == 67**2

# %% [markdown]
# There are no holes. Each rate is at most as large as the field that the layers before it have
# already filled, so the fields of neighbouring taps touch or overlap.
#
# The function `identity` is there for training. Such a module does not learn well from random
# weights, so Yu and Koltun start it as an *identity*: the middle tap leads from each class to
# itself with a weight of one, and all other weights are zero. Scores that are not negative pass
# unchanged at first (a ReLU leaves them alone), and training only has to learn what to improve.

# %%
scores = keras.Input((None, None, 3))
fresh = keras.Model(scores, context_module(scores, 3, start=identity))
some_scores = np.random.default_rng(0).uniform(0, 1, (1, 20, 30, 3)).astype("float32")
assert np.array_equal(fresh(some_scores), some_scores)

# %% [markdown]
# ## DeepLab v2: several rates side by side
#
# One rate is a bet on one size. A kernel whose taps lie far apart reaches around a bus, but it
# steps over a car. DeepLab v2 does not bet: it runs the head of DeepLab v1 four times on the same
# map, at the rates $6, 12, 18$ and $24$, and adds the scores. The authors call this *atrous spatial
# pyramid pooling*. In the paper, four rates score 69.0 where one rate scores 65.8 (mean IoU in
# percent on PASCAL VOC, before the CRF).


# %%
def pyramid_scores(x, num_classes, filters=1024, rates=(6, 12, 18, 24), dropout=0.5):
    branches = []
    for rate in rates:
        y = AtrousConv2D(filters, 3, rate, padding="same", activation="relu")(x)
        y = layers.Conv2D(filters, 1, activation="relu")(layers.Dropout(dropout)(y))
        branches.append(layers.Conv2D(num_classes, 1)(layers.Dropout(dropout)(y)))
    return layers.Add()(branches)


# %% [markdown]
# With VGG below it, this head makes a network of 37,877,652 weights for 21 classes, the library's
# `kerasseg.models.deeplab_v2`. It needs a large map: on a small one, most taps of the largest rate
# lie outside. Lesson 15 counts them.
#
# ## A task that needs a wide field
#
# To see what the rates do, we draw a street in which only the frame of an object tells what it is.
# Buses are yellow, houses are red, and both are full of the same glass. There are three sizes. The
# network has to give the whole object its class, glass included.


# %%
STREET, BUS, HOUSE = range(3)
PAINT = {BUS: (0.9, 0.75, 0.2), HOUSE: (0.7, 0.3, 0.25)}
GREY, GLASS = (0.35, 0.35, 0.35), (0.6, 0.7, 0.75)
REACHES = {"small": 6, "medium": 10, "large": 15}


def draw_street(rng):
    image, labels = np.full((64, 64, 3), GREY), np.full((64, 64), STREET)
    glass = np.zeros((64, 64), int)
    for corner in ((0, 0), (0, 32), (32, 0), (32, 32)):
        kind, reach = rng.choice((BUS, HOUSE)), rng.choice(list(REACHES.values()))
        middle = corner + rng.integers(reach, 33 - reach, 2)
        outside = tuple(slice(at - reach, at + reach) for at in middle)
        inside = tuple(slice(at - reach + 2, at + reach - 2) for at in middle)
        image[outside], image[inside] = PAINT[kind], GLASS
        labels[outside], glass[inside] = kind, reach
    return image + rng.normal(0, 0.06, image.shape), labels, glass


rng = np.random.default_rng(0)
images, labels, glass = (np.stack(part) for part in zip(*(draw_street(rng) for _ in range(500))))

# %% [markdown]
# Here is one of them, with the taps of three rates around the same pixel in the middle of a large
# object. Which of them can tell what the object is?

# %%
large = np.argmax((glass == 15).sum((1, 2)))
row, column = (int(np.median(at)) for at in np.nonzero(glass[large, :32, :32]))
boxes = {}
for rate in (1, 3, 6):
    steps = [(row + i * 2 * rate, column + j * 2 * rate) for i, j in np.ndindex(3, 3)]
    taps = [(r - 2 * rate - 1, c - 2 * rate - 1, 3, 3, "black", "") for r, c in steps]
    boxes[f"rate {rate}"] = taps
street = dict.fromkeys(boxes, images[large].clip(0, 1))
lesson.figure(
    figures.panels(street, boxes, "Only the widest taps reach the frame"),
    "taps",
    "The frames are a kernel's nine taps, on a map with one position per 2 pixels. Each has the "
    "size of what the first convolution reads there, 3 x 3 pixels.",
)

# %% [markdown]
# The network below has a stride of two, two plain convolutions and the pyramid from above. We train
# it three times and change nothing but the rates of its three branches, so the number of weights
# stays the same.

# %%
RATES = {"no dilation": (1, 1, 1), "one rate": (6, 6, 6), "three rates": (1, 3, 6)}


def train(rates):
    keras.utils.set_random_seed(0)
    street = keras.Input((64, 64, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(street)
    x = layers.Conv2D(24, 3, padding="same", activation="relu")(x)
    scores = pyramid_scores(x, 3, filters=24, rates=rates, dropout=0)
    model = keras.Model(street, BilinearUpsampling2D(2)(scores))
    model.compile(keras.optimizers.Adam(3e-3), CrossEntropy())
    seen = 32 if lesson.settings.quick else 400
    model.fit(images[:seen], labels[:seen], 16, lesson.settings.epochs, verbose=0)
    return np.argmax(model(images[400:]), -1)


answers = {name: train(rates) for name, rates in RATES.items()}

# %% [markdown]
# Now guess: on which sizes does each of the three fail, and where in an object?

# %%
shown = [7, 3, 20, 33, 41]
rows = {"image": images[400:][shown].clip(0, 1)}
for name, ids in {"truth": labels[400:], **answers}.items():
    rows[name] = np.array([GREY, PAINT[BUS], PAINT[HOUSE]])[ids[shown]]
lesson.figure(
    figures.image_rows(rows, "Without dilation, large objects fall into pieces"),
    "pieces",
    "Unseen streets. Answers have the colours of the frames: buses yellow, houses red.",
)

# %%
right = {name: ids == labels[400:] for name, ids in answers.items()}
accuracies = {
    name: {size: [100 * hits[glass[400:] == reach].mean()] for size, reach in REACHES.items()}
    for name, hits in right.items()
}
for name, of_size in accuracies.items():
    print(f"{name:12}", *(f"{size} {value[0]:.0f} %" for size, value in of_size.items()))
lesson.figure(
    figures.bars_with_ranges(
        accuracies, "glass pixels with the right class, %", "Several rates see every size"
    ),
    "sizes",
    "Accuracy on glass, by the size of the object. Always answering bus, or always house, would "
    "give about 50 %.",
)

# %% [markdown]
# Without dilation, the network sees nothing but glass in the middle of a larger object, so it gives
# all these middles the same answer. It is right for one class, and the objects of the other fall
# apart. A wide field joins them, but with one rate alone, holes are left where the taps miss the
# frame. With three rates, no size is left out.
#
# ## Sharper edges: a conditional random field
#
# A stride of $8$ still blurs edges by a few pixels, and bilinear interpolation cannot know where
# they are. But the image knows. DeepLab v1 and v2 therefore end with a *conditional random field*
# (CRF), which asks every pair of pixels to agree, the more so the closer they are and the more
# alike their colours are. Write $p_i(c)$ for the network's probability of class $c$ at pixel $i$.
# The CRF starts with $q_i = p_i$ and repeats a few times, where $\propto$ means that the $q_i(c)$
# are scaled to add up to one:
#
# $$q_i(c) \propto p_i(c)\, \exp\Big(\sum_{j \neq i} k(i, j)\, q_j(c)\Big),$$
#
# $$k(i, j) = w_1 \exp\Big(-\frac{|x_i - x_j|^2}{2 \theta_1^2}
# - \frac{|I_i - I_j|^2}{2 \theta_2^2}\Big)
# + w_2 \exp\Big(-\frac{|x_i - x_j|^2}{2 \theta_3^2}\Big).$$
#
# Here $x_i$ is the position of pixel $i$ and $I_i$ its colour; the widths $\theta$ say what counts
# as close and as alike, the weights $w_1$ and $w_2$ how strong the pull is. A pixel takes over the
# class of those that resemble it, so an edge between classes moves to an edge between colours.
# Nothing is trained. The library has it as `kerasseg.inference.dense_crf`. Like the code of
# Krähenbühl and Koltun, it scales each of the two terms of $k$ so that a weight means the same at
# any width, and it lets a pixel count among its own neighbours.
#
# We apply it to the shares on the finer grid from the top of this page, in place of a network's
# probabilities. The first term of $k$ is enough here, with settings that suit this image. Which
# objects will gain, and which will lose?

# %%
settings = {"appearance_weight": 3, "appearance_sigma": 20, "colour_sigma": 0.03}
before = shares_at(8)
after = dense_crf(image, before, smoothness_weight=0, **settings)
known = truth != streets.ignore_class
for name, q in {"before": before, "after": after}.items():
    print(f"{name} the CRF: {100 * np.mean(q.argmax(-1)[known] == truth[known]):.1f} % right")

# %%
part = (slice(20, 170), slice(130, 256))
crops = {"image": image[part], "ground truth": figures.paint(truth[part], streets.colours)}
for name, q in {"stride 8": before, "stride 8, then CRF": after}.items():
    crops[name] = figures.paint(q[part].argmax(-1), streets.colours)
lesson.figure(
    figures.panels(crops, columns=4, cell=2.2, title="The CRF moves edges to where colours change"),
    "crf",
    "A part of the street. Black in the ground truth is void, where nobody knows.",
)

# %% [markdown]
# The two signs and the trunk get straight edges. Most of the pole is gone: it fills only a small
# share of every cell, so its neighbours outvote it.
#
# ## Does it hold?
#
# Our street was drawn so that context decides. In a photograph, the windows of a bus often look
# different from those of a house, so several rates gain less, such as the three points in the
# paper's numbers above. It takes a trained encoder and large images to measure that.
#
# ## Where it breaks
#
# - **Memory and time.** With a stride of $8$ instead of $32$, the last stages have sixteen times as
#   many positions, and all of them are computed and, in training, stored. That is the price of
#   leaving the strides out. DeepLab v3 therefore goes back to a stride of $16$ for training.
#   DeepLab v3**+**, but none of the three before it, also saves weights with separable convolutions
#   (lesson 1).
# - **Gridding.** After several layers in a row with the same rate, neighbouring outputs share no
#   inputs (lesson 2). Rates have to vary, as they do in the context module.
# - **Small maps.** A rate as large as the map turns a $3 \times 3$ kernel into a $1 \times 1$
#   kernel (lesson 15).
# - **The CRF** trusts colours. Where two classes have the same colour, it can pull an edge to the
#   wrong place, and it erases thin objects that the network is unsure of. Later networks do
#   without.
#
# ## Summary
#
# - Setting a stride from two to one and doubling all later rates keeps every weight and every old
#   answer, and adds new ones between them.
# - DeepLab v1 is VGG with its last two strides turned into rates, and a thinned `fc6`.
# - DilatedNet drops the idle poolings and widens the field with rates that double, from an
#   identity.
# - DeepLab v2 adds the scores of several rates, because objects come in several sizes.
# - A CRF moves blurred edges to edges of the image, without training.
#
# ## Exercises
#
# 1. Set all rates of the context module to two and draw how an impulse spreads. Where are the
#    holes, and how large is the field?
# 2. What field would the module have with the rates $1, 2, 4, 8, 16, 32$? Use the formula, then
#    `kerasseg.receptive_field`.
# 3. In the check with VGG, change the rate of the fifth stage back to one. By how much do the old
#    positions differ now, and why?
# 4. Train the toy with rates of $12$ on all three branches. Which sizes fail, and why?
# 5. Try the CRF with `colour_sigma=0.003` and `colour_sigma=0.3`. What does a very small one do,
#    and what does a very large one do?
# 6. A small project: replace the pyramid of the toy by a chain of three layers with the rates
#    $1, 3$ and $6$. Is the chain as good as the pyramid, with as many weights in its $3 \times 3$
#    kernels?
#
# ## Further reading
#
# - Chen et al. 2015, [Semantic image segmentation with deep convolutional nets and fully connected
#   CRFs](https://arxiv.org/abs/1412.7062) (DeepLab v1)
# - Yu and Koltun 2016, [Multi-scale context aggregation by dilated
#   convolutions](https://arxiv.org/abs/1511.07122)
# - Chen et al. 2018, [DeepLab](https://arxiv.org/abs/1606.00915) (v2)
# - Krähenbühl and Koltun 2011, [Efficient inference in fully connected CRFs with Gaussian edge
#   potentials](https://arxiv.org/abs/1210.5644)
