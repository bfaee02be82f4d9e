"""Writes the label map of every image.

A label map is a PNG file whose values are class ids, shown in the classes' colours. The model
file holds the colours and the size that the model was trained at: an image is resized to
that size as in training, and its label map is resized back to the image's own size. A
multi-label model gives a folder for each image, with one mask of 0 and 1 per label. Where a model
has two classes, or labels, --threshold says how probable the foreground must be.

Images above 4 million pixels that are not resized are predicted in tiles. Nothing is replaced: a
label map that is there already is an error, and so is an output inside a folder of images.

--polygons writes the outlines of all objects, except for a class called background, into
annotations.json, as COCO's JSON: correct them by hand with CVAT, Label Studio or another tool,
export them as COCO's JSON again, and make a training set of them with `kerasseg convert`.

example:
  kerasseg predict runs/a/best.keras holiday/*.jpg --output maps --overlays
  kerasseg predict runs/a/best.keras aerial.tif --output maps --image-size native --tile 512
"""

from kerasseg_command.arguments import number_reader, path, positive_integer

threshold = number_reader(float, lambda x: 0 < x < 1, "a number between 0 and 1")
overlap = number_reader(float, lambda x: 0 <= x <= 0.9, "a number from 0 to 0.9")


def size_or_native(text):
    return text if text == "native" else positive_integer(text)


def add_arguments(parser):
    parser.add_argument("model", type=path, help="a .keras file")
    parser.add_argument("images", nargs="+", type=path, help="images, and folders of images")
    parser.add_argument(
        "--output",
        required=True,
        type=path,
        metavar="DIR",
        help="folder for the label maps; not inside a folder of images",
    )
    parser.add_argument(
        "--image-size",
        nargs="+",
        type=size_or_native,
        metavar=("HEIGHT", "WIDTH"),
        help="predict at this size and keep it; or native: predict at the image's own size",
    )
    parser.add_argument(
        "--tile",
        type=positive_integer,
        metavar="N",
        help="predict in overlapping tiles of N pixels; default: 512 above 4 million pixels",
    )
    parser.add_argument(
        "--overlap", type=overlap, default=0.25, metavar="X", help="share of a tile, default: 0.25"
    )
    parser.add_argument(
        "--threshold",
        type=threshold,
        metavar="X",
        help="probability above which a pixel is foreground, of a binary model or of one with "
        "labels; default: 0.5",
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored image")
    parser.add_argument(
        "--overlays", action="store_true", help="also the classes over the images, in overlays/"
    )
    parser.add_argument(
        "--polygons", action="store_true", help="also outlines as COCO's JSON, annotations.json"
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="also float16 arrays (height, width, classes), as .npy files in probabilities/",
    )
