"""A fully connected CRF behind the network: edges that follow those of the image."""

import numpy as np
from keras import ops

from kerasseg.requirements import require

__all__ = ["dense_crf"]


def dense_crf(
    image,
    probabilities,
    *,
    iterations=5,
    appearance_weight=10.0,
    appearance_sigma=80.0,
    colour_sigma=13 / 255,
    smoothness_weight=3.0,
    smoothness_sigma=3.0,
):
    """Class probabilities that agree with the image, by a fully connected CRF.

    Every two pixels pull each other towards the same class: `appearance_weight` pulls harder the
    nearer they are and the more alike their colours are, `smoothness_weight` by nearness alone.
    With `k` for the two Gaussian kernels, `q` starts as the network's probabilities `p` and becomes

        q[i, c] ~ p[i, c] * exp(sum over kernels and pixels j of weight * k[i, j] * q[j, c])

    `iterations` times, all pixels at once: mean field, with the Potts model. As in the authors'
    code, each kernel is divided by the square roots of its sums at both pixels, so that a weight
    means the same at any sigma, and a pixel counts among its own neighbours (in the paper it does
    not).

    The smoothness kernel is exact except for pixels beyond four sigmas. The appearance kernel is
    summed on a `PermutohedralLattice`, in time linear in the number of pixels. Compared with the
    sum over all pairs, on a photograph of 60x80 pixels and 12 classes, 0.5 to 1.6 % of the pixels
    get another class, where the CRF itself changes 8 to 21 %; at single pixels the error can be
    large. Needs SciPy.

    The defaults are those of the authors' code: smoothness weight 3 and sigma 3, appearance weight
    10, sigma 80 and colour sigma 13 of 255 levels, here 13 / 255. The book takes smoothness weight
    10 and sigma 20, appearance weight 10, sigma 80 and colour sigma 5. Source: Krähenbühl and
    Koltun, NeurIPS 2011; book, chapter 6, CRF (notebook 6.6).

    Args:
        image: (height, width, channels), float in [0, 1], or uint8.
        probabilities: (height, width, classes), as `predict_image(output="probabilities")` gives.
        iterations: Steps of mean field; 0 returns the probabilities.
        appearance_weight, smoothness_weight: Non-negative; 0 leaves a kernel out.
        appearance_sigma, smoothness_sigma: Standard deviations of the positions, in pixels.
        colour_sigma: Standard deviation of the colours, which are in [0, 1].

    Returns:
        float32 probabilities (height, width, classes).

    Raises:
        ValueError: if the shapes do not fit, the numbers are not probabilities, a weight is
            negative or a sigma is not positive.
        ModuleNotFoundError: if SciPy is not installed.

    Example: the network is sure of both ends, and the colours say where the border is.

    >>> image = np.repeat([0.0, 0.0, 0.0, 1.0], 3).reshape(1, 4, 3)
    >>> ends = np.array([[[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]])
    >>> dense_crf(image, ends).argmax(-1).tolist()
    [[0, 0, 0, 1]]
    """
    image, probabilities = check_pair(image, probabilities)
    weights = {"appearance_weight": appearance_weight, "smoothness_weight": smoothness_weight}
    sigmas = {"appearance_sigma": appearance_sigma, "smoothness_sigma": smoothness_sigma}
    for name, number in {**weights, **sigmas, "colour_sigma": colour_sigma}.items():
        if not (number >= 0 if name in weights else number > 0):
            kind = "not be negative" if name in weights else "be positive"
            raise ValueError(f"`{name}` must {kind}. Received: {name}={number}")
    ndimage = require("scipy.ndimage")
    height, width, _ = shape = probabilities.shape

    def nearness(maps):
        sigmas = (smoothness_sigma, smoothness_sigma, 0)
        return ndimage.gaussian_filter(maps, sigmas, mode="constant")

    kernels = []
    if smoothness_weight:
        kernels.append((smoothness_weight, normalized(nearness, shape)))
    if appearance_weight:
        places = np.moveaxis(np.indices((height, width)), 0, -1) / appearance_sigma
        features = np.concatenate([places, image / colour_sigma], -1)
        lattice = PermutohedralLattice(features.reshape(height * width, -1))

        def appearance(maps):
            return lattice.sums(maps.reshape(height * width, -1)).reshape(maps.shape)

        kernels.append((appearance_weight, normalized(appearance, shape)))

    scores = np.log(np.maximum(probabilities, 1e-10))
    for _ in range(iterations):
        pull = sum(weight * kernel(probabilities) for weight, kernel in kernels)
        probabilities = ops.convert_to_numpy(ops.softmax(scores + pull))
    return probabilities.astype("float32")


def normalized(kernel, shape):
    """The kernel, a linear function of maps, divided by the roots of its sums at both pixels."""
    scale = 1 / np.sqrt(kernel(np.ones((*shape[:2], 1), "float32")))
    return lambda maps: scale * kernel(scale * maps)


class PermutohedralLattice:
    """Sums of values under a Gaussian of the distance between features, in linear time.

    Each value is distributed to the corners of the lattice simplex that contains its feature, the
    corners exchange values with their neighbours along each axis of the lattice, and each point
    reads its sum from the corners it was distributed to. Two things are approximate: only corners
    that received a value exist, so what would pass through the others is lost, and the Gaussian is
    piecewise linear. Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the
    Permutohedral Lattice", Eurographics 2010.

    Args:
        features: (points, dimensions), in standard deviations of the Gaussian.
    """

    def __init__(self, features):
        sparse = require("scipy.sparse")
        corners, shares = simplex(features)
        points, count = shares.shape
        # 62 random bits a coordinate stand for a corner. They are linear in it, so a neighbour's
        # number is a corner's and a step's; two of a million corners share one by 1 in 10 million.
        radix = np.random.default_rng(0).integers(2**62, size=count - 1)
        numbers, index = np.unique(corners @ radix, return_inverse=True)
        starts = np.arange(points + 1) * count
        self.hand_out = sparse.csr_array(
            (shares.ravel(), index.ravel(), starts), shape=(points, len(numbers))
        )
        self.gather = self.hand_out.T.tocsr()
        steps = radix.sum() - count * np.append(radix, 0)
        self.blurs = [exchange(numbers, step) for step in steps]

    def sums(self, values):
        """(points, channels): for each point, of all values, up to a common factor."""
        at_corners = self.gather @ values
        for blur in self.blurs:
            at_corners = blur @ at_corners
        return self.hand_out @ at_corners


def exchange(numbers, step):
    """Matrix that adds to each corner half of what lies a step before it and a step behind it."""
    sparse = require("scipy.sparse")
    matrix = sparse.eye_array(len(numbers), dtype="float32", format="csr")
    place = np.minimum(np.searchsorted(numbers, numbers + step), len(numbers) - 1)
    here = np.flatnonzero(numbers[place] == numbers + step)
    halves = np.full(len(here), 0.5, "float32")
    next_to = sparse.csr_array((halves, (here, place[here])), shape=matrix.shape)
    return matrix + next_to + next_to.T.tocsr()


def simplex(features):
    """Corners of the lattice around each feature, and each corner's share of it.

    Returns:
        Integer coordinates (points, dimensions + 1, dimensions); of the last coordinate, which the
        others imply, there is none. float32 shares (points, dimensions + 1), of sum 1.
    """
    dimensions = features.shape[1]
    count = dimensions + 1
    # A basis of the plane of coordinates with sum 0; a step of the lattice along it is as long as
    # makes the variance of sharing and exchanging that of the Gaussian.
    i = np.arange(1, count)
    basis = np.triu(np.ones((count, dimensions)))
    basis[i, i - 1] = -i
    basis *= count * np.sqrt(2 / 3) / np.sqrt(i * (i + 1))
    place = features @ basis.T / count

    # The nearest point whose coordinates are whole: where their sum is not 0, those that were
    # rounded most are rounded the other way.
    origin = np.rint(place).astype(int)
    rank = np.argsort(np.argsort(origin - place, axis=1), axis=1)  # 0: rounded down most
    rank += origin.sum(1, keepdims=True)
    turn = (rank < 0).astype(int) - (rank > dimensions)
    origin += turn
    rank += count * turn

    falling = np.empty_like(place)
    np.put_along_axis(falling, rank, place - origin, axis=1)
    shares = np.empty_like(place)
    shares[:, 0] = 1 + falling[:, -1] - falling[:, 0]
    shares[:, 1:] = (falling[:, :-1] - falling[:, 1:])[:, ::-1]

    corner = np.arange(count)[:, None]
    wraps = rank[:, None, :-1] > dimensions - corner
    corners = count * (origin[:, None, :-1] - wraps) + corner
    return corners, shares.astype("float32")


def check_pair(image, probabilities):
    """An image in [0, 1] and the probabilities of its pixels, both float32."""
    image, probabilities = np.asarray(image), np.asarray(probabilities)
    if image.ndim != 3 or probabilities.ndim != 3 or image.shape[:2] != probabilities.shape[:2]:
        raise ValueError(
            "`image` and `probabilities` must both be (height, width, channels). "
            f"Received: image.shape={image.shape}, probabilities.shape={probabilities.shape}. "
            "Call once for each image of a batch."
        )
    image = image.astype("float32") / (255 if image.dtype == np.uint8 else 1)
    probabilities = probabilities.astype("float32")
    sums = probabilities.sum(-1)
    if not (np.all(probabilities >= 0) and np.allclose(sums, 1, atol=1e-2)):
        raise ValueError(
            "`probabilities` must be non-negative and sum to 1 in every pixel. Received: sums "
            f"from {sums.min():g} to {sums.max():g}. Logits become probabilities by softmax; one "
            "sigmoid channel p becomes two classes by np.concatenate([1 - p, p], axis=-1)."
        )
    return image, probabilities
