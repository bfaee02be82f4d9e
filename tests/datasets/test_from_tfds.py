"""Sets of TensorFlow Datasets: its real loading code, on random pictures or on the real MNIST."""

from functools import partial
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg import datasets
from kerasseg.datasets import cityscapes, from_tfds, pets

SMALL = {"image_size": (24, 32), "batch_size": 4, "augment": False}


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def pictures(batches):
    return {image.tobytes() for image in everything(batches)[0]}


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """`tfds.testing.mock_data` in a folder of its own; its trimaps hold what trimaps may hold."""

    def decode(record, builder, names):
        images = from_tfds_decode(record, builder, names)
        return [x % 4 if name == "segmentation_mask" else x for name, x in zip(names, images)]

    from_tfds_decode = from_tfds.decode
    monkeypatch.setattr(from_tfds, "decode", decode)
    return partial(tfds.testing.mock_data, data_dir=tmp_path)


@pytest.mark.parametrize("name", ["oxford_iiit_pet", "cityscapes"])
def test_batches_have_the_types_and_ranges_of_the_conventions(name, no_network):
    with no_network(num_examples=6):
        images, labels = next(iter(datasets.load(name, **SMALL).train))
    assert images.shape == (4, 24, 32, 3)
    assert labels.shape == (4, 24, 32)
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int32)
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1


@pytest.mark.parametrize("module", [pets, cityscapes])
def test_every_class_has_a_name_and_a_colour_of_its_own(module):
    assert len(set(module.CLASS_NAMES)) == len({tuple(c) for c in module.COLOURS.tolist()})
    assert module.COLOURS.shape == (len(module.CLASS_NAMES), 3)


def encoded(array):
    return tf.io.encode_png(array)


def test_pet_ids_1_to_3_become_0_to_2_and_others_void():
    builder = tfds.builder("oxford_iiit_pet")
    mask = np.array([[1, 2, 3, 0]], "uint8")[..., None]
    record = {"image": encoded(np.zeros((1, 4, 3), "uint8")), "segmentation_mask": encoded(mask)}
    label = pets.read(record, builder)["label"]
    np.testing.assert_array_equal(label, [[0, 1, 2, 255]])


def test_cityscapes_ids_become_the_19_train_ids_and_others_void():
    builder = tfds.builder(cityscapes.NAME)
    ids = np.resize(np.arange(256), (1024, 2048, 1)).astype("uint8")
    images = {"image_left": encoded(np.zeros((1024, 2048, 3), "uint8"))}
    label = cityscapes.read({**images, "segmentation_label": encoded(ids)}, builder)["label"]
    expected = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
    expected |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    np.testing.assert_array_equal(
        label.numpy().ravel()[:256], [expected.get(i, 255) for i in range(256)]
    )
    assert cityscapes.CLASS_NAMES[13] == "car"


def test_pet_splits_are_disjoint_and_complete(no_network):
    with no_network(num_examples=40):
        data = datasets.load("oxford_iiit_pet", **SMALL)
        train, validation = pictures(data.train), pictures(data.validation)
        assert (len(train), len(validation)) == (36, 4)
        assert train.isdisjoint(validation)
        again = datasets.load("oxford_iiit_pet", **SMALL, seed=9)
        assert pictures(again.validation) == validation


@pytest.mark.parametrize(
    ("name", "splits"),
    [
        ("oxford_iiit_pet", {"train", "test"}),
        ("cityscapes", {"train", "validation"}),
        ("mnist", {"train", "test"}),
        ("fashion_mnist", {"train", "test"}),
    ],
)
def test_whole_splits_of_tfds_are_read_and_none_twice(name, splits, no_network):
    builder = tfds.core.DatasetBuilder
    with (
        no_network(num_examples=12),
        mock.patch.object(
            builder, "as_dataset", autospec=True, side_effect=builder.as_dataset
        ) as as_dataset,
    ):
        datasets.load(name, image_size=(24, 32))
    asked = [call.kwargs["split"] for call in as_dataset.call_args_list]
    assert sorted(asked) == sorted(splits)


def test_cityscapes_has_no_test_split(no_network):
    with no_network(num_examples=2):
        assert datasets.load("cityscapes", **SMALL).test is None


def test_pets_of_many_sizes_come_one_by_one(no_network):
    with no_network(num_examples=12):
        with pytest.raises(ValueError, match="differ in size .* Pass `image_size`"):
            datasets.load("oxford_iiit_pet")
        data = datasets.load("oxford_iiit_pet", batch_size=1)
        assert len({tuple(images.shape) for images, _ in data.train}) > 3


@pytest.mark.parametrize(
    ("name", "first", "last"), [("mnist", "0", "9"), ("fashion_mnist", "T-shirt/top", "Ankle boot")]
)
def test_the_mnist_family_has_names_and_a_validation_split(name, first, last, no_network):
    with no_network(num_examples=24):
        data = datasets.load(name, target="label")
        assert (data.class_names[0], data.class_names[-1]) == (first, last)
        assert pictures(data.train).isdisjoint(pictures(data.validation))
        images, labels = everything(data.validation)
    assert images.shape == (2, 28, 28, 1)
    assert labels.dtype == np.int32
    assert set(labels) <= set(range(10))


@pytest.mark.parametrize("name", ["fashion_mnist", "oxford_iiit_pet", "cityscapes"])
def test_a_set_that_is_not_there_and_not_to_be_downloaded_says_so(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"{name}.* is not prepared in .*download=True"):
        datasets.load(name, data_dir=tmp_path, download=False)


def test_cityscapes_that_is_not_there_says_where_to_get_it_and_where_to_put_it(tmp_path):
    where = f"cityscapes-dataset.com.*gtFine_trainvaltest.zip.*{tmp_path}/downloads/manual"
    with pytest.raises(FileNotFoundError, match=f"(?s)could not be prepared in .*{where}"):
        datasets.load("cityscapes", data_dir=tmp_path)


def test_encoded_records_decode_to_the_pictures_of_the_plain_ones(real_tfds):
    builder = from_tfds.prepared("mnist", real_tfds, download=False)
    plain = from_tfds.records(builder, "test").take(20)
    encoded_records = from_tfds.encoded_records(builder, "test", ("image",)).take(20)
    for record, encoded_record in zip(plain, encoded_records):
        assert list(encoded_record) == ["image"]
        (image,) = from_tfds.decode(encoded_record, builder, ("image",))
        np.testing.assert_array_equal(image, record["image"])
