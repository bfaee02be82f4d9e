# %% [markdown]
# # Experiment · FCN
#
# A classifier whose dense layers are convolutions gives a coarse map of scores. FCN enlarges this
# map to the picture's size, and every pixel has its label. What the five poolings threw away, where
# exactly a thing ends, comes back by adding the scores of earlier maps: FCN-16s adds those of the
# fourth stage to what FCN-32s has, FCN-8s those of the third.
#
# Book: chapter 6, "Segmenting pictures with FCN-8s" (notebook 6.5: FCN-8s, class weights, outline
# weights). Lecture notes: FCN-32s, 16s and 8s; FCN's limits; the gain by a pretrained encoder. The
# book's "validation" pictures are training pictures, and its log is that of another network than
# the one it prints; both are shown below.
#
# By default this runs on drawn street scenes. On photographs, which take longer to learn: `python
# chapters/experiments/fcn.py --dataset camvid --data-dir PATH --image-size 96 128 --epochs 40`.
# With weights of `keras.applications.VGG16` that you have: `--width 1 --encoder-weights PATH`.
# `--full` trains the paper's net on CamVid at 360x480 with three seeds: a night on a GPU of 24 GB.
#
# Takes 2 to 3 minutes on two cores.

# %%
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from scipy import ndimage

from kerasseg import datasets, figures, models, receptive_field
from kerasseg.initializers import Bilinear
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.losses import CrossEntropy, median_frequency_weights, outline_weights
from kerasseg.metrics import BoundaryIoU, MeanIoU, PixelAccuracy
from ledger import Experiment

chapter = Experiment(
    "fcn",
    "FCN",
    dataset="street_scenes",
    data_dir=None,
    image_size=(64, 96),
    epochs=5,
    width=0.125,
    batch_size=8,
    seeds=2,
    encoder_weights=None,
    seed=0,
    quick={"epochs": 1, "width": 0.03, "image_size": (32, 64), "batch_size": 24, "seeds": 1},
    full={
        "dataset": "camvid",
        "image_size": (360, 480),
        "epochs": 90,
        "width": 1.0,
        "batch_size": 4,
        "seeds": 3,
    },
    choices={"dataset": ("street_scenes", "camvid")},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)
rng = np.random.default_rng(settings.seed)
paper = "Long et al. 2015"


def array(tensor):
    return ops.convert_to_numpy(tensor)


# %% [markdown]
# ## The network, counted
#
# VGG-16's thirteen convolutions, its two dense layers as convolutions of 7x7 and 1x1, a score a
# class. A weight count says whether a network is the one that is meant. The book's printed FCN-8s
# has 4,086 filters where VGG has 4,096, a slip of the pen. The book's printed *training log* is
# older than the printed net: then the enlarging began at the fifth pooling, and fc6 and fc7, nine
# tenths of the weights, were not part of it.

# %%
STAGES = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)


def conv(size, inputs, outputs, bias=True):
    return size * size * inputs * outputs + bias * outputs


def encoder(width=1.0):
    filters = [max(1, round(width * count)) for stage in STAGES for count in stage]
    return sum(conv(3, *pair) for pair in zip([3, *filters], filters))


def decoder(classes, pool4=512, pool3=256, last_bias=False):
    """Three transposed convolutions over all classes, two scores of poolings."""
    enlarge = 2 * conv(4, classes, classes, False) + conv(16, classes, classes, last_bias)
    return enlarge + conv(1, pool4, classes) + conv(1, pool3, classes)


def fully_connected(inputs, hidden, classes):
    return conv(7, inputs, hidden) + conv(1, hidden, hidden) + conv(1, hidden, classes)


small = models.fcn8s((64, 96, 3), 5, width=1 / 16)
for claim, measured, expected, source in (
    (
        "the paper's FCN-8s, 21 classes",
        encoder() + fully_connected(512, 4096, 21) + decoder(21),
        134_489_759,
        paper,
    ),
    (
        "the book's FCN-8s as printed, 19 classes",
        encoder() + fully_connected(512, 4086, 19) + decoder(19, last_bias=True),
        134_124_094,
        "book, notebook 6.5",
    ),
    (
        "the net that the book's log belongs to",
        # the first transposed convolution takes 512 channels instead of 19
        encoder() + decoder(19, last_bias=True) + 4 * 4 * (512 - 19) * 19,
        14_983_177,
        "book, notebook 6.5, first version",
    ),
    (
        "kerasseg's FCN-8s, a sixteenth of the filters, 5 classes",
        small.count_params(),
        encoder(1 / 16) + fully_connected(32, 256, 5) + decoder(5, 32, 16),
        "the same arithmetic",
    ),
):
    chapter.exact(f"weights of {claim}", measured=measured, expected=expected, source=source)

field = receptive_field(small, "fc7_scores")
chapter.exact(
    "receptive field and stride of its scores",
    measured=[field.size, field.stride],
    expected=[404, 32],
    unit="pixels",
    source=f"{paper}; 7x7 taps on VGG-16's last pooling",
)

# %% [markdown]
# ## Enlarging scores, by hand
#
# A transposed convolution of stride `f` adds every score to a neighbourhood of `2 f` x `2 f`
# pixels, weighted by its kernel. If the kernel is a pyramid, this is bilinear upsampling. FCN
# starts with it, and keeps it in the last step. The rest of the decoder is addition.


# %%
def pyramid(factor):
    taps = np.arange(2 * factor)
    slope = 1 - np.abs(taps - (factor - 0.5)) / factor  # 1/4 3/4 3/4 1/4 for 2
    return np.outer(slope, slope)


def enlarge(scores, factor):
    """(rows, columns, classes) to `factor` times as many rows and columns."""
    rows, columns, classes = scores.shape
    total = np.zeros(((rows + 1) * factor, (columns + 1) * factor, classes))
    for row, column in np.ndindex(rows, columns):
        top, left = row * factor, column * factor
        neighbourhood = total[top : top + 2 * factor, left : left + 2 * factor]
        neighbourhood += pyramid(factor)[..., None] * scores[row, column]
    cut = factor // 2
    return total[cut:-cut, cut:-cut]


for factor in (2, 8):
    kernel = array(Bilinear()((2 * factor, 2 * factor, 3, 3)))
    by_hand = pyramid(factor)[..., None, None] * np.eye(3)
    chapter.exact(
        f"Bilinear() for a factor of {factor} differs from the pyramid by",
        measured=float(np.abs(kernel - by_hand).max()),
        expected=0.0,
        tolerance=1e-7,
        source=f"{paper}, section 3.3",
    )

for stage in (4, 3):  # zero until they are trained
    scores_layer = small.get_layer(f"encoder{stage}_scores")
    scores_layer.set_weights([rng.normal(size=w.shape) for w in scores_layer.get_weights()])
names = ("encoder3_pool", "encoder4_pool", "fc7_scores")
taps = keras.Model(small.input, [small.get_layer(name).output for name in names])
noise = rng.uniform(size=(1, 64, 96, 3)).astype("float32")
pool3, pool4, coarse = (array(x)[0] for x in taps(noise))


def skip_scores(stage, pool):
    kernel, bias = small.get_layer(f"encoder{stage}_scores").get_weights()
    return pool @ kernel[0, 0] + bias


fcn32s = enlarge(coarse, 32)
fcn16s = enlarge(enlarge(coarse, 2) + skip_scores(4, pool4), 16)
fcn8s = enlarge(enlarge(enlarge(coarse, 2) + skip_scores(4, pool4), 2) + skip_scores(3, pool3), 8)
logits = array(small(noise))[0]
chapter.exact(
    "FCN-8s by hand, from its three maps, differs from the model by",
    measured=float(np.abs(fcn8s - logits).max() / np.abs(logits).max()),
    expected=0.0,
    tolerance=1e-5,
    unit="of the largest score",
    source=f"{paper}, figure 3",
)

# %% [markdown]
# ## The data
#
# A tenth of the training pictures is held out to choose the best epoch. The validation split is
# only scored. `arrays` are the training pictures as they are, for counting and for the classifier.

# %%
size = settings.image_size
options = {
    "image_size": size,
    "batch_size": settings.batch_size,
    "data_dir": settings.data_dir,
    "seed": settings.seed,
}
plain = datasets.load(settings.dataset, augment=0, **options)
fitted, selection = plain.hold_out(0.1)
data = plain if settings.quick else datasets.load(settings.dataset, augment=0.5, **options)
fitting = fitted if settings.quick else data.hold_out(0.1)[0]  # the same pictures, varied
validation = data.validation
if settings.quick:
    fitting, selection, fitted, validation = (
        batches.take(1) for batches in (fitting, selection, fitted, validation)
    )
classes, void = data.num_classes, data.ignore_class


def arrays(batches):
    """Images in 8 bits, so that all of them fit into the memory, and label maps."""
    pairs = [
        (np.rint(255 * images).astype("uint8"), labels.astype("uint8"))
        for images, labels in batches.as_numpy_iterator()
    ]
    return [np.concatenate(part) for part in zip(*pairs)]


images, labels = arrays(validation)
train_images, train_labels = arrays(fitted)
shares = np.bincount(train_labels[train_labels != void], minlength=classes)
shares = shares / shares.sum()
rare = np.flatnonzero((shares > 0) & (shares < 0.02))
votes = np.stack([(train_labels == class_id).sum(0) for class_id in range(classes)], -1)
print("rare classes:", ", ".join(f"{data.class_names[i]} {shares[i]:.2%}" for i in rare))

# %% [markdown]
# ## How much a coarse map can say
#
# Take the truth itself, keep no more of it than the share of each class in every square of 32x32
# pixels, and enlarge that: what is its mean IoU? The paper has this table for its own pictures
# (appendix A): 86.1 % for squares of 32, 92.8 % of 16, 96.4 % of 8. These pictures are far smaller,
# so the same squares cover more of them. It is a measure, not a bound: a net's scores are no
# shares, and can place an outline inside of a square.


# %%
def mean_iou_of_squares(side):
    height, width = labels.shape[1:]
    metric = MeanIoU(classes, void)
    for ids in np.array_split(labels, max(1, len(labels) // 8)):
        beyond = [(0, 0), (0, -height % side), (0, -width % side)]
        known = np.pad(ids, beyond, mode="edge")[..., None] == np.arange(classes)
        shares_of = layers.AveragePooling2D(side)(known.astype("float32"))
        metric.update_state(ids, BilinearUpsampling2D(side)(shares_of)[:, :height, :width])
    return float(metric.result())


sides = (32, 16, 8, 4, 2)
of_squares = [mean_iou_of_squares(side) for side in sides]
print("mean IoU of the truth in squares:", dict(zip(sides, np.round(of_squares, 3))))

# %% [markdown]
# ## Training and scoring
#
# One function trains all nets below, from wherever their weights stand, and returns to the epoch
# that was best on the held-out pictures. Every pixel comes with a weight, for now 1.


# %%
RATE = min(1e-3, 1.25e-4 / settings.width)  # of learning, falling along a cosine


def equal(labels):
    return tf.ones_like(labels, tf.float32)


def train(net, epochs, weigh=equal):
    """Mean IoU on the held-out pictures, epoch by epoch."""
    if not net.compiled:
        net.compile(
            "adam",
            CrossEntropy(void),
            metrics=[MeanIoU(classes, void)],
            weighted_metrics=[],
            run_eagerly=settings.quick,  # for a few steps, compiling would not pay
        )
    for variable in net.optimizer.variables:  # Adam forgets; to compile again would take longer
        variable.assign(ops.zeros_like(variable))
    steps = epochs * len(fitting)

    def fall(batch, logs=None):
        net.optimizer.learning_rate = (
            RATE * (1 + np.cos(np.pi * net.optimizer.iterations / steps)) / 2
        )

    best = keras.callbacks.EarlyStopping(
        "val_mean_iou", mode="max", patience=epochs, restore_best_weights=True
    )
    history = net.fit(
        fitting.map(lambda images, labels: (images, labels, weigh(labels))),
        validation_data=selection,
        epochs=epochs,
        callbacks=[best, keras.callbacks.LambdaCallback(on_train_batch_begin=fall)],
        shuffle=False,  # the pipeline shuffles
        verbose=2,
    )
    return history.history["val_mean_iou"]


def predict(net, images):
    batches = np.array_split(images, -(-len(images) // 16))
    return np.concatenate([net.predict_on_batch(x / np.float32(255)) for x in batches])


def score(net, images=images, labels=labels):
    return scores_of(predict(net, images), labels)


def scores_of(logits, labels=labels):
    """Scores of what a net says, and its answers."""
    metrics = [kind(classes, void) for kind in (MeanIoU, BoundaryIoU, PixelAccuracy)]
    for metric in metrics:
        metric.update_state(labels, logits)
    mean_iou, boundary_iou, accuracy = (float(metric.result()) for metric in metrics)
    per_class = metrics[0].per_class()
    return {
        "mean IoU": mean_iou,
        "boundary IoU": boundary_iou,
        "pixel accuracy": accuracy,
        "rare classes": float(np.nanmean(per_class[rare])),
        "per class": per_class,
        "answers": logits.argmax(-1).astype("uint8"),
    }


# %% [markdown]
# ## What there is to beat
#
# Streets are alike: sky above, road below. The commonest class of each *place* in the training
# pictures is an answer, too, and it looks at no picture at all.

# %%
PLACE = "commonest class of the place"
always_the_same = np.broadcast_to(np.eye(classes)[votes.argmax(-1)], (*labels.shape, classes))
results = {PLACE: [scores_of(always_the_same)]}
print(PLACE, {what: round(results[PLACE][0][what], 3) for what in ("mean IoU", "pixel accuracy")})

# %% [markdown]
# ## A classifier first
#
# The paper never starts from random weights but from a classifier of a million pictures. Here it
# has to be one of what is at hand: squares cut out of the training pictures, around a pixel of
# each class in turn, and the question what this pixel is. The classifier is an FCN-32s for squares,
# whose scores are not enlarged. It sees the rare classes as often as the common ones.


# %%
BUILDERS = {"FCN-32s": models.fcn32s, "FCN-16s": models.fcn16s, "FCN-8s": models.fcn8s}


def build(name, encoder_weights=settings.encoder_weights, size=size):
    return BUILDERS[name](
        (*size, 3), classes, width=settings.width, encoder_weights=encoder_weights
    )


def squares(count, side=32):
    """Pictures (count, side, side, 3), and the class of the pixel in the middle of each."""
    half = side // 2
    padded = np.pad(train_images, ((0, 0), (half, half), (half, half), (0, 0)), "reflect")
    kinds = np.resize(np.flatnonzero(shares), count)
    middles = np.zeros((count, 3), int)
    for kind in np.unique(kinds):
        pixels = np.flatnonzero(train_labels == kind)
        drawn = rng.choice(pixels, (kinds == kind).sum())
        middles[kinds == kind] = np.stack(np.unravel_index(drawn, train_labels.shape), -1)
    cut = [padded[i, row : row + side, column : column + side] for i, row, column in middles]
    return np.stack(cut) / np.float32(255), kinds


def classify(epochs):
    """An FCN-32s for squares, trained as a classifier of what is in their middle."""
    net = build("FCN-32s", size=(32, 32))
    x = layers.GlobalAveragePooling2D()(net.get_layer("fc7_scores").output)
    classifier = keras.Model(net.input, layers.Softmax()(x), name="classifier")
    classifier.compile(
        keras.optimizers.Adam(RATE),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        run_eagerly=settings.quick,
    )
    squares_a_picture = np.prod(size) // 32**2
    x, y = squares(squares_a_picture * len(train_images))
    classifier.fit(x, y, 64, epochs, validation_split=0.1, verbose=2)
    return net


# %% [markdown]
# ## What a pixel weighs: rare classes
#
# One pixel in two hundred is a sign. A net that never says "sign" loses almost nothing. The book
# gives each class the weight `-log(share)`; its table is checked below. The median of the
# frequencies over each frequency goes much further (SegNet). The paper left the classes as they
# are and found balancing unnecessary. The library's weighted cross-entropy is a weighted mean: its
# weights go below the line, too. Further down the weights come pixel by pixel, with the labels, and
# are divided by their mean over all training pixels instead.

# %%
of_book = {36.88: 1.00, 22.82: 1.48, 15.91: 1.84, 7.01: 2.66, 1.23: 4.40}  # % of the pixels
chapter.exact(
    "-log(share) differs from the book's weights of five classes by",
    measured=max(abs(-np.log(share / 100) - weight) for share, weight in of_book.items()),
    expected=0.0,
    tolerance=0.01,
    source="book, notebook 6.5, table of weights",
)
of_class = {
    "log": -np.log(np.maximum(shares, 1e-6)),
    "median": median_frequency_weights(train_labels, classes, void),
}
few_labels, few_logits = labels[:2], rng.normal(size=(*labels[:2].shape, classes))
known = few_labels != void
log_p = few_logits - np.log(np.exp(few_logits).sum(-1, keepdims=True))
cost = -np.take_along_axis(log_p, np.where(known, few_labels, 0)[..., None], -1)[..., 0][known]
weight = of_class["log"][few_labels[known]]
chapter.exact(
    "weighted cross-entropy by hand differs from the library's by",
    measured=float((weight * cost).sum() / weight.sum())
    - float(CrossEntropy(void, of_class["log"])(few_labels, few_logits)),
    expected=0.0,
    tolerance=1e-5,
    source="book, notebook 6.5",
)

# %% [markdown]
# ## What a pixel weighs: outlines
#
# An outline is where dilating a class gives more than eroding it. Both are convolutions with ones,
# counted: dilated is what has one neighbour or more of the class, eroded what has no other. The
# book's dilation, `clip(count, 1, 2) - 1`, asks for two, so a lone pixel does not grow but vanish;
# its erosion counts zeros beyond the border, and eats the picture's edge.


# %%
def count(mask):
    """How many of the 3x3 pixels around each pixel are set; none beyond the border."""
    return ndimage.convolve(mask.astype(int), np.ones((3, 3), int), mode="constant")


def dilated(mask):
    return count(mask) >= 1


def eroded(mask):
    return count(mask) == count(np.ones_like(mask))


def books_dilated(mask):
    return np.clip(count(mask), 1, 2) - 1 == 1


def books_eroded(mask):
    return count(mask) == 9


lone, full = np.zeros((5, 7), int), np.ones((5, 7), int)
lone[2, 3] = 1
for claim, masks, expected in (
    ("a lone pixel, dilated", (books_dilated(lone), dilated(lone)), [0, 9]),
    ("35 pixels that fill a picture, eroded", (books_eroded(full), eroded(full)), [15, 35]),
):
    chapter.exact(
        f"pixels left of {claim}: the book's, ours",
        measured=[int(mask.sum()) for mask in masks],
        expected=expected,
        source="book, notebook 6.5, appendix",
    )


def outlines(labels, side=3):
    """Where the largest and the smallest id around a pixel differ: all classes at once."""
    ids = tf.cast(labels, tf.float32)[..., None]
    largest, smallest = (sign * tf.nn.max_pool2d(sign * ids, side, 1, "SAME") for sign in (1, -1))
    return (largest != smallest)[..., 0]


by_hand = np.any(
    [dilated(labels[0] == i) & ~eroded(labels[0] == i) for i in np.unique(labels[0])], 0
)
chapter.exact(
    "pixels of a picture on which dilation less erosion and the poolings differ",
    measured=int((by_hand != array(outlines(labels[:1]))[0]).sum()),
    expected=0,
    source="maximum and minimum of a window",
)


def mean_one(weigh):
    """`weigh` over its mean for the labelled training pixels, so that steps stay as large."""
    mean = np.mean(array(weigh(train_labels))[train_labels != void])
    return lambda labels: weigh(labels) / mean


def by_class(weights):
    of_id = np.append(weights, np.zeros(256 - classes)).astype("float32")
    return mean_one(lambda labels: tf.gather(of_id, tf.cast(labels, tf.int32)))


WEIGHTS = {
    "weights 1": equal,
    "class weights, log": by_class(of_class["log"]),
    "class weights, median": by_class(of_class["median"]),
    "outline weights": mean_one(lambda labels: tf.where(outlines(labels), 4.0, 1.0)),
}
most = {name: max(w[shares > 0]) / w[shares.argmax()] for name, w in of_class.items()}
busiest = int(np.argmax([len(np.unique(ids)) for ids in labels]))
shown = labels[busiest]


def painted(ids):
    return figures.tinted(ids[None], ids[None] == void, data.colours)[0]


chapter.figure(
    figures.panels(
        {
            "picture": images[busiest],
            "labels": painted(shown),
            **{
                name: array(WEIGHTS[name](shown[None]))[0] * (shown != void)
                for name in list(WEIGHTS)[1:]
            },
            "U-Net's outline weights": outline_weights(shown, w0=3, sigma=2),
        },
        title=f"The rarest class weighs {most['median']:.0f} times the commonest by medians, "
        f"{most['log']:.0f} times by logarithms",
        columns=3,
    ),
    "weights",
    "What each pixel of a validation picture weighs, dark where most. The book's outline weights "
    "are 4 near an outline and 1 elsewhere; U-Net's fall off smoothly. Void weighs 0.",
)

# %% [markdown]
# ## The ladder
#
# In stages, as in the paper: FCN-32s from the classifier, FCN-16s from FCN-32s, FCN-8s from
# FCN-16s. Layers of equal names hand on their weights; skips start at zero, so each net starts
# almost as the one before.
#
# Two controls. An FCN-32s that goes on for as long as the two further stages take says whether it
# is the skips that help, or the time. An FCN-32s from random weights says what the classifier
# gave; it trains longer, so that it sees as many pixels as the classifier and its heir together.
# At last FCN-8s goes on for a while with each kind of weights. Each net stands once in the memory,
# and is trained again from other weights.

# %%
pretraining = 1 if settings.quick else 2  # epochs
epochs, further, last = (max(1, settings.epochs // part) for part in (1, 2, 3))
LONGER, SCRATCH = "FCN-32s, longer", "FCN-32s, from scratch"
MEASURES = ("mean IoU", "boundary IoU", "rare classes", "pixel accuracy")


def hand_on(source, target):
    known = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        if layer.name in known:
            layer.set_weights(known[layer.name].get_weights())


def record(name, net):
    scores = score(net)
    results.setdefault(name, []).append(scores)
    print(f"{name}: {', '.join(f'{what} {scores[what]:.3f}' for what in MEASURES)}\n")


agreement, curves = [], []
nets = {name: build(name) for name in BUILDERS}
scratch = nets["FCN-32s"] if settings.encoder_weights is None else build("FCN-32s", None)
for seed in range(settings.seed, settings.seed + settings.seeds):
    keras.utils.set_random_seed(seed)
    scratch.set_weights(build("FCN-32s", None).get_weights())
    train(scratch, epochs + pretraining)
    record(SCRATCH, scratch)

    for name, net in nets.items():
        net.set_weights(build(name).get_weights())
    if settings.encoder_weights is None:
        hand_on(classify(pretraining), nets["FCN-32s"])
    curve = train(nets["FCN-32s"], epochs)
    record("FCN-32s", nets["FCN-32s"])
    for coarser, name in (("FCN-32s", "FCN-16s"), ("FCN-16s", "FCN-8s")):
        hand_on(nets[coarser], nets[name])
        start = score(nets[name])["answers"]
        agreement.append(float((start == results[coarser][-1]["answers"]).mean()))
        curve += train(nets[name], further)
        record(name, nets[name])
    longer = [iou for _ in range(2) for iou in train(nets["FCN-32s"], further)]  # as 16s and 8s
    curves.append((curve, curve[:epochs] + longer))
    record(LONGER, nets["FCN-32s"])

    trained = nets["FCN-8s"].get_weights()
    for name, weigh in WEIGHTS.items():
        nets["FCN-8s"].set_weights(trained)
        train(nets["FCN-8s"], last, weigh)
        record(name, nets["FCN-8s"])


def over_seeds(measurements):
    """Mean and spread; without a spread where there is one seed."""
    numbers = np.array(measurements)
    return float(numbers.mean()), float(numbers.std()) if len(numbers) > 1 else None


def of(name, what="mean IoU"):
    return np.array([scores[what] for scores in results[name]])


rows = []
for name in results:
    row = [over_seeds(of(name, what)) for what in MEASURES]
    spreads = ("" if spread is None else f" ± {spread:.3f}" for _, spread in row)
    rows.append((name, *(f"{mean:.3f}{spread}" for (mean, _), spread in zip(row, spreads))))
chapter.table(("", *MEASURES), rows, "Validation pictures, mean and spread over the seeds.")

# %% [markdown]
# ## Up the ladder

# %%
ladder = [over_seeds(of(name))[0] for name in BUILDERS]
nothing = [np.nan] * (len(sides) - len(ladder))
chapter.figure(
    figures.lines(
        sides,
        {"the truth, in squares": of_squares, "FCN-32s, 16s, 8s": [*ladder, *nothing]},
        "side of a square, pixels of the picture",
        "mean IoU, validation",
        f"FCN-32s to 8s: {ladder[2] - ladder[0]:+.2f}; the truth itself, in squares: "
        f"{of_squares[2] - of_squares[0]:+.2f}",
        xscale="log",
        xticks=sides,
        xticklabels=sides,
        xlim=(40, 1.6),
    ),
    "ladder",
    "Mean over the seeds, against the table of what squares of the truth itself would score. Where "
    "a net lies above it, its scores place outlines inside of a square.",
)
staged, control = np.mean(curves, axis=0)
chapter.figure(
    figures.lines(
        np.arange(len(staged)) + 1,
        {"FCN-32s, 16s, 8s": staged, "FCN-32s all the time": control},
        "epoch",
        "mean IoU, held-out training pictures",
        f"The skips gain {staged[-1] - control[-1]:.3f} over the same time without them",
    ),
    "stages",
    f"Mean over the seeds. Skips are added after epochs {epochs} and {epochs + further}; the other "
    "curve goes on without. Every stage starts with a high learning rate again.",
)

# %%
chosen = np.linspace(0, len(images) - 1, 4).astype(int)
rows = {"picture": images[chosen] / 255, "truth": labels[chosen]}
for name in BUILDERS:
    rows[f"{name}\n{over_seeds(of(name))[0]:.3f}"] = results[name][0]["answers"][chosen]
boundaries = ", ".join(f"{over_seeds(of(name, 'boundary IoU'))[0]:.2f}" for name in BUILDERS)
chapter.figure(
    figures.image_rows(
        {
            name: row if row.ndim == 4 else figures.tinted(row, row == void, data.colours)
            for name, row in rows.items()
        },
        f"Boundary IoU of FCN-32s, 16s, 8s: {boundaries}",
        cell=1.5,
    ),
    "predictions",
    "Four validation pictures and what each net says, in the colours of the classes; striped where "
    "nobody knows. Left, the mean IoU of the whole split.",
)

# %% [markdown]
# ## Small things vanish
#
# The notes say that small objects are lost in FCN. An object is a connected patch of one class in
# the truth, and every pixel knows how large its object is. Then the share of pixels that a net gets
# right can be read off by size, and what of it is known without looking. (Small objects are also
# those of the rare classes, so both reasons are in these numbers.)


# %%
def object_sizes(ids):
    """For every pixel, how many pixels its object has; 0 on void."""
    sizes = np.zeros(ids.shape, int)
    for kind in np.unique(ids[ids != void]):
        objects, _ = ndimage.label(ids == kind)
        counts = np.bincount(objects.ravel())
        counts[0] = 0  # not of this class
        sizes += counts[objects]
    return sizes


size_of = np.stack([object_sizes(ids) for ids in labels])
power = np.log2(np.maximum(size_of, 1)).astype(int) // 2  # 1 to 3 pixels, 4 to 15, 16 to 63, …
powers = np.unique(power[size_of > 0])
small = (size_of > 0) & (power < powers[2])
found_of_small, known_of_small = (
    np.mean([(s["answers"] == labels)[small].mean() for s in results[name]])
    for name in ("FCN-8s", PLACE)
)
found = {
    name: [
        np.mean([(s["answers"] == labels)[(power == k) & (size_of > 0)] for s in results[name]])
        for k in powers
    ]
    for name in (*BUILDERS, PLACE)
}
chapter.figure(
    figures.lines(
        4.0**powers,
        {name: 100 * np.array(share) for name, share in found.items()},
        "pixels of the object, from 1, 4, 16, … upward",
        "pixels labelled rightly, %",
        f"Below {4 ** int(powers[2])} pixels: FCN-8s {found_of_small:.0%} right, "
        f"without looking {known_of_small:.0%}",
        xscale="log",
        xticks=4.0**powers,
        xticklabels=4**powers,
        ylim=(0, 100),
    ),
    "object_sizes",
    "Share of an object's pixels that get the right label, by the size of the object; and what the "
    "commonest class of each place gets right, which looks at no picture.",
)

# %% [markdown]
# ## What the weights do

# %%
print(f"{'IoU of':<14}{'share':>9}" + "".join(f"{name:>24}" for name in WEIGHTS))
for i in np.argsort(-shares):
    ious = (np.mean([scores["per class"][i] for scores in results[name]]) for name in WEIGHTS)
    row = "".join(f"{iou:>24.3f}" for iou in ious)
    print(f"{data.class_names[i]:<14}{shares[i]:>9.2%}{row}")
chapter.figure(
    figures.bars_with_ranges(
        {name: {what: of(name, what) for what in MEASURES} for name in WEIGHTS},
        "score, validation",
        f"Rare classes: IoU {of('weights 1', 'rare classes').mean():.3f} without weights, "
        f"{of('class weights, median', 'rare classes').mean():.3f} with the strongest",
    ),
    "weights_scores",
    "FCN-8s, trained further with each kind of weights: mean and range over the seeds. 'Rare "
    "classes' is the mean IoU of the classes with less than 2 % of the pixels.",
)

# %% [markdown]
# ## The book's validation pictures
#
# The book calls its data function for "validation" without naming the split, and so scores training
# pictures. The same mistake here; after a few epochs nothing is learned by heart, so it may cost
# nothing yet. And not all of the difference is learned by heart: the held-out pictures are of the
# training split, too, but the net was not trained on them. What lies between them and the
# validation pictures is that those show other streets.

# %%
nets["FCN-8s"].set_weights(trained)  # of the last seed
path = chapter.output / "fcn8s.keras"
nets["FCN-8s"].save(path)
reloaded = keras.saving.load_model(path)
of_training = score(reloaded, train_images, train_labels)["mean IoU"]
of_held_out = score(reloaded, *arrays(selection))["mean IoU"]
of_validation = float(of("FCN-8s")[-1])
print(
    f"mean IoU on training pictures {of_training:.3f}, on held-out ones {of_held_out:.3f}, "
    f"on validation pictures {of_validation:.3f}"
)

# %% [markdown]
# ## What was measured

# %%
chapter.exact(
    "validation pixels that the reloaded FCN-8s labels otherwise",
    measured=int((score(reloaded)["answers"] != results["FCN-8s"][-1]["answers"]).sum()),
    expected=0,
    source="saving",
)
agreed, spread = over_seeds(agreement)
chapter.empirical(
    "pixels on which a new stage, not yet trained, agrees with the one before",
    measured=agreed,
    spread=spread,
    expected="above 0.9: skips start at zero, but 2 times 16 is not quite 32",
    holds=agreed > 0.9,
    source=f"{paper}, section 4.2",
)
by_place = float(of(PLACE)[0])
for name, of_paper in zip(BUILDERS, (0.594, 0.624, 0.627)):
    measured, spread = over_seeds(of(name))
    chapter.empirical(
        f"mean IoU of {name} on {settings.dataset}, validation split",
        measured=measured,
        spread=spread,
        expected=f"above {by_place:.3f}, the {PLACE}; PASCAL VOC 2011: {of_paper}",
        holds=bool((of(name) > by_place).all()),
        source=f"{paper}, table 2",
    )


def compare(claim, first, second, what, source):
    """Records the gain of `first` over `second`, seed by seed; it holds if every seed gains."""
    gains = of(first, what) - of(second, what)
    measured, spread = over_seeds(gains)
    chapter.empirical(
        f"{what}: {claim}",
        measured=measured,
        spread=spread,
        expected="above 0 for every seed",
        holds=bool((gains > 0).all()),
        source=source,
    )


EQUAL, LOG, MEDIAN, OUTLINE = WEIGHTS
notes = "lecture notes: 0.2160 to 0.3467 on SegNet"
for comparison in (
    ("FCN-16s over FCN-32s", "FCN-16s", "FCN-32s", "mean IoU", f"{paper}, table 2"),
    ("FCN-8s over FCN-16s", "FCN-8s", "FCN-16s", "mean IoU", f"{paper}, table 2"),
    ("FCN-8s over an FCN-32s trained as long", "FCN-8s", LONGER, "mean IoU", "measured here"),
    ("FCN-8s over an FCN-32s trained as long", "FCN-8s", LONGER, "boundary IoU", "lecture notes"),
    ("pretrained FCN-32s over one from scratch", "FCN-32s", SCRATCH, "mean IoU", notes),
    ("log weights over none", LOG, EQUAL, "rare classes", "book, notebook 6.5"),
    ("log weights over none", LOG, EQUAL, "mean IoU", "book: 0.672 became 0.650"),
    ("median weights over none", MEDIAN, EQUAL, "rare classes", "SegNet, section 3.2"),
    ("median weights over none", MEDIAN, EQUAL, "mean IoU", f"{paper}: balancing unnecessary"),
    ("outline weights over none", OUTLINE, EQUAL, "boundary IoU", "book, notebook 6.5, appendix"),
):
    compare(*comparison)
chapter.empirical(
    f"pixels found of objects below {4 ** int(powers[2])} pixels, FCN-8s",
    measured=float(found_of_small),
    expected=f"near {known_of_small:.2f}, the {PLACE}: small things vanish",
    holds=bool(found_of_small < known_of_small + 0.1),
    source="lecture notes: limits of FCN",
)
for unseen, measured in (("held-out", of_held_out), ("validation", of_validation)):
    chapter.empirical(
        f"mean IoU on training pictures less that on {unseen} ones",
        measured=of_training - measured,
        expected="above 0 by more than the spread of FCN-8s over the seeds",
        holds=of_training - measured > (over_seeds(of("FCN-8s"))[1] or 0),
        source="book, notebook 6.5: `split` defaults to 'train'",
    )
chapter.finish()
