"""`kerasseg evaluate MODEL DIR`: the scores of a saved model."""

import json
import sys

from kerasseg.chapter import positive_integer


def evaluate(parser):
    """Scores a saved model on a folder of images and masks.

    Prints the IoU of each class and their mean, from one confusion matrix over the whole split.

    example:
      kerasseg evaluate runs/a/best.keras data/camvid
    """
    parser.add_argument("model", help="a .keras file")
    parser.add_argument("folder", help="images and masks, as `kerasseg check` takes them")
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
        metavar=("H", "W"),
        help="pixels to bring the pictures to (default: the size that the model was trained at)",
    )
    parser.add_argument("--batch-size", type=positive_integer, default=8, help="default: 8")
    parser.add_argument("--json", action="store_true", help="all digits, for other programs")

    def run(options):
        from tqdm import tqdm

        from kerasseg import datasets
        from kerasseg.cli import model_files
        from kerasseg.training import evaluation

        model = model_files.load(options.model)
        channels = model_files.channels_of(model, options.model)
        known = model_files.classes_in(model)
        size = options.image_size or known.image_size
        data = datasets.load(
            "folder",
            data_dir=options.folder,
            image_size=size,
            batch_size=options.batch_size if size else 1,
            augment=0,
        )
        check_fit(options, channels, known, data)
        batches = getattr(data, options.split)
        scores = evaluation.evaluate(
            model,
            tqdm(batches.as_numpy_iterator(), total=len(batches), unit="batch", disable=None),
            data,
        )
        if options.json:
            print(json.dumps(scores))
        else:
            print(evaluation.score_table(scores))
        return 0

    return run


def check_fit(options, channels, known, data):
    """Raises `ValueError` where a model and a folder have nothing to do with each other."""
    if getattr(data, options.split) is None:
        raise ValueError(
            f"{options.folder} has no {options.split} split. Leave out --split for validation."
        )
    if channels != data.image_shape[-1]:
        raise ValueError(
            f"{options.model} takes pictures of {channels} channel{'s' * (channels > 1)}, but "
            f"those of {options.folder} are read in colour. Train a model on such pictures."
        )
    if len(known.class_names) != data.num_classes:
        raise ValueError(
            f"{options.model} has {len(known.class_names)} classes "
            f"({', '.join(known.class_names)}), but the masks of {options.folder} have "
            f"{data.num_classes} ({', '.join(data.class_names)}). Take the folder that the model "
            "was trained on, or one with the same classes in the same order."
        )
    if tuple(known.class_names) != tuple(data.class_names):
        print(
            f"warning: the model's classes are {', '.join(known.class_names)}; the folder's are "
            f"{', '.join(data.class_names)}. They are compared in this order.",
            file=sys.stderr,
        )
