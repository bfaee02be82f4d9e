"""`kerasseg chapters`: the book in code, wherever it is installed."""

import re
import runpy
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "chapters", PACKAGE.parent / "chapters")  # installed; beside the source


def run(options):
    folder = next(folder for folder in FOLDERS if folder.is_dir())
    lessons = sorted(folder.glob("ch[0-9]*.py"))
    experiments = sorted((folder / "experiments").glob("*.py"))
    experiments.remove(folder / "experiments" / "ledger.py")
    if options.action is None:
        print("\n\n".join(entry(read_lesson(path)) for path in lessons))
        print(f"\n{experiments_entry(experiments)}")
        return 0
    is_experiment = options.words[:1] == ["--experiment"]
    words = options.words[is_experiment:]
    kind, scripts = ("experiment", experiments) if is_experiment else ("lesson", lessons)
    script = choose(scripts, kind, words[0] if words else None)
    sys.argv = [str(script), *words[1:]]
    sys.path.insert(0, str(script.parent))  # experiments import the ledger beside them
    runpy.run_path(str(script), run_name="__main__")
    return 0


class Lesson(NamedTuple):
    """What a script says of itself in its first cell.

    Attributes:
        path: The script.
        title: Its heading, such as "12 · U-Net: what the skip connections carry".
        learn: What the reader learns, one sentence.
        time: How long it runs, such as "one minute on two cores".
    """

    path: Path
    title: str
    learn: str
    time: str


def read_lesson(path):
    cell = path.read_text("utf-8").split("\n# %%")[0]
    lines = [line.removeprefix("#").strip() for line in cell.splitlines()[1:]]
    text = " ".join(lines)
    learn = re.search(r"\*You learn\*:? (.+?\.)(?= \*|$)", text)
    time = re.search(r"\*Time:\* (.+?)\.(?= |$)", text)
    title = lines[0].lstrip("# ")
    return Lesson(path, title, f"You learn {learn[1]}" if learn else "", time[1] if time else "")


def entry(lesson):
    heading = f"{lesson.path.stem}  {lesson.title}"
    return f"{heading} ({lesson.time})\n{indented(lesson.learn)}"


def experiments_entry(scripts):
    names = ", ".join(path.stem for path in scripts)
    return f"Experiments, for `kerasseg chapters run --experiment NAME`:\n{indented(names)}"


def indented(text):
    return textwrap.fill(text, 96, initial_indent="    ", subsequent_indent="    ")


def choose(scripts, kind, name):
    """The script of this name; of a lesson its number, such as ch12, is enough."""
    found = {path.stem: path for path in scripts}
    if kind == "lesson":
        found |= {path.stem.split("_")[0]: path for path in scripts}
    if name not in found:
        raise ValueError(
            f"No such {kind}. Expected one of {', '.join(path.stem for path in scripts)}. "
            f"Received: {name}"
        )
    return found[name]
