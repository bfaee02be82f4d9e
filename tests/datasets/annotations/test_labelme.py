"""LabelMe: every kind of shape, images inside the file, and what has no annotation."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets.annotations import labelme
from kerasseg.datasets.annotations.conversion import convert
from tests.datasets.annotations import sources


def shape(kind, points, **more):
    return {"label": "cell", "shape_type": kind, "points": points, **more}


def drawn(shapes):
    (thing,) = labelme.things_of(shapes, "x.json")
    return thing


def test_rectangles_have_two_corners_or_four():
    two, four = [[1, 2], [5, 4]], [[1, 2], [5, 2], [5, 4], [1, 4]]
    for thing in (drawn([shape("rectangle", two)]), drawn([shape("rectangle", four)])):
        np.testing.assert_array_equal(thing.polygons[0], four)


def test_circles_have_a_centre_and_a_point_on_the_line():
    points = drawn([shape("circle", [[5, 6], [5, 9]])]).polygons[0]
    np.testing.assert_allclose(np.linalg.norm(points - (5, 6), axis=1), 3)


def test_masks_lie_at_their_corner():
    mask = np.array([[0, 1, 1], [1, 1, 0]]) > 0
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    thing = drawn([shape("mask", [[4, 7], [6, 8]], mask=text)])
    assert thing.corner == (7, 4)
    np.testing.assert_array_equal(thing.mask, mask)


def test_lines_and_points_have_no_outline():
    for kind in ("line", "linestrip", "point", "points"):
        assert drawn([shape(kind, [[1, 2], [3, 4]])]).polygons == ()


def test_shapes_of_one_label_and_group_are_one_object():
    parts = [shape("polygon", [[0, 0], [1, 0], [0, 1]], group_id=3) for _ in range(2)]
    assert len(drawn(parts).polygons) == 2
    apart = [{**part, "group_id": i} for i, part in enumerate(parts)]
    assert len(labelme.things_of(apart, "x.json")) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": 3},
        shape("heart", [[1, 2], [3, 4]]),
        shape("circle", [[1, 2]]),
        shape("polygon", "no"),
        shape("mask", [[1, 2]], mask="aGk="),
        shape("mask", [[1, 2]]),
    ],
)
def test_damaged_shapes_are_an_error(wrong):
    with pytest.raises(ValueError, match=r"x\.json (should hold|holds)"):
        labelme.things_of([wrong], "x.json")


def test_an_image_inside_the_file_is_written(tmp_path):
    source = sources.labelme(tmp_path / "s")
    content = json.loads((source / "a.json").read_text())
    content["imageData"] = base64.b64encode((source / "a.png").read_bytes()).decode()
    sources.write_json(source / "a.json", content)
    (source / "a.png").unlink()
    assert convert(source, tmp_path / "out").findings == []
    image = np.asarray(Image.open(tmp_path / "out" / "images" / "a.png"))
    np.testing.assert_array_equal(image, sources.picture("a"))


def test_a_damaged_image_inside_the_file_is_an_error_that_names_the_file(tmp_path):
    source = sources.labelme(tmp_path / "s")
    content = json.loads((source / "a.json").read_text())
    sources.write_json(source / "a.json", {**content, "imageData": "aGk="})
    (source / "a.png").unlink()
    result = convert(source, tmp_path / "out")
    assert [finding.path.name for finding in result.errors] == ["a.json"]


def test_images_without_a_file_are_left_out_and_named(tmp_path):
    source = sources.labelme(tmp_path / "s")
    (source / "c.json").unlink()
    result = convert(source, tmp_path / "out")
    assert result.images == {"all": 2}
    assert [finding.path.name for finding in result.findings] == ["c.png"]


def test_labels_txt_gives_the_order(tmp_path):
    source = sources.labelme(tmp_path / "s")
    (source / "labels.txt").write_text("__ignore__\n_background_\ndebris\ncell\n")
    result = convert(source, tmp_path / "out")
    assert result.names == ("background", "debris", "cell")


def test_one_file_and_windows_paths_are_read(tmp_path):
    source = sources.labelme(tmp_path / "s")
    content = json.loads((source / "a.json").read_text())
    (tmp_path / "json").mkdir()
    content["imagePath"] = "..\\s\\a.png"
    path = sources.write_json(tmp_path / "json" / "first.json", content)
    result = convert(path, tmp_path / "out")
    assert result.images == {"all": 1}
    assert (tmp_path / "out" / "masks" / "first.png").exists()
