"""YOLO: lists of names, folders of splits, boxes, and damaged lines."""

import numpy as np
import pytest

from kerasseg.datasets.annotations import yolo
from kerasseg.datasets.annotations.conversion import convert
from tests.datasets.annotations import sources


def things(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    return yolo.things_of(tmp_path / "x.txt", ("cell", "debris"))


def test_a_line_is_an_outline_and_a_line_of_five_numbers_a_box(tmp_path):
    outline, box = things(tmp_path, "1 0 0 0.5 0 0.5 1\n\n0 0.5 0.25 0.5 0.5\n")
    assert (outline.name, outline.rough) == ("debris", False)
    np.testing.assert_array_equal(outline.polygons[0], [(0, 0), (0.5, 0), (0.5, 1)])
    assert (box.name, box.rough) == ("cell", True)
    corners = [(0.25, 0), (0.75, 0), (0.75, 0.5), (0.25, 0.5)]
    np.testing.assert_array_equal(box.polygons[0], corners)


def test_class_numbers_beyond_the_names_have_a_name_that_says_so(tmp_path):
    assert things(tmp_path, "7 0 0 1 0 1 1")[0].name == "class 7"


@pytest.mark.parametrize("line", ["x 0 0 1 1 0 1", "0 1 2 3", "0.5 0 0 1 0 1 1", "0 0 0 1 0 nan 1"])
def test_damaged_lines_are_an_error_with_their_number(tmp_path, line):
    with pytest.raises(ValueError, match=r"x.txt, line 2, should hold a class number"):
        things(tmp_path, f"0 0 0 1 0 1 1\n{line}")


def test_coordinates_in_pixels_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="shares of the width and height, from 0 to 1"):
        things(tmp_path, "0 10 10 50 10 50 40")


@pytest.mark.parametrize("names", ["{0: cell, 1: debris}", "[cell, debris]"])
def test_names_are_a_list_or_numbered(tmp_path, names):
    source = sources.yolo(tmp_path / "s")
    (source / "data.yaml").write_text(f"nc: 2\nnames: {names}\n")
    assert yolo.read(source).names == ("cell", "debris")
    assert yolo.read(source / "data.yaml").names == ("cell", "debris")


@pytest.mark.parametrize(
    "text", ["names: {0: a, 2: b}", "names: 3", "names: [[1]]", "a: [", "names: []"]
)
def test_damaged_names_are_an_error(tmp_path, text):
    source = sources.yolo(tmp_path / "s")
    (source / "data.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"data.yaml (should hold names|is no YAML)"):
        yolo.read(source)


def test_a_yaml_file_runs_no_code(tmp_path):
    source = sources.yolo(tmp_path / "s")
    command = f"!!python/object/apply:os.mkdir ['{tmp_path}/made']"
    (source / "data.yaml").write_text(f"names: {command}\n")
    with pytest.raises(ValueError, match="is no YAML"):
        yolo.read(source)
    assert not (tmp_path / "made").exists()


def test_two_yaml_files_with_names_are_an_error(tmp_path):
    source = sources.yolo(tmp_path / "s")
    (source / "b.yaml").write_text("names: [a, b]")
    (source / "hyperparameters.yaml").write_text("lr: 1")
    with pytest.raises(ValueError, match="two YAML files with names. Pass one as the source"):
        yolo.read(source)
    assert yolo.read(source / "b.yaml").names == ("a", "b")


def test_classes_txt_names_the_classes_and_without_names_they_are_numbered(tmp_path):
    source = sources.yolo(tmp_path / "s")
    (source / "data.yaml").unlink()
    assert convert(source, tmp_path / "out").names == ("background", "class 0", "class 1")
    (source / "classes.txt").write_text("cell\ndebris\n")
    assert convert(source, tmp_path / "out 2").names == sources.NAMES


@pytest.mark.parametrize("layout", ["{split}/{kind}", "{kind}/{split}"])
def test_both_arrangements_of_splits_are_read(tmp_path, layout):
    flat = sources.yolo(tmp_path / "flat")
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            for kind, suffix in (("images", "png"), ("labels", "txt")):
                target = tmp_path / "s" / layout.format(split=split, kind=kind)
                target.mkdir(parents=True, exist_ok=True)
                if (flat / kind / f"{name}.{suffix}").exists():
                    (flat / kind / f"{name}.{suffix}").rename(target / f"{name}.{suffix}")
    (flat / "data.yaml").rename(tmp_path / "s" / "data.yaml")
    result = convert(tmp_path / "s", tmp_path / "out")
    assert result.images == {"train": 2, "validation": 1}


def test_labels_without_an_image_are_named(tmp_path):
    source = sources.yolo(tmp_path / "s")
    (source / "images" / "b.png").unlink()
    result = convert(source, tmp_path / "out")
    assert [finding.path.name for finding in result.findings] == ["b.txt"]
