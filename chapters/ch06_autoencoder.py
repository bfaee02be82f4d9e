# %% [markdown]
# # 6 · Autoencoders: an image in a few numbers
#
# A digit on an 8x8 grid is stored as 64 grey levels. Does it take 64 numbers to say which digit it
# is, how it leans and how bold it is? You could describe it to a friend on the phone with far
# fewer, because your friend knows what digits look like.
#
# An **autoencoder** learns such a description from images alone. One half of the network, the
# *encoder*, squeezes an image into a short list of numbers, the *code*. The other half, the
# *decoder*, draws the image again from the code. Nobody labels anything: every image is its own
# target.
#
# *You learn* how to build and train an autoencoder, how to judge it against PCA and JPEG, and what
# its encoder and its decoder are good for when they are used alone.
# *In the book:* chapter 6, "Discovering autoencoders".
# *You need:* dense layers and gradient descent, no earlier lesson.
# *Time:* one minute on two cores.

# %%
import io
import math

import keras
import numpy as np
from keras import layers
from PIL import Image
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from kerasseg import datasets, figures, models
from kerasseg.chapter import Chapter

settings = {"dataset": "digits", "data_dir": None, "epochs": 150}
choices = {"dataset": ("digits", "mnist")}
lesson = Chapter(
    "ch06_autoencoder", "Autoencoders", quick={"epochs": 2}, choices=choices, **settings
)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## Why compression is possible at all
#
# We load the digits once as arrays. The upper row below shows some of them. For the lower row every
# pixel is drawn separately, from the values that this pixel has in the training set.

# %%
data = datasets.load(
    lesson.settings.dataset, target="label", batch_size=60_000, data_dir=lesson.settings.data_dir
)
(train, train_labels), (validation, _), (test, test_labels) = (
    next(part.as_numpy_iterator()) for part in (data.train, data.validation, data.test)
)
code_size = 8 if lesson.settings.dataset == "digits" else 32

rng = np.random.default_rng(0)
shown = [int(np.flatnonzero(test_labels == digit)[0]) for digit in range(10)]
pixels_of = rng.integers(0, len(train), (10, test[0].size))
mixed = np.take_along_axis(train.reshape(len(train), -1), pixels_of, axis=0)
rows = {"digits": test[shown], "every pixel\nby itself": mixed.reshape(-1, *data.image_shape)}
lesson.figure(
    figures.image_rows(rows, "Almost no combination of pixel values is a digit"),
    "digits_are_rare",
    "Both rows use the same brightness at every place. Only the upper one has strokes.",
)

# %% [markdown]
# The lower row is noise, although its pixels have the right brightness. Digits are a tiny corner in
# the space of all images: their pixels depend on each other. Ink comes in strokes of a certain
# width, strokes come in a few arrangements. Where there is dependence, there is redundancy, and
# redundancy can be left out, provided that whoever restores the image knows the rules.
#
# An autoencoder forces a network to find the rules by taking away the room. All that the decoder
# gets to know about an image has to pass through the code, and the code is narrow. This narrow
# place is the **bottleneck**.
#
# ## By hand: four pixels, two numbers
#
# Take a world of images with two rows and two columns in which both rows are always equal. You
# know this rule, so you can write both halves down:


# %%
def encode(image):
    return image.mean(axis=0)  # one number for each column


def decode(code):
    return np.stack([code, code])  # both rows are equal


regular = np.array([[6.0, 2.0], [6.0, 2.0]])
irregular = np.array([[6.0, 2.0], [0.0, 2.0]])

# %%
grids = {
    "obeys the rule": regular,
    "its code": encode(regular),
    "decoded": decode(encode(regular)),
    "breaks the rule": irregular,
    "its code ": encode(irregular),
    "decoded ": decode(encode(irregular)),
}
columns_of = {
    name: [(0, column, len(np.atleast_2d(grid)), 1) for column in (0, 1)]
    for name, grid in grids.items()
}
arrows = ["encode", "decode", None, "encode", "decode"]
lesson.figure(
    figures.number_grids(grids, arrows, windows=columns_of, columns=3),
    "by_hand",
    "Blue and orange: the left and the right column, and the number that stands for each.",
)

# %% [markdown]
# The image that obeys the rule comes back exactly, from half as many numbers. The image that breaks
# it comes back as an image that obeys the rule. Remember this: an autoencoder does not merely
# compress, it moves every input onto what it takes for normal. Lesson 8 makes a denoiser of that.
#
# ## The same as two layers
#
# Means and copies are sums with weights, so both halves are dense layers without bias. A dense
# layer multiplies a row of pixels with a matrix. Here we fill in the matrices ourselves:

# %%
pixels = irregular.reshape(1, 4).astype("float32")  # both rows in one
to_code, to_image = layers.Dense(2, use_bias=False), layers.Dense(4, use_bias=False)
to_code.build((None, 4))  # creates the weights, which a layer otherwise does when first called
to_image.build((None, 2))
to_code.set_weights([np.array([[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]])])
to_image.set_weights([np.array([[1, 0, 1, 0], [0, 1, 0, 1]])])
decoded = to_image(to_code(pixels))

assert np.allclose(np.reshape(decoded, (2, 2)), decode(encode(irregular)))

# %% [markdown]
# For digits nobody can write down the rule. So we let gradient descent choose the weights. Call the
# encoder $f$, the decoder $g$ and an image $x$. Then $z = f(x)$ is its code and $\hat x = g(z)$ its
# **reconstruction**, and training makes the average distance $d$ between the two small over the
# $N$ images of the training set:
#
# $$\min_{f, g} \; \frac{1}{N} \sum_{i=1}^{N} d\big(x_i, \, g(f(x_i))\big)$$
#
# Without the bottleneck this would be useless, since copying is perfect. With it, the two halves
# have to agree on the best use of a few numbers. The space in which the codes live is called the
# **latent space**: "latent" because nobody gives us the codes, the network has to find them.
#
# ## The rival: the best linear code
#
# Before we train, let us know what there is to beat. If encoder and decoder are a single matrix
# each, as above, and $d$ is the squared error, no training is needed. The best code of $k$ numbers
# is known: *principal component analysis* (PCA). It finds the $k$ directions along which the images
# vary most, and measures each image along these.

# %%
flat_train, flat_test = (images.reshape(len(images), -1) for images in (train, test))
pca = PCA(code_size, random_state=0).fit(flat_train)
linear = pca.inverse_transform(pca.transform(flat_test)).reshape(test.shape)


def squared_error(images):
    return float(np.mean((images - test) ** 2))


print(f"{code_size} numbers for {flat_test.shape[1]} pixels")
print(
    f"squared error per pixel: mean image {squared_error(train.mean(0)):.4f}, "
    f"PCA {squared_error(linear):.4f}"
)

# %% [markdown]
# PCA can only add up fixed images, each more or less strongly. It cannot say "the same stroke, but
# further to the left". For that, the way from code to pixels has to be curved, and a curved way
# takes layers with an activation between them.
#
# ## The network
#
# Here it is, as in the book: dense layers with ReLU that narrow down to the code and widen again in
# mirror image. The sigmoid at the end puts every pixel between zero and one.


# %%
def dense_autoencoder(input_shape=(28, 28, 1), code_size=32, *, hidden=(128, 64)):
    x = image = keras.Input(input_shape, name="image")
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        x = layers.Dense(units, activation="relu", name=f"encoder{i}")(x)
    x = layers.Dense(code_size, activation="relu", name="code")(x)
    for i, units in reversed(list(enumerate(hidden, start=1))):
        x = layers.Dense(units, activation="relu", name=f"decoder{i}")(x)
    x = layers.Dense(math.prod(input_shape), activation="sigmoid", name="pixels")(x)
    return keras.Model(image, layers.Reshape(input_shape, name="reconstruction")(x))


# %%
lesson.figure(
    figures.architecture(dense_autoencoder()),
    "architecture",
    "The book's network for images of 28x28 pixels. Each box is as high as it has numbers.",
)
assert dense_autoencoder().count_params() == models.dense_autoencoder().count_params() == 222_384

# %% [markdown]
# The drawing is an hourglass: $784 \to 128 \to 64 \to 32$ and back. The library has the network as
# `kerasseg.models.dense_autoencoder`. For our small digits we build it with an input of 8x8 and a
# code an eighth of that.
#
# ## Training
#
# One line deserves your attention: `fit(train, train)`. The images are the input *and* the target.
# As distance we take the **binary cross-entropy** of every pixel,
#
# $$d(x, \hat x) = -x \log \hat x - (1 - x) \log (1 - \hat x),$$
#
# with $x$ the true grey level and $\hat x$ the drawn one. Like the squared error it is smallest
# where both agree. But it punishes a pixel that is confidently wrong far more: its gradient in front
# of the sigmoid is simply $\hat x - x$, which is large for such a pixel, while that of the squared
# error vanishes there. (For grey pixels the smallest cross-entropy is not zero. To compare with
# PCA, we also watch the squared error.)

# %%
model = dense_autoencoder(data.image_shape, code_size)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["mse"])
epochs = lesson.settings.epochs
history = model.fit(train, train, 32, epochs, verbose=0, validation_data=(validation, validation))
error = history.history["val_mse"]
print(
    f"squared error on held-out images: {error[0]:.4f} after one epoch, {error[-1]:.4f} at the end"
)

# %% [markdown]
# ## Look at the result
#
# Make a guess before you run the next cell. Which digits will PCA draw badly? And will the mistakes
# of the two methods look alike?

# %%
drawn = model.predict(test, verbose=0)
rows = {
    "digit": test[shown],
    f"PCA,\n{code_size} numbers": linear[shown],
    f"autoencoder,\n{code_size} numbers": drawn[shown],
}
title = f"Squared error: PCA {squared_error(linear):.4f}, autoencoder {squared_error(drawn):.4f}"
lesson.figure(
    figures.image_rows(rows, title),
    "reconstructions",
    "Test digits, which neither method has seen, drawn again from their codes.",
)

# %% [markdown]
# PCA leaves grey shadows where strokes of other digits could have been, because it mixes fixed
# images and cannot take a mixture back. The autoencoder puts most strokes in their places and
# leaves the rest black. Where it errs, it errs in another way: it draws a digit that is a little
# too ordinary, with a gap closed or a flourish gone.
#
# ## Against JPEG, byte by byte
#
# JPEG is an encoder and a decoder, too. It cuts an image into blocks of 8x8 pixels, which is
# exactly one of our digits, describes each block by waves of different frequency, rounds them
# coarsely and stores the result without gaps. To be fair we spare it a file header per digit and
# lay all test digits out on one sheet. And we round each number of the autoencoder's code to a
# single byte.


# %%
def sheet(images, columns=10):
    padded = np.pad(images[..., 0], [(0, 0), *((0, -size % 8) for size in images.shape[1:3])])
    _, height, width = padded.shape
    strips = padded.reshape(-1, columns, height, width).swapaxes(1, 2)
    return strips.reshape(-1, columns * width)


def jpeg(image, quality):
    file = io.BytesIO()
    grey = Image.fromarray(np.uint8(255 * image + 0.5))
    grey.save(file, "JPEG", quality=quality, optimize=True)
    return file.tell(), np.asarray(Image.open(file)) / 255


# %%
encoder, decoder = models.split_autoencoder(model)
codes = encoder.predict(test, verbose=0)
largest = encoder.predict(train, verbose=0).max(axis=0) + 1e-6
as_bytes = np.uint8(np.clip(255 * codes / largest + 0.5, 0, 255))
from_bytes = decoder.predict(largest * as_bytes / np.float32(255), verbose=0)

# %%
paper = sheet(test)
enough = (q for q in range(1, 96) if jpeg(paper, q)[0] >= as_bytes.size)
size, by_jpeg = jpeg(paper, next(enough))
rows = 2 * len(paper) * 10 // len(test)
error = np.mean((by_jpeg - paper) ** 2) * paper.size / test.size
panels = {
    "digits": paper[:rows, :, None],
    f"JPEG, {size / len(test):.1f} bytes each, error {error:.4f}": by_jpeg[:rows, :, None],
    f"autoencoder, {code_size} bytes each, error {squared_error(from_bytes):.4f}": sheet(
        from_bytes
    )[:rows, :, None],
}
lesson.figure(
    figures.panels(panels, columns=1, cell=5),
    "jpeg",
    "The first test digits at the lowest JPEG quality that takes at least as many bytes.",
)

# %% [markdown]
# With the same number of bytes the autoencoder is clearly closer. That is no miracle. JPEG was
# designed for any photograph, while our network knows nothing but digits, and its knowledge sits in
# the weights of the decoder, which we have not counted as part of the file. A special code beats a
# general one on its own ground, and only there.
#
# ## The encoder alone: similar images, similar codes
#
# `split_autoencoder` has given us both halves, which share the weights of the whole. What does the
# encoder say about digits? Here are the codes of four zeros and of four ones:

# %%
for digit in (0, 1):
    print(f"four codes of the digit {digit}:")
    print(np.round(codes[test_labels == digit][:4], 1))

# %% [markdown]
# Codes of the same digit resemble each other, though no label was used. The reason is the shortage:
# when numbers are few, it pays to describe similar images by similar codes, because one smooth
# decoder can then serve both. (A column of zeros is a number that the network does not use. Its
# ReLU was pushed below zero for every image early in training, where its gradient is zero, too.)
#
# For all test digits at once, *t-SNE* lays the codes out in the plane so that neighbours stay
# neighbours. (Distances between clusters far apart mean nothing on such a map.)

# %%
mapped = slice(None, 2000)
plane = TSNE(random_state=0).fit_transform(codes[mapped])
neighbours = KNeighborsClassifier(5)
score = {
    "pixels": neighbours.fit(flat_train, train_labels).score(flat_test, test_labels),
    "codes": neighbours.fit(encoder.predict(train, verbose=0), train_labels).score(
        codes, test_labels
    ),
}
print("5 nearest neighbours:", ", ".join(f"on {k} {v:.1%} right" for k, v in score.items()))
lesson.figure(
    figures.scatter(
        plane,
        test_labels[mapped],
        data.class_names,
        data.colours,
        "The codes form clusters, about one for each digit",
    ),
    "map",
    "Every point is the code of a test digit. The colours come from the labels, which the network "
    "has never seen.",
)

# %% [markdown]
# A classifier that merely asks the five nearest training digits is nearly as good on the codes as
# on all pixels. The code has kept what makes a digit this digit.
#
# ## The decoder alone: drawing what nobody has encoded
#
# Clusters can be found without labels. *k-means* looks for ten centres such that every code is
# close to one of them. A centre is a list of numbers like any other code, and so the decoder can
# draw it. What do you expect to see?

# %%
clusters = KMeans(10, n_init=10, random_state=0).fit(encoder.predict(train, verbose=0))
centres = clusters.cluster_centers_
rows = {"centre,\ndecoded": decoder.predict(centres, verbose=0)}
nearest = np.argsort(clusters.transform(codes), axis=0)  # test digits by distance to each centre
for place in range(3):
    rows[f"{('nearest', 'second', 'third')[place]}\ntest digit"] = test[nearest[place]]
lesson.figure(
    figures.image_rows(rows, "The decoder draws the centre of each cluster: a typical digit"),
    "clusters",
    "Ten clusters of codes, found without labels. Below each centre the test digits closest to it.",
)

# %% [markdown]
# Most centres are clean digits, drawn from codes that belong to no image at all. (Some digits fill
# two clusters, others share one. Ten clusters need not be the ten classes.) So the decoder can
# make up images. Can it do so from *any* code? That is the question of lesson 7.
#
# ## Does it hold?
#
# The [experiment](results/autoencoder_mnist/results.md) trains the book's network on MNIST, with
# $32$ numbers for $784$ pixels. Its squared error is about $0.010$ against $0.017$ by PCA, and five
# neighbours name about $94$ % of the digits from the codes, $95$ % from the pixels. It also
# shows a weakness of the ReLU in the code: ten of the numbers are zero for every image and
# carry nothing.
#
# ## Where it breaks
#
# An autoencoder is at home only in its training set. Let us send it images that are no digits: one
# in negative, one lying on its side, three geometric patterns.

# %%
row, column = np.indices(data.image_shape[:2])[..., None] * 8 // data.image_shape[0]
strange = np.stack(
    [1 - test[shown[3]], np.rot90(test[shown[4]]), (row + column) % 2, row == column, row % 3 == 2]
)
rows = {"input": strange, "comes back": model.predict(strange.astype("float32"), verbose=0)}
lesson.figure(
    figures.image_rows(rows, "What is no digit comes back as something like a digit"),
    "strange_images",
    "A negative, a digit on its side, a checkerboard, a diagonal, an equals sign.",
)

# %% [markdown]
# It is the toy world from above once more: what breaks the rules comes back obeying them. For a
# compressor this is a fault, and it gives no warning. For a denoiser it is the whole point, and a
# large reconstruction error is a useful alarm (exercise 3).
#
# Two more limits. Dense layers do not know which pixels are neighbours and accept one size only, so
# large images want convolutions. And a code that is too generous stops being a description: with as
# many numbers as pixels, copying is allowed again.
#
# ## Summary
#
# - Images of a kind are a tiny part of all images. This redundancy is what makes short codes
#   possible.
# - An autoencoder is an encoder, a narrow code and a decoder, trained together with the image as
#   its own target. The bottleneck forces it to find the rules of its training set.
# - With linear halves and squared error the best code is PCA. Hidden layers with activations do
#   better, because the way from code to image may be curved.
# - The encoder alone gives short descriptions in which similar images are neighbours. The decoder
#   alone draws images from codes.
# - What is unlike the training set comes back looking like it.
#
# ## Exercises
#
# 1. Train with codes of two, four and sixteen numbers and plot the squared error of both methods.
#    Where does the autoencoder gain most over PCA?
# 2. Take away the hidden layers and all activations and train with the squared error. Which error
#    do you reach, and why?
# 3. Find the image that does not belong: which threshold on the reconstruction error lets
#    nineteen of twenty validation digits pass? How many digits in negative and how many on their
#    side does it catch?
# 4. Train with `"mae"` instead of the cross-entropy. Which pixels become darker? (Hint: what number
#    has the smallest mean absolute distance to four ones and six zeros?)
# 5. Only two digits of each class have labels. Compare five neighbours, or one, on pixels and on
#    codes. Why could unlabelled images help?
# 6. A small project: how many bits does a number of the code need? Round the codes to 8, 4, 3, 2
#    and 1 bits and plot the error over the bytes of a digit, with JPEG's curve beside it.
#
# ## Further reading
#
# - Hinton and Salakhutdinov 2006, [Reducing the dimensionality of data with neural
#   networks](https://doi.org/10.1126/science.1127647)
# - Baldi and Hornik 1989, [Neural networks and principal component analysis: learning from examples
#   without local minima](https://doi.org/10.1016/0893-6080(89)90014-2)
# - van der Maaten and Hinton 2008, [Visualizing data using
#   t-SNE](https://www.jmlr.org/papers/v9/vandermaaten08a.html)
# - Theis, Shi, Cunningham and Huszár 2017, [Lossy image compression with compressive
#   autoencoders](https://arxiv.org/abs/1703.00395)
