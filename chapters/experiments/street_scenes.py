# %% [markdown]
# # Experiment · A small network for street scenes
#
# Lesson 12 trains a U-Net on drawn streets for a minute. This script trains one of the same size,
# an eighth of the paper's width, until it has settled, and keeps it: half a million weights that
# the web site and other pages can load. How well does so small a network label streets that it has
# not seen, and what does it still miss?
#
# Book: chapter 6, "Enhancing and Segmenting Images" (notebook 6.6). The streets are drawn by this
# package, so the weights may be shared as freely as the code.
#
# Takes about five minutes on two cores.

# %%
import keras
import numpy as np

from kerasseg import datasets, figures, models
from kerasseg.losses import CrossEntropyDice, class_frequencies
from kerasseg.metrics import BoundaryIoU, MeanIoU
from kerasseg.training import UpdateBatchNorm, cosine_with_warmup
from ledger import Experiment

chapter = Experiment(
    "street_scenes",
    "A small network for street scenes",
    data_dir=None,
    image_size=(96, 128),
    epochs=24,
    width=0.125,
    batch_size=8,
    seed=0,
    quick={"epochs": 1, "width": 0.03, "image_size": (32, 48), "batch_size": 64},
)
settings = chapter.settings
keras.utils.set_random_seed(settings.seed)

# %% [markdown]
# ## The streets
#
# Training images are mirrored, scaled, cropped, rotated and recoloured at random, each together
# with its label map. The test images are scored once, at the end. The learning rate falls to zero,
# so the last epoch is kept and nothing has to choose one.

# %%
data = datasets.load(
    "street_scenes",
    data_dir=settings.data_dir,
    image_size=settings.image_size,
    batch_size=settings.batch_size,
    seed=settings.seed,
)
train = data.train.take(2) if settings.quick else data.train
shares = class_frequencies(data.validation, data.num_classes, data.ignore_class)

# %% [markdown]
# ## The network and its training
#
# Cross-entropy and Dice together, as in lesson 12. Rare classes count more, by the square root of
# how much rarer they are than the commonest one.

# %%
model = models.unet((None, None, 3), data.num_classes, width=settings.width, dropout=0.1)
steps = settings.epochs * len(train)
model.compile(
    keras.optimizers.Adam(cosine_with_warmup(4e-3, steps)),
    CrossEntropyDice(data.ignore_class, (shares.max() / shares) ** 0.5),
    metrics=[MeanIoU(data.num_classes, data.ignore_class)],
    jit_compile=False,  # on a CPU, XLA's convolutions are slower
    run_eagerly=settings.quick,
)
history = model.fit(
    train, epochs=settings.epochs, callbacks=[UpdateBatchNorm()], shuffle=False, verbose=2
)

# %% [markdown]
# ## What it scores, and what an answer scores that looks at no image
#
# Streets are alike: sky above, road below. The most frequent class of each place in the validation
# images is the answer to beat.

# %%
ids = np.arange(data.num_classes)
votes = sum((labels[..., None] == ids).sum(0) for _, labels in data.validation.as_numpy_iterator())
of_place = np.eye(data.num_classes)[votes.argmax(-1)]
kinds = {"mean IoU": MeanIoU, "boundary IoU": BoundaryIoU}
scores = {
    answer: {name: kind(data.num_classes, data.ignore_class) for name, kind in kinds.items()}
    for answer in ("the network", "most frequent class of each place")
}
for images, labels in data.test.as_numpy_iterator():
    answers = model.predict_on_batch(images), np.broadcast_to(of_place, (*labels.shape, len(ids)))
    for metrics, predicted in zip(scores.values(), answers):
        for metric in metrics.values():
            metric.update_state(labels, predicted)
per_class = scores["the network"]["mean IoU"].per_class()
results = {
    answer: {name: float(metric.result()) for name, metric in metrics.items()}
    for answer, metrics in scores.items()
}
chapter.table(
    ("answer", *kinds),
    [(answer, *(f"{x:.3f}" for x in row.values())) for answer, row in results.items()],
    f"On {len(list(data.test.unbatch()))} test images of {settings.image_size[0]} x "
    f"{settings.image_size[1]} pixels, scored once.",
)
chapter.figure(
    figures.predictions(
        images[:3],
        labels[:3],
        answers[0][:3].argmax(-1),
        data.class_names,
        data.colours,
        data.ignore_class,
    ),
    "predictions",
    "Three test images, their label maps and the network's answer. Striped is void.",
)

# %% [markdown]
# ## The file
#
# The model file knows the names and colours of its classes. Loaded again, it gives the same
# answer.

# %%
ours, others = (row["mean IoU"] for row in results.values())
named = models.with_classes(
    model, data.class_names, data.colours, data.ignore_class, settings.image_size
)
chapter.keep(
    named,
    data="672 street scenes drawn by kerasseg, 8 classes and void",
    licence="Apache 2.0, like the code that draws them; nothing else was trained on",
    recipe=f"U-Net at {settings.width:g} of the paper's width, {settings.epochs} epochs at "
    f"{settings.image_size[0]} x {settings.image_size[1]}, Adam with a cosine from 0.004, "
    "cross-entropy and Dice, augmented",
    scores=f"mean IoU {ours:.3f} on the test images; most frequent class of each place "
    f"{others:.3f}",
    seed=settings.seed,
)
again = keras.saving.load_model(chapter.output / "model.keras")
chapter.exact(
    "largest difference between the scores of the reloaded model and the trained one's",
    measured=float(np.abs(again.predict_on_batch(images) - answers[0]).max()),
    expected=0.0,
    tolerance=1e-4,
    source="the file",
)
chapter.empirical(
    "mean IoU on the test images",
    measured=ours,
    expected=f"above {others:.3f}, the most frequent class of each place",
    holds=ours > others,
    source="measured here, one training",
)
worst = np.argsort(per_class)[:2]
chapter.conclude(
    "How well does a U-Net of half a million weights label drawn streets?",
    f"Its mean IoU is {ours:.2f}, that of the most frequent class of each place {others:.2f}; it "
    f"is worst at {data.class_names[worst[0]]} ({per_class[worst[0]]:.2f}) and "
    f"{data.class_names[worst[1]]} ({per_class[worst[1]]:.2f}).",
)
chapter.finish()
