"""The folder of a run: what is read there, what is removed, and who may write."""

import json
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


def state(**changes):
    """What `run.json` holds of a run of three epochs, the first of which is the best."""
    rows = [{"epoch": i, "val_mean_iou": 1 / i} for i in (1, 2, 3)]
    sound = {
        "settings": {"name": "보행자"},
        "epoch": 3,
        "best": {"epoch": 1, "val_mean_iou": 1.0},
        "history": rows,
        "files": ["run.json", "best.keras", "checkpoints/epoch_0003.keras"],
    }
    return {**sound, **changes}


def write(folder, state):
    (folder / "run.json").write_text(json.dumps(state), "utf-8")


def test_a_run_is_what_its_file_holds(tmp_path):
    write(tmp_path, state())
    assert run_folder.read_run(tmp_path) == state()


def test_half_a_file_and_other_files_are_one_error_with_the_remedy(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "drawings").mkdir()
    with pytest.raises(ValueError, match=r"other files.*Received: drawings, thesis.tex\. Choose"):
        run_folder.read_run(tmp_path)
    (tmp_path / "run.json").write_text('{"epoch": ')
    with pytest.raises(ValueError, match="run.json is not JSON: .* Choose another folder"):
        run_folder.read_run(tmp_path)
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="run.json is not JSON: .* Choose another folder"):
        run_folder.read_run(tmp_path)
    with pytest.raises(ValueError, match="thesis.tex is a file, not a folder"):
        run_folder.read_run(tmp_path / "thesis.tex")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"epoch": "3"}, "not supported"),
        ({"epoch": 2}, "history"),
        ({"epoch": -1}, "epoch"),
        ({"best": None}, "best"),
        ({"best": {"epoch": 4, "val_mean_iou": 1.0}}, "best"),
        ({"best": {"epoch": 1}}, "val_mean_iou"),
        ({"history": [{"loss": "small"}] * 3}, "history"),
        ({"settings": []}, "settings|get"),
        ({"models": {"epoch_0003.keras": 5}}, "models"),
        ({"models": {"../../best.keras": "0"}}, "files"),
        ({"files": ["../thesis.tex"]}, "files"),
        ({"files": ["/thesis.tex"]}, "files"),
        ({"files": ["there/thesis.tex"]}, "files"),
        ({"files": [5]}, "int"),
        ({"finished": "yes"}, "finished"),
    ],
)
def test_a_run_that_a_hand_has_changed_is_one_error(changes, wrong, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "there").symlink_to(tmp_path)
    write(folder, state(**changes))
    with pytest.raises(ValueError, match=rf"run.json is not what a run wrote: .*({wrong})"):
        run_folder.read_run(folder)


def test_a_list_in_place_of_a_run_is_one_error(tmp_path):
    write(tmp_path, [1, 2])
    with pytest.raises(ValueError, match="run.json is not what a run wrote"):
        run_folder.read_run(tmp_path)


def test_removing_a_run_removes_the_files_that_it_lists_and_empty_folders(tmp_path):
    own = ["run.json", "log.csv", "checkpoints/epoch_0003.keras", "pictures/best1.png"]
    others = ["thesis.tex", "best.keras", "checkpoints/epoch_0009.keras", "tensorboard/mine"]
    for name in own + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    run_folder.remove_run(tmp_path, state(files=[*own, "gone.csv"]))
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(others)
    assert not (tmp_path / "pictures").exists()


def test_of_a_run_that_lists_no_files_those_are_known_that_every_run_has(tmp_path):
    old = state()
    del old["files"]
    for name in ("run.json", "report.html", "checkpoints/epoch_0001.keras", "epoch_0003.keras"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert set(run_folder.files_of(tmp_path, old)) == {
        *("run.json", "report.html", "checkpoints/epoch_0001.keras")
    }


def test_another_model_under_the_name_of_one_of_the_run_stops_everything(tmp_path):
    archive(tmp_path / "best.keras", weights="1 2 3")
    own = run_folder.checksum(tmp_path / "best.keras")
    run_folder.check_own_model(tmp_path / "best.keras", state(models={"epoch_0001.keras": own}))
    run_folder.check_own_model(tmp_path / "best.keras", state(earlier=[own]))
    archive(tmp_path / "best.keras", weights="mine")
    (tmp_path / "run.json").write_text("the run")
    with pytest.raises(ValueError, match="best.keras is not the model that the run wrote. Move it"):
        run_folder.remove_run(tmp_path, state(models={"epoch_0001.keras": own}))
    assert (tmp_path / "run.json").is_file()
    (tmp_path / "best.keras").write_bytes(b"PK half a file")
    run_folder.check_own_model(tmp_path / "best.keras", state(earlier=[own]))


def test_a_run_is_read_under_its_lock_and_where_there_is_none_nothing_is_written(tmp_path):
    assert run_folder.locked_run(tmp_path) is None
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match="not what a run wrote"):
        run_folder.locked_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    write(tmp_path, state())
    assert run_folder.locked_run(tmp_path) == state()
    assert held(tmp_path) is None


@pytest.mark.parametrize("kind", ["text", "link", "folder"])
def test_a_lock_of_somebody_else_is_left_alone(kind, tmp_path):
    path, mine = tmp_path / ".lock", tmp_path / "mine"
    mine.write_text("years of work")
    if kind == "text":
        path.write_text("not ours")
    elif kind == "link":
        path.symlink_to(mine)
    else:
        path.mkdir()
    with pytest.raises(ValueError, match="lock, which marks a folder in use, holds something else"):
        run_folder.lock_folder(tmp_path)
    assert mine.read_text() == "years of work"
    assert kind != "text" or path.read_text() == "not ours"


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
