"""What lesson 10 says about label maps, in numbers."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from kerasseg.datasets import street_scenes
from kerasseg.losses import CrossEntropy, class_frequencies, median_frequency_weights
from kerasseg.metrics import MeanIoU
from tests.chapters.page import functions

LESSON = "ch10_segmentation_data"
VOID = 255


@pytest.fixture
def ids():
    return np.random.default_rng(0).choice([0, 1, 2, 6, VOID], (12, 18))


def with_globals(function, **names):
    function.__globals__.update(names)
    return function


def test_ids_painted_and_read_again_are_the_same_ids(ids):
    names = {"colours": street_scenes.COLOURS, "void": VOID}
    to_colours, to_ids = functions(LESSON, "to_colours", "to_ids")
    with_globals(to_colours, **names)
    assert np.array_equal(with_globals(to_ids, **names)(to_colours(ids)), ids)


def test_a_colour_that_the_table_does_not_know_becomes_no_class():
    (to_ids,) = functions(LESSON, "to_ids")
    with_globals(to_ids, colours=street_scenes.COLOURS, void=VOID)
    painted = np.array([[[1, 2, 3], [0, 0, 0], [128, 64, 128]]])
    assert to_ids(painted).tolist() == [[254, VOID, 0]]


def test_the_mean_of_sky_and_pole_is_a_car():
    sky, pole, car = (street_scenes.CLASS_NAMES.index(name) for name in ("sky", "pole", "car"))
    assert (sky + pole) / 2 == car


def test_bilinear_halving_is_the_mean_of_four_and_nearest_one_of_them(ids):
    windows = ids.reshape(6, 2, 9, 2).swapaxes(1, 2).reshape(6, 9, 4)
    image = ids[..., None].astype("float32")
    smooth = ops.convert_to_numpy(ops.image.resize(image, (6, 9), "bilinear"))[..., 0]
    copied = ops.convert_to_numpy(ops.image.resize(image, (6, 9), "nearest"))
    assert np.allclose(smooth, windows.mean(-1), atol=1e-4)
    assert (copied == windows).any(-1).all()


def test_flips_and_crops_keep_image_and_label_map_together(ids):
    (flip_and_crop,) = functions(LESSON, "flip_and_crop")
    for seed in range(20):
        image, moved = flip_and_crop(np.random.default_rng(seed), np.stack([ids] * 3, -1), ids)
        assert image.shape == (9, 14, 3)
        assert np.array_equal(image[..., 1], moved)


def test_void_pixels_have_no_loss_no_gradient_and_no_score():
    truth = np.array([[[0, 1, VOID]]])
    scores = tf.random.stateless_normal((1, 1, 3, 2), (0, 0))
    nonsense = tf.where(truth[..., None] == VOID, 50.0 * scores, scores)
    assert CrossEntropy()(truth, scores) == CrossEntropy()(truth, nonsense)
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = CrossEntropy()(truth, scores)
    gradient = tape.gradient(loss, scores).numpy()
    assert not gradient[0, 0, 2].any()
    assert gradient[0, 0, :2].any()
    ious = []
    for answer in (scores, nonsense):
        metric = MeanIoU(2)
        metric.update_state(truth, answer)
        ious.append(float(metric.result()))
    assert ious[0] == ious[1]


def test_an_undecided_network_pays_the_logarithm_of_the_number_of_classes():
    truth = np.array([[[0, 3, VOID, 7]]])
    costs = ops.convert_to_numpy(
        CrossEntropy(reduction=None)(truth, np.zeros((1, 1, 4, 8), "float32"))
    )
    assert np.allclose(costs, [[[np.log(8), np.log(8), 0, np.log(8)]]])


def variants(pairs):
    return len({image.tobytes() for image, _ in pairs.as_numpy_iterator()})


def test_the_pipeline_shows_another_variant_in_every_epoch():
    (batches,) = functions(LESSON, "batches")
    with_globals(batches, void=VOID)
    rows = np.broadcast_to(np.arange(32, dtype="int32")[:, None], (32, 48))
    image = np.repeat(rows[..., None].astype("float32") / 31, 3, -1)
    pairs = batches(image[None], rows[None]).unbatch().take(3)
    assert variants(pairs) == 3


def test_a_cache_behind_the_augmentation_keeps_one_variant_for_ever():
    numbers = tf.data.Dataset.range(1).map(lambda i: (tf.random.uniform((4,)), i))
    assert variants(numbers.cache().repeat(3)) == 1
    assert variants(numbers.repeat(3)) == 3


def test_median_frequency_weights_follow_the_formula():
    label_maps = np.array([[[0, 0, 0, 1]], [[0, 0, VOID, VOID]], [[0, 1, 1, 2]]])
    shares = class_frequencies(label_maps, 3)
    assert np.allclose(shares, [0.6, 0.3, 0.1])
    in_own_images = np.array([6 / 10, 3 / 8, 1 / 4])
    weights = median_frequency_weights(label_maps, 3)
    assert np.allclose(weights, np.median(in_own_images) / in_own_images)
