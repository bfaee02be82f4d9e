"""Says in words what is wrong with a folder of images and masks.

Reads every file once, changes none, and prints the splits, the mean and the standard
deviation of the images, how often each class occurs, and what is wrong, with its remedy.

example:
  kerasseg check data/camvid

exit code:
  0  nothing is wrong
  1  warnings: something may harm a training
  2  errors: something will, or the folder cannot be read
"""

from kerasseg_command.arguments import path


def add_arguments(parser):
    parser.add_argument(
        "folder",
        type=path,
        help="images/ and masks/, or train/images/ and train/masks/, or CamVid's layout",
    )
