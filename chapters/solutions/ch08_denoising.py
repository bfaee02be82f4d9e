# %% [markdown]
# # Solutions to lesson 8: denoising
#
# All exercises use the digits and the networks of the lesson, trained for fewer epochs.

# %%
import keras
import numpy as np

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter
from kerasseg.datasets import corruptions

lesson = Chapter("ch08_denoising_solutions", "Solutions: denoising", epochs=20, quick={"epochs": 1})
keras.utils.set_random_seed(0)


def load(sigma):
    corruption = corruptions.noise(sigma)
    return datasets.load("digits", target="image", corruption=corruption, batch_size=64)


def test_images(sigma):
    return [np.concatenate(part) for part in zip(*load(sigma).test.as_numpy_iterator())]


def psnr(images, truth):
    return np.mean(-10 * np.log10(np.mean((images - truth) ** 2, axis=(1, 2, 3))))


def train(batches, model=None, loss="binary_crossentropy"):
    model = model or models.conv_autoencoder((8, 8, 1), filters=(32, 64))
    rate = keras.optimizers.schedules.CosineDecay(3e-3, lesson.settings.epochs * len(batches))
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(batches, epochs=lesson.settings.epochs, verbose=0, shuffle=False)
    return model


def restored(model, images):
    return model.predict(images, verbose=0)


noisy, clean = test_images(0.3)

# %% [markdown]
# ## Exercise 1
#
# The more noise, the more there is to gain. At 0.1 both networks make the digits worse: the image
# is almost clean, and each network draws it anew with errors of its own, which are larger than the
# noise. Training on a range of strengths does not change that: it costs a little at 0.3 and, with
# so few epochs, gains nothing at 0.5. A network that predicts the noise and subtracts it would keep
# what is already right (lesson 9 does this for super-resolution).

# %%
one_strength = train(load(0.3).train)
any_strength = train(load((0.1, 0.5)).train)
for sigma in (0.1, 0.3, 0.5):
    images, truth = test_images(sigma)
    gains = [
        psnr(restored(model, images), truth) - psnr(images, truth)
        for model in (one_strength, any_strength)
    ]
    print(f"noise {sigma}: trained on 0.3 gains {gains[0]:.1f} dB, on a range {gains[1]:.1f} dB")

# %% [markdown]
# ## Exercise 2
#
# More images mean a nearer nearest image, but the gain becomes smaller and smaller: to halve the
# distance to the nearest image you need many times as many images.

# %%
seen = np.concatenate([truth for _, truth in load(0.3).train]).reshape(-1, 64)


def memory(images, seen, sigma):
    flat = images.reshape(len(images), -1)
    distances = ((flat[:, None] - seen[None]) ** 2).sum(axis=-1)
    weights = np.exp((distances.min(axis=1, keepdims=True) - distances) / (2 * sigma**2))
    return (weights @ seen / weights.sum(axis=1, keepdims=True)).reshape(images.shape)


for count in (len(seen) // 10, len(seen) // 3, len(seen)):
    print(f"{count} images remembered: {psnr(memory(noisy, seen[:count], 0.3), clean):.1f} dB")

# %% [markdown]
# ## Exercise 3
#
# A dense network has to learn a stroke anew for each place, and all images have to pass through its
# code. With 32 numbers it is clearly worse than the convolutional network. With four numbers it
# draws averages of many writers. They are clean, but so far from the right digit that the noisy
# image is nearer.

# %%
dense = {
    f"code of {size}": restored(
        train(load(0.3).train, models.dense_autoencoder((8, 8, 1), code_size=size)), noisy
    )
    for size in (32, 4)
}
rows = {"digit": clean, "noisy": noisy, "convolutional": restored(one_strength, noisy), **dense}
for name, images in list(rows.items())[1:]:
    print(f"{name}: {psnr(images, clean):.1f} dB")
lesson.figure(
    figures.image_rows({name: images[:10] for name, images in rows.items()}),
    "dense",
    "Digits restored by the convolutional network and by two dense ones.",
)

# %% [markdown]
# ## Exercise 4
#
# Two independent noises have variances that add, so the squared error of the input doubles, which
# is about 3 dB. (Cutting off at black and white changes the number a little.) The denoiser was
# trained on the weaker noise and loses nearly as much. The same happens in evaluation code that
# adds noise to images that are already noisy: the score looks like overfitting.

# %%
twice = corruptions.noise(0.3)(noisy, (1, 2)).numpy()
for name, images in (("once", noisy), ("twice", twice)):
    result = psnr(restored(one_strength, images), clean)
    print(f"noise {name}: input {psnr(images, clean):.1f} dB, restored {result:.1f} dB")

# %% [markdown]
# ## Exercise 5
#
# An exact projection changes nothing the second time, because its result lies on the surface
# already. The network was trained on noisy images only. It takes a clean image for a noisy one and
# smooths it again, so the image drifts away from the digit.

# %%
images = noisy
for time in range(1, 6):
    before, images = images, restored(one_strength, images)
    change = np.sqrt(np.mean((images - before) ** 2))
    print(f"applied {time} times: {psnr(images, clean):.1f} dB, last change {change:.3f}")

# %% [markdown]
# ## Exercise 6
#
# The network cannot predict the noise of the target, because it is independent of the input. The
# best it can do in squared error is the mean of all possible targets, and if the noise has mean
# zero, this is the mean of the clean images that fit. So the noise in the target changes the
# gradient of each step but not what training converges to. One condition is easy to overlook: noise
# that is cut off at black and white no longer has mean zero. We leave it uncut here.


# %%
def two_noisy_versions(_, truth):
    first, second = (keras.random.normal((64, 8, 8, 1), 0, 0.3) for _ in range(2))
    count = keras.ops.shape(truth)[0]
    return truth + first[:count], truth + second[:count]


def noisy_and_clean(_, truth):
    return two_noisy_versions(_, truth)[0], truth


uncut = clean + np.random.default_rng(0).normal(0, 0.3, clean.shape)
pairs = {"clean targets": noisy_and_clean, "noisy targets": two_noisy_versions}
for name, pair in pairs.items():
    model = train(load(0.3).train.map(pair), loss="mse")
    print(f"{name}: {psnr(restored(model, uncut), clean):.1f} dB")
