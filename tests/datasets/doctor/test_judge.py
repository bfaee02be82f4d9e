"""What is wrong with a set though each of its pairs is right."""

import numpy as np
from PIL import Image

from kerasseg import check_dataset
from tests.datasets.doctor.examples import SIZE, only, save


def test_classes_that_never_occur_are_named(folder):
    (folder / "classes.txt").write_text("road\ncar\ntree\nbicycle rider\n")
    message = only(check_dataset(folder), "classes that never occur", "warning")
    assert message == "bicycle rider, id 3: no pixel in any mask"


def test_classes_that_never_occur_in_training_are_named(split_folder):
    for path in (split_folder / "train" / "masks").iterdir():
        save(path, np.minimum(Image.open(path), 1))
    message = only(check_dataset(split_folder), "classes that never occur", "warning")
    assert message == "class 2, id 2: no pixel in train, only in other splits"


def test_a_void_share_above_30_percent_is_named(split_folder):
    for path in (split_folder / "val" / "masks").iterdir():
        mask = np.array(Image.open(path))
        mask[: SIZE[0] // 2] = 255
        save(path, mask)
    message = only(check_dataset(split_folder), "a void share above 30%", "warning")
    assert message == "50.0% of the pixels of validation are void"


def test_the_same_picture_in_two_splits_is_named_though_saved_anew(split_folder):
    (split_folder / "val" / "images" / "3.png").unlink()
    path = split_folder / "val" / "images" / "3.bmp"
    Image.open(split_folder / "train" / "images" / "1.png").save(path)
    message = only(check_dataset(split_folder), "the same image in two splits", "error", path)
    assert message == "in validation, equals train/images/1.png in train"
