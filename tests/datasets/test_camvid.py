"""CamVid: its classes, its void, its folders and its lists."""

import numpy as np
import pytest
import tensorflow as tf

from kerasseg import datasets
from kerasseg.datasets import camvid
from tests.conftest import make_camvid
from tests.datasets.folders import everything, save


def load(folder, **arguments):
    return datasets.load("camvid", data_dir=folder, **arguments)


def test_batches_have_the_types_and_ranges_of_the_conventions(camvid_dir):
    data = load(camvid_dir, batch_size=4)
    images, labels = next(iter(data.train))
    assert images.shape == (4, 9, 12, 3)
    assert labels.shape == (4, 9, 12)
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int32)
    assert 0 <= images.numpy().min() <= images.numpy().max() <= 1
    assert data.image_shape == (9, 12, 3)


def test_void_becomes_255_and_the_other_ids_stay(camvid_dir):
    images, labels = everything(load(camvid_dir).validation)
    ids = np.rint(images[..., 0] * 255 / 20).astype(int)
    np.testing.assert_array_equal(labels, np.where(ids == 11, 255, ids))


def test_a_test_folder_is_a_test_split(tmp_path):
    folder = make_camvid(tmp_path, (("train", 3), ("val", 2), ("test", 5)))
    assert len(everything(load(folder).test)[0]) == 5


def test_the_real_one_has_its_published_sizes(real_camvid):
    data = load(real_camvid, image_size=(24, 32), batch_size=101)
    images, labels = everything(data.validation)
    assert images.shape == (101, 24, 32, 3)
    assert set(np.unique(labels)) == {*range(11), 255}
    assert sum(len(x) for x, _ in data.train) == 367


def test_every_class_has_a_colour_of_its_own():
    assert len(camvid.CLASS_NAMES) == 11
    assert len({tuple(colour) for colour in camvid.COLOURS.tolist()}) == 11


def test_without_a_folder_the_error_says_what_to_pass():
    with pytest.raises(ValueError, match="pass `data_dir`.*Received: data_dir=None"):
        datasets.load("camvid")


def write_list(folder, split, names):
    """As published: the paths of the machine that they were made on."""
    lines = [f"/SegNet/CamVid/{split}/{n} /SegNet/CamVid/{split}annot/{n}\n" for n in names]
    (folder / f"{split}.txt").write_text("".join(lines))


def test_a_list_chooses_the_images_and_what_stands_in_none_is_warned_of(camvid_dir):
    write_list(camvid_dir, "train", ["train_07.png", "train_02.png"])
    with pytest.warns(UserWarning, match="8 images that no list names, .*train_00.png"):
        data = load(camvid_dir, augment=False)
    found = {round(float(x)) for x in 255 / 9 * everything(data.train)[0][:, 0, 0, 1]}
    assert found == {2, 7}
    assert len(everything(data.validation)[0]) == 4


def test_an_image_in_two_splits_is_refused(camvid_dir):
    write_list(camvid_dir, "train", ["train_01.png", "train_02.png"])
    text = (camvid_dir / "train.txt").read_text()
    (camvid_dir / "val.txt").write_text(text.splitlines()[1])
    with pytest.raises(ValueError, match="train_02.png twice. Expected each file once, in one spl"):
        load(camvid_dir)


def test_ids_above_void_are_named_with_their_mask(camvid_dir):
    path = save(np.full((9, 12), 12, "uint8"), camvid_dir / "valannot" / "val_00.png")
    with pytest.raises(ValueError, match=f"{path} holds the label id 12.*0 to 10, and 11 for void"):
        load(camvid_dir)


def test_a_folder_without_validation_is_refused(tmp_path):
    folder = make_camvid(tmp_path, (("train", 3),))
    with pytest.raises(FileNotFoundError, match="val"):
        load(folder)
    assert set(camvid.find(folder, needed=("train",)).splits) == {"train"}
