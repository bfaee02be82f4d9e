"""Scores a saved model on a folder of images and masks.

Prints the IoU of each class and their mean, from one confusion matrix over the whole split, and how
far they can be trusted: the 95 % interval of the mean IoU, from drawing the images again; the
boundary IoU, in which wrong outlines show; and the calibration error, by how much the model is
surer than it is right. With --output, a page shows all of it, with the confusion matrix, the
reliability diagram, and the best and the worst images.

example:
  kerasseg evaluate runs/a/best.keras data/camvid --output scores
"""

from kerasseg_command.arguments import path, positive_integer


def add_arguments(parser):
    parser.add_argument("model", type=path, help="a .keras file")
    parser.add_argument(
        "folder", type=path, help="images and masks, as `kerasseg check` takes them"
    )
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="validation",
        help="which part of the folder (default: validation)",
    )
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=positive_integer,
        metavar=("HEIGHT", "WIDTH"),
        help="pixels to resize the images to (default: the size that the model was trained at)",
    )
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave out pairs that cannot be used"
    )
    parser.add_argument("--batch-size", type=positive_integer, default=8, help="default: 8")
    parser.add_argument(
        "--output", type=path, metavar="DIR", help="folder for report.html and its figures"
    )
    parser.add_argument("--json", action="store_true", help="all digits, for other programs")
