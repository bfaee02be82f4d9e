"""Cityscapes, on random images."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasseg import datasets
from kerasseg.datasets import cityscapes


def test_cityscapes_ids_become_the_19_train_ids_and_others_void():
    builder = tfds.builder(cityscapes.NAME)
    ids = np.resize(np.arange(256), (1024, 2048, 1)).astype("uint8")
    images = map(tf.io.encode_png, (np.zeros((1024, 2048, 3), "uint8"), ids))
    label = cityscapes.read(dict(zip(cityscapes.FEATURES, images)), builder)["label"]
    expected = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
    expected |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    np.testing.assert_array_equal(
        label.numpy().ravel()[:256], [expected.get(i, 255) for i in range(256)]
    )
    assert cityscapes.CLASS_NAMES[13] == "car"


def test_cityscapes_has_no_test_split(no_network):
    with no_network(num_examples=2):
        assert datasets.load("cityscapes", image_size=(24, 32)).test is None


def test_cityscapes_that_is_not_there_says_where_to_get_it_and_where_to_put_it(tmp_path):
    where = f"cityscapes-dataset.com.*gtFine_trainvaltest.zip.*{tmp_path}/downloads/manual"
    with pytest.raises(FileNotFoundError, match=f"could not be prepared in .*{where}"):
        datasets.load("cityscapes", data_dir=tmp_path)
