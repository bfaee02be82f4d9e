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
# # Chapter 99 · Sums
#
# One and one
# make two.
#
# Book: chapter 99. Takes about 2 to
# 3 minutes on two cores.

# %%
import sys

print(sys.argv[1:], __name__)
if "--fail" in sys.argv:
    raise SystemExit("an exact claim does not hold")
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    (tmp_path / "ch99_sums.py").write_text(SCRIPT)
    monkeypatch.setattr(chapters, "FOLDERS", (tmp_path / "absent", tmp_path))
    monkeypatch.setattr(sys, "argv", sys.argv[:])


def test_the_list_holds_every_script_with_its_heading(kerasseg, capsys):
    assert kerasseg("chapters") == 0
    page = capsys.readouterr().out
    scripts = sorted((ROOT / "chapters").glob("ch*.py"))
    assert len(scripts) >= 4
    for script in scripts:
        heading = script.read_text("utf-8").splitlines()[1].removeprefix("# # ")
        assert f"{script.stem}  {heading}" in page


def test_an_entry_says_what_the_chapter_shows_and_how_long_it_takes(kerasseg, shelf, capsys):
    assert kerasseg("chapters") == 0
    page = capsys.readouterr().out
    assert page == "ch99_sums  Chapter 99 · Sums (2 to 3 minutes)\n    One and one make two.\n"


@pytest.mark.parametrize("name", ["ch99", "ch99_sums"])
def test_a_chapter_runs_as_a_script_with_its_own_arguments(kerasseg, shelf, capsys, name):
    assert kerasseg("chapters", "run", name, "--quick", "--output", "x") == 0
    assert capsys.readouterr().out == "['--quick', '--output', 'x'] __main__\n"


def test_a_claim_that_fails_fails_the_command(shelf):
    from kerasseg import cli

    with pytest.raises(SystemExit, match="an exact claim does not hold"):
        cli.main(["chapters", "run", "ch99", "--fail"])


def test_the_wheel_holds_every_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    files = [
        file for top in ("kerasseg", "kerasseg_command") for file in (ROOT / top).rglob("*.py")
    ]
    packages = {".".join(file.parent.relative_to(ROOT).parts) for file in files}
    assert set(settings["packages"]) == packages | {"kerasseg.chapters"}
    assert settings["package-dir"] == {"kerasseg.chapters": "chapters"}


@pytest.mark.slow
def test_the_chapters_travel_in_the_wheel(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    result = subprocess.run(
        [*build, "--wheel-dir", tmp_path, ROOT], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
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
    for script in (ROOT / "chapters").glob("ch*.py"):
        assert f"{script.stem}  Chapter" in listed
        assert (tmp_path / "installed" / "kerasseg" / "chapters" / script.name).is_file()
