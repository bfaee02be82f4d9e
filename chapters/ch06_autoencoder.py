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
# We load the digits as arrays (one batch holds a whole set). The upper row below shows one test
# digit of each class. In the lower row every pixel is copied from the same place of a training
# image, but from a different, randomly chosen image for each pixel.

# %%
most = 1000 if lesson.settings.quick else 60_000  # images
data = datasets.load(
    lesson.settings.dataset, target="label", batch_size=most, data_dir=lesson.settings.data_dir
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
    "Every pixel of the lower row has a value that occurs at its place. It has no strokes, though.",
)

# %% [markdown]
# The lower row shows no digits, although each pixel alone is plausible. Digits are a tiny corner of
# the space of all images, because their pixels depend on each other. Ink comes in strokes of a
# certain width, and strokes come in a few arrangements. Where there is dependence, there is
# redundancy, and redundancy can be left out, as long as the part that restores the image knows the
# rules.
#
# An autoencoder forces a network to find the rules by taking away the room. All that the decoder
# gets to know about an image has to pass through the code, and the code is narrow. This narrow
# place is the **bottleneck**.
#
# ## By hand: four pixels, two numbers
#
# Take a world of images with two rows and two columns in which both rows are always equal. You
# know this rule, so you can write down an encoder and a decoder:


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
# it comes back as an image that obeys the rule. Remember this: an autoencoder not only compresses,
# it also replaces every input by one that follows its rules. Lesson 8 makes a denoiser of that.
#
# ## The same as two layers
#
# Means and copies are sums with weights, so both halves are dense layers without bias. A dense
# layer multiplies a row of pixels with a matrix. Here we fill in the matrices ourselves:

# %%
pixels = irregular.reshape(1, 4).astype("float32")  # one row after the other: 6, 2, 0, 2
to_code, to_image = layers.Dense(2, use_bias=False), layers.Dense(4, use_bias=False)
to_code.build((None, 4))  # creates the weights, which a layer otherwise does when first called
to_image.build((None, 2))
to_code.set_weights([np.array([[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]])])
to_image.set_weights([np.array([[1, 0, 1, 0], [0, 1, 0, 1]])])
decoded = to_image(to_code(pixels))

assert np.allclose(np.reshape(decoded, (2, 2)), decode(encode(irregular)))

# %% [markdown]
# For digits nobody can write down the rules, so we let gradient descent choose the weights. Call
# the encoder $f$, the decoder $g$ and an image $x$. Then $z = f(x)$ is its code and
# $\hat x = g(z)$ its **reconstruction**. Training makes the distance $d$ between an image and its
# reconstruction small, on average over the $N$ images $x_1, \dots, x_N$ of the training set:
#
# $$\min_{f, g} \; \frac{1}{N} \sum_{i=1}^{N} d\big(x_i, \, g(f(x_i))\big)$$
#
# Without the bottleneck this would teach the network nothing, since it could simply copy. With it,
# the two halves have to agree on the best use of a few numbers. The space in which the codes live
# is called the **latent space**. "Latent" means hidden: nobody gives us the codes, the network has
# to find them.
#
# ## The rival: the best linear code
#
# Before we train, we want to know what there is to beat. Suppose that encoder and decoder are a
# single matrix each, as above, and that $d$ is the squared error. Then no training is needed,
# because the best code of $k$ numbers is known. It is called *principal component analysis* (PCA).
# PCA subtracts the mean image, finds the $k$ directions in which the images vary most, and stores
# how far an image lies along each of them.

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
# The mean image is the best guess without any code, and eight numbers save two thirds of its error.
# But PCA's decoder can only add up fixed images, each multiplied by one number of the code. No
# number says "the same stroke, but further to the left". For that, the map from code to pixels has
# to be nonlinear, which takes layers with an activation between them.
#
# ## The network
#
# Here it is, as in the book: dense layers with ReLU narrow down to the code, and the same sizes in
# reversed order widen again. The sigmoid at the end puts every pixel between zero and one.


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
    "The book's network for images of 28x28 pixels. The more numbers, the higher the box.",
)
assert dense_autoencoder().count_params() == models.dense_autoencoder().count_params() == 222_384

# %% [markdown]
# The drawing is an hourglass on its side: $784 \to 128 \to 64 \to 32$ and back. The library has the
# network as `kerasseg.models.dense_autoencoder`. For our small digits we build it with 8x8 inputs
# and a code of eight numbers, one for every eight pixels.
#
# ## Training
#
# One line deserves your attention: `fit(train, train)`. The images are the input *and* the target.
# As distance we take the **binary cross-entropy** of every pixel,
#
# $$d(x, \hat x) = -x \log \hat x - (1 - x) \log (1 - \hat x),$$
#
# with $x$ the true grey level and $\hat x$ the drawn one. Like the squared error it is smallest
# where both agree. The difference is in the gradient. With respect to the input of the sigmoid, the
# gradient of the cross-entropy is simply $\hat x - x$, which is large for a pixel that is
# confidently wrong. The gradient of the squared error almost vanishes there, because the sigmoid is
# flat, and the pixel would stay wrong for long. (For grey pixels the smallest cross-entropy is not
# zero. To compare with PCA, we also watch the squared error.)

# %%
model = dense_autoencoder(data.image_shape, code_size)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["mse"])
epochs = lesson.settings.epochs
held_out = (validation, validation)
history = model.fit(train, train, batch_size=32, epochs=epochs, verbose=0, validation_data=held_out)
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
# PCA leaves grey shadows, also where a digit has no ink: the fixed images that it adds up rarely
# cancel to exact black. The autoencoder puts most strokes in their places and leaves the rest
# black. Its mistakes are of another kind: it draws a digit that is a little too ordinary, with a
# gap closed or a flourish gone.
#
# ## Against JPEG, byte by byte
#
# JPEG is an encoder and a decoder, too. It cuts an image into blocks of 8x8 pixels, which is
# exactly one of our digits, and writes each block as a sum of waves. It rounds their strengths and
# packs the rounded numbers into as few bytes as it can. A *quality* setting says how coarsely it
# rounds.
#
# To be fair to JPEG, we do not make it write a file header for every digit: `sheet` lays all test
# digits out as one image. And the autoencoder has to round each number of its code to a single
# byte.


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
train_codes, codes = encoder.predict(train, verbose=0), encoder.predict(test, verbose=0)
largest = train_codes.max(axis=0) + 1e-6  # of each number, so that it becomes 255
as_bytes = np.uint8(np.clip(255 * codes / largest + 0.5, 0, 255))
from_bytes = decoder.predict(largest * as_bytes / np.float32(255), verbose=0)

# %%
all_digits = sheet(test)
enough = (q for q in range(1, 96) if jpeg(all_digits, q)[0] >= as_bytes.size)
size, by_jpeg = jpeg(all_digits, next(enough))
error = np.mean((by_jpeg - all_digits) ** 2) * all_digits.size / test.size
first_row = slice(len(all_digits) * 10 // len(test))
by_bytes = sheet(from_bytes)[first_row]
panels = {
    "digits": all_digits[first_row],
    f"JPEG, {size / len(test):.1f} bytes each, error {error:.4f}": by_jpeg[first_row],
    f"autoencoder, {code_size} bytes each, error {squared_error(from_bytes):.4f}": by_bytes,
}
panels = {title: image[..., None] for title, image in panels.items()}
lesson.figure(
    figures.panels(panels, columns=1, cell=6 if code_size == 8 else 2),
    "jpeg",
    "The first ten test digits, and the error of all. JPEG has the lowest quality that takes at "
    "least as many bytes as the codes.",
)

# %% [markdown]
# With about the same number of bytes the autoencoder is clearly closer. That is no miracle. JPEG
# was designed for any photograph, while our network knows nothing but digits. And its knowledge
# sits in the weights of the decoder, which we have not counted as part of the file.
#
# ## The encoder alone: similar images, similar codes
#
# Above, `split_autoencoder` cut the trained network in two at the layer named `code`. Both halves
# share its weights. What does the encoder say about digits? Here are the codes of four zeros and of
# four ones:

# %%
for digit in (0, 1):
    print(f"four codes of the digit {digit}:")
    print(np.round(codes[test_labels == digit][:4], 1))

# %% [markdown]
# Each row is a code. Codes of the same digit resemble each other, though no label was used. One
# reason is that both halves are continuous: similar images get similar codes, and similar codes are
# drawn alike. (A column of zeros is a number that the network does not use. Its ReLU gives zero for
# every image, so its gradient is zero, too, and training cannot revive it.)
#
# To see all test digits at once, we use *t-SNE*, which lays the codes out in the plane so that
# neighbours stay neighbours. (The distance between two clusters means little on such a map.) We
# also ask a classifier that uses distances alone: it takes the most frequent label of the five
# nearest training digits.

# %%
mapped = slice(None, 2000)
plane = TSNE(random_state=0).fit_transform(codes[mapped])
features = {
    "pixels": (flat_train, flat_test),
    "PCA's codes": (pca.transform(flat_train), pca.transform(flat_test)),
    "the autoencoder's codes": (train_codes, codes),
}
for name, (known, asked) in features.items():
    neighbours = KNeighborsClassifier(5).fit(known, train_labels)
    print(f"five neighbours by {name}: {neighbours.score(asked, test_labels):.1%} right")
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
# From eight numbers the five neighbours still name about nine of ten digits. So the code has kept
# most of what makes a digit this digit, and has lost some: the pixels give a better score. So do
# PCA's codes, because the distance between two of them is nearly the distance between the images.
# The autoencoder was trained to draw, not to keep distances, and drawing is where it wins.
#
# ## The decoder alone: drawing what nobody has encoded
#
# Clusters can be found without labels. *k-means* looks for ten centres such that every code is
# close to one of them. A centre is a list of numbers like any other code, and so the decoder can
# draw it. What do you expect to see?

# %%
clusters = KMeans(10, n_init=10, random_state=0).fit(train_codes)
centres = clusters.cluster_centers_
rows = {"centre,\ndecoded": decoder.predict(centres, verbose=0)}
nearest = np.argsort(clusters.transform(codes), axis=0)  # test digits by distance to each centre
for place in range(3):
    rows[f"{('nearest', 'second', 'third')[place]}\ntest digit"] = test[nearest[place]]
lesson.figure(
    figures.image_rows(rows, "Most cluster centres decode to a typical digit"),
    "clusters",
    "Ten clusters of codes, found without labels. Below each centre the test digits closest to it.",
)

# %% [markdown]
# Most centres look like digits, although they are codes that belong to no image at all. (Some
# digits fill two clusters, others share one. Ten clusters need not be the ten classes.) So the
# decoder can make up images. Can it do so from *any* code? That is the question of lesson 7.
#
# ## Does it hold?
#
# The [experiment](results/autoencoder_mnist/results.md) trains the book's network on MNIST, with
# $32$ numbers for $784$ pixels. Its squared error is about $0.010$ against $0.017$ by PCA. Five
# neighbours name about $94$ % of the digits from its codes, $95$ % from the pixels and $96$ % from
# PCA's codes. It also shows a weakness of the ReLU in the code: ten of the numbers are zero for
# every image and carry nothing.
#
# ## Where it breaks
#
# An autoencoder is at home only in its training set. Let us send it images that are no digits: one
# in negative, one lying on its side, three geometric patterns.

# %%
row, column = np.indices(data.image_shape[:2])[..., None] * 8 // data.image_shape[0]  # 0 to 7
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
# It is the example with two rows again: what breaks the rules comes back obeying them, more or
# less. For a compressor this is a fault, and nothing in the output warns you. For a denoiser it is
# the whole point. And if you have the input, a large reconstruction error is a useful alarm
# (exercise 3).
#
# Two more limits. Dense layers do not know which pixels are neighbours and accept one size only, so
# large images need convolutions. And a code that is too long stops being a description: with as
# many numbers as pixels, copying is possible again.
#
# ## Summary
#
# - Images of a kind are a tiny part of all images. This redundancy is what makes short codes
#   possible.
# - An autoencoder is an encoder, a narrow code and a decoder, trained together with the image as
#   its own target. The bottleneck forces it to find the rules of its training set.
# - With linear halves and squared error the best code is PCA. Hidden layers with activations can
#   draw better, because they make the map from code to image nonlinear.
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
