"""What holds of the package as a whole; `python tests/structure.py` prints the details."""

import json
import subprocess
import sys

import pytest

from tests import structure


def test_at_most_six_files_lie_at_the_top_level():
    assert len(structure.top_level_files()) <= 6, structure.top_level_files()


def test_no_import_cycles():
    assert structure.import_cycles() == []


def test_tensorflow_is_imported_where_it_belongs():
    assert structure.tensorflow_elsewhere() == []


def test_nothing_is_imported_from_a_higher_layer():
    assert structure.imports_from_above() == []


def test_the_command_line_is_read_without_kerasseg():
    for name in structure.modules():
        if name.startswith("kerasseg_command"):
            ours = {other.partition(".")[0] for other in structure.imported(name)}
            assert "kerasseg" not in ours, name


def test_no_function_body_is_longer_than_fifty_lines():
    assert structure.long_functions(50) == []


def test_every_module_has_the_test_file_of_its_name():
    assert structure.without_test_file() == []


@pytest.mark.slow
def test_no_twelve_lines_occur_twice():
    pytest.importorskip("pylint")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pylint", "--disable=all", "--enable=duplicate-code"),
            *("--min-similarity-lines=12", "--ignore-signatures=y", "--ignore-imports=y"),
            *("--output-format=json", *structure.PACKAGES),
        ],
        cwd=structure.ROOT,
        capture_output=True,
        text=True,
    )
    assert json.loads(result.stdout) == []
