"""Recommended options follow from what lies in the folder and what the machine has."""

import numpy as np
import pytest

from kerasseg.datasets import folder as folders
from kerasseg.datasets.recommend import Advice, Facts, advise, command, facts_of, recommend
from tests.datasets.folders import make_folder, picture, save

GB = 10**9


def facts(**changes):
    default = {"count": 30, "sizes": ((300, 400),) * 30, "diameter": 20.0, "places": {}}
    return Facts(**{**default, "memory": 16 * GB, "cores": 2, **changes})


def options(given=None, **changes):
    return {each.option: each.value for each in advise(facts(**changes), given or {})}


def test_parts_are_cut_from_large_images_with_small_objects():
    chosen = options(sizes=((1000, 1400), (900, 1500)))
    assert chosen["patch"] == (256, 256)
    assert "image_size" not in chosen


def test_parts_are_no_larger_than_the_smallest_image():
    assert options(sizes=((200, 700), (400, 400)))["patch"] == (192, 192)
    assert options(sizes=((20, 700), (400, 400)))["patch"] == (32, 32)


def test_small_images_of_one_size_stay_whole():
    chosen = options(sizes=((180, 240),) * 5)
    assert chosen["image_size"] == (192, 256)
    assert "patch" not in chosen


def test_images_that_an_object_fills_are_shrunk_and_shown_whole():
    chosen = options(sizes=((1000, 2000),) * 5, diameter=700.0)
    assert chosen["image_size"] == (192, 352)
    assert "patch" not in chosen
    assert abs(np.prod(chosen["image_size"]) / 256**2 - 1) < 0.1


def test_large_objects_in_larger_images_are_shrunk_and_then_cut():
    chosen = options(sizes=((4000, 6000),) * 5, diameter=640.0)
    assert chosen["image_size"] == (800, 1216)  # a fifth, so that an object has 128 pixels
    assert chosen["patch"] == (256, 256)


@pytest.mark.parametrize(("memory", "size"), [(16 * GB, 8), (3 * GB, 4), (GB // 10, 1), (None, 8)])
def test_batches_fit_into_the_memory(memory, size):
    assert options(memory=memory)["batch_size"] == size


def test_the_length_depends_on_the_machine_and_on_large_sets_alone():
    assert options(count=30) == options(count=200)
    assert options(count=5000)["steps"] == options()["steps"]
    assert options(count=5000)["epochs"] > options()["epochs"]
    assert options(cores=8)["epochs"] > 3 * options()["epochs"]
    few = options(count=5000)
    assert few["epochs"] * few["steps"] * few["batch_size"] >= 20 * 5000


def test_what_is_given_is_left_alone_and_the_rest_fits_it():
    chosen = options({"image_size": (96, 128)})
    assert not {"image_size", "patch"} & chosen.keys()
    assert chosen["epochs"] > options()["epochs"]  # smaller images, more of them
    assert "patch" not in options({"patch": (64, 64)})
    assert "steps" not in options({"epochs": 5})  # then an epoch is a pass over the images
    assert options({"epochs": 5, "steps": 3}).keys().isdisjoint({"epochs", "steps"})
    assert "flips" not in options({"flips": False})


def test_images_are_turned_around_if_no_class_tells_up_from_down():
    rng = np.random.default_rng(0)
    anywhere = list(0.5 + 0.1 * rng.normal(size=20))
    sky = list(0.2 + 0.1 * rng.normal(size=20))
    assert options(places={"cell": anywhere})["flips"] is True
    assert options(places={"cell": anywhere, "sky": sky})["turns"] is False
    assert options(places={"cell": anywhere, "rare": sky[:3]})["turns"] is True
    assert options(places={"cell": anywhere[:3]})["flips"] is False
    assert options(places={})["flips"] is False


def test_facts_are_those_of_the_files(tmp_path):
    for i in range(10):
        mask = np.zeros((40, 60), "uint8")
        mask[2:12, 3 * i : 3 * i + 10] = 1  # an object of 10 x 10 in the upper part
        mask[20, 50] = 1  # and a speck
        save(picture(i, size=(40, 60)), tmp_path / "images" / f"{i}.png")
        save(mask, tmp_path / "masks" / f"{i}.png")
    found = facts_of(folders.find(tmp_path))
    assert (found.count, set(found.sizes)) == (8, {(40, 60)})  # two validate
    assert found.diameter == 10
    row = (100 * 6.5 + 20) / 101 + 0.5
    np.testing.assert_allclose(found.places["class 1"], row / 40)
    assert {each.option: each.value for each in recommend(tmp_path)}["flips"] is False


def test_labels_of_their_own_masks_are_measured_one_by_one(tmp_path):
    for i in range(5):
        save(picture(i, size=(40, 60)), tmp_path / "images" / f"{i}.png")
        for label, side in (("edge", 4), ("cell", 12)):
            mask = np.zeros((40, 60), "uint8")
            mask[10 : 10 + side, 20 : 20 + side] = 255
            save(mask, tmp_path / "masks" / label / f"{i}.png")
    found = facts_of(folders.find(tmp_path))
    assert found.diameter == 12
    assert found.places.keys() == {"edge", "cell"}


def test_damaged_files_do_not_count(tmp_path):
    path = make_folder(tmp_path, [np.tile([[0, 1]], (8, 9)).astype("uint8") for _ in range(6)])
    (path / "images" / "00.png").write_bytes(b"")
    (path / "masks" / "01.png").write_bytes(b"")
    assert len(facts_of(folders.find(path)).sizes) >= 3


def test_the_command_can_be_pasted_and_names_a_reason_for_each_option():
    advice = [Advice("patch", (64, 64), "small objects"), Advice("flips", False, "an up")]
    assert command("my cells", advice).splitlines() == [
        "kerasseg train 'my cells' --patch 64 64",
        "  --patch 64 64  small objects",
        "  --no-flips     an up",
    ]
