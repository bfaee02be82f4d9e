"""`kerasseg chapters`: what the scripts say of themselves, from wherever they lie."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from kerasseg.cli import chapters
from tests.conftest import environment

ROOT = Path(__file__).parents[2]
SCRIPT = """# %% [markdown]
# # 99 · Sums: adding up
#
# What is one and one?
#
# *You learn* how to
# add. *In the book:* chapter 99, "Sums". *You need:* lesson 1. *Time:* one minute on
# two cores.

# %%
import sys

print(sys.argv[1:], __name__)
if "--fail" in sys.argv:
    raise SystemExit("a claim does not hold")
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    (tmp_path / "ch99_sums.py").write_text(SCRIPT)
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "adding.py").write_text(f"{SCRIPT}\nimport ledger\nprint(ledger.WORD)\n")
    (experiments / "ledger.py").write_text('WORD = "written down"\n')
    monkeypatch.setattr(chapters, "FOLDERS", (tmp_path / "absent", tmp_path))
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("ledger", None)


def test_the_list_holds_every_lesson_and_every_experiment(kerasseg, capsys):
    assert kerasseg("chapters") == 0
    page = capsys.readouterr().out
    for script in (ROOT / "chapters").glob("ch*.py"):
        heading = script.read_text("utf-8").splitlines()[1].removeprefix("# # ")
        assert f"{script.stem}  {heading} (" in page
    listed = page.partition("--experiment NAME`:")[2].replace(",", " ").split()
    experiments = {script.stem for script in (ROOT / "chapters" / "experiments").glob("*.py")}
    assert set(listed) == experiments - {"ledger"}
    assert "ledger" not in page


def test_an_entry_says_what_one_learns_and_how_long_it_takes(kerasseg, shelf, capsys):
    assert kerasseg("chapters") == 0
    assert capsys.readouterr().out == (
        "ch99_sums  99 · Sums: adding up (one minute on two cores)\n"
        "    You learn how to add.\n\n"
        "Experiments, for `kerasseg chapters run --experiment NAME`:\n    adding\n"
    )


@pytest.mark.parametrize("name", ["ch99", "ch99_sums"])
def test_a_lesson_runs_as_a_script_with_its_own_arguments(kerasseg, shelf, capsys, name):
    assert kerasseg("chapters", "run", name, "--quick", "--output", "x") == 0
    assert capsys.readouterr().out == "['--quick', '--output', 'x'] __main__\n"


def test_an_experiment_runs_with_the_ledger_beside_it(kerasseg, shelf, capsys):
    assert kerasseg("chapters", "run", "--experiment", "adding", "--quick") == 0
    assert capsys.readouterr().out == "['--quick'] __main__\nwritten down\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ch98"], "No such lesson. Expected one of ch99_sums. Received: ch98"),
        ([], "No such lesson. Expected one of ch99_sums. Received: None"),
        (
            ["--experiment", "ledger"],
            "No such experiment. Expected one of adding. Received: ledger",
        ),
        (["--experiment"], "No such experiment. Expected one of adding. Received: None"),
        (["adding"], "No such lesson. Expected one of ch99_sums. Received: adding"),
    ],
)
def test_a_name_that_is_not_on_the_shelf_is_one_error(kerasseg, shelf, capsys, words, message):
    assert kerasseg("chapters", "run", *words) == 2
    assert message in capsys.readouterr().err


def test_a_claim_that_fails_fails_the_command(shelf):
    from kerasseg import cli

    with pytest.raises(SystemExit, match="a claim does not hold"):
        cli.main(["chapters", "run", "ch99", "--fail"])


def test_the_wheel_holds_every_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    files = [
        file for top in ("kerasseg", "kerasseg_command") for file in (ROOT / top).rglob("*.py")
    ]
    packages = {".".join(file.parent.relative_to(ROOT).parts) for file in files}
    ours = {"kerasseg.chapters", "kerasseg.chapters.experiments", "kerasseg.chapters.solutions"}
    assert set(settings["packages"]) == packages | ours
    assert settings["package-dir"] == {
        name: name.removeprefix("kerasseg.").replace(".", "/") for name in ours
    }


@pytest.mark.slow
def test_lessons_experiments_and_solutions_travel_in_the_wheel(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    result = subprocess.run(
        [*build, "--wheel-dir", tmp_path, ROOT], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 15 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "kerasseg_command", "chapters"],
        env={**environment("tensorflow"), "PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = tmp_path / "installed" / "kerasseg" / "chapters"
    scripts = [
        path
        for folder in ("chapters", "chapters/experiments", "chapters/solutions")
        for path in (ROOT / folder).glob("*.py")
    ]
    assert {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()} == {
        path.relative_to(ROOT / "chapters") for path in scripts
    }
    for script in (ROOT / "chapters").glob("ch*.py"):
        assert f"{script.stem}  " in listed
