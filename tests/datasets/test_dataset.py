"""What `Dataset` makes of a source: one order and one variant for each seed and epoch."""

import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf

from kerasseg import datasets
from kerasseg.datasets import dataset
from tests.conftest import make_camvid


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def assert_equal(one, other):
    for ours, theirs in zip(one, other):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(params=["cached", "streamed"])
def load(request, camvid_dir, monkeypatch):
    if request.param == "streamed":
        monkeypatch.setattr(dataset, "CACHE_LIMIT", 0)
    return lambda **arguments: datasets.load("camvid", data_dir=camvid_dir, **arguments)


def test_one_seed_gives_equal_epochs_whatever_the_global_seed(load):
    runs = []
    for global_seed in (1, 2):
        tf.random.set_seed(global_seed)
        train = load(seed=3).train
        runs.append([everything(train) for _ in range(2)])
    for one, other in zip(*runs):
        assert_equal(one, other)


def test_epochs_differ_and_so_do_seeds(load):
    data = load(seed=3)
    first, second, other = everything(data.train), everything(data.train), load(seed=4).train
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], everything(other)[0])


def test_one_picture_varies_from_epoch_to_epoch_and_from_seed_to_seed(tmp_path):
    folder = make_camvid(tmp_path, (("train", 1), ("val", 1)))
    variants = []
    for seed in (0, 1):
        train = datasets.load("camvid", data_dir=folder, seed=seed).train
        variants += [everything(train)[0].tobytes() for _ in range(3)]
    assert len(set(variants)) == 6


def test_orders_differ_between_epochs_without_augmentation(load):
    train = load(augment=False).train
    first, second = everything(train)[0], everything(train)[0]
    assert not np.array_equal(first, second)
    assert {x.tobytes() for x in first} == {x.tobytes() for x in second}


def test_an_epoch_that_is_set_is_the_one_of_an_uninterrupted_run(load):
    data, resumed = load(), load()
    epochs = [everything(data.train) for _ in range(4)]
    assert data.epoch == 4
    resumed.epoch = 2
    assert_equal(everything(resumed.train), epochs[2])
    assert_equal(everything(resumed.train), epochs[3])


def test_an_epoch_that_is_broken_off_counts(load):
    data, other = load(), load()
    next(iter(data.train))
    everything(other.train)
    assert_equal(everything(data.train), everything(other.train))


def test_a_streamed_set_gives_the_batches_of_a_cached_one(camvid_dir, monkeypatch):
    def train():
        return datasets.load("camvid", data_dir=camvid_dir, batch_size=4).train

    cached = train()
    monkeypatch.setattr(dataset, "CACHE_LIMIT", 0)
    assert_equal(everything(cached), everything(train()))


FRESH = """
import sys, zlib
from kerasseg import datasets
data = datasets.load("camvid", data_dir=sys.argv[1], seed=7)
print([zlib.crc32(x.numpy()) for _ in range(2) for pair in data.train for x in pair])
"""


def test_a_fresh_process_gives_the_same_epochs(camvid_dir):
    result = subprocess.run(
        [sys.executable, "-c", FRESH, camvid_dir], capture_output=True, text=True, check=True
    )
    data = datasets.load("camvid", data_dir=camvid_dir, seed=7)
    ours = [zlib.crc32(x.numpy()) for _ in range(2) for pair in data.train for x in pair]
    assert result.stdout.splitlines()[-1] == str(ours)


def test_an_augmented_image_target_is_the_image(load):
    images, targets = everything(load(target="image").train)
    np.testing.assert_array_equal(images, targets)
    assert not np.array_equal(images, everything(load(target="image", augment=False).train)[0])


def test_pictures_of_many_sizes_are_augmented_one_by_one(tmp_path):
    folder = make_camvid(tmp_path, (("train", 3), ("val", 1)))
    make_camvid(tmp_path / "larger", (("train", 2), ("val", 1)), size=(15, 10))
    for kind in ("train", "trainannot"):
        for path in (tmp_path / "larger" / kind).iterdir():
            path.rename(folder / kind / f"larger_{path.name}")
    data = datasets.load("camvid", data_dir=folder, batch_size=1)
    sizes = [(x.shape[1:3].as_list(), y.shape[1:].as_list()) for x, y in data.train]
    assert sorted(sizes) == 3 * [([9, 12], [9, 12])] + 2 * [([15, 10], [15, 10])]


@pytest.mark.parametrize("size", [(6, 5), (4, 10), (3, 2)])
def test_a_picture_that_shrinks_becomes_the_means_of_areas(size):
    image = np.random.default_rng(0).random((12, 10, 3), "float32")
    rows, columns = (shares(n, m) for n, m in zip(image.shape, size))
    expected = np.einsum("ih,jw,hwc->ijc", rows, columns, image)
    np.testing.assert_allclose(dataset.resize(tf.constant(image), size), expected, atol=1e-5)


def shares(old, new, points=1200):
    """How much of each old pixel lies in each new one, by counting points in each."""
    places = (np.arange(new * points) + 0.5) / (new * points)
    table = np.zeros((new, old))
    np.add.at(table, (np.repeat(np.arange(new), points), (places * old).astype(int)), 1 / points)
    return table


def test_a_picture_that_grows_is_interpolated():
    image = tf.constant(np.random.default_rng(0).random((5, 7, 3), "float32"))
    expected = tf.image.resize(image, (9, 20))
    np.testing.assert_allclose(dataset.resize(image, (9, 20)), expected, atol=1e-6)
