# %% [markdown]
# # Chapter 12 · Beyond FCN
#
# FCN adds coarse scores to less coarse ones. Its followers do one of three things: they build a
# decoder as deep as the encoder (DeconvNet, SegNet, U-Net, FC-DenseNet), or keep the maps large and
# the view wide by holes in the kernels (DeepLab, DilatedNet), or look at the whole picture at once
# (PSPNet, DeepLab v3). Hypercolumns read several layers of one encoder. Here they all get the same
# pictures, the same steps and the same score.
#
# Book: chapter 6, the section on encoders, decoders and dilated convolutions. Lecture notes: the
# diary on what followed FCN: DeconvNet, SegNet, skip connections, DeepLab, DilatedNet, PSPNet; the
# homework with SegNet, pretrained and not, whose best epoch was the eleventh.
#
# By default a few nets are trained on drawn street scenes; the others are asked for by name:
# `python chapters/ch12_beyond_fcn.py --models segnet,pspnet,deeplab_v3`. On photographs:
# `--dataset camvid --data-dir PATH`. `--full` trains all of them on CamVid at 180x240, three of
# them with three seeds: a night on a GPU.
#
# Takes 3 minutes on two cores.

# %%
import functools
import time

import keras
import numpy as np
from keras import layers, ops
from scipy import ndimage

from kerasseg import datasets, figures, models, receptive_field
from kerasseg.chapter import Chapter
from kerasseg.losses import CrossEntropy, class_frequencies
from kerasseg.metrics import BoundaryIoU, MeanIoU

DEFAULT = "fcn8s,deconvnet,segnet,unet"
EVERY_ONE = (
    f"{DEFAULT},unet_added,deeplab_v1,deeplab_v1_unpooled,deeplab_v2,deeplab_v3,dilatednet,pspnet,"
    "hypercolumn,fc_densenet56"
)
chapter = Chapter(
    "ch12_beyond_fcn",
    "Chapter 12: beyond FCN",
    dataset="street_scenes",
    data_dir=None,
    models=DEFAULT,
    image_size=(48, 72),
    epochs=7,
    width=0.125,
    batch_size=8,
    seeds=1,
    encoder_weights=None,
    seed=0,
    quick={"models": "fcn8s,deconvnet", "epochs": 1, "width": 0.03, "image_size": (32, 48)},
    full={
        "dataset": "camvid",
        "models": EVERY_ONE,
        "image_size": (180, 240),
        "width": 0.25,
        "epochs": 60,
        "seeds": 3,
    },
    choices={"dataset": ("street_scenes", "camvid")},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)


def array(tensor):
    return ops.convert_to_numpy(tensor)


# %% [markdown]
# ## The nets, and what they see
#
# Each is the paper's, `width` times as many filters. Two are there to answer a question of the
# notes. *U-Net added* puts sums where U-Net puts maps side by side: is it the skip that matters, or
# the concatenation? *DeepLab v1 unpooled* leaves out the two poolings of stride 1, which blur and
# shrink nothing: that was DilatedNet's first step. (DilatedNet stands here without its context
# module, which its paper trains afterwards, with smaller steps.)


# %%
def replaced(build, kind, by):
    """`build`, but with another layer wherever `kind` says so."""

    def exchange(layer):
        return by(layer) if kind(layer) else type(layer).from_config(layer.get_config())

    return lambda *args, **kwargs: keras.models.clone_model(
        build(*args, **kwargs), clone_function=exchange
    )


NETS = {  # what builds it, and the deepest layer with a field of its own
    "fcn8s": (models.fcn8s, "fc7"),
    "deconvnet": (models.deconvnet, "fc7"),
    "segnet": (models.segnet, "encoder5_pool"),
    "unet": (models.unet, "bottleneck_conv2"),
    "unet_added": (
        replaced(
            models.unet,
            lambda layer: isinstance(layer, layers.Concatenate),
            lambda layer: layers.Add(name=layer.name),
        ),
        "bottleneck_conv2",
    ),
    "fc_densenet56": (models.fc_densenet56, "bottleneck_layer4_conv"),
    "deeplab_v1": (models.deeplab_v1, "fc7"),
    "deeplab_v1_unpooled": (
        replaced(
            models.deeplab_v1,
            lambda layer: isinstance(layer, layers.MaxPooling2D) and layer.strides == (1, 1),
            lambda layer: layers.Identity(name=layer.name),
        ),
        "fc7",
    ),
    "deeplab_v2": (models.deeplab_v2, "scores_rate24"),
    "deeplab_v3": (models.deeplab_v3, "scores"),
    "dilatednet": (functools.partial(models.dilatednet, context=None), "fc7"),
    "pspnet": (models.pspnet, "head_scores"),
    "hypercolumn": (models.hypercolumn, "fc7"),
}
asked = settings.models.split(",")
if not set(asked) <= set(NETS):
    raise ValueError(f"--models must be among {', '.join(NETS)}. Received: {settings.models}")

FIELDS = {
    "fcn8s": 404,
    "deconvnet": 404,
    "segnet": 212,
    "unet": 140,
    "fc_densenet56": 538,
    "deeplab_v1": 435,
    "deeplab_v2": 611,
    "dilatednet": 380,
}
seen = [name for name in asked if name in FIELDS]
tiny = {name: NETS[name][0]((None, None, 3), 2, width=0.02) for name in seen}
fields = {name: receptive_field(net, NETS[name][1]).size for name, net in tiny.items()}
chapter.exact(
    f"receptive fields of {', '.join(seen)}",
    measured=list(fields.values()),
    expected=[FIELDS[name] for name in seen],
    unit="pixels",
    source="the papers' layers; DeepLab v1's table says 224",
)

# %% [markdown]
# ## What the positions of the maxima cost
#
# DeconvNet and SegNet keep, for the way up, where in its window each maximum was: that is their
# price, the notes say. It is a small one. U-Net keeps whole maps: four times as many numbers, of
# four bytes. A position in a window of four needs two bits; the library takes a byte, PyTorch
# eight. For SegNet's five poolings of a picture of 360x480:

# %%
PICTURE, FILTERS = (360, 480), (64, 128, 256, 512, 512)


def bytes_of(layer_maps):
    sizes = {"uint8": 1, "float32": 4}
    return sum(int(np.prod(x.shape[1:])) * sizes[x.dtype] for x in layer_maps)


rows, columns = PICTURE
positions = before_pooling = 0
for filters in FILTERS:
    before_pooling += rows * columns * filters
    rows, columns = -(-rows // 2), -(-columns // 2)  # a partial window at the border is kept
    positions += rows * columns * filters
narrow = models.segnet((*PICTURE, 3), 11, width=1 / 64)
pools = [narrow.get_layer(f"encoder{stage}_pool") for stage in range(1, 6)]
masks = 64 * bytes_of(pool.output[1] for pool in pools)
maps = 64 * bytes_of([pool.input for pool in pools])
chapter.exact(
    "bytes of SegNet's positions",
    measured=masks,
    expected=positions,
    source="one byte a pooled number; SegNet needs two bits",
)
chapter.exact(
    "bytes of the maps that were pooled",
    measured=maps,
    expected=4 * before_pooling,
    source="float32; what a skip connection would keep",
)
print(f"positions {masks / 1e6:.1f} MB, maps {maps / 1e6:.1f} MB: {maps / masks:.2f} times as much")

# %% [markdown]
# ## One schedule for all
#
# Adam, a learning rate that falls along a cosine, cross-entropy with weights for the rare classes.
# The best epoch on held-out training pictures is kept; the validation pictures are scored once.
# One schedule is fair and unfair: a deep decoder learns more slowly than U-Net, and with more steps
# the order may change.

# %%
size = tuple(settings.image_size)
options = {
    "image_size": size,
    "batch_size": settings.batch_size,
    "data_dir": settings.data_dir,
    "seed": settings.seed,
}
data = datasets.load(settings.dataset, augment=0.5, **options)
fitting, selection = data.hold_out(0.1)
plain = datasets.load(settings.dataset, augment=0, **options)
plain_fitting, _ = plain.hold_out(0.1)
validation = data.validation
if settings.quick:
    fitting, selection, plain_fitting, validation = (
        batches.take(3) for batches in (fitting, selection, plain_fitting, validation)
    )
classes, void = data.num_classes, data.ignore_class
images, labels = map(np.concatenate, zip(*validation.as_numpy_iterator()))
shares = class_frequencies(plain_fitting, classes, void)
class_weights = np.where(shares > 0, shares.max() / np.where(shares > 0, shares, 1), 0) ** 0.5


def build(name):
    return NETS[name][0]((*size, 3), classes, width=settings.width)


def compiled(net):
    net.compile(
        "adam",
        CrossEntropy(void, class_weights),
        metrics=[MeanIoU(classes, void)],
        run_eagerly=settings.quick,  # for a few steps, compiling would not pay
    )
    return net


def begin(net, weights):
    """To start once more costs less than to compile once more."""
    net.set_weights(weights)
    for variable in net.optimizer.variables:  # Adam forgets, its rate included
        variable.assign(ops.zeros_like(variable))
    net.optimizer.learning_rate = 1e-3


def probabilities(net):
    logits = net.predict(images, batch_size=16, verbose=0)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def scores(p):
    metrics = [kind(classes, void) for kind in (MeanIoU, BoundaryIoU)]
    for metric in metrics:
        for ids, q in zip(np.array_split(labels, 8), np.array_split(p, 8)):
            metric.update_state(ids, q)
    return [float(metric.result()) for metric in metrics]


def milliseconds(net):
    """Of one picture, the median of many, after a first one."""
    times = []
    for _ in range(12):
        start = time.perf_counter()
        net.predict_on_batch(images[:1])
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times[1:]))


# %% [markdown]
# ## Large and small things
#
# FCN, the notes say, breaks up what is large and near and loses what is small. So the IoU is taken
# by the size of things: every connected piece of a car, a person, a pole or a sign in the truth is
# a thing; a pixel that is wrongly claimed counts against the nearest thing of its class.

# %%
THINGS = {"car", "person", "pole", "sign", "pedestrian", "bicyclist"}
SIZES = {"small": (0, 0.002), "medium": (0.002, 0.02), "large": (0.02, 1)}  # of the picture
things = []  # picture, class, map of thing ids, id of the nearest thing
for number, ids in enumerate(labels):
    for class_id, name in enumerate(data.class_names):
        if name in THINGS and (ids == class_id).any():
            pieces, _ = ndimage.label(ids == class_id)
            nearest = ndimage.distance_transform_edt(
                pieces == 0, return_distances=False, return_indices=True
            )
            things.append((number, class_id, pieces, pieces[tuple(nearest)]))


def iou_by_size(answers):
    hits, unions = (dict.fromkeys(SIZES, 0) for _ in range(2))
    for number, class_id, pieces, nearest in things:
        claimed = (answers[number] == class_id) & (labels[number] != void)
        area = np.bincount(pieces.ravel())[1:]
        hit = np.bincount(pieces[claimed], minlength=len(area) + 1)[1:]
        extra = np.bincount(nearest[claimed & (pieces == 0)], minlength=len(area) + 1)[1:]
        for name, (low, high) in SIZES.items():
            inside = (area >= low * pieces.size) & (area < high * pieces.size)
            hits[name] += hit[inside].sum()
            unions[name] += (area + extra)[inside].sum()
    return {name: float(hits[name] / unions[name]) if unions[name] else np.nan for name in SIZES}


# %% [markdown]
# ## Training them
#
# FCN-8s, DeconvNet and SegNet are trained once for each seed, the others once.

# %%
results = {name: [] for name in asked}
kept = {}  # for what follows
for name in asked:
    net = compiled(build(name))
    for seed in range(settings.seeds if name in ("fcn8s", "deconvnet", "segnet") else 1):
        keras.utils.set_random_seed(settings.seed + seed)
        data.epoch = 0  # the same pictures in the same order
        begin(net, build(name).get_weights())
        best = keras.callbacks.EarlyStopping(
            "val_mean_iou", mode="max", patience=settings.epochs, restore_best_weights=True
        )
        falling = keras.callbacks.LearningRateScheduler(
            lambda epoch: 1e-3 * (1 + np.cos(np.pi * epoch / settings.epochs))
        )
        history = net.fit(
            fitting,
            validation_data=selection,
            epochs=settings.epochs,
            callbacks=[best, falling],
            shuffle=False,
            verbose=0,
        ).history
        net.save(chapter.output / f"{name}.keras")
        p = probabilities(net)
        mean_iou, boundary_iou = scores(p)
        field = receptive_field(net, NETS[name][1]).size
        results[name].append(
            {
                "weights": net.count_params(),
                "sees": "all" if np.isinf(field) else field,
                "ms": milliseconds(net),
                "mean IoU": mean_iou,
                "boundary IoU": boundary_iou,
                **iou_by_size(p.argmax(-1)),
                "best epoch": int(np.argmax(history["val_mean_iou"])) + 1,
            }
        )
        if name in ("fcn8s", "deconvnet"):
            kept[name, seed] = p
        kept[name] = net
        print(f"{name}, seed {seed}: mean IoU {mean_iou:.3f}")


def of(name, what):
    return np.array([result[what] for result in results[name]])


# %% [markdown]
# ## The table

# %%
rows = []
for name in sorted(asked, key=lambda name: -of(name, "mean IoU").mean()):
    first, mean = results[name][0], of(name, "mean IoU")
    spread = f" ± {mean.std():.3f}" if len(mean) > 1 else ""
    numbers = f"{first['weights']:,}", first["sees"], f"{first['ms']:.1f}"
    ious = (f"{np.nanmean(of(name, what)):.3f}" for what in ("boundary IoU", *SIZES))
    epochs = f"{', '.join(map(str, of(name, 'best epoch')))} of {settings.epochs}"
    rows.append((name, *numbers, f"{mean.mean():.3f}{spread}", *ious, epochs))
header = ("", "weights", "sees", "ms", "mean IoU", "boundary IoU", *SIZES, "best epoch")
chapter.table(
    header,
    rows,
    "Validation pictures. 'Sees' is the receptive field of the deepest layer, in theory; 'ms' the "
    "time of one picture on the machine that ran this; small, medium and large: IoU of things by "
    "their size.",
)
chapter.figure(
    figures.bars_with_ranges(
        {
            what: {name.replace("_", "\n"): of(name, what) for name in asked}
            for what in ("mean IoU", "boundary IoU", "small", "large")
        },
        "IoU on validation pictures",
        "Small things are the hard ones",
    ),
    "scores",
    f"All nets after {settings.epochs} epochs at width {settings.width}. Mean and boundary IoU are "
    "of all classes; small and large things are cars, persons, poles and signs.",
)

# %% [markdown]
# ## Two nets together
#
# DeconvNet and FCN-8s, the notes say, are better together: one draws shapes, the other sees the
# scene. Averaging their probabilities costs the time of both.

# %%
notes = "lecture notes"
together = []
if {"fcn8s", "deconvnet"} <= set(asked):
    for seed in range(settings.seeds):
        ensemble = (kept["fcn8s", seed] + kept["deconvnet", seed]) / 2
        alone = [results[name][seed]["mean IoU"] for name in ("fcn8s", "deconvnet")]
        together.append(scores(ensemble)[0] - max(alone))
        print(f"together {scores(ensemble)[0]:.3f}, alone {alone[0]:.3f} and {alone[1]:.3f}")
    chapter.empirical(
        "mean IoU of DeconvNet and FCN-8s together, over the better of the two",
        measured=float(np.mean(together)),
        spread=float(np.std(together)) if len(together) > 1 else None,
        expected="above 0",
        holds=min(together) > 0,
        source=f"{notes}; Noh et al. 2015: 69.6 alone, 71.7 together",
    )

# %% [markdown]
# ## Inside DeconvNet: who draws the detail?
#
# The notes say that unpooling catches the edges and the deconvolution the shape; and, further down,
# that unpooling keeps the values and the deconvolution draws the detail. Look at both, from the
# coarsest stage to the finest. And measure: from each map, enlarged to the picture, a linear
# classifier (least squares, fitted on training pictures) says the class of every pixel. How often
# is it right near an outline, the mean over the classes?

# %%
if "deconvnet" in asked:
    net = kept["deconvnet"]
    stages = {
        5: ("decoder5_unpool", "decoder5_deconv3_relu"),
        4: ("decoder4_unpool", "decoder4_deconv3_relu"),
        3: ("decoder3_unpool", "decoder3_deconv3_relu"),
        2: ("decoder2_unpool", "decoder2_deconv2_relu"),
        1: ("decoder1_unpool", "decoder1_deconv2_relu"),
    }
    inside = keras.Model(
        net.input, [net.get_layer(name).output for pair in stages.values() for name in pair]
    )
    few = 8 if settings.quick else 48
    train_images, train_labels = map(np.concatenate, zip(*plain_fitting.as_numpy_iterator()))

    def enlarged(maps):
        rows, columns = (np.arange(n) * have // n for n, have in zip(size, maps.shape[1:3]))
        return maps[:, rows][:, :, columns]

    def with_one(maps):
        return np.concatenate([maps, np.ones_like(maps[..., :1])], -1)

    fit_maps, maps = (inside.predict_on_batch(x[:few]) for x in (train_images, images))
    fit_ids, ids = train_labels[:few], labels[:few]
    window = (1, 3, 3)
    outline = ndimage.maximum_filter(ids, window) != ndimage.minimum_filter(ids, window)
    outline &= ids != void
    right = {"unpooled": [], "deconvolved": []}
    for i, (to_fit, to_score) in enumerate(zip(fit_maps, maps)):
        x, known = with_one(enlarged(to_fit)), fit_ids != void
        x, y = x[known].astype("float64"), np.eye(classes)[fit_ids[known]]
        weights = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ y)
        answers = (with_one(enlarged(to_score)) @ weights)[outline].argmax(-1)
        hits = [np.mean(answers[ids[outline] == k] == k) for k in np.unique(ids[outline])]
        right[list(right)[i % 2]].append(float(np.mean(hits)))

    def as_pictures(maps):
        means = [enlarged(x[:1]).mean(-1, keepdims=True) for x in (images, *maps)]
        return np.concatenate([m / max(m.max(), 1e-6) for m in means])

    chapter.figure(
        figures.image_rows(
            {"unpooled": as_pictures(maps[::2]), "deconvolved": as_pictures(maps[1::2])}, cell=1.5
        ),
        "inside",
        "A validation picture, and DeconvNet's decoder on it, coarsest stage first, mean of the "
        "channels: unpooling scatters the values, the deconvolution joins them.",
    )
    gains = np.subtract(right["deconvolved"], right["unpooled"])
    for name, numbers in right.items():
        print(f"{name:<12}", " ".join(f"{number:.3f}" for number in numbers))
    chapter.empirical(
        "near outlines: classes read off deconvolved maps, over unpooled ones, mean of 5 stages",
        measured=float(gains.mean()),
        spread=float(gains.std()),
        expected="below 0 by one sentence of the notes, above 0 by another",
        holds=bool(gains.mean() > 0),
        source=f"{notes}: unpooling catches the outline; the deconvolution draws the detail",
    )

# %% [markdown]
# ## The homework: SegNet, pretrained or not
#
# In the notes a SegNet reaches a mean IoU of 0.2160 in ten epochs, and 0.3467 when its encoder
# starts from VGG-16's weights; later epochs than the eleventh only overfit. Here is the same
# experiment, with what is at hand for pretraining: squares of the training pictures around a pixel
# of each class in turn, and the question which class that is. (`--encoder-weights PATH --width 1`
# takes those of `keras.applications.VGG16`.) As in the notes, the learning rate stays and the
# pictures are not varied. The classifier's two epochs cost as many pixels as two of SegNet's; so
# from scratch it goes on for two epochs more. By default half of the training pictures have to do.

# %%
pupils, others = plain.hold_out(0.1 if settings.full else 0.5)
if settings.quick:
    pupils, others = pupils.take(3), others.take(3)
examiners = others.take(len(selection))
train_images, train_labels = map(np.concatenate, zip(*pupils.as_numpy_iterator()))
pretraining = 1 if settings.quick else 2
homework = 1 if settings.quick else 30 if settings.full else 10  # epochs
rng = np.random.default_rng(settings.seed)


def squares(count, side=32):
    half = side // 2
    padded = np.pad(train_images, ((0, 0), (half, half), (half, half), (0, 0)), "reflect")
    kinds = np.resize(np.setdiff1d(train_labels, void), count)
    cut = np.zeros((count, side, side, 3), "float32")
    for kind in np.unique(kinds):
        where = np.flatnonzero(kinds == kind)
        drawn = rng.choice(np.flatnonzero(train_labels == kind), len(where))
        for i, (n, row, column) in zip(where, zip(*np.unravel_index(drawn, train_labels.shape))):
            cut[i] = padded[n, row : row + side, column : column + side]
    return cut, kinds


def segnet(shape=size, encoder_weights=settings.encoder_weights):
    return models.segnet(
        (*shape, 3), classes, width=settings.width, encoder_weights=encoder_weights
    )


def pretrained():
    """The weights of a SegNet whose encoder has learned to classify."""
    net = segnet()
    if settings.encoder_weights is None:
        of_squares = segnet((32, 32))
        x = layers.GlobalAveragePooling2D()(of_squares.get_layer("encoder5_pool").output[0])
        classifier = keras.Model(of_squares.input, layers.Dense(classes, "softmax")(x))
        classifier.compile(
            "adam",
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            run_eagerly=settings.quick,
        )
        x, y = squares(len(train_images) * max(1, np.prod(size) // 32**2))
        classifier.fit(x, y, 32, pretraining, verbose=2)
        for layer in classifier.layers:
            if layer.name.startswith("encoder"):
                net.get_layer(layer.name).set_weights(layer.get_weights())
    return net.get_weights()


student = kept["segnet"] if "segnet" in asked else compiled(segnet(encoder_weights=None))
starts = {"from scratch": None, "pretrained": pretrained()}
curves = {what: {name: [] for name in starts} for what in ("val_mean_iou", "val_loss")}
finished = {name: [] for name in starts}
homework_seeds = (0,) if settings.quick else (0, 1, 2) if settings.full else (0, 1)
for seed in homework_seeds:
    for name, weights in starts.items():
        keras.utils.set_random_seed(settings.seed + seed)
        begin(student, weights or segnet(encoder_weights=None).get_weights())
        plain.epoch = 0
        history = student.fit(
            pupils,
            validation_data=examiners,
            epochs=homework + (0 if weights else pretraining),
            shuffle=False,
            verbose=0,
        ).history
        for what in curves:
            curves[what][name].append(history[what])
        finished[name].append(scores(probabilities(student))[0])
        print(f"SegNet {name}, seed {seed}: mean IoU {finished[name][-1]:.3f}")

by_epoch = {
    name: np.mean([curve[:homework] for curve in curves["val_mean_iou"][name]], 0)
    for name in starts
}
lead = by_epoch["pretrained"] - by_epoch["from scratch"]
chapter.figure(
    figures.lines(
        np.arange(homework) + 1,
        by_epoch,
        "epoch",
        "mean IoU on held-out pictures",
        f"The pretrained SegNet leads by {lead.max():.2f} at most, by {lead[-1]:.2f} at the end",
    ),
    "homework",
    "Mean of the seeds. The classifier was pretrained on squares of the same training pictures.",
)

# %% [markdown]
# ## What was measured

# %%
tenth = min(10, homework) - 1
after = {
    name: np.array([curve[tenth] for curve in curves["val_mean_iou"][name]]) for name in starts
}
chapter.empirical(
    f"mean IoU on held-out pictures after {tenth + 1} epochs: SegNet pretrained, less from scratch",
    measured=float((after["pretrained"] - after["from scratch"]).mean()),
    spread=float((after["pretrained"] - after["from scratch"]).std()),
    expected="0.13, from 0.2160 to 0.3467",
    holds=bool(min(after["pretrained"]) > max(after["from scratch"])),
    source=f"{notes}, homework",
)
chapter.empirical(
    "the same on validation pictures, as many pixels seen",
    measured=float(np.mean(finished["pretrained"]) - np.mean(finished["from scratch"])),
    spread=float(np.std(np.subtract(finished["pretrained"], finished["from scratch"]))),
    expected="above 0",
    holds=min(finished["pretrained"]) > max(finished["from scratch"]),
    source="measured here",
)
turns = {
    what: [int(best(curve)) + 1 for curve in curves[what]["pretrained"]]
    for what, best in (("val_mean_iou", np.argmax), ("val_loss", np.argmin))
}
chapter.empirical(
    f"epoch of {homework} after which held-out mean IoU (loss) of the pretrained SegNet turns",
    measured=f"{turns['val_mean_iou']} ({turns['val_loss']})",
    expected="11",
    holds=max(turns["val_mean_iou"]) < homework,
    source=f"{notes}, homework; here the last epoch means that it has not turned yet",
)
COMPARED = (
    ("segnet", "deconvnet", "mean IoU", "above 0, with fewer weights"),
    ("unet", "unet_added", "mean IoU", "above 0: U-Net and FC-DenseNet concatenate"),
    ("deeplab_v1_unpooled", "deeplab_v1", "mean IoU", "above 0: DilatedNet drops the poolings"),
    ("deconvnet", "fcn8s", "boundary IoU", "above 0: FCN's edges are rough"),
    ("segnet", "deconvnet", "ms", "below 0: SegNet is for speed"),
)
for name, other, what, expected in COMPARED:
    if {name, other} <= set(asked):
        difference = of(name, what).mean() - of(other, what).mean()
        chapter.empirical(
            f"{what} of {name}, less that of {other}",
            measured=float(difference),
            spread=float(max(of(name, what).std(), of(other, what).std())) or None,
            expected=expected,
            holds=bool((difference < 0) == expected.startswith("below")),
            source=notes,
        )
for name in asked:
    chapter.empirical(
        f"mean IoU of {name}",
        measured=float(of(name, "mean IoU").mean()),
        spread=float(of(name, "mean IoU").std()) or None,
        expected=f"above {1 / classes:.3f}, a class by chance",
        holds=bool(of(name, "mean IoU").min() > 1 / classes),
        source=f"{results[name][0]['weights']:,} weights, best epoch {of(name, 'best epoch')}",
    )
    if not np.isnan(of(name, "small")).any():
        chapter.empirical(
            f"IoU of {name} on small things",
            measured=float(of(name, "small").mean()),
            expected=f"below that on large ones, {of(name, 'large').mean():.3f}",
            holds=bool(of(name, "small").mean() < of(name, "large").mean()),
            source=f"{notes}: small things are lost",
        )
chapter.finish()
