"""What every chapter script shares: settings, an output folder, figures, claims."""

import argparse
import datetime
import json
import math
import os
import platform
import shlex
import sys
import textwrap
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace

from kerasseg.tables import table
from kerasseg.training.files import write_text_whole
from kerasseg_command.arguments import positive_integer

OPTIONS = {
    "dataset": "name of the data, as in kerasseg.datasets.load",
    "data_dir": "where the data lie, or are downloaded to; those of the default need none",
    "image_size": "height and width in pixels",
    "epochs": "passes over the training images",
    "loss_epochs": "the same, where losses are compared",
    "batch_size": "images a step",
    "width": "the network's filters, as a share of its paper's",
    "model": "the network",
    "models": "the networks, by their names and commas between them",
    "encoder_weights": "VGG-16's: a file, or 'imagenet', which downloads them; else random ones",
    "code_size": "numbers in a code",
    "sigma": "standard deviation of the noise; white is 1",
    "draws": "random codes for each net",
    "canvases": "large images of scattered digits to test on",
    "seeds": "trainings from different random weights",
    "seed": "of weights, shuffling and augmentation",
    "output": "folder for figures, claims and the model",
}


# These take whole numbers from 1 on; every other setting the type of its default.
COUNTS = {
    *("image_size", "epochs", "loss_epochs", "batch_size", "seeds"),
    *("code_size", "draws", "canvases"),
}


class Chapter:
    """A chapter's settings, and the record of what it measured.

    Settings come, weakest first, from the keyword arguments, from `quick` or `full` when
    asked for, and from the command line. In a notebook there is no command line: edit the cell, or
    say `%env KERASSEG_CHAPTER_ARGS=--quick` above it.

    Args:
        name: The script's name, such as `"ch11_unet"`.
        title: Its heading.
        quick: Settings of `--quick`: a run of seconds that shows that the script works.
        full: Settings of `--full`: real data at full length.
        choices: {setting: the values it may take}.
        **settings: Every setting with its default; its type is the default's. `None` stands for
            "decided by the chapter".

    Attributes:
        settings: The settings as attributes, `quick` and `full` (booleans) among them.
        output: The output folder, a `Path`, made on first use; by default in `outputs/` of the
            working folder, or in `~/.cache/kerasseg/` where nothing can be written there.

    Example:

    >>> chapter = Chapter("ch00_example", "Sums", quick={"epochs": 1}, full={}, epochs=20)
    Sums
    ====
          output: ...ch00_example
          epochs: 20
           quick: False
            full: False
    >>> chapter.exact("1 + 1", measured=1 + 1, expected=2, source="arithmetic")
    >>> chapter.finish()
    <BLANKLINE>
           claim  expected  measured
    holds  1 + 1  2         2
    <BLANKLINE>
    Figures, claims and models are in ...ch00_example/; results.md shows them.
    """

    def __init__(self, name, title, *, quick, full, choices=None, **settings):
        self.name = name
        self.title = title
        outputs = Path("outputs")
        if not os.access(outputs if outputs.exists() else Path(), os.W_OK):
            outputs = Path.home() / ".cache" / "kerasseg"
        settings = {"output": str(outputs / name), **settings}
        arguments = parse_arguments(title, settings, choices or {})
        chosen = quick if arguments["quick"] else full if arguments["full"] else {}
        self.settings = SimpleNamespace(**{**settings, **chosen, **arguments})
        self.command = command(name, arguments)
        self.start = time.monotonic()
        self.tables = []
        self.figures = []
        self.claims = []
        print(f"{title}\n{'=' * len(title)}")
        print("\n".join(f"{key:>12}: {value}" for key, value in vars(self.settings).items()))

    @property
    def output(self):
        folder = Path(self.settings.output)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def figure(self, figure, name, caption, title=""):
        """Saves a Matplotlib figure as PNG; in a notebook, shows it.

        A `title` says above the figure what it shows, where the figure does not yet say so.
        """
        path = self.output / f"{name}.png"
        if title:
            figure.suptitle(textwrap.fill(title, int(10 * figure.get_figwidth())))
        figure.savefig(path, dpi=150)
        self.figures.append((name, caption))
        print(f"\nFigure {path}\n{textwrap.fill(caption, 88)}")
        if in_notebook():
            from IPython.display import Image, display

            display(Image(path))

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


def parse_arguments(title, settings, choices):
    """The settings that were given, `quick` and `full` among them."""
    parser = argparse.ArgumentParser(description=title)
    for name, default in settings.items():
        many = {"nargs": len(default)} if isinstance(default, tuple) else {}
        example = default[0] if many else default
        kind = str if example is None else type(example)
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=positive_integer if name in COUNTS else kind,
            choices=choices.get(name),
            default=argparse.SUPPRESS,
            help=OPTIONS.get(name, name) + shown,
            **many,
        )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="seconds: shows that it runs")
    length.add_argument("--full", action="store_true", help="real data at full length")
    words = shlex.split(os.environ.get("KERASSEG_CHAPTER_ARGS", "")) if in_notebook() else None
    given = vars(parser.parse_args(words))
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def in_notebook():
    return "ipykernel.kernelapp" in sys.modules


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


def command(name, arguments):
    """What was typed, without the reader's own folders."""
    words = ["python", f"chapters/{name}.py"]
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
