"""The digits of scikit-learn, MNIST and Fashion-MNIST."""

import numpy as np
import pytest

from kerasseg import datasets


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def pictures(batches):
    return {image.tobytes() for image in everything(batches)[0]}


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


def test_mnist_that_is_not_there_and_not_to_be_downloaded_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="mnist is not prepared in .*download=True"):
        datasets.load("mnist", data_dir=tmp_path, download=False)


def test_mnist_splits_are_disjoint_and_complete(real_tfds):
    data = datasets.load("mnist", target="label", data_dir=real_tfds, batch_size=1000)
    train, validation, test = (
        everything(split)[0] for split in (data.train, data.validation, data.test)
    )
    assert [len(train), len(validation), len(test)] == [55_000, 5_000, 10_000]
    assert {image.tobytes() for image in train}.isdisjoint(image.tobytes() for image in validation)


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
