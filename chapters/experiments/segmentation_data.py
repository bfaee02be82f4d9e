# %% [markdown]
# # Experiment · Data for segmentation
#
# A label map is a picture whose values are names. Whatever treats it as a picture, smooth resizing,
# JPEG, a mirror that turns the image alone, spoils it without a complaint: the training runs, and
# the net learns something else. This chapter goes the way of the data from the file to the batch,
# and measures at each step what can go wrong.
#
# Book: chapter 6, "Preparing data for smart car apps" (notebook 6.4: ids, void, colours, paired
# augmentation), and chapter 7, "Efficient input pipelines" (notebook 7.1). The book's function that
# colours a label map changes the label map; that is shown. Its times a batch are for one machine;
# here each ratio is measured several times, beside the others.
#
# By default this runs on drawn street scenes. On photographs: `python
# chapters/experiments/segmentation_data.py --dataset camvid --data-dir PATH`. `--full` does this at
# 180x240 pixels with 60 epochs for each of nine small nets: about an hour on two cores.
#
# Takes 2 minutes on two cores.

# %%
import shutil
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image
from scipy.ndimage import distance_transform_edt

from kerasseg import check_batch, check_dataset, datasets, figures
from kerasseg.datasets import augmentation
from kerasseg.losses import CrossEntropy, Dice, class_frequencies, median_frequency_weights
from kerasseg.metrics import MeanIoU
from ledger import Experiment

chapter = Experiment(
    "segmentation_data",
    "Data for segmentation",
    dataset="street_scenes",
    data_dir=None,
    image_size=(48, 64),
    epochs=15,
    batch_size=16,
    seed=0,
    quick={"epochs": 1},
    full={"dataset": "camvid", "image_size": (180, 240), "epochs": 60},
    choices={"dataset": ("street_scenes", "camvid")},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)
rng = np.random.default_rng(settings.seed)

# %% [markdown]
# ## Pictures, ids, names, colours, void
#
# A label map holds a class id for each pixel, 0, 1, 2 and so on. What an id is called, and with
# what colour it is drawn, stands elsewhere, once. 255 is void: nobody knows, or it does not matter.
# Void is no class. It has no colour either; here it is striped.

# %%
data = datasets.load(settings.dataset, data_dir=settings.data_dir, augment=0, batch_size=1)
names, colours, void = data.class_names, data.colours, data.ignore_class


def arrays(batches, most=None):
    """Images as 8 bits, so that all fit into the memory, and label maps."""
    pairs = [
        ((255 * images).round().astype("uint8"), labels.astype("uint8"))
        for images, labels in (batches.take(most) if most else batches).as_numpy_iterator()
    ]
    return [np.concatenate(arrays) for arrays in zip(*pairs)]


few = 24 if settings.quick else None
images, labels = arrays(data.validation, few)
train_images, train_labels = arrays(data.train, few)
height, width = labels.shape[1:]
for class_id, (name, colour) in enumerate(zip(names, colours)):
    share = np.mean(labels[labels != void] == class_id)
    print(f"{class_id:>4}  {name:<12} {colour!s:<16} {share:7.2%} of the labelled pixels")
print(f"{void:>4}  {'void':<12} {'none':<16} {np.mean(labels == void):7.2%} of all pixels")
chapter.figure(
    figures.label_overlay(
        images[[0, len(images) // 2]], labels[[0, len(images) // 2]], names, colours, void
    ),
    "overlay",
    "Two validation pictures, and their label maps laid over them: the first thing to look at, "
    "before anything is trained. Outlines must lie on outlines.",
    "Pictures and label maps match: outlines lie on outlines",
)

# %% [markdown]
# ## From colours to ids
#
# Many sets come with masks of colours. To see both ways, 48 pairs are written to a folder: images,
# masks in the classes' colours, void in black, and `classes.txt`, which says what each colour means
# (a line a class, `road 128 64 128`). By hand, reading is one comparison a class; the library reads
# the folder with one line.

# %%
BLACK = (0, 0, 0)
folder = chapter.output / "streets"


def to_colours(ids):
    palette = np.zeros((256, 3), "uint8")
    palette[: len(colours)] = colours
    return palette[ids]  # a new array: the ids stay as they are


def to_ids(mask):
    ids = np.full(mask.shape[:2], 254, "uint8")  # 254 would show a colour that nobody knows
    for class_id, colour in enumerate(colours):
        ids[(mask == colour).all(-1)] = class_id
    ids[(mask == BLACK).all(-1)] = void
    return ids


def write_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    for split, split_images, split_labels in (
        ("train", train_images[:36], train_labels[:36]),
        ("val", images[:12], labels[:12]),
    ):
        for kind in ("images", "masks"):
            Path(path, split, kind).mkdir(parents=True)
        for i, (image, ids) in enumerate(zip(split_images, split_labels)):
            Image.fromarray(image).save(Path(path, split, "images", f"{i:02}.png"))
            Image.fromarray(to_colours(ids)).save(Path(path, split, "masks", f"{i:02}.png"))
    table = [*zip(names, colours), ("void", BLACK)]
    lines = [f"{name} {red} {green} {blue}" for name, (red, green, blue) in table]
    Path(path, "classes.txt").write_text("\n".join(lines) + "\n")


write_folder(folder)
by_hand = np.stack(
    [to_ids(np.asarray(Image.open(path))) for path in sorted(folder.glob("val/masks/*"))]
)
by_library = datasets.load("folder", data_dir=folder, augment=0, batch_size=1)
read_images, read_labels = arrays(by_library.validation)
for claim, ids in (("by hand", by_hand), ("with the library", read_labels)):
    chapter.exact(
        f"pixels whose id changes on the way to colours and back, {claim}",
        measured=int((ids != labels[:12]).sum()),
        expected=0,
        unit=f"of {ids.size:,}",
        source="book, notebook 6.4",
    )
greys = {
    tuple(np.asarray(Image.new("RGB", (1, 1), tuple(c)).convert("L"))[0]) for c in colours.tolist()
}
print(f"{len(colours)} colours, but {len(greys)} shades where a mask is read as grey")

# %% [markdown]
# The book's function takes `labels.reshape(-1)`, which is no copy, and writes a 20th class into it
# where there was void, so that black can be looked up. The picture is right. The label map is not
# what it was before: who trains after drawing has no void any more, and a class too many.


# %%
def books_colours(ids):
    flat = ids.reshape(-1)
    flat[flat == void] = len(colours)
    return np.concatenate([colours, [BLACK]])[flat].reshape(*ids.shape, 3)


for name, convert, expected in (
    ("the book's function", books_colours, 0),
    ("ours", to_colours, int((labels[0] == void).sum())),
):
    drawn = labels[0].copy()
    convert(drawn)
    chapter.exact(
        f"void pixels that are left in a label map after {name} has coloured it",
        measured=int((drawn == void).sum()),
        expected=expected,
        source="book, notebook 6.4",
    )

# %% [markdown]
# ## Resizing: names have no mean
#
# Images are resized smoothly. A label map must be resized to the nearest pixel, for between class 2
# and class 6 does not lie class 4. At half the size, bilinear resizing is the mean of four pixels;
# rounded, it gives ids that none of the four had. Sky beside a pole makes something else.

# %%
sky, pole = names.index("sky"), names.index("pole")
row = np.array([sky] * 3 + [pole] * 3, "float32").reshape(1, 1, 6, 1)
made = int(tf.image.resize(row, (1, 3))[0, 0, 1, 0])
chapter.exact(
    "what bilinear resizing puts between sky and pole",
    measured=names[made],
    expected=names[(sky + pole) // 2],
    source=f"({sky} + {pole}) / 2 = {made}",
)


def halved(label_maps):
    """The four pixels behind each pixel at half the size, and both ways to make one of them."""
    blocks = label_maps.reshape(-1, height // 2, 2, width // 2, 2).swapaxes(2, 3)
    of_four = blocks.reshape(*blocks.shape[:3], 4)
    maps = {
        method: tf.image.resize(label_maps[..., None], of_four.shape[1:3], method).numpy()[..., 0]
        for method in ("nearest", "bilinear")
    }
    return of_four, maps


def is_invented(ids, of_four):
    return ~(of_four == np.rint(ids)[..., None]).any(-1)


of_four, maps = halved(labels)
chapter.exact(
    "bilinear resizing to half the size differs from the mean of four pixels by",
    measured=float(np.abs(maps["bilinear"] - of_four.mean(-1)).max()),
    expected=0.0,
    tolerance=1e-4,
    source="by hand",
)
invented = {method: is_invented(ids, of_four) for method, ids in maps.items()}
outline = (of_four != of_four[..., :1]).any(-1)
chapter.exact(
    "ids that nearest-neighbour resizing invents",
    measured=int(invented["nearest"].sum()),
    expected=0,
    unit=f"of {outline.size:,} pixels",
    source="nearest copies one of the four",
)
chapter.exact(
    "ids that bilinear resizing invents away from the outlines",
    measured=int((invented["bilinear"] & ~outline).sum()),
    expected=0,
    unit=f"of {int((~outline).sum()):,} pixels",
    source="the mean of four equal ids is this id",
)

# %% [markdown]
# Where void runs along the outlines, as in the drawn streets, an invented id lies between a class
# and 255: with one void pixel of four it is at least 64. That is no class, and a check of the range
# finds it. Without void, each pixel of it given to the nearest class, the invented ids lie between
# classes. Those are classes too, and no check of the range finds them.


# %%
def without_void(ids):
    nearest = distance_transform_edt(ids == void, return_distances=False, return_indices=True)
    return ids[tuple(nearest)]


four_classes, class_maps = halved(np.stack([without_void(ids) for ids in labels]))
false_classes = is_invented(class_maps["bilinear"], four_classes)
chapter.exact(
    "without void, invented ids that are no class",
    measured=int((np.rint(class_maps["bilinear"])[false_classes] >= len(names)).sum()),
    expected=0,
    unit=f"of {int(false_classes.sum()):,}",
    source="a mean of classes lies among the classes",
)
worst = int(false_classes.sum((1, 2)).argmax())


def painted(ids):
    """Colours in [0, 1], void and whatever is no class striped."""
    ids = np.asarray(ids)[None]
    return figures.tinted(ids, ids >= len(names), colours)[0]


chapter.figure(
    figures.panels(
        {
            "to the nearest pixel": painted(class_maps["nearest"][worst]),
            "bilinear, rounded": painted(np.rint(class_maps["bilinear"][worst]).astype(int)),
            f"false: {false_classes[worst].mean():.1%} of the pixels": 1.0 * false_classes[worst],
        },
        title="Smooth resizing puts false classes along the outlines",
        columns=3,
        cell=3.6,
    ),
    "resizing",
    "The validation picture with most false pixels, at half its size, void given to the nearest "
    "class. Blue: pixels of a class that none of the four pixels behind them had.",
)

# %% [markdown]
# ## Paired augmentation
#
# A picture that is mirrored needs a label map that is mirrored. The book's trick: image and label
# map are stacked as channels of one array, and flipped and cropped together. To see whether two
# things stay together, a test card is better than a street: its red says from which row a pixel
# comes, its green from which column. The label maps are real.

# %%
row_of, column_of = np.indices((height, width), dtype="float32")
test_card = np.stack([row_of / (height - 1), column_of / (width - 1), 0 * row_of], -1)


def flip_and_crop(rng, *pictures):
    """One random variant of pictures of one size, stacked as channels of one array."""
    stacked = np.concatenate([np.atleast_3d(picture) for picture in pictures], -1)
    if rng.random() < 0.5:
        stacked = stacked[:, ::-1]
    top, left = rng.integers(0, height // 5), rng.integers(0, width // 5)
    stacked = stacked[top : top + 4 * height // 5, left : left + 4 * width // 5]
    return np.split(stacked, np.cumsum([np.atleast_3d(p).shape[-1] for p in pictures])[:-1], -1)


def places(card):
    """The row and the column that each pixel of a moved test card comes from."""
    return card[..., 0] * (height - 1), card[..., 1] * (width - 1)


def agreement(card, ids, original, known=None):
    """Share of the pixels whose id is that of the place the card says they come from."""
    rows, columns = (np.rint(place).astype(int) for place in places(card))
    agrees = original[rows, columns] == ids
    return float(agrees.mean() if known is None else agrees[known].mean())


by_hand = {"together": [], "apart": []}
for ids in labels:
    card, moved = flip_and_crop(rng, test_card, ids)
    by_hand["together"].append(agreement(card, moved[..., 0], ids))
    (moved,) = flip_and_crop(rng, ids)
    by_hand["apart"].append(agreement(card, moved[..., 0], ids))
chapter.exact(
    "pixels whose id is that of their place, flipped and cropped together",
    measured=float(np.mean(by_hand["together"])),
    expected=1.0,
    source="book, notebook 6.4",
)

# %% [markdown]
# The library also scales and rotates, so a new pixel falls between old ones. `augment` computes one
# matrix, reads the image there bilinearly and the label map at the nearest pixel, and changes the
# colours of the image alone. `move` is the part that moves. If label maps hold their own row and
# column instead of classes, the two places can be compared in pixels: they must never be more than
# half a pixel apart, as far as rounding goes.

# %%
OUTSIDE = -1  # where the variant shows what lies beyond the border


def moved_apart(original, seeds):
    """Farthest and mean distance in pixels, and agreement, of a card and a map moved by seeds."""
    of_card, of_map = (
        augmentation.random_matrix((height, width), [settings.seed, seed], 1.0) for seed in seeds
    )
    card = augmentation.move(tf.constant(test_card), None, of_card, OUTSIDE)[0].numpy()
    rows, columns, ids = (
        augmentation.move(tf.constant(test_card), tf.constant(x, "int32"), of_map, OUTSIDE)[1]
        for x in (row_of.astype(int), column_of.astype(int), original)
    )
    known = rows.numpy() != OUTSIDE
    offsets = [np.abs(a - b)[known] for a, b in zip(places(card), (rows.numpy(), columns.numpy()))]
    farthest = np.maximum(*offsets)
    return farthest.max(), np.hypot(*offsets).mean(), agreement(card, ids.numpy(), original, known)


together = np.array([moved_apart(ids, (i, i)) for i, ids in enumerate(labels)])
apart = np.array([moved_apart(ids, (i, i + 1_000_000)) for i, ids in enumerate(labels)])
chapter.exact(
    "farthest that image and label map lie apart after kerasseg's `move`",
    measured=float(together[:, 0].max()),
    expected=0.5,
    tolerance=0.01,
    unit="pixels",
    source="the nearest pixel is half a pixel away at most",
)

# %%
example = int(np.argmin(apart[:, 2]))
tensors = tf.constant(images[example] / np.float32(255)), tf.constant(labels[example], "int32")
image, paired_ids = augmentation.augment(*tensors, [settings.seed, example], void=void)
_, other_ids = augmentation.augment(*tensors, [settings.seed, example + 1_000_000], void=void)


def overlaid(image, ids):
    return 0.45 * np.asarray(image) + 0.55 * painted(ids)


chapter.figure(
    figures.panels(
        {
            "the pair as it is": overlaid(images[example] / 255, labels[example]),
            "varied together: nothing moves apart": overlaid(image, paired_ids),
            f"varied apart: {apart[example, 2]:.0%} of the ids are right": overlaid(
                image, other_ids
            ),
        },
        title="One random variant for both, or the labels lie beside the things",
        columns=3,
        cell=3.6,
    ),
    "augmentation",
    "A street under its label map, mirrored, scaled, cropped, rotated and recoloured at random. "
    "Right: image and label map by two draws. Striped: void, or nothing there.",
)

# %% [markdown]
# ## What it costs
#
# Would anybody notice? The loss falls in any case. Three times the same small net, on the same
# pictures, in the same order, for as many steps: with pairs varied together; with image and label
# map varied apart; and with pairs varied together whose label maps were resized bilinearly, where
# whatever is no class became void. All three are scored on the same validation pictures, with the
# label maps as they should be. The drawn streets are kind to the third: void runs along every
# outline, so most invented ids lie between a class and 255, are no class, and do no harm.


# %%
def resized(maps, method):
    maps = maps[..., None] if maps.ndim == 3 else maps
    return tf.image.resize(maps, settings.image_size, method=method).numpy()


def ids_resized(ids, method):
    smaller = np.rint(resized(ids, method)[..., 0]).astype("int32")
    return np.where(smaller < len(names), smaller, void)


def variants(images, ids, seed, apart=0):
    """Shuffled, varied and batched without end; image and label map by draws `apart`."""

    def vary(number, pair):
        image, ids = augmentation.augment(*pair, [seed, number], void=void)
        if apart:
            _, ids = augmentation.augment(*pair, [seed, number + apart], void=void)
        return image, ids

    pairs = tf.data.Dataset.from_tensor_slices((images, ids))
    pairs = pairs.shuffle(len(images), seed=seed).repeat().enumerate()
    pairs = pairs.map(vary, num_parallel_calls=tf.data.AUTOTUNE)
    return pairs.batch(settings.batch_size).prefetch(tf.data.AUTOTUNE)


def small_net():
    """A quarter of the size, a receptive field of 63 pixels, and back."""
    x = image = keras.Input((None, None, 3), name="image")
    for stage, filters in ((1, 16), (2, 32)):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"conv{stage}")(x)
    for rate in (1, 2, 4):
        x = layers.Conv2D(
            32, 3, padding="same", dilation_rate=rate, activation="relu", name=f"rate{rate}"
        )(x)
    x = layers.Conv2D(len(names), 1, name="scores")(x)
    x = layers.UpSampling2D(4, interpolation="bilinear", name="logits")(x)
    return keras.Model(image, x, name="small_net")


inputs = resized(train_images, "area").astype("float32") / 255
targets = ids_resized(train_labels, "nearest")
held_out = resized(images, "area").astype("float32") / 255, ids_resized(labels, "nearest")
ways = {
    "together": {"ids": targets},
    "apart": {"ids": targets, "apart": 10**9},
    "smooth labels": {"ids": ids_resized(train_labels, "bilinear")},
}
seeds = (0,) if settings.quick else (0, 1, 2)
scores, losses, nets = {way: [] for way in ways}, {way: [] for way in ways}, {}
for way, arguments in ways.items():
    for seed in seeds:
        keras.utils.set_random_seed(settings.seed + seed)
        net = small_net()
        steps = -(-len(inputs) // settings.batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(5e-3, settings.epochs * steps)
        net.compile(keras.optimizers.Adam(schedule), CrossEntropy(void), run_eagerly=settings.quick)
        batches = variants(inputs, seed=settings.seed + seed, **arguments)
        history = net.fit(
            batches, epochs=settings.epochs, steps_per_epoch=steps, shuffle=False, verbose=0
        )
        metric = MeanIoU(len(names), void)
        predicted = np.concatenate([net(x) for x in np.array_split(held_out[0], 8)])
        metric.update_state(held_out[1], predicted)
        scores[way].append(float(metric.result()))
        losses[way].append([history.history["loss"][0], history.history["loss"][-1]])
        nets.setdefault(way, (net, predicted.argmax(-1)))
        first, last = losses[way][-1]
        print(f"{way:<14} seed {seed}: loss {first:.3f} to {last:.3f}, mIoU {scores[way][-1]:.3f}")

# %%
chosen = len(held_out[0]) // 2
shown = {"input": held_out[0][chosen], "truth": painted(held_out[1][chosen])}
for way in ("together", "apart"):
    ids = np.where(held_out[1][chosen] == void, void, nets[way][1][chosen])
    shown[f"varied {way}: mIoU {np.mean(scores[way]):.3f}"] = painted(ids)
chapter.figure(
    figures.panels(
        shown,
        title=f"Varied apart, image and labels cost the net "
        f"{np.mean(scores['together']) - np.mean(scores['apart']):.2f} of "
        f"{np.mean(scores['together']):.2f} mean IoU",
        cell=3.0,
    ),
    "cost",
    "A validation picture, its truth, and two nets that differ in nothing but whether image and "
    "label map were varied together. Means of all seeds; striped: void.",
)
net = nets["together"][0]
path = chapter.output / "small_net.keras"
net.save(path)
chapter.exact(
    "the reloaded net differs by",
    measured=float(
        np.abs(keras.saving.load_model(path)(held_out[0][:4]) - net(held_out[0][:4])).max()
    ),
    expected=0.0,
    tolerance=1e-6,
    source="saving",
)

# %% [markdown]
# ## How often is each class there?
#
# By hand: count. The share of a class in all labelled pixels decides how much of an unweighted loss
# it gets. The book weighs by `-log(share)` (road 36.88 %: 1.00; motorcycle 0.10 %: 6.92). SegNet
# weighs by median frequency: a class's frequency is counted only in the pictures where it occurs,
# and its weight is the median of all frequencies over its own. So what is small weighs more, and
# what is merely seldom does not.

# %%
pixels, pixels_where_it_occurs = np.zeros(len(names)), np.zeros(len(names))
for ids in train_labels:
    known = ids[ids != void]
    for class_id in range(len(names)):
        found = np.count_nonzero(known == class_id)
        pixels[class_id] += found
        pixels_where_it_occurs[class_id] += len(known) if found else 0
frequency = pixels / pixels.sum()
present = pixels > 0
in_own_pictures = pixels[present] / pixels_where_it_occurs[present]
weights = np.zeros(len(names))
weights[present] = np.median(in_own_pictures) / in_own_pictures
for name, by_loops, by_library in (
    ("class frequencies", frequency, class_frequencies(train_labels, len(names), void)),
    (
        "median-frequency weights",
        weights,
        median_frequency_weights(train_labels, len(names), void),
    ),
):
    chapter.exact(
        f"{name}, by hand and by the library, differ by",
        measured=float(np.abs(by_loops - by_library).max()),
        expected=0.0,
        tolerance=1e-12,
        source="SegNet, section 3.2",
    )
print(f"{'class':<12}{'share':>9}{'-log(share)':>13}{'median frequency':>18}")
for class_id in np.argsort(-frequency):
    share = frequency[class_id]
    logarithmic = -np.log(share) if share else float("nan")
    print(f"{names[class_id]:<12}{share:>9.2%}{logarithmic:>13.2f}{weights[class_id]:>18.2f}")
if settings.dataset == "camvid" and not settings.quick:
    published = np.array([0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823])
    published = np.append(published, [6.2478, 7.3614])
    source = "SegNet tutorial, CamVid, 367 training pictures"
    signs = np.array(names) == "sign"
    difference = float(np.abs(weights / published - 1)[~signs].max())
    chapter.empirical(
        "largest relative difference from SegNet's published weights, signs aside",
        measured=difference,
        expected="below 0.01",
        holds=difference < 0.01,
        source=source,
    )
    of_signs = float(weights[signs][0])
    chapter.empirical(
        "weight of signs",
        measured=of_signs,
        expected="9.6446, as published",
        holds=abs(of_signs / 9.6446 - 1) < 0.01,
        source=source,
    )
    in_all_pictures = (np.median(frequency) / frequency)[[names.index("road"), names.index("pole")]]
    chapter.empirical(
        "weights of road and pole, if each class's share is taken of all pictures",
        measured=in_all_pictures.round(4).tolist(),
        expected="0.1417 and 4.5640, as published; both are in nearly every picture",
        holds=np.allclose(in_all_pictures, [0.1417, 4.5640], rtol=1e-3),
        source=source,
    )

# %% [markdown]
# ## Void, neither learned nor scored
#
# Whatever a net says on a void pixel must change nothing: no loss, no gradient, no score. So the
# predictions there are replaced by nonsense, and everything is computed again.

# %%
truth = held_out[1][:8]
logits = rng.normal(size=(*truth.shape, len(names))).astype("float32")
nonsense = np.where((truth == void)[..., None], rng.normal(0, 100, logits.shape), logits)
nonsense = nonsense.astype("float32")
for loss in (CrossEntropy(void), Dice(void)):
    chapter.exact(
        f"{type(loss).__name__} differs, with other predictions on void, by",
        measured=abs(float(loss(truth, logits)) - float(loss(truth, nonsense))),
        expected=0.0,
        source="book, notebook 6.5: masked loss",
    )
of_metric = []
for predictions in (logits, nonsense):
    metric = MeanIoU(len(names), void)
    metric.update_state(truth, predictions)
    of_metric.append(float(metric.result()))
chapter.exact(
    "mean IoU differs by",
    measured=abs(of_metric[0] - of_metric[1]),
    expected=0.0,
    source="Long et al. 2015, section 5",
)
with tf.GradientTape() as tape:
    variable = tf.constant(logits)
    tape.watch(variable)
    value = CrossEntropy(void)(truth, variable)
gradient = np.abs(tape.gradient(value, variable).numpy()).max(-1)
chapter.exact(
    "largest gradient on a void pixel",
    measured=float(gradient[truth == void].max()),
    expected=0.0,
    source="what is not scored is not learned",
)

# %% [markdown]
# ## A pipeline, and how fast it is
#
# From the files to the batch with `tf.data`: read, cache, shuffle, augment, batch, prefetch, in
# this order. First the order. A cache keeps what comes before it: behind the augmentation it keeps
# one variant of each picture for ever, and the net never sees another. And a trap that looks like
# the right order: with a global seed, which Keras sets for us, `tf.random` begins again with every
# epoch, and so do the variants. The number of the picture, counted through all epochs, is a seed
# that cannot.


# %%
def numbered_variant(number, pair):
    return augmentation.augment(*pair, [settings.seed, number], void=void)


def random_variant(image, ids):
    seed = tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32)
    return augmentation.augment(image, ids, seed, void=void)


def different(pairs):
    return len({image.tobytes() for image, _ in pairs})


one_pair = tf.data.Dataset.from_tensors(tensors)
cached_first = one_pair.cache().repeat(3).enumerate().map(numbered_variant)
cached_last = one_pair.enumerate().map(numbered_variant).cache().repeat(3)
unnumbered = one_pair.cache().map(random_variant)
for order, pairs, expected in (
    ("cached, then varied by number", cached_first, 3),
    ("varied, then cached", cached_last, 1),
):
    chapter.exact(
        f"variants of a picture in three epochs: {order}",
        measured=different(pairs.as_numpy_iterator()),
        expected=expected,
        source="read, cache, shuffle, augment, batch, prefetch",
    )
of_tf_random = different(pair for _ in range(3) for pair in unnumbered.as_numpy_iterator())

# %% [markdown]
# Now the time. Four pipelines give the same kind of batches: one step after the other; the same
# lines as TensorFlow runs them today, which makes maps without a state parallel without being
# asked; several pictures at once in all maps, and the next batch ready before it is asked for; and
# this with the decoded pictures in the memory. The book, whose TensorFlow did nothing unasked, has
# 0.71 s a batch for the first and 0.34 s with four threads. How much there is to win depends on
# the machine's cores, and on whatever else runs there: so each is timed in turn, again and again.
# (For the time it is all the same which variants are drawn, so `tf.random` may draw them here.)

# %%
palette = tf.constant(colours, tf.int32)
paths = [sorted(map(str, folder.glob(f"train/{kind}/*"))) for kind in ("images", "masks")]


def read(image_path, mask_path):
    image = tf.io.decode_png(tf.io.read_file(image_path), 3)
    mask = tf.cast(tf.io.decode_png(tf.io.read_file(mask_path), 3), tf.int32)
    is_class = tf.reduce_all(mask[..., None, :] == palette, -1)
    ids = tf.where(tf.reduce_any(is_class, -1), tf.argmax(is_class, -1, tf.int32), void)
    return tf.cast(image, tf.float32) / 255, ids


def resize(image, ids):
    image = tf.image.resize(image, settings.image_size, antialias=True)
    ids = tf.image.resize(ids[..., None], settings.image_size, method="nearest")[..., 0]
    return tf.ensure_shape(image, (*settings.image_size, 3)), ids


files = tf.data.Dataset.from_tensor_slices(tuple(paths))
parallel = {"num_parallel_calls": tf.data.AUTOTUNE}
in_turn = tf.data.Options()
in_turn.experimental_optimization.map_parallelization = False
in_turn.experimental_optimization.inject_prefetch = False
plain = files.map(read).map(resize).shuffle(36).map(random_variant).batch(8)
pipelines = {
    "serial": plain.with_options(in_turn),
    "the same by default": plain,
    "parallel": files.map(read, **parallel)
    .map(resize, **parallel)
    .shuffle(36)
    .map(random_variant, **parallel)
    .batch(8)
    .prefetch(tf.data.AUTOTUNE),
    "parallel, cached": files.map(read, **parallel)
    .map(resize, **parallel)
    .cache()
    .shuffle(36)
    .map(random_variant, **parallel)
    .batch(8)
    .prefetch(tf.data.AUTOTUNE),
}


def pictures_a_second(pairs, epochs):
    began = time.perf_counter()
    for _ in range(epochs):
        for _batch in pairs:
            pass
    return epochs * len(paths[0]) / (time.perf_counter() - began)


rounds = 3 if settings.quick else 9
speeds = {name: [] for name in pipelines}
for pairs in pipelines.values():
    pictures_a_second(pairs, 1)  # compiles, and fills the cache
for _ in range(rounds):
    for name, pairs in pipelines.items():
        speeds[name].append(pictures_a_second(pairs, 1 if settings.quick else 4))
ratios = {name: np.array(speeds[name]) / np.array(speeds["serial"]) for name in list(speeds)[1:]}
chapter.figure(
    figures.lines(
        np.arange(1, rounds + 1),
        speeds,
        "repetition",
        "pictures a second",
        f"Parallel is {np.median(ratios['parallel']):.1f} times as fast as serial, "
        f"cached {np.median(ratios['parallel, cached']):.1f} times",
        ylim=(0, None),
        xticks=np.arange(1, rounds + 1),
    ),
    "speed",
    f"Pictures a second of four pipelines, timed in turn. Files of {height}x{width} pixels, "
    f"batches of {settings.image_size[0]}x{settings.image_size[1]}; ratios are medians.",
)

# %% [markdown]
# ## The label doctor
#
# `check_dataset` looks at every file of a folder and says in words what is wrong; `check_batch`
# does it for a batch, and raises. A doctor is tested with the sick: a copy of the folder is damaged
# in seven ways, one file each. Then the healthy folder, where nothing must be found.

# %%
clean = check_dataset(folder)
damaged = chapter.output / "damaged"
shutil.rmtree(damaged, ignore_errors=True)
shutil.copytree(folder, damaged)


def change(path, how):
    how(Image.open(damaged / path).copy()).save(damaged / path)
    return path


def smoothed(mask):
    return mask.resize((width // 2, height // 2), Image.BILINEAR).resize(
        (width, height), Image.BILINEAR
    )


def with_magenta(mask):
    mask.paste((255, 0, 255), (0, 0, 20, 20))
    return mask


def cut_short(path):
    whole = (damaged / path).read_bytes()
    (damaged / path).write_bytes(whole[: len(whole) // 2])
    return path


def removed(path):
    (damaged / path).unlink()
    return path


def copied(path, copy):
    for kind in ("images", "masks"):
        shutil.copy(damaged / path.format(kind), damaged / copy.format(kind))
    return copy.format("images")


done = {
    "interpolated masks": change("train/masks/00.png", smoothed),
    "image and mask of different size": change(
        "train/masks/01.png", lambda mask: mask.crop((0, 0, width, height - 8))
    ),
    "values outside the classes": change("train/masks/02.png", with_magenta),
    "unreadable files": cut_short("train/images/03.png"),
    "images without a mask": removed("train/masks/04.png").replace("masks", "images"),
    "masks without an image": removed("train/images/05.png").replace("images", "masks"),
    "the same image in two splits": copied("train/{}/06.png", "val/{}/99.png"),
}
report = check_dataset(damaged)
print(report)
found = {finding.title: str(Path(finding.path).relative_to(damaged)) for finding in report.errors}
chapter.exact(
    "findings in the healthy folder",
    measured=len(clean.errors),
    expected=0,
    unit="errors",
    source="kerasseg.check_dataset",
)
chapter.exact(
    "kinds of damage that the doctor names, with the right file",
    measured=sum(found.get(title) == path for title, path in done.items()),
    expected=len(done),
    source="kerasseg.check_dataset",
)
chapter.exact(
    "errors that it reports beside these",
    measured=len(report.errors) - len(done),
    expected=0,
    source="kerasseg.check_dataset",
)

# %%
batch_images, batch_ids = held_out[0][:4], held_out[1][:4].astype("uint8")
spoiled = {
    "interpolated masks": (batch_images, resized(labels[:4], "bilinear")[..., 0]),
    "ids divided by 255": (batch_images, batch_ids / np.float32(255)),
    "image values outside [0, 1]": (255 * batch_images, batch_ids),
    "one-hot labels": (batch_images, np.eye(len(names))[np.minimum(batch_ids, len(names) - 1)]),
}
check_batch(batch_images, batch_ids, len(names), void)
named = 0
for title, batch in spoiled.items():
    try:
        check_batch(*batch, len(names), void)
    except ValueError as error:
        named += title in str(error)
        print(f"{title}: named" if title in str(error) else error)
chapter.exact(
    "spoiled batches that `check_batch` refuses by the right name",
    measured=named,
    expected=len(spoiled),
    source="kerasseg.check_batch",
)

# %% [markdown]
# ## What was measured

# %%
chapter.empirical(
    "variants of a picture in three epochs: cached, then varied by tf.random under a global seed",
    measured=of_tf_random,
    expected="1: every epoch begins with the same numbers",
    holds=of_tf_random == 1,
    source="measured here",
)
silent = float((np.rint(maps["bilinear"])[invented["bilinear"]] < len(names)).mean())
for claim, share, expected, holds in (
    (
        "pixels with an invented id, void as it is",
        float(invented["bilinear"].mean()),
        "above 0",
        bool(invented["bilinear"].any()),
    ),
    (
        "of these, ids of another class",
        silent,
        "0 where void runs along every outline",
        silent == 0,
    ),
    (
        "pixels with a false class, void given to the nearest class",
        float(false_classes.mean()),
        "above 0",
        bool(false_classes.any()),
    ),
):
    chapter.empirical(
        f"bilinear resizing to half: {claim}",
        measured=share,
        expected=expected,
        holds=holds,
        source="book, notebook 6.4: labels by nearest neighbour",
    )
for name, values, expected, holds in (
    ("flipped and cropped apart, by hand", by_hand["apart"], "below 0.9", lambda x: x < 0.9),
    ("moved by the library together", together[:, 2], "1, up to rounding", lambda x: x > 0.999),
    ("moved by the library apart", apart[:, 2], "below 0.9", lambda x: x < 0.9),
):
    chapter.empirical(
        f"pixels whose id is that of their place: {name}",
        measured=float(np.mean(values)),
        spread=float(np.std(values)),
        expected=expected,
        holds=holds(np.mean(values)),
        source=f"{len(labels)} validation pictures",
    )
chapter.empirical(
    "how far image and label map lie apart, varied apart, on average",
    measured=float(apart[:, 1].mean()),
    spread=float(apart[:, 1].std()),
    expected="above 0.5, the most when together",
    holds=apart[:, 1].mean() > 0.5,
    unit="pixels",
    source=f"{len(labels)} validation pictures of {height}x{width}",
)
lowest = min(scores["together"])
for way, name in (
    ("together", "varied together"),
    ("apart", "varied apart"),
    ("smooth labels", "varied together, label maps resized bilinearly"),
):
    paired = way == "together"
    chapter.empirical(
        f"validation mIoU of the small net: {name}",
        measured=float(np.mean(scores[way])),
        spread=float(np.std(scores[way])) if len(seeds) > 1 else None,
        expected=f"above {max(scores['apart']):.3f}" if paired else f"below {lowest:.3f}",
        holds=max(scores["apart"]) < lowest if paired else max(scores[way]) < lowest,
        source="book, notebook 6.4: joint augmentation, labels by nearest neighbour",
    )
for way in ("together", "apart"):
    first, last = np.transpose(losses[way])
    chapter.empirical(
        f"training loss at the end over that of the first epoch, varied {way}",
        measured=float((last / first).mean()),
        spread=float((last / first).std()) if len(seeds) > 1 else None,
        expected="below 1: whoever has no other run to compare with sees a loss that falls",
        holds=bool((last < first).all()),
        source="measured here",
    )
for name, ratio in ratios.items():
    chapter.empirical(
        f"pictures a second over those of the serial pipeline: {name}",
        measured=float(np.median(ratio)),
        spread=float(np.subtract(*np.quantile(ratio, (0.75, 0.25))) / 2),  # pauses spoil a std
        expected="above 1; the book has 2.1 with four threads",
        holds=np.median(ratio) > 1,
        unit="times",
        source="book, notebook 7.1",
    )
chapter.finish()
