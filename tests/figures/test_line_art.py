"""Figures that stay sharp at any size."""

import matplotlib
import pytest

from kerasseg.figures.line_art import LineArt


def figure_with_words():
    figure = LineArt()
    axes = figure.add_subplot()
    axes.set_title("pooling mask")
    axes.imshow([[0, 1, 2], [3, 4, 5]])
    axes.plot([0, 1], [1, 0], clip_on=True)
    return figure


def test_text_in_an_svg_file_is_text(tmp_path):
    figure_with_words().savefig(tmp_path / "a.svg")
    assert ">pooling mask</text>" in (tmp_path / "a.svg").read_text()


def test_the_same_figure_is_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # Matplotlib writes the date, too
    for name in ("a", "b"):
        figure_with_words().savefig(tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("key", ["svg.fonttype", "svg.hashsalt"])
def test_the_readers_own_settings_stay(key, tmp_path):
    before = matplotlib.rcParams[key]
    figure_with_words().savefig(tmp_path / "a.svg")
    assert matplotlib.rcParams[key] == before
