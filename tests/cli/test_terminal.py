"""No name reaches a terminal as a command, and a process without streams works."""

import subprocess
import sys

import pytest
from PIL import Image

from kerasseg.tables import table
from kerasseg_command.terminal import escaped, show
from tests.cli.test_bad_inputs import clean_environment
from tests.datasets.folders import ids, make_folder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("road", "road"),
        ("보행자 ✓ \u00e9", "보행자 ✓ \u00e9"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\x9b2Jb", "a\\x9b2Jb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\nb\rc\x7f", "a\\nb\\rc\\x7f"),
    ],
)
def test_control_characters_are_spelled_out(text, shown):
    assert escaped(text) == shown


def test_what_is_shown_keeps_its_lines(capsys):
    show("a\nb\x1b[1m")
    assert capsys.readouterr().out == "a\nb\\x1b[1m\n"


def test_a_class_name_breaks_no_table():
    assert table([("class", "IoU"), ("a\nb\x1b]0;x\x07", "1")]).count("\n") == 1


def test_names_in_the_report_of_a_folder_are_shown_escaped(kerasseg, tmp_path, capsys):
    folder = make_folder(tmp_path / "set\x1b[31m", [ids(i, classes=2) for i in range(5)])
    (folder / "classes.txt").write_text("sky\x1b[2J\nroad\n")
    (folder / "images" / "no\x1b]0;title\x07.txt").write_text("")
    Image.new("RGB", (9, 6)).save(folder / "images" / "lonely\x1b[1A.png")
    assert kerasseg("check", folder) == 2
    page, errors = capsys.readouterr()
    assert "\x1b" not in page + errors
    for shown in (r"set\x1b[31m", r"sky\x1b[2J", r"no\x1b]0;title\x07.txt", r"lonely\x1b[1A.png"):
        assert shown in page
    assert kerasseg("check", tmp_path / "gone\x1b[2J") == 2
    assert r"gone\x1b[2J" in capsys.readouterr().err


def run(redirections, *words, **variables):
    """A command of a shell, whose streams are redirected."""
    command = f'"{sys.executable}" -m kerasseg_command "$@" {redirections}'
    return subprocess.run(
        ["bash", "-c", command, "bash", *map(str, words)],
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams") / "set"
    return make_folder(folder, [ids(i, classes=3) for i in range(10)])


def test_closed_streams_are_no_error_and_take_no_files_place(folder):
    for closed in ("<&- >&- 2>&-", ">&-", "2>&-"):
        result = run(closed, "check", folder)
        assert (result.returncode, result.stderr) == (0, "")


def test_an_output_that_takes_nothing_is_one_line_and_2(folder):
    result = run(">/dev/full", "check", folder)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "kerasseg: error: [Errno 28] No space left on device" in result.stderr
    assert run(">/dev/full 2>/dev/full", "check", folder).returncode == 2
    ended = run("| true; exit ${PIPESTATUS[0]}", "check", folder)
    assert ended.returncode in (0, 2)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("backend", "words"),
    [("nosuch", "nosuch"), ("openvino", "openvino")],
)
def test_a_backend_that_there_is_not_is_one_line_and_2(backend, words, folder):
    result = run("", "evaluate", "x.keras", folder, KERAS_BACKEND=backend)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert f"Keras is set to run on {words}" in result.stderr
