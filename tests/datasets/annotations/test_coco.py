"""COCO: run lengths as pycocotools has them, categories, splits, and damaged files."""

import json

import numpy as np
import pytest
from pycocotools import mask as reference

from kerasseg.datasets.annotations import coco
from kerasseg.datasets.annotations.conversion import convert
from tests.datasets.annotations import sources


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 90)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_compressed_run_lengths_are_read_as_pycocotools_reads_them(size, share):
    mask = np.random.default_rng(0).random(size) < share
    rle = reference.encode(np.asfortranarray(mask.astype("uint8")))
    rle["counts"] = rle["counts"].decode()
    np.testing.assert_array_equal(coco.from_rle(rle, "a.json"), mask)


@pytest.mark.parametrize("counts", ["1", "~~~~", [3, -1, 4], [3.5, 2.5], [1, 2], None, "o" * 40])
def test_damaged_run_lengths_are_an_error(counts):
    with pytest.raises(ValueError, match="run lengths"):
        coco.from_rle({"size": [2, 3], "counts": counts}, "a.json")


def test_a_size_that_is_declared_is_no_reason_to_allocate_it():
    with pytest.raises(ValueError, match="run lengths of 6 pixels for a mask of"):
        coco.from_rle({"size": [10**9, 10**9], "counts": [6]}, "a.json")


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_ids_of_categories_need_not_begin_at_1_and_come_in_their_order(tmp_path):
    def change(content):
        content["categories"] = [{"id": 90, "name": "debris"}, {"id": 4, "name": "cell"}]
        for row in content["annotations"]:
            row["category_id"] = {1: 4, 2: 90}[row["category_id"]]

    convert(changed(sources.coco(tmp_path / "s"), change), tmp_path / "out")
    assert (tmp_path / "out/classes.txt").read_text().split() == ["background", "cell", "debris"]
    from PIL import Image

    mask = np.asarray(Image.open(tmp_path / "out" / "masks" / "a.png"))
    np.testing.assert_array_equal(mask, sources.label_map("a"))


def test_a_category_that_only_sums_up_the_others_is_left_out(tmp_path):
    def change(content):
        for row in content["categories"]:
            row["supercategory"] = "particles"
        content["categories"].insert(0, {"id": 0, "name": "particles", "supercategory": "none"})

    path = changed(sources.coco(tmp_path / "s"), change)
    assert coco.read(path).names == ("cell", "debris")


def test_an_unknown_category_is_void_and_reported(tmp_path):
    def change(content):
        content["annotations"][0]["category_id"] = 77

    result = convert(changed(sources.coco(tmp_path / "s"), change), tmp_path / "out")
    assert "'category 77' (1)" in result.findings[0].message
    assert result.pixels[255] == sources.mask_of(sources.OBJECTS["a"][0][1][0], (20, 31)).sum()


def test_boxes_without_an_outline_are_void(tmp_path):
    def change(content):
        content["annotations"][1] |= {"segmentation": [], "bbox": [22, 4, 7, 7]}

    result = convert(changed(sources.coco(tmp_path / "s"), change), tmp_path / "out")
    assert [finding.title for finding in result.findings] == ["boxes in place of outlines"]
    assert result.pixels[255] == 49


def test_files_are_splits_by_their_names_and_others_are_not_read(tmp_path):
    content = json.loads(sources.coco(tmp_path / "s").read_text())
    (tmp_path / "s/annotations/instances_default.json").unlink()
    for split, kept in (("train", 2), ("val", 1)):
        images = content["images"][:kept] if split == "train" else content["images"][2:]
        part = {**content, "images": images}
        ids = [row["id"] for row in images]
        part["annotations"] = [r for r in content["annotations"] if r["image_id"] in ids]
        sources.write_json(tmp_path / f"s/annotations/instances_{split}2017.json", part)
        sources.write_json(tmp_path / f"s/annotations/captions_{split}2017.json", part)
        (tmp_path / "s" / f"{split}2017").mkdir()
        for row in images:
            name = row["file_name"]
            (tmp_path / "s/images" / name).rename(tmp_path / "s" / f"{split}2017" / name)
    result = convert(tmp_path / "s", tmp_path / "out")
    assert result.findings == []
    assert result.images == {"train": 2, "validation": 1}
    assert (tmp_path / "out/val/masks/c.png").exists()


def test_images_may_lie_elsewhere_and_missing_ones_are_named(tmp_path):
    path = sources.coco(tmp_path / "s")
    (tmp_path / "s" / "images").rename(tmp_path / "photos")
    result = convert(path, tmp_path / "out")
    assert [finding.title for finding in result.errors] == ["annotations without an image"] * 3
    assert "names a.png, which is not there" in str(result)
    assert "--images" in result.errors[0].remedy
    assert convert(path, tmp_path / "out", images=tmp_path / "photos").findings == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("images", {}, "a list of images"),
        ("images", [3], "images with an id and a file_name"),
        ("images", [{"id": 7, "file_name": "a.png"}] * 2, "each image id once"),
        ("annotations", [{"image_id": 7}], "annotations with image_id and category_id"),
        ("categories", [{"id": 1}], "categories"),
        ("categories", [{"id": 1, "name": "a"}] * 2, "each category id once"),
        ("categories", [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}], "each category name once"),
    ],
)
def test_damaged_files_are_an_error(tmp_path, key, value, expected):
    path = changed(sources.coco(tmp_path / "s"), lambda content: content.update({key: value}))
    with pytest.raises(ValueError, match=f"should hold {expected}.*Received:"):
        convert(path, tmp_path / "out")


@pytest.mark.parametrize("shape", ["text", [[1, 2, "x"]], [3], {"size": [1], "counts": [1]}])
def test_damaged_shapes_stop_the_image(tmp_path, shape):
    def change(content):
        content["annotations"][0]["segmentation"] = shape

    result = convert(changed(sources.coco(tmp_path / "s"), change), tmp_path / "out")
    assert [f.title for f in result.errors] == ["annotations that cannot be read"]
    assert not result.written
