"""What `load` promises of every set: types, ranges, splits, order."""

import numpy as np
import pytest
import tensorflow as tf

from kerasseg import datasets


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def pictures(batches):
    return {image.tobytes() for image in everything(batches)[0]}


def test_camvid_batches_have_the_types_and_ranges_of_the_conventions(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir, batch_size=4)
    images, labels = next(iter(data.train))
    assert images.shape == (4, 9, 12, 3)
    assert labels.shape == (4, 9, 12)
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int32)
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1
    assert data.image_shape == (9, 12, 3)


def test_camvid_void_becomes_255_and_the_other_ids_stay(camvid_dir):
    images, labels = everything(datasets.load("camvid", data_dir=camvid_dir).validation)
    ids = np.rint(images[..., 0] * 255 / 20).astype(int)
    np.testing.assert_array_equal(labels, np.where(ids == 11, 255, ids))


@pytest.mark.parametrize("image_size", [(5, 7), (20, 31)])
def test_label_maps_are_resized_by_nearest_neighbour(camvid_dir, image_size):
    data = datasets.load("camvid", data_dir=camvid_dir, image_size=image_size)
    _, labels = everything(data.validation)
    _, original = everything(datasets.load("camvid", data_dir=camvid_dir).validation)
    rows, columns = (
        np.floor((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(image_size, (9, 12))
    )
    np.testing.assert_array_equal(labels, original[:, rows][:, :, columns])


def test_one_seed_gives_equal_epochs_and_two_epochs_differ(camvid_dir):
    def epochs(seed):
        train = datasets.load("camvid", data_dir=camvid_dir, seed=seed).train
        return [everything(train) for _ in range(2)]

    first, again, other = epochs(3), epochs(3), epochs(4)
    np.testing.assert_array_equal(first[0][0], again[0][0])
    np.testing.assert_array_equal(first[1][1], again[1][1])
    assert not np.array_equal(first[0][0], first[1][0])
    assert not np.array_equal(first[0][0], other[0][0])


def test_without_augmentation_an_epoch_is_the_training_split_reordered(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir, augment=False)
    first, second = everything(data.train)[0], everything(data.train)[0]
    assert not np.array_equal(first, second)
    assert {x.tobytes() for x in first} == {x.tobytes() for x in second}


def test_validation_comes_unchanged_and_in_order(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir)
    np.testing.assert_array_equal(everything(data.validation)[0], everything(data.validation)[0])


def test_hold_out_parts_the_training_split_alike_for_every_seed(camvid_dir):
    def parts(seed):
        data = datasets.load("camvid", data_dir=camvid_dir, augment=False, seed=seed)
        fitting, selection = data.hold_out(0.3)
        return pictures(fitting), pictures(selection), pictures(data.train)

    fitting, selection, train = parts(0)
    assert len(selection) == 3
    assert fitting.isdisjoint(selection)
    assert fitting | selection == train
    assert parts(1)[1] == selection


@pytest.mark.parametrize("fraction", [0, 1.5])
def test_hold_out_refuses_what_is_no_share(fraction):
    with pytest.raises(ValueError, match=f"between 0 and 1. Received: fraction={fraction}"):
        datasets.load("digits").hold_out(fraction)


def test_hold_out_holds_out_one_picture_at_least(camvid_dir):
    assert len(datasets.load("camvid", data_dir=camvid_dir).hold_out(0.01)[1]) == 1


def test_splits_know_their_length(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir, batch_size=4)
    assert (len(data.train), len(data.validation), data.test) == (3, 1, None)
    assert [len(part) for part in data.hold_out(0.3)] == [2, 1]


def test_camvid_with_a_test_folder_has_a_test_split(tmp_path):
    from tests.conftest import make_camvid

    folder = make_camvid(tmp_path, (("train", 3), ("val", 2), ("test", 5)))
    assert len(everything(datasets.load("camvid", data_dir=folder).test)[0]) == 5


def test_digits_have_three_disjoint_splits_of_all_ten_classes():
    data = datasets.load("digits", target="label")
    splits = [everything(split) for split in (data.train, data.validation, data.test)]
    assert [len(images) for images, _ in splits] == [1197, 300, 300]
    assert all(set(labels) == set(range(10)) for _, labels in splits)
    assert pictures(data.train).isdisjoint(pictures(data.test))


def test_digits_are_their_own_target_and_never_flipped():
    data = datasets.load("digits")
    images, targets = everything(data.train)
    np.testing.assert_array_equal(images, targets)
    assert pictures(data.train) == pictures(datasets.load("digits", augment=False).train)


def test_street_scenes_hold_images_labels_instances_and_depth(scenes_dir):
    arguments = {"data_dir": scenes_dir, "batch_size": 96, "image_size": (48, 64)}
    maps = {}
    for target in ("label", "instances", "depth"):
        data = datasets.load("street_scenes", target=target, **arguments)
        images, maps[target] = next(data.validation.as_numpy_iterator())
        assert images.shape == (96, 48, 64, 3)
    assert set(np.unique(maps["label"])) == {*range(8), 255}
    assert maps["label"].shape == maps["instances"].shape == (96, 48, 64)
    assert maps["depth"].shape == (96, 48, 64, 1)
    assert maps["depth"].dtype == np.float32
    things = maps["instances"] > 0
    assert set(np.unique(maps["label"][things])) <= {4, 5, 6, 7}


def test_mnist_that_is_not_there_and_not_to_be_downloaded_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="mnist is not prepared in .*download=True"):
        datasets.load("mnist", data_dir=tmp_path, download=False)


def test_mnist_splits_are_disjoint_and_complete(real_tfds):
    data = datasets.load("mnist", target="label", data_dir=real_tfds, batch_size=1000)
    splits = [data.train, data.validation, data.test]
    assert [sum(len(x) for x, _ in split) for split in splits] == [55_000, 5_000, 10_000]
    assert pictures(data.train).isdisjoint(pictures(data.validation))


def test_real_camvid_has_its_published_sizes(real_camvid):
    data = datasets.load("camvid", data_dir=real_camvid, image_size=(24, 32), batch_size=101)
    images, labels = everything(data.validation)
    assert images.shape == (101, 24, 32, 3)
    assert set(np.unique(labels)) == {*range(11), 255}
    assert sum(len(x) for x, _ in data.train) == 367


def test_the_docstring_tells_of_every_set():
    assert all(f"| `{name}` |" in datasets.load.__doc__ for name in datasets.SOURCES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"image_size": (0, 5)},
        {"image_size": (5,)},
        {"image_size": 32},
        {"augment": 2},
    ],
)
def test_wrong_arguments_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        datasets.load("digits", **wrong)
