"""What the commands do; `kerasseg_command` reads their arguments."""

from kerasseg_command import main

__all__ = ["main"]
