"""Lists of classes that other tools wrote mean what those tools mean."""

import re

import numpy as np
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
        ("colours.json", '{"road": [%s, 0, 0]}' % ("9" * 5000), "three whole numbers, 0 to 255"),
        ("colours.json", '{"road": [1e400, 0, 0]}', "three whole numbers, 0 to 255"),
        ("colours.json", '{"road": [-1, 0, 0]}', "three whole numbers, 0 to 255"),
        ("colours.json", "[" * 100_000, "is no JSON"),
        ("classes.txt", "road 1 2 99999\n", "three whole numbers, 0 to 255"),
    ],
)
def test_numbers_are_checked_before_they_are_used(tmp_path, name, text, words):
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path / name))}.*{words}"):
        table(tmp_path, text, name)


@pytest.mark.parametrize(
    "line",
    [
        "lane 4;128;64;0",
        "lane 4, 128, 64, 0",
        "lane 4: 128 64 0",
        "lane 4 [128, 64, 0]",
        "lane 4 (128, 64, 0)",
        "lane 4 #804000",
        "lane 4 128 64 0  # as on the map",
        "128 64 0\tlane 4",
        "(128, 64, 0) lane 4",
    ],
)
def test_colours_are_read_however_they_are_written(tmp_path, line):
    told = table(tmp_path, f"{line}\nroad 1 2 3\n")
    assert told == {"class_names": ("lane 4", "road"), "colours": ((128, 64, 0), (1, 2, 3))}


@pytest.mark.parametrize(
    "text",
    [
        "car 1\nroad 0\n",
        "car,1\nroad,0\n",
        "name,id\ncar,1\nroad,0\n",
        "1 car\n0 road\n",
        "id;name\n1;car\n0;road\n",
        "Index,Name,R,G,B\n0,road,1,2,3\n",
        "1: car\n0: road\n",
    ],
)
def test_ids_beside_the_names_are_refused_as_the_order_of_the_lines_gives_them(tmp_path, text):
    with pytest.raises(ValueError, match="without a number before it or behind it"):
        table(tmp_path, text)
    assert table(tmp_path, "road\ncar\n")["class_names"] == ("road", "car")


def test_numbers_that_belong_to_the_names_stay(tmp_path):
    assert table(tmp_path, "lane 1\nlane 2\n")["class_names"] == ("lane 1", "lane 2")
    told = table(tmp_path, "lane 1 1 2 3\nlane 2 4 5 6\n")
    assert told == {"class_names": ("lane 1", "lane 2"), "colours": ((1, 2, 3), (4, 5, 6))}


@pytest.mark.parametrize(
    "text",
    ["road 1 2 3 255\ncar 4 5 6 255\n", "name,red,green,blue,id\nroad,1,2,3,0\ncar,4,5,6,1\n"],
)
def test_a_fourth_number_is_no_part_of_the_name(tmp_path, text):
    with pytest.raises(ValueError, match="three numbers behind each name, red, green and blue"):
        table(tmp_path, text)


@pytest.mark.parametrize("colour", ["0.5 0.2 0.1", "1.0 2.0 3.0", "-1 0 0"])
def test_numbers_that_are_no_colour_are_no_part_of_the_name(tmp_path, colour):
    with pytest.raises(ValueError, match="three whole numbers, 0 to 255.*Received: 'road'"):
        table(tmp_path, f"road {colour}\n")


def test_truth_values_and_empty_names_are_no_table(tmp_path):
    with pytest.raises(ValueError, match=r"three whole numbers.*Received: 'road': \(True, 2, 3\)"):
        table(tmp_path, '{"road": [true, 2, 3]}', "colours.json")
    with pytest.raises(ValueError, match="holds an empty name. Expected a name for each class"):
        table(tmp_path, '{" ": [1, 2, 3]}', "colours.json")


def test_colours_may_be_arrays_and_what_is_no_table_is_named(tmp_path):
    assert told_classes(tmp_path, {"road": np.array([1, 2, 3])})["colours"] == ((1, 2, 3),)
    for colours in (3, "road", {"road": np.array([1, 2, 300])}, {1: (1, 2, 3)}):
        with pytest.raises(ValueError, match="`colours`: expected"):
            told_classes(tmp_path, colours)
