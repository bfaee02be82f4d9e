"""What the commands do; `kerasseg_command` reads their arguments."""

from kerasseg.requirements import require
from kerasseg_command import main

__all__ = ["function_of", "main"]


def function_of(command):
    """The function `run(options)` of a command, which returns the exit code.

    Args:
        command: `"train"`, `"evaluate"`, `"predict"`, `"check"`, `"convert"`, `"export"` or
            `"chapters"`.

    Raises:
        ModuleNotFoundError: If a library that the command needs is not installed, with the command
            that installs it.
    """
    return require(f"kerasseg.cli.{command}").run
