# %% [markdown]
# # 12 · U-Net: handing the detail across
#
# A segmentation network answers two questions about every pixel: *what* is here, and *where* does
# it end? To know what, the network must look at a large part of the image, so it pools again and
# again. Each pooling forgets where. After four of them, one position of the feature map stands for
# a block of $16 \times 16$ pixels.
#
# The first figure below shows what that means for a street scene. Its right column is the ground
# truth with a single label for each block. Poles and signs are gone and cars are boxes. A decoder
# that starts from so coarse a map can only guess the outlines. **U-Net** need not guess: it keeps a
# copy of the maps from before each pooling and hands them across to the decoder.
#
# In this lesson you write U-Net, train it with and without these copies, look at the difference,
# and use the network as you would in your own project.
#
# *You learn* how to build, train, save and use a U-Net, and what its skip connections carry.
# *In the book:* chapter 6, "Enhancing and Segmenting Images".
# *You need:* lessons 10 and 11 (label maps, skips that add).
# *Time:* two to three minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

import kerasseg
from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.inference import watershed_instances
from kerasseg.layers import (
    CenterCropLike,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    PadToMultiple,
)
from kerasseg.losses import CrossEntropyDice, Dice, class_frequencies
from kerasseg.metrics import MeanIoU
from kerasseg.palette import DIGITS
from kerasseg.training import UpdateBatchNorm

defaults = {"dataset": "street_scenes", "data_dir": None, "image_size": (80, 112)}
choices = {"dataset": ("street_scenes", "nuclei")}
quick = {"epochs": 1, "image_size": (32, 48)}
lesson = Chapter("ch12_unet", "U-Net", epochs=10, **defaults, quick=quick, choices=choices)
settings = lesson.settings
keras.utils.set_random_seed(0)

# %% [markdown]
# ## The data, and the problem
#
# We use the drawn street scenes of lesson 10: eight classes, and void (striped) where two objects
# meet. `coarse` keeps one label for each block of $16 \times 16$ pixels, the one that most of its
# pixels have, and fills the block with it.

# %%
options = {"data_dir": settings.data_dir, "image_size": settings.image_size}
data = datasets.load(settings.dataset, augment=0, **options)
train = data.train.take(2) if settings.quick else data.train
images, truth = (np.concatenate(part) for part in zip(*data.validation.as_numpy_iterator()))
shares = ops.average_pool(ops.one_hot(truth, data.num_classes), 16)
coarse = np.asarray(ops.argmax(shares, axis=-1)).repeat(16, axis=1).repeat(16, axis=2)
figure = figures.predictions(
    *(images[:2], truth[:2], coarse[:2]), data.class_names, data.colours, data.ignore_class
)
figure.axes[2].set_title("truth, one label a block")
lesson.figure(figure, "problem", "What is left of a label map at the size of the deepest features.")

# %% [markdown]
# ## The idea: two maps, each with half of the answer
#
# Suppose that the network is looking for cars, and that it has two maps. A **fine** map from an
# early layer marks every dark pixel. It has the exact outline of the car, but it also marks windows
# and shadows. A **coarse** map from a deep layer says that there is a car in the upper half of the
# image, but not where it ends.
#
# Now enlarge the coarse map, lay it beside the fine one as a second channel, and let a convolution
# of size $1 \times 1$ combine the two: add the channels, subtract one, and cut off what is
# negative. Only pixels with both marks survive. Can you say which, before you look?

# %%
fine = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]])
coarse = np.array([[1, 1], [0, 0]])

enlarged = coarse.repeat(2, axis=0).repeat(2, axis=1)
channels = np.stack([fine, enlarged], axis=-1)
car = np.maximum(channels @ np.array([1, 1]) - 1, 0)

# %%
lesson.figure(
    figures.number_grids(
        {"coarse: a car is near": coarse, "enlarged": enlarged, "fine: dark": fine, "car": car},
        ["copy", "+", "minus 1, ReLU"],
        marks={"coarse: a car is near": [[(0, 0), (0, 1)]], "car": [list(np.argwhere(car == 1))]},
        title="Only pixels with both marks survive",
    ),
    "two_maps",
    "The coarse map knows what, the fine map knows where. Together they know both.",
)

# %% [markdown]
# The same in Keras takes three layers, of which only the convolution has weights.

# %%
fine_map, coarse_map = (x[None, :, :, None].astype("float32") for x in (fine, coarse))
joined = layers.Concatenate()([fine_map, layers.UpSampling2D(2)(coarse_map)])
convolution = layers.Conv2D(1, 1, activation="relu")
convolution.build(joined.shape)
convolution.set_weights([np.ones((1, 1, 2, 1)), np.array([-1.0])])
assert np.allclose(ops.squeeze(convolution(joined)), car)

# %% [markdown]
# ## Why concatenate, and not add?
#
# FCN (lesson 11) hands across maps of *scores* and adds them: the third channel of both stands for
# the same class, so the sum makes sense. U-Net hands across *features*, and it *concatenates* them:
# the fine and the coarse channels lie side by side, and the next convolution has separate weights
# for each. Write $f$ for the fine map, $c$ for the enlarged coarse one, $W_f$ and $W_c$ for the two
# halves of the kernel, and $*$ for convolution. Then
#
# $$\text{concatenated: } W_f * f + W_c * c, \qquad \text{added: } W * (f + c) = W * f + W * c.$$
#
# Adding is the special case in which both maps must share one kernel, so that the third channel of
# both has to mean the same. Concatenation leaves each map its own language, and it pays with a
# kernel twice as large.

# %%
random = np.random.default_rng(0)
f, c = random.normal(size=(2, 1, 5, 6, 3)).astype("float32")
kernel = random.normal(size=(3, 3, 3, 4)).astype("float32")

twice = np.concatenate([kernel, kernel], axis=2)  # the same weights for both halves
of_joined = ops.conv(np.concatenate([f, c], axis=-1), twice, padding="same")
assert np.allclose(of_joined, ops.conv(f + c, kernel, padding="same"), atol=1e-4)

# %% [markdown]
# ## The network
#
# Here is all of U-Net. Read it along the drawing below it.
#
# - **Down the left side**, each of four stages has two $3 \times 3$ convolutions, and a pooling
#   that halves the map. Filters double from stage to stage. Before each pooling we keep the map in
#   `skips`.
# - **At the bottom** lie two more convolutions, whose units see the largest part of the image.
# - **Up the right side**, a transposed convolution (lesson 4) doubles the map. The map from the
#   same height of the left side is laid beside it, and two convolutions combine the two.
# - **At the end**, a $1 \times 1$ convolution gives each pixel one score per class.
#
# Batch normalization, which the paper does not have, keeps the maps of a deep network on one scale.
# It has an offset of its own, so the convolutions need no bias. Dropout zeroes some values in the
# deepest maps during training, so that the network does not rely on any single one. `PadToMultiple`
# and `CenterCropLike` let an image of any size through four halvings. The last argument is ours: it
# takes the skips out.


# %%
def unet(input_shape, num_classes, width=1.0, dropout=0.5, with_skips=True):
    def two_convs(x, filters, name):
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
        for i in (1, 2):
            x = layers.Conv2D(filters, 3, name=f"{name}_conv{i}", **options)(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
        return x

    filters = {stage: round(32 * 2**stage * width) for stage in (1, 2, 3, 4, 5)}
    image = keras.Input(input_shape, name="image")
    x = PadToMultiple(16)(image)
    skips = {}

    for stage in (1, 2, 3, 4):
        x = two_convs(x, filters[stage], f"encoder{stage}")
        x = layers.Dropout(dropout)(x) if stage == 4 else x
        skips[stage] = x
        x = layers.MaxPooling2D(2, name=f"encoder{stage}_pool")(x)

    x = two_convs(x, filters[5], "bottleneck")
    x = layers.Dropout(dropout)(x)

    for stage in (4, 3, 2, 1):
        up = layers.Conv2DTranspose(
            filters[stage], 2, 2, kernel_initializer="he_normal", name=f"decoder{stage}_up"
        )
        x = up(x)
        if with_skips:
            x = layers.Concatenate(name=f"decoder{stage}_concat")([skips[stage], x])
        x = two_convs(x, filters[stage], f"decoder{stage}")

    scores = layers.Conv2D(num_classes, 1, name="scores")(x)
    return keras.Model(image, CenterCropLike()(scores, image), name="unet")


# %%
shape = (None, None, 3)
with keras.StatelessScope(initialize_variables=False):  # shapes alone, no memory for weights
    full_size, library = unet(shape, num_classes=2), models.unet(shape, num_classes=2)

lesson.figure(
    figures.architecture(full_size),
    "architecture",
    "U-Net, drawn from the function above: white boxes are the copies that are handed across.",
)

# %% [markdown]
# The library has it as `kerasseg.models.unet`. Counting weights is a quick test that we built the
# same network:

# %%
assert full_size.count_params() == library.count_params()
print(f"{full_size.count_params():,} weights")

# %% [markdown]
# ## A loss that scores overlap
#
# Cross-entropy (lesson 11) adds up pixels. If one pixel in a hundred belongs to a pole, a network
# that forgets all poles loses almost nothing. **Dice** scores each class by its overlap instead.
# Let $g_i = 1$ where pixel $i$ belongs to the class and $g_i = 0$ elsewhere, and $p_i$ the
# probability that the network gives to the class there. Then
#
# $$\text{Dice} = \frac{2 \sum_i p_i\, g_i}{\sum_i p_i + \sum_i g_i},$$
#
# twice the overlap over the sum of both areas: one for a perfect prediction, zero without overlap,
# however small the class is. The loss is one minus the mean of Dice over the classes that occur. By
# hand, for a pole of four pixels that the network half sees:

# %%
g = np.zeros((4, 4))
g[:, 1] = 1
p = np.zeros((4, 4))
p[:, 1], p[:, 2] = (1, 1, 0.5, 0), (0, 0, 0.5, 1)

dice = 2 * (p * g).sum() / (p.sum() + g.sum())
grids = {"truth g": g, "probability p": p, "overlap p g": p * g}
title = f"Dice = 2 · {(p * g).sum():g} / ({p.sum():g} + {g.sum():g}) = {dice:g}"
lesson.figure(
    figures.number_grids(grids, ["", ""], shades=list(grids), title=title),
    "dice",
    "A pole of four pixels, and a prediction that drifts to the right halfway down.",
)

# %% [markdown]
# `kerasseg.losses.Dice` gives the same number. It takes a batch of label maps and of predictions,
# here with one channel, the probability of class one. `class_weights=[0, 1]` leaves the background
# out, and `from_logits=False` says that these are probabilities.

# %%
loss = Dice(class_weights=[0, 1], from_logits=False)
assert np.isclose(loss(g[None].astype(int), p[None, ..., None]), 1 - dice)

# %% [markdown]
# Dice alone has a weakness. A network produces a score $z$ and turns it into a probability, here by
# the sigmoid, $p = 1 / (1 + e^{-z})$, and learning follows the slope of the loss with respect to
# $z$. The sigmoid has the slope $p (1 - p)$, and Dice passes it on: its slope is largest where the
# network is unsure and vanishes where it is sure, *even if it is sure and wrong*. In cross-entropy
# the logarithm cancels the factor $p$. For a class of one pixel the slopes are
#
# $$\left|\frac{\partial\, \text{cross-entropy}}{\partial z}\right| = 1 - p, \qquad
# \left|\frac{\partial\, \text{Dice}}{\partial z}\right| = \frac{2\, p\, (1 - p)}{(1 + p)^2}.$$

# %%
z = np.arange(-8, 7)
p = 1 / (1 + np.exp(-z))
slopes = {"cross-entropy": 1 - p, "Dice": 2 * p * (1 - p) / (1 + p) ** 2}
title = "Where the network is sure and wrong, Dice does not push"
lesson.figure(
    figures.lines(z, slopes, "score z of the true class", "slope of the loss", title),
    "slopes",
    "At the left the network is sure that the pixel is something else.",
)

# %% [markdown]
# So the two complement each other, and we train with their sum, `CrossEntropyDice`.
#
# ## Train: with and without skips
#
# We train two networks that differ in one argument, both an eighth as wide as the paper's so that
# they learn quickly. Pixels of rare classes count more (lesson 11): by the square root of how much
# rarer their class is than the commonest one. The learning rate falls along a cosine (lesson 8).
# `UpdateBatchNorm` makes the running averages of batch normalization follow fast enough for so
# short a training. The data set shuffles by itself (`shuffle=False`).

# %%
shares = class_frequencies(data.train, data.num_classes, data.ignore_class)
class_weights = (shares.max() / shares) ** 0.5

# %%
trained = {}
for name, with_skips in (("with skips", True), ("without skips", False)):
    model = unet((None, None, 3), data.num_classes, width=1 / 8, dropout=0.1, with_skips=with_skips)
    falling = keras.optimizers.schedules.CosineDecay(4e-3, settings.epochs * len(train))
    model.compile(
        keras.optimizers.Adam(falling),
        CrossEntropyDice(data.ignore_class, class_weights),
        metrics=[MeanIoU(data.num_classes, data.ignore_class)],
    )
    print(f"\n{name}")
    model.fit(
        train, epochs=settings.epochs, callbacks=[UpdateBatchNorm()], shuffle=False, verbose=2
    )
    trained[name] = model

# %% [markdown]
# ## Look: where do they differ?
#
# Make two guesses first. Which classes lose most without skips, and where in an image do the two
# networks disagree?

# %%
answers = {name: model.predict(images, verbose=0) for name, model in trained.items()}
per_class = {}
for name, scores in answers.items():
    metric = MeanIoU(data.num_classes, data.ignore_class)
    metric.update_state(truth, scores)
    per_class[name] = metric.per_class()
    print(f"{name:<14} mean IoU {float(metric.result()):.2f}")
for class_name, *numbers in zip(data.class_names, *per_class.values()):
    print(f"{class_name:<12}", *(f"{number:6.2f}" for number in numbers))

# %% [markdown]
# The network with skips reaches a mean IoU of about 0.6, the other one of less than 0.5. Road and
# sky change little: they are large, and their outlines are short. Trees, buildings and cars have
# longer outlines and lose more. Persons, poles and signs are so small that four poolings leave next
# to nothing of them: with skips they are found in part, without skips they are gone.
#
# We look at the windows in which the skips repair the most pixels, one in each of the four images
# that gain most: these are the best cases.

# %%
answers = {name: scores.argmax(-1) for name, scores in answers.items()}
repaired = (answers["with skips"] == truth) & (answers["without skips"] != truth)
repaired &= truth != data.ignore_class
height, width = (size // 2 for size in settings.image_size)
sums = sliding_window_view(repaired, (height, width), axis=(1, 2)).sum((-2, -1))

crops = []
for index in np.argsort(sums.max((1, 2)))[-4:]:
    top, left = np.unravel_index(sums[index].argmax(), sums[index].shape)
    crops.append((index, slice(top, top + height), slice(left, left + width)))

# %%
rows = {"image": np.stack([images[crop] for crop in crops])}
for name, ids in {"truth": truth, **answers}.items():
    ids = np.stack([ids[crop] for crop in crops])
    rows[name.replace(" ", "\n")] = figures.tinted(ids, ids == data.ignore_class, data.colours)
title = "Without skips, outlines turn into blobs and small objects vanish"
lesson.figure(
    figures.image_rows(rows, title, cell=1.2),
    "skips",
    "Validation images, cropped to where the networks differ. Colours as in the first figure.",
)

# %% [markdown]
# In the bottom row the layout is mostly right: sky above, cars in front. But everything is a smooth
# blob, because it is drawn from a map of a few positions, and in the last column a large tree has
# become a wall. The row above follows roofs, trees and some of the poles. This network is narrow
# and has learned for a minute, so poles break, cars run together and some walls turn into signs.
#
# ## Save it, load it, use it
#
# A `.keras` file holds the layers, the weights, the loss and the state of the optimizer. Import
# `kerasseg` before you load one that uses our layers or losses.

# %%
path = lesson.output / "unet.keras"
trained["with skips"].save(path)
restored = keras.saving.load_model(path)
assert np.array_equal(restored(images[:4]), trained["with skips"](images[:4]))

# %% [markdown]
# `kerasseg.predict_image` takes a model and *one* image of any size, as floats in $[0, 1]$ or as
# bytes, and returns the class of every pixel. It cuts images that are too large for the memory into
# overlapping tiles if you say `tile=512`. Our new image is three test images side by side. Nothing
# in a fully convolutional network fixes the width.

# %%
new_images, _ = next(data.test.as_numpy_iterator())
panorama = np.concatenate(list(new_images[:3]), axis=1)
# Your own: panorama = np.asarray(keras.utils.load_img("street.jpg"))
classes = kerasseg.predict_image(restored, panorama)
nowhere = np.zeros(classes.shape, bool)
painted = figures.tinted(classes[None], nowhere[None], data.colours)[0]
lesson.figure(
    figures.panels({"new image": panorama, "predicted classes": painted}, columns=1, cell=7),
    "new_image",
    "Three times as wide, through the same network. At the seams, which no street has, it errs.",
)

# %% [markdown]
# ## Our layers in a network of your own
#
# The layers of this package are ordinary Keras layers. Here is a small network that is in no paper:
# it pools with a mask and unpools with it (lesson 5), so what it hands across are positions instead
# of maps. It trains, saves and loads like any other. Lesson 13 shows two famous relatives.

# %%
image = keras.Input((None, None, 3))
x = layers.Conv2D(16, 5, padding="same", activation="relu")(image)
x, mask = MaxPoolingWithArgmax2D(2)(x)
x = layers.Conv2D(16, 5, padding="same", activation="relu")(x)
x = MaxUnpooling2D(2)(x, mask)
own = keras.Model(image, layers.Conv2D(data.num_classes, 5, padding="same")(x))
own.compile("adam", CrossEntropyDice(data.ignore_class))
own.fit(train.take(20), shuffle=False, verbose=2)

own.save(lesson.output / "own.keras")
again = keras.saving.load_model(lesson.output / "own.keras")
assert np.array_equal(again(images[:4]), own(images[:4]))

# %% [markdown]
# ## How many are there? Counting by watershed
#
# The network says which pixels are car, not which car. Counting connected regions is the obvious
# next step, but two objects that touch are one region. The **watershed** separates them where the
# region is narrow. Give each pixel a height, its distance from the nearest pixel outside. Each
# object becomes a hill, and touching objects are hills with a pass between them. Turn the landscape
# upside down, let water rise from every summit, and build a dam wherever two waters meet. U-Net was
# made for images of cells, which touch all the time, and its loss gives the gaps between them a
# large weight.
#
# With `--dataset nuclei --data-dir PATH --image-size 128 128` this page trains on the cell nuclei
# of the 2018 Data Science Bowl (`kerasseg.datasets.load` describes the folder) and counts them. By
# default it counts cars.

# %%
counted = "nucleus" if settings.dataset == "nuclei" else "car"
numbered = datasets.load(settings.dataset, target="instances", augment=0, **options)
instances = np.concatenate([ids for _, ids in numbered.validation.as_numpy_iterator()])
masks = {"truth": truth == data.class_names.index(counted)}
masks["network"] = answers["with skips"] == data.class_names.index(counted)

found = {
    "truth": np.where(masks["truth"], instances, 0),
    "regions": np.stack([ndimage.label(mask)[0] for mask in masks["network"]]),
    "watershed": np.stack([watershed_instances(mask, 4) for mask in masks["network"]]),
}
numbers = {
    name: np.array([len(np.unique(ids)) - 1 for ids in maps]) for name, maps in found.items()
}
for name, count in numbers.items():
    print(
        f"{name:<10} {count.sum():5d}, wrong by {abs(count - numbers['truth']).mean():.2f} an image"
    )

# %%
crowded = numbers["truth"].argmax()
colours = np.array([(245, 245, 245), *DIGITS], "uint8")
panels = {"image": images[crowded]}
for name, maps in found.items():
    ids = maps[crowded]
    panels[f"{name}: {numbers[name][crowded]}"] = figures.paint(
        np.where(ids, 1 + ids % 10, 0), colours
    )
lesson.figure(
    figures.panels(panels, title="Touching objects are one region", columns=2, cell=3.4),
    "instances",
    "The validation image with the most objects, one colour for each.",
)

# %% [markdown]
# Regions see a whole row of parked cars as one. Watershed cuts the row into pieces, and the error
# in the number of cars shrinks by a third. It is still not good at cars, and in total it now finds
# too many: cars hide each other, and the narrowest place in a row of them need not lie between two
# of them. Nuclei are rounder and rarely hide each other, so there the narrow places are the right
# ones: regions count about seven of ten nuclei, watershed about nine.
#
# > **A relative: FC-DenseNet.** If copies help once, why not everywhere? In a *dense block* each
# > layer sees the maps of all layers before it, concatenated, and adds a few of its own, such as
# > twelve, so the layers can be narrow: `fc_densenet56` has 56 layers, the skip connections of
# > U-Net, and fewer than five per cent of its weights. On the way up it enlarges only the *new*
# > maps of each block. The price is memory: all those maps must be kept for the gradient.

# %% [markdown]
# ## Does it hold?
#
# On photographs of streets (CamVid, $96 \times 128$ pixels, a quarter of the paper's width) a U-Net
# reaches a mean IoU of 0.52 on images it has not seen. Going on from there with Dice alone gave
# 0.50, with the sum of both losses 0.52, no more than with cross-entropy
# ([experiment](results/unet_camvid/results.md)).
#
# ## Where it breaks
#
# - **Large objects.** A unit at the bottom sees 140 pixels in a row. A truck that is a thousand
#   pixels wide falls into pieces. Scale the image down, or widen the view (lesson 14).
# - **Noise.** Skips pass it on.
# - **Memory.** Training keeps every map of the left side until the right side has used it.
# - **Touching instances.** A label map cannot separate them, and watershed knows only shapes. Two
#   objects that overlap broadly stay one.
#
# ## Summary
#
# - Deep maps know what, early maps know where. A skip connection brings them together.
# - Concatenation lets the decoder weigh the two separately. Adding is a special case of it.
# - Dice scores overlap and treats small classes like large ones, but it does not push where the
#   network is sure and wrong. Cross-entropy does, so we add the two.
# - A saved network loads in one line and segments images of any size with `predict_image`.
#
# ## Exercises
#
# 1. Give the network only the skip of the first stage, then only that of the fourth. Which one
#    draws the poles?
# 2. Replace the concatenation by `layers.Add`. How many weights does that save at full width?
# 3. Train with `CrossEntropy` alone and compare the IoU of poles and signs.
# 4. Ask `predict_image` for `output="probabilities"` and draw how unsure the network is at each
#    pixel. Where is it unsure?
# 5. Show that the paper's network without padding, `models.unet(..., padding="valid")`, turns $572$
#    rows into $388$. Where do the others go?
# 6. *Project.* Draw discs that overlap and count them by regions and by watershed. How far may two
#    discs overlap before watershed sees one?
#
# ## Further reading
#
# - Ronneberger, Fischer and Brox 2015,
#   [U-Net: convolutional networks for biomedical image segmentation](https://arxiv.org/abs/1505.04597)
# - Milletari, Navab and Ahmadi 2016, [V-Net](https://arxiv.org/abs/1606.04797), which introduces
#   the Dice loss
# - Jégou and others 2017, [The one hundred layers tiramisu](https://arxiv.org/abs/1611.09326),
#   FC-DenseNet
# - Isensee and others 2021, [nnU-Net](https://arxiv.org/abs/1809.10486), what it takes to make a
#   plain U-Net win
