"""The command line: `kerasseg COMMAND`, for one's own pictures.

A command is a function that is given its parser, adds its arguments, and returns what to run: a
function of the parsed arguments that returns the exit code. Its name is the command, its
docstring the help; what it needs to run is imported when it runs.
"""

import argparse
import inspect
import sys

from kerasseg.cli.chapters import chapters
from kerasseg.cli.check import check
from kerasseg.cli.evaluate import evaluate
from kerasseg.cli.export import export
from kerasseg.cli.predict import predict
from kerasseg.cli.train import train
from kerasseg.version import __version__

COMMANDS = (chapters, check, train, evaluate, predict, export)


class Parser(argparse.ArgumentParser):
    """Wrong arguments are one line and exit code 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message}. `{self.prog} --help` shows an example.\n")


def main(arguments=None):
    """Runs a command and returns its exit code; wrong arguments end the process with 2."""
    return run(parse(arguments))


def parse(arguments):
    """The options of a command, its function `run` among them."""
    parser = Parser(
        prog="kerasseg",
        description="Encoders and decoders for images in Keras 3.",
        epilog="example:\n  kerasseg check data/camvid\n\n`kerasseg COMMAND --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"kerasseg {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        words = inspect.getdoc(command)
        command_parser = commands.add_parser(
            command.__name__,
            help=words.splitlines()[0],
            description=words,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command_parser.set_defaults(run=command(command_parser))
    return parser.parse_args(arguments)


def run(options):
    """Runs a command; what it refuses is one line."""
    for stream in (sys.stdout, sys.stderr):  # a file may have a name that a terminal cannot show
        if hasattr(stream, "reconfigure"):  # `io.StringIO` has none, and shows every name
            stream.reconfigure(errors="backslashreplace")
    try:
        return options.run(options)
    except (ImportError, OSError, ValueError) as error:
        print("kerasseg: error:", *str(error).splitlines(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
