# %% [markdown]
# # 13 · DeconvNet and SegNet: decoders that remember positions
#
# U-Net (lesson 12) hands whole feature maps from the encoder to the decoder. Two other networks of
# the same year hand across much less: for each value that survived a pooling, only the *position*
# that it came from. Lesson 5 showed both halves of this idea, pooling with a mask and unpooling.
#
# Here it becomes a network, and a new problem appears. Unpooling leaves three of four values empty,
# and after three unpoolings in a row almost nothing is left but isolated dots, as in the middle of
# the figure below. How does a dense label map come out of that? The answer is that no one unpools
# twice in a row. Between two unpoolings lie convolutions, and you will watch them fill the gaps,
# map by map.
#
# *You learn* how DeconvNet and SegNet turn remembered positions into dense label maps.
# *In the book:* chapter 6, "Replicating with max-unpooling".
# *You need:* lessons 5, 11 and 12 (unpooling, label maps, skips).
# *Time:* one and a half minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.layers import (
    AverageUnpooling2D,
    CenterCropLike,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    PadToMultiple,
)
from kerasseg.losses import CrossEntropyDice
from kerasseg.metrics import MeanIoU
from kerasseg.training import UpdateBatchNorm

quick = {"epochs": 1, "image_size": (32, 48)}
lesson = Chapter(
    "ch13_unpooling_decoders", "Decoders that unpool", epochs=12, image_size=(64, 96), quick=quick
)
settings = lesson.settings
keras.utils.set_random_seed(0)

# %% [markdown]
# ## The problem: dots
#
# A street scene is pooled three times, which leaves one value of every $8 \times 8$, and brought
# back in two ways: with the masks, and by copying.

# %%
data = datasets.load("street_scenes", image_size=settings.image_size, augment=0)
train = data.train.take(2) if settings.quick else data.train
images, truth = (np.concatenate(part) for part in zip(*data.validation.as_numpy_iterator()))
x, masks = images[:1].mean(-1, keepdims=True), []
for _ in range(3):
    x, mask = MaxPoolingWithArgmax2D(2)(x)
    masks.append(mask)
dots = copies = x
for mask in reversed(masks):
    dots, copies = MaxUnpooling2D(2)(dots, mask), AverageUnpooling2D(2)(copies)

maps = {"max unpooling, three times": dots, "copying, three times": copies}
panels = {"image": images[0], **{name: np.squeeze(x) for name, x in maps.items()}}
lesson.figure(
    figures.panels(panels, columns=3),
    "dots",
    "The same small map, enlarged in two ways. In the middle, every value is in its exact place, "
    "but alone. At the right, everything is filled and the places are lost.",
)

# %% [markdown]
# ## The idea: let a convolution fill the gaps
#
# Look at one unpooling. Each window of $2 \times 2$ holds one value, somewhere. Now slide a window
# of $3 \times 3$ over the map. Wherever it stands, it covers at least one *whole* window of
# $2 \times 2$, so it always meets a value. **One such convolution is enough to reach every gap.**
# With larger pooling windows this would fail, as the first exercise shows.
#
# There are two ways to say what a convolution does. The usual one *collects*: each output is a
# weighted sum of the nine values around its place. The other one *stamps*: each value of the input
# prints the kernel, scaled by itself, onto the output around it. The second is the transposed
# convolution of lesson 4, here with stride one. On a map of dots, stamping is the natural way to
# think.


# %%
def collect(x, kernel):
    padded = np.pad(x, 1)
    places = np.ndindex(*x.shape)
    sums = [(padded[i : i + 3, j : j + 3] * kernel).sum() for i, j in places]
    return np.reshape(sums, x.shape)


def stamp(x, kernel):
    padded = np.zeros(np.add(x.shape, 2))
    for (i, j), value in np.ndenumerate(x):
        padded[i : i + 3, j : j + 3] += value * kernel
    return padded[1:-1, 1:-1]


# %%
sparse = np.array([[0, 0, 2, 0], [0, 1, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1]])
kernel = np.array([[0, 1, 0], [1, 2, 1], [0, 0, 3]])
dense = stamp(sparse, kernel)
places = [tuple(place) for place in np.argwhere(sparse)]
lesson.figure(
    figures.number_grids(
        {"unpooled": sparse, "kernel": kernel, "stamped": dense},
        ["*", "="],
        marks={"unpooled": places, "stamped": places},
        title="Each value prints the kernel around itself",
    ),
    "stamp",
    "Coloured: the four values and the places where they stood. Find the 9 in the last row: "
    "which weight of the kernel made it?",
)

# %% [markdown]
# Collecting and stamping differ only in the direction in which the kernel is read. Stamping with a
# kernel is collecting with the same kernel, turned upside down and mirrored. Check it by hand, and
# with the layers of Keras:

# %%
turned = kernel[::-1, ::-1]
assert np.allclose(stamp(sparse, kernel), collect(sparse, turned))


def run(layer, x, kernel):
    x = x[None, :, :, None].astype("float32")
    layer.build(x.shape)
    layer.set_weights([kernel[:, :, None, None]])
    return np.squeeze(layer(x))


same = {"padding": "same", "use_bias": False}
assert np.allclose(run(layers.Conv2DTranspose(1, 3, **same), sparse, kernel), dense)
assert np.allclose(run(layers.Conv2D(1, 3, **same), sparse, turned), dense)

# %% [markdown]
# Since the kernel is learned anyway, it does not matter which of the two a network uses. Keep this
# in mind: DeconvNet is named after the "deconvolutions" in its decoder and SegNet has plain
# convolutions there. At stride one, the two are the same operation.
#
# ## DeconvNet: a classifier and its mirror image
#
# **DeconvNet** takes all of VGG-16, the classifier of lesson 11: thirteen convolutions in five
# stages, and the two fully connected layers as convolutions. They squeeze an image of
# $224 \times 224$ pixels into a single position of $4096$ numbers. Then it runs the same way back.
# A transposed convolution turns the one position into a map of $7 \times 7$, and five stages unpool
# and convolve. Each unpooling gets the mask of the pooling at the same height.
#
# A mask belongs to one feature map, so the decoder must arrive at each unpooling with as many
# channels as the encoder had there. That is why most stages of the decoder end with fewer channels:
# the number that the next mask needs. `like` tells the unpooling the size to return to: an odd row
# is pooled together with nothing, and $23$ rows may have been $45$ or $46$. Two layers of ours are
# there for small images, whose last map has fewer than the $7 \times 7$ positions that `fc6` needs:
# it is padded first and cropped afterwards.


# %%
def deconvnet(input_shape, num_classes, width=1.0):
    def block(x, filters, name, size=3, padding="same", kind=layers.Conv2D):
        options = {"padding": padding, "kernel_initializer": "he_normal", "name": name}
        x = kind(round(filters * width), size, **options)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    encoder = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)
    decoder = (64, 64), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512)
    image = x = keras.Input(input_shape, name="image")
    remembered = []

    for stage in (1, 2, 3, 4, 5):
        for i, filters in enumerate(encoder[stage - 1], start=1):
            x = block(x, filters, f"encoder{stage}_conv{i}")
        before = x
        x, mask = MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        remembered.append((mask, before))

    deepest = x
    x = block(PadToMultiple(1, minimum=7)(x), 4096, "fc6", 7, padding="valid")
    x = block(x, 4096, "fc7", 1)
    x = block(x, 512, "fc6_deconv", 7, padding="valid", kind=layers.Conv2DTranspose)
    x = CenterCropLike()(x, deepest)

    for stage in (5, 4, 3, 2, 1):
        mask, before = remembered.pop()
        unpool = MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")
        x = unpool(x, mask, like=before)
        for i, filters in enumerate(decoder[stage - 1], start=1):
            x = block(x, filters, f"decoder{stage}_deconv{i}", kind=layers.Conv2DTranspose)

    scores = layers.Conv2D(num_classes, 1, name="scores")(x)
    return keras.Model(image, scores, name="deconvnet")


# %%
sizes = {"input_shape": (None, None, 3), "num_classes": 8}
with keras.StatelessScope(initialize_variables=False):  # shapes alone, no memory for weights
    full_size, library = deconvnet(**sizes), models.deconvnet(**sizes)
lesson.figure(
    figures.architecture(full_size, input_size=(224, 224)),
    "deconvnet",
    "DeconvNet, drawn from the function above. Dashed arrows carry masks, not maps.",
)
assert full_size.count_params() == library.count_params()
print(f"{full_size.count_params():,} weights")

# %% [markdown]
# ## SegNet: the same without the middle
#
# DeconvNet has 252 million weights, and almost nine of ten lie in its middle: in `fc6`, `fc7` and
# the transposed convolution that undoes them. **SegNet** asks what they are good for. The label map
# is drawn by the stages of the decoder, which get their positions from the masks. So SegNet leaves
# the middle out, uses plain convolutions and keeps everything else. What remains has less than an
# eighth of the weights and was made to run in a car.
#
# On the page the middle disappears, and one line of the decoder changes. The last convolution gives
# the scores; it has no normalization and no ReLU, because a score may be negative.


# %%
def segnet(input_shape, num_classes, width=1.0):
    def block(x, filters, name):
        options = {"padding": "same", "kernel_initializer": "he_normal", "name": name}
        x = layers.Conv2D(round(filters * width), 3, **options)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    encoder = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)
    decoder = (64,), (128, 64), (256, 256, 128), (512, 512, 256), (512, 512, 512)
    image = x = keras.Input(input_shape, name="image")
    remembered = []

    for stage in (1, 2, 3, 4, 5):
        for i, filters in enumerate(encoder[stage - 1], start=1):
            x = block(x, filters, f"encoder{stage}_conv{i}")
        before = x
        x, mask = MaxPoolingWithArgmax2D(2, padding="same", name=f"encoder{stage}_pool")(x)
        remembered.append((mask, before))

    for stage in (5, 4, 3, 2, 1):
        mask, before = remembered.pop()
        unpool = MaxUnpooling2D(2, padding="same", name=f"decoder{stage}_unpool")
        x = unpool(x, mask, like=before)
        for i, filters in enumerate(decoder[stage - 1], start=1):
            x = block(x, filters, f"decoder{stage}_conv{i}")

    scores = layers.Conv2D(num_classes, 3, padding="same", name="scores")(x)
    return keras.Model(image, scores, name="segnet")


# %%
with keras.StatelessScope(initialize_variables=False):
    full_size, library = segnet(**sizes), models.segnet(**sizes)
lesson.figure(
    figures.architecture(full_size),
    "segnet",
    "SegNet: five stages down, five stages up, and a mask across at each height.",
)
assert full_size.count_params() == library.count_params()
print(f"{full_size.count_params():,} weights")

# %% [markdown]
# ## Train
#
# We train SegNet at an eighth of its width on street scenes, with the loss and the falling learning
# rate of U-Net (lesson 12). Without skip connections, every gradient on its way to the encoder has
# to come through the whole decoder. The authors of DeconvNet report that their network got stuck
# in a poor optimum without batch normalization.

# %%
model = segnet(**sizes, width=1 / 8)
falling = keras.optimizers.schedules.CosineDecay(4e-3, settings.epochs * len(train))
metric = MeanIoU(data.num_classes, data.ignore_class)
model.compile(keras.optimizers.Adam(falling), CrossEntropyDice(data.ignore_class), metrics=[metric])
model.fit(train, epochs=settings.epochs, callbacks=[UpdateBatchNorm()], shuffle=False, verbose=2)

# %% [markdown]
# ## From sparse to dense, map by map
#
# Now we look inside. A second model, made of the same trained layers, returns maps of the decoder:
# for each stage what comes out of the unpooling, and what the convolutions make of it. We show the
# mean over the channels, enlarged to the size of the image. Before you look: in which row do you
# expect outlines, and in which filled shapes?

# %%
stages = (5, 4, 3, 2, 1)

before = [model.get_layer(f"decoder{stage}_unpool").output for stage in stages]
after = [model.get_layer(f"decoder{stage - 1}_unpool").input[0] for stage in stages[:-1]]
after.append(model.get_layer("scores").input)
unpooled, convolved = keras.Model(model.input, [before, after]).predict(images[:1], verbose=0)


def shown(x):
    x = np.abs(x).mean(-1, keepdims=True)
    factors = [size // small for size, small in zip(images.shape[1:3], x.shape[1:3])]
    return (x / x.max()).repeat(factors[0], axis=1).repeat(factors[1], axis=2)


rows = {"unpooled": unpooled, "convolved": convolved}
grey = images[:1].mean(-1, keepdims=True)
rows = {name: np.concatenate([grey, *map(shown, maps)]) for name, maps in rows.items()}
lesson.figure(
    figures.image_rows(rows, "Unpooling places the values, convolutions join them"),
    "inside",
    "From left to right: the image, then the five stages of the decoder, from the deepest to the "
    "last. Compare above and below.",
)
filled = [[f"{np.mean(x != 0):.0%}" for x in maps] for maps in (unpooled, convolved)]
print("not zero, after the unpoolings:  ", *filled[0])
print("not zero, after the convolutions:", *filled[1])

# %% [markdown]
# Above lie dots, below areas. (In the deepest stage you see no dots, because each channel has them
# at other places and we look at the mean.) After most unpoolings only about one value in eight is
# not zero, less than a quarter, because ReLU had already set some of the maxima to zero.
# Convolutions raise this to about a half. From left to right the areas become finer. The deepest
# stage knows little more than above and below. Then the road separates from what stands on it, and
# the skyline appears. In the last stage the mean of the channels hides the most: each channel has a
# pattern of its own there, and the scores read them apart. Each stage takes its *content* from the
# stage before, and its *positions* from the encoder.
#
# ## What do the positions contribute?
#
# The convolutions could have learned to draw the outlines by themselves. To find out, we make the
# trained network forget its positions: a copy with the same weights puts every maximum into the
# upper left corner of its window. What will its label maps look like?


# %%
class ForgetfulUnpooling2D(MaxUnpooling2D):
    def call(self, values, argmax, like=None):
        return super().call(values, ops.zeros_like(argmax), like)


def exchange(layer):
    kind = ForgetfulUnpooling2D if isinstance(layer, MaxUnpooling2D) else type(layer)
    return kind.from_config(layer.get_config())


forgetful = keras.models.clone_model(model, clone_function=exchange)
forgetful.set_weights(model.get_weights())

# %%
maps = {"truth": truth}
for name, network in {"with positions": model, "without positions": forgetful}.items():
    scores = network.predict(images, 32, verbose=0)
    metric.reset_state()
    metric.update_state(truth, scores)
    print(f"{name:<18} mean IoU {float(metric.result()):.2f}")
    maps[name.replace(" ", "\n")] = scores.argmax(-1)
void = truth[:4] == data.ignore_class
rows = {name: figures.tinted(ids[:4], void, data.colours) for name, ids in maps.items()}
lesson.figure(
    figures.image_rows({"image": images[:4], **rows}, "The positions carry the outlines", cell=1.2),
    "forgetful",
    "Validation images: the same weights, with and without the remembered positions. Black and "
    "white specks are void, pixels that do not count.",
)

# %% [markdown]
# All weights are the same, and yet the mean IoU falls from about 0.45 to less than 0.25. The road
# below and the sky above remain: so much the values know. But cars and trees have lost their
# shapes, and outlines run along the grid on which all values now lie. In a decoder that was trained
# with masks, the masks carry the outlines. (Would a decoder that was trained without them find the
# outlines in another way? The third exercise tries it.)
#
# ## Memory and time
#
# What does it cost to hand something across? Let a stage have $N$ values before its pooling. A skip
# connection keeps all $N$ of them, four bytes each. A mask keeps one position for each of the
# $N / 4$ pooled values, one byte each in this package:
#
# $$\frac{4 N}{N / 4} = 16.$$
#
# So masks are sixteen times smaller. (Two bits would be enough for four positions, and other
# libraries spend four or eight bytes.) The saving is one of *inference*: training keeps all maps
# anyway, for the gradient. For SegNet and images of $360 \times 480$ pixels:

# %%
rows, columns = 360, 480
megabytes = {"maps, as skips": {}, "masks": {}}
for stage, filters in enumerate((64, 128, 256, 512, 512), start=1):
    megabytes["maps, as skips"][f"stage {stage}"] = [4 * rows * columns * filters / 1e6]
    rows, columns = -(-rows // 2), -(-columns // 2)  # rounded up
    megabytes["masks"][f"stage {stage}"] = [rows * columns * filters / 1e6]
maps, masks = (sum(x[0] for x in of.values()) for of in megabytes.values())
title = f"Masks take {masks:.0f} MB, the maps {maps:.0f}"
lesson.figure(
    figures.bars_with_ranges(megabytes, "megabytes", title),
    "memory",
    "What SegNet hands across at inference, and what skip connections would hand across.",
)

# %% [markdown]
# And time? A convolution uses each weight once for every position of its output (a transposed one:
# of its input), so its cost is the number of weights times the number of positions. Guess first:
# nine of ten weights of DeconvNet lie in its middle. How much of its time is spent there?


# %%
def multiplications(model, names=""):
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose) and names in layer.name:
            transposed = isinstance(layer, layers.Conv2DTranspose)
            _, rows, columns, _ = (layer.input if transposed else layer.output).shape
            total += np.prod(layer.kernel.shape) * rows * columns
    return total / 1e9


for size in ((224, 224), (360, 480)):
    with keras.StatelessScope(initialize_variables=False):
        both = [build((*size, 3), 8) for build in (deconvnet, segnet)]
    for network in both:
        cost = f"{multiplications(network):.0f} billion multiplications,"
        print(
            size, network.name, cost, f"{multiplications(network, 'fc'):.1f} of them in its middle"
        )

# %% [markdown]
# Very little, less than one per cent of the multiplications: the first stages work on all pixels,
# the middle on a single position. On the larger image `fc6` has more positions, and the middle
# takes about a tenth. So dropping it saves *memory* above all, and some time.

# %% [markdown]
# ## An encoder that has already seen a million images
#
# Both papers start from a VGG-16 that was trained to classify ImageNet's million photographs. Why
# should that help to draw streets? Early layers learn what every task needs: edges, colours,
# textures. The deeper a layer, the more it specializes in its task: wheels, faces, "this is a dog".
# The early layers are the ones that can be reused as they are, and the deep ones are at least a
# better start than random numbers. In the lecture's homework, ten epochs of SegNet reach a mean IoU
# of 0.22 from random weights and 0.35 from pretrained ones.
#
# In the library this is one argument. `encoder_weights="imagenet"` downloads the weights. A file or
# a `keras.Model` works without a network; here a VGG-16 with random weights stands in for it. Three
# details are easy to get wrong when you do it by hand:
#
# - **Preprocessing.** The pretrained weights expect the images that they were trained on: blue
#   before red, and the mean colour subtracted. The library puts a layer in front that does this, so
#   that your images stay in $[0, 1]$.
# - **Width.** The weights exist for the full width only.
# - **Freezing.** Random decoder layers send large, useless gradients back at first, and could ruin
#   the encoder. So you freeze the encoder, train the decoder, then unfreeze it and go on with a
#   tenth of the learning rate.

# %%
vgg16 = keras.applications.VGG16(weights=None, include_top=False)
pretrained = models.segnet((None, None, 3), 8, encoder_weights=vgg16, encoder_trainable=False)
ours = pretrained.get_layer("encoder5_conv3").get_weights()
theirs = vgg16.get_layer("block5_conv3").get_weights()
assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))

print(f"frozen:   {len(pretrained.trainable_weights)} arrays learn")
models.unfreeze(pretrained)  # and compile again, with a smaller learning rate
print(f"unfrozen: {len(pretrained.trainable_weights)} arrays learn")

# %% [markdown]
# ## Where it breaks, and what comes next
#
# - **What five poolings lose stays lost.** A mask says where a maximum was, not what else was in
#   the window. A distant sign that never wins a window leaves no trace in the deeper stages.
# - **Encoder and decoder are tied.** A mask fits one map only, so the decoder must mirror the
#   encoder's channels. U-Net's decoder may have any width.
# - **DeconvNet wants $224 \times 224$.** At that size its middle is one position. Its paper cuts
#   fifty regions that may hold an object out of each image, and combines their label maps.
# - **Detail against context.** Both halve the image five times to see enough of it. Lesson 14 asks
#   whether the map could stay large instead.
#
# ## Summary
#
# - Unpooling leaves three of four values empty. A $3 \times 3$ convolution reaches every gap.
# - A transposed convolution of stride one is a convolution with its kernel turned around, so the
#   decoders of DeconvNet and SegNet work in the same way.
# - SegNet is DeconvNet without the fully connected middle: less than an eighth of the weights.
# - Masks carry the outlines, at a sixteenth of the memory of skip connections.
# - A pretrained encoder comes with its preprocessing, and is best frozen at first.
#
# ## Exercises
#
# 1. Pool with windows of $3 \times 3$ and unpool. Find a place whose $3 \times 3$ neighbourhood
#    holds no value. How large must the convolution be to reach every gap?
# 2. Compute the memory of masks and of skip connections for a photograph of $1024 \times 2048$
#    pixels.
# 3. Replace `MaxUnpooling2D` by `AverageUnpooling2D` in `segnet` and train it. Which outlines
#    suffer?
# 4. Shift each mask by exchanging left and right ($0 \leftrightarrow 1$, $2 \leftrightarrow 3$).
#    What happens to the label maps of a trained network? Compare it with forgetting.
# 5. Average the probabilities of two networks that were trained from different random weights. Is
#    the average better than each of them?
# 6. *Project: pseudo-labels.* Train on a tenth of the labelled images. Let the network label the
#    others, keep only the pixels of which it is sure, make the rest void, and train on everything.
#    Does it gain?
#
# ## Further reading
#
# - Noh, Hong and Han 2015,
#   [Learning deconvolution network for semantic segmentation](https://arxiv.org/abs/1505.04366)
# - Badrinarayanan, Kendall and Cipolla 2017, [SegNet](https://arxiv.org/abs/1511.00561)
# - Yosinski and others 2014,
#   [How transferable are features in deep neural networks?](https://arxiv.org/abs/1411.1792)
# - Lee 2013, Pseudo-label, a workshop paper; [its idea revisited](https://arxiv.org/abs/1908.02983)
#   by Arazo and others 2020
