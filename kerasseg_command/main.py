"""Reads the command line, runs the command, and turns errors into a line and an exit code."""

import argparse
import contextlib
import difflib
import importlib
import inspect
import os
import re
import signal
import sys
import traceback
import warnings

from kerasseg_command import chapters, check, convert, evaluate, export, predict, startup, train
from kerasseg_command.quiet import quiet_imports
from kerasseg_command.terminal import discard_broken_streams, escaped, prepare_streams
from kerasseg_command.version import __version__

# What the library advises, as options of the command.
OPTION_FOR = {
    "skip_damaged=True": "--skip-damaged",
    "encoder='vgg16'": "--encoder vgg16",
    "encoder_weights=": "--encoder-weights ",
    "`encoder_weights`": "`--encoder-weights`",
    "`classes`": "--classes",
    "`format`": "--format",
}
COMMANDS = (chapters, convert, check, train, evaluate, predict, export)
EXPECTED = (ImportError, OSError, ValueError)  # errors whose message says all that is needed
OUT_OF_MEMORY = re.compile("RESOURCE_EXHAUSTED|out of memory|not enough memory", re.IGNORECASE)
MOST_LETTERS = 300  # shown of an error that nobody expected


def main(arguments=None):
    """Runs a command and returns its exit code; wrong arguments end the process with code 2.

    Whatever goes wrong is one line on the standard error and code 2. With KERASSEG_TRACEBACK=1 in
    the environment the line follows Python's traceback.

    Args:
        arguments: The words behind `kerasseg`; by default those that the process was started with.
    """
    prepare_streams()
    try:
        try:
            return run(arguments)
        finally:
            sys.stdout.flush()  # as the process exits, an error could no longer be told
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("KERASSEG_TRACEBACK"):
            traceback.print_exc()
        with contextlib.suppress(OSError):
            say("error", in_words(error))
        return 2
    finally:
        discard_broken_streams()
        if arguments is None:  # the process ends, and another Ctrl-C would print where it was
            with contextlib.suppress(ValueError):  # outside the main thread
                signal.signal(signal.SIGINT, signal.SIG_IGN)


def run(arguments):
    options = parse(arguments)
    command = vars(options).pop("command")
    needs_keras = startup.needs_keras(command, options)
    startup.with_keras = needs_keras or arguments is not None  # a caller may need it later
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)  # whatever PYTHONWARNINGS says
        warnings.showwarning = show_warning
        with quiet_imports(tensorflow=needs_keras and command != "predict"):
            function = importlib.import_module("kerasseg.cli").function_of(command)
        return function(options)


def in_words(error):
    """What an error says; of one that nobody expected, its kind, and its first line."""
    if is_out_of_memory(error):
        return (
            "There was not enough memory. A smaller image size, tile or batch needs less, and so "
            "does a model with a smaller --width."
        )
    if isinstance(error, BrokenPipeError):
        return "The program that reads the output has ended."
    if isinstance(error, EXPECTED) and str(error):
        return error
    first = (str(error).strip().splitlines() or [""])[0][:MOST_LETTERS]
    return (
        f"{type(error).__name__}: {first} (KERASSEG_TRACEBACK=1 in the environment shows where; "
        "please report it)"
    )


def is_out_of_memory(error):
    """Whether an error of Python, NumPy or a backend means that the memory is full."""
    if isinstance(error, EXPECTED):
        return False
    kind = type(error).__name__
    known = isinstance(error, MemoryError) or kind in ("ResourceExhaustedError", "OutOfMemoryError")
    return known or bool(OUT_OF_MEMORY.search(str(error)))


def show_warning(message, category, filename, lineno, file=None, line=None):
    """One line for a warning about the user's data; warnings about code stay silent."""
    if category is UserWarning:
        say("warning", message)


def say(kind, message):
    """One line on the standard error, in which advice names options of the command."""
    text = escaped(" ".join(str(message).splitlines()))
    for argument, option in OPTION_FOR.items():
        text = text.replace(argument, option)
    print(f"kerasseg: {kind}: {text}", file=sys.stderr)


def parse(arguments):
    """The options of a command, with its name as `command`."""
    parser = Parser(
        prog="kerasseg",
        description="Encoders and decoders for images in Keras 3.",
        epilog="example:\n  kerasseg check data/camvid\n\n`kerasseg COMMAND --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kerasseg {__version__}")
    commands = parser.add_subparsers(metavar="command", dest="command", required=True)
    for command in COMMANDS:
        description = inspect.getdoc(command)
        command_parser = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=description.splitlines()[0],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(command_parser)
    return parser.parse_args(arguments)


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments in one line, with the choice that was probably meant."""

    def error(self, message):
        found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if found:
            choices = [choice.strip("'") for choice in found[2].split(", ")]
            for close in difflib.get_close_matches(found[1], choices, n=1):
                message += f". Did you mean {close}?"
        message = escaped(" ".join(message.splitlines()))
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: error: {message}{end} `{self.prog} --help` shows an example.\n")
