# %% [markdown]
# # Solutions: data for segmentation
#
# The exercises of lesson 10. Each answer comes first in words; the code below it shows it.

# %%
import io
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image
from scipy import ndimage

from kerasseg import check_dataset, datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.datasets.augmentation import augment
from kerasseg.losses import CrossEntropy, median_frequency_weights
from kerasseg.metrics import MeanIoU

solutions = Chapter(
    "ch10_segmentation_data_solutions", "Solutions: label maps", epochs=15, quick={"epochs": 1}
)
keras.utils.set_random_seed(0)

data = datasets.load("street_scenes", image_size=(48, 64), batch_size=32)
names, colours, void = data.class_names, data.colours, data.ignore_class
images, label_maps = map(np.concatenate, zip(*data.train.as_numpy_iterator()))
test_images, test_maps = map(np.concatenate, zip(*data.validation.as_numpy_iterator()))
whole = datasets.load("street_scenes", batch_size=12)
photos, maps = (np.asarray(batch) for batch in next(iter(whole.validation)))

# %% [markdown]
# ## Exercise 1
#
# JPEG describes each block of 8 x 8 pixels as a sum of waves and rounds their heights. Around an
# outline this changes every pixel of the block, and even inside a region of one colour a value is
# often off by one. A comparison with the table needs *exact* colours, so most pixels are lost.


# %%
def to_colours(ids):
    table = np.zeros((256, 3), "uint8")
    table[: len(colours)] = colours
    return table[ids]


def to_ids(painted):
    ids = np.full(painted.shape[:2], 254)
    ids[(painted == 0).all(-1)] = void
    for class_id, colour in enumerate(colours):
        ids[(painted == colour).all(-1)] = class_id
    return ids


for kind in ("PNG", "JPEG"):
    file = io.BytesIO()
    Image.fromarray(to_colours(maps[11])).save(file, kind)
    ids = to_ids(np.asarray(Image.open(file)))
    print(f"{kind}: {(ids == 254).mean():.0%} of the pixels have a colour that no class has")

# %% [markdown]
# ## Exercise 2
#
# One. The cache keeps what comes out of the augmentation in the first epoch, and every later epoch
# gets the same pixels again. No error appears; the network only overfits earlier.


# %%
def vary(number, pair):
    return augment(*pair, (0, number), void=void)


one_pair = tf.data.Dataset.from_tensors((images[0], label_maps[0]))
for order, epochs in (
    ("cache, then augment", one_pair.cache().repeat(3).enumerate().map(vary)),
    ("augment, then cache", one_pair.enumerate().map(vary).cache().repeat(3)),
):
    print(f"{order}: {len({image.tobytes() for image, _ in epochs.as_numpy_iterator()})} variants")

# %% [markdown]
# ## Exercise 3
#
# Order 0 takes the nearest pixel: only ids of the map appear. A few pixels along the outlines still
# differ after both rotations, because each one rounds positions, but each of them has the id of a
# neighbour. Order 1 interpolates, and between void (255) and a class nearly any
# number can appear. (`reshape=False` keeps the size; what comes from outside is void.)

# %%
for order in (0, 1):
    turned = ndimage.rotate(maps[11], 5, reshape=False, order=order, cval=void)
    back = ndimage.rotate(turned, -5, reshape=False, order=order, cval=void)
    seen = back != void
    print(
        f"order {order}: {len(np.unique(back))} different ids, "
        f"{(back != maps[11])[seen].mean():.1%} of the pixels differ"
    )

# %% [markdown]
# ## Exercise 4
#
# The rare classes gain: with weights the network dares to say "pole" or "sign", and finds some. It
# also says so where there is none, which lowers the IoU of the common classes around them. Whether
# the mean rises depends on which of the two is larger, so look at the classes, not only at their
# mean.


# %%
def small_network(num_classes):
    image = x = keras.Input((None, None, 3))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    for rate in (1, 2, 4):
        x = layers.Conv2D(32, 3, dilation_rate=rate, padding="same", activation="relu")(x)
    scores = layers.Conv2D(num_classes, 1)(x)
    return keras.Model(image, layers.UpSampling2D(4, interpolation="bilinear")(scores))


per_class = {}
weights = median_frequency_weights(label_maps, len(names), void)
for name, class_weights in (("equal weights", None), ("median frequency", weights)):
    keras.utils.set_random_seed(0)
    network = small_network(len(names))
    network.compile(keras.optimizers.Adam(4e-3), CrossEntropy(void, class_weights))
    network.fit(images, label_maps, 16, epochs=solutions.settings.epochs, verbose=0)
    metric = MeanIoU(len(names), void)
    metric.update_state(test_maps, network.predict(test_images, verbose=0))
    per_class[name] = dict(zip(names, np.nan_to_num(metric.per_class())))
    print(f"{name}: mean IoU {float(metric.result()):.3f}")
bars = {name: {c: [iou] for c, iou in of.items()} for name, of in per_class.items()}
solutions.figure(
    figures.bars_with_ranges(bars, "IoU", "Weights move IoU from common to rare classes"),
    "class_weights",
    "The same network on unseen images, trained with and without class weights.",
)

# %% [markdown]
# ## Exercise 5
#
# Streets have an up and a down: the sky is above, the road below, and cars stand on their wheels. A
# network may use this, and upside-down training images take it away and show it what it will never
# see. Under a microscope there is no up: a turned image of cells is as likely as the original, so
# every mirror image is a free training image.

# %%
for name in ("sky", "road"):
    is_class = label_maps == names.index(name)
    print(f"{name}: {is_class[:, :24].sum() / is_class.sum():.0%} of it lies in the upper half")

# %% [markdown]
# ## Exercise 6
#
# The folder needs `images/`, `masks/` with files of the same names, and `classes.txt` with one
# class and its colour on each line, the first one id 0. `check_dataset` opens every file and
# reports the damaged mask with its path, before any training starts.

# %%
folder = solutions.output / "streets"
for kind in ("images", "masks"):
    Path(folder, kind).mkdir(parents=True, exist_ok=True)
table = [*zip(names, colours.tolist()), ("void", [0, 0, 0])]
lines = [f"{name} {red} {green} {blue}" for name, (red, green, blue) in table]
Path(folder, "classes.txt").write_text("\n".join(lines))
for i in range(10):
    image = np.rint(255 * photos[i]).astype("uint8")
    Image.fromarray(image).save(folder / "images" / f"{i}.png")
    Image.fromarray(to_colours(maps[i])).save(folder / "masks" / f"{i}.png")
read = datasets.load("folder", data_dir=folder, batch_size=1)
print(read)
assert not check_dataset(folder).errors

mask = Image.open(folder / "masks" / "3.png")
half = mask.resize((128, 96), Image.BILINEAR)  # the mistake of the lesson
half.resize(mask.size, Image.BILINEAR).save(folder / "masks" / "3.png")
print(check_dataset(folder))
