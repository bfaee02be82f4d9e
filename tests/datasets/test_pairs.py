"""Which image belongs to which mask: endings that all names share, and labels in folders."""

import dataclasses

import numpy as np
import pytest

import kerasseg
from kerasseg.datasets import folder
from tests.datasets.folders import both, ids, load, picture, save

LABELS = ("cell", "nucleus", "dust")


def named(path, image_name, mask_name, count=4):
    for i in range(count):
        save(picture(i), path / "images" / image_name.format(i))
        save(ids(i), path / "masks" / mask_name.format(i))
    return path


@pytest.mark.parametrize(
    ("image_name", "mask_name", "ending"),
    [
        ("{}.png", "{}_mask.png", "_mask"),
        ("a{}.png", "a{}_label.png", "_label"),
        ("{}.png", "{}-seg.png", "-seg"),
        ("{}.png", "{}.mask.png", ".mask"),
        ("x{}.png", "x{}_L.png", "_L"),
        ("{}_leftImg8bit.png", "{}_gtFine_labelIds.png", "gtFine_labelIds"),
        ("b/{}.png", "b/{}_mask.png", "_mask"),
        ("{}_img.png", "{}.png", None),
    ],
)
def test_masks_whose_names_all_end_alike_belong_to_the_rest_of_the_name(
    tmp_path, image_name, mask_name, ending
):
    path = named(tmp_path, image_name, mask_name)
    np.testing.assert_array_equal(both(load(path))[1], [ids(i) for i in range(4)])
    report = kerasseg.check_dataset(path)
    assert report.findings == []
    if ending:
        assert f"the names of all masks end in `{ending}`" in str(report)


def test_a_mask_that_is_missing_is_named_where_all_others_end_alike(tmp_path):
    path = named(tmp_path, "{}.png", "{}_mask.png")
    (path / "masks" / "2_mask.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"{path}/images/2.png has no mask"):
        load(path)


def test_numbers_are_no_ending(tmp_path):
    path = named(tmp_path, "{}.png", "{}0.png")
    assert folder.find(path).splits == {"all": []}


# Multi-label


def labelled(path, count=6, white=255, images="images", masks="masks", labels=LABELS):
    """Images with a mask for each label; (count, height, width, labels) of 0 and 1."""
    truth = np.random.default_rng(0).integers(0, 2, (count, 6, 9, len(labels))).astype("uint8")
    for i in range(count):
        save(picture(i), path / images / f"{i}.png")
        for k, label in enumerate(labels):
            save(white * truth[i, ..., k], path / masks / label / f"{i}.png")
    return truth


@pytest.mark.parametrize("white", [1, 255])
def test_a_mask_per_label_becomes_a_map_with_a_channel_per_label(tmp_path, white):
    truth = labelled(tmp_path, white=white)
    data = load(tmp_path)
    assert data.class_names == ("cell", "dust", "nucleus")
    assert (data.multi_label, data.num_classes, data.ignore_class) == (True, 3, 255)
    np.testing.assert_array_equal(both(data)[1], truth[..., [0, 2, 1]])
    assert data.class_pixels.shape == (5, 3)
    counts = data.class_pixels + 0
    masks = np.concatenate([y for _, y in data.validation.as_numpy_iterator()])
    expected = truth[..., [0, 2, 1]].sum((0, 1, 2)) - masks.sum((0, 1, 2))
    np.testing.assert_array_equal(counts.sum(0), expected)


def test_the_labels_come_in_the_order_of_classes_txt(tmp_path):
    truth = labelled(tmp_path)
    (tmp_path / "classes.txt").write_text("nucleus 0 0 200\ncell 0 90 0\ndust 9 9 9\n")
    data = load(tmp_path)
    assert data.class_names == ("nucleus", "cell", "dust")
    np.testing.assert_array_equal(data.colours, [(0, 0, 200), (0, 90, 0), (9, 9, 9)])
    np.testing.assert_array_equal(both(data)[1], truth[..., [1, 0, 2]])


def test_a_list_of_classes_that_names_other_labels_is_refused(tmp_path):
    labelled(tmp_path)
    (tmp_path / "classes.txt").write_text("nucleus\ncell\n")
    with pytest.raises(ValueError, match="must name the folders of the labels. Received: .*'dust'"):
        load(tmp_path)


@pytest.mark.parametrize("place", ["{}/images {}/masks", "images/{} masks/{}"])
def test_splits_hold_a_mask_per_label_too(tmp_path, place):
    for split, count in (("train", 5), ("val", 2)):
        labelled(tmp_path, count, 1, *(p.format(split) for p in place.split()))
    data = load(tmp_path)
    assert [len(data.train), len(data.validation)] == [5, 2]
    assert data.multi_label


def test_255_beside_1_is_void_in_the_mask_of_a_label(tmp_path):
    truth = labelled(tmp_path, white=1)
    mask = truth[3, ..., 0].copy()
    mask[2:4] = 255
    save(mask, tmp_path / "masks" / "cell" / "3.png")
    np.testing.assert_array_equal(both(load(tmp_path))[1][3, ..., 0], mask)
    report = kerasseg.check_dataset(tmp_path)
    assert report.total.void_pixels == 18
    shares = [truth[..., k].mean() for k in (2, 1)]
    np.testing.assert_allclose(report.total.class_frequencies[1:], shares)


def test_a_label_that_lacks_a_mask_is_an_error_and_an_empty_mask_mends_it(tmp_path):
    labelled(tmp_path)
    path = tmp_path / "masks" / "dust" / "4.png"
    path.unlink()
    words = f"images/4.png has no mask for the label dust: expected {path}. Add it, all 0 where"
    with pytest.raises(FileNotFoundError, match=words):
        load(tmp_path)
    with pytest.warns(UserWarning, match="1 of the pairs"):
        assert len(load(tmp_path, skip_damaged=True).train) == 4
    save(np.zeros((6, 9), "uint8"), path)
    assert kerasseg.check_dataset(tmp_path).exit_code == 0
    assert both(load(tmp_path))[1][4, ..., 1].max() == 0


def test_a_mask_of_ids_in_place_of_a_label_is_refused(tmp_path):
    labelled(tmp_path)
    for path in (tmp_path / "masks").glob("*/*.png"):
        save(ids(0), path)
    with pytest.raises(ValueError, match="hold neither 0 and 1 nor 0 and 255. Found: 0 to 4"):
        load(tmp_path)


def test_labels_are_resized_by_nearest_neighbour_and_augmented_with_void_at_the_edges(tmp_path):
    truth = labelled(tmp_path)
    masks = both(load(tmp_path, image_size=(12, 18)))[1]
    np.testing.assert_array_equal(masks, truth[..., [0, 2, 1]].repeat(2, 1).repeat(2, 2))
    seen = {v for _, y in load(tmp_path, augment=1).train for v in np.unique(y)}
    assert seen <= {0, 1, 255}


def test_labels_that_pillow_reads_and_those_that_tensorflow_reads_are_alike(tmp_path):
    truth = labelled(tmp_path)
    for i in (1, 2):
        path = tmp_path / "masks" / "dust" / f"{i}.png"
        save(truth[i, ..., 2] * 255, path.with_suffix(".tif"))
        path.unlink()
    np.testing.assert_array_equal(both(load(tmp_path))[1], truth[..., [0, 2, 1]])


def test_inner_folders_of_images_and_masks_alike_are_no_labels(tmp_path):
    found = folder.find(named(tmp_path, "a/{}.png", "a/{}.png"))
    assert dataclasses.asdict(found)["multi_label"] is False


@pytest.mark.parametrize(
    ("image_name", "mask_name", "beginning"),
    [
        ("{}.png", "mask_{}.png", "mask_"),
        ("img_{}.png", "mask_{}.png", "mask"),
        ("img{:03}.png", "label{:03}.png", "label"),
        ("IMG_{}.png", "img_{}.png", "img"),
        ("b/{}.png", "b/mask_{}.png", "mask_"),
    ],
)
def test_masks_whose_names_all_begin_alike_belong_to_the_rest_of_the_name(
    tmp_path, image_name, mask_name, beginning
):
    path = named(tmp_path, image_name, mask_name, count=12)
    np.testing.assert_array_equal(both(load(path))[1], [ids(i) for i in range(12)])
    report = kerasseg.check_dataset(path)
    assert report.findings == []
    assert f"the names of all masks begin with `{beginning}`" in str(report)


def test_names_without_any_pair_are_one_error_and_renaming_helps(tmp_path):
    path = named(tmp_path, "img_{}_raw.png", "mask_{}_lab.png")
    words = "no image has a mask of its own name: .*img_0_raw.png and .*mask_0_lab.png. Give each"
    with pytest.raises(FileNotFoundError, match=words):
        load(path)
    assert len(kerasseg.check_dataset(path).findings) == 1
    for mask in (path / "masks").iterdir():
        mask.rename(mask.with_name(mask.name.replace("mask", "img").replace("lab", "raw")))
    np.testing.assert_array_equal(both(load(path))[1], [ids(i) for i in range(4)])


def test_what_lies_in_the_place_of_a_missing_folder_is_shown(tmp_path):
    path = named(tmp_path, "{}.png", "{}.png")
    (path / "masks").rename(path / "labels")
    with pytest.raises(FileNotFoundError, match=r"no such folder.*with \['images', 'labels'\]"):
        load(path)
    (path / "labels").rename(path / "masks")
    for image in (path / "images").iterdir():
        image.rename(image.with_suffix(".gif"))
    with pytest.raises(FileNotFoundError, match=r"No images in .*images with \['0.gif'"):
        load(path)
