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

from kerasseg.chapter import Chapter
from kerasseg.tables import table
from kerasseg.training.files import write_text_whole


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
    parts = [
        f"# {chapter.title}",
        "\n".join(f"- {what}: {value}" for what, value in made.items()),
        *(f"{in_markdown(rows)}\n\n{caption}" for rows, caption in chapter.tables),
        in_markdown(claims_rows(chapter.claims)),
        *(f"![{name}]({name}.png)\n\n{caption}" for name, caption in chapter.figures),
    ]
    return "\n\n".join(parts) + "\n"


def gpus():
    """The GPUs that the backend sees, after a comma; under PyTorch Keras does not list any."""
    import keras

    if keras.backend.backend() == "torch":
        return ""
    found = [name for name in keras.distribution.list_devices() if "gpu" in name or "cuda" in name]
    return f", {len(found)} GPU" if found else ""


def versions():
    found = []
    for name in ("kerasseg", "keras", "tensorflow", "numpy"):
        with suppress(PackageNotFoundError):  # run from its folder, or under another backend
            found.append(f"{name} {version(name)}")
    return ", ".join(found)
