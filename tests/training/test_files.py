"""Files that are written completely or not at all."""

import json
import math
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


def test_a_value_is_written_as_json_that_any_program_reads(tmp_path):
    path = tmp_path / "run.json"
    files.write_json_whole(path, {1: (math.nan, 2.5, Path("a/b")), "inf": math.inf})
    assert json.loads(path.read_text()) == {"1": [None, 2.5, "a/b"], "inf": None}


def test_an_error_in_one_line_has_no_full_stop():
    assert files.one_line(ValueError("\nNot this way.\nTry another.")) == "Not this way"
