"""Drawn streets as a data set, prepared without a network."""

import socket

import numpy as np
import pytest

from kerasseg import datasets
from kerasseg.datasets import street_scenes
from kerasseg.datasets.street_drawing import draw_scene
from kerasseg.datasets.street_scenes import StreetScenes


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked for")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def test_the_dataset_is_what_draw_scene_draws(tmp_path, monkeypatch, offline):
    monkeypatch.setattr(StreetScenes, "SIZES", {"train": 3, "validation": 2, "test": 1})
    builder = StreetScenes(data_dir=tmp_path)
    builder.download_and_prepare()
    for number, (split, size) in enumerate(StreetScenes.SIZES.items()):
        drawn = {index: draw_scene((number, index)) for index in range(size)}
        drawn = {scene["image"].tobytes(): scene for scene in drawn.values()}
        for example in builder.as_dataset(split=split).as_numpy_iterator():
            scene = drawn.pop(example["image"].tobytes())
            assert np.array_equal(example["label"][..., 0], scene["label"])
            assert np.array_equal(example["instances"][..., 0], scene["instances"])
            assert np.allclose(example["depth"][..., 0] / 100, scene["depth"], atol=0.0051)
        assert not drawn


def test_an_interrupted_preparation_leaves_no_dataset(tmp_path, monkeypatch):
    def interrupt(seed):
        raise KeyboardInterrupt

    monkeypatch.setattr(street_scenes, "draw_scene", interrupt)
    with pytest.raises(KeyboardInterrupt):
        StreetScenes(data_dir=tmp_path).download_and_prepare()
    assert not list(tmp_path.rglob("*.tfrecord*"))
    assert not StreetScenes(data_dir=tmp_path).is_prepared()


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
