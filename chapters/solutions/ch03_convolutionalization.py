# %% [markdown]
# # Solutions to lesson 3 · Convolutionalization

# %%
import keras
import numpy as np
from keras import layers
from skimage.data import coins
from skimage.transform import resize

from kerasseg import figures, models
from kerasseg.chapter import Chapter

lesson = Chapter(
    "ch03_convolutionalization_solutions", "Solutions: heat maps", epochs=6, quick={"epochs": 1}
)
keras.utils.set_random_seed(0)


def classifier(padding="valid", summary=layers.Flatten):
    x = image = keras.Input((25, 25, 1), name="image")
    for i in (1, 2):
        conv = layers.Conv2D(16, 4, padding=padding, activation="relu", name=f"encoder{i}_conv")
        x = layers.MaxPooling2D(2, name=f"encoder{i}_pool")(conv(x))
    return keras.Model(image, layers.Dense(1, name="score")(summary()(x)), name="classifier")


photo = resize(coins() / 255, (152, 192), anti_aliasing=True)[..., None].astype("float32")

# %% [markdown]
# ## Exercise 1
#
# $7 \cdot 7 \cdot 512 \cdot 4096 = 102{,}760{,}448$ weights, without the biases: three quarters of
# the whole network. A convolution with $4096$ kernels of $7 \times 7$ replaces it. Its output is a
# map of one by one with $4096$ channels, so the second layer, of $4096 \cdot 4096$ weights, becomes
# a convolution of one by one. We check the kernels on a VGG-16 with a sixteenth of its channels.

# %%
x = image = keras.Input((224, 224, 3))
for convolutions, filters in ((2, 4), (2, 8), (3, 16), (3, 32), (3, 32)):
    for _ in range(convolutions):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
x = layers.Flatten()(x)
for units in (256, 256):
    x = layers.Dense(units, activation="relu")(x)
sliding = models.convolutionalize(keras.Model(image, layers.Dense(10)(x)))
print("kernels", [tuple(w.shape[:2]) for w in sliding.weights if len(w.shape) == 4][-3:])
assert 7 * 7 * 512 * 4096 == 102_760_448

# %% [markdown]
# ## Exercise 2
#
# Keras refuses the size before any layer computes: the model was built for images of $25 \times
# 25$. The deeper reason is the fully connected layer. On the photograph, the last map has $35
# \times 45 \times 16 = 25{,}200$ numbers, and the layer has weights for $256$.

# %%
model = classifier()
try:
    model(photo[None])
except ValueError as error:
    print(str(error).splitlines()[0])
network = models.convolutionalize(model)
last_map = keras.Model(network.input, network.get_layer("encoder2_pool").output)(photo[None])
print("map in front of the last layer:", last_map.shape)

# %% [markdown]
# ## Exercise 3
#
# Every layer multiplies each weight once per place of its output. We add up the places times the
# weights, once for a window and once for the photograph. The windows one by one cost about fifteen
# times as much. (The biases count as one multiplication each here, which changes little.)


# %%
def multiplications(network, height, width):
    shape, total = (1, height, width, 1), 0
    for layer in network.layers[1:]:
        shape = layer.compute_output_shape(shape)
        total += layer.count_params() * shape[1] * shape[2]
    return total, shape[1] * shape[2]


at_once, windows = multiplications(network, 152, 192)
one_window, _ = multiplications(network, 25, 25)
print(f"{windows} windows: {windows * one_window / at_once:.1f} times as many multiplications")

# %% [markdown]
# ## Exercise 4
#
# Global average pooling accepts a map of any size, but it still returns one number per channel: the
# mean over the whole photograph, so there is one score and no place. `convolutionalize` replaces it
# by an average over windows of the size that the map had in training, here $4 \times 4$, which
# slides.

# %%
averaging = classifier(summary=layers.GlobalAveragePooling2D)
any_size = keras.Input((None, None, 1))
x = any_size
for layer in averaging.layers[1:]:
    x = layer(x)
print("one score:", keras.Model(any_size, x)(photo[None]).shape)
print("heat map: ", models.convolutionalize(averaging)(photo[None]).shape)

# %% [markdown]
# ## Exercise 5
#
# With `padding="same"` the last map has $6 \times 6$ pixels, so the last convolution is $6 \times
# 6$. The equality does not depend on training, so random weights will do. We compare every score of
# the heat map with the score of its window. They differ, because the window alone was framed by
# zeros and the same window within the photograph by its neighbours. The heat map is not wrong. It
# is the answer to a slightly different question, for which the classifier was not trained.

# %%
padded = classifier(padding="same")
for name, model in (("without padding", classifier()), ("with padding", padded)):
    heat = np.asarray(models.convolutionalize(model)(photo[None]))[0, ..., 0]
    places = list(np.ndindex(20, 20))
    cut_out = np.array([photo[4 * i : 4 * i + 25, 4 * j : 4 * j + 25] for i, j in places])
    alone = model.predict(cut_out, verbose=0).reshape(20, 20)
    difference = np.abs(heat[:20, :20] - alone).max() / np.abs(alone).max()
    print(f"{name}: largest difference {100 * difference:.1f} % of the largest score")

# %% [markdown]
# ## Exercise 6
#
# We train twice, with all negative windows and with the dark ones alone, which show nothing but
# cloth. The second network learns the easier rule: "bright is a coin". So it answers on the
# brighter cloth at the top as well, the spots grow, and neighbouring coins run into each other. A
# network that slides meets all windows there are. Its negative examples must include the ones that
# are hard to tell from positive ones.

# %%
centres = [(27, 22), (28, 50), (26, 78), (62, 22), (63, 51), (64, 77)]
centres += [(98, 22), (98, 51), (99, 77), (130, 23), (133, 57), (130, 86)]
windows, is_coin = [], []
for top, left in np.ndindex(152 - 24, 75):
    distance = np.abs(np.array(centres) - (top + 12, left + 12)).max(1).min()
    if distance <= 2 or distance > 6:
        windows.append(photo[top : top + 25, left : left + 25])
        is_coin.append(distance <= 2)
windows, is_coin = np.array(windows), np.array(is_coin)
is_dark = windows.max((1, 2, 3)) < np.quantile(windows[is_coin].max((1, 2, 3)), 0.01)

rng = np.random.default_rng(0)
maps = {"photograph": photo}
for name, negative in (("all windows", ~is_coin), ("cloth alone", ~is_coin & is_dark)):
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(which), 2000) for which in (is_coin, negative)]
    )
    model = classifier()
    model.compile(keras.optimizers.Adam(2e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(windows[chosen], is_coin[chosen], epochs=lesson.settings.epochs, verbose=0)
    heat = np.asarray(models.convolutionalize(model)(photo[None]))[0, ..., 0]
    maps[f"trained with {name}"] = 1 / (1 + np.exp(-heat))
    print(f"{name}: {(heat > 0).mean():.2f} of all places are called coins")
lesson.figure(
    figures.panels(
        maps, title="Without hard examples, all that is bright is a coin", columns=3, highest=1
    ),
    "negatives",
    "Heat maps of networks that saw all windows without a coin in the middle, or only dark ones.",
)
