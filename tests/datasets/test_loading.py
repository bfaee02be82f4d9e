"""What `load` promises of every data set: types, ranges, splits, order; and its arguments."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from kerasseg import datasets
from kerasseg.datasets import loading
from tests.conftest import environment


def everything(batches):
    images, targets = zip(*batches.as_numpy_iterator())
    return np.concatenate(images), np.concatenate(targets)


def pictures(batches):
    return {image.tobytes() for image in everything(batches)[0]}


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


def test_hold_out_divides_the_training_split_alike_for_every_seed(camvid_dir):
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


def test_hold_out_holds_out_at_least_one_image(camvid_dir):
    assert len(datasets.load("camvid", data_dir=camvid_dir).hold_out(0.01)[1]) == 1


def test_splits_know_their_length(camvid_dir):
    data = datasets.load("camvid", data_dir=camvid_dir, batch_size=4)
    assert (len(data.train), len(data.validation), data.test) == (3, 1, None)
    assert [len(part) for part in data.hold_out(0.3)] == [2, 1]


def test_the_docstring_tells_of_every_data_set():
    assert all(f"| `{name}` |" in datasets.load.__doc__ for name in datasets.SOURCES)


def test_every_data_set_has_its_function():
    assert all(callable(loading.source_function(name)) for name in datasets.SOURCES)


def test_a_wrong_name_gives_the_list_and_the_nearest_one():
    with pytest.raises(ValueError, match="one of digits, .*, folder. Received: name='nosuch'"):
        datasets.load("nosuch")
    with pytest.raises(ValueError, match="Did you mean 'camvid'. Received: name='camvide'"):
        datasets.load("camvide")


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("digits", {"data_dir": "somewhere"}),
        ("digits", {"skip_damaged": True}),
        ("digits", {"colours": {"road": (1, 2, 3)}}),
        ("street_scenes", {"skip_damaged": True}),
        ("mnist", {"skip_damaged": True}),
        ("oxford_iiit_pet", {"colours": {"road": (1, 2, 3)}}),
        ("camvid", {"colours": {"road": (1, 2, 3)}}),
        ("nuclei", {"skip_damaged": True}),
    ],
)
def test_an_argument_that_a_source_does_not_take_is_an_error(name, argument):
    (key,) = argument
    with pytest.raises(
        ValueError, match=f"{name} takes no `{key}`: leave it out. Received: {key}="
    ):
        datasets.load(name, **argument)


def test_every_source_names_its_arguments():
    """What they swallowed, `load` could not call an error."""
    for name in datasets.SOURCES:
        parameters = inspect.signature(loading.source_function(name)).parameters.values()
        assert all(p.kind is not p.VAR_KEYWORD and p.default is not p.empty for p in parameters)
        known = {"data_dir", "download", "colours", "skip_damaged", "keep"}
        assert {p.name for p in parameters} <= known


def test_what_never_downloads_takes_download_false():
    assert len(datasets.load("digits", download=False).test) == 38


def test_only_public_names_are_listed():
    assert dir(datasets) == ["Dataset", "SOURCES", "Source", "corruptions", "load"]
    assert all(hasattr(datasets, name) for name in dir(datasets))


WITHOUT = """
import sys
for name in {absent}:
    sys.modules[name] = None
import kerasseg.datasets
from kerasseg import check_batch
assert "tensorflow_datasets" not in sys.modules or sys.modules["tensorflow_datasets"] is None
try:
    kerasseg.datasets.load("digits")
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("backend", "absent", "words"),
    [
        ("torch", ["tensorflow", "tensorflow_datasets", "sklearn"], "TensorFlow is needed"),
        ("tensorflow", ["tensorflow_datasets"], "TensorFlow Datasets is needed"),
        ("tensorflow", ["sklearn"], "scikit-learn is needed"),
    ],
)
def test_a_missing_package_is_one_line_with_the_install_command(backend, absent, words):
    pytest.importorskip(backend)
    code = WITHOUT.format(absent=absent)
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment(backend),
    )
    assert result.stdout.startswith(words)
    assert 'pip install ".[book]"' in result.stdout
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"image_size": (0, 5)},
        {"image_size": (5,)},
        {"image_size": 32},
        {"image_size": (2.5, 3)},
        {"seed": 0.5},
        {"seed": None},
        {"seed": 2**64},
        {"batch_size": True},
        {"image_size": (True, 8)},
        {"augment": 2},
    ],
)
def test_wrong_arguments_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        datasets.load("digits", **wrong)
