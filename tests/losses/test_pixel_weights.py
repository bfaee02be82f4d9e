"""Frequencies and weights agree with counts by hand, and outlines with all distances."""

import numpy as np
import pytest
from PIL import Image

from kerasseg.losses import (
    CrossEntropy,
    class_frequencies,
    median_frequency_weights,
    outline_weights,
)
from kerasseg.losses.pixel_weights import weights_of_counts
from tests import reference
from tests.maps import random_maps


def batches(truth):
    """One set of maps in every form that is understood."""
    images = np.zeros((*truth.shape, 3), "float32")
    yield truth
    yield truth[..., None].astype("uint8")
    yield [truth[:2], truth[2:]]
    yield list(truth)
    yield [list(truth[:2]), list(truth[2:])]
    yield [[images[:2], truth[:2]], [images[2:], truth[2:]]]
    yield ((images[i : i + 2], truth[i : i + 2]) for i in (0, 2))
    tf = pytest.importorskip("tensorflow")
    yield tf.convert_to_tensor(truth)
    yield tf.data.Dataset.from_tensor_slices((images, truth)).batch(2)
    yield tf.data.Dataset.from_tensor_slices(truth).batch(2)


def test_frequencies_are_shares_of_the_pixels_that_are_not_void(rng):
    truth, _ = random_maps(rng, shape=(3, 5, 4))
    truth[truth == 3] = 1
    counts = np.array([sum(t == c for t in truth.ravel().tolist()) for c in range(5)])
    for labels in batches(truth):
        np.testing.assert_allclose(class_frequencies(labels, 5), counts / counts.sum(), rtol=1e-15)
    assert class_frequencies(truth, 5).sum() == pytest.approx(1)


def test_median_frequency_counts_a_class_only_where_it_occurs(rng):
    truth, _ = random_maps(rng, shape=(3, 5, 4))
    truth[truth == 3] = 1
    truth[1:][truth[1:] == 2] = 0
    frequencies = {}
    for c in (0, 1, 2, 4):
        images = [t for t in truth if (t == c).any()]
        pixels = sum((t != 255).sum() for t in images)
        frequencies[c] = sum((t == c).sum() for t in images) / pixels
    median = np.median(list(frequencies.values()))
    expected = [median / frequencies[c] if c in frequencies else 0 for c in range(5)]
    for labels in batches(truth):
        np.testing.assert_allclose(median_frequency_weights(labels, 5), expected, rtol=1e-15)


def test_frequencies_and_weights_of_camvid_are_those_that_others_counted(real_camvid):
    # caffe-segnet, issue 37: all twelve ids, void among them.
    pixels = [10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877]
    pixels = np.array([*pixels, 405385, 184967, 2503995])
    weights = [0.256527308, 0.185282667, 4.396287575, 0.136869322, 0.918473131, 0.387319864]
    weights += [3.533074291, 1.812685267, 0.724619798, 5.855012981, 8.136508447, 1.097409921]
    files = sorted((real_camvid / "trainannot").glob("*.png"))
    maps = np.stack([np.array(Image.open(file)) for file in files])
    frequencies = class_frequencies(maps, 12, ignore_class=None)
    np.testing.assert_allclose(frequencies, pixels / pixels.sum(), rtol=1e-12)
    measured = median_frequency_weights(maps, 12, ignore_class=None)
    np.testing.assert_allclose(measured, weights, rtol=1e-8)


def test_void_alone_has_no_frequencies_and_no_weights():
    void = np.full((2, 3, 4), 255)
    assert class_frequencies(void, 3).tolist() == [0, 0, 0]
    assert median_frequency_weights(void, 3).tolist() == [0, 0, 0]


def test_frequencies_of_a_pytorch_loader_are_those_of_its_labels(rng):
    torch = pytest.importorskip("torch")
    truth, _ = random_maps(rng, shape=(3, 5, 4))
    images = torch.zeros(3, 3, 5, 4)
    for labels in (truth, truth[..., None]):
        pairs = torch.utils.data.TensorDataset(images, torch.from_numpy(labels))
        for size in (2, None):
            loader = torch.utils.data.DataLoader(pairs, batch_size=size)
            if size or labels is truth:
                measured = class_frequencies(loader, 5)
                np.testing.assert_array_equal(measured, class_frequencies(truth, 5))
    masks = torch.utils.data.TensorDataset(images, torch.from_numpy(truth[:, None]))
    with pytest.raises(ValueError, match=r"labels.shape=\(2, 1, 5, 4\)"):
        class_frequencies(torch.utils.data.DataLoader(masks, batch_size=2), 5)


@pytest.mark.parametrize("count", [class_frequencies, median_frequency_weights])
def test_ids_outside_the_classes_and_one_hot_masks_are_refused(count):
    with pytest.raises(ValueError, match="`labels` must hold class ids 0 to 2.*Received: id=3"):
        count(np.array([[[0, 3]]]), 3)
    with pytest.raises(ValueError, match=r"one a pixel.*labels.shape=\(1, 4, 4, 3\)"):
        count(np.zeros((1, 4, 4, 3)), 3)


@pytest.mark.parametrize("background", [0, None])
def test_outline_weights_agree_with_all_distances_between_pixels(rng, background):
    ids = np.kron(rng.integers(0, 4, (3, 3, 4)), np.ones((1, 3, 4), int))
    ids[:, 2, 5:8] = 255
    ids[2] = np.where(ids[2] == 255, 255, 1)  # no second object
    expected = [reference.outline_weights(m, background, 255, 7.0, 3.0) for m in ids]
    settings = {"background": background, "ignore_class": 255, "w0": 7.0, "sigma": 3.0}
    weights = outline_weights(ids, **settings)
    assert weights.dtype == "float32"
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    single = outline_weights(ids[0], **settings)
    np.testing.assert_array_equal(single, weights[0])


def test_outline_weights_are_those_of_the_paper_between_two_cells():
    ids = np.zeros((5, 20), "uint16")
    ids[:, :3], ids[:, 9:] = 300, 7
    weights = outline_weights(ids, background=0)
    for column in range(3, 9):
        d1, d2 = sorted([column - 2, 9 - column])
        expected = 1 + 10 * np.exp(-((d1 + d2) ** 2) / (2 * 5**2))
        np.testing.assert_allclose(weights[:, column], expected, rtol=1e-6)


def test_outline_weights_start_from_those_of_the_classes_and_weigh_void_0():
    ids = np.array([[0, 0, 0, 1, 255]])
    weights = outline_weights(ids, class_weights=[1.0, 3.0], sigma=0.1)
    np.testing.assert_allclose(weights, [[1, 1, 1, 3, 0]], atol=1e-6)


def test_255_is_an_object_in_a_map_of_instances_and_void_in_one_of_classes():
    ids = np.array([[254, 0, 255]])
    np.testing.assert_allclose(outline_weights(ids, background=0)[0, 2], 1 + 10 * np.exp(-4 / 50))
    for void in (outline_weights(ids), outline_weights(ids, background=0, ignore_class=255)):
        assert void[0, 2] == 0


@pytest.mark.parametrize("bad", [-1, 2, 0.5])
def test_outline_weights_refuse_ids_that_have_no_class_weight(bad):
    ids = np.array([[0, 1, bad, 255]])
    with pytest.raises(ValueError, match=f"`labels` must hold class ids 0 to 1.*id={bad}"):
        outline_weights(ids, class_weights=[1.0, 3.0])


def test_outline_weights_understand_class_weights_as_a_dict():
    ids = np.array([[0, 1, 1, 255]])
    expected = outline_weights(ids, [1.0, 3.0])
    np.testing.assert_array_equal(outline_weights(ids, {1: 3.0, 0: 1.0}), expected)
    np.testing.assert_array_equal(outline_weights(ids.astype("float32"), [1.0, 3.0]), expected)
    with pytest.raises(ValueError, match="keys 0 to num_classes - 1"):
        outline_weights(ids, {1: 3.0})


def test_outline_weights_are_sample_weights(rng):
    truth, scores = random_maps(rng)
    weights = outline_weights(truth)
    expected = reference.cross_entropy(truth, scores, [1] * 5, 255, weights)
    assert float(CrossEntropy()(truth, scores, weights)) == pytest.approx(expected, rel=1e-6)


def test_weights_of_counts_are_those_of_the_maps():
    labels = np.array([[[0, 0, 0, 1]], [[1, 1, 255, 255]]])
    counts = np.array([[3, 1, 0], [0, 2, 0]])
    np.testing.assert_array_equal(weights_of_counts(counts), median_frequency_weights(labels, 3))
