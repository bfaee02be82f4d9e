"""Corruptions damage the input as they say, alike for one seed, and never the target."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasseg import datasets
from kerasseg.datasets import corruptions

ALL = {
    "noise": corruptions.noise(),
    "erased_patches": corruptions.erased_patches(),
    "downscaling": corruptions.downscaling(),
    "greying": corruptions.greying(),
    "night": corruptions.night(),
    "outlines": corruptions.outlines(),
}
RANDOM = ("noise", "erased_patches", "night")


def photographs(channels=3, batch=4, height=24, width=33):
    return np.random.default_rng(0).random((batch, height, width, channels), "float32")


def corrupted(corruption, images, seed=(1, 2)):
    return corruption(tf.constant(images), seed).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ALL)
def test_shape_type_and_range_stay(name, channels):
    images = photographs(channels)
    result = corrupted(ALL[name], images)
    assert result.shape == images.shape
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 1
    if (name, channels) != ("greying", 1):
        assert np.abs(result - images).max() > 0.05


@pytest.mark.parametrize("name", ALL)
def test_one_seed_gives_one_result_and_another_seed_another(name):
    images = photographs()
    np.testing.assert_array_equal(*(corrupted(ALL[name], images) for _ in range(2)))
    other = corrupted(ALL[name], images, seed=(1, 3))
    assert np.array_equal(corrupted(ALL[name], images), other) == (name not in RANDOM)


@pytest.mark.parametrize("name", RANDOM)
def test_images_of_one_batch_are_damaged_differently(name):
    images = np.repeat(photographs(batch=1), 5, axis=0)
    assert len({image.tobytes() for image in corrupted(ALL[name], images)}) == 5


def test_two_corruptions_of_one_seed_are_independent():
    white = np.ones((600, 9, 9, 3), "float32")
    exposure = corrupted(corruptions.night((0.2, 0.8), sigma=0), white).mean((1, 2, 3))
    sigma = (corrupted(corruptions.noise((0.01, 0.05)), white / 2)).std((1, 2, 3))
    erased = corrupted(corruptions.erased_patches(size=(0.1, 0.9)), white).mean((1, 2, 3))
    between = np.corrcoef([exposure, sigma, erased])[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 4 / np.sqrt(600)


def test_noise_has_the_given_deviation():
    grey = np.full((3, 60, 70, 3), 0.5, "float32")
    result = corrupted(corruptions.noise(0.1), grey) - 0.5
    np.testing.assert_allclose(result.std((1, 2, 3)), 0.1, rtol=0.03)
    np.testing.assert_allclose(result.mean((1, 2, 3)), 0, atol=0.005)


def test_noise_of_a_range_differs_in_strength_from_picture_to_picture():
    grey = np.full((200, 30, 30, 1), 0.5, "float32")
    deviations = (corrupted(corruptions.noise((0.01, 0.1)), grey) - 0.5).std((1, 2, 3))
    assert 0.005 < deviations.min() < 0.02
    assert 0.09 < deviations.max() < 0.11


def test_noise_of_0_changes_nothing():
    np.testing.assert_array_equal(corrupted(corruptions.noise(0), photographs()), photographs())


def test_an_erased_patch_is_a_rectangle_of_the_given_size_and_value():
    images = photographs(batch=20, height=50, width=40) * 0.5
    result = corrupted(corruptions.erased_patches(size=(0.2, 0.4), value=0.75), images)
    for image, original in zip(result, images):
        erased = (image == 0.75).all(-1)
        rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
        assert erased.sum() == len(rows) * len(columns)
        assert np.ptp(rows) + 1 == len(rows)
        assert np.ptp(columns) + 1 == len(columns)
        assert 10 <= len(rows) <= 20
        assert 8 <= len(columns) <= 16
        np.testing.assert_array_equal(image[~erased], original[~erased])


def test_erased_patches_reach_every_corner():
    images = np.zeros((300, 8, 6, 1), "float32")
    erased = corrupted(corruptions.erased_patches(size=0.4, value=1.0), images)[..., 0]
    assert erased[:, [0, 0, -1, -1], [0, -1, 0, -1]].any(0).all()


def test_more_patches_erase_more():
    images = photographs(batch=30)
    shares = [
        (corrupted(corruptions.erased_patches(count, 0.3, value=2.0), images) == 2).mean()
        for count in (1, 3)
    ]
    assert 0.05 < shares[0] < 0.12
    assert shares[0] < shares[1] < 3 * shares[0]


def test_downscaling_takes_means_and_enlarges_them_bilinearly():
    image = photographs(batch=1, height=24, width=32)
    means = image.reshape(1, 6, 4, 8, 4, 3).mean((2, 4))
    expected = [
        np.asarray(Image.fromarray(means[0, ..., c]).resize((32, 24), Image.BILINEAR))
        for c in range(3)
    ]
    result = corrupted(corruptions.downscaling(4), image)[0]
    np.testing.assert_allclose(result, np.stack(expected, -1), atol=1e-5)


@pytest.mark.parametrize("method", ["nearest", "bicubic"])
def test_downscaling_takes_other_methods_and_sizes_that_the_factor_does_not_divide(method):
    result = corrupted(corruptions.downscaling(4, method), photographs(height=23, width=30))
    assert result.shape == (4, 23, 30, 3)


def test_a_factor_of_1_changes_nothing():
    images = photographs()
    np.testing.assert_allclose(corrupted(corruptions.downscaling(1), images), images, atol=1e-6)


def test_greying_keeps_the_brightness_alone():
    images = photographs()
    result = corrupted(corruptions.greying(), images)
    expected = images @ np.array([0.299, 0.587, 0.114], "float32")
    for channel in range(3):
        np.testing.assert_allclose(result[..., channel], expected, atol=1e-6)


def test_nights_are_dark_and_blue():
    result = corrupted(corruptions.night((0.2, 0.3), sigma=0), np.ones((50, 4, 5, 3), "float32"))
    red, green, blue = result[:, 0, 0].T
    assert 0.2 <= blue.min() < 0.22
    assert 0.28 < blue.max() <= 0.3
    np.testing.assert_allclose(red, 0.6 * blue, atol=1e-6)
    np.testing.assert_allclose(green, 0.75 * blue, atol=1e-6)


def test_outlines_are_dark_where_the_brightness_changes_and_white_elsewhere():
    images = np.zeros((1, 10, 12, 3), "float32")
    images[:, :, 6:] = 1
    result = corrupted(corruptions.outlines(), images)[0]
    np.testing.assert_allclose(result[:, [5, 6]], 0, atol=1e-6)
    np.testing.assert_allclose(np.delete(result, [5, 6], axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: corruptions.noise(-0.1), "`sigma` must be .*Received: sigma=-0.1"),
        (lambda: corruptions.noise((0.5, 0.1)), "the smaller first.*sigma=\\(0.5, 0.1\\)"),
        (lambda: corruptions.erased_patches(0), "`count` must be .*Received: count=0"),
        (lambda: corruptions.erased_patches(size=2), "`size` must be .*Received: size=2"),
        (lambda: corruptions.downscaling(0.5), "`factor` must be .*Received: factor=0.5"),
        (lambda: corruptions.downscaling(2, "lanczos"), "`method` must be .*'lanczos'"),
        (lambda: corruptions.night(1.5), "`exposure` must be .*Received: exposure=1.5"),
        (lambda: corruptions.outlines(0), "`strength` must be .*Received: strength=0"),
    ],
)
def test_wrong_arguments_are_named(build, words):
    with pytest.raises(ValueError, match=words):
        build()


def test_a_pair_may_be_a_list():
    images = photographs()
    one, other = (corrupted(corruptions.noise(pair), images) for pair in ((0.1, 0.2), [0.1, 0.2]))
    np.testing.assert_array_equal(one, other)


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


@pytest.mark.parametrize("name", ALL)
def test_load_damages_the_input_and_never_the_target(name, camvid_dir):
    arguments = {"target": "image", "data_dir": camvid_dir, "augment": False}
    clean = {image.tobytes() for image in everything(datasets.load("camvid", **arguments).train)[0]}
    images, targets = everything(datasets.load("camvid", corruption=ALL[name], **arguments).train)
    assert {target.tobytes() for target in targets} == clean
    assert not {image.tobytes() for image in images} & clean


def test_training_images_are_damaged_anew_every_epoch_and_the_others_never():
    data = datasets.load("digits", corruption=corruptions.noise(), batch_size=100)

    def epoch(batches):
        return {target.tobytes(): image for image, target in zip(*everything(batches))}

    first, second = epoch(data.train), epoch(data.train)
    assert first.keys() == second.keys()
    assert not any(np.array_equal(first[key], second[key]) for key in first)
    np.testing.assert_array_equal(everything(data.validation)[0], everything(data.validation)[0])
    np.testing.assert_array_equal(everything(data.test)[0], everything(data.test)[0])


def test_validation_images_are_damaged_alike_for_every_batch_size_and_seed():
    results = [
        everything(datasets.load("digits", corruption=corruptions.noise(), **arguments).validation)
        for arguments in ({"batch_size": 7}, {"batch_size": 300, "seed": 5})
    ]
    np.testing.assert_array_equal(results[0][0], results[1][0])


def test_one_seed_damages_the_training_images_alike():
    def images():
        return everything(datasets.load("digits", corruption=corruptions.noise(), seed=4).train)[0]

    np.testing.assert_array_equal(images(), images())


def test_a_corruption_of_ones_own_will_do():
    data = datasets.load("digits", corruption=lambda images, seed: 1 - images)
    images, targets = everything(data.validation)
    np.testing.assert_allclose(images, 1 - targets)
    assert data.image_shape == (8, 8, 1)


def test_what_is_no_corruption_is_named():
    with pytest.raises(ValueError, match=r"`corruption` must be .*Received: corruption='noise'"):
        datasets.load("digits", corruption="noise")
