"""What a lesson needs besides Keras: its settings, its output folder, its figures."""

import argparse
import os
import shlex
import sys
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

from kerasseg.training.devices import run_step_by_step
from kerasseg_command.arguments import positive_integer

OPTIONS = {
    "dataset": "name of the data set, as in kerasseg.datasets.load",
    "data_dir": "folder of the data set; the default data sets need none",
    "image_size": "height and width in pixels",
    "epochs": "passes over the training images",
    "loss_epochs": "passes over the training images where losses are compared",
    "batch_size": "images per step",
    "width": "number of filters, as a fraction of the paper's",
    "model": "name of the network",
    "models": "names of the networks, separated by commas",
    "encoder_weights": "weights of VGG-16: a file, or 'imagenet' to download them; default: random",
    "code_size": "numbers in a code",
    "sigma": "standard deviation of the noise; white is 1",
    "draws": "random codes for each network",
    "canvases": "large images of scattered digits to test on",
    "seeds": "trainings from different random weights",
    "seed": "random seed of weights, shuffling and augmentation",
    "output": "folder for figures and models",
}
# These take whole numbers from 1 on; every other setting has the type of its default.
COUNTS = {
    *("image_size", "epochs", "loss_epochs", "batch_size", "seeds"),
    *("code_size", "draws", "canvases"),
}


class Chapter:
    """The settings, the output folder and the figures of a lesson.

    Settings come from the keyword arguments, then from `quick` if it is asked for, then from the
    command line; the last one wins. A notebook has no command line: edit the cell, or put
    `%env KERASSEG_CHAPTER_ARGS=--quick` above it.

    Args:
        name: The script's name, such as `"ch12_unet"`.
        title: Its heading.
        quick: Settings of `--quick`: a run of seconds that shows that the script works.
        full: Settings of `--full`, for a run at full length. Without them there is no `--full`.
        choices: {setting: the values it may take}.
        **settings: Every setting with its default, which also determines its type. With `None`
            the lesson itself decides.

    Attributes:
        settings: The settings as attributes, together with `quick` and `full` (booleans).
        output: The output folder, a `Path`, created on first use. By default it is in `outputs/`
            of the working folder, or in `~/.cache/kerasseg/` if that cannot be written.

    Example:

    >>> lesson = Chapter("ch00_example", "Sums", quick={"epochs": 1}, epochs=20)
    >>> lesson.settings.epochs
    20
    """

    def __init__(self, name, title, *, quick, full=None, choices=None, **settings):
        self.name = name
        self.title = title
        outputs = Path("outputs")
        if not os.access(outputs if outputs.exists() else Path(), os.W_OK):
            outputs = Path.home() / ".cache" / "kerasseg"
        settings = {"output": str(outputs / name), **settings}
        self.arguments = parse_arguments(title, settings, choices or {}, bool(full))
        is_quick, is_full = self.arguments["quick"], self.arguments["full"]
        chosen = quick if is_quick else full if is_full else {}
        self.settings = SimpleNamespace(**{**settings, **chosen, **self.arguments})
        if is_quick:
            run_step_by_step()
        # Keras says so of every tf.data set, whose own shuffling is what counts.
        warnings.filterwarnings("ignore", "`shuffle=True` was passed", UserWarning)

    @property
    def output(self):
        folder = Path(self.settings.output)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def figure(self, figure, name, caption, title=""):
        """Saves a Matplotlib figure as PNG and prints its caption; in a notebook, shows both.

        Args:
            figure: The Matplotlib `Figure`.
            name: The file's name, without `.png`.
            caption: What to look at.
            title: Written above the figure, if it has no title of its own.
        """
        path = self.output / f"{name}.png"
        if title:
            figure.suptitle(textwrap.fill(title, int(10 * figure.get_figwidth())))
        if in_notebook():
            from IPython.display import Image, Markdown, display

            figure.savefig(path, dpi=100)
            display(Image(path), Markdown(f"*{caption}*"))
        else:
            figure.savefig(path, dpi=150)
            print(f"\nFigure {path}\n{textwrap.fill(caption, 88)}")


def parse_arguments(title, settings, choices, has_full):
    """The settings that were given, and whether `quick` and `full` were."""
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
    length.add_argument(
        "--quick", action="store_true", help="a run of seconds, to see that it works"
    )
    if has_full:
        length.add_argument("--full", action="store_true", help="real data at full length")
    words = shlex.split(os.environ.get("KERASSEG_CHAPTER_ARGS", "")) if in_notebook() else None
    given = {"full": False, **vars(parser.parse_args(words))}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def in_notebook():
    return "ipykernel.kernelapp" in sys.modules
