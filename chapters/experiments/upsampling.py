# %% [markdown]
# # Experiment · Upsampling
#
# A decoder must make small maps large. It can repeat pixels, mix neighbours, or learn: the
# transposed convolution. That one has a price that is seen in the picture, the checkerboard.
#
# Book: chapter 6, "Transposed convolution" and "Upsampling and resizing". Lecture notes: nearest
# neighbour, bilinear interpolation, the transposed convolution as a matrix, the checkerboard and
# the rule that the stride must divide the kernel. Two statements of the notes are corrected here:
# the matrix is transposed, not inverted, and the rule prevents uneven *overlap*, not every uneven
# *weight*; how much is left after training is measured.
#
# This needs no data but scikit-learn's. `--full` trains the decoders for 60 epochs, minutes more.
#
# Takes 1 to 2 minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_sample_image

from kerasseg import figures
from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D
from ledger import Experiment

chapter = Experiment(
    "upsampling",
    "Upsampling",
    epochs=12,
    seed=0,
    quick={"epochs": 1},
    full={"epochs": 60},
)
settings = chapter.settings
rng = np.random.default_rng(settings.seed)
notes = "lecture notes: upsampling"


def array(tensor):
    return ops.convert_to_numpy(tensor)


def as_batch(matrix):
    return np.asarray(matrix, "float32")[None, :, :, None]


def largest(difference):
    return float(np.abs(difference).max())


# %% [markdown]
# ## Repeating and mixing, by hand
#
# The four numbers 10, 20, 30, 40 as 4x4. Nearest neighbour repeats. Bilinear interpolation asks,
# for every new pixel, where it lies among the old ones, and there are two answers. With
# `align_corners` the first and last pixels lie on each other; without it the *areas* do, so that a
# new pixel's centre lies at (x + 1/2) / 2 - 1/2, and beyond the outer centres the edge is repeated.

# %%
four = np.array([[10.0, 20.0], [30.0, 40.0]])


def bilinear_by_hand(x, factor, align_corners):
    def one_axis(x):
        old, new = len(x), factor * len(x)
        result = np.zeros((new, *x.shape[1:]))
        for i in range(new):
            source = i * (old - 1) / (new - 1) if align_corners else (i + 0.5) / factor - 0.5
            source = min(max(source, 0), old - 1)
            before = min(int(source), max(old - 2, 0))
            share = source - before
            result[i] = (1 - share) * x[before] + share * x[min(before + 1, old - 1)]
        return result

    return one_axis(one_axis(x).T).T


for align_corners, first_row in ((False, (10, 12.5, 17.5, 20)), (True, (10, 40 / 3, 50 / 3, 20))):
    by_hand = bilinear_by_hand(four, 2, align_corners)
    print(f"align_corners={align_corners}\n{by_hand.round(2)}")
    layer = BilinearUpsampling2D(2, align_corners=align_corners)
    chapter.exact(
        f"bilinear by hand, align_corners={align_corners}: first row, to two decimals",
        measured=by_hand[0].round(2).tolist(),
        expected=np.round(first_row, 2).tolist(),
        source="lecture notes: align_corners",
    )
    chapter.exact(
        f"the layer, align_corners={align_corners}, differs from the loop by",
        measured=largest(array(layer(as_batch(four)))[0, ..., 0] - by_hand),
        expected=0.0,
        tolerance=1e-5,
        source=notes,
    )

photograph = load_sample_image("china.jpg")[60:380, 120:560] / np.float32(255)
small = photograph[20:52, 50:94][None]
chapter.figure(
    figures.image_rows(
        {
            "": np.concatenate(
                [
                    array(layers.UpSampling2D(8, interpolation=kind)(small))
                    for kind in ("nearest", "bilinear")
                ]
            )
        },
        "The nearest pixel makes steps, bilinear interpolation slopes",
        cell=3.6,
    ),
    "nearest_and_bilinear",
    "32x44 pixels of a photograph, eight times larger: left nearest neighbour, right bilinear.",
)

rows, columns = np.indices((256, 256))
disc = np.hypot(rows - 120, columns - 131) < 90
small = layers.AveragePooling2D(8)(as_batch(disc))
wrong = {}
for kind in ("nearest", "bilinear"):
    enlarged = array(layers.UpSampling2D(8, interpolation=kind)(small))[0, ..., 0]
    wrong[kind] = int(((enlarged > 0.5) != disc).sum())
chapter.empirical(
    "a disc made 8 times smaller and larger: pixels on the wrong side of its edge, nearest",
    measured=wrong["nearest"],
    expected=f"above {wrong['bilinear']}, bilinear: nearest neighbour makes edges jagged",
    holds=wrong["nearest"] > wrong["bilinear"],
    source=notes,
)

# %% [markdown]
# ## A linear ramp tells the two conventions apart
#
# With aligned corners a ramp stays a ramp everywhere. By areas it stays one only away from the
# edges, where there is a neighbour on both sides.

# %%
ramp = np.broadcast_to(np.arange(6.0), (6, 6))
for align_corners, expected in ((True, 0.0), (False, 0.25)):
    enlarged = array(BilinearUpsampling2D(4, align_corners=align_corners)(as_batch(ramp)))[
        0, 0, :, 0
    ]
    steps = np.diff(enlarged)
    chapter.exact(
        f"a ramp, align_corners={align_corners}: largest step minus smallest",
        measured=float(steps.max() - steps.min()),
        expected=expected,
        tolerance=1e-5,
        source="closed form",
    )

# %% [markdown]
# ## The transposed convolution is a matrix, transposed
#
# A 3x3 convolution of a 4x4 map gives 2x2. Both maps written as columns, the convolution is a
# matrix of 4 rows and 16 columns. Its transpose has 16 rows: it leads from 2x2 to 4x4, and this is
# what the layer computes. The notes call it the inverse. It is not: going there and back does not
# return the map.

# %%
kernel = rng.normal(size=(3, 3)).astype("float32")
matrix = np.zeros((4, 16), "float32")
for output, (row, column) in enumerate(np.ndindex(2, 2)):
    window = np.zeros((4, 4), "float32")
    window[row : row + 3, column : column + 3] = kernel
    matrix[output] = window.ravel()

y = rng.normal(size=(2, 2)).astype("float32")
x = rng.normal(size=(4, 4)).astype("float32")
transposed = array(ops.conv_transpose(as_batch(y), kernel[:, :, None, None], padding="valid"))
convolved = array(ops.conv(as_batch(x), kernel[:, :, None, None], padding="valid"))
there_and_back = matrix.T @ matrix @ x.ravel()
chapter.exact(
    "convolution differs from matrix times map by",
    measured=largest(convolved.ravel() - matrix @ x.ravel()),
    expected=0.0,
    tolerance=1e-5,
    source=notes,
)
chapter.exact(
    "transposed convolution differs from transposed matrix times map by",
    measured=largest(transposed.ravel() - matrix.T @ y.ravel()),
    expected=0.0,
    tolerance=1e-5,
    source=notes,
)
chapter.exact(
    "<conv x, y> - <x, transposed conv y>",
    measured=float(convolved.ravel() @ y.ravel() - x.ravel() @ transposed.ravel()),
    expected=0.0,
    tolerance=1e-4,
    source="what a transpose is",
)
chapter.exact(
    "rank of the matrix, which has 16 columns: many maps give one answer, so nothing inverts it",
    measured=int(np.linalg.matrix_rank(matrix)),
    expected=4,
    source="lecture notes say inverse; corrected",
)
chapter.empirical(
    "transposed convolution of a convolved map, against the map",
    measured=largest(there_and_back - x.ravel()),
    expected="not 0: a transpose is not an inverse",
    holds=largest(there_and_back - x.ravel()) > 0.1,
    source="lecture notes say inverse; corrected",
)

# %% [markdown]
# ## The same as a convolution with zeros in between
#
# Stride `s` puts `s - 1` zeros between the pixels of the input; `k - 1` zeros are added around, and
# the flipped kernel slides over the result with stride 1. So there are `(H - 1) s + k` rows, less
# `2 p` if the convolution that is transposed had padding `p`. Keras's `padding="same"` takes away
# `k - s` rows, and `H s` are left.


# %%
def by_zero_insertion(x, kernel, stride):
    size = len(kernel)
    spread = np.zeros([(n - 1) * stride + 1 for n in x.shape], "float32")
    spread[::stride, ::stride] = x
    padded = np.pad(spread, size - 1)
    flipped = kernel[::-1, ::-1][:, :, None, None]
    return array(ops.conv(as_batch(padded), np.ascontiguousarray(flipped), padding="valid"))


settings_tried = ((3, 1), (3, 2), (4, 2), (5, 3), (2, 2))
x = rng.normal(size=(5, 7)).astype("float32")
differences, shapes, cropped = [], [], []
for size, stride in settings_tried:
    kernel = rng.normal(size=(size, size)).astype("float32")
    layer = array(ops.conv_transpose(as_batch(x), kernel[:, :, None, None], stride, "valid"))
    differences.append(largest(layer - by_zero_insertion(x, kernel, stride)))
    shapes.append(layer.shape[1:3] == tuple((n - 1) * stride + size for n in x.shape))
    same = array(ops.conv_transpose(as_batch(x), kernel[:, :, None, None], stride, "same"))
    rows, columns = (
        slice((size - stride) // 2, (size - stride) // 2 + n * stride) for n in x.shape
    )
    cropped.append(largest(same - layer[:, rows, columns]))
chapter.exact(
    "zero insertion differs from the layer, largest of five settings",
    measured=max(differences),
    expected=0.0,
    tolerance=1e-5,
    source=notes,
)
chapter.exact(
    "settings of five in which (H - 1) s + k rows come out",
    measured=sum(shapes),
    expected=5,
    source="lecture notes: output size",
)
chapter.exact(
    "padding same differs from H s rows of the whole map, largest of five settings",
    measured=max(cropped),
    expected=0.0,
    tolerance=1e-5,
    source="lecture notes: output size",
)

# %% [markdown]
# ## Who contributes to a pixel?
#
# Ones through a kernel of ones count how many inputs reach each output. If the stride does not
# divide the kernel, the counts differ from pixel to pixel, in a checkerboard. Enlarging first and
# convolving afterwards counts evenly.


# %%
def overlaps(size, stride):
    ones = np.ones((size, size, 1, 1), "float32")
    counts = array(ops.conv_transpose(np.ones((1, 9, 9, 1), "float32"), ones, stride, "valid"))
    middle = slice(size, -size)  # away from the border, where fewer contribute
    return counts[0, middle, middle, 0].astype(int)


for size, stride, expected in (
    (3, 2, [1, 2, 4]),
    (5, 2, [4, 6, 9]),
    (2, 2, [1]),
    (4, 2, [4]),
    (6, 3, [4]),
    (16, 8, [4]),
):
    chapter.exact(
        f"inputs that reach a pixel, kernel {size}, stride {stride}",
        measured=np.unique(overlaps(size, stride)).tolist(),
        expected=expected,
        source="lecture notes: checkerboard",
    )
enlarged = layers.UpSampling2D(2)(np.ones((1, 9, 9, 1), "float32"))
counts = array(ops.conv(enlarged, np.ones((3, 3, 1, 1), "float32"), padding="valid"))
chapter.exact(
    "the same, nearest neighbour and then a 3x3 convolution",
    measured=np.unique(counts).astype(int).tolist(),
    expected=[9],
    source="lecture notes: checkerboard",
)

# %% [markdown]
# ## A transposed convolution that starts as bilinear upsampling
#
# A transposed convolution is one layer that learns; interpolation has nothing to learn.
# `Bilinear()` fills the kernel so that the untrained layer is bilinear upsampling, away from the
# border, where a transposed convolution takes zeros from outside and a resize repeats the edge.

# %%
counts = []
for layer in (
    layers.UpSampling2D(2),
    BilinearUpsampling2D(2),
    layers.Conv2DTranspose(32, 4, 2, padding="same"),
):
    layer.build((None, 9, 11, 16))
    counts.append(layer.count_params())
chapter.exact(
    "weights: nearest, bilinear, transposed convolution of kernel 4 from 16 channels to 32",
    measured=counts,
    expected=[0, 0, 4 * 4 * 16 * 32 + 32],
    source=notes,
)
x = rng.normal(size=(1, 9, 11, 3)).astype("float32")
for size, stride in ((4, 2), (16, 8)):
    transposed = layers.Conv2DTranspose(
        3, size, stride, padding="same", kernel_initializer=Bilinear(), use_bias=False
    )(x)
    difference = array(transposed) - array(BilinearUpsampling2D(stride)(x))
    chapter.exact(
        f"Bilinear(), kernel {size}, stride {stride}, differs from bilinear resizing inside by",
        measured=largest(difference[:, stride:-stride, stride:-stride]),
        expected=0.0,
        tolerance=1e-5,
        source="FCN, surgery; closed form",
    )

# %% [markdown]
# ## The checkerboard after training
#
# Three decoders learn to enlarge photographs four times, in two steps: transposed convolutions
# with kernel 3 and with kernel 4, both of stride 2, and nearest neighbour followed by a 3x3
# convolution. They train on the right of two photographs and are tested on the left. What a
# checkerboard is: part of the error that depends only on *where in the 4x4 grid* a pixel stands.
# So the error is averaged over all pixels of the same place in the grid. What is left of it is the
# checkerboard, and some chance; but chance is not the same in opposite quarters of a piece, and a
# grid is. So the checkerboard is what opposite quarters share, here as a share of the whole squared
# error. For bilinear interpolation, which makes no grid, it must be near zero; what is left there
# are the regular things in the photographs.


# %%
PHOTOGRAPHS = [load_sample_image(name) / np.float32(255) for name in ("china.jpg", "flower.jpg")]


def pieces(columns, count, size=64):
    """Squares of both photographs between two columns: four times smaller, and as they are."""
    first, last = columns
    large = np.stack(
        [
            PHOTOGRAPHS[i % 2][y : y + size, x : x + size]
            for i in range(count)
            for y, x in [rng.integers((0, first), (427 - size, last - size))]
        ]
    )
    return array(layers.AveragePooling2D(4)(large)), large


def transposed_convolution(size):
    def double(x, filters):
        return layers.Conv2DTranspose(filters, size, 2, padding="same", activation="relu")(x)

    return double


def resize_convolution(x, filters):
    x = layers.UpSampling2D(2)(x)
    return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)


DECODERS = {
    "transposed, kernel 3": transposed_convolution(3),
    "transposed, kernel 4": transposed_convolution(4),
    "resize, convolution": resize_convolution,
}


def decoder(double, name):
    x = image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = double(double(x, 32), 16)
    return keras.Model(image, layers.Conv2D(3, 1)(x), name=name)


def checkerboard(error, period=4):
    """Covariance of opposite quarters' means at the places of the grid, over the mean square."""
    batch, height, width, channels = error.shape
    grid = error.reshape(batch, height // period, period, width // period, period, channels)
    inner = grid[:, 2:-2, :, 2:-2]  # borders have patterns of their own
    (a, b), (c, d) = (
        [quarter.mean(axis=(1, 3)) for quarter in np.array_split(half, 2, axis=3)]
        for half in np.array_split(inner, 2, axis=1)
    )
    a, b, c, d = (means - means.mean(axis=(1, 2), keepdims=True) for means in (a, b, c, d))
    return float((a * d + b * c).mean() / 2 / (inner**2).mean())


seeds = (0,) if settings.quick else (0, 1, 2)
train, test = pieces((230, 640), 64 if settings.quick else 768), pieces((0, 220), 64)
energy = {name: {"before": [], "after": []} for name in DECODERS}
errors = {name: [] for name in DECODERS}
shown = np.argsort(test[1].std(axis=(1, 2, 3)))[:-7:-1]  # the six pieces with most contrast
enlargements = {"wanted": test[1][shown]}
for name, double in DECODERS.items():
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = decoder(double, name.replace(", ", "_").replace(" ", "_"))
        energy[name]["before"].append(checkerboard(model.predict(test[0], verbose=0) - test[1]))
        steps = settings.epochs * len(train[0]) // 32
        schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
        model.compile(keras.optimizers.Adam(schedule), "mse")
        model.fit(*train, epochs=settings.epochs, batch_size=32, verbose=2)
        predicted = model.predict(test[0], verbose=0)
        energy[name]["after"].append(checkerboard(predicted - test[1]))
        errors[name].append(float(np.mean((predicted - test[1]) ** 2)))
    enlargements[name.replace(", ", ",\n")] = predicted[shown]
    print(f"{name}: squared error {np.mean(errors[name]):.5f}", energy[name])

path = chapter.output / "resize_convolution.keras"
model.save(path)
reloaded = keras.saving.load_model(path).predict(test[0], verbose=0)
chapter.exact(
    "the reloaded decoder differs by",
    measured=largest(reloaded - predicted),
    expected=0.0,
    tolerance=1e-6,
    source="saving",
)
chapter.figure(
    figures.image_rows(
        enlargements,
        "The checkerboard's share of the error: {:.1%} and {:.1%} with transposed convolutions, "
        "{:.1%} without".format(*(np.mean(energy[name]["after"]) for name in DECODERS)),
        cell=1.6,
    ),
    "decoders",
    "Pieces not trained on, enlarged four times by the three decoders; rows 2 and 3 show a grid.",
)

# %% [markdown]
# ## What was measured
#
# The rule of the notes, a stride that divides the kernel, makes the overlap even. It does not make
# the *weights* even, and they are random before training and free after it. Only behind the resize
# do the weights add up to the same sum at every place, so that flat areas stay flat; at slopes and
# edges there may still be a grid.
#
# None of the three comes near bilinear interpolation in this time: a few hundred steps are spent on
# learning what interpolation has for nothing, the colours. Chapter 8 lets a net begin with the
# interpolated picture, and beats it.

# %%
for when in ("before", "after"):
    even = energy["resize, convolution"][when]
    for name in list(DECODERS)[:2]:
        shares = energy[name][when]
        chapter.empirical(
            f"checkerboard's share of the error, {name}, {when} training",
            measured=float(np.mean(shares)),
            spread=float(np.std(shares)),
            expected=f"above {np.mean(even):.2g} ± {np.std(even):.1g}, that of resize, convolution",
            holds=min(shares) > max(even),
            source="lecture notes: checkerboard",
        )
interpolated = array(BilinearUpsampling2D(4)(test[0]))
least = min(share for name in list(DECODERS)[:2] for share in energy[name]["after"])
chapter.empirical(
    "checkerboard's share of the error, bilinear interpolation",
    measured=checkerboard(interpolated - test[1]),
    expected=f"near 0: it makes no grid; below {least:.2g}, the least of the transposed ones",
    holds=checkerboard(interpolated - test[1]) < least,
    source="the measure itself, judged",
)
baseline = float(np.mean((interpolated - test[1]) ** 2))
for name in DECODERS:
    chapter.empirical(
        f"squared error on pieces not trained on, {name}",
        measured=float(np.mean(errors[name])),
        spread=float(np.std(errors[name])),
        expected=f"below {baseline:.5f}, that of bilinear interpolation",
        holds=max(errors[name]) < baseline,
        source="measured here",
    )
chapter.finish()
