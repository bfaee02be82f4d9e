"""Tables as plain text."""

import pytest

from kerasseg.tables import table


def test_columns_are_aligned_and_no_line_ends_in_spaces():
    rows = [("", "class", "IoU"), ("!", "road", 0.9), ("", "pavement", 10.25)]
    assert table(rows, right=[2]) == (
        "   class       IoU\n"
        "!  road        0.9\n"
        "   pavement  10.25"
    )  # fmt: skip


def test_long_cells_are_neither_wrapped_nor_shortened(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    words = "word " * 100 + "end"
    assert table([("a", "b"), (words, words)]).splitlines()[1] == f"{words}  {words}"


def test_there_are_no_colour_codes_and_no_markup(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert (
        table([("[bold]name", ":smile:"), ("x", "[/]")]) == "[bold]name  :smile:\nx           [/]"
    )


def test_a_character_of_two_columns_takes_two():
    assert table([("名前", "b"), ("a", "c")]) == "名前  b\na     c"


def test_rows_of_unequal_length_are_an_error():
    with pytest.raises(ValueError, match=r"same number of cells. Received: numbers=\[1, 2\]"):
        table([("a", "b"), ("c",)])


def test_no_rows_are_no_text():
    assert table([]) == ""
