"""The command line: `kerasseg COMMAND`, for your own images.

This package reads the command line and imports nothing from `kerasseg`, whose import takes seconds
because it imports Keras and a backend: `kerasseg --help` and wrong arguments are answered at once.
A module here has the arguments of a command, and its docstring is the command's help. The module
of the same name in `kerasseg.cli` has the function `run(options)` that does the work.
"""

import sys

try:
    from kerasseg_command.main import main
except KeyboardInterrupt:
    if sys.argv[0] == "-m" or sys.argv[0].endswith("kerasseg"):  # the process is the command
        sys.exit(130)
    raise

__all__ = ["main"]
