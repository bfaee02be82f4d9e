"""Label maps become polygons that pycocotools and `convert` read back within a pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as reference
from scipy.ndimage import distance_transform_edt

from kerasseg.datasets.annotations.coco_writer import CocoWriter, joined, outline_of
from kerasseg.datasets.annotations.conversion import convert
from kerasseg.datasets.annotations.drawing import fill
from tests.datasets.annotations import sources


def near_borders(labels):
    """Which pixels' centres lie within one pixel of a border, half a pixel from those beside it."""
    framed = np.pad(labels.astype(int), 1, constant_values=-1)
    sides = [framed == value for value in np.unique(labels)]
    near = np.any([side & (distance_transform_edt(side) <= 1.5) for side in sides], axis=0)
    return near[1:-1, 1:-1]


def blobs(size, seed):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=size), 3)
    return np.digitize(noise, np.quantile(noise, (0.5, 0.8))).astype("uint8")


@pytest.mark.parametrize("seed", range(3))
def test_predictions_come_back_within_one_pixel_of_each_outline(tmp_path, seed):
    labels = blobs((60, 83), seed)
    Image.new("RGB", (83, 60)).save(tmp_path / "x.png")
    writer = CocoWriter(sources.NAMES)
    writer.add("x.png", labels)
    (tmp_path / "annotations.json").write_text(writer.text())
    convert(tmp_path / "annotations.json", tmp_path.parent / f"out {seed} of {tmp_path.name}")
    out = tmp_path.parent / f"out {seed} of {tmp_path.name}"
    back = np.asarray(Image.open(out / "masks" / "x.png"))
    assert not ((back != labels) & ~near_borders(labels)).any()
    assert (back != labels).mean() < 0.05
    assert (out / "classes.txt").read_text().split() == list(sources.NAMES)


def test_the_three_images_go_there_and_back(tmp_path):
    convert(sources.yolo(tmp_path / "s"), tmp_path / "out")
    writer = CocoWriter(sources.NAMES)
    for name in sources.SIZES:
        writer.add(f"{name}.png", sources.label_map(name))
    (tmp_path / "annotations.json").write_text(writer.text())
    images = tmp_path / "out" / "images"
    assert convert(tmp_path / "annotations.json", tmp_path / "back", images=images).findings == []
    for name in sources.SIZES:
        labels = sources.label_map(name)
        back = np.asarray(Image.open(tmp_path / "back" / "masks" / f"{name}.png"))
        assert not ((back != labels) & ~near_borders(labels)).any()


def filled(outline, size):
    pixels, (top, left) = fill(outline, size)
    mask = np.zeros(size, bool)
    mask[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        [[1]],
        [[1, 1, 1]],
        [[1], [1]],
        [[1, 1], [1, 0]],
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
        [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [1, 1, 1, 1, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    ],
)
def test_small_objects_and_holes_come_back_exactly(mask):
    mask = np.array(mask) > 0
    np.testing.assert_array_equal(filled(outline_of(mask), mask.shape), mask)


def test_holes_are_holes_for_pycocotools_too():
    mask = np.ones((30, 40), bool)
    mask[8:20, 10:25] = False
    mask[22:27, 30:36] = False
    (rle,) = reference.frPyObjects([outline_of(mask).ravel().tolist()], 30, 40)
    assert np.count_nonzero((reference.decode(rle) > 0) != mask) < 40


def test_a_line_to_a_hole_is_run_in_both_directions():
    outline, hole = np.array([[0, 0], [0, 9], [9, 9], [9, 0]]), np.array([[4, 4], [4, 5], [5, 5]])
    ring = joined(outline, hole)
    assert len(ring) == len(outline) + len(hole) + 2


def test_the_file_is_what_pycocotools_reads(tmp_path):
    from pycocotools.coco import COCO

    writer = CocoWriter(sources.NAMES)
    for name in sources.SIZES:
        writer.add(f"{name}.png", sources.label_map(name))
    (tmp_path / "annotations.json").write_text(writer.text())
    theirs = COCO(str(tmp_path / "annotations.json"))
    assert [category["name"] for category in theirs.loadCats(theirs.getCatIds())] == [
        "cell",
        "debris",
    ]
    for image_id, name in zip(theirs.getImgIds(), sources.SIZES):
        labels = np.zeros(sources.SIZES[name], "uint8")
        for row in theirs.loadAnns(theirs.getAnnIds(image_id)):
            mask = theirs.annToMask(row) > 0
            labels[mask] = row["category_id"] - 1
            x, y, width, height = row["bbox"]
            assert mask[y : y + height, x : x + width].sum() == mask.sum()
            assert row["area"] == pytest.approx(mask.sum(), rel=0.15)
        truth = sources.label_map(name)
        assert not ((labels != truth) & ~near_borders(truth)).any()


def test_of_several_labels_each_has_its_own_objects():
    labels = np.zeros((6, 8, 2), "uint8")
    labels[1:4, 1:4, 0] = labels[2:5, 2:7, 1] = 1
    writer = CocoWriter(("edge", "cell"), multi_label=True)
    writer.add("x.png", labels)
    rows = json.loads(writer.text())["annotations"]
    assert [(row["category_id"], row["area"]) for row in rows] == [(1, 9), (2, 15)]
