"""Every remedy that a message offers is applied to its own case, and works."""

import re

import numpy as np
import pytest
from PIL import Image

from kerasseg import check_batch, check_dataset
from kerasseg.datasets import faults
from tests.datasets.folders import (
    PALETTE,
    both,
    coloured,
    ids,
    load,
    make_folder,
    palette_picture,
    picture,
    save,
)


def blobs(i, size=(48, 64)):
    """A binary mask of flat regions."""
    mask = np.zeros(size, "uint8")
    mask[8 + 2 * i : 30 + i, 10 : 40 + 3 * i] = 1
    return mask


def code(text):
    """The code that a remedy shows."""
    return re.findall("`([^`]*)`", text)


def refused(path, **arguments):
    """What `load` raises, which the label doctor shows too, and no command names Python."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(path, **arguments)
    report = check_dataset(path, **arguments)
    assert report.exit_code == 2
    first = report.errors[0]
    assert first.message in str(error.value)
    assert first.remedy in str(error.value)
    return str(error.value), first


def works(path, masks, **arguments):
    data = load(path, **arguments)
    np.testing.assert_array_equal(both(data)[1], masks)
    assert check_dataset(path, **arguments).errors == []


def test_every_fault_has_a_title_of_its_own_and_a_remedy():
    kinds = [fault for fault in vars(faults).values() if isinstance(fault, faults.Fault)]
    assert len({(fault.severity, fault.title) for fault in kinds}) == len(kinds)
    assert all(fault.remedy[0].isupper() or fault.remedy[0].isdigit() for fault in kinds)
    assert all(fault.remedy.endswith(".") for fault in kinds)


@pytest.mark.parametrize("names", [None, "glass\ncell\n"])
@pytest.mark.parametrize("damage", ["jpeg", "smooth"])
def test_blurred_masks_of_0_and_255_are_mended_by_the_threshold_that_is_offered(
    tmp_path, damage, names
):
    masks = [blobs(i) for i in range(5)]
    path = make_folder(tmp_path, [])
    for i, mask in enumerate(masks):
        save(picture(i, mask.shape), path / "images" / f"{i}.png")
        if damage == "jpeg":
            save(255 * mask, path / "masks" / f"{i}.jpg", quality=50)
        else:
            (path / "masks").mkdir(exist_ok=True)
            small = Image.fromarray(255 * mask).resize((16, 12), Image.Resampling.NEAREST)
            masks[i] = np.asarray(small.resize((64, 48), Image.Resampling.BILINEAR)) > 127
            small.resize((64, 48), Image.Resampling.BILINEAR).save(path / "masks" / f"{i}.png")
    if names:
        (path / "classes.txt").write_text(names)
    text, first = refused(path)
    assert first.title == "interpolated masks"
    assert first.remedy == faults.THRESHOLD
    assert "skip_damaged" not in text
    for mask in sorted((path / "masks").iterdir()):
        exec(code(first.remedy)[0], {"np": np, "Image": Image, "path": mask})
        if mask.suffix == ".jpg":
            mask.unlink()
    works(path, masks)


def test_trimaps_of_oxford_pets_in_a_folder_of_masks_are_recognised(tmp_path):
    trimaps = [ids(i, classes=3) + 1 for i in range(5)]
    data = load(make_folder(tmp_path, trimaps))
    assert data.class_names == ("class 1", "class 2", "class 3")
    works(tmp_path, np.array(trimaps) - 1)
    (tmp_path / "classes.txt").write_text("pet\nbackground\noutline\n")
    assert load(tmp_path).class_names == ("pet", "background", "outline")
    works(tmp_path, np.array(trimaps) - 1)


def test_oxford_pets_as_downloaded_are_recognised(tmp_path):
    trimaps = [ids(i, classes=3) + 1 for i in range(5)]
    make_folder(tmp_path, trimaps, labels="annotations/trimaps")
    (tmp_path / "annotations" / "list.txt").write_text("Abyssinian_100 1 1 1\n")
    assert load(tmp_path).class_names == ("pet", "background", "outline")
    works(tmp_path, np.array(trimaps) - 1)
    save(np.full((6, 9), 4, "uint8"), tmp_path / "annotations" / "trimaps" / "02.png")
    text, _ = refused(tmp_path)
    assert "02.png holds the label id 4" in text


def test_names_of_all_classes_explain_ids_with_a_gap(tmp_path):
    masks = [3 * ids(i, classes=2) for i in range(4)]
    text, _ = refused(make_folder(tmp_path, masks))
    assert f"name all classes in {tmp_path}/classes.txt, one a line in the order of the ids" in text
    (tmp_path / "classes.txt").write_text("sky\nroad\ntree\ncar\n")
    works(tmp_path, masks)


def test_grey_values_behind_the_names_explain_values_that_are_no_ids(tmp_path):
    masks = [ids(i, classes=3) for i in range(4)]
    text, _ = refused(make_folder(tmp_path, [50 * mask for mask in masks]))
    assert "write its colour behind the name, `road 50 50 50`" in text
    (tmp_path / "classes.txt").write_text("sky 0 0 0\nroad 50 50 50\ntree 100 100 100\n")
    works(tmp_path, masks)


@pytest.mark.parametrize("how", ["RGB", "palettes that disagree"])
def test_colours_behind_the_names_explain_colours(tmp_path, how):
    masks = [ids(i) for i in range(4)]
    path = make_folder(tmp_path, map(coloured, masks))
    order = np.array([3, 1, 4, 0, 2])
    if how != "RGB":
        for i, mask in enumerate(masks):
            shuffled = palette_picture(np.argsort(order)[mask], np.array(PALETTE)[order])
            (palette_picture(mask) if i else shuffled).save(path / "masks" / f"{i:02}.png")
    text, _ = refused(path)
    assert "`name red green blue`" in text
    rows = (f"class{i} {r} {g} {b}\n" for i, (r, g, b) in enumerate(PALETTE))
    (path / "classes.txt").write_text("".join(rows))
    works(path, masks)


def test_argmax_makes_ids_of_one_hot_masks(tmp_path):
    masks = [ids(i, classes=3) for i in range(4)]
    path = make_folder(tmp_path, [255 * np.eye(3, dtype="uint8")[mask] for mask in masks])
    _, first = refused(path)
    assert first.title == "one-hot labels"
    for mask in (path / "masks").iterdir():
        fixed = eval(code(first.remedy)[0], {"np": np, "Image": Image, "path": mask})
        fixed.save(mask)
    works(path, masks)


def test_two_readings_are_told_apart_by_saving_alike_or_by_naming_void(tmp_path):
    masks = [ids(i, classes=2) for i in range(4)]
    masks[2] = 255 * masks[2]
    text, _ = refused(make_folder(tmp_path, masks))
    assert "two ways" in text
    (tmp_path / "classes.txt").write_text("sky\nroad\nvoid\n")
    works(tmp_path, masks)
    (tmp_path / "classes.txt").unlink()
    save(masks[2] // 255, tmp_path / "masks" / "02.png")
    works(tmp_path, [*masks[:2], masks[2] // 255, masks[3]])


def test_leaving_out_what_cannot_be_used_is_advised_only_where_it_leaves_enough(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    (path / "images" / "01.png").write_bytes(b"")
    text, _ = refused(path)
    assert text.endswith("Or skip_damaged=True leaves such pairs out.")
    with pytest.warns(UserWarning, match="1 of the pairs"):
        assert len(both(load(path, skip_damaged=True))[1]) == 3
    for image in (path / "images").iterdir():
        image.write_bytes(b"")
    text, _ = refused(path)
    assert "3 more cannot be used" in text
    assert "skip_damaged" not in text


def test_a_mask_of_another_size_is_mended_by_nearest_neighbour(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    mask = save(ids(1).repeat(2, 0).repeat(2, 1), path / "masks" / "01.png")
    _, first = refused(path)
    assert "by nearest neighbour" in first.remedy
    Image.open(mask).resize((9, 6), Image.Resampling.NEAREST).save(mask)
    works(path, [ids(i) for i in range(4)])


def images(count=2):
    return np.random.default_rng(0).random((count, 48, 64, 3), "float32")


def batch_error(labels, num_classes=2, pictures=None):
    with pytest.raises(ValueError, match="The batch would ruin a training") as error:
        check_batch(images() if pictures is None else pictures, labels, num_classes)
    return str(error.value)


BATCHES = {
    "0 and 255": (lambda y: 255 * y, 2),
    "ids divided by 255": (lambda y: y / np.float32(255), 2),
    "one-hot": (lambda y: np.eye(2)[y], 2),
    "one-hot, channels first": (lambda y: np.moveaxis(np.eye(2)[y], -1, 1), 2),
}


@pytest.mark.parametrize("name", BATCHES)
def test_the_code_of_a_batchs_remedy_mends_the_batch(name):
    change, num_classes = BATCHES[name]
    truth = np.stack([blobs(0), blobs(3)])
    labels = change(truth)
    (fix,) = [c for c in code(batch_error(labels, num_classes)) if "labels" in c][:1]
    fixed = eval(fix, {"np": np, "labels": labels})
    np.testing.assert_array_equal(fixed, truth)
    assert check_batch(images(), fixed, num_classes).errors == []


def test_a_threshold_mends_a_batch_of_blurred_masks(tmp_path):
    masks = [blobs(0), blobs(3)]
    paths = [save(255 * mask, tmp_path / f"{i}.jpg", quality=40) for i, mask in enumerate(masks)]
    labels = np.stack([np.asarray(Image.open(path)) for path in paths])
    text = batch_error(labels)
    assert text.index("masks of 0 and 255") < text.index("JPEG or resizing has put values")
    assert "`labels > 127`" in text
    assert check_batch(images(), labels > 127, 2).errors == []
    np.testing.assert_array_equal(labels > 127, masks)


def test_colours_in_a_batch_are_not_called_one_hot():
    text = batch_error(np.stack([coloured(ids(i, size=(48, 64))) for i in range(2)]), 3)
    assert "one-hot" not in text
    assert "If these are colours, look the id of each up" in text


def test_images_are_brought_to_the_unit_range_by_the_remedy():
    labels = np.stack([blobs(0), blobs(3)])
    for pictures, fix in ((255 * images(), lambda x: x / 255), (2 * images() - 1, None)):
        text = batch_error(labels, pictures=pictures)
        assert "Divide 8-bit images by 255; bring images in [-1, 1] back by" in text
        fixed = fix(pictures) if fix else eval(code(text)[0], {"images": pictures})
        assert check_batch(fixed, labels, 2).errors == []
