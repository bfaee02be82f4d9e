# %% [markdown]
# # Experiment · From picture to picture
#
# A network that gives every pixel a class gives every pixel a colour, or a distance, as soon as its
# last layer has other channels and its loss another unit. The rest stays as it was. Four times that
# is done here: colour for grey pictures, metres for pictures, day for night, a scene for a drawing.
#
# Book: chapter 6, "Convolutional encoders-decoders", what they are for. Lecture notes: depth
# regression for virtual and augmented reality, doodles into pictures, day from night; atrous
# convolution, which keeps the map's size and is used for grey to colour. The notes name these uses
# and give no numbers. Here each stands against what one would try without a net.
#
# By default this runs on drawn street scenes. On photographs: `python
# chapters/experiments/image_translation.py --dataset camvid --data-dir PATH`. CamVid has no depth
# maps, so that part is left out there. `--full` does this at 180x240 and width 0.5 for 60 epochs,
# three seeds: hours on a GPU.
#
# Takes 2 to 3 minutes on two cores.

# %%
import keras
import numpy as np
from keras import layers
from scipy.ndimage import gaussian_filter

import kerasseg
from kerasseg import datasets, figures, models
from kerasseg.datasets import corruptions
from kerasseg.layers import AtrousConv2D
from kerasseg.metrics import PSNR, SSIM
from ledger import Experiment

chapter = Experiment(
    "image_translation",
    "From picture to picture",
    dataset="street_scenes",
    data_dir=None,
    image_size=(48, 64),
    epochs=8,
    width=0.25,
    batch_size=8,
    seed=0,
    seeds=2,
    quick={"seeds": 1, "epochs": 1, "width": 0.05, "image_size": (32, 48), "batch_size": 32},
    full={"dataset": "camvid", "image_size": (180, 240), "width": 0.5, "epochs": 60, "seeds": 3},
    choices={"dataset": ("street_scenes", "camvid")},
)
settings = chapter.settings
most = 1 if settings.quick else -1  # batches
notes = "lecture notes: domain mapping; one training"

# %% [markdown]
# ## The pictures
#
# A tenth of the training pictures is held out to choose the epoch to keep. The baselines are fitted
# to training pictures too. The street scenes' test pictures are scored at the end; trial runs that
# settled epochs, rates and the strength of the night saw others. Where CamVid's folder has no test
# pictures, its validation pictures are scored.


# %%
def load(target="image", corruption=None, seed=0):
    return datasets.load(
        settings.dataset,
        target=target,
        corruption=corruption,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        data_dir=settings.data_dir,
        augment=False,
        seed=settings.seed + seed,
    )


def arrays(batches):
    return [np.concatenate(part) for part in zip(*batches.take(most).as_numpy_iterator())]


def score(predicted, wanted):
    """Mean PSNR in decibels, and mean SSIM, of pictures cut off at black and white."""
    metrics = PSNR(), SSIM()
    for metric in metrics:
        for batch in range(0, len(wanted), 32):
            part = slice(batch, batch + 32)
            metric.update_state(wanted[part], np.clip(predicted[part], 0, 1))
    return [float(metric.result()) for metric in metrics]


def trained(model, data, name, loss="mse", epochs=settings.epochs, change=lambda targets: targets):
    """The epoch that does best on held-out training pictures, as it lies on the disk."""
    short = settings.quick and data.test is not None  # then the validation pictures may choose
    fitting, selection = (
        part.map(lambda images, targets: (images, change(targets))).take(most)
        for part in ((data.train, data.validation) if short else data.hold_out(0.1))
    )
    steps = epochs * len(fitting)
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    # For a few steps, compiling would not pay.
    model.compile(keras.optimizers.Adam(schedule), loss, run_eagerly=settings.quick)
    path = chapter.output / f"{name}.keras"
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    model.fit(
        fitting,
        validation_data=selection,
        epochs=epochs,
        callbacks=[best],
        shuffle=False,  # the pipeline shuffles
        verbose=2,
    )
    return keras.saving.load_model(path)


def rows_of(results, scores, title):
    """Some pictures as each method makes them, with its PSNR, above what was wanted."""
    rows = {f"{name}\n{scores[name][0]:.1f} dB": x[shown] for name, x in results.items()}
    return figures.image_rows({**rows, "wanted": wanted[shown]}, title)


def best_of(scores):
    """The PSNR of the net and of the best of the others."""
    return scores["U-Net"][0], max(v[0] for name, v in scores.items() if name != "U-Net")


def show(task, scores):
    rows = [
        (name.replace("\n", " "), f"{decibels:.2f}", f"{ssim:.3f}")
        for name, (decibels, ssim) in scores.items()
    ]
    chapter.table((task, "PSNR, dB", "SSIM"), rows, "Unseen pictures.")


def unseen(data):
    return arrays(data.validation if data.test is None else data.test)


_, train = arrays(load().train)
_, wanted = unseen(load())
shown = np.linspace(0, len(wanted) - 1, 6).astype(int)
print(f"{len(train)} training and {len(wanted)} unseen pictures of {settings.image_size}")

# %% [markdown]
# ## One network, many heads
#
# All but the last layer is that of chapter 11, without the batch normalisation: brightness is what
# these nets are asked for, and it depends on the batch there. The head is a 1x1 convolution: for
# each channel of the output, one weight for each of the decoder's channels, and one constant.


# %%
def unet(channels, activation=None):
    keras.utils.set_random_seed(settings.seed)
    return models.unet(
        (*settings.image_size, 3),
        channels,
        width=settings.width,
        batch_norm=False,
        dropout=0.0,
        activation=activation,
    )


heads = [unet(channels).count_params() for channels in (1, 3, 8)]
per_channel = unet(1).get_layer("scores").kernel.shape[-2] + 1
print(f"depth {heads[0]:,} weights, a picture {heads[1]:,}, eight classes {heads[2]:,}")
chapter.exact(
    "weights that an eight-class head has more than a one-channel head",
    measured=heads[2] - heads[0],
    expected=7 * per_channel,
    source="closed form",
)

# %% [markdown]
# ## Grey to colour
#
# Grey is a weighted sum of red, green and blue. Many colours share one grey, so the way back is a
# guess. The obvious guesses, from poor to good: no colour at all; the mean colour of each *place*,
# blue above and brown below; the mean colour of each grey value in each *row*. By colour is meant
# here what must be added to the grey.


# %%
def grey(images):
    return (images @ np.array([0.299, 0.587, 0.114], "float32"))[..., None]


colouring = load(corruption=corruptions.greying())
grey_wanted, _ = unseen(colouring)
chapter.exact(
    "grey by hand differs from the library's by",
    measured=float(np.abs(grey(wanted) - grey_wanted).max()),
    expected=0.0,
    tolerance=1e-6,
    source="ITU-R BT.601",
)

GREYS = 32


def cell(images):
    """For each pixel its row and its grey value, as one number."""
    value = np.minimum((GREYS * grey(images)[..., 0]).astype(int), GREYS - 1)
    return GREYS * np.arange(images.shape[1])[:, None] + value


def colour_table():
    """Mean colour for each row and grey value of the training pictures, (cells, 3)."""
    cells = cell(train).ravel()
    missing = (train - grey(train)).reshape(-1, 3)
    count = GREYS * train.shape[1]
    total = np.stack([np.bincount(cells, column, count) for column in missing.T], -1)
    return total / np.maximum(np.bincount(cells, minlength=count), 1)[:, None]


coloured = {
    "grey": grey_wanted,
    "colour of\nthe place": grey_wanted + (train - grey(train)).mean(0),
    "colour of row\nand grey value": grey_wanted + colour_table()[cell(wanted)],
}
of_seeds = {name: [score(result, wanted)] for name, result in coloured.items()}

# %% [markdown]
# ## With holes and without
#
# To know that a bright patch is sky, a net must see more than the patch. A net for segmentation
# halves the map to see more. Colours belong to pixels, so the notes propose to keep the map whole
# and to set the kernel's taps apart: atrous convolution. Two nets that differ in nothing else: six
# layers of 3x3, the same weights, the same start; the taps of one lie 1, 1, 2, 4, 8 and 16 pixels
# apart. What comes out is added to the grey picture.

# %%
RATES = {"plain": (1, 1, 1, 1, 1, 1), "atrous": (1, 1, 2, 4, 8, 16)}


def colouring_net(rates, filters):
    arguments = {"padding": "same", "activation": "relu"}
    x = image = keras.Input((None, None, 3), name="image")
    for i, rate in enumerate(rates, start=1):
        x = AtrousConv2D(filters, 3, rate, name=f"conv{i}_rate{rate}", **arguments)(x)
    colour = layers.Conv2D(3, 1, name="colour")(x)
    return keras.Model(image, layers.Add(name="coloured")([image, colour]), name="colouring_net")


filters = max(4, round(64 * settings.width))
for (name, rates), side in zip(RATES.items(), (13, 65)):
    net = colouring_net(rates, filters)
    chapter.exact(
        f"receptive field and weights, {name}",
        measured=[kerasseg.receptive_field(net).size, net.count_params()],
        expected=[side, 28 * filters + 5 * (9 * filters + 1) * filters + 3 * (filters + 1)],
        source="closed form: 1 + 2 × the sum of the rates",
    )
    of_seeds[name] = []
    for seed in range(settings.seeds):
        keras.utils.set_random_seed(settings.seed + seed)
        data = colouring if seed == 0 else load(corruption=corruptions.greying(), seed=seed)
        data.epoch = 0  # the same pictures in the same order
        net = trained(
            colouring_net(rates, filters), data, f"colour_{name}", epochs=3 * settings.epochs // 2
        )
        result = net.predict(grey_wanted, verbose=0)
        of_seeds[name].append(score(result, wanted))
        coloured.setdefault(name, result)


def colour_strength(pictures):
    return float(np.sqrt(np.mean((pictures - grey(pictures)) ** 2)))


colour_scores = {name: np.mean(values, 0) for name, values in of_seeds.items()}
dared = colour_strength(coloured["atrous"]) / colour_strength(wanted)
show("grey to colour", colour_scores)
print(f"the atrous net's colours are {dared:.2f} times as strong as the true ones")
chapter.figure(
    rows_of(
        coloured,
        colour_scores,
        "With holes {:.1f} dB, without {:.1f}, by a table of rows and greys {:.1f}".format(
            *(colour_scores[k][0] for k in ("atrous", "plain", "colour of row\nand grey value"))
        ),
    ),
    "colour",
    "Unseen pictures: grey, coloured by tables, by the two nets, and as they are. In a window "
    "of 13 pixels a bright road may as well be sky. The colour of a car nobody can know; the mean "
    "of all paints is the safest guess, and that is grey.",
)

# %% [markdown]
# ## Distance from one picture
#
# One eye gives no distances, but streets have rules: what stands lower in the picture is nearer,
# cars are as large as cars. The target is the logarithm of the distance in metres, so that an error
# of 10 % weighs the same near and far; the loss is its absolute value. The sky, which stands at
# 200 m in the data, has no distance and is not scored. Baselines: the median distance of each row,
# and of each place, over the training pictures without their sky. (A pixel of a shrunken map has
# the mean distance of the pixels that it stands for, so at outlines it lies between two things.)

# %%
SKY, UNIT = 200.0, 20.0  # metres: as the data has it; where the logarithm is 0


def depth_scores(predicted, metres):
    """Mean relative error, root mean square error in metres, share within 25 % (Eigen 2014)."""
    known = metres < SKY
    p, d = np.clip(predicted[known], 1, SKY), metres[known]
    return [
        float(np.mean(np.abs(p - d) / d)),
        float(np.sqrt(np.mean((p - d) ** 2))),
        float(np.mean(np.maximum(p / d, d / p) < 1.25)),
    ]


depths = {}
if "depth" in colouring.source.targets:
    measuring = load("depth")
    _, train_metres = arrays(measuring.train)
    _, metres = unseen(measuring)
    known = np.ma.masked_greater_equal(train_metres, SKY)
    model = trained(
        unet(1), measuring, "depth", "mae", change=lambda metres: keras.ops.log(metres / UNIT)
    )
    depths = {
        "median of the row": np.ma.median(known, (0, 2)).filled(SKY)[:, None] + 0 * metres,
        "median of the place": np.ma.median(known, 0).filled(SKY) + 0 * metres,
        "U-Net": UNIT * np.exp(model.predict(wanted, verbose=0)),
    }
    rows = []
    for name, result in depths.items():
        relative, rmse, near = depth_scores(result, metres)
        rows.append((name, f"{relative:.3f}", f"{rmse:.1f}", f"{near:.1%}"))
    chapter.table(
        ("distance", "relative error", "root mean square error, m", "within 25 %"),
        rows,
        "Unseen pictures, without their sky.",
    )
    maps = {}
    for number, i in enumerate(shown[:4], start=1):
        maps[f"picture {number}"] = wanted[i]
        for name, result in (("true distance", metres), ("by the U-Net", depths["U-Net"])):
            maps[f"{number}: {name}"] = np.log(np.clip(result[i, ..., 0], 1, SKY))
    wrong = {name: f"{depth_scores(result, metres)[0]:.0%}" for name, result in depths.items()}
    chapter.figure(
        figures.panels(
            maps,
            title=f"The U-Net is wrong by {wrong['U-Net']} of the distance,\n"
            f"the median of each place by {wrong['median of the place']}",
            columns=3,
            highest=np.log(SKY),
            scale={np.log(m): f"{m} m" for m in (2, 5, 10, 20, 50, 100, 200)},
        ),
        "depth",
        "Unseen pictures and distances on a logarithmic scale; the darkest is 200 m, the sky.",
    )
else:
    print(f"{settings.dataset} has no depth maps: this part is left out.")

# %% [markdown]
# ## Day for night
#
# At night a tenth to three tenths of the light are left, most of it blue, and the sensor adds noise
# of its own. Each picture has its own exposure. Without a net one would brighten: by the factors
# for red, green and blue that suit the training pictures best; each channel of each picture to its
# mean by day; each channel's values to the distribution that days have (histogram matching). A
# Gaussian filter against the noise comes first, as wide as suits the training pictures. And the
# mean picture of all days is an answer, too.


# %%
def filtered(night, width):
    return gaussian_filter(night, (0, width, width, 0))


def three_factors(night, train_night):
    """Red, green and blue, each times the factor of least squares on the training pictures."""
    return night * (train_night * train).sum((0, 1, 2)) / (train_night**2).sum((0, 1, 2))


def mean_brightness(night):
    """Each channel of each picture to the mean that the channel has by day."""
    return night * (train.mean((0, 1, 2)) / np.maximum(night.mean((1, 2), keepdims=True), 1e-3))


def matched_histograms(night):
    """Each channel's values, in their order, become the quantiles that the channel has by day."""
    result = np.empty_like(night)
    count = night.shape[1] * night.shape[2]
    for channel in range(3):
        values = night[..., channel].reshape(len(night), count)
        ranks = values.argsort(1).argsort(1)
        day = np.quantile(train[..., channel], (np.arange(count) + 0.5) / count)
        result[..., channel] = day[ranks].reshape(night.shape[:3])
    return result


dark = load(corruption=corruptions.night(sigma=0.02))
night, _ = unseen(dark)
train_night = corruptions.night(sigma=0.02)(train, (settings.seed, 0)).numpy()
some = slice(None, 96)  # training pictures, enough to choose a width


def training_error(width):
    smooth = filtered(train_night, width)
    return np.mean((three_factors(smooth[some], smooth) - train[some]) ** 2)


width = min((0.7, 1, 1.5, 2, 3), key=training_error)
print(f"the best Gaussian filter is {width} pixels wide")
smooth, train_smooth = filtered(night, width), filtered(train_night, width)
days = {
    "night": night,
    "mean picture": train.mean(0) + 0 * wanted,
    "three factors": three_factors(night, train_night),
    "filter,\nthree factors": three_factors(smooth, train_smooth),
    "filter, mean\nbrightness": mean_brightness(smooth),
    "filter,\nhistograms": matched_histograms(smooth),
    "U-Net": trained(unet(3, "sigmoid"), dark, "day").predict(night, verbose=0),
}
day_scores = {name: score(result, wanted) for name, result in days.items()}
show("night to day", day_scores)
of_day = colour_strength(days["U-Net"]) / colour_strength(wanted)
chapter.figure(
    rows_of(
        days,
        day_scores,
        "The net {:.1f} dB, the best without a net {:.1f} dB".format(*best_of(day_scores)),
    ),
    "day",
    "Unseen pictures at night, brightened in several ways and by the net, and as they were. The "
    f"net's colours are {of_day:.2f} times as strong as the true ones, which PSNR hardly sees.",
)

# %% [markdown]
# ## A scene for a drawing
#
# All that is left is a drawing of the edges. What lies between the lines must be invented. The
# squared error makes the net say the mean of all that it may be, so the result is pale; a sharp
# guess would be punished where it is wrong. (Nets that are to deceive are trained against a second
# net, which the book does in its chapter 7.) Baseline: the mean of the training pictures.

# %%
drawn = load(corruption=corruptions.outlines())
drawing, _ = unseen(drawn)
scenes = {
    "drawing": drawing,
    "mean picture": train.mean(0) + 0 * wanted,
    "U-Net": trained(unet(3, "sigmoid"), drawn, "scene").predict(drawing, verbose=0),
}
scene_scores = {name: score(result, wanted) for name, result in scenes.items()}
show("drawing to scene", scene_scores)
chapter.figure(
    rows_of(
        scenes,
        scene_scores,
        "The net {:.1f} dB, the mean picture {:.1f} dB".format(*best_of(scene_scores)),
    ),
    "scene",
    "Unseen pictures as drawings, what the net makes of them, and as they were.",
)

# %% [markdown]
# ## What was measured

# %%
# SSIM compares structure, which the grey picture has already: it hardly sees the colours.
for number, (measure, unit) in enumerate((("PSNR", "dB"), ("SSIM", ""))):
    for part, (name, values) in enumerate(of_seeds.items()):
        of_name = np.array(values)[:, number]
        poorer = [np.max(of_seeds[other], 0)[number] for other in list(of_seeds)[:part]]
        chapter.empirical(
            f"grey to colour, {measure}: {name}".replace("\n", " "),
            measured=float(of_name.mean()),
            spread=float(of_name.std()) if len(values) > 1 else None,
            expected=f"above {max(poorer):.4g}, the best of the former" if poorer else "the start",
            holds=not poorer or of_name.min() > max(poorer),
            unit=unit,
            source="lecture notes: atrous convolution, grey to colour",
        )
chapter.empirical(
    "strength of the atrous net's colours, over that of the true ones",
    measured=dared,
    expected="below 1: the mean of many colours is paler than each",
    holds=dared < 1,
    source="what the squared error asks for",
)
if depths:
    scores = {name: depth_scores(result, metres) for name, result in depths.items()}
    for number, (measure, unit) in enumerate(
        (("mean relative error", ""), ("root mean square error", "m"), ("share within 25 %", ""))
    ):
        sign = 1 if measure.startswith("share") else -1
        baselines = [scores[name][number] for name in depths if name != "U-Net"]
        best = max(baselines, key=lambda value: sign * value)
        value = scores["U-Net"][number]
        chapter.empirical(
            f"distance, {measure}: U-Net",
            measured=value,
            expected=f"{'above' if sign > 0 else 'below'} {best:.3g}, the best median",
            holds=sign * value > sign * best,
            unit=unit,
            source="lecture notes: depth regression; Eigen et al. 2014; one training",
        )
for task, scores in (("night to day", day_scores), ("drawing to scene", scene_scores)):
    for number, (measure, unit) in enumerate((("PSNR", "dB"), ("SSIM", ""))):
        best = max(values[number] for name, values in scores.items() if name != "U-Net")
        value = scores["U-Net"][number]
        chapter.empirical(
            f"{task}, {measure}: U-Net",
            measured=value,
            expected=f"above {best:.3g}, the best of the others",
            holds=value > best,
            unit=unit,
            source=notes,
        )
chapter.empirical(
    "strength of the colours of the net's days, over that of the true ones",
    measured=of_day,
    expected="below 1: the squared error asks for the mean of many colours",
    holds=of_day < 1,
    source="measured here",
)
chapter.finish()
