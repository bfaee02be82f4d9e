"""Images are resized in prediction as they were in training."""

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


@pytest.mark.parametrize("weights", [resizing.area_weights, resizing.triangle_weights])
@pytest.mark.parametrize("sizes", [(60, 7), (7, 7), (61, 60), (9, 1), (1, 1)])
def test_few_weights_give_the_sums_of_all(weights, sizes, rng):
    shares, rows = weights(*sizes), rng.random((sizes[0], 5, 3)).astype("float32")
    expected = np.tensordot(shares, rows, 1)
    np.testing.assert_allclose(resizing.weighted(shares, rows), expected, atol=1e-6)
