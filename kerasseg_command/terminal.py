"""What a terminal is shown, and the streams that a process may have been started without."""

import contextlib
import os
import re
import sys

# Control characters, line separators, and what turns the direction of the text around.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escaped(text, keep=""):
    """A text whose control characters are spelled out, since a terminal would obey them.

    The names of files and classes can hold any character.

    Args:
        text: Any object; `str` turns it into text.
        keep: The control characters that stay as they are.

    Example:

    >>> print(escaped("road\\x1b[2J", keep="\\n"))
    road\\x1b[2J
    """

    def spell(found):
        letter = found[0]
        return letter if letter in keep else letter.encode("unicode_escape").decode()

    return CONTROLS.sub(spell, str(text))


def show(text=""):
    """`print`, with names that no terminal obeys; line breaks are kept."""
    print(escaped(text, keep="\n"))


def prepare_streams():
    """Opens what is closed of the three standard streams, and lets them show every name.

    A file that is opened later would otherwise take the place of a closed stream, and receive what
    is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # `io.StringIO` has none, and shows every name
            stream.reconfigure(errors="backslashreplace")


def discard_broken_streams():
    """Sends the streams that take nothing any more nowhere: Python writes to them as it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
