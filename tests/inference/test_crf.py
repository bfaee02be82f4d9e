"""The dense CRF against the sum over all pairs of pixels."""

import numpy as np
import pytest
from scipy import ndimage

from kerasseg.inference.crf import PermutohedralLattice, dense_crf


def all_pairs_crf(image, probabilities, weights, sigmas, iterations):
    """Mean field with every pair of pixels in a matrix: each kernel's weight and sigma."""
    height, width, classes = probabilities.shape
    places = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype("float64")
    colours = image.reshape(len(places), -1).astype("float64")
    matrix = np.zeros((len(places),) * 2)
    for kernel, weight in weights.items():
        features = places / sigmas[kernel]
        if kernel == "appearance":
            features = np.concatenate([features, colours / sigmas["colour"]], 1)
        squares = ((features[:, None] - features[None]) ** 2).sum(-1)
        pairs = np.exp(-squares / 2)
        total = pairs.sum(1)
        matrix += weight * pairs / np.sqrt(total[:, None] * total[None])
    unary = np.log(probabilities.reshape(-1, classes).astype("float64"))
    q = np.exp(unary)
    for _ in range(iterations):
        q = np.exp(unary + matrix @ q)
        q /= q.sum(1, keepdims=True)
    return q.reshape(probabilities.shape)


def two_surfaces(rng, height=36, width=43):
    """A shaded, noisy picture of a disc on a ground, and unsure probabilities of three classes."""
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - 17) ** 2 + (columns - 22) ** 2 < 100
    image = np.where(disc[..., None], (0.2, 0.3, 0.6), (0.6, 0.5, 0.4))
    image = image * (0.7 + 0.6 * columns[..., None] / width)
    image = np.clip(image + 0.1 * rng.standard_normal(image.shape), 0, 1).astype("float32")
    noise = ndimage.gaussian_filter(rng.normal(0, 9, (height, width, 3)), (2, 2, 0))
    logits = noise + 2 * np.eye(3)[np.roll(disc, 3, 1).astype(int)]
    exponentials = np.exp(logits)
    return disc, image, (exponentials / exponentials.sum(-1, keepdims=True)).astype("float32")


def test_smoothness_equals_the_sum_over_all_pairs(rng):
    _, image, probabilities = two_surfaces(rng)
    expected = all_pairs_crf(image, probabilities, {"smoothness": 4.0}, {"smoothness": 2.5}, 5)
    found = dense_crf(
        image,
        probabilities,
        appearance_weight=0,
        smoothness_weight=4,
        smoothness_sigma=2.5,
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert found.dtype == np.float32


@pytest.mark.parametrize("sigma", [6.0, 80.0])
@pytest.mark.parametrize("colour", [0.05, 0.2])
def test_appearance_is_near_the_sum_over_all_pairs(rng, sigma, colour):
    _, image, probabilities = two_surfaces(rng)
    sigmas = {"appearance": sigma, "colour": colour, "smoothness": 2}
    weights = {"appearance": 6.0, "smoothness": 2.0}
    expected = all_pairs_crf(image, probabilities, weights, sigmas, 5)
    found = dense_crf(
        image,
        probabilities,
        appearance_weight=6,
        appearance_sigma=sigma,
        colour_sigma=colour,
        smoothness_weight=2,
        smoothness_sigma=2,
    )
    before, exact, classes = (q.argmax(-1) for q in (probabilities, expected, found))
    assert (exact != before).mean() > 0.05  # there was something to do
    assert (classes == exact).mean() > 0.95
    error = np.abs(found - expected).sum(-1).mean() / 2
    assert error < 0.05
    for other in ({"appearance": 480 / sigma}, {"colour": 0.01 / colour}):  # the other sigma
        changed = all_pairs_crf(image, probabilities, weights, {**sigmas, **other}, 5)
        assert np.abs(found - changed).sum(-1).mean() / 2 > 1.5 * error, other
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_the_lattice_sums_under_a_gaussian(rng, dimensions):
    points = rng.normal(0, 2 if dimensions < 3 else 0.8, (900, dimensions))
    values = rng.uniform(size=(900, 2)).astype("float32")
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    exact = np.exp(-squares / 2) @ values
    found = PermutohedralLattice(points).sums(values)
    found *= exact.mean() / found.mean()  # the common factor
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.99
    assert np.abs(found - exact).mean() < 0.08 * exact.mean()


def test_a_border_moves_to_where_the_colours_change():
    image = np.where(np.arange(20) < 8, 0.2, 0.8)[None, :, None] * np.ones((12, 1, 3))
    wrong = np.where(np.arange(20) < 11, 0.7, 0.3)[None, :] * np.ones((12, 1))
    refined = dense_crf(image, np.stack([wrong, 1 - wrong], -1), appearance_sigma=20)
    np.testing.assert_array_equal(refined.argmax(-1), image[..., 0] > 0.5)


def test_what_is_left_out_changes_nothing_and_uint8_is_a_picture(rng):
    _, image, probabilities = two_surfaces(rng)
    np.testing.assert_array_equal(dense_crf(image, probabilities, iterations=0), probabilities)
    neither = dense_crf(image, probabilities, appearance_weight=0, smoothness_weight=0)
    np.testing.assert_allclose(neither, probabilities, atol=1e-6)
    levels = np.rint(255 * image).astype("uint8")
    expected = dense_crf(levels / 255, probabilities)
    np.testing.assert_allclose(dense_crf(levels, probabilities), expected, atol=1e-3)
    assert dense_crf(image[..., :1], probabilities).shape == probabilities.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": np.zeros((4, 5, 3))}, r"Received: image.shape=\(4, 5, 3\), prob.*\(4, 6, 2\)"),
        ({"probabilities": np.zeros((4, 6, 2))}, "sums from 0 to 0. Logits become"),
        ({"appearance_weight": -1}, "must not be negative. Received: appearance_weight=-1"),
        ({"colour_sigma": 0}, "must be positive. Received: colour_sigma=0"),
    ],
)
def test_wrong_arguments_of_the_crf_are_refused(arguments, message):
    right = {"image": np.zeros((4, 6, 3)), "probabilities": np.full((4, 6, 2), 0.5)}
    with pytest.raises(ValueError, match=message):
        dense_crf(**{**right, **arguments})


def test_the_defaults_are_those_of_the_authors_code(rng):
    _, image, probabilities = two_surfaces(rng, 12, 14)
    authors = {"iterations": 5, "appearance_weight": 10, "appearance_sigma": 80}
    authors |= {"colour_sigma": 13 / 255, "smoothness_weight": 3, "smoothness_sigma": 3}
    expected = dense_crf(image, probabilities, **authors)
    np.testing.assert_array_equal(dense_crf(image, probabilities), expected)


def test_the_remedy_for_one_sigmoid_channel_works(rng):
    _, image, probabilities = two_surfaces(rng, 12, 14)
    p = probabilities[..., :1]
    with pytest.raises(ValueError, match=r"np.concatenate\(\[1 - p, p\], axis=-1\)"):
        dense_crf(image, p)
    assert dense_crf(image, np.concatenate([1 - p, p], axis=-1)).shape == (12, 14, 2)
