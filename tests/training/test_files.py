"""Files that are written completely or not at all."""

import json
import math
import os
from pathlib import Path

import pytest

from kerasseg.training import files


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(path, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]
    assert path.read_text() == "old"


def test_names_of_halves_are_those_of_nobody_else(tmp_path):
    """A file that is named as another with a dot in front is not written over."""
    (tmp_path / ".photo.png").write_text("mine")
    seen = []

    def write(temporary):
        seen.append(temporary)
        temporary.write_text("new")

    for name in ("photo.png", "photo.png", ".photo.png", "a" * 251 + ".png"):
        files.write_whole(tmp_path / name, write)
        assert seen[-1].parent == tmp_path
        assert seen[-1].suffix == ".png"
        if name == "photo.png":
            assert (tmp_path / ".photo.png").read_text() == "mine"
    assert len({*seen}) == 4
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize("with_links", [True, False])
def test_what_must_be_new_does_not_replace_what_came_meanwhile(with_links, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    if not with_links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "x.png"
    with files.whole(path, new=True) as temporary:
        temporary.write_text("ours")
    assert path.read_text() == "ours"
    with pytest.raises(FileExistsError), files.whole(path, new=True) as temporary:
        temporary.write_text("another")
    assert path.read_text() == "ours"
    assert [*tmp_path.iterdir()] == [path]


def test_a_value_is_written_as_json_that_any_program_reads(tmp_path):
    path = tmp_path / "run.json"
    files.write_json_whole(path, {1: (math.nan, 2.5, Path("a/b")), "inf": math.inf})
    assert json.loads(path.read_text()) == {"1": [None, 2.5, "a/b"], "inf": None}


def test_an_error_in_one_line_has_no_full_stop():
    assert files.one_line(ValueError("\nNot this way.\nTry another.")) == "Not this way"
