"""Image and label map move together, and labels stay labels."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasseg.datasets import augmentation
from kerasseg.datasets.augmentation import (
    augment,
    compiled_vary,
    cut,
    move,
    random_matrix,
    vary,
)

HEIGHT, WIDTH = 40, 56
NO_COLOURS = tf.zeros(4)
seeds = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
strengths = st.floats(0, 1)


def places(height=HEIGHT, width=WIDTH):
    """An image that holds row and column of every pixel, and the label map of row * width + column:
    the image tells, to a fraction of a pixel, where a label should come from."""
    rows, columns = np.mgrid[:height, :width].astype("float32")
    image = np.stack([rows, columns, 0 * rows], -1)
    return tf.constant(image), tf.constant((rows * width + columns).astype("int32"))


def dots(height=HEIGHT, width=WIDTH, seed=0):
    """A label 0 or 1 at random for every pixel, and its image, dark or bright."""
    label = np.random.default_rng(seed).integers(0, 2, (height, width)).astype("int32")
    image = np.repeat(0.15 + 0.7 * label[..., None], 3, -1).astype("float32")
    return tf.constant(image), tf.constant(label)


@settings(deadline=None, max_examples=40)
@given(seed=seeds, strength=strengths)
def test_every_label_comes_from_the_pixel_nearest_to_its_image_pixel(seed, strength):
    image, label = places()
    matrix = random_matrix((HEIGHT, WIDTH), seed, strength)
    image, label = (x.numpy() for x in move(image, label, matrix, -1))
    inside = label != -1
    assert inside.mean() > 0.3
    for channel, place in enumerate((label // WIDTH, label % WIDTH)):
        assert np.abs(image[..., channel] - place)[inside].max() < 0.5 + 1e-3


def agreement(image, label):
    """Share of the labelled pixels whose brightness names their label."""
    known = label != 255
    return np.mean((image.mean(-1) > 0.5)[known] == label[known])


@settings(deadline=None, max_examples=40)
@given(seed=seeds, strength=strengths)
def test_after_all_of_the_augmentation_a_shift_by_one_pixel_would_show(seed, strength):
    image, label = (x.numpy() for x in augment(*dots(), seed, strength=strength))
    aligned = agreement(image, label)
    assert aligned > 0.7  # chance is 0.5; strong contrast takes some dots across the middle
    for axis in (0, 1):
        for shift in (-1, 1):
            assert agreement(image, np.roll(label, shift, axis)) < aligned - 0.1


@settings(deadline=None, max_examples=25)
@given(
    seed=seeds,
    ids=st.sets(st.integers(0, 254), min_size=1, max_size=5),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    dtype=st.sampled_from(["uint8", "int32", "int64"]),
)
def test_no_id_appears_that_was_not_there(seed, ids, size, dtype):
    label = np.random.default_rng(0).choice(sorted(ids), size).astype(dtype)
    matrix = random_matrix(size, seed, 1.0)
    _, moved = move(tf.zeros((*size, 3)), tf.constant(label), matrix, 255)
    assert moved.dtype == dtype
    assert set(np.unique(moved)) <= {*np.unique(label), 255}


@pytest.mark.parametrize("seed", range(8))
def test_moving_agrees_with_tensorflows_own_operation(seed):
    rng = np.random.default_rng(seed)
    image = tf.constant(rng.random((HEIGHT, WIDTH, 3), "float32"))
    label = tf.constant(rng.integers(0, 9, (HEIGHT, WIDTH)).astype("int32"))
    matrix = random_matrix((HEIGHT, WIDTH), (seed, 1), 1.0)

    def theirs(x, interpolation, matrix):
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=x[None],
            transforms=tf.concat([matrix, [0, 0]], 0)[None],
            output_shape=(HEIGHT, WIDTH),
            interpolation=interpolation,
            fill_mode="CONSTANT",
            fill_value=255.0,
        )[0]

    moved_image, moved_label = move(image, label, matrix, 255)
    mirrored = np.pad(image, ((HEIGHT, HEIGHT), (WIDTH, WIDTH), (0, 0)), "reflect")
    in_mirrored = matrix + tf.constant([0, 0, WIDTH, 0, 0, HEIGHT], tf.float32)
    np.testing.assert_allclose(moved_image, theirs(mirrored, "BILINEAR", in_mirrored), atol=1e-4)
    same = moved_label == theirs(label[..., None], "NEAREST", matrix)[..., 0]
    assert np.mean(same) > 0.999  # but for places half way between two pixels


@pytest.mark.parametrize("channels", [1, 3])
def test_compiled_and_plain_variants_are_equal(channels):
    rng = np.random.default_rng(0)
    image = tf.constant(rng.random((HEIGHT, WIDTH, channels), "float32"))
    label = tf.constant(rng.integers(0, 9, (HEIGHT, WIDTH)).astype("int32"))
    matrix = random_matrix((HEIGHT, WIDTH), (5, 1), 1.0)
    words = tf.constant(rng.integers(-(2**31), 2**31, (HEIGHT, WIDTH)).astype("int32"))
    numbers = matrix, tf.constant([0.5, -1, 1, 0.7]), words, 255
    for compiled, plain in zip(compiled_vary(image, label, *numbers), vary(image, label, *numbers)):
        np.testing.assert_allclose(compiled, plain, atol=1e-5)


def test_uncovered_label_pixels_are_void_where_the_picture_shrinks():
    shrunk = [augment(*dots(), (seed, 0))[1].numpy() for seed in range(20)]
    assert any((label == 255).mean() > 0.1 for label in shrunk)
    assert any((label == 255).mean() < 0.02 for label in shrunk)


def test_equal_seeds_give_equal_variants_and_others_do_not():
    first, again, other = (augment(*dots(), (seed, 5))[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_half_of_the_variants_are_mirrored():
    first = [random_matrix((20, 30), (seed, 0), 1.0)[0].numpy() for seed in range(200)]
    assert 70 < sum(value < 0 for value in first) < 130


def test_at_strength_zero_only_the_mirror_is_left():
    image, label = dots()
    steps = []
    for seed in range(6):
        new_image, new_label = augment(image, label, (seed, 0), strength=0)
        steps.append(1 if np.array_equal(new_label, label) else -1)
        np.testing.assert_array_equal(new_label, label[:, :: steps[-1]])
        np.testing.assert_array_equal(new_image, image[:, :: steps[-1]])
    assert {*steps} == {1, -1}


def test_depths_shrink_as_the_picture_grows():
    image, _ = places()
    depth = tf.fill((HEIGHT, WIDTH, 1), 12.0)
    for seed in range(5):
        matrix = random_matrix((HEIGHT, WIDTH), (seed, 0), 1.0)
        moved_image, moved_depth = move(image, depth, matrix, 0)
        rows = moved_image.numpy()[10:-10, 10:-10, 0]
        step = np.hypot(*np.gradient(rows))  # original pixels per new pixel: 1 / zoom
        inner = moved_depth.numpy()[10:-10, 10:-10, 0]
        np.testing.assert_allclose(np.median(inner / step), 12, rtol=1e-2)


def test_instances_and_float_images_keep_their_types():
    image, _ = places()
    instances = tf.ones((HEIGHT, WIDTH), tf.int64)
    image, instances = augment(image, instances, (0, 0), void=0)
    assert (image.dtype, instances.dtype) == (tf.float32, tf.int64)


def test_a_picture_that_is_its_own_target_varies_without_noise():
    halves = np.full((HEIGHT, WIDTH, 3), 0.2, "float32")
    halves[:, WIDTH // 2 :] = 0.8
    image, target = (x.numpy() for x in augment(tf.constant(halves), None, (3, 0)))
    np.testing.assert_array_equal(image, target)
    assert np.median(np.abs(np.diff(image, axis=1))) < 1e-5
    assert abs(image.max() - 0.8) > 1e-3


def test_what_is_in_a_dark_image_of_little_contrast_stays_visible():
    label = np.zeros((HEIGHT, WIDTH), "int32")
    label[5:30, 10:35] = 1
    dark = np.repeat(np.where(label, 0.08, 0.02)[..., None], 3, -1).astype("float32")
    for seed in range(12):
        image, moved = (
            x.numpy() for x in augment(tf.constant(dark), tf.constant(label), (seed, 0))
        )
        assert image[moved == 1].mean() - image[moved == 0].mean() > 0.02


def recoloured(image, contrast=0.0, brightness=0.0, saturation=0.0):
    return augmentation.recolour(tf.constant(image), [contrast, brightness, saturation]).numpy()


def test_brightness_is_a_step_and_contrast_a_stretch_around_the_mean():
    image = np.random.default_rng(0).uniform(0.4, 0.6, (6, 5, 3)).astype("float32")
    mean = image.mean((0, 1))
    brighter, stretched = recoloured(image, brightness=0.5), recoloured(image, contrast=-0.5)
    np.testing.assert_allclose(brighter, image + 0.5 * augmentation.BRIGHTNESS, atol=1e-6)
    factor = 1 - 0.5 * augmentation.CONTRAST
    np.testing.assert_allclose(stretched, mean + factor * (image - mean), atol=1e-6)


def test_saturation_leaves_grey_pixels_and_the_brightness_of_the_others():
    image = np.random.default_rng(0).uniform(0.4, 0.6, (6, 5, 3)).astype("float32")
    image[0] = image[0, :, :1]
    changed = recoloured(image, saturation=1.0)
    np.testing.assert_allclose(changed[0], image[0], atol=1e-4)
    grey = tf.image.rgb_to_grayscale
    np.testing.assert_allclose(grey(changed), grey(image), atol=1e-4)
    spread = np.ptp(image, -1)
    np.testing.assert_allclose(
        np.ptp(changed, -1), (1 + augmentation.SATURATION) * spread, atol=1e-4
    )


def test_noise_is_even_and_bounded_and_differs_between_channels():
    words = tf.random.stateless_uniform((90, 80), (1, 2), None, None, tf.int32)
    noisy = augmentation.add_noise(tf.fill((90, 80, 3), 0.5), 1.0, words).numpy() - 0.5
    assert np.abs(noisy).max() <= augmentation.NOISE + 1e-6
    np.testing.assert_allclose(noisy.mean(), 0, atol=1e-3)
    np.testing.assert_allclose(noisy.std(), augmentation.NOISE / np.sqrt(3), rtol=0.02)
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.05


@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_images_stay_between_0_and_1(seed):
    image = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), "float32")
    varied = augment(tf.constant(image), dots()[1], seed)[0].numpy()
    assert 0 <= varied.min() <= varied.max() <= 1
    assert np.isfinite(varied).all()


def rows_of(seed, size=(HEIGHT, WIDTH), **how):
    """Where the pixels of a variant come from: row and column, of labels that are not void."""
    image, label = places()
    _, label = augment(image, label, (seed, 3), strength=0, void=-1, size=size, **how)
    label = label.numpy()
    return np.where(label < 0, -1, label // WIDTH), np.where(label < 0, -1, label % WIDTH)


def test_a_part_of_an_image_is_cut_from_any_place_without_void():
    tops, lefts = [], []
    for seed in range(24):
        rows, columns = rows_of(seed, size=(16, 20))
        assert rows.shape == (16, 20)
        assert rows.min() >= 0
        np.testing.assert_array_equal(np.diff(rows, axis=0), 1)
        assert (np.abs(np.diff(columns, axis=1)) == 1).all()
        tops.append(rows[0, 0])
        lefts.append(columns.min())
    assert (min(tops) < 4, max(tops) > HEIGHT - 20) == (True, True)
    assert (min(lefts) < 4, max(lefts) > WIDTH - 24) == (True, True)


def test_a_part_that_is_larger_than_the_image_shows_all_of_it_and_void():
    for seed in range(3):
        rows, columns = rows_of(seed, size=(HEIGHT + 7, WIDTH + 9))
        inside = rows >= 0
        assert inside.sum() == HEIGHT * WIDTH
        assert len(set(zip(rows[inside], columns[inside]))) == HEIGHT * WIDTH


def test_half_of_the_variants_are_upside_down_if_asked_for():
    steps = [np.diff(rows_of(seed, flips=True)[0][:2, 5])[0] for seed in range(20)]
    assert 4 < sum(step == -1 for step in steps) < 16
    assert all(np.diff(rows_of(seed)[0][:2, 5])[0] == 1 for seed in range(6))


def test_variants_are_turned_by_any_angle_if_asked_for():
    angles = []
    for seed in range(60):
        a, b, _, c, d, _ = random_matrix((HEIGHT, WIDTH), (seed, 0), 0.0, turns=True).numpy()
        np.testing.assert_allclose(
            [a * a + c * c, b * b + d * d, a * b + c * d], [1, 1, 0], atol=1e-5
        )
        angles.append(np.degrees(np.arctan2(d, b)))
    assert np.histogram(angles, 4, (-180, 180))[0].min() > 5


@settings(deadline=None, max_examples=8)
@given(seed=seeds, strength=strengths, flips=st.booleans())
def test_image_and_labels_stay_aligned_in_turned_parts(seed, strength, flips):
    image, label = dots()
    how = {"size": (24, 30), "flips": flips, "turns": True}
    image, label = (x.numpy() for x in augment(image, label, seed, strength=strength, **how))
    aligned = agreement(image, label)
    for axis in (0, 1):
        for shift in (-1, 1):
            assert agreement(image, np.roll(label, shift, axis)) < aligned - 0.05


def test_parts_that_are_not_varied_are_neither_mirrored_nor_blurred():
    image, label = places()
    tops = set()
    for seed in range(10):
        part, labels = cut(image, label, (seed, 1), (16, 20), void=-1)
        top, left = (int(n) for n in part.numpy()[0, 0, :2])
        tops.add(top)
        np.testing.assert_array_equal(part, image[top : top + 16, left : left + 20])
        np.testing.assert_array_equal(labels, label[top : top + 16, left : left + 20])
    assert max(tops) - min(tops) > 10


def test_a_part_without_a_target_is_its_own_target():
    image, _ = places()
    one, other = cut(image, None, (0, 1), (16, 20))
    np.testing.assert_array_equal(one, other)
