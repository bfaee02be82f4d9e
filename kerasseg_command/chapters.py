"""Lists the chapters of the book in code, or runs one.

A chapter prints what it measures and writes its figures, its claims and its model into
outputs/. What follows its name is passed on to it.

example:
  kerasseg chapters
  kerasseg chapters run ch11 --quick
  kerasseg chapters run ch11 --help
"""

import argparse


def add_arguments(parser):
    parser.add_argument("action", nargs="?", choices=("run",), help="leave it out for the list")
    parser.add_argument("name", nargs="?", help="such as ch11 or ch11_unet")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="of the chapter: --quick, --output, ..."
    )
