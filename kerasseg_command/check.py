"""Says in words what is wrong with a folder of images and masks.

Reads every file once, changes none, and prints the splits, the mean and the standard
deviation of the images, how often each class occurs, and what is wrong, with its remedy.

With --model, a trained model looks at every image as well, and the regions where it is sure and
the label says otherwise are listed, the strongest first: there the label may be wrong. They are
shown on a page, in a folder of their own. The exit code is that of the check without a model.

example:
  kerasseg check data/camvid
  kerasseg check data/camvid --model runs/a/best.keras --output suspects

exit code:
  0  nothing is wrong
  1  warnings: something may harm a training
  2  errors: something will, or the folder cannot be read
"""

from kerasseg_command.arguments import path, positive_integer


def add_arguments(parser):
    parser.add_argument(
        "folder",
        type=path,
        help="images/ and masks/, or train/images/ and train/masks/, or CamVid's layout",
    )
    parser.add_argument(
        "--model", type=path, metavar="FILE", help="a .keras file, trained on such a folder"
    )
    parser.add_argument(
        "--output",
        type=path,
        default="label_errors",
        metavar="DIR",
        help="with --model: folder for the page, default: label_errors",
    )
    parser.add_argument(
        "--regions",
        type=positive_integer,
        default=40,
        metavar="N",
        help="with --model: how many to list at most, default: 40",
    )
