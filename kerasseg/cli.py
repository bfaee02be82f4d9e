"""The command line: `kerasseg check DIR`, and what else there is to do with a folder of pictures.

A command is a function that is given its parser, adds its arguments, and returns what to run: a
function of the parsed arguments that returns the exit code. Its name is the command, its
docstring the help.
"""

import argparse
import inspect
import sys

from kerasseg.version import __version__


def main(arguments=None):
    """Runs a command and returns its exit code; wrong arguments end the process with 2."""
    parser = argparse.ArgumentParser(
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
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):  # a file may have a name that a terminal cannot show
        if hasattr(stream, "reconfigure"):  # `io.StringIO` has none, and shows every name
            stream.reconfigure(errors="backslashreplace")
    try:
        return options.run(options)
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def check(parser):
    """Says in words what is wrong with a folder of images and masks.

    Reads every file once, changes none, and prints the splits, the mean and the standard
    deviation of the images, how often each class occurs, and what is wrong, with its remedy.

    example:
      kerasseg check data/camvid

    exit code:
      0  nothing is wrong
      1  warnings: something may spoil a training
      2  errors: something will, or the folder cannot be read
    """
    parser.add_argument(
        "folder", help="images/ and masks/, or train/images/ and train/masks/, or as CamVid lies"
    )

    def run(options):
        from kerasseg.checks import check_dataset

        report = check_dataset(options.folder)
        print(report)
        return report.exit_code

    return run


COMMANDS = (check,)

if __name__ == "__main__":
    sys.exit(main())
