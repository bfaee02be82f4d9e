"""The folder of a run: what is read there, what is removed, and who may write."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from kerasseg.training import run_folder

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""


def held(folder):
    """A process that trains in a folder, as far as others can tell; `None` if it may not."""
    words = [sys.executable, "-c", HOLD, str(folder / ".lock")]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return process if process.stdout.readline() else process.wait() and None


def test_a_folder_without_a_run_is_read_as_none(tmp_path):
    assert run_folder.read_run(tmp_path / "gone") is None
    assert run_folder.read_run(tmp_path) is None
    (tmp_path / ".lock").write_text("")
    assert run_folder.read_run(tmp_path) is None


def test_a_run_is_what_its_file_holds(tmp_path):
    (tmp_path / "run.json").write_text('{"epoch": 3, "name": "보행자"}', "utf-8")
    assert run_folder.read_run(tmp_path) == {"epoch": 3, "name": "보행자"}


def test_half_a_file_and_other_files_are_one_error_with_the_remedy(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "drawings").mkdir()
    with pytest.raises(ValueError, match="other files.*Received: drawings, thesis.tex. Choose"):
        run_folder.read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"epoch": ')
    with pytest.raises(ValueError, match="run.json is not JSON: .* Start again with --force"):
        run_folder.read_run(tmp_path)


def test_removing_a_run_leaves_what_is_not_of_it(tmp_path):
    own = ["run.json", "log.csv", "best.keras", "checkpoints/epoch_0003.keras", "report.html"]
    own += ["pictures/best1.png", "tensorboard/train/events.out.1"]
    others = ["thesis.tex", "model.keras", "checkpoints/mine.keras", "pictures/holiday.png"]
    for name in own + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    run_folder.remove_run(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(others)


def test_nothing_is_removed_where_there_is_no_run(tmp_path):
    (tmp_path / "log.csv").write_text("mine")
    run_folder.remove_run(tmp_path)
    assert (tmp_path / "log.csv").read_text() == "mine"


def test_a_folder_belongs_to_one_process_until_that_is_killed(tmp_path):
    other = held(tmp_path)
    with pytest.raises(ValueError, match="Another process trains in .* Wait until it has ended"):
        run_folder.lock_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    other.kill()
    other.wait()
    lock = run_folder.lock_folder(tmp_path)
    assert held(tmp_path) is None
    assert run_folder.lock_folder(tmp_path) is lock


def archive(path, **parts):
    with zipfile.ZipFile(path, "w") as file:
        for part, text in parts.items():
            file.writestr(part, text)
    return path


def test_a_copy_is_told_by_what_it_holds_though_size_and_time_agree(tmp_path):
    first, copy = archive(tmp_path / "a", weights="1 2 3"), tmp_path / "b"
    assert not run_folder.same_file(copy, first)
    copy.write_bytes(b"PK half a file")
    assert not run_folder.same_file(copy, first)
    shutil.copyfile(first, copy)
    assert run_folder.same_file(copy, first)
    archive(first, weights="1 2 4")
    time = first.stat().st_mtime_ns
    os.utime(copy, ns=(time, time))
    assert copy.stat().st_size == first.stat().st_size
    assert not run_folder.same_file(copy, first)


def test_a_link_that_was_made_but_reported_as_an_error_counts(tmp_path, monkeypatch):
    first, second, link = archive(tmp_path / "a", weights="1"), tmp_path / "b", os.link

    def lose_the_answer(path, other):
        link(path, other)
        raise FileExistsError(other)

    monkeypatch.setattr(os, "link", lose_the_answer)
    run_folder.link_or_copy(first, second)
    assert os.path.samefile(first, second)


def test_a_checksum_is_that_of_what_the_parts_of_a_model_hold(tmp_path):
    first = run_folder.checksum(archive(tmp_path / "a", config="{}", weights="1 2 3"))
    assert run_folder.checksum(archive(tmp_path / "b", weights="1 2 3", config="{}")) == first
    assert run_folder.checksum(archive(tmp_path / "c", config="{}", weights="1 2 4")) != first
    (tmp_path / "a").write_bytes(b"PK half a file")
    with pytest.raises(zipfile.BadZipFile):
        run_folder.checksum(tmp_path / "a")


def test_a_second_name_is_the_same_file(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("weights")
    run_folder.link_or_copy(first, second)
    assert os.path.samefile(first, second)
    assert run_folder.same_file(second, first)
