# %% [markdown]
# # Experiment · Downsampling
#
# An encoder makes maps small and lets every pixel of them see much of the picture. This chapter
# takes its parts one by one: convolution, stride and padding, pooling, convolution with holes,
# depthwise and separable convolution. Each is written as a loop first and then called by name.
#
# Book: chapter 3, "Discovering CNNs" (notebook 3.1). Lecture notes: downsampling (pooling, dilated,
# depthwise and separable convolution), the receptive field against the resolution, theoretical
# against effective receptive field. Four statements of the notes are corrected here: atrous
# convolution does not downsample; its feature map is dense because no pixel was thrown away, not
# because it sees more; layers of 1x1 convolutions shrink no map; and the factor between the
# theoretical and the effective receptive field is no constant.
#
# By default this needs nothing. `--full` measures the effective receptive field of VGG-16 with the
# weights of ImageNet, which Keras downloads (58 MB): seconds more.
#
# Takes 10 to 20 seconds on two cores.

# %%
import keras
import numpy as np
from keras import layers, ops
from scipy.signal import convolve2d, correlate2d
from sklearn.datasets import load_sample_image

from kerasseg import figures
from kerasseg.anatomy.receptive_fields import effective_receptive_field, receptive_field
from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from ledger import Experiment

chapter = Experiment(
    "downsampling",
    "Downsampling",
    encoder_weights=None,
    seed=0,
    quick={},
    full={"encoder_weights": "imagenet"},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)
rng = np.random.default_rng(settings.seed)
notes = "lecture notes: downsampling"


def array(tensor):
    return ops.convert_to_numpy(tensor)


def largest(difference):
    return float(np.abs(difference).max())


photographs = [load_sample_image(name) / np.float32(255) for name in ("china.jpg", "flower.jpg")]
grey = np.stack(photographs).mean(-1, keepdims=True)  # (2, 427, 640, 1)
temple = grey[0, 60:316, 200:584]

# %% [markdown]
# ## Convolution, by hand
#
# A kernel lies on a window of the picture; number times number, all added up, is one pixel of the
# result. Then the window moves on: by one pixel, or by `stride`. `padding` puts zeros around the
# picture first. `rate` leaves gaps between the kernel's numbers, its taps. There is nothing else
# to it, and the loop counts its multiplications, for later.


# %%
def convolve(x, kernel, stride=1, padding=0, rate=1):
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    extent = (len(kernel) - 1) * rate + 1
    rows, columns = ((n - extent) // stride + 1 for n in x.shape[:2])
    result = np.zeros((rows, columns, kernel.shape[-1]), "float32")
    multiplications = 0
    for row, column in np.ndindex(rows, columns):
        top, left = row * stride, column * stride
        window = x[top : top + extent : rate, left : left + extent : rate]
        products = window[..., None] * kernel  # (k, k, channels, filters)
        result[row, column] = products.sum((0, 1, 2))
        multiplications += products.size
    return result, multiplications


x = rng.normal(size=(11, 14, 3)).astype("float32")
choices = [(k, s, p, r) for k in (1, 2, 3, 5) for s in (1, 2, 3) for p in (0, 1, 2) for r in (1, 2)]
choices = [choice for choice in choices if choice[1] == 1 or choice[3] == 1]  # all that Keras has
differences, sizes = [], 0
for k, s, p, r in choices:
    kernel = rng.normal(size=(k, k, 3, 4)).astype("float32")
    by_hand, _ = convolve(x, kernel, s, p, r)
    layer = layers.Conv2D(4, k, s, dilation_rate=r, use_bias=False)
    padded = layers.ZeroPadding2D(p)(x[None])
    layer.build(padded.shape)
    layer.set_weights([kernel])
    differences.append(largest(array(layer(padded))[0] - by_hand))
    formula = tuple((n + 2 * p - (k - 1) * r - 1) // s + 1 for n in x.shape[:2])
    sizes += layer.compute_output_shape(padded.shape)[1:3] == by_hand.shape[:2] == formula

# %% [markdown]
# The size of the result is `floor((H + 2 p - (k - 1) r - 1) / s) + 1`. So a kernel of 1 shrinks
# nothing, however many of them stand in a row; strides, poolings and missing padding do.
#
# Mathematics turns the kernel round before it slides and calls the other thing correlation. Deep
# learning does not turn it and says convolution all the same: the kernel is learned either way.

# %%
chapter.exact(
    f"convolution by hand, {len(choices)} settings: the layer differs by",
    measured=max(differences),
    expected=0.0,
    tolerance=1e-4,
    source="book, chapter 3",
)
chapter.exact(
    f"settings of {len(choices)} in which the formula gives the size",
    measured=sizes,
    expected=len(choices),
    source="book, chapter 3: output size",
)
stack = keras.Sequential([keras.Input((11, 14, 3)), *(layers.Conv2D(3, 1) for _ in range(20))])
chapter.exact(
    "rows and columns behind twenty 1x1 convolutions, of 11 and 14",
    measured=list(stack.output_shape[1:3]),
    expected=[11, 14],
    source="lecture notes say that they shrink the map; corrected",
)
one = kernel[:, :, 0, 0]
by_hand, _ = convolve(x[..., :1], one[:, :, None, None])
chapter.exact(
    "the loop differs from SciPy's correlation by",
    measured=largest(by_hand[..., 0] - correlate2d(x[..., 0], one, "valid")),
    expected=0.0,
    tolerance=1e-4,
    source="SciPy",
)
chapter.exact(
    "the loop differs from SciPy's convolution with the kernel turned round by",
    measured=largest(by_hand[..., 0] - convolve2d(x[..., 0], one[::-1, ::-1], "valid")),
    expected=0.0,
    tolerance=1e-4,
    source="SciPy",
)

# %% [markdown]
# ## Padding draws a border
#
# The book's kernel for edges, 8 in the middle and -1 around, answers 0 where nothing changes. Zeros
# around the picture are a change: with `padding="same"` a white sheet of paper has an edge on all
# four sides. Without padding the border is gone, and two rows with it.
#
# And `"same"` of Keras is not the padding of 1 that PyTorch users write: with stride 2 on an even
# size it pads at the end only, and the two maps lie one pixel apart.

# %%
edge = np.full((3, 3, 1, 1), -1, "float32")
edge[1, 1] = 8
paper = array(ops.conv(np.ones((1, 9, 12, 1), "float32"), edge, padding="same"))[0, ..., 0]
chapter.exact(
    "edges of a white paper with zeros around: inside, side, corner",
    measured=[float(paper[at]) for at in ((4, 5), (4, 0), (0, 0))],
    expected=[0.0, 3.0, 5.0],
    source="book, notebook 3.1: the false white border",
)
even = rng.normal(size=(1, 8, 8, 1)).astype("float32")
same = array(ops.conv(even, edge, 2, "same"))
at_the_end, around = (
    array(ops.conv(np.pad(even, ((0, 0), rows, rows, (0, 0))), edge, 2, "valid"))
    for rows in ((0, 1), (1, 1))
)
chapter.exact(
    "stride 2 on 8 rows: padding same differs from zeros at the end alone by",
    measured=largest(same - at_the_end),
    expected=0.0,
    source="Keras",
)
chapter.empirical(
    "stride 2 on 8 rows: padding same differs from zeros on both sides (PyTorch's padding=1) by",
    measured=largest(same - around),
    expected="not 0",
    holds=largest(same - around) > 0.1,
    source="measured here",
)
roof = temple[:97, :129]
edges = {
    padding: np.clip(array(ops.conv(roof[None], edge, 2, padding))[0], 0, 1)
    for padding in ("same", "valid")
}
chapter.figure(
    figures.panels(
        {
            "the picture, 97x129": roof,
            'padding="same", 49x65': edges["same"],
            'padding="valid", 48x64': edges["valid"],
        },
        title="Zero padding puts an edge where the picture only ends",
        cell=3.6,
    ),
    "padding",
    "A part of a photograph through the book's kernel for edges with stride 2. With zeros around, "
    "it gets a bright frame: the end of the picture, not of anything in it.",
)

# %% [markdown]
# ## Pooling
#
# One number stands for a window: the largest, or the mean. There is nothing to learn and so there
# are no weights. The notes' objection to the mean: of (0, 0, 0, 100) it leaves 25. The other side,
# which they do not name: of pure noise the mean leaves half, and the largest of four is not even
# noise around zero any more; it lies 1.03 standard deviations above.


# %%
def pool(x, size, choose):
    rows, columns = (n // size for n in x.shape[:2])
    return np.array(
        [
            [
                choose(x[r * size : (r + 1) * size, c * size : (c + 1) * size])
                for c in range(columns)
            ]
            for r in range(rows)
        ]
    )


salient = np.array([[0, 0], [0, 100]], "float32")
matrix = rng.normal(size=(9, 14)).astype("float32")  # an odd row is left over
weights = 0
for name, layer, choose, expected in (
    ("average", layers.AveragePooling2D(2), np.mean, 25.0),
    ("max", layers.MaxPooling2D(2), np.max, 100.0),
    ("global average", layers.GlobalAveragePooling2D(keepdims=True), np.mean, 25.0),
):
    size = None if name.startswith("global") else 2
    by_hand = pool(matrix, size, choose) if size else np.array([[choose(matrix)]])
    chapter.exact(
        f"{name} pooling: the layer differs from the loop by",
        measured=largest(array(layer(matrix[None, :, :, None]))[0, ..., 0] - by_hand),
        expected=0.0,
        tolerance=1e-6,
        source=notes,
    )
    chapter.exact(
        f"{name} pooling of (0, 0, 0, 100)",
        measured=float(array(layer(salient[None, :, :, None])).item()),
        expected=expected,
        source=notes,
    )
    weights += layer.count_params()
chapter.exact("weights of the three layers", measured=weights, expected=0, source=notes)

noise = rng.normal(size=(1, 800, 800, 1)).astype("float32")
averaged, highest = (array(p(noise)) for p in (layers.AveragePooling2D(2), layers.MaxPooling2D(2)))
chapter.empirical(
    "standard deviation of noise of 1, average-pooled",
    measured=float(averaged.std()),
    expected="0.5, closed form",
    holds=abs(averaged.std() - 0.5) < 0.01,
    source="measured here",
)
chapter.empirical(
    "mean of noise around 0, max-pooled",
    measured=float(highest.mean()),
    expected="1.03, the expected largest of four",
    holds=abs(highest.mean() - 1.0294) < 0.01,
    source="measured here; the notes prefer max pooling",
)
chapter.figure(
    figures.panels(
        {
            "the picture": temple,
            "every 8th pixel": temple[::8, ::8],
            "largest of 8x8": array(layers.MaxPooling2D(8)(temple[None]))[0],
            "mean of 8x8": array(layers.AveragePooling2D(8)(temple[None]))[0],
        },
        title="The largest keeps what is bright, the mean keeps the tone",
        columns=2,
        cell=4,
    ),
    "pooling",
    "256x384 pixels as 32x48. Every eighth pixel is whichever happens to lie there; max pooling "
    "lightens the picture and fattens bright lines; average pooling keeps the tone of every area.",
)

# %% [markdown]
# What stands behind becomes cheaper: a Dense layer on a map of half the size has a quarter of the
# weights. This is what the notes mean by fewer parameters; the convolutions themselves do not
# become smaller.

# %%
dense = [layers.Dense(10, use_bias=False) for _ in range(2)]
for layer, size in zip(dense, (32, 16)):
    layer.build((None, size * size * 16))
chapter.exact(
    "Dense weights on a map of 32x32x16, and pooled",
    measured=[layer.count_params() for layer in dense],
    expected=[163_840, 40_960],
    source=notes,
)

# %% [markdown]
# ## Downsampling that learns
#
# A convolution with a stride downsamples too, and it can learn. Average pooling is one of its
# settings: weights of 1/k². So a learned one need not be worse, and the notes say that it is
# better. Tried: photographs are made four times smaller, then enlarged by bilinear interpolation,
# and the 64 weights of the first step shall lose as little as possible. Both steps are linear, so
# no descent is needed: least squares finds the best weights. They are fitted to the right half of
# two photographs; the left half is scored. (Every fourth pixel lies half a pixel beside the middle
# of its sixteen, where no pixel is. That is a part of what it loses.)

# %%
ones = np.full((4, 4, 1, 1), 1 / 16, "float32")
chapter.exact(
    "a 4x4 convolution of stride 4 with weights 1/16 differs from average pooling by",
    measured=largest(array(ops.conv(grey, ones, 4)) - array(layers.AveragePooling2D(4)(grey))),
    expected=0.0,
    tolerance=1e-5,
    source="closed form",
)


def tiles(pictures, size=48):
    rows, columns = (n // size for n in pictures.shape[1:3])
    cut = pictures[:, : rows * size, : columns * size]
    cut = cut.reshape(len(cut), rows, size, columns, size, 1).swapaxes(2, 3)
    return cut.reshape(-1, size, size, 1)


fitted, scored = tiles(grey[:, :, 320:]), tiles(grey[:, :, :320])
enlarge = BilinearUpsampling2D(4)
single = np.eye(64, dtype="float32").reshape(8, 8, 1, 64)  # each filter is one weight of 1
answers = array(enlarge(ops.conv(fitted, single, 4, "same"))).reshape(-1, 64)
best = np.linalg.lstsq(answers, fitted.ravel(), rcond=None)[0]
reduce = layers.Conv2D(1, 8, 4, padding="same", use_bias=False)
model = keras.Sequential([keras.Input((None, None, 1)), reduce, enlarge], name="reduce_enlarge")
reduce.set_weights([best.reshape(8, 8, 1, 1)])
path = chapter.output / "reduce_enlarge.keras"
model.save(path)


def error(enlarged):
    return float(np.mean((array(enlarged) - scored) ** 2))


errors = {
    "every 4th pixel": error(enlarge(scored[:, 1::4, 1::4])),
    "max pooling": error(enlarge(layers.MaxPooling2D(4)(scored))),
    "average pooling": error(enlarge(layers.AveragePooling2D(4)(scored))),
    "learned": error(keras.saving.load_model(path)(scored)),
}
print("squared error:", ", ".join(f"{name} {value:.5f}" for name, value in errors.items()))
chapter.empirical(
    "squared error of learned downsampling, on the half not trained on",
    measured=errors["learned"],
    expected=f"below {errors['average pooling']:.5f} of average, {errors['max pooling']:.5f} of "
    f"max pooling, {errors['every 4th pixel']:.5f} of every 4th pixel",
    holds=errors["learned"] < min(list(errors.values())[:3]),
    source=notes + ": learned is better",
)

# %% [markdown]
# ## Holes
#
# To see more, a kernel must grow, and its weights grow with the square. Atrous (dilated)
# convolution spreads the taps instead: a kernel of k at rate r reaches over (k - 1) r + 1 pixels
# with the weights of k. It is the same as a larger kernel with zeros in the holes; nobody computes
# the zeros.

# %%
x = rng.normal(size=(1, 13, 16, 3)).astype("float32")
kernel = rng.normal(size=(3, 3, 3, 4)).astype("float32")
filled = np.zeros((5, 5, 3, 4), "float32")
filled[::2, ::2] = kernel
atrous = AtrousConv2D(4, 3, rate=2, padding="same", use_bias=False)
atrous.build(x.shape)
atrous.set_weights([kernel])
chapter.exact(
    "atrous by hand: AtrousConv2D differs from the loop by",
    measured=largest(array(atrous(x))[0] - convolve(x[0], kernel, padding=2, rate=2)[0]),
    expected=0.0,
    tolerance=1e-4,
    source=notes,
)
chapter.exact(
    "and from a 5x5 kernel with zeros in the holes by",
    measured=largest(array(atrous(x)) - array(ops.conv(x, filled, padding="same"))),
    expected=0.0,
    tolerance=1e-4,
    source=notes,
)
chapter.exact(
    "size of 13x16 behind it: atrous convolution does not downsample",
    measured=list(atrous(x).shape[1:3]),
    expected=[13, 16],
    source="lecture notes list it as downsampling; corrected",
)


def fields(*kernels_and_rates):
    image = keras.Input((None, None, 1))
    x = image
    for k, rate in kernels_and_rates:
        x = AtrousConv2D(1, k, rate=rate, use_bias=False, kernel_initializer="ones")(x)
    return keras.Model(image, x)


for k, rate, expected in (
    (3, 1, [9, 3]),
    (3, 2, [9, 5]),
    (5, 1, [25, 5]),
    (7, 1, [49, 7]),
    (7, 2, [49, 13]),
    (13, 1, [169, 13]),
):
    net = fields((k, rate))
    chapter.exact(
        f"kernel {k}, rate {rate}: weights and receptive field",
        measured=[net.count_params(), receptive_field(net).size],
        expected=expected,
        source=notes,
    )

# %% [markdown]
# ## Sparse features, dense features
#
# The notes' picture from DeepLab: above, every second pixel of the photograph is taken, convolved
# with a kernel of 7 and enlarged again; below, the same kernel at rate 2 runs over the whole of it.
# The notes explain the difference by the receptive field. But both see 13x13 pixels of the
# photograph, and through the same 49 of them: where the sparse map has a value, the dense one has
# the very same. It has three more for each of them, which the sparse one must invent.

# %%
steps = np.arange(-3, 4)
bell = np.exp(-(steps**2) / 4.0)
kernel = (bell[:, None] * steps * bell).astype("float32")[:, :, None, None]  # a vertical edge
kernel /= np.abs(kernel).sum()
whole = temple[None]
sparse = array(ops.conv(whole[:, ::2, ::2], kernel, padding="same"))
dense = array(ops.conv(whole, kernel, padding="same", dilation_rate=2))
known = np.zeros_like(dense)
known[:, ::2, ::2] = sparse
tent = np.outer((0.5, 1, 0.5), (0.5, 1, 0.5)).astype("float32")  # in between: neighbours' means
enlarged = array(ops.conv(known, tent[:, :, None, None], padding="same"))
inside = slice(8, -8)  # the border has other zeros around it
invented = np.ones(whole.shape[1:3], bool)
invented[::2, ::2] = False
off = ((enlarged - dense) ** 2)[0, inside, inside, 0][invented[inside, inside]].mean()
chapter.exact(
    "where the sparse map has a value the dense one differs by",
    measured=largest(sparse - dense[:, ::2, ::2]),
    expected=0.0,
    tolerance=1e-6,
    source="lecture notes give the receptive field as the reason; corrected",
)
subsampled = keras.Sequential(
    [
        keras.Input((None, None, 1)),
        layers.MaxPooling2D(1, 2),
        layers.Conv2D(1, 7, padding="same"),
    ]
)
chapter.exact(
    "receptive fields of the two paths",
    measured=[receptive_field(net).size for net in (subsampled, fields((7, 2)))],
    expected=[13, 13],
    source="closed form",
)
chapter.exact(
    "values of the sparse map, as a share of the dense map's",
    measured=sparse.size / dense.size,
    expected=0.25,
    source="closed form",
)
chapter.empirical(
    "squared error of the enlarged sparse map in between, over the dense map's power",
    measured=float(off / (dense[0, inside, inside] ** 2).mean()),
    expected="not 0: what was thrown away does not come back",
    holds=off > 0.01 * (dense[0, inside, inside] ** 2).mean(),
    source="measured here",
)


def signed(feature):
    return np.clip(0.5 + 0.5 * feature / np.quantile(np.abs(dense), 0.99), 0, 1)


crop = (slice(96, 160), slice(24, 120))
chapter.figure(
    figures.panels(
        {
            "the picture": temple[crop],
            "halved and convolved: a value at 1 of 4 pixels": signed(known[0])[crop],
            "the same, enlarged": signed(enlarged[0])[crop],
            "atrous, rate 2: a value at every pixel": signed(dense[0])[crop],
        },
        title="Atrous convolution computes what enlarging has to invent",
        columns=2,
        cell=4.2,
    ),
    "sparse_and_dense",
    "A kernel of 7 for vertical edges on a part of the photograph; grey is 0. Where the halved "
    "picture gives a value, atrous convolution gives the same; enlarging blurs the rest.",
)

# %% [markdown]
# A whole encoder can be turned dense in this way: leave the stride out and spread every kernel
# behind it by the same factor. The values of the strided net are all still there.

# %%
first = rng.normal(size=(3, 3, 1, 4)).astype("float32")
second = rng.normal(size=(3, 3, 4, 2)).astype("float32")
strided = ops.conv(ops.relu(ops.conv(grey, first, 2, "valid")), second, 1, "valid")
spread = ops.conv(ops.relu(ops.conv(grey, first)), second, dilation_rate=2)
chapter.exact(
    "stride turned into rate: at the strided net's places the dense net differs by",
    measured=largest(array(strided) - array(spread)[:, ::2, ::2]),
    expected=0.0,
    tolerance=1e-4,
    source="DeepLab, section 3.1",
)

# %% [markdown]
# ## Fields with gaps
#
# Three 3x3 convolutions have 27 weights. One behind another at rate 1 they see 7 pixels a side; at
# rates 1, 2, 4 they see 15, all of them. At rates 2, 2, 2 they should see 13, but every tap lies an
# even number of pixels from the middle: of 169 pixels they touch 49. This is gridding. The map
# below counts in how many ways a pixel reaches the unit in the middle; it is the gradient of a net
# whose weights are all one.

# %%
ways, touched = {}, {}
for rates, size, count in (((1, 1, 1), 7, 49), ((1, 2, 4), 15, 225), ((2, 2, 2), 13, 49)):
    net = fields(*((3, rate) for rate in rates))
    share = effective_receptive_field(net, np.ones((1, 17, 17, 1), "float32"))
    ways[rates] = (share * 27**2).round(3)  # 27² ways in all
    touched[rates] = int((ways[rates] > 0).sum())
    chapter.exact(
        f"rates {rates}: receptive field and pixels touched",
        measured=[receptive_field(net).size, touched[rates]],
        expected=[size, count],
        source="Yu and Koltun 2016; closed form",
    )
titles = {
    rates: f"rates {rates}\n{touched[rates]} of {size**2} pixels touched"
    for rates, size in (((1, 1, 1), 7), ((1, 2, 4), 15), ((2, 2, 2), 13))
}
chapter.figure(
    figures.panels(
        {titles[rates]: counts for rates, counts in ways.items()},
        {
            titles[rates]: [(8 - reach, 8 - reach, 2 * reach + 1, 2 * reach + 1, "#d55e00", "")]
            for rates, reach in (((1, 1, 1), 3), ((1, 2, 4), 7), ((2, 2, 2), 6))
        },
        "Equal rates leave gaps; doubling rates leave none",
        cell=3,
    ),
    "gridding",
    "Three 3x3 convolutions. Framed: the theoretical receptive field. Blue: the pixels that the "
    "unit in the middle depends on, darker with more ways to it. White pixels are never looked at.",
)

# %% [markdown]
# ## The receptive field against the resolution
#
# The notes' dilemma, in the numbers of VGG-16. Its poolings make the field large and the map small.
# Leave them out: the map keeps its size, and the field shrinks from 212 pixels to 27. Leave them
# out and spread the kernels instead: 181 at full size, with the same weights. (The last 31 were the
# poolings' own windows.)

# %%
vgg = keras.applications.VGG16(
    include_top=False, weights=settings.encoder_weights, input_shape=(256, 256, 3)
)
STAGES = (2, 2, 3, 3, 3)  # convolutions of VGG-16


def stages(rates, head=False):
    x = image = keras.Input((None, None, 1))
    for convolutions, rate in zip(STAGES, rates or (1,) * 5):
        for _ in range(convolutions):
            x = layers.Conv2D(1, 3, padding="same", dilation_rate=rate)(x)
        if not rates:
            x = layers.MaxPooling2D(2)(x)
    return keras.Model(image, layers.Conv2D(1, 7)(x) if head else x)


for name, net, expected in (
    ("VGG-16, last pooling", vgg, [212, 32]),
    ("with the classifier's 7x7", stages(None, head=True), [404, 32]),
    ("without poolings", stages((1, 1, 1, 1, 1)), [27, 1]),
    ("rates 1, 2, 4, 8, 16 instead", stages((1, 2, 4, 8, 16)), [181, 1]),
):
    field = receptive_field(net)
    chapter.exact(
        f"{name}: receptive field and stride",
        measured=[field.size, field.stride],
        expected=expected,
        source="lecture notes: receptive field against resolution; FCN",
    )

# %% [markdown]
# ## Depthwise and separable convolution
#
# A convolution mixes places and channels at once: M filters on C channels have M C K² weights. A
# depthwise one has one kernel a channel, C K², and keeps the channels apart. A 1x1 convolution
# behind it, M C, mixes them: together they are a separable convolution, with (K² + M) / (M K²) of
# the weights.

# %%
C, M, K = 16, 32, 3
x = rng.normal(size=(1, 9, 12, C)).astype("float32")
standard = layers.Conv2D(M, K, use_bias=False)
depthwise = layers.DepthwiseConv2D(K, use_bias=False)
grouped = layers.Conv2D(C, K, groups=C, use_bias=False)
separable = layers.SeparableConv2D(M, K, use_bias=False)
for layer in (standard, depthwise, grouped, separable):
    layer.build(x.shape)
depth_kernel, point_kernel = separable.get_weights()  # (K, K, C, 1) and (1, 1, C, M)
depthwise.set_weights([depth_kernel])
grouped.set_weights([depth_kernel.transpose(0, 1, 3, 2)])


def depthwise_by_hand(x, kernel):
    maps, counts = zip(*(convolve(x[..., [c]], kernel[:, :, [c]]) for c in range(x.shape[-1])))
    return np.concatenate(maps, -1), sum(counts)


by_hand, depth_cost = depthwise_by_hand(x[0], depth_kernel)
mixed, point_cost = convolve(by_hand, point_kernel)
_, standard_cost = convolve(x[0], standard.get_weights()[0])
for name, layer, result in (
    ("depthwise", depthwise, by_hand),
    ("grouped, as many groups as channels,", grouped, by_hand),
    ("separable", separable, mixed),
):
    chapter.exact(
        f"{name} convolution: the layer differs from the loop by",
        measured=largest(array(layer(x))[0] - result),
        expected=0.0,
        tolerance=1e-4,
        source=notes,
    )
for name, layer, formula, count in (
    ("standard", standard, M * C * K**2, 4_608),
    ("depthwise", depthwise, C * K**2, 144),
    ("separable", separable, C * K**2 + M * C, 656),
):
    chapter.exact(
        f"weights, {name}, 16 channels to 32, kernel 3: formula and layer",
        measured=[formula, layer.count_params()],
        expected=[count, count],
        source=notes,
    )
chapter.exact(
    "separable over standard: weights, formula",
    measured=[
        round(separable.count_params() / standard.count_params(), 5),
        round((K**2 + M) / (M * K**2), 5),
    ],
    expected=[0.14236, 0.14236],
    source=notes,
)

# %% [markdown]
# The cost is the number of multiplications: every weight is used once for every pixel of the
# result. The loops counted theirs.

# %%
pixels = by_hand.shape[0] * by_hand.shape[1]
chapter.exact(
    "multiplications counted, standard, depthwise, separable",
    measured=[standard_cost, depth_cost, depth_cost + point_cost],
    expected=[4_608 * pixels, 144 * pixels, 656 * pixels],
    source=notes + ": weights x height x width",
)
changed = x.copy()
changed[..., 5] += 1
moved = {
    name: int((np.abs(array(layer(changed)) - array(layer(x))).max((0, 1, 2)) > 1e-6).sum())
    for name, layer in (("standard", standard), ("depthwise", depthwise))
}
chapter.exact(
    "output channels that change with one input channel, standard and depthwise",
    measured=list(moved.values()),
    expected=[32, 1],
    source=notes + ": depthwise keeps the channels apart",
)

# %% [markdown]
# ## What a unit really looks at
#
# Ten 3x3 convolutions see 21x21 pixels. But a pixel in the corner reaches the unit in the middle on
# one way, a pixel in the middle in millions. The *effective* receptive field is the gradient: how
# much the unit changes with each pixel. Its size is taken here as the smallest number of pixels
# that hold 95 % of it, and its side as the root of that number.
#
# The notes quote from PSPNet that the two lie "almost three times" apart. For a stack of 3x3 layers
# the theoretical side is 2 n + 1 and the effective one grows with the root of n: so the factor is
# what the depth makes it.


# %%
def pixels_of_95_percent(share):
    return int(np.searchsorted(np.cumsum(np.sort(share, axis=None)[::-1]), 0.95)) + 1


def stack_of(depth):
    x = image = keras.Input((2 * depth + 11, 2 * depth + 11, 1))
    for _ in range(depth):
        x = layers.Conv2D(
            1,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(1 / 9),
        )(x)
    return keras.Model(image, x)


depths = (5, 10, 20, 40) if settings.quick else (5, 10, 20, 40, 80)
shares = {}
for depth in depths:
    net = stack_of(depth)
    shares[depth] = effective_receptive_field(net, np.ones((1, *net.input_shape[1:]), "float32"))
row = np.ones(1)
for _ in range(10):
    row = np.convolve(row, np.ones(3) / 3)  # ten times three equal ways
chapter.exact(
    "ten layers: gradient against the closed form, largest difference",
    measured=largest(shares[10][5:-5, 5:-5] - np.outer(row, row)),
    expected=0.0,
    tolerance=1e-6,
    source="closed form: row convolved with itself",
)
chapter.exact(
    "ten layers: pixels in theory, pixels that hold 95 %",
    measured=[receptive_field(stack_of(10)).size ** 2, pixels_of_95_percent(shares[10])],
    expected=[441, 124],
    source="Luo et al. 2016; closed form",
)
theory = [2 * depth + 1 for depth in depths]
effect = [pixels_of_95_percent(shares[depth]) ** 0.5 for depth in depths]
factors = dict(zip(depths, np.divide(theory, effect)))
slope = float(np.polyfit(np.log(depths), np.log(effect), 1)[0])
chapter.empirical(
    "power of the depth with which the effective side grows",
    measured=slope,
    expected="0.5",
    holds=abs(slope - 0.5) < 0.03,
    source="Luo et al. 2016",
)
for depth in (10, 40):
    chapter.empirical(
        f"theoretical over effective side, {depth} layers",
        measured=float(factors[depth]),
        expected="almost 3",
        holds=2.5 <= factors[depth] <= 3.0,
        source="lecture notes: PSPNet",
    )

crops = np.stack([p[y : y + 256, x : x + 256] for p in photographs for y, x in [(90, 200)]])
crops = keras.applications.vgg16.preprocess_input(255 * crops)
of_vgg = effective_receptive_field(vgg, crops[:1] if settings.quick else crops)
side = pixels_of_95_percent(of_vgg) ** 0.5
kind = "untrained" if settings.encoder_weights is None else "trained"
chapter.empirical(
    f"theoretical over effective side, VGG-16's last pooling, {kind}",
    measured=212 / side,
    expected="almost 3",
    holds=2.5 <= 212 / side <= 3.0,
    source="lecture notes: PSPNet",
)

# %%
stack_title = f"ten 3x3 layers\n21 pixels in theory, {effect[1]:.1f} in effect"
vgg_title = f"VGG-16, {kind}\n212 pixels in theory, {side:.0f} in effect"
field = receptive_field(vgg, unit=(4, 4))
corner = field.stride * 4 + field.offset
chapter.figure(
    figures.panels(
        {stack_title: shares[10], vgg_title: np.sqrt(of_vgg)},
        {
            stack_title: [(5, 5, 21, 21, "#d55e00", "")],
            vgg_title: [(corner, corner, 212, 212, "#d55e00", "")],
        },
        "A unit looks hardest at the middle of what it could see",
        cell=3.6,
    ),
    "effective_field",
    "The gradient of one unit, darker where it depends more on the pixel (of VGG-16 the root, to "
    "show the weak part as well). Framed: the theoretical receptive field.",
)
chapter.figure(
    figures.lines(
        depths,
        {
            "theory: 2n + 1": theory,
            "a third of it": np.divide(theory, 3),
            "effect: 95 % of the gradient": effect,
        },
        "layers of 3x3, n",
        "side of the receptive field in pixels",
        "In theory the field grows with n, in effect with its root",
        xscale="log",
        yscale="log",
        xticks=depths,
        xticklabels=depths,
        yticks=(10, 20, 50, 100),
        yticklabels=(10, 20, 50, 100),
    ),
    "field_and_depth",
    "Side of the theoretical receptive field and of the pixels that hold 95 % of the gradient.",
)

# %% [markdown]
# ## What was measured

# %%
chapter.finish()
