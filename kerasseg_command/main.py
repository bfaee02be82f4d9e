"""Reads the command line, runs the command, and turns errors into a line and an exit code."""

import argparse
import difflib
import importlib
import inspect
import re
import sys
import warnings

from kerasseg_command import chapters, check, convert, evaluate, export, predict, startup, train
from kerasseg_command.quiet import quiet_imports
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


def main(arguments=None):
    """Runs a command and returns its exit code; wrong arguments end the process with code 2.

    Args:
        arguments: The words behind `kerasseg`; by default those that the process was started with.
    """
    options = parse(arguments)
    command = vars(options).pop("command")
    for stream in (sys.stdout, sys.stderr):  # a file may have a name that a terminal cannot show
        if hasattr(stream, "reconfigure"):  # `io.StringIO` has none, and shows every name
            stream.reconfigure(errors="backslashreplace")
    try:
        needs_keras = startup.needs_keras(command, options)
        startup.with_keras = needs_keras or arguments is not None  # a caller may need it later
        with quiet_imports(tensorflow=needs_keras and command != "predict"):
            run = importlib.import_module("kerasseg.cli").function_of(command)
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            return run(options)
    except (ImportError, OSError, ValueError) as error:
        say("error", error)
        return 2
    except KeyboardInterrupt:
        return 130


def show_warning(message, category, filename, lineno, file=None, line=None):
    """One line for a warning about the user's data; warnings about code stay silent."""
    if category is UserWarning:
        say("warning", message)


def say(kind, message):
    """One line on the standard error, in which advice names options of the command."""
    text = " ".join(str(message).splitlines())
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
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: error: {message}{end} `{self.prog} --help` shows an example.\n")
