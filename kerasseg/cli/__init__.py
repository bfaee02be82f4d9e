"""The command line."""

from kerasseg.cli.main import main, parse, run

__all__ = ["main", "parse", "run"]
