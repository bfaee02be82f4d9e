"""Types of arguments: each reads a number or a path, or says what was expected."""

import argparse
import math


def number_reader(kind, is_legal, expected):
    """A `type` for `add_argument`: reads an `int` or a `float` and checks it."""

    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not is_legal(value):
            raise argparse.ArgumentTypeError(f"expected {expected}. Received: {text}")
        return value

    return read


positive_integer = number_reader(int, lambda n: n >= 1, "a whole number of at least 1")
positive_number = number_reader(float, lambda x: 0 < x < math.inf, "a number above 0")
share = number_reader(float, lambda x: 0 <= x <= 1, "a number from 0 to 1")
seed = number_reader(int, lambda n: 0 <= n < 2**32, "a whole number from 0, below 2^32")


def path(text):
    """A path, as a string; an empty one, which would mean the folder one is in, is refused."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected a path. Received: {text!r}")
    return text
