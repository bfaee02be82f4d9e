# %% [markdown]
# # Solutions: FCN
#
# The exercises of lesson 11. The networks here come from the library; they are those of the page.

# %%
import keras
import numpy as np
from keras import layers

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.losses import CrossEntropy, median_frequency_weights
from kerasseg.metrics import MeanIoU

solutions = Chapter(
    "ch11_fcn_solutions", "Solutions: FCN", epochs=4, image_size=(96, 128), quick={"epochs": 1}
)
keras.utils.set_random_seed(0)

size = solutions.settings.image_size
data = datasets.load("street_scenes", image_size=size, batch_size=8)
train, validation = data.train, data.validation
if solutions.settings.quick:
    train, validation = train.take(2), validation.take(2)
names, void = data.class_names, data.ignore_class
label_maps = np.concatenate([ids for _, ids in validation.as_numpy_iterator()])


def enlarge(scores, factor, **options):
    bilinear = {"kernel_initializer": Bilinear(), "use_bias": False, "padding": "same"}
    layer = layers.Conv2DTranspose(
        scores.shape[-1], 2 * factor, strides=factor, **bilinear, **options
    )
    return layer(scores)


# %% [markdown]
# ## Exercise 1
#
# The kernel has eight taps: 1, 3, 5, 7, 7, 5, 3 and 1 eighths. Two scores reach each pixel in the
# middle, and their taps sum to 1, so a constant map stays constant. Between the centres of 4 and 8
# the values rise in steps of 1.

# %%
row = np.array([4.0, 8.0, 4.0], "float32").reshape(1, 1, 3, 1)
taps = np.array([1, 3, 5, 7, 7, 5, 3, 1]) / 8
by_hand = np.zeros(16)
for i, score in enumerate((4, 8, 4)):
    by_hand[4 * i : 4 * i + 8] += score * taps
tall = np.repeat(row, 3, axis=1)
assert np.allclose(enlarge(tall, 4)[0, 5, :, 0], by_hand[2:-2])
print(by_hand[2:-2], "taps that meet:", taps[:4] + taps[4:])

# %% [markdown]
# ## Exercise 2
#
# The third rung replaces the enlargement by 8, with 16 x 16 taps for each pair of classes, by one
# of 2 and one of 4, with 4 x 4 and 8 x 8 taps. That saves more weights than the new 1 x 1
# convolution costs. The paper stopped at FCN-8s, whose last rung had gained it only 0.3 points. The
# map after the second pooling has seen very little of the image (16 pixels in each direction), so
# it can say little about classes.


# %%
def fcn4s(input_shape, num_classes, **options):
    net = models.fcn8s(input_shape, num_classes, **options)
    scores, pool2 = (net.get_layer(name).output for name in ("decoder3_sum", "encoder2_pool"))
    skip = layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name="encoder2_scores")(pool2)
    x = layers.Add(name="decoder2_sum")([enlarge(scores, 2, name="decoder2_up"), skip])
    return keras.Model(net.input, enlarge(x, 4, trainable=False), name="fcn4s")


for build in (models.fcn8s, fcn4s):
    net = build((64, 96, 3), 8, width=1 / 8)
    print(f"{net.name}: {net.count_params():,} weights")
solutions.figure(
    figures.architecture(net), "fcn4s", "A ladder with three rungs, down to the second stage."
)


# %% [markdown]
# ## Exercise 3
#
# At a few per cent of them. Enlarging by 2 and then by 16 flattens the peaks of the scores a little
# more than enlarging by 32 at once, so the answer changes only where two classes have nearly the
# same score: along the outlines between the regions of FCN-32s.


# %%
def take_over(net, coarser):
    known = {layer.name for layer in net.layers}
    for layer in coarser.layers:
        if layer.weights and layer.name in known:
            net.get_layer(layer.name).set_weights(layer.get_weights())


coarse = models.fcn32s((*size, 3), len(names), width=1 / 8, dropout=0.0)
coarse.compile(keras.optimizers.Adam(1e-3), CrossEntropy(void))
coarse.fit(train, epochs=solutions.settings.epochs, shuffle=False, verbose=2)
finer = models.fcn16s((*size, 3), len(names), width=1 / 8, dropout=0.0)
take_over(finer, coarse)
images, _ = next(iter(validation))
answers = [np.asarray(net(images)).argmax(-1) for net in (coarse, finer)]
print(f"{(answers[0] != answers[1]).mean():.1%} of the pixels have another answer")
solutions.figure(
    figures.panels(
        {
            "FCN-32s": figures.paint(answers[0][0], data.colours),
            "FCN-16s, not trained": figures.paint(answers[1][0], data.colours),
            "different": 1.0 * (answers[0][0] != answers[1][0]),
        },
        columns=3,
    ),
    "start",
    "Before its training FCN-16s differs from FCN-32s along the outlines alone.",
)

# %% [markdown]
# ## Exercise 4
#
# The rare classes gain a little and the common ones pay, as in lesson 10. We start twice from the
# same FCN-32s and train all layers of FCN-8s once without weights and once with them, so nothing
# but the weights differs. In so short a training the price is larger than the gain.

# %%
per_class = {}
weights = median_frequency_weights(train, len(names), void)
for name, class_weights in (("equal weights", None), ("median frequency", weights)):
    net = models.fcn8s((*size, 3), len(names), width=1 / 8, dropout=0.0)
    take_over(net, coarse)
    metric = MeanIoU(len(names), void)
    net.compile(keras.optimizers.Adam(5e-4), CrossEntropy(void, class_weights), metrics=[metric])
    net.fit(train, epochs=max(1, solutions.settings.epochs // 2), shuffle=False, verbose=0)
    score = net.evaluate(validation, verbose=0, return_dict=True)["mean_iou"]
    per_class[name] = dict(zip(names, np.nan_to_num(metric.per_class())))
    print(f"{name}: mean IoU {score:.3f}")
bars = {name: {c: [iou] for c, iou in of.items()} for name, of in per_class.items()}
solutions.figure(
    figures.bars_with_ranges(bars, "IoU", "FCN-8s with and without class weights"),
    "class_weights",
    "Unseen images. The same start and the same length, with and without class weights.",
)

# %% [markdown]
# ## Exercise 5
#
# A concatenation of C and C channels has 2 C channels, and the convolution has C filters of 2 C
# weights. It is the sum if the weight is 1 from channel c of either map to filter c, and 0
# elsewhere. So the sum is one special case, and the concatenation can learn others, for example to
# trust the fine map for "pole" and the coarse one for "sky". U-Net (lesson 12) concatenates.

# %%
a, b = np.random.default_rng(0).normal(size=(2, 1, 4, 6, 3)).astype("float32")
mix = layers.Conv2D(3, 1, use_bias=False)
both = np.concatenate([a, b], axis=-1)
mix.build(both.shape)
mix.set_weights([np.concatenate([np.eye(3), np.eye(3)])[None, None]])
assert np.allclose(mix(both), a + b, atol=1e-6)

# %% [markdown]
# ## Exercise 6
#
# The road is large and loses little at stride 32. Buildings and cars need 16 or 8. Signs and
# persons are a few pixels wide: on images of this size they begin to appear at stride 8, and poles
# at 4. So FCN-8s has a hard task with them at this size. (It is not impossible: scores can be
# larger than shares.) On images twice as large, each object appears one rung earlier.

# %%
sides = (32, 16, 8, 4, 2)
curves = {name: [] for name in names}
for side in sides:
    metric = MeanIoU(len(names), void)
    for ids in np.array_split(label_maps, max(1, len(label_maps) // 16)):
        shares = layers.AveragePooling2D(side)(
            (ids[..., None] == np.arange(len(names))).astype("float32")
        )
        metric.update_state(ids, BilinearUpsampling2D(side)(shares))
    print(f"squares of {side}: mean IoU {float(metric.result()):.2f}")
    for name, iou in zip(names, metric.per_class()):
        curves[name].append(iou)
curves = {name: curves[name] for name in ("road", "building", "car", "person", "pole", "sign")}
solutions.figure(
    figures.lines(
        sides,
        curves,
        "side of a square in pixels",
        "IoU of the truth itself",
        "Small classes need small squares",
        **{"xscale": "log", "xticks": sides, "xticklabels": sides, "xlim": (36, 1.8)},
    ),
    "squares",
    "What remains of each class if the truth is known only as shares in squares.",
)
