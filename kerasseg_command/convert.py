"""Makes a folder of images and masks from the annotations of another tool.

Reads COCO's JSON (polygons and RLE), LabelMe's JSON, YOLO's segmentation labels, and folders of
Pascal VOC, also as CVAT, Roboflow and Label Studio export them. Writes images/, masks/ of class
ids, and classes.txt, in train/, val/ and test/ if the source has splits. Says which objects
overlap, lie outside their image, or have an unknown name. The source is never changed, and the
output is complete or not there.

A pixel in two objects belongs to the smaller one; a pixel of an unknown name is void (255).

example:
  kerasseg convert export/instances_default.json --images photos --to my_images
  kerasseg convert labelme_folder --to my_images --classes classes.txt

exit code:
  0  written
  2  nothing was written
"""

FORMATS = ("coco", "labelme", "yolo", "voc")


def add_arguments(parser):
    parser.add_argument("source", help="a folder, or the JSON or YAML file in it")
    parser.add_argument(
        "--to", required=True, metavar="FOLDER", help="the output, a folder that does not exist"
    )
    parser.add_argument("--format", choices=FORMATS, help="default: recognised")
    parser.add_argument(
        "--images", metavar="DIR", help="where the images lie, if not near the annotations"
    )
    parser.add_argument(
        "--classes",
        metavar="FILE",
        help="names of the classes, one a line, in the order of their ids; default: the source's",
    )
    parser.add_argument(
        "--unlabelled",
        choices=("background", "void"),
        default="background",
        help="what pixels in no object are: class 0, or 255; default: background",
    )
    parser.add_argument(
        "--skip-damaged", action="store_true", help="leave out images that cannot be used"
    )
