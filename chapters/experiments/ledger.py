"""The ledger of an experiment: tables, claims with their measurements, and a results page."""

import datetime
import json
import math
import os
import platform
import shlex
import textwrap
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

import keras

from kerasseg.chapter import Chapter
from kerasseg.tables import table
from kerasseg.training.files import write_text_whole
from kerasseg_command.version import __version__

CARD = ("data", "licence", "recipe", "scores", "seed")


class CpuSeconds(keras.callbacks.Callback):
    """Logs the CPU time of each epoch, of all cores together, as `cpu_seconds`.

    On a machine that does other work at the same time, it says more than the clock. It must stand
    before a `Run`, which then keeps it; `cpu_minutes` adds the epochs of a `Run` up.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        logs["cpu_seconds"] = round(time.process_time() - self._began, 1)


def cpu_minutes(run):
    """The CPU time of a `Run` in minutes, whatever its interruptions."""
    return sum(epoch["cpu_seconds"] for epoch in run.state["history"]) / 60


class Experiment(Chapter):
    """A chapter that also records what it measured.

    It takes the arguments of `kerasseg.chapter.Chapter`, prints its settings, and `finish` leaves
    two files in the output folder: `claims.json` for programs and `results.md` for readers.
    """

    folder = "chapters/experiments"

    def __init__(self, name, title, **arguments):
        super().__init__(name, title, **arguments)
        self.command = command(f"{self.folder}/{name}.py", self.arguments)
        self.start = time.monotonic()
        self.tables = []
        self.figures = []
        self.claims = []
        self.question = self.answer = ""
        print(f"{title}\n{'=' * len(title)}")
        print("\n".join(f"{key:>12}: {value}" for key, value in vars(self.settings).items()))

    def figure(self, figure, name, caption, title=""):
        super().figure(figure, name, caption, title)
        self.figures.append((name, caption))

    def table(self, header, rows, caption):
        """Prints rows of words and numbers under their header; `results.md` has them, too."""
        rows = [[str(cell) for cell in row] for row in (header, *rows)]
        self.tables.append((rows, caption))
        print(f"\n{table(rows)}\n\n{textwrap.fill(caption, 88)}")

    def exact(self, claim, *, measured, expected, source, unit="", tolerance=0):
        """Records a formula, an identity or a count. `finish` fails when it does not hold.

        With a `tolerance`, `measured` may differ from `expected` by as much.
        """
        holds = measured == expected if tolerance == 0 else abs(measured - expected) <= tolerance
        self._record(claim, "exact", expected, measured, None, unit, holds, source)

    def empirical(self, claim, *, measured, expected, holds, source, unit="", spread=None):
        """Records a measurement, whichever way it comes out.

        `expected` says in words or numbers what was claimed; `holds` whether the measurement
        agrees; `spread` how far repetitions lie apart, where there are any.
        """
        self._record(claim, "empirical", expected, measured, spread, unit, holds, source)

    def conclude(self, question, answer):
        """The question of the experiment and its answer, the first lines of `results.md`."""
        self.question, self.answer = question, answer
        print(f"\n{textwrap.fill(question, 88)}\n{textwrap.fill(answer, 88)}")

    def keep(self, model, **card):
        """Saves a model that is shipped as `model.keras`, and what to know of it as `card.md`.

        The file has no optimizer and no loss: it is for use. `card` has at least `data`, `licence`,
        `recipe`, `scores` and `seed`, each a line of text.
        """
        lacking = [entry for entry in CARD if entry not in card]
        if lacking:
            raise ValueError(f"`card` needs {', '.join(CARD)}. Received: {', '.join(card)}")
        for_use = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
        for_use.save(self.output / "model.keras")
        card = {
            **card,
            "command": f"`{self.command}`",
            "weights": f"{model.count_params():,} float32",
        }
        lines = [f"# {self.title}: the model", "", *(f"- {k}: {v}" for k, v in card.items())]
        write_text_whole(self.output / "card.md", "\n".join(lines) + "\n")

    def finish(self):
        """Prints the claims, writes them down, and fails if an exact one does not hold.

        `claims.json` has them for programs, `results.md` for readers, with the figures, the
        command, the date, the kind of machine and the versions of the libraries.
        """
        print("\n" + table(claims_rows(self.claims)))
        text = json.dumps(self.claims, indent=2, allow_nan=False)
        write_text_whole(self.output / "claims.json", text + "\n")
        write_text_whole(self.output / "results.md", results_page(self))
        print(f"\nFigures, claims and models are in {self.output}/; results.md shows them.")
        exact = [claim for claim in self.claims if claim["kind"] == "exact"]
        broken = [claim["claim"] for claim in exact if not claim["holds"]]
        if broken:
            raise SystemExit(f"{self.name}: an exact claim does not hold: {'; '.join(broken)}")

    def _record(self, claim, kind, expected, measured, spread, unit, holds, source):
        self.claims.append(
            {
                "chapter": self.name,
                "claim": claim,
                "kind": kind,
                "expected": plain(expected),
                "measured": plain(measured),
                "spread": plain(spread),
                "unit": unit,
                "holds": bool(holds),
                "source": source,
            }
        )


def plain(value):
    """NumPy numbers and arrays as what JSON holds; a number that is none as `None`."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def in_markdown(rows):
    header, *rows = ([cell.replace("|", "/") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def claims_rows(claims):
    """A header; for each claim its mark, the claim, what was expected and what was measured."""

    def short(value):
        if isinstance(value, float):
            return f"{value:,.4g}"
        return f"{value:,}" if type(value) is int else str(value)

    rows = [("", "claim", "expected", "measured")]
    for claim in claims:
        spread = "" if claim["spread"] is None else f" ± {short(claim['spread'])}"
        measured = f"{short(claim['measured'])}{spread} {claim['unit']}".strip()
        mark = "holds" if claim["holds"] else "FAILS" if claim["kind"] == "exact" else "differs"
        rows.append((mark, claim["claim"], short(claim["expected"]), measured))
    return rows


def command(script, arguments):
    """What was typed, without the reader's own folders."""
    words = ["python", script]
    for key, value in arguments.items():
        option = f"--{key.replace('_', '-')}"
        if key in ("quick", "full"):
            words += [option] * value
        elif key != "output":
            values = value if isinstance(value, tuple) else (value,)
            words += [option, *("PATH" if key == "data_dir" else str(v) for v in values)]
    return shlex.join(words)


def results_page(chapter):
    """A chapter's run in Markdown: how it was made, tables, claims, figures."""
    made = {
        "command": f"`{chapter.command}`",
        "date": datetime.date.today().isoformat(),
        "took": f"{(time.monotonic() - chapter.start) / 60:.1f} minutes",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{gpus()}",
        "versions": f"Python {platform.python_version()}, {versions()}",
    }
    said = f"**{chapter.question}** {chapter.answer}" if chapter.question else ""
    parts = [
        f"# {chapter.title}",
        *([said] if said else []),
        "\n".join(f"- {what}: {value}" for what, value in made.items()),
        *(f"{in_markdown(rows)}\n\n{caption}" for rows, caption in chapter.tables),
        in_markdown(claims_rows(chapter.claims)),
        *(f"![{name}]({name}.png)\n\n{caption}" for name, caption in chapter.figures),
    ]
    return "\n\n".join(parts) + "\n"


def gpus():
    """The GPUs that the backend sees, after a comma; under PyTorch Keras does not list any."""
    if keras.backend.backend() == "torch":
        return ""
    found = [name for name in keras.distribution.list_devices() if "gpu" in name or "cuda" in name]
    return f", {len(found)} GPU" if found else ""


def versions():
    found = [f"kerasseg {__version__}"]
    for name in ("keras", "tensorflow", "numpy"):
        with suppress(PackageNotFoundError):  # under another backend
            found.append(f"{name} {version(name)}")
    return ", ".join(found)
