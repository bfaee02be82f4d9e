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


def warned(path, title, **arguments):
    """The one finding of a folder, a warning, which does not keep it from loading."""
    (finding,) = check_dataset(path, **arguments).findings
    assert (finding.severity, finding.title) == ("warning", title)
    return finding


def test_what_is_no_image_is_moved_away_or_saved_as_png(tmp_path):
    masks = [ids(i) for i in range(4)]
    path = make_folder(tmp_path, masks)
    (path / "images" / "notes.txt").write_text("by hand")
    assert "Move them away" in warned(path, faults.NO_PICTURE.title).remedy
    (path / "images" / "notes.txt").unlink()
    works(path, masks)
    for folder, array in (("images", picture(4)), ("masks", ids(4))):
        Image.fromarray(array).save(path / folder / "04.gif")
    assert len(check_dataset(path).warnings) == 2
    for gif in [*path.rglob("*.gif")]:
        pixels = np.asarray(Image.open(gif).convert("L" if gif.parent.name == "masks" else "RGB"))
        save(pixels, gif.with_suffix(".png"))
        gif.unlink()
    assert check_dataset(path).findings == []
    assert len(both(load(path))[1]) == 5


def test_images_that_no_list_names_are_added_to_it_or_moved_away(tmp_path):
    from tests.conftest import make_camvid

    path = make_camvid(tmp_path / "set", size=(45, 60))
    rows = [
        f"train/{image.name} trainannot/{image.name}"
        for image in sorted((path / "train").iterdir())
    ]
    (path / "train.txt").write_text("\n".join(rows[:-1]))
    finding = next(f for f in check_dataset(path).findings if f.title == faults.NOT_LISTED.title)
    assert finding.path.name == rows[-1].split()[0].partition("/")[2]
    assert "Add them and their masks to the list of their split" in finding.remedy
    (path / "train.txt").write_text("\n".join(rows))
    assert faults.NOT_LISTED.title not in {f.title for f in check_dataset(path).findings}
    (path / "train.txt").write_text("\n".join(rows[:-1]))
    finding.path.unlink()
    assert faults.NOT_LISTED.title not in {f.title for f in check_dataset(path).findings}


@pytest.mark.parametrize(("bits", "factor"), [(10, 64), (12, 16)])
def test_images_of_10_or_12_bits_are_multiplied_by_the_factor_of_the_remedy(tmp_path, bits, factor):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    values = np.random.default_rng(0).integers(0, 2**bits, (6, 9)).astype("uint16")
    image = save(values, path / "images" / "01.png")
    assert "multiply the values by 64 or 16" in warned(path, faults.DARK.title).remedy
    save(values * np.uint16(factor), image)
    assert check_dataset(path).findings == []
    shown = both(load(path))[0]
    assert np.abs(shown - values[..., None] / 2**bits).max((1, 2, 3)).min() < 1 / 250


def test_masks_that_look_interpolated_may_be_thin_lines_or_are_made_anew(tmp_path):
    from tests.datasets.doctor.examples import interpolated

    masks = [np.kron(ids(i, size=(6, 8)), np.ones((8, 8))).astype("uint8") for i in range(4)]
    path = tmp_path
    for i, mask in enumerate(masks):
        save(picture(i, mask.shape), path / "images" / f"{i}.png")
        soft = interpolated(mask) if i == 1 else mask
        save(soft, path / "masks" / f"{i}.png")
    (path / "classes.txt").write_text("a\nb\nc\nd\ne\n")
    assert "else make the masks again" in warned(path, faults.SOFT.title).remedy
    save(masks[1], path / "masks" / "1.png")
    works(path, masks)


def test_ids_outside_the_classes_are_corrected_in_the_masks_or_in_the_list(tmp_path):
    masks = [ids(i, classes=4) for i in range(4)]
    path = make_folder(tmp_path, masks)
    (path / "classes.txt").write_text("a\nb\nc\n")
    text, _ = refused(path)
    assert "Correct the masks, or the list of the classes: ids run from 0, one for each" in text
    (path / "classes.txt").write_text("a\nb\nc\nd\n")
    works(path, masks)
    (path / "classes.txt").write_text("a\nb\nc\n")
    for i, mask in enumerate(masks):
        save(np.where(mask == 3, 255, mask).astype("uint8"), path / "masks" / f"{i:02}.png")
    works(path, [np.where(mask == 3, 255, mask) for mask in masks])


def test_ids_from_1_are_not_said_to_run_from_0(tmp_path):
    trimaps = [ids(i, classes=3) + 1 for i in range(5)]
    path = make_folder(tmp_path, trimaps, labels="annotations/trimaps")
    save(trimaps[2] - 1, path / "annotations" / "trimaps" / "02.png")
    text, _ = refused(path)
    assert "Allowed ids: 1 to 3. Correct the masks, or the list of the classes: one name" in text
    assert "run from 0" not in text
    save(trimaps[2], path / "annotations" / "trimaps" / "02.png")
    works(path, np.array(trimaps) - 1)


def test_the_tag_of_an_image_is_copied_to_its_mask(tmp_path):
    exif = Image.Exif()
    for orientation, size in ((6, (6, 9)), (3, (6, 9))):
        exif[0x0112] = orientation
        path = make_folder(tmp_path / str(orientation), [ids(i) for i in range(4)])
        image = save(picture(1, size), path / "images" / "01.png", exif=exif)
        mask = path / "masks" / "01.png"
        finding = check_dataset(path).findings[0]
        assert finding.title == (faults.SIZES if orientation == 6 else faults.TURNED).title
        if orientation == 6:
            text, _ = refused(path)
            assert "turned it? If so, copy the tag to the mask" in text
        else:
            assert "has the EXIF orientation 3, and its mask has 1;" in str(finding)
        exec(code(finding.remedy)[0], {"Image": Image, "image": image, "mask": mask})
        assert check_dataset(path).findings == []
        np.testing.assert_array_equal(np.asarray(Image.open(mask)), ids(1))
    image.unlink()
    save(picture(1), image)
    assert [f.title for f in check_dataset(path).findings] == [faults.TURNED.title]


def test_masks_that_all_hold_fractions_are_named_and_whole_numbers_help(tmp_path):
    masks = [ids(i, classes=2) for i in range(4)]
    path = make_folder(tmp_path, [])
    for i, mask in enumerate(masks):
        save(picture(i), path / "images" / f"{i}.png")
        save((mask / 2).astype("float32"), path / "masks" / f"{i}.tif")
    text, _ = refused(path)
    assert "0.tif holds fractions of ids, 0.5. Resize and rotate masks by nearest neighbour" in text
    for i, mask in enumerate(masks):
        save(mask, path / "masks" / f"{i}.tif")
    works(path, masks)


def test_ids_divided_by_255_in_files_are_multiplied_back(tmp_path):
    masks = [ids(i) for i in range(4)]
    path = make_folder(tmp_path, [])
    for i, mask in enumerate(masks):
        save(picture(i), path / "images" / f"{i}.png")
        save((mask / 255).astype("float32"), path / "masks" / f"{i}.tif")
    _, first = refused(path)
    assert first.title == faults.DIVIDED.title
    for mask in (path / "masks").iterdir():
        labels = np.asarray(Image.open(mask))
        save(eval(code(first.remedy)[0], {"labels": labels}).astype("uint8"), mask)
    works(path, masks)


def test_float_labels_are_stored_as_integers(tmp_path):
    masks = [ids(i) for i in range(4)]
    path = make_folder(tmp_path, masks)
    (path / "masks" / "01.png").unlink()
    save(masks[1].astype("float32"), path / "masks" / "01.tif")
    labels = np.asarray(Image.open(path / "masks" / "01.tif"))
    fix = code(warned(path, faults.FLOAT_LABELS.title).remedy)[0]
    save(eval(fix, {"labels": labels}), path / "masks" / "01.png")
    (path / "masks" / "01.tif").unlink()
    works(path, masks)


def test_transparent_images_are_saved_without_the_channel(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    image = path / "images" / "01.png"
    save(np.dstack([picture(1), np.full((6, 9), 128, "uint8")]), image)
    assert "save the image without the channel" in warned(path, faults.ALPHA.title).remedy
    Image.open(image).convert("RGB").save(image)
    assert check_dataset(path).findings == []


def test_an_image_in_two_splits_is_kept_in_one(tmp_path):
    for i in range(4):
        split = "train" if i < 2 else "val"
        save(picture(i % 3), tmp_path / split / "images" / f"{i}.png")
        save(ids(i), tmp_path / split / "masks" / f"{i}.png")
    (finding,) = check_dataset(tmp_path).findings
    assert (finding.title, finding.path.name) == (faults.TWO_SPLITS.title, "3.png")
    for folder in ("images", "masks"):
        (tmp_path / "val" / folder / "3.png").unlink()
    assert check_dataset(tmp_path).findings == []


def test_classes_that_never_occur_are_added_or_taken_off_the_list(tmp_path):
    masks = [ids(i, classes=3) for i in range(4)]
    path = make_folder(tmp_path, masks)
    (path / "classes.txt").write_text("a\nb\nc\nd\n")
    assert "d, id 3" in str(warned(path, faults.NEVER.title))
    (path / "classes.txt").write_text("a\nb\nc\n")
    works(path, masks)
    assert check_dataset(path).findings == []


def test_constant_images_and_missing_partners_leave_when_their_pair_does(tmp_path):
    masks = [ids(i) for i in range(5)]
    path = make_folder(tmp_path, masks)
    save(np.full((6, 9, 3), 7, "uint8"), path / "images" / "04.png")
    warned(path, faults.CONSTANT.title)
    (path / "images" / "04.png").unlink()
    text, first = refused(path)
    assert first.title == faults.NO_IMAGE.title
    assert "Add the image, or remove the mask" in text
    (path / "masks" / "04.png").unlink()
    works(path, masks[:4])
    (path / "masks" / "03.png").unlink()
    assert refused(path)[1].title == faults.NO_MASK.title
    save(masks[3], path / "masks" / "03.png")
    works(path, masks[:4])
