# %% [markdown]
# # 3 · Convolutionalization: from a classifier to a heat map
#
# A classifier can tell you that there is a coin in an image. It cannot tell you where. Its answer
# is one number for the whole image, and every image must have the one size that it was trained on.
#
# What if you could put such a classifier in front of a large photograph and get an answer for every
# place, all at once, without training anything new? This is possible, and it takes one idea: a
# fully connected layer is a convolution in disguise. FCN, the first segmentation network of this
# course, is built on it (lesson 11).
#
# *You learn* how to turn a classifier into a fully convolutional network that draws a heat map,
# with the same weights.
# *In the book:* chapter 6, "Fully convolutional networks".
# *You need:* lesson 1 (convolution) and lesson 2 (receptive field).
# *Time:* half a minute on two cores.

# %%
import keras
import numpy as np
from keras import layers
from skimage.data import coins
from skimage.feature import peak_local_max
from skimage.transform import resize

from kerasseg import figures, models
from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.chapter import Chapter

lesson = Chapter("ch03_convolutionalization", "Heat maps", epochs=8, quick={"epochs": 1})
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Where are the coins?
#
# This photograph shows old coins on a dark cloth. Our classifier looks at windows of twenty-five by
# twenty-five pixels and says whether there is a coin in the middle of the window. The orange frame
# is one window. How many windows are there, if they start four pixels apart, in both directions?
# (You will see why four.)


# %%
def photograph(height):
    size = (height, round(height * 192 / 152))
    return resize(coins() / 255, size, anti_aliasing=True)[..., None].astype("float32")


photo = photograph(152)
lesson.figure(
    figures.panels(
        {"photograph, 152 x 192": photo},
        {"photograph, 152 x 192": [(15, 10, 25, 25, "#e69f00", "")]},
        columns=1,
        cell=5,
    ),
    "photograph",
    "The photograph to search, and one of its windows.",
)

# %% [markdown]
# There are thirty-two from top to bottom and forty-two from left to right, more than a thousand. We
# could cut out every one and show it to the classifier. That works, and it is slow, because
# neighbouring windows overlap, and the same pixels pass through the same convolutions again and
# again. The convolutions are not the problem: they slide anyway, and do not mind a larger image.
# The obstacle is the last layer.
#
# ## A fully connected layer, by hand
#
# A fully connected layer (in Keras, `Dense`) multiplies every value of the last map with a weight
# of its own and adds up the products. A convolution multiplies a window with its kernel and adds up
# the products. If the kernel is as large as the map, there is only one window, and the two are the
# same sum.


# %%
def slide(x, kernel):
    height, width = kernel.shape
    rows, columns = x.shape[0] - height + 1, x.shape[1] - width + 1
    scores = np.zeros((rows, columns), x.dtype)
    for i, j in np.ndindex(rows, columns):
        scores[i, j] = (x[i : i + height, j : j + width] * kernel).sum()
    return scores


small = np.array([[1, 0], [2, 3]])
weights = np.array([[1, -1], [0, 2]])
assert slide(small, weights) == small.flatten() @ weights.flatten()

# %% [markdown]
# Our small map is two by two, so flattening it gives four numbers, and the fully connected layer
# has four weights. On a larger map the fully connected layer fails: there are more numbers than
# weights. The convolution just keeps sliding.

# %%
large = np.array([[1, 0, 0, 0], [2, 3, 1, 0], [0, 0, 2, 3]])
first, last = (0, 0, 2, 2), (1, 2, 2, 2)
lesson.figure(
    figures.number_grids(
        {
            "small map": small,
            "weights": weights,
            "score": slide(small, weights),
            "larger map": large,
            "same weights": weights,
            "scores": slide(large, weights),
        },
        ["*", "=", None, "*", "="],
        windows={
            "small map": [first],
            "score": [(0, 0, 1, 1)],
            "larger map": [first, last],
            "scores": [(0, 0, 1, 1), (1, 2, 1, 1)],
        },
        columns=3,
        title="The same weights give one score, or a score for every window",
    ),
    "by_hand",
    "Above: a fully connected layer, or a convolution whose kernel covers the map. Below: the same "
    "convolution on a larger map. Blue and orange: windows and their scores.",
)

# %% [markdown]
# Look at the blue window: the score is the same above and below. And look at the orange one: it
# contains the same four numbers, at another place, and gets the same score, at another place. The
# answer is no longer lost in a single sum. It has kept its position.
#
# ## The same with layers
#
# Real maps have channels. Suppose that a classifier of ten classes ends with a map of four by four
# pixels and sixteen channels. Flattened, these are $4 \cdot 4 \cdot 16 = 256$ numbers, and ten
# classes take $256 \cdot 10 = 2560$ weights. Ten convolution kernels that cover the map have
# $4 \cdot 4 \cdot 16$ weights each, which is the same number. And they are the same weights, only
# arranged differently: row, column, channel, class.

# %%
features = np.random.default_rng(0).normal(size=(5, 4, 4, 16)).astype("float32")
dense, convolution = layers.Dense(10, use_bias=False), layers.Conv2D(10, 4, use_bias=False)
dense.build((None, 256))
convolution.build(features.shape)
convolution.set_weights([dense.get_weights()[0].reshape(4, 4, 16, 10)])

assert dense.count_params() == convolution.count_params() == 2560
scores = dense(features.reshape(5, 256))
assert np.allclose(np.squeeze(convolution(features)), scores, atol=1e-5)

# %% [markdown]
# ## A classifier of coins
#
# Now for a real one. It takes windows of twenty-five by twenty-five pixels and has two
# convolutions, each followed by a pooling, which lead to a map of exactly four by four by sixteen.
# Its last layer is fully connected and gives a single score: positive for a coin in the middle,
# negative for anything else. The convolutions have no padding, for a reason that we come to below.


# %%
def classifier():
    image = keras.Input((25, 25, 1), name="image")
    x = layers.Conv2D(16, 4, activation="relu", name="encoder1_conv")(image)
    x = layers.MaxPooling2D(2, name="encoder1_pool")(x)
    x = layers.Conv2D(16, 4, activation="relu", name="encoder2_conv")(x)
    x = layers.MaxPooling2D(2, name="encoder2_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(image, layers.Dense(1, name="score")(x), name="classifier")


model = classifier()
lesson.figure(
    figures.architecture(model),
    "classifier",
    "The classifier. The second pooling leaves maps of 4 x 4, and the last layer turns them into a "
    "number that belongs to no place.",
)

# %% [markdown]
# We train it on the left half of the photograph alone (and three columns more, so that the twelfth
# coin fits in), where we have noted the centres of the coins by hand. The right half stays unseen.
# A window is a positive example if a coin's centre lies within two pixels of its own, in rows and
# in columns, and a negative one if all centres are more than six pixels away. The windows in
# between are left out, because nobody could say what their answer should be. To have more examples,
# we turn the windows by right angles and make them brighter or darker.

# %%
centres = [(27, 22), (28, 50), (26, 78), (62, 22), (63, 51), (64, 77)]
centres += [(98, 22), (98, 51), (99, 77), (130, 23), (133, 57), (130, 86)]
windows, is_coin = [], []
for top, left in np.ndindex(152 - 24, 75):
    distance = np.abs(np.array(centres) - (top + 12, left + 12)).max(1).min()
    if distance <= 2 or distance > 6:
        windows.append(photo[top : top + 25, left : left + 25])
        is_coin.append(distance <= 2)

rng = np.random.default_rng(0)
windows, is_coin = np.array(windows), np.array(is_coin)
positive, negative = np.flatnonzero(is_coin), np.flatnonzero(~is_coin)
chosen = np.concatenate([rng.choice(positive, 3000), rng.choice(negative, 6000)])
images = np.stack([np.rot90(windows[i], rng.integers(4)) for i in chosen])
images *= rng.uniform(0.7, 1.3, (len(images), 1, 1, 1)).astype("float32")
lesson.figure(
    figures.image_rows({"positive": images[:10], "negative": images[3000:3010]}),
    "windows",
    "Ten windows of each kind. A negative one may show a coin, but not in its middle. The "
    "classifier never sees the whole photograph.",
)

# %%
model.compile(keras.optimizers.Adam(2e-3), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(images, is_coin[chosen], batch_size=32, epochs=lesson.settings.epochs, verbose=2)

# %% [markdown]
# ## The same network without its fully connected layer
#
# Here is the classifier again, with two changes. The image may have any size, and in place of
# `Flatten` and `Dense` there is a convolution of four by four. Nothing is trained again: the
# convolutions are the classifier's own, and the last layer's weights are copied in their new
# arrangement.


# %%
def heat_map_network(classifier):
    image = keras.Input((None, None, 1), name="image")
    x = image
    for layer in classifier.layers[1:-2]:
        x = layer(x)
    score = layers.Conv2D(1, 4, name="score")
    network = keras.Model(image, score(x), name="heat_map")
    kernel, bias = classifier.get_layer("score").get_weights()
    score.set_weights([kernel.reshape(4, 4, 16, 1), bias])
    return network


network = heat_map_network(model)
lesson.figure(
    figures.architecture(network, input_size=photo.shape[:2]),
    "network",
    "The same weights, fully convolutional. The last box is a map now: one score for each place.",
)

# %% [markdown]
# The library has this as `kerasseg.models.convolutionalize`. It reads the graph of any classifier,
# finds the place where it flattens or averages its map, and replaces all fully connected layers
# behind it. Both networks have as many weights as the classifier, and give the same scores.

# %%
converted = models.convolutionalize(model)
heat = np.asarray(network(photo[None]))[0, ..., 0]
assert network.count_params() == converted.count_params() == model.count_params()
assert np.allclose(converted(photo[None])[0, ..., 0], heat, atol=1e-4)

# %% [markdown]
# ## The heat map
#
# We turn the scores into probabilities with a sigmoid and draw them as a map. Before you look:
# where will it be dark, and how large will the dark spots be? Remember which windows were positive
# examples. (`peak_local_max` of scikit-image lists the local maxima with a score above zero.)

# %%
probability = 1 / (1 + np.exp(-heat))
field = receptive_field(network)
peaks = peak_local_max(heat, min_distance=3, threshold_abs=0, exclude_border=False)
frames = [(*(field.stride * peak), field.size, field.size, "#e69f00", "") for peak in peaks]
lesson.figure(
    figures.panels(
        {"photograph": photo, "heat map, 32 x 42": probability},
        {"photograph": frames},
        "Every coin has a dark spot in the heat map, and every peak a window",
        columns=2,
        cell=3.6,
        highest=1,
    ),
    "heat_map",
    "Left: the windows that belong to the peaks of the heat map. The network was trained on the "
    "left half.",
)
print(f"{len(peaks)} peaks for 24 coins")

# %% [markdown]
# The coins of the right half are found as well as those of the left, although the network has never
# seen them. The spots are small: the network answers where a window is centred on a coin, and stays
# silent between the coins. Large coins have larger spots, because there a window can be off the
# centre and still be full of coin.
#
# How do we know which window a score belongs to? By lesson 2: a score has a receptive field of
# twenty-five pixels, the size of the classifier's image, and neighbouring scores are four pixels
# apart, the product of the two poolings. So the score in row $i$ and column $j$ belongs to the
# window that begins at row $4i$ and column $4j$. If that is true, then the classifier must give the
# same score to that window, cut out.

# %%
i, j = peaks[0]
cut_out = photo[4 * i : 4 * i + 25, 4 * j : 4 * j + 25]
assert np.allclose(model(cut_out[None]), heat[i, j], atol=1e-4)

# %% [markdown]
# ## Why the place survives
#
# You may read that a fully connected layer forgets positions. In fact it knows them very well: it
# has a weight of its own for each. But it *sums* over all places, so the answer has none. And what
# it has learned about one place it does not know about another, because each place has other
# weights.
#
# A convolution shares its weights among all places and writes each answer where its window was. So
# if the image moves by one stride, the answers move by one place. (In between, the poolings group
# other pixels, and the scores change.) We test it: move the photograph by two strides, eight
# pixels, to the right and down.

# %%
moved = np.roll(photo, (8, 8), axis=(0, 1))
heat_of_moved = np.asarray(network(moved[None]))[0, ..., 0]
assert np.allclose(heat_of_moved[2:, 2:], heat[:-2, :-2], atol=1e-4)

# %% [markdown]
# Now you see why there is no padding. With zeros around each map, the classifier would see a frame
# of zeros around every window it is trained on (lesson 1). Inside a photograph there is no such
# frame, and the scores would no longer be those of the classifier. Networks with padding can be
# converted too, and usually work, but their scores are only close to those of the windows.
#
# ## Only one size
#
# The window has a fixed size. What happens if the coins do not fit it? We give the network the same
# photograph at half and at twice the size.

# %%
sizes = {}
for height in (76, 152, 304):
    scores = np.asarray(network(photograph(height)[None]))[0, ..., 0]
    sizes[f"photograph of height {height}"] = 1 / (1 + np.exp(-scores))
lesson.figure(
    figures.panels(
        sizes, title="Coins are found only at the windows' size", columns=3, cell=3, highest=1
    ),
    "sizes",
    "Heat maps of one photograph in three sizes. In the small one a window shows more than a coin, "
    "in the large one only a part of it.",
)

# %% [markdown]
# At half the size the network finds nothing. At twice the size it answers along the rims of the
# coins, and hardly in their middles. A detector for objects of any size therefore searches a
# *pyramid*, the photograph in many sizes. A segmentation network must instead learn objects of all
# sizes, which is one reason for features of several scales (lesson 14, lesson 15).
#
# ## Does it hold?
#
# Long, Shelhamer and Darrell converted classifiers of ImageNet in this way and called them *fully
# convolutional networks* ([2015](https://arxiv.org/abs/1411.4038)). They report that it is more
# than five times faster to convert AlexNet and give it a whole image of $500 \times 500$ pixels
# than to classify the image's $10 \times 10$ windows one by one.
#
# ## Where it breaks
#
# - **The map is coarse.** VGG-16 has a stride of $32$ pixels, and its first fully connected layer
#   sees a map of $7 \times 7$. An image of $512$ pixels gives $512 / 32 - 7 + 1 = 10$ scores in
#   each direction. To draw an outline, the map must become large again (lesson 4, lesson 5, lesson
#   11).
# - **The classifier must know what nothing looks like.** It sees every window now, even those that
#   nobody would have shown to it. Trained with dark cloth as the only negative example, it finds
#   coins wherever the photograph is bright (exercise 6).
# - **Only one size of object is found,** as you have just seen.
#
# ## Summary
#
# - A fully connected layer on a flattened map of $h \times w$ is a convolution with a kernel of
#   $h \times w$. The fully connected layers after it become convolutions of one by one.
# - The weights are the same, in number and in value.
# - The converted network takes images of any size and gives a heat map: the classifier's answer for
#   every window, at the stride of the network.
# - Convolutions keep the place, because they share weights and write each answer where its window
#   was.
#
# ## Exercises
#
# 1. VGG-16's first fully connected layer turns a map of $7 \times 7 \times 512$ into $4096$ units.
#    How many weights does it have, and which convolution replaces it? And which one replaces the
#    second, from $4096$ to $4096$?
# 2. Give the photograph to the classifier itself. Read the error message: which two numbers do not
#    match, and where do they come from?
# 3. Count the multiplications for the heat map, and those for all windows one by one. By what
#    factor do they differ?
# 4. Build a classifier that ends with `GlobalAveragePooling2D` instead of `Flatten`. It takes
#    images of any size as it is. Why is its output still no heat map, and what does
#    `convolutionalize` make of it?
# 5. Give the convolutions `padding="same"` (the kernel of the last convolution changes), and
#    compare the heat map with the scores of single windows. Random weights will do. Where do they
#    differ?
# 6. *Project.* Train without the negative windows that contain a part of a coin: keep only those
#    that are darker than a threshold. Draw the heat map. Where does the network now find coins that
#    are not there?
#
# ## Further reading
#
# - Long, Shelhamer and Darrell 2015,
#   [Fully convolutional networks for semantic segmentation](https://arxiv.org/abs/1411.4038),
#   section 3.1
# - Sermanet et al. 2014,
#   [OverFeat](https://arxiv.org/abs/1312.6229): classify, locate and detect with one network
