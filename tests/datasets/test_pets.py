"""Oxford-IIIT Pet, on random images."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg import datasets
from kerasseg.datasets import pets


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def pictures(batches):
    return {image.tobytes() for image in everything(batches)[0]}


SMALL = {"image_size": (24, 32), "batch_size": 4, "augment": False}


def record(ids):
    """An image and a trimap of one row, encoded."""
    images = np.zeros((1, len(ids), 3), "uint8"), np.array([ids], "uint8")[..., None]
    return dict(zip(pets.FEATURES, map(tf.io.encode_png, images)))


def test_pet_ids_1_to_3_become_0_to_2_and_others_void():
    builder = tfds.builder("oxford_iiit_pet")
    label = pets.read(record([1, 2, 3, 0]), builder)["label"]
    np.testing.assert_array_equal(label, [[0, 1, 2, 255]])


@pytest.mark.parametrize("ids", [[1, 2, 4], [255, 1, 2]])
def test_pet_ids_above_3_are_an_error(ids):
    builder = tfds.builder("oxford_iiit_pet")
    read = tf.data.Dataset.from_tensors(record(ids)).map(lambda x: pets.read(x, builder))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="trimap holds ids above 3. Expected 1"
    ):
        list(read)


def test_pet_splits_are_disjoint_and_complete(no_network):
    with no_network(num_examples=40):
        data = datasets.load("oxford_iiit_pet", **SMALL)
        train, validation = pictures(data.train), pictures(data.validation)
        assert (len(train), len(validation)) == (36, 4)
        assert train.isdisjoint(validation)
        again = datasets.load("oxford_iiit_pet", **SMALL, seed=9)
        assert pictures(again.validation) == validation


def test_pets_of_many_sizes_come_one_by_one(no_network):
    with no_network(num_examples=12):
        with pytest.raises(ValueError, match="differ in size .* Pass `image_size`"):
            datasets.load("oxford_iiit_pet")
        data = datasets.load("oxford_iiit_pet", batch_size=1)
        assert len({tuple(images.shape) for images, _ in data.train}) > 3
