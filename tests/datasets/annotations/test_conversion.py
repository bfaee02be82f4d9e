"""Four formats give the same folder; what cannot be drawn is told; the source stays as it is."""

import json
import os
import re

import numpy as np
import pytest
from PIL import ExifTags, Image

from kerasseg import check_dataset
from kerasseg.datasets.annotations import conversion
from kerasseg.datasets.annotations.conversion import class_ids, convert, natural
from kerasseg.datasets.annotations.objects import Annotations
from tests.datasets import folders
from tests.datasets.annotations import sources

MAKERS = {
    "coco": sources.coco,
    "coco with run lengths": lambda folder: sources.coco(folder, rle=True),
    "labelme": sources.labelme,
    "yolo": sources.yolo,
    "voc": sources.voc,
}


def masks_in(folder):
    return {path.stem: np.asarray(Image.open(path)) for path in folder.glob("masks/*.png")}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_format_gives_the_same_folder_and_stays_as_it_is(tmp_path, kind):
    source = MAKERS[kind](tmp_path / "source")
    before = sources.contents(tmp_path / "source")
    result = convert(source, tmp_path / "out")
    assert result.written
    assert result.findings == []
    assert sources.contents(tmp_path / "source") == before
    assert (tmp_path / "out" / "classes.txt").read_text() == "background\ncell\ndebris\n"
    for name in sources.SIZES:
        mask = Image.open(tmp_path / "out" / "masks" / f"{name}.png")
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.asarray(mask), sources.label_map(name))
        image = np.asarray(Image.open(tmp_path / "out" / "images" / f"{name}.png"))
        np.testing.assert_array_equal(image, sources.picture(name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_the_output_is_a_folder_that_load_and_check_understand(tmp_path):
    convert(sources.labelme(tmp_path / "source"), tmp_path / "out")
    assert check_dataset(tmp_path / "out").findings == []
    data = folders.load(tmp_path / "out")
    assert data.class_names == sources.NAMES
    shapes = {tuple(labels.shape[1:]) for _, labels in [*data.train, *data.validation]}
    assert shapes == set(sources.SIZES.values())


def one_image(folder, shapes, size=(10, 12), **more):
    """A LabelMe folder with one image."""
    folder.mkdir()
    Image.new("RGB", size[::-1], (90, 20, 30)).save(folder / "x.png")
    shapes = [{"label": label, "points": points, **more} for label, points in shapes]
    content = {"shapes": shapes, "imagePath": "x.png", "imageHeight": size[0]}
    sources.write_json(folder / "x.json", {**content, "imageWidth": size[1]})
    return folder


def square(left, top, side):
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


def test_the_smaller_of_two_objects_lies_on_top_and_the_overlap_is_reported(tmp_path):
    shapes = [("small", square(4, 4, 3)), ("large", square(1, 1, 8))]
    result = convert(one_image(tmp_path / "s", shapes), tmp_path / "out")
    mask = masks_in(tmp_path / "out")["x"]
    expected = np.zeros((10, 12), int)
    expected[1:9, 1:9], expected[4:7, 4:7] = 1, 2  # large, small: sorted
    np.testing.assert_array_equal(mask, expected)
    (finding,) = result.findings
    assert finding.title == "objects of different classes that overlap"
    assert "9 pixels" in finding.message
    assert "9 pixels belong to objects of different classes" in str(result)


def test_objects_of_one_class_may_overlap(tmp_path):
    shapes = [("cell", square(4, 4, 3)), ("cell", square(1, 1, 5))]
    assert convert(one_image(tmp_path / "s", shapes), tmp_path / "out").findings == []


def test_what_lies_outside_the_image_is_cut_off_and_reported(tmp_path):
    shapes = [("cell", square(8, 7, 9)), ("cell", square(40, 40, 3)), ("cell", square(-0.5, 0, 3))]
    result = convert(one_image(tmp_path / "s", shapes), tmp_path / "out")
    expected = np.zeros((10, 12), int)
    expected[7:, 8:] = expected[:3, :2] = 1
    np.testing.assert_array_equal(masks_in(tmp_path / "out")["x"], expected)
    (finding,) = result.findings
    assert finding.title == "objects that reach outside the image"
    assert "2 objects leave the image of x.json by up to 33 pixels" in finding.message


def test_unknown_names_become_void_and_are_reported(tmp_path):
    source = one_image(tmp_path / "s", [("cell", square(0, 0, 4)), ("cel", square(6, 6, 3))])
    (tmp_path / "names.txt").write_text("cell\nother\n")
    result = convert(source, tmp_path / "out", classes=tmp_path / "names.txt")
    mask = masks_in(tmp_path / "out")["x"]
    assert (mask[6:9, 6:9] == 255).all()
    assert result.names == ("background", "cell", "other")
    (finding,) = result.findings
    assert finding.title == "names that are not on the list of classes"
    assert "'cel' (1)" in finding.message


def test_two_classes_and_void_are_read_back_as_such(tmp_path):
    source = one_image(tmp_path / "s", [("cell", square(0, 0, 4)), ("cel", square(6, 6, 3))])
    (tmp_path / "names.txt").write_text("cell\n")
    convert(source, tmp_path / "out", classes=tmp_path / "names.txt")
    report = check_dataset(tmp_path / "out")
    assert report.class_names == ("background", "cell")
    assert report.total.void_pixels == 9
    assert report.total.class_pixels.tolist() == [95, 16]


def test_unlabelled_pixels_may_be_void(tmp_path):
    shapes = [("a", square(0, 0, 4)), ("b", square(6, 6, 3)), ("_ignore_", square(8, 0, 2))]
    result = convert(one_image(tmp_path / "s", shapes), tmp_path / "out", unlabelled="void")
    assert result.names == ("a", "b")
    mask = masks_in(tmp_path / "out")["x"]
    assert (mask[0, 0], mask[7, 7], mask[5, 5], mask[0, 8]) == (0, 1, 255, 255)


def test_a_class_called_background_is_class_0_and_the_order_of_the_others_stays():
    annotations = Annotations("test", ())
    names, ids, background = class_ids(("tree", "_background_", "void", "car"), annotations, "void")
    assert names == ("background", "tree", "car")
    assert ids == {"background": 0, "tree": 1, "car": 2, "_background_": 0, "void": 255}
    assert background == 255
    with pytest.raises(ValueError, match=r"Expected 2 to 254 classes.*Received: \['car'\]"):
        class_ids(("car",), annotations, "void")


def test_names_with_numbers_are_sorted_by_the_numbers():
    assert sorted(["class 10", "class 2", "b"], key=natural) == ["b", "class 2", "class 10"]


@pytest.mark.parametrize("names", [("grade 2", "stage 3"), ("a 1 2 3", "b 4 5 6")])
def test_names_that_look_like_ids_or_colours_are_listed_so_that_they_are_read_back(tmp_path, names):
    shapes = [(name, square(5 * i, 1, 4)) for i, name in enumerate(names)]
    convert(one_image(tmp_path / "s", shapes), tmp_path / "out")
    assert check_dataset(tmp_path / "out").class_names == ("background", *names)


def test_splits_stay_splits(tmp_path):
    (tmp_path / "s").mkdir()
    for split in ("train", "valid", "test"):
        folder = one_image(tmp_path / "s" / split, [("cell", square(1, 1, len(split)))])
        shade = Image.new("RGB", (12, 10), (len(split), ord(split[1]), 30))
        shade.save(folder / "x.png")
    result = convert(tmp_path / "s", tmp_path / "out")
    assert result.images == {"train": 1, "validation": 1, "test": 1}
    report = check_dataset(tmp_path / "out")
    assert {split: int(s.class_pixels[1]) for split, s in report.splits.items()} == {
        "train": 25,
        "validation": 25,
        "test": 16,
    }


def test_splits_without_train_are_an_error_before_anything_is_written(tmp_path):
    (tmp_path / "s").mkdir()
    one_image(tmp_path / "s" / "val", [("cell", square(1, 1, 5))])
    with pytest.raises(ValueError, match="Expected train, and perhaps validation"):
        convert(tmp_path / "s", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_image_that_its_exif_tag_turns_is_written_turned_with_its_mask(tmp_path):
    """Annotated as it is shown, or as it is stored: the size tells which."""
    shown = np.zeros((10, 12, 3), "uint8")
    shown[2:5, 7:11] = 200
    for annotated in ("shown", "stored"):
        folder = tmp_path / annotated
        folder.mkdir()
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6  # stored a quarter turn to the left of how it is shown
        Image.fromarray(np.rot90(shown)).save(folder / "x.png", exif=exif)
        corners, size = [[7, 2], [11, 5]], (10, 12)
        if annotated == "stored":  # x is y, and y runs from the right edge
            corners, size = [[2, 12 - 11], [5, 12 - 7]], (12, 10)
        shape = {"label": "cell", "points": corners, "shape_type": "rectangle"}
        content = {"shapes": [shape], "imagePath": "x.png"}
        content |= {"imageHeight": size[0], "imageWidth": size[1]}
        sources.write_json(folder / "x.json", content)
        convert(folder, tmp_path / f"{annotated} out")
        image = Image.open(tmp_path / f"{annotated} out" / "images" / "x.png")
        assert ExifTags.Base.Orientation not in image.getexif()
        np.testing.assert_array_equal(np.asarray(image), shown)
        mask = masks_in(tmp_path / f"{annotated} out")["x"]
        np.testing.assert_array_equal(mask, shown[..., 0] > 0)


def test_annotations_made_at_another_size_are_an_error(tmp_path):
    source = one_image(tmp_path / "s", [("cell", square(1, 1, 5))])
    Image.new("RGB", (24, 20)).save(source / "x.png")
    result = convert(source, tmp_path / "out")
    assert not result.written
    (finding,) = result.errors
    assert "10 x 12 pixels (height x width), but the image has 20 x 24" in finding.message
    assert not (tmp_path / "out").exists()


def test_damaged_images_stop_everything_or_are_left_out(tmp_path):
    source = sources.yolo(tmp_path / "s")
    (source / "images" / "c.png").write_bytes(b"no image")
    result = convert(source, tmp_path / "out")
    assert not result.written
    assert "Nothing was written." in str(result)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    result = convert(source, tmp_path / "out", skip_damaged=True)
    assert result.written
    assert sorted(masks_in(tmp_path / "out")) == ["a", "b"]


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path):
    source = sources.labelme(tmp_path / "s")
    for inside in (source, source / "out", tmp_path / "s" / ".." / "s" / "out"):
        with pytest.raises(ValueError, match=r"exists|which nothing may be written into"):
            convert(source, inside)
    path = sources.coco(tmp_path / "c")
    with pytest.raises(ValueError, match="which nothing may be written into"):
        convert(path, tmp_path / "c" / "images" / "out")


def test_an_output_that_exists_is_left_alone(tmp_path):
    source = sources.labelme(tmp_path / "s")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(ValueError, match="Choose a folder that does not"):
            convert(source, tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert convert(source, tmp_path / "empty").written
    assert convert(source, tmp_path / "deep" / "deeper" / "out").written


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_half_written_is_left_behind(tmp_path, monkeypatch, error):
    source = sources.labelme(tmp_path / "s")

    def fail(*arguments):
        raise error("stopped")

    monkeypatch.setattr(conversion, "write_classes", fail)
    with pytest.raises(error):
        convert(source, tmp_path / "new" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_two_images_that_would_become_one_are_an_error(tmp_path):
    path = sources.coco(tmp_path / "s")
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "a.png"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="a.png and .*a.png would both become images/a"):
        convert(path, tmp_path / "out")


def test_no_name_of_an_image_leads_outside_the_output(tmp_path):
    path = sources.coco(tmp_path / "s" / "deep")
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "../images/a.png"
    content["images"][1]["file_name"] = str(tmp_path / "s" / "deep" / "images" / "b.png")
    content["images"][2]["file_name"] = "C:\\photos\\c.png"
    path.write_text(json.dumps(content))
    convert(path, tmp_path / "out")
    assert sorted(masks_in(tmp_path / "out")) == ["a", "b", "c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "s"]


def test_what_is_no_source_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file and no folder"):
        convert(tmp_path / "none", tmp_path / "out")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "x.txt").write_text("x")
    with pytest.raises(FileNotFoundError, match=r"Expected COCO's JSON, .*Received: \['x.txt'\]"):
        convert(tmp_path / "s", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="Expected those of Pascal VOC"):
        convert(tmp_path / "s", tmp_path / "out", format="voc")


def test_of_several_formats_one_is_chosen(tmp_path):
    sources.yolo(tmp_path / "s")
    content = json.loads(sources.coco(tmp_path / "c").read_text())
    sources.write_json(tmp_path / "s" / "coco.json", content)
    with pytest.raises(ValueError, match=re.escape("Choose one as `format`. Received: coco, yolo")):
        convert(tmp_path / "s", tmp_path / "out")
    assert convert(tmp_path / "s", tmp_path / "out", format="yolo").kind == "YOLO segmentation"


def test_only_background_is_no_data_set(tmp_path):
    (tmp_path / "names.txt").write_text("cell\n")
    with pytest.raises(ValueError, match="has no pixel of background, cell"):
        convert(one_image(tmp_path / "s", []), tmp_path / "out", classes=tmp_path / "names.txt")
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_no_regular_file_is_never_opened(tmp_path):
    source = sources.yolo(tmp_path / "s")
    (source / "images" / "c.png").unlink()
    os.mkfifo(source / "images" / "c.png")
    result = convert(source, tmp_path / "out")
    assert "it is no regular file" in result.errors[0].message
