# %% [markdown]
# # 11 · FCN: from a heat map to a class for every pixel
#
# In lesson 3 a classifier became a network that answers at every position of an image: its dense
# layers turned into convolutions, and its answer into a heat map. For segmentation this is almost
# what we want. Almost, because the map is coarse. After five poolings there is one answer for each
# square of $32 \times 32$ pixels, and a person in the distance is smaller than that.
#
# The **fully convolutional network** (FCN) was the first to start from a trained classifier and
# learn the whole way from image to label map. It has two ideas. A layer that starts as bilinear
# interpolation enlarges the scores. And what pooling lost can be looked up in earlier maps, which
# are finer: their scores are added on the way up, one rung of a ladder after the other.
#
# *You learn* how to build FCN-32s, FCN-16s and FCN-8s, to train them one after the other, and to
# judge them by their mean IoU.
# *In the book:* chapter 6, fully convolutional networks (notebook 5). *You need:* lessons 3 (heat
# maps), 4 (transposed convolution) and 10 (label maps). *Time:* two to three minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.losses import CrossEntropy, class_frequencies
from kerasseg.metrics import BoundaryIoU, MeanIoU

defaults = {"dataset": "street_scenes", "data_dir": None, "image_size": (192, 256), "epochs": 5}
choices = {"dataset": ("street_scenes", "camvid")}
quick = {"epochs": 1, "image_size": (32, 64)}
lesson = Chapter("ch11_fcn", "FCN", quick=quick, choices=choices, **defaults)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## How much can a coarse map say?
#
# Let us first ask the question without a network. We take a true label map and keep only the share
# of each class in every square. Then we enlarge these shares smoothly and let the largest win. FCN
# makes its answer from scores in the same way, except that our scores come from the truth. (Scores
# need not be shares, so this is a guide and not a strict limit.)

# %%
size = lesson.settings.image_size
data = datasets.load(
    lesson.settings.dataset, data_dir=lesson.settings.data_dir, image_size=size, batch_size=8
)
names, colours, void = data.class_names, data.colours, data.ignore_class
train = data.train.take(2) if lesson.settings.quick else data.train
photos, truth = (np.asarray(batch) for batch in next(iter(data.validation)))


def through_squares(label_map, side):
    """The label map that is left of the shares in squares of `side` pixels."""
    one_hot = (label_map[None, ..., None] == np.arange(len(names))).astype("float32")
    shares = layers.AveragePooling2D(side)(one_hot)
    return np.asarray(BilinearUpsampling2D(side)(shares)).argmax(-1)[0]


def painted(ids, known):
    return figures.tinted(ids[None], known[None] == void, colours)[0]


views = {f"stride {side}": through_squares(truth[4], side) for side in (32, 16, 8, 4)}
lesson.figure(
    figures.panels(
        {
            "image": photos[4],
            "truth": painted(truth[4], truth[4]),
            **{name: painted(ids, truth[4]) for name, ids in views.items()},
        },
        title="One answer for each square: the finer the squares, the more objects survive",
        columns=3,
    ),
    "squares",
    "The true label map, known only as shares of the classes in squares of 32 to 4 pixels. "
    "Stripes: void.",
)

# %% [markdown]
# At stride $32$ the street is still a street, but the pole, the signs, the person and half of the
# cars are gone. At stride $8$ all but the pole are back, at least in part. The information is in
# the finer maps; the question is how to use it. FCN's answer has the two parts that we build now.
#
# ## Enlarging scores
#
# A transposed convolution (lesson 4) with stride $s$ and a kernel of $2s$ taps adds every score to
# its neighbourhood, weighted by the kernel. If the weights form a triangle, each score fades out
# exactly where the next one takes over, and the sum is linear interpolation. Tap $i$ of the kernel,
# with $i$ from $0$ to $2s - 1$, has the weight
#
# $$k_i = 1 - \frac{|i - (s - 1/2)|}{s},$$
#
# which for $s = 2$ gives $1/4, 3/4, 3/4, 1/4$. By hand, for one row of scores:


# %%
def spread(scores, factor):
    """One row for each score: what it adds to the enlarged map."""
    taps = 1 - np.abs(np.arange(2 * factor) - (factor - 0.5)) / factor
    rows = np.zeros((len(scores), factor * (len(scores) + 1)))
    for i, score in enumerate(scores):
        rows[i, factor * i : factor * (i + 2)] = score * taps
    return rows


scores = np.array([4.0, 8.0, 4.0])
parts = spread(scores, 2)
wide = parts.sum(0)
lesson.figure(
    figures.number_grids(
        {"scores": scores, "spread, factor 2": parts, "sum": wide, "cropped": wide[1:-1]},
        ["times the taps", "add", "cut the ends"],
        marks={
            "scores": [(0, i) for i in range(3)],
            "spread, factor 2": [[(i, 2 * i + tap) for tap in range(4)] for i in range(3)],
        },
        columns=2,
    ),
    "enlarge",
    "Three scores, enlarged twice. Between 4 and 8 lie 5 and 7, as linear interpolation says. At "
    "the border a neighbour is missing, and the values fade.",
)

# %% [markdown]
# In two dimensions the kernel is the product of two triangles, a pyramid. The initializer
# `Bilinear` puts it into a `Conv2DTranspose`: from each class to itself a pyramid, and between
# different classes zeros. From there the layer is free to learn something better.


# %%
def enlarge(scores, factor, **options):
    bilinear = {"kernel_initializer": Bilinear(), "use_bias": False, "padding": "same"}
    layer = layers.Conv2DTranspose(
        scores.shape[-1], 2 * factor, strides=factor, **bilinear, **options
    )
    return layer(scores)


column = np.repeat(scores[None, :, None, None], 3, axis=2).astype("float32")  # three equal columns
assert np.allclose(enlarge(column, 2)[0, :, 2, 0], wide[1:-1])

# %% [markdown]
# ## FCN-32s: a classifier, and one enlargement
#
# Now the network. VGG-16 is a classifier: thirteen convolutions, five poolings, two dense layers of
# $4096$ units (fc6 and fc7), and a last one with a unit for each class. As in lesson 3, fc6 saw a
# map of $7 \times 7$ positions, so it becomes a convolution with a kernel of that size. The other
# two see one position and become convolutions of $1 \times 1$. The last one gives a score for each
# class at each position of the coarse map, and one enlargement by $32$ brings the scores to the
# size of the image.
#
# `width` scales the number of filters. The paper has `width=1`, which takes a GPU and weights that
# were trained on ImageNet; we train an eighth of the filters from scratch.


# %%
def fcn32s(input_shape, num_classes, *, width=1.0, dropout=0.5):
    def conv(x, filters, kernel_size, name):
        options = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        return layers.Conv2D(round(width * filters), kernel_size, name=name, **options)(x)

    image = x = keras.Input(input_shape, name="image")
    stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
    for stage, (filters, count) in enumerate(stages, start=1):
        for i in range(1, count + 1):
            x = conv(x, filters, 3, f"encoder{stage}_conv{i}")
        x = layers.MaxPooling2D(2, name=f"encoder{stage}_pool")(x)
    for name, kernel_size in (("fc6", 7), ("fc7", 1)):
        x = conv(x, 4096, kernel_size, name)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    scores = layers.Conv2D(num_classes, 1, name="fc7_scores")(x)
    return keras.Model(image, enlarge(scores, 32, trainable=False), name="fcn32s")


lesson.figure(
    figures.architecture(fcn32s((192, 256, 3), 8, width=1 / 8)),
    "fcn32s",
    "FCN-32s at an eighth of the width. Down in five steps, up in one.",
)

# %% [markdown]
# The drawing shows the weak point: the way down takes five steps, the way up takes one. Whatever
# the scores know, they know it on a grid of $32$ pixels. The paper keeps the last enlargement fixed
# (`trainable=False`): a kernel of $64 \times 64$ taps for every pair of classes would be many
# weights for a task that interpolation does well.
#
# ## FCN-16s and FCN-8s: two lines for each rung
#
# The map after the fourth pooling has twice the resolution. It knows less about *what* it sees,
# because it saw less of the image, but more about *where*. So we let it vote: a
# $1 \times 1$ convolution turns it into scores, the coarse scores are enlarged by $2$, and both are
# added. Adding works because both are scores of the same classes. A clear coarse vote for "car"
# stays a car, and where the coarse map hesitates between car and road, the finer one decides.
#
# The new scores start at zero, so at first FCN-16s gives almost the same answer as FCN-32s.
# Training then improves this answer instead of disturbing it with random scores.


# %%
def add_skip(scores, pooled, stage):
    start = {"kernel_initializer": "zeros", "name": f"encoder{stage}_scores"}
    skip = layers.Conv2D(scores.shape[-1], 1, **start)(pooled)
    return layers.Add(name=f"decoder{stage}_sum")(
        [enlarge(scores, 2, name=f"decoder{stage}_up"), skip]
    )


def fcn16s(input_shape, num_classes, **options):
    net = fcn32s(input_shape, num_classes, **options)
    scores, pool4 = (net.get_layer(name).output for name in ("fc7_scores", "encoder4_pool"))
    x = add_skip(scores, pool4, 4)
    return keras.Model(net.input, enlarge(x, 16, trainable=False), name="fcn16s")


def fcn8s(input_shape, num_classes, **options):
    net = fcn16s(input_shape, num_classes, **options)
    scores, pool3 = (net.get_layer(name).output for name in ("decoder4_sum", "encoder3_pool"))
    x = add_skip(scores, pool3, 3)
    return keras.Model(net.input, enlarge(x, 8, trainable=False), name="fcn8s")


lesson.figure(
    figures.architecture(fcn8s((192, 256, 3), 8, width=1 / 8)),
    "fcn8s",
    "FCN-8s. Scores of the third and fourth stage (blue arrows) are added on the way up.",
)

# %% [markdown]
# Each function cuts off the last layer of the coarser network and goes on from there: a skip, and a
# smaller enlargement. The library has all three as `kerasseg.models.fcn32s`, `fcn16s` and `fcn8s`;
# those accept images of any size, also where $32$ does not divide it. Counting parameters is a
# quick test that we built the right network:

# %%
for ours, library in ((fcn32s, models.fcn32s), (fcn16s, models.fcn16s), (fcn8s, models.fcn8s)):
    one, other = (build((64, 96, 3), 8, width=1 / 8) for build in (ours, library))
    assert one.count_params() == other.count_params()
    print(f"{one.name}: {one.count_params():,} weights")

# %% [markdown]
# The counts fall from rung to rung, although layers are added. Why? The enlargement by $32$ has
# $64 \times 64$ taps for every pair of classes, even though most of these weights are zeros. Two
# smaller enlargements have far fewer.
#
# ## Training, rung by rung
#
# The loss is the cross-entropy of lesson 10: the mean over all labelled pixels, void left out. We
# train as the paper does, in stages. First FCN-32s learns alone. Then FCN-16s takes over its
# weights and learns its skip; then FCN-8s.
#
# In one point we differ. The paper goes on training all layers; we freeze everything that comes
# from the coarser network. That is faster, and it makes the comparison fair: if FCN-16s is better
# than FCN-32s, the reason is the new rung and not a longer training of the other layers. (Dropout
# is off: it guards against overfitting, and this training is too short for that.)


# %%
def take_over(net, coarser):
    """Copies the weights of the coarser network and freezes them."""
    for layer in coarser.layers[:-1]:  # all but the last enlargement
        twin = net.get_layer(layer.name)
        twin.set_weights(layer.get_weights())
        twin.trainable = False


nets, results, per_class, coarser = {}, {}, {}, None
for build in (fcn32s, fcn16s, fcn8s):
    net = build((*size, 3), len(names), width=1 / 8, dropout=0.0)
    if coarser:
        take_over(net, coarser)
    scored = [MeanIoU(len(names), void), BoundaryIoU(len(names), void)]
    net.compile(keras.optimizers.Adam(1e-3), CrossEntropy(void), metrics=scored)
    epochs = lesson.settings.epochs // 2 if coarser else lesson.settings.epochs
    net.fit(train, epochs=max(1, epochs), shuffle=False, verbose=2)  # shuffled already
    results[net.name] = net.evaluate(data.validation, return_dict=True, verbose=0)
    per_class[net.name] = scored[0].per_class()
    nets[net.name] = coarser = net

# %% [markdown]
# ## Intersection over union, by hand
#
# How good is a label map? The share of right pixels (accuracy) is a poor judge, because the large
# classes decide it. The usual score compares, for each class $c$, two sets of pixels: those that
# *are* $c$ and those that are *called* $c$. The number of pixels in both sets, divided by the
# number in at least one of them, is the **intersection over union**
#
# $$\text{IoU}_c = \frac{TP_c}{TP_c + FP_c + FN_c}.$$
#
# $TP_c$ (true positives) counts the pixels that are $c$ and are called $c$, $FP_c$ (false
# positives) those that are only called $c$, and $FN_c$ (false negatives) those that are $c$ and
# were missed. Void pixels are in none of the three.


# %%
def iou(truth, answer, class_id):
    known = truth != void
    is_c, called_c = (truth == class_id) & known, (answer == class_id) & known
    return (is_c & called_c).sum() / (is_c | called_c).sum()


small_truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 255]])
small_answer = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
found, called = small_truth == 1, (small_answer == 1) & (small_truth != 255)
kinds = np.select([found & called, found, called], ["TP", "FN", "FP"], "")
lesson.figure(
    figures.number_grids(
        {"truth": small_truth, "answer": small_answer, "class 1": kinds},
        [None, None],
        colours={"TP": "#a6dba0", "FN": "#f4a582", "FP": "#f4a582", 255: "#dddddd"},
        marks={"truth": [list(np.argwhere(found))], "answer": [list(np.argwhere(called))]},
        title="Class 1: IoU = 2 of 6 pixels",
    ),
    "iou",
    "The answer is shifted by one pixel. Two pixels are of class 1 in both maps (TP), six in at "
    "least one. Grey: void, which does not count.",
)
ious = [iou(small_truth, small_answer, class_id) for class_id in (0, 1)]
metric = MeanIoU(num_classes=2)
metric.update_state(small_truth[None], np.eye(2, dtype="float32")[small_answer][None])
assert np.allclose(metric.per_class(), ious)
print(f"IoU of class 0: {ious[0]:.2f}, of class 1: {ious[1]:.2f}, mean {np.mean(ious):.2f}")

# %% [markdown]
# A shift by one pixel costs the small class two thirds of its IoU, and the large class less than
# half. Small objects are mostly outline. **Mean IoU** is the mean over the classes, computed once
# from all pixels of a set. *Boundary IoU* asks the same question only near the outlines, where we
# expect the rungs of the ladder to differ.
#
# ## What the rungs see
#
# FCN-8s contains its two coarser versions, since we froze them: its coarsest scores are those of
# FCN-32s before the enlargement, and the first sum is that of FCN-16s. So we can watch one network
# refine its answer. Which objects do you expect to appear at which rung?

# %%
taps = ("fc7_scores", "decoder4_sum", "decoder3_sum")
ladder = keras.Model(net.input, [net.get_layer(name).output for name in taps])
rungs = [np.asarray(x).argmax(-1) for x in ladder(photos)]
answers = {name: net.predict(photos, verbose=0).argmax(-1) for name, net in nets.items()}
shown = 4
coarse, fine = {"image": photos[shown]}, {"truth": painted(truth[shown], truth[shown])}
for rung, (name, answer) in zip(rungs, answers.items()):
    height, width = rung.shape[1:]
    coarse[f"{height} x {width} scores"] = figures.paint(rung[shown], colours)
    fine[name] = painted(answer[shown], truth[shown])
lesson.figure(
    figures.panels({**coarse, **fine}, title="Each rung refines what the one before it found"),
    "rungs",
    "Above: which class has the largest score, on the grid where the scores are made. Below: the "
    "same scores, enlarged to the size of the image.",
)
for name, scored in results.items():
    print(f"{name}: mean IoU {scored['mean_iou']:.3f}, at outlines {scored['boundary_iou']:.3f}")

# %% [markdown]
# Road, sky and buildings are there from the start. The second network adds more of the trees, and
# both scores rise. The third changes little. After so short a training its finer map has not much
# to say, but the paper reports the same pattern: on PASCAL VOC, mean IoU rises from 59.4 % with
# FCN-32s to 62.4 % with FCN-16s and to 62.7 % with FCN-8s. The last rung brought so little that the
# authors built no further one.
#
# ## Rare classes
#
# Now look at each class by itself, beside its share of the training pixels (lesson 10).

# %%
shares = class_frequencies(train, len(names), void)
lesson.figure(
    figures.per_class_bars(per_class["fcn8s"], shares, names, colours),
    "rare",
    "FCN-8s on unseen images. Left: IoU of each class; no bar means that it is never found. Right: "
    "its share of the training pixels.",
)

# %% [markdown]
# Persons, poles and signs are lost, although squares of the last rung's size still showed signs and
# a person (the figure at the top of this page). Two reasons come together. The loss hardly rewards
# these classes, because they are rare. And they are small: the deep layers, which know *what*
# something is, see them only as a small part of a large field, while the shallower layers, which
# know *where*, contribute through a single $1 \times 1$ convolution.
#
# Class weights help with the first reason (exercise 4). For the second, a network needs more on the
# way up than one addition of scores: U-Net, in the next lesson, hands across whole feature maps and
# convolves them again.
#
# ## Where it breaks
#
# - **Size.** The ladder starts at $1/32$ of the image's size. On an image of $64 \times 96$ pixels
#   the coarsest map has $2 \times 3$ positions, too few for any street. Do not judge the rungs on
#   such small images.
# - **Weights.** We start from random weights. The paper starts from a classifier trained on a
#   million images (`encoder_weights="imagenet"` in the library, at `width=1`), and so should you on
#   real data.
# - **Large objects.** The network decides position by position. A bus that is larger than the
#   effective receptive field (lesson 2) can become half bus and half car, since no position sees
#   all of it well. Lessons 14 and 15 are about that.
#
# ## Summary
#
# - A classifier whose dense layers are convolutions gives scores on a coarse grid.
# - A transposed convolution that starts as bilinear interpolation enlarges them.
# - Skips add scores of finer maps: FCN-16s from stage four, FCN-8s also from stage three. They
#   start at zero, so each network continues the coarser one.
# - IoU compares sets of pixels, class by class, and in mean IoU every class counts the same.
# - A class that is both rare and small stays lost.
#
# ## Exercises
#
# 1. Enlarge the scores `[4, 8, 4]` by $4$ by hand, and check the result with `enlarge`. What is the
#    sum of the taps that reach a pixel in the middle?
# 2. Write `fcn4s`, with a third rung from the second pooling, and count its weights. Why are there
#    fewer than in FCN-8s, and why did the paper not build it?
# 3. Start FCN-16s from FCN-32s without any training. At how many pixels do the two give another
#    answer, and where are those pixels? (Enlarging by $2$ and then by $16$ is not quite enlarging
#    by $32$.)
# 4. Train FCN-8s with `CrossEntropy(void, class_weights=median_frequency_weights(...))` of lesson
#    10. Which classes gain, which lose?
# 5. Replace the sum by a concatenation of both score maps and a $1 \times 1$ convolution. With
#    which weights would this convolution be the sum?
# 6. A small project: compute the curve of the first section, the mean IoU of the truth itself
#    through squares of $32$, $16$, $8$, $4$ and $2$ pixels, for each class. Which class needs which
#    rung?
#
# ## Further reading
#
# - Long, Shelhamer and Darrell 2015, [Fully convolutional networks for semantic
#   segmentation](https://arxiv.org/abs/1411.4038)
# - Simonyan and Zisserman 2015, [Very deep convolutional networks for large-scale image
#   recognition](https://arxiv.org/abs/1409.1556): VGG-16
# - Cheng et al. 2021, [Boundary IoU](https://arxiv.org/abs/2103.16562)
