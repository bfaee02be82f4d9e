"""Lists of names are read, and written so that they are read back."""

import pytest

from kerasseg.datasets.annotations.names import given_names, listed_names, write_names
from kerasseg.datasets.class_table import told_classes
from kerasseg.datasets.masks import voc_colours


def test_a_list_is_found_under_the_names_of_all_tools(tmp_path):
    assert listed_names(tmp_path) is None
    (tmp_path / "obj.names").write_text("a\nb\n")
    assert listed_names(tmp_path) == ("a", "b")
    (tmp_path / "labels.txt").write_text("c\n")
    with pytest.raises(ValueError, match="two lists of classes. Leave one"):
        listed_names(tmp_path)


def test_a_list_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no list of classes"):
        given_names(tmp_path / "none.txt")


@pytest.mark.parametrize(
    "names",
    [("a", "b"), ("_", "grade 2", "stage 3"), ("a 1 2 3", "b"), ("über", "日本"), ("a, b", "c")],
)
def test_names_come_back_as_they_were(tmp_path, names):
    write_names(tmp_path / "classes.txt", names, voc_colours(256))
    assert told_classes(tmp_path, None)["class_names"] == names


@pytest.mark.parametrize("names", [("a\nb", "c"), ("# a", "b"), ("grade 2", "stage 3")])
def test_names_that_no_list_can_hold_are_an_error(tmp_path, names):
    with pytest.raises(ValueError, match="Rename the classes: classes.txt cannot hold"):
        write_names(tmp_path / "classes.txt", names, voc_colours(256))
