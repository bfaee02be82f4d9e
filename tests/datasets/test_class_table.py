"""Lists of classes that other tools wrote mean what those tools mean."""

import re

import pytest

from kerasseg.datasets.class_table import told_classes


def table(path, text, name="classes.txt"):
    (path / name).write_text(text)
    return told_classes(path, None)


def test_cvats_label_map_is_read_with_its_colours(tmp_path):
    text = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ntraffic light:250,170,30::\n"
    assert table(tmp_path, text) == {
        "class_names": ("background", "traffic light"),
        "colours": ((0, 0, 0), (250, 170, 30)),
    }


@pytest.mark.parametrize("header", ["name,r,g,b", "name, red, green, blue", "class r g b"])
def test_a_header_is_no_class(tmp_path, header):
    told = table(tmp_path, f"{header}\nsky,1,2,3\nroad,4,5,6\n")
    assert told["class_names"] == ("sky", "road")


def test_a_class_may_be_called_name(tmp_path):
    assert table(tmp_path, "name\nroad\n")["class_names"] == ("name", "road")


def test_labelmes_first_line_has_no_id(tmp_path):
    told = table(tmp_path, "__ignore__\n_background_\ncat\n")
    assert told["class_names"] == ("_background_", "cat")


def test_comments_are_no_classes(tmp_path):
    assert table(tmp_path, "# by hand\nsky\nroad\n")["class_names"] == ("sky", "road")


@pytest.mark.parametrize("text", ["", "\n\n", "# label:color_rgb:parts:actions\n"])
def test_a_list_without_a_class_is_named(tmp_path, text):
    path = re.escape(str(tmp_path / "classes.txt"))
    with pytest.raises(ValueError, match=f"{path} names no class: expected a name on each line"):
        table(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("colours.json", '{"road": [%s, 0, 0]}' % ("9" * 5000), "is no JSON: Exceeds the limit"),
        ("colours.json", '{"road": [1e400, 0, 0]}', "three whole numbers, 0 to 255"),
        ("colours.json", '{"road": [-1, 0, 0]}', "three whole numbers, 0 to 255"),
        ("colours.json", "[" * 100_000, "is no JSON"),
        ("classes.txt", "road 1 2 99999\n", "three whole numbers, 0 to 255"),
    ],
)
def test_numbers_are_checked_before_they_are_used(tmp_path, name, text, words):
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path / name))}.*{words}"):
        table(tmp_path, text, name)
