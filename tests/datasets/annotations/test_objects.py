"""What all formats share: numbers, names and sizes from files that anybody may have written."""

import pytest

from kerasseg.datasets.annotations.objects import (
    as_polygon,
    declared_size,
    from_base64,
    name_below,
    read_json,
    require_that,
    split_of,
    whole_number,
)


@pytest.mark.parametrize("numbers", [[1, 2, 3], ["a", "b"], None, [[1, 2, 3]], [1e300, 2], [{}]])
def test_what_is_no_outline_is_an_error(numbers):
    with pytest.raises(ValueError, match="should hold outlines as numbers x, y, x, y"):
        as_polygon(numbers, "a.json")


def test_outlines_are_lists_of_numbers_or_of_pairs():
    assert as_polygon([1, 2, 3, 4], "").tolist() == as_polygon([[1, 2], [3, 4]], "").tolist()


def test_not_a_number_is_no_coordinate():
    with pytest.raises(ValueError, match="should hold outlines"):
        as_polygon([float("nan"), 0, 1, 1], "a.json")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a": ' + "1" * 5000 + "}"])
def test_what_is_no_json_is_an_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a.json is no JSON.*Export them again"):
        read_json(tmp_path / "a.json")


def test_whole_numbers():
    assert all(map(whole_number, [0, 3, 3.0, -1]))
    assert not any(map(whole_number, [True, 1.5, "1", None, float("inf"), float("nan")]))


def test_sizes_are_given_whole_or_not_at_all():
    assert declared_size(None, None, "") is None
    assert declared_size(2.0, 3, "") == (2, 3)
    for wrong in ((None, 3), (0, 3), ("2", 3)):
        with pytest.raises(ValueError, match="a height and a width, whole numbers above 0"):
            declared_size(*wrong, "a.json")


def test_long_values_are_shortened_in_errors():
    with pytest.raises(ValueError, match=r"Received: '(x{76})\.\.\.\. ") as error:
        require_that(False, "a.json", "a number", "x" * 1000)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b.png", "a/b"),
        ("/home/me/b.png", "b"),
        ("a/../../b.png", "b"),
        ("..\\b.png", "b"),
        ("D:\\a\\b.png", "b"),
        ("a b.tar.png", "a b.tar"),
    ],
)
def test_names_stay_below_the_output(text, name):
    assert name_below(text) == name


def test_splits_by_whole_words_alone():
    assert split_of("instances_train2017") == "train"
    assert split_of("_annotations.coco", "valid") == "validation"
    assert split_of("contest", "trainings") == "all"


def test_damaged_base64_is_an_error():
    assert from_base64("aGk=", "") == b"hi"
    for wrong in ("?", None, 3):
        with pytest.raises(ValueError, match="not base64"):
            from_base64(wrong, "a.json")
