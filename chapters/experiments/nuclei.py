# %% [markdown]
# # Experiment · U-Net on cell nuclei
#
# U-Net was made for cells under the microscope, which touch. Its authors had two ideas for them:
# the copies that are handed across from the encoder to the decoder (skips), and a loss in which the
# narrow gaps between cells weigh most (equation 2 of the paper). What does each of them bring, when
# nuclei are not only painted but counted?
#
# Book: chapter 6, outline weights and watershed (notebooks 6.5 and 6.6). Three networks differ in
# one thing each: U-Net, U-Net without outline weights, U-Net without skips. Each is trained from
# several seeds and scored as published for this set: the nuclei found are matched with the true
# ones by their intersection over union (IoU). Beside them stands what needs no training, Otsu's
# threshold and watershed.
#
# The data are 398 micrographs of the 2018 Data Science Bowl (BBBC038, CC0):
# `python chapters/experiments/nuclei.py --data-dir PATH`. A run that was killed goes on where it
# was. The first training leaves the model that is kept.
#
# Takes about five minutes on two cores for each of the six trainings.

# %%
import functools

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage
from skimage.filters import threshold_otsu

from kerasseg import datasets, figures, models
from kerasseg.inference import predict_image, watershed_instances
from kerasseg.losses import CrossEntropy
from kerasseg.losses.pixel_weights import outline_weights
from kerasseg.palette import DIGITS
from kerasseg.training import Run, UpdateBatchNorm, cosine_with_warmup
from ledger import CpuSeconds, Experiment, cpu_minutes

chapter = Experiment(
    "nuclei",
    "U-Net on cell nuclei",
    data_dir=None,
    epochs=12,
    width=0.125,
    batch_size=16,
    seeds=2,
    seed=0,
    quick={"epochs": 1, "width": 0.02, "seeds": 1},
)
settings = chapter.settings

# %% [markdown]
# ## The images
#
# Two kinds of micrographs, glowing nuclei on black and stained tissue. They are used in their own
# sizes, so that no nucleus is distorted. Of the images, every fifth is for test and scored once;
# of the others, every fifth is for validation and chooses the threshold and the distance below.

# %%
data = datasets.load(
    "nuclei", target="instances", data_dir=settings.data_dir, batch_size=1, augment=0
)
splits = {
    name: [(image[0], numbers[0]) for image, numbers in split.as_numpy_iterator()]
    for name, split in (
        ("training", data.train),
        ("validation", data.validation),
        ("test", data.test),
    )
}
for name, pairs in splits.items():
    print(f"{len(pairs)} {name} images, {sum(numbers.max() for _, numbers in pairs):,} nuclei")

# %% [markdown]
# ## How nuclei are scored
#
# A nucleus counts as found if an object covers it with an IoU above a threshold $t$. From
# one half on, no two objects can claim the same nucleus, so nothing has to be assigned. With $n$
# nuclei, $m$ objects and $k$ that match, F1 is $2 k / (n + m)$, and the precision of the Data
# Science Bowl is $k / (n + m - k)$. The latter is averaged over the ten thresholds from 0.5 to
# 0.95. Both are computed for each image and averaged over the images.


# %%
THRESHOLDS = np.arange(0.5, 1, 0.05)


def overlaps(truth, found):
    """IoU of each nucleus (rows) with each object (columns), of two maps numbered 1, 2, ..."""
    rows, columns = truth.max() + 1, found.max() + 1
    shared = np.bincount((truth * columns + found).ravel(), minlength=rows * columns)
    shared = shared.reshape(rows, columns)
    union = shared.sum(1, keepdims=True) + shared.sum(0) - shared
    return (shared / np.maximum(union, 1))[1:, 1:]


def score(truth, found):
    """{"F1 at 0.5", "mean precision"} of one image."""
    matched = (overlaps(truth, found)[..., None] > THRESHOLDS).sum((0, 1))
    n, m = truth.max(), found.max()
    if n + m == 0:
        return {"F1 at 0.5": 1.0, "mean precision": 1.0}
    return {
        "F1 at 0.5": 2 * matched[0] / (n + m),
        "mean precision": np.mean(matched / (n + m - matched)),
    }


# By hand: a nucleus of four pixels found with an IoU of 3/4, one that is missed, a false object.
truth_row = np.array([[1, 1, 1, 1, 0, 2, 2, 0, 0]])
found_row = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 2]])
by_hand = score(truth_row, found_row)
chapter.exact(
    "F1 and mean precision of one match with an IoU of 3/4, one nucleus missed, one false object",
    measured=[round(float(value), 4) for value in by_hand.values()],
    expected=[0.5, round(5 / 10 / 3, 4)],  # matches at 0.5, 0.55, 0.6, 0.65, 0.7
    source="Caicedo et al. 2019",
)

# %% [markdown]
# Outline weights are for nuclei that touch. Here a nucleus counts as *crowded* if another one is at
# most two pixels away, and the share of crowded nuclei that are found gets a column of its own.


# %%
def crowded(numbers, reach=2):
    """For each nucleus, whether another one lies within so many pixels."""
    size = 2 * reach + 1
    highest = ndimage.maximum_filter(numbers, size)
    lowest = ndimage.minimum_filter(np.where(numbers, numbers, numbers.max() + 1), size)
    near = (numbers > 0) & ((highest > numbers) | (lowest < numbers))
    return np.bincount(numbers[near], minlength=numbers.max() + 1)[1:] > 0


def scores_of(pairs, objects):
    """The scores of a method that found `objects` in the images, one map for each."""
    each = [score(numbers, found) for (_, numbers), found in zip(pairs, objects)]
    means = {name: float(np.mean([row[name] for row in each])) for name in each[0]}
    touching = np.concatenate([crowded(numbers) for _, numbers in pairs])
    hit = np.concatenate(
        [(overlaps(numbers, found) > 0.5).any(1) for (_, numbers), found in zip(pairs, objects)]
    )
    means["crowded nuclei found"] = float(hit[touching].mean()) if touching.any() else np.nan
    means["other nuclei found"] = float(hit[~touching].mean()) if (~touching).any() else np.nan
    return means


# %% [markdown]
# ## From a mask to nuclei
#
# Every method ends in the same way: a map of how probable nucleus is at each pixel, a threshold,
# and watershed (lesson 12), which cuts a mask where it is narrow. The threshold and watershed's
# smallest distance between two nuclei are chosen for each method on the validation images, by F1.


# %%
DISTANCES = (4, 6, 8, 11)  # in pixels


def find(probable, threshold, distance, smallest=16):
    """Numbers 1, 2, ... of the nuclei in a map of probabilities, without those of few pixels."""
    numbers = watershed_instances(probable > threshold, distance)
    sizes = np.bincount(numbers.ravel())
    kept = sizes >= smallest
    kept[0] = False
    return (np.cumsum(kept) * kept)[numbers]


def choose(maps, thresholds):
    """(threshold, distance) with the best F1 on the validation images."""
    pairs = splits["validation"]
    tried = {}
    for threshold in thresholds:
        for distance in DISTANCES:
            f1 = [
                score(numbers, find(probable, threshold, distance))["F1 at 0.5"]
                for (_, numbers), probable in zip(pairs, maps)
            ]
            tried[threshold, distance] = np.mean(f1)
    return max(tried, key=tried.get)


def otsu(image):
    """1 where a pixel is on the rarer side of Otsu's threshold of the smoothed brightness, or 0."""
    grey = ndimage.gaussian_filter(image.mean(-1), 1)
    bright = grey > threshold_otsu(grey)
    return (bright if bright.mean() < 0.5 else ~bright).astype("float32")


def evaluated(method, thresholds=(0.5,)):
    """Objects in the test images, found on the maps that a method makes; and what was chosen."""
    chosen = choose([method(image) for image, _ in splits["validation"]], thresholds)
    return [find(method(image), *chosen) for image, _ in splits["test"]], chosen


objects, chosen = {}, {}
objects["Otsu and watershed"], chosen["Otsu and watershed"] = evaluated(otsu)
true_masks = [(numbers > 0).astype("float32") for _, numbers in splits["validation"]]
distance = choose(true_masks, (0.5,))[1]
objects["true mask and watershed"] = [find(n > 0, 0.5, distance) for _, n in splits["test"]]
chosen["true mask and watershed"] = (0.5, distance)

# %% [markdown]
# ## Outline weights
#
# Equation 2 adds to each pixel's weight $w_0 \exp(-(d_1 + d_2)^2 / 2 \sigma^2)$ with the distances
# to the nearest and the second nearest nucleus, $w_0 = 10$ and $\sigma = 5$. They are computed on
# whole images. Training then takes tiles of 128 x 128 pixels, each mirrored, scaled, rotated and
# recoloured at random together with its labels and weights; for the latter they are stored in steps
# of a twentieth as a second channel of integers.

# %%
TILE = 128
STEPS = 20  # of a weight of 1


def corners(length):
    """First rows (or columns) of as few tiles as cover the length, evenly spread."""
    return np.linspace(0, length - TILE, -(-length // TILE)).round().astype(int)


def tiles_of(image, numbers):
    """[(image, (label, weight))] of the tiles of an image, uint8."""
    weights = np.round(STEPS * outline_weights(numbers, background=0))
    maps = np.stack([numbers > 0, weights], axis=-1).astype("uint8")
    room = [(0, max(0, TILE - size)) for size in numbers.shape]
    image = np.pad(np.round(255 * image).astype("uint8"), [*room, (0, 0)])
    maps = np.pad(maps, [*room, (0, 0)], constant_values=255)  # void
    windows = [
        np.s_[top : top + TILE, left : left + TILE]
        for top in corners(image.shape[0])
        for left in corners(image.shape[1])
    ]
    return [(image[window], maps[window]) for window in windows]


@functools.cache
def training_tiles():
    images, maps = zip(*(tile for pair in splits["training"] for tile in tiles_of(*pair)))
    print(f"{len(images):,} tiles of {TILE} x {TILE}")
    return tf.data.Dataset.from_tensor_slices({"image": np.stack(images), "label": np.stack(maps)})


def batches(seed):
    """The tiles as a `kerasseg.datasets.Dataset`, whose epochs a `Run` can repeat."""
    tiles = training_tiles()
    source = datasets.Source(
        splits={"train": tiles, "validation": tiles.take(1)},
        read=lambda record: record,
        targets=("label",),
        class_names=datasets.nuclei.CLASS_NAMES,
        colours=datasets.nuclei.COLOURS,
        ignore_class=datasets.nuclei.VOID,
        augmentable=True,
    )
    return datasets.Dataset(
        source,
        target="label",
        image_size=None,
        batch_size=settings.batch_size,
        augment=1.0,
        seed=seed,
    )


def weighted(images, maps):
    return images, maps[..., 0], tf.cast(maps[..., 1], tf.float32) / STEPS


def unweighted(images, maps):
    return images, maps[..., 0]


# %% [markdown]
# ## Three networks
#
# An eighth of the paper's width. Without skips, the decoder gets its own map alone.


# %%
@keras.saving.register_keras_serializable(package="nuclei")
class LastOf(keras.layers.Layer):
    """The last of several maps."""

    def call(self, maps):
        return maps[-1]


def network(width, with_skips=True):
    model = models.unet((None, None, 3), 2, width=width, dropout=0.1)
    if with_skips:
        return model

    def without(layer):
        if isinstance(layer, keras.layers.Concatenate):
            return LastOf(name=layer.name)
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=without)


ARMS = {
    "U-Net": (True, weighted),
    "without outline weights": (True, unweighted),
    "without skips": (False, weighted),
}


def trained(arm, seed):
    """The model of an arm, and the minutes of CPU time that its training took."""
    with_skips, select = ARMS[arm]
    folder = chapter.output / "runs" / f"{arm.replace(' ', '_')}_{seed}"
    tiles = batches(seed)
    train = tiles.train.take(2) if settings.quick else tiles.train
    kept = {"arm": arm, "width": settings.width, "batch_size": settings.batch_size, "seed": seed}
    run = Run(folder, tiles, epochs=settings.epochs, monitor="loss", mode="min", settings=kept)
    keras.utils.set_random_seed(seed)
    model = run.load()
    if model is None:
        model = network(settings.width, with_skips)
        steps = settings.epochs * len(train)
        model.compile(
            keras.optimizers.Adam(cosine_with_warmup(4e-3, steps)),
            CrossEntropy(tiles.ignore_class),
            jit_compile=False,  # on a CPU, XLA's convolutions are slower
            run_eagerly=settings.quick,
        )
    if not run.over:
        print(f"\n{arm}, seed {seed}")
        model.fit(
            train.map(select),
            epochs=settings.epochs,
            initial_epoch=run.epoch,
            callbacks=[UpdateBatchNorm(), CpuSeconds(), run],
            shuffle=False,
            verbose=2,
        )
    return model, cpu_minutes(run)


def probabilities(model):
    return lambda image: predict_image(model, image, output="probabilities")[..., 1]


results, minutes, weights = {name: [] for name in (*objects, *ARMS)}, [], {}
for name, found in objects.items():
    results[name].append(scores_of(splits["test"], found))
for seed in range(settings.seed, settings.seed + settings.seeds):
    for arm in ARMS:
        model, took = trained(arm, seed)
        found, settled = evaluated(probabilities(model), (0.4, 0.5, 0.6))
        results[arm].append(scores_of(splits["test"], found))
        minutes.append(took)
        if seed == settings.seed:
            objects[arm], chosen[arm], weights[arm] = found, settled, model.count_params()
        if arm == "U-Net" and seed == settings.seed:
            named = models.with_classes(
                model, data.class_names, data.colours, data.ignore_class, None
            )
            f1, precision, *_ = results[arm][0].values()
            chapter.keep(
                named,
                data="398 micrographs of cell nuclei, 2018 Data Science Bowl, stage 1, BBBC038; "
                f"{len(splits['training'])} of them for training",
                licence="CC0 (data), Apache 2.0 (weights and code)",
                recipe=f"U-Net at {settings.width:g} of the paper's width, {settings.epochs} "
                f"epochs of augmented tiles of {TILE} x {TILE}, Adam with a cosine from 0.004, "
                "cross-entropy with outline weights",
                scores=f"on {len(splits['test'])} test images F1 at an IoU of 0.5 {f1:.3f}, mean "
                f"precision over IoU 0.5 to 0.95 {precision:.3f}, with threshold {settled[0]:g} "
                f"and watershed at a distance of {settled[1]}",
                seed=seed,
            )

# %% [markdown]
# ## What was measured


# %%
def mean(name, column):
    return float(np.mean([row[column] for row in results[name]]))


def spread(name, column):
    return float(np.ptp([row[column] for row in results[name]]))


columns = list(results["U-Net"][0])
rows = []
for name, measured in results.items():
    cells = []
    for column in columns:
        width = f" ± {spread(name, column) / 2:.3f}" if len(measured) > 1 else ""
        cells.append(f"{mean(name, column):.3f}{width}")
    threshold, distance = chosen[name]
    rows.append(
        (
            name,
            *cells,
            f"{threshold:g}, {distance}",
            f"{weights[name]:,}" if name in weights else "",
        )
    )
chapter.table(
    ("method", *columns, "threshold, distance", "weights"),
    rows,
    f"{len(splits['test'])} test images, scored once. "
    + f"Means over {settings.seeds} seeds, ± half of their range. " * (settings.seeds > 1)
    + "Threshold and distance were chosen on the validation images, shown for the first seed. The "
    "row of the true mask shows what watershed alone loses.",
)

# %%
gains = [
    score(numbers, a)["F1 at 0.5"] - score(numbers, b)["F1 at 0.5"]
    for (_, numbers), a, b in zip(
        splits["test"], objects["U-Net"], objects["without outline weights"]
    )
]
busiest = max(range(len(gains)), key=lambda i: (crowded(splits["test"][i][1]).sum(), gains[i]))
image, numbers = splits["test"][busiest]
part = np.s_[:192, :192]
palette = np.array([(245, 245, 245), *DIGITS], "uint8")
panels = {"image": image[part]}
for name, found in {"truth": numbers, **{n: objects[n][busiest] for n in objects}}.items():
    if name != "true mask and watershed":
        ids = found[part]
        panels[name] = figures.paint(np.where(ids, 1 + ids % 10, 0), palette)
chapter.figure(
    figures.panels(panels, columns=3, cell=2.8),
    "nuclei",
    "The test image with the most crowded nuclei, its top left corner; each object has a colour.",
)

# %%
ours, otsus = (mean(name, "F1 at 0.5") for name in ("U-Net", "Otsu and watershed"))
longest = max(minutes) / 2
chapter.empirical(
    "F1 at an IoU of 0.5 on the test images",
    measured=ours,
    spread=spread("U-Net", "F1 at 0.5") / 2,
    expected="at least 0.80",
    holds=min(row["F1 at 0.5"] for row in results["U-Net"]) >= 0.8,
    source="measured here",
)
chapter.empirical(
    "the same less that of Otsu and watershed",
    measured=ours - otsus,
    expected="above 0",
    holds=ours > otsus,
    source="measured here",
)
chapter.empirical(
    "CPU time of a training in minutes of two cores",
    measured=longest,
    expected="below 30",
    holds=longest < 30,
    unit="minutes",
    source="measured here, the longest",
)
differences = {}
for arm, column in (
    ("without outline weights", "crowded nuclei found"),
    ("without outline weights", "F1 at 0.5"),
    ("without skips", "F1 at 0.5"),
    ("without skips", "mean precision"),
):
    each = [a[column] - b[column] for a, b in zip(results["U-Net"], results[arm])]
    differences[arm, column] = np.mean(each)
    chapter.empirical(
        f"U-Net less U-Net {arm}: {column}",
        measured=float(np.mean(each)),
        spread=float(np.ptp(each) / 2) if len(each) > 1 else None,
        expected="above 0 for every seed",
        holds=min(each) > 0,
        source="Ronneberger et al. 2015",
    )
chapter.conclude(
    "What do skips and outline weights bring when nuclei are counted?",
    f"U-Net finds nuclei with an F1 of {ours:.3f} at an IoU of 0.5, Otsu and watershed with "
    f"{otsus:.3f}; outline weights change the share of crowded nuclei that are found by "
    f"{differences['without outline weights', 'crowded nuclei found']:+.3f} and F1 by "
    f"{differences['without outline weights', 'F1 at 0.5']:+.3f}, skips change F1 by "
    f"{differences['without skips', 'F1 at 0.5']:+.3f} and the mean precision by "
    f"{differences['without skips', 'mean precision']:+.3f}.",
)
chapter.finish()
