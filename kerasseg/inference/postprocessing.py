"""What comes after the network: edges that follow the picture, and things told apart."""

import numpy as np
from scipy import ndimage, sparse
from skimage.segmentation import watershed

from kerasseg.inference.prediction import softmax

__all__ = ["dense_crf", "watershed_instances"]


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
    """Class probabilities that agree with the picture, by a fully connected CRF.

    Every two pixels pull each other towards one class: by `appearance_weight` the more, the nearer
    they lie and the more alike their colours are, and by `smoothness_weight` for nearness alone.
    With `k` for the two Gaussian kernels, `q` starts as the network's probabilities `p` and becomes

        q[i, c] ~ p[i, c] * exp(sum over kernels and pixels j of weight * k[i, j] * q[j, c])

    `iterations` times, all pixels at once: mean field, with the Potts model. As in the authors'
    code, each kernel is divided by the roots of its sums over both pixels, so that a weight means
    the same at any sigma, and a pixel counts among its own neighbours (in the paper it does not).

    The kernel of nearness is exact but for pixels beyond four sigmas. That of appearance is summed
    on a `PermutohedralLattice`, in time linear in the pixels. Beside the sum over all pairs, on a
    photograph of 60x80 pixels and 12 classes, the class was another on 0.5 to 1.6 % of the pixels,
    where the CRF itself changed 8 to 21 %; at single pixels the error can be large. 360x480 pixels
    take one to two seconds. Krähenbühl and Koltun, NeurIPS 2011; book, chapter 6, CRF (notebook
    6.6), with the same weights and sigmas but for the colours, which are in [0, 1] here.

    Args:
        image: (height, width, channels), float in [0, 1], or uint8.
        probabilities: (height, width, classes), as `predict_image(output="probabilities")` gives.
        iterations: Of mean field; 0 returns the probabilities.
        appearance_weight, smoothness_weight: Non-negative; 0 leaves a kernel out.
        appearance_sigma, smoothness_sigma: Standard deviations of nearness, in pixels.
        colour_sigma: Standard deviation of likeness, of colours in [0, 1].

    Returns:
        float32 probabilities (height, width, classes).

    Raises:
        ValueError: shapes that do not fit; numbers that are no probabilities; a weight below zero
            or a sigma that is not above it.

    Example: the network is sure of two ends, and the colours say where the border is.

    >>> image = np.repeat([0.0, 0.0, 0.0, 1.0], 3).reshape(1, 4, 3)
    >>> ends = np.array([[[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]])
    >>> dense_crf(image, ends).argmax(-1).tolist()
    [[0, 0, 0, 1]]
    """
    image, probabilities = check_pair(image, probabilities)
    check_numbers(
        {"appearance_weight": appearance_weight, "smoothness_weight": smoothness_weight},
        {
            "appearance_sigma": appearance_sigma,
            "colour_sigma": colour_sigma,
            "smoothness_sigma": smoothness_sigma,
        },
    )
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
        probabilities = softmax(scores + pull)
    return probabilities.astype("float32")


def normalized(kernel, shape):
    """The kernel, a linear function of maps, divided by the roots of its sums at both pixels."""
    scale = 1 / np.sqrt(kernel(np.ones((*shape[:2], 1), "float32")))
    return lambda maps: scale * kernel(scale * maps)


class PermutohedralLattice:
    """Sums of values under a Gaussian of the distance between features, in linear time.

    Each value is handed to the corners of the simplex of the lattice that its feature lies in, the
    corners exchange with their neighbours, half a share each way along each axis of the lattice,
    and each value is read off where it came from. Only corners that were handed something exist;
    what passes through the others is lost, and the Gaussian is a polygon: these are the two
    approximations. Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral
    Lattice", Eurographics 2010.

    Args:
        features: (points, dimensions), in standard deviations of the Gaussian.
    """

    def __init__(self, features):
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


def watershed_instances(mask, min_distance=3):
    """Numbers the things in a mask; where things touch, they part at the narrowest place.

    The distance of each pixel of the mask from the nearest one outside is a relief. Its peaks, one
    within `min_distance` pixels, are the things; every other pixel climbs to one of them, by
    scikit-image's watershed. (SciPy's, `watershed_ift`, follows the steps between pixels and not
    their heights.) Connected components, by contrast, make one thing of two that touch. Book,
    chapter 6, instance segmentation (notebook 6.6), whose network learns the relief.

    Args:
        mask: (height, width), true where there is a thing: `prediction == car`.
        min_distance: Pixels between the middles of two things, at least 1. The smaller, the more
            things; long or ragged ones break into several.

    Returns:
        int32 (height, width): 1, 2, … for the things, 0 outside the mask.

    Raises:
        ValueError: a mask that is no map, a distance below 1.

    Example: two squares, and one pixel that joins them.

    >>> mask = np.zeros((5, 11), bool)
    >>> mask[1:4, 1:5] = mask[1:4, 6:10] = mask[2, 5] = True
    >>> watershed_instances(mask)[2].tolist()
    [0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0]
    """
    mask = np.asarray(mask) != 0
    if mask.ndim != 2:
        raise ValueError(
            f"`mask` must be a map (height, width). Received: mask.shape={mask.shape}. "
            "Logits become a mask by `argmax` and a comparison with a class."
        )
    if not min_distance >= 1:
        raise ValueError(
            f"`min_distance` must be at least 1 pixel. Received: min_distance={min_distance}"
        )
    relief = ndimage.distance_transform_edt(mask)
    reach = int(min_distance)
    peaks = mask & (relief == ndimage.maximum_filter(relief, 2 * reach + 1))
    # Equal heights within the distance are one peak.
    groups, _ = ndimage.label(ndimage.maximum_filter(peaks, reach), np.ones((3, 3)))
    ids = watershed(-relief, np.where(peaks, groups, 0), mask=mask)
    # A thing beside a larger one may be without a peak.
    rest, _ = ndimage.label(mask & (ids == 0))
    return np.where(rest, rest + ids.max(initial=0), ids).astype("int32")


def check_pair(image, probabilities):
    """A picture in [0, 1] and the probabilities of its pixels, both float32."""
    image, probabilities = np.asarray(image), np.asarray(probabilities)
    if image.ndim != 3 or probabilities.ndim != 3 or image.shape[:2] != probabilities.shape[:2]:
        raise ValueError(
            "One picture needs the probabilities of its pixels, both (height, width, channels). "
            f"Received: image.shape={image.shape}, probabilities.shape={probabilities.shape}. "
            "Call once for each picture of a batch."
        )
    image = image.astype("float32") / (255 if image.dtype == np.uint8 else 1)
    probabilities = probabilities.astype("float32")
    sums = probabilities.sum(-1)
    if not (np.all(probabilities >= 0) and np.allclose(sums, 1, atol=1e-2)):
        raise ValueError(
            "`probabilities` must be non-negative and sum to 1 in every pixel. Received: sums "
            f"from {sums.min():g} to {sums.max():g}. Logits become probabilities by softmax."
        )
    return image, probabilities


def check_numbers(weights, sigmas):
    for name, weight in weights.items():
        if not weight >= 0:
            raise ValueError(f"`{name}` must not be negative. Received: {name}={weight}")
    for name, sigma in sigmas.items():
        if not sigma > 0:
            raise ValueError(f"`{name}` must be positive. Received: {name}={sigma}")
