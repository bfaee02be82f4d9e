# %% [markdown]
# # Solutions: U-Net

# %%
import keras
import numpy as np
from keras import layers
from scipy import ndimage

import kerasseg
from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.inference import watershed_instances
from kerasseg.losses import CrossEntropy, CrossEntropyDice, class_frequencies
from kerasseg.metrics import MeanIoU
from kerasseg.training import UpdateBatchNorm

quick = {"epochs": 1, "image_size": (32, 48)}
lesson = Chapter(
    "ch12_unet_solutions", "Solutions: U-Net", epochs=6, image_size=(64, 96), quick=quick
)
epochs, size = lesson.settings.epochs, lesson.settings.image_size
keras.utils.set_random_seed(0)

data = datasets.load("street_scenes", image_size=size, batch_size=16, augment=0)
images, truth = (np.concatenate(part) for part in zip(*data.validation.as_numpy_iterator()))


def trained(model, loss):
    falling = keras.optimizers.schedules.CosineDecay(6e-3, epochs * len(data.train))
    model.compile(keras.optimizers.Adam(falling), loss, run_eagerly=lesson.settings.quick)
    batches = data.train.take(2) if lesson.settings.quick else data.train
    model.fit(batches, epochs=epochs, callbacks=[UpdateBatchNorm()], shuffle=False, verbose=0)
    return model


def report(name, model):
    metric = MeanIoU(data.num_classes, data.ignore_class)
    metric.update_state(truth, model.predict(images, verbose=0))
    poles, signs = (metric.per_class()[data.class_names.index(n)] for n in ("pole", "sign"))
    print(f"{name:<16} mean IoU {metric.result():.3f}, pole {poles:.3f}, sign {signs:.3f}")


# %% [markdown]
# ## Exercise 1
#
# The skip of stage 1 has the size of the image and the first edges, so it can draw poles. The map
# of stage 4 is an eighth of the image's size, and a pole one pixel wide is hardly in it. A short
# U-Net takes the set of stages whose skips are used. Rare classes count more, as in the lesson;
# this training is shorter, so look at the order and not at the numbers.


# %%
def short_unet(used):
    def convs(x, stage):
        x = layers.Conv2D(4 * 2**stage, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = x = keras.Input((*size, 3))
    skips = {}
    for stage in (1, 2, 3, 4):
        x = skips[stage] = convs(x, stage)
        x = layers.MaxPooling2D(2)(x)
    x = convs(x, 5)
    for stage in (4, 3, 2, 1):
        x = layers.Conv2DTranspose(4 * 2**stage, 2, 2)(x)
        x = layers.Concatenate()([skips[stage], x]) if stage in used else x
        x = convs(x, stage)
    return keras.Model(image, layers.Conv2D(data.num_classes, 1)(x))


shares = class_frequencies(data.train, data.num_classes, data.ignore_class)
class_weights = (shares.max() / shares) ** 0.5
for used in ((1,), (4,)):
    model = trained(short_unet(used), CrossEntropyDice(data.ignore_class, class_weights))
    report(f"skip of stage {used[0]}", model)

# %% [markdown]
# ## Exercise 2
#
# A concatenation gives the first convolution of each decoder stage twice as many input channels. A
# kernel has 3 x 3 weights for each pair of an input and an output channel, so adding saves 9 times
# the square of the stage's filters. At full width that is about three million of 31.

# %%
saved = sum(9 * filters**2 for filters in (64, 128, 256, 512))


def added(layer):
    if isinstance(layer, layers.Concatenate):
        return layers.Add(name=layer.name)
    return type(layer).from_config(layer.get_config())


with keras.StatelessScope(initialize_variables=False):  # shapes alone, no memory for weights
    joined = models.unet((None, None, 3), 2)
    summed = keras.models.clone_model(joined, clone_function=added)
assert joined.count_params() - summed.count_params() == saved
print(f"\nadding saves {saved:,} of {joined.count_params():,} weights")

# %% [markdown]
# ## Exercise 3
#
# Without class weights, a training as short as this one learns neither poles nor signs, with either
# loss. The network is sure that no pixel is a pole, and there Dice does not push. That is why the
# lesson adds class weights. Train longer, and compare again.

# %%
for loss in (CrossEntropy(data.ignore_class), CrossEntropyDice(data.ignore_class)):
    model = trained(short_unet((1, 2, 3, 4)), loss)
    report(loss.name, model)

# %% [markdown]
# ## Exercise 4
#
# Entropy says how unsure a network is: $-\sum_k p_k \log p_k$ over the classes $k$, zero where one
# class has all the probability. The network is unsure along outlines and in the distance, where
# objects are small.

# %%
p = kerasseg.predict_image(model, images[0], output="probabilities")
entropy = -(p * np.log(p + 1e-9)).sum(-1)
lesson.figure(
    figures.panels({"image": images[0], "entropy: the darker, the less sure": entropy}, cell=3.5),
    "entropy",
    "A validation image and how unsure the network is at each pixel.",
)
outline = ndimage.maximum_filter(truth[0], 3) != ndimage.minimum_filter(truth[0], 3)
print(
    f"entropy near outlines {entropy[outline].mean():.2f}, elsewhere {entropy[~outline].mean():.2f}"
)

# %% [markdown]
# ## Exercise 5
#
# Every 3 x 3 convolution without padding takes one row from each side, two in all. A row that is
# lost after $s$ poolings is worth $2^s$ rows of the image. The left side loses 4 rows at each of
# the sizes 1, 1/2, 1/4 and 1/8, the bottom 4 rows of 16, and the right side 4 rows at each size
# again: $2 (4 + 8 + 16 + 32) + 64 = 184$.

# %%
unpadded = models.unet((572, 572, 1), 2, width=1 / 16, padding="valid")
lost = 2 * sum(4 * 2**stage for stage in range(4)) + 4 * 2**4
assert 572 - lost == unpadded.output_shape[1] == 388
print(f"\nrows: 572 - {lost} = {unpadded.output_shape[1]}")

# %% [markdown]
# ## Exercise 6
#
# Regions see one object as soon as the discs touch. Watershed sees two as long as the relief has
# two summits, and on two overlapping discs it has one at each centre. How close they may be is
# decided by `min_distance`: two summits no farther apart than about that count as one, as in the
# last panel.

# %%
rows, columns = np.indices((60, 100))


def two_discs(distance, radius=20):
    left, right = 50 - distance / 2, 50 + distance / 2
    return sum(np.hypot(rows - 30, columns - x) <= radius for x in (left, right)) > 0


masks = {distance: two_discs(distance) for distance in (46, 36, 16, 8)}
for distance, mask in masks.items():
    regions, found = ndimage.label(mask)[1], watershed_instances(mask, 10).max()
    print(f"centres {distance} pixels apart: {regions} region(s), {found} object(s) by watershed")
panels = {f"{distance} apart": watershed_instances(mask, 10) for distance, mask in masks.items()}
lesson.figure(
    figures.panels(panels, title="Watershed cuts at the narrowest place", cell=1.8),
    "discs",
    "Two discs of radius 20, cut by watershed with a minimum distance of 10 pixels.",
)
assert ndimage.label(masks[36])[1] == 1
assert watershed_instances(masks[36], 10).max() == 2
assert watershed_instances(masks[8], 10).max() == 1
