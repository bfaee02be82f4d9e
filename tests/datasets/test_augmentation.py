"""Image and label map move together, and labels stay labels."""

import numpy as np
import pytest
import tensorflow as tf

from kerasseg.datasets import augmentation
from kerasseg.datasets.augmentation import augment, move, random_matrix


@pytest.fixture
def no_colours(monkeypatch):
    monkeypatch.setattr(augmentation, "recolour", lambda image, seeds, strength: image)


def pair(height=40, width=56):
    """An image that is its own label: wide stripes of four ids, grey 0.2 times the id."""
    rows, columns = np.mgrid[:height, :width]
    label = ((rows // 10) + 2 * (columns // 14)) % 4
    return (0.2 * label[..., None]).astype("float32"), label.astype("int32")


@pytest.mark.parametrize("seed", range(12))
def test_image_and_label_stay_aligned_to_the_pixel(seed, no_colours):
    image, label = (tf.constant(x) for x in pair())
    image, label = (x.numpy() for x in augment(image, label, (seed, 7)))
    inside = label != 255
    # Away from edges between ids the image still names the label exactly; at edges it is a blend.
    flat = inside.copy()
    for axis in (0, 1):
        for shift in (-1, 1):
            flat &= np.roll(label, shift, axis) == label
    assert flat.mean() > 0.2
    np.testing.assert_allclose(image[..., 0][flat], 0.2 * label[flat], atol=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_no_id_appears_that_was_not_there(seed):
    image, label = (tf.constant(x) for x in pair())
    assert set(np.unique(augment(image, label, (seed, 0))[1])) <= {0, 1, 2, 3, 255}


def test_uncovered_label_pixels_are_void_where_the_picture_shrinks():
    image, label = (tf.constant(x) for x in pair())
    shrunk = [augment(image, label, (seed, 0))[1].numpy() for seed in range(20)]
    assert any((label == 255).mean() > 0.1 for label in shrunk)
    assert any((label == 255).mean() < 0.02 for label in shrunk)


def test_equal_seeds_give_equal_variants_and_others_do_not():
    image, label = (tf.constant(x) for x in pair())
    first, again, other = (augment(image, label, (seed, 5))[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_colours_change_in_the_image_alone_and_stay_in_range():
    image = np.random.default_rng(0).uniform(size=(6, 5, 3)).astype("float32")
    changed = augmentation.recolour(tf.constant(image), [(1, 2), (3, 4), (5, 6)], 1.0).numpy()
    assert np.abs(changed - image).max() > 0.02
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_mirroring_flips_left_and_right_exactly():
    label = np.random.default_rng(0).integers(0, 9, (5, 8, 1)).astype("int32")
    flip = tf.constant([-1.0, 0, 7, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(
        move(tf.constant(label), flip, "NEAREST", "CONSTANT", 255), label[:, ::-1]
    )


def test_half_of_the_variants_are_mirrored():
    first = [random_matrix((20, 30), (seed, 0), 1.0)[0].numpy() for seed in range(200)]
    assert 70 < sum(value < 0 for value in first) < 130


def test_at_strength_zero_only_the_mirror_is_left():
    image, label = (tf.constant(x) for x in pair())
    for seed in range(6):
        moved = augment(image, label, (seed, 0), strength=0.0)[1].numpy()
        assert any(np.array_equal(moved, x) for x in (label, label[:, ::-1]))
