# %% [markdown]
# # Solutions: DeconvNet and SegNet

# %%
import keras
import numpy as np
from keras import layers, ops
from scipy import ndimage

from kerasseg import datasets, figures
from kerasseg.chapter import Chapter
from kerasseg.layers import AverageUnpooling2D, MaxPoolingWithArgmax2D, MaxUnpooling2D
from kerasseg.losses import CrossEntropyDice
from kerasseg.metrics import BoundaryIoU, MeanIoU
from kerasseg.training import UpdateBatchNorm

quick = {"epochs": 1, "image_size": (24, 32)}
lesson = Chapter(
    "ch13_solutions", "Solutions: decoders that unpool", epochs=8, image_size=(48, 64), quick=quick
)
epochs = lesson.settings.epochs
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Exercise 1
#
# A window of 3 x 3 can straddle four pooling windows of 3 x 3 and cover none of them whole, so it
# may miss all four values. A whole pooling window of size $k$ is covered for certain by a window of
# $2 k - 1$: three for $k = 2$, and five for $k = 3$.

# %%
rng = np.random.default_rng(0)
x = rng.uniform(1, 2, (1, 9, 9, 1)).astype("float32")
x[0, [0, 0, 5, 5], [0, 5, 0, 5]] = 3  # the outer corners of four windows win
sparse = np.squeeze(MaxUnpooling2D(3)(*MaxPoolingWithArgmax2D(3)(x)))
reached = {size: ndimage.maximum_filter(sparse, size, mode="constant") > 0 for size in (3, 5)}
print("places that a convolution does not reach:", {k: int((~v).sum()) for k, v in reached.items()})
assert not reached[3].all()
assert reached[5].all()
lesson.figure(
    figures.number_grids(
        {"unpooled from windows of 3 x 3": np.where(sparse > 0, np.round(sparse, 1), np.nan)},
        windows={"unpooled from windows of 3 x 3": [(2, 2, 2, 2)]},
        title="The gap in the frame is too wide",
    ),
    "gap",
    "A 3 x 3 convolution at any of the four framed places sees no value.",
)

# %% [markdown]
# ## Exercise 2
#
# All sizes divide by 32 here, so the ratio is exactly 16.

# %%
values = [1024 * 2048 // 4**i * filters for i, filters in enumerate((64, 128, 256, 512, 512))]
print(f"maps {4 * sum(values) / 1e6:.0f} MB, masks {sum(values) / 4 / 1e6:.0f} MB")

# %% [markdown]
# ## Exercise 3
#
# For the rest we use a small SegNet of three stages, so that it trains in seconds. Copying loses a
# little, and more near outlines than elsewhere: boundary IoU scores the pixels near outlines alone.
# A decoder that has learned without masks does far better than one from which they are taken
# afterwards (exercise 4). One training of each does not say how large the difference is.

# %%
data = datasets.load(
    "street_scenes", image_size=lesson.settings.image_size, batch_size=16, augment=0
)
images, truth = (np.concatenate(part) for part in zip(*data.validation.as_numpy_iterator()))
train_images, train_truth = (np.concatenate(x) for x in zip(*data.train.as_numpy_iterator()))


def small_segnet(unpooling=MaxUnpooling2D):
    def block(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    image = x = keras.Input((*lesson.settings.image_size, 3))
    masks = []
    for filters in (16, 32, 64):
        x, mask = MaxPoolingWithArgmax2D(2)(block(block(x, filters), filters))
        masks.append(mask)
    for filters in (32, 16, 16):
        mask = masks.pop()
        x = unpooling(2)(x, mask) if issubclass(unpooling, MaxUnpooling2D) else unpooling(2)(x)
        x = block(block(x, x.shape[-1]), filters)
    return keras.Model(image, layers.Conv2D(data.num_classes, 3, padding="same")(x))


def trained(model, x=train_images, y=train_truth):
    steps = epochs * -(-len(x) // 16)
    falling = keras.optimizers.schedules.CosineDecay(6e-3, steps)
    loss, is_quick = CrossEntropyDice(data.ignore_class), lesson.settings.quick
    model.compile(keras.optimizers.Adam(falling), loss, run_eagerly=is_quick)
    x, y = (x[:32], y[:32]) if is_quick else (x, y)
    model.fit(x, y, 16, epochs, callbacks=[UpdateBatchNorm()], verbose=0)
    return model


def probabilities(model, x=images):
    return np.asarray(ops.softmax(model.predict(x, 32, verbose=0)))


def report(name, p):
    scores = []
    for metric in (kind(data.num_classes, from_logits=False) for kind in (MeanIoU, BoundaryIoU)):
        metric.update_state(truth, p)
        scores.append(float(metric.result()))
    print(f"{name:<22} mean IoU {scores[0]:.3f}, boundary IoU {scores[1]:.3f}")


model = trained(small_segnet())
report("masks", probabilities(model))
report("copying", probabilities(trained(small_segnet(AverageUnpooling2D))))

# %% [markdown]
# ## Exercise 4
#
# Exchanging left and right hurts, but less than forgetting. Every value keeps its row and is wrong
# by one column. Forgetting loses row and column, and all values lie on a regular grid, which the
# convolutions have never seen in training.


# %%
class Forgetful(MaxUnpooling2D):
    def call(self, values, argmax, like=None):
        return super().call(values, ops.zeros_like(argmax), like)


class Exchanged(MaxUnpooling2D):
    def call(self, values, argmax, like=None):
        argmax = ops.cast(argmax, "int32")
        return super().call(values, argmax + 1 - 2 * (argmax % 2), like)


for kind in (Forgetful, Exchanged):
    other = small_segnet(kind)
    other.set_weights(model.get_weights())
    report(kind.__name__.lower(), probabilities(other))

# %% [markdown]
# ## Exercise 5
#
# Two networks make different mistakes. Where one is wrong and unsure and the other right and sure,
# the mean is right. The average costs the time of both, and it helps if both are about equally
# good; a much worse partner pulls it down.

# %%
keras.utils.set_random_seed(1)
second = trained(small_segnet())
pair = [probabilities(network) for network in (model, second)]
for name, p in zip(("first", "second", "average of both"), (*pair, sum(pair) / 2)):
    report(name, p)

# %% [markdown]
# ## Exercise 6
#
# A tenth of the images keep their labels. The network labels the others and keeps the pixels of
# which it is 90 % sure; the rest is void, which no loss counts. Then a new network trains on
# everything. The first one sees its few images ten times as often, so that both take as many steps
# and the comparison is fair. Since it sees more images, it may gain; since a network is most often
# sure about large areas that it knows anyway, the gain is small, and confident mistakes are learned
# once more. Try other thresholds, and look at the rare classes.

# %%
few = len(train_images) // 10
ten_times = [np.repeat(x[:few], 10, axis=0) for x in (train_images, train_truth)]
teacher = trained(small_segnet(), *ten_times)  # as many steps as the second network takes
p = probabilities(teacher, train_images[few:])
pseudo = np.where(p.max(-1) > 0.9, p.argmax(-1), data.ignore_class)
print(f"\n{(pseudo != data.ignore_class).mean():.0%} of the pixels get a pseudo-label")
student = trained(small_segnet(), train_images, np.concatenate([train_truth[:few], pseudo]))
report("a tenth of the labels", probabilities(teacher))
report("and pseudo-labels", probabilities(student))
