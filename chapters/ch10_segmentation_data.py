# %% [markdown]
# # 10 · Data for segmentation: an image and its label map
#
# A classifier needs one label for each image. A segmentation network needs one label for each
# *pixel*: road, car, sky. The labels of one image are stored as a second image of the same size,
# the **label map**. It can be opened, resized, rotated and compressed with the same functions as a
# photograph, and that is the problem: some of these functions damage it. Nothing crashes. The
# training runs, its loss falls, and the network learns something else.
#
# This lesson follows an image and its label map from the file to the batch. At each step we look at
# what can go wrong, why, and how to see it before training.
#
# *You learn* how to store, resize, augment and check label maps, and how to feed them to a network.
# *In the book:* chapter 6, "Preparing data for smart car apps", and chapter 7, "Efficient input
# pipelines". *You need:* lesson 4 (interpolation). *Time:* half a minute on two cores.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from kerasseg import check_batch, datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.datasets.augmentation import augment
from kerasseg.losses import CrossEntropy, class_frequencies, median_frequency_weights
from kerasseg.metrics import MeanIoU

defaults = {"dataset": "street_scenes", "data_dir": None, "image_size": (48, 64), "epochs": 15}
choices = {"dataset": ("street_scenes", "camvid")}
lesson = Chapter(
    "ch10_segmentation_data", "Label maps", quick={"epochs": 1}, choices=choices, **defaults
)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Look first
#
# By default we use drawn street scenes, which come with the package and have perfect labels. (With
# `--dataset camvid --data-dir PATH` the page runs on photographs.) Before you write any other line
# of code for a new data set, do this: lay label maps over their images and look.

# %%
whole = datasets.load(
    lesson.settings.dataset, data_dir=lesson.settings.data_dir, augment=0, batch_size=32
)
names, colours, void = whole.class_names, whole.colours, whole.ignore_class
photos, maps = (np.asarray(batch) for batch in next(iter(whole.validation)))
lesson.figure(
    figures.label_overlay(photos[[4, 11]], maps[[4, 11]], names, colours, void),
    "overlay",
    "Images and the same images under their label maps. Outlines must lie on outlines.",
)

# %% [markdown]
# The legend shows two problems. Nearly half of the labelled pixels are road and hardly any are
# persons, so the classes are very unequal. And some pixels have no class at all: they are striped,
# and called *void*. We come back to both.
#
# ## A label is a name, not a number
#
# The values in a label map are **class ids**. Id 2 means sky and id 6 means pole because a table
# says so, the list of class names. Another table could swap them. So ids have no order, no
# distances and no mean: a pole is not three times a sky.
#
# The colours of a label map come from the same table. Painting it is one lookup: NumPy takes an
# array of ids as an index into the list of colours and returns one colour for each pixel.

# %%
sky, pole, road = (names.index(name) for name in ("sky", "pole", "road"))
ids = np.array([[sky, pole, sky, sky], [sky, pole, sky, sky], [road, void, road, road]])


def to_colours(ids):
    table = np.zeros((256, 3), "uint8")  # what is not a class stays black
    table[: len(colours)] = colours
    return table[ids]


fill, grey = {i: tuple(colours[i]) for i in (sky, pole, road)}, "#dddddd"
words = np.array([[names[i] if i != void else "void" for i in row] for row in ids])
lesson.figure(
    figures.number_grids(
        {"class ids": ids, "what they mean": words},
        ["look up"],
        colours={**fill, **{names[i]: c for i, c in fill.items()}, void: grey, "void": grey},
    ),
    "ids",
    f"A pole in front of the sky. The ids stand for names; {void} is void and no class.",
)
print("a road pixel is painted", to_colours(ids)[2, 0], "and a void pixel", to_colours(ids)[2, 1])

# %% [markdown]
# Many data sets store the colours instead of the ids. Then you go the other way and compare every
# pixel with every colour of the table. Start with an id that no class has, so that a colour which
# is missing from your table does not silently become class 0.


# %%
def to_ids(painted):
    ids = np.full(painted.shape[:2], 254)  # 254: a colour that the table does not know
    ids[(painted == 0).all(-1)] = void
    for class_id, colour in enumerate(colours):
        ids[(painted == colour).all(-1)] = class_id
    return ids


assert np.array_equal(to_ids(to_colours(ids)), ids)
assert np.array_equal(to_ids(to_colours(maps[0])), maps[0])

# %% [markdown]
# This works only while the colours are exact. JPEG changes them a little around every edge, and a
# changed colour is not a class any more. Label maps are stored as PNG, which keeps every value.
#
# ## Void: pixels without an answer
#
# Where two objects meet, one pixel often shows both. Annotators also leave out what they cannot
# recognise. Such pixels get the id 255 by convention. Void is not a class: the network has no
# output for it, it must cost nothing whatever the network says there, and it must not count in the
# score.
#
# Below, a network that has learned nothing yet gives all $C$ classes the same score, so each has
# the probability $1/C$. The cross-entropy of a pixel is minus the logarithm of the probability of
# its true class, here $\log C$. On void it is set to 0. A constant loss has no gradient, so the
# network does not learn from void either.

# %%
undecided = np.zeros((1, *ids.shape, len(names)), "float32")
costs = CrossEntropy(ignore_class=void, reduction=None)(ids[None], undecided)  # one per pixel
lesson.figure(
    figures.number_grids(
        {"class ids": ids, "loss of each pixel": np.asarray(costs[0])},
        ["loss"],
        windows={"class ids": [(2, 1, 1, 1)], "loss of each pixel": [(2, 1, 1, 1)]},
        colours={void: grey},
    ),
    "void",
    "Every labelled pixel costs the same here. The void pixel (framed) costs nothing.",
)
assert np.isclose(CrossEntropy(void)(ids[None], undecided), np.log(len(names)))

# %% [markdown]
# The last line shows one more fact: the loss of a batch is the mean over its *labelled* pixels, not
# over all. Otherwise a batch with much void would teach less than one without.
#
# ## Resizing: names have no mean
#
# The images of a batch need one size, so we resize. For an image, smooth (bilinear) interpolation
# is right: between dark and bright lies medium. What lies between sky and pole? Halving the size
# with bilinear interpolation takes the mean of four neighbours. Guess before you look: which class
# is the mean of sky and pole?

# %%
row = np.array([[sky, sky, sky, pole, pole, pole], [sky, sky, sky, pole, pole, pole]])
windows = row.reshape(2, 3, 2).swapaxes(0, 1).reshape(3, 4)  # one row for each 2 x 2 window
mean = np.rint(windows.mean(-1)).astype(int)
print("bilinear:", [names[i] for i in mean])
copied = np.asarray(ops.image.resize(row[..., None], (1, 3), "nearest"))[..., 0]
lesson.figure(
    figures.number_grids(
        {"label map": row, "bilinear": mean[None], "label map ": row, "nearest": copied},
        ["mean", None, "copy"],
        colours={i: tuple(colours[i]) for i in {sky, pole, *mean}},
        windows={"label map": [None, (0, 2, 2, 2)], "bilinear": [None, (0, 1, 1, 1)]},
        columns=2,
    ),
    "halved",
    "Half the size in two ways. The mean of sky and pole is the id of a third class. A copy is "
    "always an id that was there.",
)
smooth = ops.image.resize(row[..., None].astype("float32"), (1, 3), "bilinear")
assert np.allclose(np.squeeze(smooth), windows.mean(-1))

# %% [markdown]
# A car in the sky. Nobody drew it; it is the result of arithmetic with names. **Nearest-neighbour**
# resizing copies the id of one of the four pixels. Its edges are a little jagged, but it invents
# nothing.
#
# On a whole image the invented ids appear exactly where you would not notice them: along the
# outlines, one pixel wide.

# %%
label_map = maps[11].astype("float32")
height, width = (size // 2 for size in label_map.shape)
small = {
    kind: np.rint(ops.image.resize(label_map[..., None], (height, width), kind))[..., 0]
    for kind in ("nearest", "bilinear")
}
blocks = label_map[: 2 * height, : 2 * width].reshape(height, 2, width, 2).swapaxes(1, 2)
invented = (blocks.reshape(height, width, 4) != small["bilinear"][..., None]).all(-1)
outside = small["bilinear"] >= len(names)
painted = {kind: figures.paint(ids.astype(int), colours) for kind, ids in small.items()}
lesson.figure(
    figures.panels(
        {**painted, f"invented: {invented.mean():.0%} of the pixels": 1.0 * invented},
        title="Smooth resizing invents ids along every outline",
        columns=3,
    ),
    "resizing",
    "Left and middle: the label map at half its size. Black: void, or an id that no class has. "
    "Right, in blue: pixels whose id none of the four pixels behind them had.",
)
print(f"{outside[invented].mean():.0%} of the invented ids are outside the table of classes")

# %% [markdown]
# In the drawn streets void runs along every outline, and a mean with its id is larger than the id
# of any class. A check of the range finds it. Where two classes touch without void between them,
# the invented ids are *other classes*, and no check of the range can find them. The remedy is never
# to interpolate ids. (Shares of classes may be interpolated; lesson 11 does so.)
#
# ## Augment the pair
#
# Augmentation shows the network variants of each image: mirrored, enlarged, rotated, brighter. For
# segmentation there are two kinds of change, and they need different treatment.
#
# - A change that **moves** pixels must move the image and its label map in the same way.
# - A change of **colour** belongs to the image alone. A brighter car is still a car.
#
# The simplest way to move both alike is to stack them as channels of one array, move this array,
# and take it apart again:


# %%
def flip_and_crop(rng, image, ids):
    pair = np.concatenate([image, ids[..., None]], axis=-1)
    if rng.random() < 0.5:
        pair = pair[:, ::-1]
    height, width = (4 * size // 5 for size in ids.shape)
    top, left = (rng.integers(0, size // 5 + 1) for size in ids.shape)
    pair = pair[top : top + height, left : left + width]
    return pair[..., :3], pair[..., 3].astype(int)


as_image = np.stack([ids, ids, ids], axis=-1)  # an "image" whose colours are the ids
moved_image, moved_ids = flip_and_crop(np.random.default_rng(0), as_image, ids)
assert np.array_equal(moved_image[..., 0], moved_ids)

# %% [markdown]
# Flips and crops move whole pixels. Scaling and rotation need values *between* the old pixels, and
# we know from above what to do: the image is interpolated bilinearly, and the label map takes the
# nearest id. Where the variant shows what lies outside the original, nobody knows the class, and
# the label is void. The library's `augment` draws one random movement from a seed and does all of
# this. What happens if image and label map are moved by two different draws?

# %%
pair = tf.constant(photos[11]), tf.constant(maps[11])
image, together = augment(*pair, (0, 9), void=void)
_, other = augment(*pair, (0, 4), void=void)


def overlay(image, ids):
    tint = figures.tinted(np.asarray(ids)[None], np.asarray(ids)[None] == void, colours)[0]
    return 0.4 * np.asarray(image) + 0.6 * tint


lesson.figure(
    figures.panels(
        {
            "as it is": overlay(*pair),
            "one draw for both": overlay(image, together),
            "two draws": overlay(image, other),
        },
        columns=3,
    ),
    "pair",
    "With one draw, the colours stay on their objects. With two, the label map belongs to another "
    "view. Stripes: void, or outside the original image.",
)

# %% [markdown]
# With two draws the labels are not random, they are just elsewhere. Most sky pixels are still
# called sky and most road pixels road, but cars, persons and signs lose their labels. The mistake
# is hard to see in a number, and easy to see in this figure.
#
# ## From files to batches
#
# A pipeline prepares the next batches while the network works on the current one. The order of its
# steps matters:
#
# $$\text{read} \to \text{cache} \to \text{shuffle} \to \text{augment} \to \text{batch} \to
# \text{prefetch}$$
#
# - **Cache** right after reading: files are decoded once, not in every epoch.
# - **Shuffle** single pairs, before they are batched. Shuffled batches would always hold the same
#   neighbours.
# - **Augment** after the cache. Before it, the cache would keep one variant of each image for ever,
#   and the network would never see a second one.
# - **Prefetch** last, so that a batch is ready when the network asks for it.
#
# The argument `paired` is there for the experiment below. The number that `enumerate` gives to each
# pair serves as its seed: it goes on counting through all epochs, so no variant comes twice.


# %%
def batches(images, label_maps, paired=True):
    def vary(number, pair):
        image, ids = augment(*pair, (0, number), void=void)
        if not paired:
            _, ids = augment(*pair, (1, number), void=void)
        return image, ids

    pairs = tf.data.Dataset.from_tensor_slices((images, label_maps)).cache()
    pairs = pairs.shuffle(len(images), seed=0).repeat().enumerate()
    pairs = pairs.map(vary, num_parallel_calls=tf.data.AUTOTUNE)
    return pairs.batch(16).prefetch(tf.data.AUTOTUNE)


# %% [markdown]
# `datasets.load` of this package builds the same pipeline from any folder of images and masks. We
# use it here without augmentation, to get small images as arrays.

# %%
size = lesson.settings.image_size
data = datasets.load(
    lesson.settings.dataset, data_dir=lesson.settings.data_dir, image_size=size, batch_size=32
)
images, label_maps = map(np.concatenate, zip(*data.train.as_numpy_iterator()))
test_images, test_maps = map(np.concatenate, zip(*data.validation.as_numpy_iterator()))
check_batch(images[:32], label_maps[:32], len(names), void)

# %% [markdown]
# `check_batch` looks for the mistakes that numbers can show (a wrong pair is not one of them), and
# here it finds none. This is what it says about a label map that somebody divided by 255, together
# with the image:

# %%
try:
    check_batch(images[:1], label_maps[:1] / 255, len(names), void)
except ValueError as error:
    print(error)

# %% [markdown]
# ## What does a wrong pair cost?
#
# Let us make the mistake on purpose. We train the same small network twice, on the same images in
# the same order. One run gets pairs that are moved together, the other gets image and label map
# moved by two draws. The network is simple: two convolutions with a stride, three with a growing
# dilation (lesson 2) to see further, one score for each class, and bilinear enlargement.


# %%
def small_network(num_classes):
    image = x = keras.Input((None, None, 3))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    for rate in (1, 2, 4):
        x = layers.Conv2D(32, 3, dilation_rate=rate, padding="same", activation="relu")(x)
    scores = layers.Conv2D(num_classes, 1)(x)
    return keras.Model(image, layers.UpSampling2D(4, interpolation="bilinear")(scores))


losses, answers, scores = {}, {}, {}
for name, paired in (("one draw", True), ("two draws", False)):
    keras.utils.set_random_seed(0)
    network = small_network(len(names))
    network.compile(keras.optimizers.Adam(4e-3), CrossEntropy(void))
    history = network.fit(
        batches(images, label_maps, paired),
        steps_per_epoch=len(images) // 16,
        epochs=lesson.settings.epochs,
        shuffle=False,  # the pipeline has shuffled them
        verbose=0,
    )
    losses[name] = history.history["loss"]
    metric = MeanIoU(len(names), void)
    answers[name] = network.predict(test_images, verbose=0)
    metric.update_state(test_maps, answers[name])
    scores[name] = float(metric.result()), metric.per_class()

# %% [markdown]
# Guess before you run the next cell: does the training loss of the second run fall? And would you
# notice the mistake if you had only that run?

# %%
for name, values in losses.items():
    print(
        f"{name}: loss {values[0]:.2f} to {values[-1]:.2f}, mean IoU on unseen images "
        f"{scores[name][0]:.2f}"
    )
chosen = [4, 11, 20]
rows = {"image": test_images[chosen]}
for name, ids in (("truth", test_maps), *((n, a.argmax(-1)) for n, a in answers.items())):
    rows[name] = figures.tinted(ids[chosen], test_maps[chosen] == void, colours)
lesson.figure(
    figures.image_rows(rows, "With two draws, every street gets nearly the same answer", cell=1.6),
    "cost",
    "Unseen images, their label maps, and what the two networks say. Stripes: void, not scored.",
)

# %% [markdown]
# Both losses fall. Seen alone, the second run looks like a network that needs more time or more
# filters. What it learns is an average over all the labels that it was shown for such a place: the
# large regions survive, but their outlines lie where they usually are in a street, not where they
# are in this image. (*Mean IoU* is the usual score: for each class the overlap of prediction and
# truth, divided by their union, and then the mean over the classes. Lesson 11 computes it by hand.)
#
# ## The classes are not equal
#
# Count the pixels. Let $n_c$ be the number of pixels of class $c$ in the training set; the share of
# the class is $f_c = n_c / \sum_k n_k$, with $k$ running over all classes and void left out. A loss
# that takes the mean over all pixels cares about a class in proportion to $f_c$. A network that
# calls everything road is right on nearly half of the pixels, so accuracy would praise it.

# %%
shares = class_frequencies(label_maps, len(names), void)
labelled = label_maps[label_maps != void]
assert np.allclose(shares, np.bincount(labelled, minlength=len(names)) / len(labelled))
lesson.figure(
    figures.per_class_bars(scores["one draw"][1], shares, names, colours),
    "imbalance",
    "Left: how well the network finds each class. Right: how much of the training set it fills, on "
    "a logarithmic axis.",
)

# %% [markdown]
# The network finds what is common and misses what is rare. It has no reason to do otherwise: a
# better outline of the road lowers the loss more than a first sign.
#
# One remedy is to make a pixel of a rare class count more. **Median frequency balancing** gives
# class $c$ the weight
#
# $$w_c = \frac{\operatorname{median}_k(g_k)}{g_c},$$
#
# where $g_c$ is the share of the class in those images *in which it occurs*. A class that is small
# wherever it occurs gets a large weight; a class that is merely missing from many images does not.

# %%
weights = median_frequency_weights(label_maps, len(names), void)
for class_id in np.argsort(-shares):
    print(f"{names[class_id]:<11} share {shares[class_id]:6.2%}  weight {weights[class_id]:6.2f}")
loss = CrossEntropy(ignore_class=void, class_weights=weights)

# %% [markdown]
# Weights shift the balance, they do not add information. The rare classes gain, and the common ones
# pay for it (exercise 4). Whether that is what you want depends on the task: for a car that must
# not hit anybody, a person is worth a blurred kerb.
#
# ## Does it hold?
#
# On photographs (CamVid, three seeds) the small network reached a mean IoU of 0.20 with pairs that
# were moved together and 0.16 with pairs moved apart; the training loss fell in both cases.
# Bilinear resizing to half the size invented 2.7 % of the pixels there, and two thirds of these
# were ids of other classes ([experiment](results/segmentation_data_camvid/results.md)). Retrained
# on label maps that were resized bilinearly, the network lost too little for three seeds to tell: a
# few wrong pixels along the outlines do little damage, but it costs nothing to avoid.
#
# ## Where it breaks
#
# Correct pairs are not yet good labels. People draw outlines differently and forget small objects.
# Where labels disagree, no network can agree with all of them. Splits are another trap:
# neighbouring frames of a video are nearly the same image, so a random split puts copies of the
# training set into the test set. Keep whole videos together.
#
# With correct batches we can build a network for them. Lesson 11 turns a classifier into the first
# one, the FCN.
#
# ## Summary
#
# - A label map is an image whose values are names. Never interpolate ids or save them as JPEG.
# - Void pixels have no answer: they cost nothing, teach nothing and are not scored.
# - Whatever moves pixels moves image and label map together. Whatever changes colours changes the
#   image alone.
# - Read, cache, shuffle, augment, batch, prefetch, in this order.
# - A falling loss does not show that the labels are right. Overlays do.
#
# ## Exercises
#
# 1. Save a painted label map as JPEG, read it again and apply `to_ids`. How many pixels have a
#    colour that is not in the table?
# 2. Put `cache` behind the augmentation and count how many different variants of one image three
#    epochs show. Then put it back.
# 3. Rotate a label map by 5 degrees and back, with `scipy.ndimage.rotate` of order 0 and of order
#    1. Which ids appear? How many pixels differ from the original?
# 4. Train the small network with the class weights from above. Which classes gain, which lose, and
#    what happens to the mean IoU?
# 5. Let `flip_and_crop` turn some pairs *upside down* as well. Why is this a bad augmentation for
#    streets, and a good one for images of cells?
# 6. A small project: write ten images and painted label maps into `images/` and `masks/` with a
#    `classes.txt`, load them with `datasets.load("folder", ...)`, damage one mask and let
#    `kerasseg.check_dataset` find it.
#
# ## Further reading
#
# - Cordts et al. 2016, [The Cityscapes dataset for semantic urban scene
#   understanding](https://arxiv.org/abs/1604.01685): classes, void, and how people annotate
# - Brostow, Fauqueur and Cipolla 2009, [Semantic object classes in video: a high-definition ground
#   truth database](https://doi.org/10.1016/j.patrec.2008.04.005): CamVid
# - Eigen and Fergus 2015, [Predicting depth, surface normals and semantic
#   labels](https://arxiv.org/abs/1411.4734): median frequency weights, adopted by
#   [SegNet](https://arxiv.org/abs/1511.00561)
