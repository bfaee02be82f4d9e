"""Images are resized in prediction as they were in training."""

from itertools import pairwise

import numpy as np
import pytest

from kerasseg.inference import resizing
from kerasseg.inference.resizing import resize_image

SIZES = [(7, 11), (14, 22), (5, 3), (1, 1), (9, 30), (20, 6), (7, 5), (8, 11), (15, 11)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_numbers_are_those_of_the_data_pipeline(size, dtype, rng):
    tf = pytest.importorskip("tensorflow")
    from kerasseg.datasets.dataset import resize

    image = (255 * rng.random((15, 11, 3))).astype(dtype)
    expected = resize(tf.constant(image), size).numpy()
    found = resize_image(image, size)
    assert found.dtype == dtype
    differences = abs(found.astype("float32") - expected)
    if dtype == "uint8":  # both round halves, which are not exact
        assert differences.max() <= 1
        assert np.count_nonzero(differences) <= 0.01 * differences.size
    else:
        assert differences.max() < 5e-4  # of 255


def test_a_pixel_of_a_smaller_image_is_the_mean_of_what_it_covers(rng):
    image = rng.random((6, 12, 2)).astype("float32")
    means = image.reshape(3, 2, 4, 3, 2).mean((1, 3))
    np.testing.assert_allclose(resize_image(image, (3, 4)), means, rtol=1e-5)


def test_white_stays_white_and_no_value_leaves_the_range():
    white = np.full((5, 7, 3), 255, "uint8")
    for size in SIZES:
        assert (resize_image(white, size) == 255).all()


def area(old, new):
    """(new, old): the share of each old pixel in the length that a new one covers, one by one."""
    edges = [i * old / new for i in range(new + 1)]
    return np.array(
        [
            [max(0, min(b, pixel + 1) - max(a, pixel)) * new / old for pixel in range(old)]
            for a, b in pairwise(edges)
        ]
    )


def triangle(old, new):
    """The same of linear interpolation, over a wider range where the image shrinks."""
    reach = max(old / new, 1)
    centres = [(i + 0.5) * old / new for i in range(new)]
    weights = np.array(
        [[max(0, 1 - abs(p + 0.5 - centre) / reach) for p in range(old)] for centre in centres]
    )
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("kind", ["area", "triangle"])
@pytest.mark.parametrize("sizes", [(60, 7), (7, 7), (61, 60), (9, 1), (1, 1), (7, 60), (3, 1000)])
def test_few_weights_give_the_sums_of_all(kind, sizes, rng):
    if kind == "area" and sizes[1] > sizes[0]:
        return  # for images that shrink
    all_of_them = {"area": area, "triangle": triangle}[kind](*sizes)
    few = getattr(resizing, f"{kind}_weights")(*sizes)
    rows = rng.random((sizes[0], 5, 3)).astype("float32")
    expected = np.tensordot(all_of_them, rows, 1)
    np.testing.assert_allclose(resizing.weighted(*few, rows), expected, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_rows_made_alone_are_those_of_the_whole(size, rng, monkeypatch):
    image = rng.integers(0, 256, (11, 13, 3), "uint8")
    whole = resize_image(image, size)
    monkeypatch.setattr(resizing, "BAND", 1)  # a row at a time
    np.testing.assert_array_equal(resize_image(image, size), whole)
