# %% [markdown]
# # Experiment · From a classifier to a heat map
#
# A classifier takes pictures of one size and gives one answer. Its last layers are Dense; written
# as convolutions, with the very same weights, they slide over a larger picture and answer
# everywhere. This is the step from which FCN, and every net after it, begins.
#
# Book: chapter 6, "Fully convolutional networks". Lecture notes: convolutionalization in the short
# history of segmentation (a map of 4x4x16, ten classes, 2,560 weights either way; the coarse 10x10
# output). The notes say that a Dense layer loses where things are. More exactly: it has a weight
# for every place, and so it knows only the places it was trained on. And what the notes leave out:
# a heat map is only as good as the classifier is on windows that show no digit at all.
#
# By default this runs on scikit-learn's 8x8 digits. On MNIST, with strides between the answers:
# `python chapters/experiments/convolutionalization.py --dataset mnist --data-dir PATH`. `--full`
# does this and converts VGG-16 at its full width (138 million weights: 3 GB of memory, no
# download).
#
# Takes half a minute on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops

from kerasseg import datasets, figures, models
from kerasseg.anatomy.receptive_fields import receptive_field
from ledger import Experiment

chapter = Experiment(
    "convolutionalization",
    "From a classifier to a heat map",
    dataset="digits",
    data_dir=None,
    epochs=None,
    canvases=100,
    seed=0,
    quick={"epochs": 1, "canvases": 10},
    full={"dataset": "mnist", "canvases": 1000},
    choices={"dataset": ("digits", "mnist")},
)
settings = chapter.settings
rng = np.random.default_rng(settings.seed)
notes = "lecture notes: convolutionalization"


def array(tensor):
    return ops.convert_to_numpy(tensor)


def largest(difference):
    return float(np.abs(difference).max())


def answers(model, images, batch_size=50):
    batches = np.split(images, range(batch_size, len(images), batch_size))
    return np.concatenate([array(model(batch, training=False)) for batch in batches])


# %% [markdown]
# ## A Dense layer is a convolution
#
# A map of 4x4x16 is flattened to 256 numbers; ten classes take 256 weights each. A convolution with
# ten kernels of 4x4x16 has just as many, and does the same sums in the same order: rows, columns,
# channels. With whole numbers nothing is rounded, so the results must be equal to the last bit.

# %%
features = rng.integers(-8, 9, (5, 4, 4, 16)).astype("float32")
weights = rng.integers(-8, 9, (256, 10)).astype("float32")
by_hand = np.zeros((5, 10), "float32")
for row, column in np.ndindex(4, 4):
    kernel = weights.reshape(4, 4, 16, 10)[row, column]  # of this place, (16, 10)
    by_hand += features[:, row, column] @ kernel

dense = layers.Dense(10, use_bias=False)
convolution = layers.Conv2D(10, 4, use_bias=False)
dense.build((None, 256))
convolution.build(features.shape)
dense.set_weights([weights])
convolution.set_weights([weights.reshape(4, 4, 16, 10)])
of_dense = array(dense(features.reshape(5, 256)))
of_convolution = array(convolution(features))[:, 0, 0]
for name, layer in (("Dense", dense), ("convolution", convolution)):
    chapter.exact(
        f"weights from 4x4x16 to ten classes, {name}",
        measured=layer.count_params(),
        expected=2_560,
        source=notes,
    )
chapter.exact(
    "outputs of the two differ by",
    measured=largest(of_dense - of_convolution),
    expected=0.0,
    source=notes,
)
chapter.exact(
    "and from the sum by hand, place after place, by",
    measured=largest(of_dense - by_hand),
    expected=0.0,
    source=notes,
)

# %% [markdown]
# ## A classifier of digits
#
# Two convolutions bring a digit of 8x8 to a map of 4x4x16, the notes' own; MNIST's 28x28 get there
# with two poolings, as in LeNet. Then one Dense layer of 2,560 weights. No padding: a window in the
# middle of a picture has no zeros around it, and the classifier shall not get used to them.

# %%
small = settings.dataset == "digits"
epochs = settings.epochs or (30 if small else 4)
batch_size = 32 if small else 128
labelled = datasets.load(
    settings.dataset, target="label", batch_size=1000, data_dir=settings.data_dir
)


def arrays(batches):
    images, labels = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(labels)


train, test = arrays(labelled.train), arrays(labelled.test)
window = labelled.image_shape[0]


def classifier(classes=10):
    x = image = keras.Input(labelled.image_shape, name="image")
    for stage, filters in ((1, 32), (2, 16)):
        x = layers.Conv2D(filters, 3 if small else 5, activation="relu", name=f"conv{stage}")(x)
        if not small:
            x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(classes, use_bias=False, name="classes")(x)
    return keras.Model(image, x, name=f"classifier_of_{classes}")


def fit(model, images, labels):
    """As many steps for every set: more pictures are seen fewer times."""
    passes = max(1, round(epochs * len(train[0]) / len(images)))
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, passes * -(-len(images) // batch_size))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=["accuracy"])
    model.fit(images, labels, batch_size=batch_size, epochs=passes, verbose=2)


keras.utils.set_random_seed(settings.seed)
plain = classifier()
plain.summary()
fit(plain, *train)


def accuracy_on(images):
    return float(np.mean(answers(plain, images).argmax(-1) == test[1]))


accuracy = accuracy_on(test[0])
chapter.exact(
    "weights of the classifier's Dense layer",
    measured=plain.get_layer("classes").count_params(),
    expected=2_560,
    source=notes,
)
chapter.empirical(
    "accuracy on single test digits",
    measured=accuracy,
    expected="above 0.95",
    holds=accuracy > 0.95,
    source="measured here",
)

# %% [markdown]
# ## Several digits on a canvas
#
# The pictures to search: a canvas of 5x7 digits' size with six different digits on it, at random
# places that do not overlap. Digits on test canvases are test digits, those for training are
# training digits.


# %%
height, width, digits_a_canvas = 5 * window, 7 * window, 6


def apart(place, other):
    return max(abs(place[0] - other[0]), abs(place[1] - other[1]))


def anywhere(rng):
    return tuple(int(rng.integers(0, n - window + 1)) for n in (height, width))


def cut(picture, place):
    return picture[place[0] : place[0] + window, place[1] : place[1] + window]


def canvases(images, labels, count, rng):
    """Canvases (count, height, width, 1) and for each of them {digit: (top, left)}."""
    pictures = np.zeros((count, height, width, 1), "float32")
    places = [{} for _ in pictures]
    for picture, placed in zip(pictures, places):
        for digit in rng.permutation(10)[:digits_a_canvas]:
            place = anywhere(rng)
            while any(apart(place, other) < window for other in placed.values()):
                place = anywhere(rng)
            cut(picture, place)[:] = images[rng.choice(np.flatnonzero(labels == digit))]
            placed[int(digit)] = place
    return pictures, places


pictures, places = canvases(*test, settings.canvases, np.random.default_rng(settings.seed + 1))

# %% [markdown]
# ## The Dense layer refuses, the convolution answers
#
# The classifier cannot take a canvas: its Dense layer has 256 rows of weights, and the canvas is
# flattened to thousands of numbers. `convolutionalize` puts a convolution in its place, with the
# same weights. At the classifier's own size it gives the classifier's answer, on a canvas a map of
# answers.

# %%
try:
    plain.get_layer("classes")(plain.get_layer("flatten")(features[:1].repeat(2, axis=2)))
    refusal = "none"
except ValueError as error:
    refusal = type(error).__name__
    print(f"The Dense layer, asked about a map of 4x8x16: {error}\n")
try:
    plain(pictures[:1])
    refusal_of_classifier = "none"
except ValueError as error:
    refusal_of_classifier = type(error).__name__
    print(f"The classifier, asked about a canvas of {height}x{width}: {error}\n")
converted = models.convolutionalize(plain, name="heat_map")
chapter.exact(
    "what Dense layer and classifier raise on a larger map",
    measured=[refusal, refusal_of_classifier],
    expected=["ValueError", "ValueError"],
    source=notes + ": Dense fixes the size",
)
chapter.exact(
    "weights of the converted net",
    measured=converted.count_params(),
    expected=plain.count_params(),
    source=notes,
)
chapter.exact(
    "on single digits the converted net differs from the classifier by",
    measured=largest(answers(converted, test[0])[:, 0, 0] - answers(plain, test[0])),
    expected=0.0,
    tolerance=1e-4,
    source=notes,
)
field = receptive_field(converted)
rows, columns = ((n - window) // field.stride + 1 for n in (height, width))
heat = answers(converted, pictures)
chapter.exact(
    "size of the heat map: formula of chapter 1",
    measured=list(heat.shape[1:3]),
    expected=[rows, columns],
    source="(H - window) / stride + 1",
)
chapter.exact(
    "receptive field of an answer, the classifier's window",
    measured=field.size,
    expected=window,
    source="closed form",
)

# %% [markdown]
# ## It is a sliding window, only cheaper
#
# The obvious way to find digits on a canvas: cut out every window and ask the classifier. The heat
# map gives the same numbers at the same places. But windows overlap, and the convolutions behind
# them are shared; how much that saves is a matter of counting multiplications.


# %%
def windows(picture):
    """Every window at the heat map's stride, row by row."""
    grid = np.ndindex(rows, columns)
    return np.stack([cut(picture, (field.stride * r, field.stride * c)) for r, c in grid])


one_by_one = answers(plain, windows(pictures[0]))
chapter.exact(
    f"heat map and {rows * columns} windows one by one, relative to the largest, differ by",
    measured=largest(one_by_one.reshape(rows, columns, 10) - heat[0]) / largest(heat[0]),
    expected=0.0,
    tolerance=1e-5,
    source="closed form",
)


def multiplications(model, size):
    shape, total = (1, *size, 1), 0
    for layer in model.layers[1:]:
        shape = layer.compute_output_shape(shape)
        if layer.weights:
            total += int(np.prod(shape[1:-1])) * int(np.prod(layer.kernel.shape))
    return total


separately = rows * columns * multiplications(plain, (window, window))
shared = multiplications(converted, (height, width))
chapter.exact(
    "multiplications at the classifier's size: converted net's minus the classifier's",
    measured=multiplications(converted, (window, window))
    - multiplications(plain, (window, window)),
    expected=0,
    source="closed form",
)
chapter.empirical(
    "multiplications window by window, over those of the heat map",
    measured=separately / shared,
    expected="above 1: FCN reports 5 times less time",
    holds=separately > shared,
    unit="times",
    source="counted; FCN, section 3.1",
)

# %% [markdown]
# A canvas moved by one stride moves the heat map by one answer, and changes nothing else. This is
# what the Dense layer alone does not do.

# %%
step = field.stride
moved = np.roll(pictures[:1], (step, step), axis=(1, 2))
chapter.exact(
    "heat map of a canvas moved by one stride, moved back, differs by",
    measured=largest(array(converted(moved))[:, 1:, 1:] - heat[:1, :-1, :-1]) / largest(heat[0]),
    expected=0.0,
    tolerance=1e-5,
    source=notes + ": places are kept",
)
accuracies = {}
for by in (0, window // 8, window // 4):
    shifted = np.pad(test[0], ((0, 0), (0, 0), (by, 0), (0, 0)))[:, :, :window]
    accuracies[by] = accuracy_on(shifted)
cut_off = test[0].copy()
cut_off[:, :, -(window // 4) :] = 0
when_cut = accuracy_on(cut_off)
print("accuracy of the Dense classifier by shift in pixels:", accuracies)
chapter.empirical(
    f"accuracy on digits {window // 4} of {window} pixels off, the rest outside the window",
    measured=accuracies[window // 4],
    expected=f"far below {accuracies[0]:.3f}, and {when_cut:.3f} with the same columns black and "
    "nothing moved: Dense knows places, it does not share them",
    holds=accuracies[window // 4] < when_cut - 0.1,
    source="notes say that Dense loses the place; corrected",
)

# %% [markdown]
# ## Where is the 3?
#
# For every digit on a canvas: does the heat map of *its* class have its highest value where the
# digit stands (up to an eighth of the window, and half a stride)? And the other way round: of the
# ten classes' peaks, are the six highest those of the six digits on the canvas, in their places? A
# plain classifier was never shown a window without a digit in its middle. It must call everything
# something, and it is most confident where nobody taught it.
#
# The remedy is an eleventh class: windows of training canvases more than a quarter of the window
# away from every digit's place. Both nets see the same windows of digits; one sees these, too. And
# a baseline that needs no net: the mean picture of each digit, laid over every window, correlated
# (Pearson). On a black canvas this is a strong rival, and the table shows how narrow the net's lead
# is.


# %%
def crops(images, labels, count, rng):
    """Windows of fresh canvases: half of them digits, half of them class 10, none of them."""
    windows_of_digits, digits, windows_of_nothing = [], [], []
    beside = field.stride // 2  # an answer lies at most half a stride beside the digit
    for picture, placed in zip(*canvases(images, labels, count // (2 * digits_a_canvas), rng)):
        around = np.pad(picture, ((beside, beside), (beside, beside), (0, 0)))
        for digit, place in placed.items():
            windows_of_digits.append(cut(around, place + rng.integers(0, 2 * beside + 1, 2)))
            digits.append(digit)
        while len(windows_of_nothing) < len(digits):
            place = anywhere(rng)
            if all(apart(place, other) >= window // 4 for other in placed.values()):
                windows_of_nothing.append(cut(picture, place))
    classes = np.array(digits + [10] * len(windows_of_nothing))
    return np.stack(windows_of_digits + windows_of_nothing), classes


tolerance = window // 8 + field.stride // 2


def boxes(heat, placed):
    """The peak of every class: (digit, place, its height, whether the digit is there)."""
    for digit in range(10):
        peak = np.unravel_index(heat[..., digit].argmax(), heat.shape[:2])
        place = tuple(int(n) * field.stride for n in peak)
        right = digit in placed and apart(place, placed[digit]) <= tolerance
        yield digit, place, heat[peak][digit], right


def strongest(peaks):
    """As many peaks as there are digits on a canvas."""
    return sorted(peaks, key=lambda box: -box[2])[:digits_a_canvas]


def score(maps):
    """Shares of the digits that are found, and of the strongest peaks that are right."""
    peaks = [list(boxes(heat, placed)) for heat, placed in zip(maps, places)]
    found = [sum(right for *_, right in of_one) for of_one in peaks]
    drawn = [sum(right for *_, right in strongest(of_one)) for of_one in peaks]
    return float(np.mean(found)) / digits_a_canvas, float(np.mean(drawn)) / digits_a_canvas


def softmax(logits):
    return array(ops.softmax(logits))


def template_maps(pictures):
    means = np.stack([train[0][train[1] == digit].mean(0).ravel() for digit in range(10)])
    means -= means.mean(1, keepdims=True)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    maps = []
    for picture in pictures:
        cut = windows(picture).reshape(rows * columns, -1)
        cut = cut - cut.mean(1, keepdims=True)
        norm = np.linalg.norm(cut, axis=1, keepdims=True)
        maps.append((cut @ means.T / np.maximum(norm, 1e-6)).reshape(rows, columns, 10))
    return np.stack(maps)


seeds = (0,) if settings.quick else (0, 1, 2)
scores = {"plain classifier": [], "with a class for nothing": []}
for seed in seeds:
    keras.utils.set_random_seed(settings.seed + seed)
    seen, classes = crops(*train, (8 if small else 1) * len(train[0]), rng)
    of_digits = classes < 10
    plain, careful = classifier(), classifier(11)
    fit(plain, seen[of_digits], classes[of_digits])
    fit(careful, seen, classes)
    maps = {}
    for name, net in zip(scores, (plain, careful)):
        heat_map = models.convolutionalize(net, name="heat_map")
        maps[name] = softmax(answers(heat_map, pictures))
        scores[name].append(score(maps[name]))
        print(f"{name}, seed {seed}: found {scores[name][-1][0]:.3f}")
maps["mean pictures"] = template_maps(pictures)
scores["mean pictures"] = [score(maps["mean pictures"])]

path = chapter.output / "heat_map.keras"
heat_map.save(path)
reloaded = softmax(answers(keras.saving.load_model(path), pictures))
chapter.exact(
    "the reloaded net differs by",
    measured=largest(reloaded - maps["with a class for nothing"]),
    expected=0.0,
    tolerance=1e-6,
    source="saving",
)

# %%
shown = 0
panels, outlines = {}, {}
for name, heats in maps.items():
    peaks = strongest(boxes(heats[shown], places[shown]))
    title = f"{name}:\n{sum(right for *_, right in peaks)} of {digits_a_canvas} boxes are right"
    panels[title] = pictures[shown]
    outlines[title] = [
        (*place, window, window, "#56b4e9", f"{digit}")
        if right
        else (*(n - 1 for n in place), window + 2, window + 2, "#e69f00", f"      {digit}")
        for digit, place, _, right in peaks
    ]
chapter.figure(
    figures.panels(
        panels, outlines, "A net that never saw empty places finds digits in them", cell=4.2
    ),
    "boxes",
    "The first test canvas. Each class has one peak; the six highest are drawn, with the class "
    "above the box: blue where this digit stands, orange and larger where it does not.",
)
heats = maps["with a class for nothing"][shown]
reach = max(2, rows // 12)
in_place = sum(right for *_, right in boxes(heats, places[shown]))
panels, outlines = {}, {}
for digit in range(10):
    heat = heats[..., digit].round(2)
    where = places[shown].get(digit)
    title = f"{digit}, {'not there' if where is None else 'there'}: peak {heat.max():.2f}"
    panels[title] = heat
    if where:
        corner = [n // field.stride - reach for n in where]
        outlines[title] = [(*corner, 2 * reach + 1, 2 * reach + 1, "#d55e00", "")]
chapter.figure(
    figures.panels(
        panels,
        outlines,
        f"{in_place} of {digits_a_canvas} digits have the peak of their class's heat map in place",
        columns=5,
        cell=2.4,
        highest=1,
    ),
    "heat_maps",
    "Probability of each digit at every place of the first test canvas, white 0 to dark blue 1. "
    "Framed: where the digit stands. The other four digits are not on the canvas.",
)

# %% [markdown]
# ## VGG-16, and why its map is coarse
#
# VGG-16's first Dense layer stands on a map of 7x7x512, so it becomes a convolution of 7x7, not of
# 1x1; those behind it become 1x1. Five poolings make the stride 32: a picture of 512x512 gives the
# notes' 10x10 answers, each from 404 pixels. To make that map large again is the next chapter.
# Here VGG has a sixteenth of its channels; `--full` takes all of them.


# %%
def vgg16(part):
    x = image = keras.Input((224, 224, 3), name="image")
    for convolutions, filters in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(convolutions):
            x = layers.Conv2D(filters // part, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for units in (4096, 4096):
        x = layers.Dense(units // part, activation="relu")(x)
    return keras.Model(image, layers.Dense(1000)(x), name="vgg16")


part = 1 if settings.full else 16
vgg = vgg16(part)
sliding = models.convolutionalize(vgg)
image = rng.uniform(size=(1, 224, 224, 3)).astype("float32")
answer = array(vgg(image))
kernels = [tuple(w.shape[:2]) for w in sliding.weights if len(w.shape) == 4][-3:]
chapter.exact(
    f"weights of VGG-16, channels / {part}, before and after",
    measured=[vgg.count_params(), sliding.count_params()],
    expected=[{1: 138_357_544, 16: 782_284}[part]] * 2,
    source="Simonyan and Zisserman 2015; counted",
)
chapter.exact(
    "kernels that its three Dense layers become",
    measured=kernels,
    expected=[(7, 7), (1, 1), (1, 1)],
    source="lecture notes say 1x1 of all; corrected",
)
chapter.exact(
    "its answer at 224x224, converted, relative to the largest, differs by",
    measured=largest(array(sliding(image))[:, 0, 0] - answer) / largest(answer),
    expected=0.0,
    tolerance=1e-4,
    source=notes,
)
chapter.exact(
    "its answers on 512x512, their receptive field and stride",
    measured=[*sliding.compute_output_shape((1, 512, 512, 3))[1:3], *receptive_field(sliding)[:2]],
    expected=[10, 10, 404, 32],
    source="lecture notes: the coarse 10x10; FCN",
)

# %% [markdown]
# ## What was measured

# %%
chance = (2 * (tolerance // field.stride) + 1) ** 2 / (rows * columns)
for measure, what in enumerate(
    ("digits with the peak of their class in their place", "of the six highest peaks, right")
):
    results = {name: [both[measure] for both in pairs] for name, pairs in scores.items()}
    careful, untaught = results["with a class for nothing"], results["plain classifier"]
    for name, expected, holds in (
        ("plain classifier", f"above chance, {chance:.3f}", min(untaught) > 2 * chance),
        (
            "with a class for nothing",
            f"above the plain classifier, {np.mean(untaught):.2f} ± {np.std(untaught):.2f}",
            min(careful) > max(untaught),
        ),
        (
            "mean pictures",
            f"below the net, {np.mean(careful):.2f} ± {np.std(careful):.2f}",
            results["mean pictures"][0] < min(careful),
        ),
    ):
        chapter.empirical(
            f"{what}, {name}",
            measured=float(np.mean(results[name])),
            spread=float(np.std(results[name])) if len(results[name]) > 1 else None,
            expected=expected,
            holds=holds,
            source="measured here",
        )
chapter.finish()
