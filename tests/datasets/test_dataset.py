"""What `Dataset` makes of a source: one order and one variant for each seed and epoch."""

import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf

from kerasseg import datasets
from kerasseg.datasets import corruptions, dataset
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


def correlations(draws):
    """The correlation coefficients of every two rows."""
    return np.corrcoef(draws)[np.triu_indices(len(draws), 1)]


def test_what_is_drawn_for_two_purposes_seeds_or_epochs_is_independent():
    draws = [
        tf.random.stateless_uniform((2000,), dataset.seed_for(purpose, seed, number)).numpy()
        for purpose in (dataset.SHUFFLE, dataset.AUGMENT, dataset.CORRUPT, dataset.CORRUPT_ALIKE)
        for seed in (0, 1, 2)
        for number in (0, 1, 2)
    ]
    assert np.abs(correlations(draws)).max() < 0.1


def test_the_two_halves_of_a_split_seed_depend_on_the_purpose_too():
    """`stateless_split` gives two users of one seed the same first half."""
    first = [
        tf.random.stateless_uniform(
            (2000,), tf.random.experimental.stateless_split(dataset.seed_for(purpose, 0, 0), n)[0]
        )
        for purpose, n in ((dataset.AUGMENT, 3), (dataset.CORRUPT, 2))
    ]
    assert abs(correlations(first)[0]) < 0.1


def grey_with_depth(count, splits=("train", "validation")):
    """A source of grey images whose depth is 1 everywhere: 1 / zoom, once they are augmented."""
    records = tf.data.Dataset.range(count)
    return dataset.Source(
        splits=dict.fromkeys(splits, records),
        read=lambda _: {"image": tf.fill((24, 30, 3), 0.5), "depth": tf.ones((24, 30, 1))},
        targets=("depth",),
        class_names=("grey",),
        colours=np.zeros((1, 3), "uint8"),
        ignore_class=255,
        augmentable=True,
    )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_noise_of_an_image_tells_nothing_of_its_zoom(batch_size):
    data = dataset.Dataset(
        grey_with_depth(600),
        target=None,
        image_size=None,
        batch_size=batch_size,
        augment=1,
        seed=0,
        corruption=corruptions.noise((0.05, 0.1)),
    )
    first = [
        (images[0].std(), depths[0].mean()) for images, depths in data.train.as_numpy_iterator()
    ]
    again = [
        (images[0].std(), depths[0].mean()) for images, depths in data.train.as_numpy_iterator()
    ]
    noise, depth = np.transpose(first)
    assert np.ptp(np.log(depth)) > 0.6
    assert np.ptp(noise) > 0.03
    draws = [noise, np.log(depth), *np.transpose(again)]
    assert np.abs(correlations(draws)).max() < 4 / np.sqrt(len(first))


def labelled_twice(count=6, size=(8, 10)):
    """A source in which a pixel may have two labels; the image shows both, in red and green."""
    maps = np.random.default_rng(0).integers(0, 2, (count, *size, 2)).astype("uint8")

    def read(maps):
        image = tf.concat([maps, tf.zeros_like(maps[..., :1])], -1) * 255
        return {"image": image, "label": tf.where(maps == 1, maps, 0)}

    return maps, dataset.Source(
        splits=dict.fromkeys(("train", "validation"), tf.data.Dataset.from_tensor_slices(maps)),
        read=read,
        targets=("label", "image"),
        class_names=("red", "green"),
        colours=np.eye(2, 3, dtype="uint8") * 255,
        ignore_class=255,
        augmentable=True,
        name="two labels",
        multi_label=True,
    )


def multi_label(source, *, image_size=None, batch_size=4, augment=0, target=None):
    return dataset.Dataset(
        source,
        target=target,
        image_size=image_size,
        batch_size=batch_size,
        augment=augment,
        seed=0,
    )


def test_multi_label_maps_come_in_batches_of_their_own_numbers():
    maps, source = labelled_twice()
    data = multi_label(source)
    assert data.multi_label
    images, labels = everything(data.validation)
    np.testing.assert_array_equal(labels, maps)
    np.testing.assert_array_equal(images[..., :2], maps)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("size", [(4, 5), (13, 30)])
def test_multi_label_maps_are_resized_by_nearest_neighbour(size):
    maps, source = labelled_twice()
    _, labels = everything(multi_label(source, image_size=size).validation)
    rows, columns = (
        np.floor((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, maps.shape[1:3])
    )
    np.testing.assert_array_equal(labels, maps[:, rows][:, :, columns])


def test_multi_label_maps_are_augmented_with_their_images():
    _, source = labelled_twice(size=(24, 30))
    images, labels = everything(multi_label(source, augment=0.001).train)  # mirrored, no more
    inside = labels != 255
    assert inside.mean() > 0.9
    np.testing.assert_array_equal((images[..., :2] > 0.5)[inside], labels[inside])
    _, labels = everything(multi_label(source, augment=1).train)
    assert set(np.unique(labels)) <= {0, 1, 255}
    void = labels == 255
    np.testing.assert_array_equal(void[..., 0], void[..., 1])


def test_multi_label_epochs_and_held_out_images_are_those_of_the_images():
    _, source = labelled_twice()
    data = multi_label(source)
    for batches in (data.train, *data.hold_out(0.4)):
        images, labels = everything(batches)
        np.testing.assert_array_equal(images[..., :2], labels)
    assert [len(everything(part)[0]) for part in data.hold_out(0.4)] == [4, 2]


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.1), (1, 0.9), (10, 0.97)])
def test_hold_out_that_leaves_no_image_to_fit_on_is_an_error(count, fraction):
    data = multi_label(labelled_twice(count)[1])
    with pytest.raises(ValueError, match=f"leaves none to fit on.*Received: fraction={fraction}"):
        data.hold_out(fraction)


def test_hold_out_of_two_images_leaves_one_for_each():
    data = multi_label(labelled_twice(2)[1])
    assert [len(everything(part)[0]) for part in data.hold_out(0.1)] == [1, 1]


def test_print_shows_name_sizes_classes_and_splits(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir)
    assert str(data) == repr(data)
    assert str(data).splitlines() == [
        "<Dataset 'camvid': 10 train, 4 validation images, 9 x 12 x 3>",
        "target: label, in batches of 8",
        "11 classes: 0 sky, 1 building, 2 pole, 3 road, 4 pavement, 5 tree, 6 sign, 7 fence, "
        "8 car, 9 pedestrian, 10 bicyclist; 255 void",
    ]
    assert "two labels" in str(multi_label(labelled_twice()[1]))
    assert "2 labels: red, green" in str(multi_label(labelled_twice()[1]))


def test_print_shortens_long_lists_of_classes():
    source = labelled_twice()[1]
    names = tuple(f"thing {i}" for i in range(100))
    source = dataset.dataclasses.replace(source, class_names=names, multi_label=False)
    assert "18 thing 18, ..., 99 thing 99; 255 void" in str(multi_label(source))


def many_sizes(tmp_path):
    """Images of two sizes, whose first label says which they are."""
    folder = make_camvid(tmp_path, (("train", 5), ("val", 2)))
    make_camvid(tmp_path / "larger", (("train", 2), ("val", 1)), size=(60, 50))
    for kind in ("train", "trainannot", "val", "valannot"):
        for path in (tmp_path / "larger" / kind).glob("*"):
            path.rename(folder / kind / f"larger_{path.name}")
    return folder


@pytest.mark.parametrize("augment", [0, 1])
def test_parts_of_images_of_many_sizes_come_in_batches_and_others_whole(tmp_path, augment):
    data = datasets.load(
        "camvid", data_dir=many_sizes(tmp_path), patch=(16, 24), batch_size=3, augment=augment
    )
    shapes = [images.shape for images, _ in data.train.as_numpy_iterator()]
    assert shapes == [(3, 16, 24, 3), (3, 16, 24, 3), (1, 16, 24, 3)]
    assert data.train.element_spec[0].shape == (None, 16, 24, 3)
    assert data.train.element_spec[1].shape == (None, 16, 24)
    whole = [images.shape[:3] for images, _ in data.validation.as_numpy_iterator()]
    assert len(set(whole)) == 2
    assert {shape[0] for shape in whole} == {1}
    (parts,) = [images for images, _ in data.parts.as_numpy_iterator()]
    assert parts.shape == (3, 16, 24, 3)
    assert_equal(everything(data.parts), everything(data.parts))


def test_parts_are_exact_pixels_of_their_images_without_augmentation(camvid_dir):
    load = {"data_dir": camvid_dir, "augment": 0, "batch_size": 1}
    wholes, _ = everything(datasets.load("camvid", **load).train)
    for part, _ in datasets.load("camvid", patch=(9, 11), **load).train.as_numpy_iterator():
        windows = np.lib.stride_tricks.sliding_window_view(wholes, (9, 11), axis=(1, 2))
        same = (np.moveaxis(windows, 3, -1) == part[0]).all((-1, -2, -3))
        assert same.sum() == 1


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_an_epoch_has_so_many_batches_and_every_image_occurs_equally_often(load, steps):
    data = load(augment=0, steps=steps, batch_size=3)
    count = len(data.source.splits["train"])
    assert len(data.train) == steps
    seen = []
    for _ in range(count):
        images, _ = everything(data.train)
        assert len(images) == 3 * steps
        seen += [image.tobytes() for image in images]
    names = {image: seen.count(image) for image in seen}
    assert set(names.values()) == {3 * steps}
    assert len(names) == count
    for start in range(0, len(seen), count):  # each pass has all images
        assert len(set(seen[start : start + count])) == count


def test_epochs_of_so_many_batches_go_on_where_another_process_stopped(load):
    data, later = load(steps=2, batch_size=3), load(steps=2, batch_size=3)
    epochs = [everything(data.train) for _ in range(4)]
    later.epoch = 3
    assert_equal(everything(later.train), epochs[3])
    assert not np.array_equal(epochs[2][0], epochs[3][0])


def test_no_variant_occurs_twice_when_images_do(load):
    images, _ = everything(load(steps=9, batch_size=3).train)
    assert len({image.tobytes() for image in images}) == 27
