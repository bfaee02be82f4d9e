"""Lists the lessons of the book in code, or runs one of them or an experiment.

A lesson explains one idea and trains a small network; an experiment measures what the lessons
say. Both write their figures and models into outputs/. What follows the name goes to the script.

example:
  kerasseg chapters
  kerasseg chapters run ch12 --quick
  kerasseg chapters run ch12 --help
  kerasseg chapters run --experiment denoising --quick
"""

import argparse


def add_arguments(parser):
    parser.add_argument("action", nargs="?", choices=("run",), help="leave it out for the list")
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="[--experiment] name ...",
        help="such as ch12 or ch12_unet, then options of the lesson: --quick, --output, ...",
    )
