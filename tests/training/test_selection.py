"""Which images are fitted on, choose, and score: never one image twice."""

import numpy as np
import pytest

from kerasseg import datasets
from kerasseg.training.selection import sample, select, with_source
from tests.datasets.folders import everything, ids, make_folder, picture, save


def load(folder, **options):
    return datasets.load("folder", data_dir=folder, batch_size=4, augment=0, **options)


def numbers(batches):
    """Which images these are, by their first pixel."""
    images, _ = everything(batches)
    return sorted(np.rint(images[:, 0, 0, 0] * 255).astype(int).tolist())


def pairs(folder, count):
    return make_folder(folder, [ids(seed, classes=3) for seed in range(count)])


@pytest.mark.parametrize(("count", "held"), [(15, 2), (30, 4), (75, 6)])
def test_held_out_training_images_choose_and_validation_scores(count, held, tmp_path):
    data = load(pairs(tmp_path, count))
    selection = select(data)
    assert (selection.chosen_on, selection.scored_on) == ("held-out training", "validation")
    fitting, choosing, scoring = (
        numbers(getattr(selection.data, split)) for split in ("train", "validation", "test")
    )
    assert scoring == numbers(data.validation)
    assert len(choosing) == held
    assert sorted(fitting + choosing) == numbers(data.train)
    assert numbers(select(data).data.validation) == choosing


def test_a_few_training_images_are_all_trained_on(tmp_path):
    data = load(pairs(tmp_path, 10))
    selection = select(data)
    assert (selection.chosen_on, selection.scored_on) == ("validation", "validation")
    assert numbers(selection.data.train) == numbers(data.train)
    assert numbers(selection.data.test) == numbers(data.validation)


def test_a_test_split_scores(tmp_path):
    for split, count in (("train", 20), ("val", 3), ("test", 2)):
        for i in range(count):
            save(picture(i), tmp_path / split / "images" / f"{i}.png")
            save(ids(i, classes=3), tmp_path / split / "masks" / f"{i}.png")
    data = load(tmp_path)
    selection = select(data)
    assert (selection.chosen_on, selection.scored_on) == ("validation", "test")
    assert selection.data is data


def test_the_counts_of_classes_are_those_of_the_images_that_are_fitted_on(tmp_path):
    data = load(pairs(tmp_path, 25))  # 20 of them to train on
    data = with_source(data, class_pixels=np.arange(20)[:, None] * np.ones((1, 3), int))
    assert select(data).data.class_pixels.shape == (16, 3)


def test_a_sample_of_training_images_is_the_same_each_time_and_not_augmented(tmp_path):
    data = datasets.load("folder", data_dir=pairs(tmp_path, 25), batch_size=4)
    chosen, again, everyone = (everything(sample(data, n))[0] for n in (2, 2, 99))
    np.testing.assert_array_equal(chosen, again)
    assert (len(chosen), len(everyone)) == (8, 20)
    training_images = numbers(with_source(data, augment=0).train)
    assert set(np.rint(chosen[:, 0, 0, 0] * 255).astype(int)) <= set(training_images)
