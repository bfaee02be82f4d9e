"""Drawn streets: the same everywhere, and what they show fits together."""

import zlib

import numpy as np
import pytest

from kerasseg.datasets import street_drawing
from kerasseg.datasets.street_drawing import (
    CAR,
    CLASS_NAMES,
    COLOURS,
    PERSON,
    ROAD,
    SKY,
    SKY_DEPTH,
    VOID,
    draw_scene,
)

CHECKSUMS = {
    "image": 4205443904,
    "label": 1635403991,
    "instances": 1506523002,
    "depth": 1520085637,
}


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene((0, index)) for index in range(36)]


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_seed_is_one_image(scenes):
    assert same(draw_scene((0, 3)), scenes[3])
    assert same(draw_scene([0, 3]), scenes[3])


def test_no_two_seeds_are_one_image(scenes):
    others = [draw_scene((split, index)) for split in (1, 2) for index in range(3)]
    pictures = {scene["image"].tobytes() for scene in scenes + others}
    assert len(pictures) == len(scenes) + len(others)


def test_a_seed_is_the_same_bytes_on_every_machine(scenes):
    checksums = {name: zlib.crc32(array.tobytes()) for name, array in scenes[0].items()}
    assert checksums == CHECKSUMS


@pytest.mark.parametrize(("height", "width"), [(192, 256), (37, 53), (1, 1)])
def test_shapes_and_types_are_as_promised(height, width):
    scene = draw_scene(5, height, width)
    assert {name: (array.shape, array.dtype) for name, array in scene.items()} == {
        "image": ((height, width, 3), np.uint8),
        "label": ((height, width), np.uint8),
        "instances": ((height, width), np.uint16),
        "depth": ((height, width), np.float32),
    }


def test_every_class_has_its_own_colour():
    assert len({tuple(colour) for colour in COLOURS.tolist()}) == len(CLASS_NAMES) == 8


def test_every_class_occurs_and_nothing_else(scenes):
    ids = np.unique([scene["label"] for scene in scenes])
    assert ids.tolist() == [*range(8), VOID]


def test_classes_are_strongly_unbalanced(scenes):
    counts = np.bincount(np.ravel([scene["label"] for scene in scenes]), minlength=256)[:8]
    share = dict(zip(CLASS_NAMES, counts / counts.sum()))
    assert counts.max() > 50 * counts.min()
    assert max(share["person"], share["pole"], share["sign"]) < 0.02


def without_void(seed, monkeypatch):
    """The scene before its borders are made void, and one number an object."""
    with monkeypatch.context() as patch:
        patch.setattr(street_drawing, "void_band", lambda label, *_: np.zeros(label.shape, bool))
        scene = draw_scene(seed)
    return scene, scene["label"].astype(int) * 1000 + scene["instances"]


def test_void_is_where_two_objects_meet(scenes, monkeypatch):
    _, objects = without_void((0, 1), monkeypatch)
    around = np.pad(objects, 1, mode="edge")
    shifts = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    border = np.any([objects != shifted for shifted in shifts], axis=0)
    void = scenes[1]["label"] == VOID
    assert void.any()
    assert not np.any(void & ~border)


def test_void_parts_all_objects(scenes):
    for scene in scenes:
        label, instances = scene["label"], scene["instances"]
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            inside = (label[one] != VOID) & (label[other] != VOID)
            assert np.array_equal(label[one][inside], label[other][inside])
            assert np.array_equal(instances[one][inside], instances[other][inside])


def test_things_have_instances_and_stuff_has_none(scenes):
    for scene in scenes:
        thing = (scene["label"] >= CAR) & (scene["label"] != VOID)
        assert np.array_equal(scene["instances"] > 0, thing)


def test_instances_are_counted_from_1_and_lie_in_one_class(scenes):
    for scene in scenes:
        ids = np.unique(scene["instances"])
        assert ids.tolist() == list(range(len(ids)))
        pairs = np.unique(scene["label"].astype(int) * 10_000 + scene["instances"])
        assert np.count_nonzero(pairs % 10_000) == len(ids) - 1


def test_the_sky_is_farthest_and_nothing_touches_the_camera(scenes):
    for scene in scenes:
        sky = scene["label"] == SKY
        assert np.all(scene["depth"][sky] == SKY_DEPTH)
        assert np.all(scene["depth"][~sky & (scene["label"] != VOID)] < SKY_DEPTH)
        assert scene["depth"].min() > 1


def test_the_road_comes_nearer_row_by_row(scenes):
    for scene in scenes:
        column = np.argmax((scene["label"] == ROAD).sum(axis=0))
        rows = np.flatnonzero(scene["label"][:, column] == ROAD)
        assert len(rows) > 50
        assert np.all(np.diff(scene["depth"][rows, column]) < 0)


def test_the_road_is_a_plane_below_the_camera(scenes):
    """On flat ground 1 / depth is linear in the row, from 0 at the horizon."""
    for scene in scenes:
        rows = np.flatnonzero(np.all(scene["label"][:, 100:103] == ROAD, axis=1))
        inverse = 1 / scene["depth"][rows, 101].astype("float64")
        steps = np.diff(inverse) / np.diff(rows)
        np.testing.assert_allclose(steps, 1 / (1.5 * 256), rtol=1e-3)


def test_a_person_stands_on_the_ground_at_its_own_depth(scenes):
    """On the ground, 1 / depth grows by the same step from row to row."""
    step, found = 1 / (1.5 * 256), 0
    for scene in scenes:
        for person in np.unique(scene["instances"][scene["label"] == PERSON]):
            rows, columns = np.nonzero(scene["instances"] == person)
            row, column = rows.max(), columns[rows.argmax()]
            if row + 2 < 192 and scene["label"][row + 2, column] == ROAD:
                foot, ground = 1 / scene["depth"][[row, row + 2], column].astype("float64")
                assert 0 < ground - foot < 2 * step
                found += 1
    assert found > 20
