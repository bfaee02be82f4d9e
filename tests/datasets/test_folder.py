"""A folder of one's own: layouts, formats, tables of classes, and what the masks' values mean."""

import json
import re
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

import kerasseg
from kerasseg.datasets import camvid, folder
from kerasseg.datasets.masks import voc_colours
from tests.conftest import make_camvid
from tests.datasets.folders import (
    NAMES,
    PALETTE,
    both,
    coloured,
    everything,
    ids,
    load,
    make_folder,
    palette_picture,
    picture,
    png,
    save,
)

COLOURS = dict(zip(NAMES, PALETTE))
VOID_COLOURS = {
    "void": (0, 0, 0),
    "road": (128, 64, 128),
    "unlabelled": (9, 9, 9),
    "car": (0, 0, 9),
}


def validated(path, pairs, **arguments):
    """What `load` gives for files, [(image, mask)], as uint8, beside a training pair of ours."""
    make_folder(path, [ids(9)], "train/images", "train/masks")
    for kind in ("images", "masks"):
        (path / "val" / kind).mkdir(parents=True)
    for i, (image, mask) in enumerate(pairs):
        shutil.copy(image, path / "val" / "images" / f"{i:02}{image.suffix}")
        shutil.copy(mask, path / "val" / "masks" / f"{i:02}{mask.suffix}")
    images, masks = everything(load(path, **arguments).validation)
    return np.rint(images * 255).astype("uint8"), masks


def written(pictures, path):
    """{mode: path} of the pictures, {mode: Pillow image}, that the format of the path can hold."""
    files = {}
    for mode, image in pictures.items():
        file = path.with_stem(f"{path.stem}_{mode.replace(';', '')}")
        try:
            image.save(file, **({"lossless": True} if path.suffix == ".webp" else {}))
            files[mode] = file
        except OSError:
            pass
    return files


# Formats and modes


@pytest.mark.parametrize(
    ("suffix", "count"),
    [(".png", 6), (".PNG", 6), (".bmp", 5), (".tif", 7), (".TIFF", 7), (".webp", 7), (".jpg", 4)],
)
def test_pictures_of_every_format_and_mode_keep_their_colours(tmp_path, suffix, count):
    modes = ["RGB", "L", "P", "1", "RGBA", "LA", "CMYK"]
    originals = {mode: Image.fromarray(picture(3)).convert(mode) for mode in modes}
    files = written(originals, tmp_path / f"x{suffix}")
    assert len(files) == count
    mask = save(ids(), tmp_path / "m.png")
    images, _ = validated(tmp_path / "set", [(file, mask) for file in files.values()])
    for image, (mode, file) in zip(images, files.items()):
        expected = Image.open(file) if suffix == ".jpg" else originals[mode]
        np.testing.assert_array_equal(image, np.asarray(expected.convert("RGB")), err_msg=mode)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_pictures_of_16_bits_keep_their_shades(tmp_path, suffix):
    shades = np.linspace(0, 65535, 54, dtype="uint16").reshape(6, 9)
    file = save(shades, tmp_path / f"x{suffix}")
    (image,), _ = validated(tmp_path / "set", [(file, save(ids(), tmp_path / "m.png"))])
    np.testing.assert_array_equal(image, np.repeat(shades[..., None] // 257, 3, axis=-1))


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_pictures_of_16_bits_keep_the_upper_8(tmp_path, colour_type, channels):
    shades = np.random.default_rng(0).integers(0, 65535, (6, 9, channels)).astype(">u2")
    (tmp_path / "x.png").write_bytes(png(shades, colour_type))
    pair = tmp_path / "x.png", save(ids(), tmp_path / "m.png")
    (image,), _ = validated(tmp_path / "set", [pair])
    expected = shades[..., :3] if channels > 2 else shades[..., :1]
    np.testing.assert_array_equal(image, np.broadcast_to(expected >> 8, (6, 9, 3)))


def test_transparent_pixels_keep_the_colour_stored_under_them(tmp_path):
    image = np.concatenate([picture(0), np.zeros((6, 9, 1), "uint8")], -1)
    file = save(image, tmp_path / "x.png")
    (shown,), _ = validated(tmp_path / "set", [(file, save(ids(), tmp_path / "m.png"))])
    np.testing.assert_array_equal(shown, picture(0))


@pytest.mark.parametrize(("suffix", "count"), [(".png", 6), (".bmp", 4), (".tif", 8), (".webp", 4)])
def test_masks_of_ids_of_every_format_and_mode_come_as_they_are(tmp_path, suffix, count):
    mask = ids()
    mask[0, 0] = 255
    modes = ["L", "RGB", "RGBA", "LA"] + ["I", "F"] * (suffix != ".webp")  # WebP makes RGB of all
    originals = {mode: Image.fromarray(mask).convert(mode) for mode in modes}
    if suffix != ".webp":
        originals["P"] = palette_picture(mask, voc_colours(256))
        originals["I;16"] = Image.fromarray(mask.astype("uint16"))
    files = written(originals, tmp_path / f"m{suffix}")
    assert len(files) == count
    image = save(picture(0), tmp_path / "x.png")
    _, masks = validated(tmp_path / "set", [(image, file) for file in files.values()])
    for found, mode in zip(masks, files):
        np.testing.assert_array_equal(found, mask, err_msg=mode)


@pytest.mark.parametrize(
    "white", [np.uint8(255), np.uint16(65535), np.bool_(True)], ids=["8 bits", "16 bits", "1 bit"]
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_black_and_white_masks_are_background_and_foreground(tmp_path, suffix, white):
    masks = [ids(i, classes=2) for i in range(5)]
    path = make_folder(tmp_path, masks)
    for i, mask in enumerate(masks):
        (path / "masks" / f"{i:02}.png").unlink()
        save(mask.astype(white.dtype) * white, path / "masks" / f"{i:02}{suffix}")
    data = load(path)
    assert data.class_names == ("background", "foreground")
    np.testing.assert_array_equal(both(data)[1], masks)


def test_the_exif_tag_turns_photographs_upright(tmp_path):
    upright = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: np.rot90,
    }
    pairs = []
    for orientation in upright:
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = save(picture(0, (7, 7)), tmp_path / f"x{orientation}.png", exif=exif)
        pairs.append((image, save(ids(size=(7, 7)), tmp_path / f"m{orientation}.png")))
    images, _ = validated(tmp_path / "set", pairs)
    for image, turn in zip(images, upright.values()):
        np.testing.assert_array_equal(image, turn(picture(0, (7, 7))))


def test_a_mask_that_carries_the_exif_tag_turns_with_its_photograph(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = save(picture(0), tmp_path / "x.png", exif=exif)
    mask = save(ids(), tmp_path / "m.png", exif=exif)
    _, (mask,) = validated(tmp_path / "set", [(image, mask)])
    np.testing.assert_array_equal(mask, np.rot90(ids(), -1))


def test_a_mask_made_before_the_exif_rotation_is_an_error_that_says_so(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    image = save(picture(0), tmp_path / "x.png", exif=exif)
    with pytest.raises(ValueError, match="is 6x9 .* is 9x6.*before the image's EXIF tag turned it"):
        validated(tmp_path / "set", [(image, save(ids(), tmp_path / "m.png"))])


# Layouts


def test_a_folder_without_splits_gives_a_fifth_to_validation_for_every_seed(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(20)])
    parts = [everything(load(path, seed=seed).validation)[0] for seed in (0, 1)]
    assert len(parts[0]) == 4
    np.testing.assert_array_equal(*parts)
    train = {image.tobytes() for image in everything(load(path).train)[0]}
    assert len(train) == 16
    assert train.isdisjoint(image.tobytes() for image in parts[0])
    assert load(path).test is None


@pytest.mark.parametrize("place", ["{}/images {}/masks", "images/{} masks/{}"])
@pytest.mark.parametrize("names", ["train val test", "training valid testing", "train validation"])
def test_split_folders_are_the_splits(tmp_path, place, names):
    for count, name in zip((5, 2, 3), names.split()):
        images, masks = place.format(name, name).split()
        make_folder(tmp_path, [ids(i) for i in range(count)], images, masks)
    data = load(tmp_path)
    assert len(everything(data.train)[0]) == 5
    assert len(everything(data.validation)[0]) == 2
    assert (data.test is None) == (len(names.split()) == 2)


def test_a_train_folder_without_validation_gives_a_fifth_of_itself(tmp_path):
    make_folder(tmp_path, [ids(i) for i in range(10)], "train/images", "train/masks")
    make_folder(tmp_path, [ids(i) for i in range(3)], "test/images", "test/masks")
    data = load(tmp_path)
    assert [len(everything(s)[0]) for s in (data.train, data.validation, data.test)] == [8, 2, 3]


def test_nested_folders_are_part_of_the_name(tmp_path):
    masks = [ids(i) for i in range(6)]
    path = make_folder(tmp_path, masks, stem="{0:02}/a/x")
    np.testing.assert_array_equal(both(load(path))[1], masks)
    found = folder.find(path)
    assert found.splits["all"][2] == (path / "images/02/a/x.png", path / "masks/02/a/x.png")


def test_camvids_layout_means_camvids_classes_with_11_for_void(tmp_path):
    make_camvid(tmp_path, (("train", 4), ("val", 2), ("test", 3)))
    data = load(tmp_path)
    assert data.class_names == camvid.CLASS_NAMES
    np.testing.assert_array_equal(data.colours, camvid.COLOURS)
    images, masks = everything(data.validation)
    stored = np.rint(images[..., 0] * 255 / 20).astype(int)
    np.testing.assert_array_equal(masks, np.where(stored == 11, 255, stored))


def test_camvids_layout_with_a_list_of_classes_means_that_list(tmp_path):
    make_camvid(tmp_path)
    names = [f"class no. {i}" for i in range(12)]
    (tmp_path / "classes.txt").write_text("\n".join(names))
    data = load(tmp_path)
    assert data.class_names == tuple(names)
    assert set(np.unique(everything(data.train)[1])) == set(range(12))


def test_camvids_layout_without_val_takes_validation_from_train(tmp_path):
    data = load(make_camvid(tmp_path, (("train", 10),)))
    assert len(everything(data.validation)[0]) == 2


def test_ids_outside_camvids_classes_are_named_in_camvids_layout(tmp_path):
    make_camvid(tmp_path)
    path = save(np.full((9, 12), 12, "uint8"), tmp_path / "valannot" / "val_00.png")
    with pytest.raises(ValueError, match=f"{path} holds the label id 12.*0 to 10, and 11 for void"):
        load(tmp_path)


def test_a_folder_of_no_known_layout_shows_what_it_holds_and_what_is_expected(tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"images/ and masks/; .*Received: \['JPEGImages'\]"
    ):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load(tmp_path / "absent")


def test_a_folder_without_data_dir_says_what_to_pass():
    with pytest.raises(ValueError, match="needs `data_dir`, with images/ and masks/"):
        load(None)


def test_two_layouts_in_one_folder_are_refused(tmp_path):
    make_folder(tmp_path, [ids()])
    make_folder(tmp_path, [ids()], "train/images", "train/masks")
    with pytest.raises(ValueError, match="two layouts. .*Received: images/ and train/images/"):
        load(tmp_path)


def test_pictures_beside_split_folders_are_refused(tmp_path):
    make_folder(tmp_path, [ids()], "images/train", "masks/train")
    save(picture(0), tmp_path / "images" / "stray.png")
    with pytest.raises(ValueError, match=r"beside them, stray.png. .*train/, val/ and test/"):
        load(tmp_path)


def test_two_folders_for_one_split_are_refused(tmp_path):
    for name in ("train", "val", "valid"):
        make_folder(tmp_path, [ids()], f"{name}/images", f"{name}/masks")
    with pytest.raises(
        ValueError, match=r"two folders for validation. .*Received: .'val', 'valid'"
    ):
        load(tmp_path)


def test_a_folder_with_test_pictures_alone_has_nothing_to_train_on(tmp_path):
    make_folder(tmp_path, [ids()], "test/images", "test/masks")
    with pytest.raises(FileNotFoundError, match=r"no train folder. Received: \['test'\]"):
        load(tmp_path)


def test_one_pair_is_too_few_to_split(tmp_path):
    with pytest.raises(ValueError, match="at least 2 usable pairs .*Received: 1 in 'all'"):
        load(make_folder(tmp_path, [ids()]))


# Tables of classes


def test_ids_without_a_table_are_numbered_classes_of_distinct_colours(tmp_path):
    data = load(make_folder(tmp_path, [ids(i) for i in range(3)]))
    assert data.class_names == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert len(np.unique(data.colours, axis=0)) == 5
    assert data.ignore_class == 255


TABLES = {
    "argument": lambda path: {"colours": COLOURS},
    "colours.json": lambda path: (path / "colours.json").write_text(json.dumps(COLOURS)) and {},
    "classes.txt": lambda path: (
        (path / "classes.txt").write_text(
            "".join(f"{n} {r} {g} {b}\n" for n, (r, g, b) in COLOURS.items())
        )
        and {}
    ),
    "classes.txt, colours first": lambda path: (
        (path / "classes.txt").write_text(
            "".join(f"{r} {g} {b}\t\t{n}\n" for n, (r, g, b) in COLOURS.items())
        )
        and {}
    ),
    "classes.txt with commas": lambda path: (
        (path / "classes.txt").write_text(
            "".join(f"{n},{r},{g}, {b}\n" for n, (r, g, b) in COLOURS.items())
        )
        and {}
    ),
    "both files": lambda path: (
        (path / "classes.txt").write_text("\n".join(NAMES))
        and (path / "colours.json").write_text(json.dumps(dict(reversed(COLOURS.items()))))
        and {}
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_colours_of_every_format_become_ids_by_every_kind_of_table(tmp_path, table):
    masks = [ids(i) for i in range(5)]
    path = make_folder(tmp_path, map(coloured, masks))
    for i, suffix in enumerate((".bmp", ".tif", ".webp")):
        (path / "masks" / f"{i:02}.png").unlink()
        save(coloured(masks[i]), path / "masks" / f"{i:02}{suffix}", lossless=True)
    data = load(path, **TABLES[table](path))
    assert data.class_names == NAMES
    np.testing.assert_array_equal(data.colours, PALETTE)
    np.testing.assert_array_equal(both(data)[1], masks)


def test_an_alpha_channel_of_colour_masks_is_ignored(tmp_path):
    alpha = np.random.default_rng(0).integers(0, 255, (6, 9, 1)).astype("uint8")
    masks = [ids(i) for i in range(5)]
    path = make_folder(tmp_path, (np.concatenate([coloured(m), alpha], -1) for m in masks))
    np.testing.assert_array_equal(both(load(path, colours=COLOURS))[1], masks)


def test_a_mask_all_of_one_grey_colour_is_read_as_that_colour(tmp_path):
    wall = NAMES.index("wall")
    masks = [np.full((6, 9), wall), *(ids(i) for i in range(4))]
    path = make_folder(tmp_path, map(coloured, masks))
    np.testing.assert_array_equal(both(load(path, colours=COLOURS))[1], masks)


def test_grey_masks_with_a_table_of_greys_are_read_by_the_table(tmp_path):
    greys = np.array([100, 0, 50], "uint8")
    masks = [ids(i, classes=3) for i in range(5)]
    path = make_folder(tmp_path, [greys[mask] for mask in masks])
    data = load(path, colours={"far": (100,) * 3, "near": (0,) * 3, "between": (50,) * 3})
    np.testing.assert_array_equal(both(data)[1], masks)


def test_white_can_be_the_first_class_by_the_table(tmp_path):
    masks = [ids(i, classes=2) for i in range(5)]
    path = make_folder(tmp_path, [(1 - mask) * 255 for mask in masks])
    data = load(path, colours={"cell": (255, 255, 255), "glass": (0, 0, 0)})
    np.testing.assert_array_equal(both(data)[1], masks)


def test_masks_of_ids_keep_them_and_take_names_and_colours_from_the_table(tmp_path):
    masks = [ids(i) for i in range(5)]
    data = load(make_folder(tmp_path, masks), colours=COLOURS)
    assert data.class_names == NAMES
    np.testing.assert_array_equal(data.colours, PALETTE)
    np.testing.assert_array_equal(both(data)[1], masks)


def test_black_and_white_masks_take_their_two_names_from_the_table(tmp_path):
    path = make_folder(tmp_path, [ids(i, classes=2) * 255 for i in range(3)])
    (path / "classes.txt").write_text("glass\ncell\n")
    data = load(path)
    assert data.class_names == ("glass", "cell")
    assert set(np.unique(both(data)[1])) == {0, 1}


def test_names_keep_their_commas_and_the_digits_in_their_words(tmp_path):
    path = make_folder(tmp_path, [ids(i, classes=3) for i in range(3)])
    (path / "classes.txt").write_text("car, parked\n3rd lane\nlane 4\n")
    assert load(path).class_names == ("car, parked", "3rd lane", "lane 4")


def test_void_names_become_255_and_the_classes_after_them_move_up(tmp_path):
    masks = [ids(i, classes=4) for i in range(5)]
    shades = np.array(list(VOID_COLOURS.values()), "uint8")
    path = make_folder(tmp_path, [shades[mask] for mask in masks])
    data = load(path, colours=VOID_COLOURS)
    assert data.class_names == ("road", "car")
    np.testing.assert_array_equal(data.colours, [VOID_COLOURS["road"], VOID_COLOURS["car"]])
    np.testing.assert_array_equal(both(data)[1], np.array([255, 0, 255, 1])[np.array(masks)])


def test_void_names_have_their_place_among_ids_too(tmp_path):
    masks = [ids(i, classes=3) for i in range(5)]
    path = make_folder(tmp_path, masks)
    (path / "classes.txt").write_text("Unlabeled\nroad\ntraffic light\n", encoding="utf-8-sig")
    data = load(path)
    assert data.class_names == ("road", "traffic light")
    np.testing.assert_array_equal(both(data)[1], np.array([255, 0, 1])[np.array(masks)])


@pytest.mark.parametrize("void", [0, 2])
def test_palette_masks_whose_colours_stand_in_the_table_are_read_by_them(tmp_path, void):
    masks = [ids(i) for i in range(5)]
    path = make_folder(tmp_path, masks)
    order = np.array([3, 1, 4, 0, 2])
    for i, mask in enumerate(masks):
        mask[0, :void] = 255
        indices = np.append(np.argsort(order), np.full(251, 255))[mask].astype("uint8")
        palette = np.append(np.array(PALETTE)[order], np.full((251, 3), 224), axis=0)
        palette_picture(indices, palette).save(path / "masks" / f"{i:02}.png")
    data = load(path, colours=COLOURS)
    np.testing.assert_array_equal(both(data)[1], masks)
    report = kerasseg.check_dataset(path, colours=COLOURS)
    assert report.findings == []
    pixels = [np.sum(np.array(masks) == i) for i in range(5)]
    np.testing.assert_array_equal(report.total.class_pixels, pixels)


def test_palette_masks_of_which_some_colours_stand_elsewhere_in_the_table_are_refused(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    palette_picture(ids(), [*PALETTE[:0:-1], (1, 2, 3)]).save(path / "masks" / "02.png")
    with pytest.raises(
        ValueError,
        match=r"02.png has a palette that shows index 0 as \(220, 20, 60\).*'person', number 4",
    ):
        load(path, colours=COLOURS)


def test_palette_masks_that_disagree_on_an_index_are_refused(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    palette_picture(ids()).save(path / "masks" / "01.png")
    palette_picture(ids(), PALETTE[::-1]).save(path / "masks" / "02.png")
    with pytest.raises(ValueError, match=r"02.png has a palette that shows index .* in .*01.png"):
        load(path)


def test_names_and_colours_reach_the_data_set_whatever_their_letters(tmp_path):
    path = make_folder(tmp_path, [ids(i, classes=2) for i in range(3)])
    (path / "colours.json").write_text('{"배경": [0, 0, 0], "사람 한 명": [9, 9, 200]}', "utf-8")
    assert load(path).class_names == ("배경", "사람 한 명")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("classes.txt", b"road\n\ncar\n", "classes.txt, line 2 is empty"),
        ("classes.txt", b"road\ncar\nroad\n", "holds 'road' twice"),
        ("classes.txt", b"road 1 2 3\ncar 1 2 3\n", r"holds \(1, 2, 3\) twice"),
        ("classes.txt", b"0 road\n1 car\n", "line 1: expected a name, without .*: '0 road'"),
        ("classes.txt", b"road\n1: car\n", "line 2: expected a name, .*Received: '1: car'"),
        ("classes.txt", b"0,road\n1,car\n", "line 1: expected a name, .*Received: '0,road'"),
        ("classes.txt", b"1 2 3\n4 5 6\n", "line 1: expected a name, .*Received: '1 2 3'"),
        ("classes.txt", b"0 1 2 3\n", "line 1: expected a name, .*Received: '0 1 2 3'"),
        ("classes.txt", b"road 1 2 3\ncar\n", "three whole numbers.*Received: 'car': None"),
        ("classes.txt", b"road 1 2 300\ncar 4 5 6\n", "0 to 255.*Received: 'road'"),
        ("classes.txt", "배경\n사람".encode("cp949"), "is not in UTF-8"),
        ("classes.txt", b"void\nignore", "1 to 254 names, not all void. Received:"),
        ("colours.json", b'{"road": [1, 2, 3]', "colours.json is no JSON"),
        ("colours.json", b"[1, 2]", "colours.json: expected {.*Received:"),
        ("colours.json", b'{"road": [1, 2, 0.5], "car": [0, 0, 0]}', "three whole numbers"),
        ("colours.json", b'{"a": [1, 2, 3], "a": [0, 0, 0]}', "holds 'a' twice"),
    ],
)
def test_a_wrong_table_is_named_with_its_fault(tmp_path, name, content, message):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    (path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*{message}"):
        load(path)


def test_tables_that_name_different_classes_are_refused(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    (path / "classes.txt").write_text("road\ncar")
    (path / "colours.json").write_text('{"road": [1, 2, 3], "bus": [4, 5, 6]}')
    with pytest.raises(ValueError, match=r"name different classes.*\('road', 'car'\) and .*'bus'"):
        load(path)


@pytest.mark.parametrize(
    "colours", [{"road": 5}, {"road": (1, 2)}, {3: (1, 2, 3)}, {}, [(1, 2, 3)]]
)
def test_a_wrong_colours_argument_is_named(tmp_path, colours):
    with pytest.raises(ValueError, match="`colours`.* expected .*Received"):
        load(make_folder(tmp_path, [ids(i) for i in range(3)]), colours=colours)


# What the values mean


def test_colours_without_a_table_are_shown_with_the_remedy(tmp_path):
    path = make_folder(tmp_path, map(coloured, [ids(i) for i in range(3)]))
    with pytest.raises(
        ValueError,
        match=r"hold colours.*Found: \(0, 0, 230\), .*`name red green blue`.*classes.txt",
    ):
        load(path)
    (path / "classes.txt").write_text("\n".join(NAMES))
    with pytest.raises(ValueError, match="hold colours, and nothing says which class each one is"):
        load(path)


def test_a_colour_outside_the_table_is_named_with_its_mask_and_the_table(tmp_path):
    masks = [coloured(ids(i)) for i in range(3)]
    masks[1][2, 3] = 1, 2, 3
    path = make_folder(tmp_path, masks)
    with pytest.raises(
        ValueError,
        match=r"01.png holds the label colour \(1, 2, 3\), .*Allowed colours: \(7, 7, 9\) back",
    ):
        load(path, colours=COLOURS)


def test_an_id_outside_the_list_of_classes_is_named_with_its_mask(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    (path / "classes.txt").write_text("road\ncar\ntree\nsky")
    with pytest.raises(
        ValueError, match="00.png holds the label id 4.*Allowed ids: 0 to 3, and 255 for void"
    ):
        load(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_interpolated_masks_are_named_with_their_values_and_the_remedy(tmp_path, suffix):
    masks = [ids(i, classes=2) * 255 for i in range(4)]
    path = make_folder(tmp_path, masks)
    (path / "masks" / "02.png").unlink()
    smooth = Image.fromarray(masks[2]).resize((27, 18)).resize((9, 6), Image.Resampling.BILINEAR)
    smooth.save(path / "masks" / f"02{suffix}")
    with pytest.raises(
        ValueError,
        match=rf"02{suffix} (holds the label ids|is compressed with losses).*nearest neighbour",
    ):
        load(path)


def test_photographs_in_place_of_masks_are_named(tmp_path):
    path = make_folder(tmp_path, [picture(i) for i in range(3)])
    with pytest.raises(
        ValueError, match=r"hold colours.*and 1\d\d more.*Look first at .*png, which"
    ):
        load(path)


@pytest.mark.parametrize(("values", "dtype"), [((0, 300), "uint16"), ((0, 0.5), "float32")])
def test_values_that_are_no_ids_of_8_bits_are_named(tmp_path, values, dtype):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    (path / "masks" / "00.png").unlink()
    save(np.resize(np.array(values, dtype), (6, 9)), path / "masks" / "00.tif")
    with pytest.raises(ValueError, match=f"00.tif holds .*{values[1]}"):
        load(path)


def test_masks_of_16_bit_colours_are_refused_as_pillow_would_lose_their_ids(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    rows = np.repeat(ids()[..., None], 3, axis=-1).astype(">u2")
    (path / "masks" / "01.png").write_bytes(png(rows, colour_type=2))
    with pytest.raises(
        ValueError, match="01.png cannot .*colours of 16 bits. Save the mask with 8"
    ):
        load(path)


def test_cmyk_masks_are_refused(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    (path / "masks" / "01.png").unlink()
    Image.fromarray(coloured(ids())).convert("CMYK").save(path / "masks" / "01.tif")
    with pytest.raises(ValueError, match="01.tif is no mask of ids, .*RGB colours: mode=CMYK"):
        load(path, colours=COLOURS)


# The rest of the pipeline


def test_pictures_of_different_sizes_load_with_an_image_size(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(4)])
    save(picture(4, (11, 7)), path / "images" / "04.png")
    save(ids(4, size=(11, 7)), path / "masks" / "04.png")
    with pytest.raises(ValueError, match="differ in size.*Pass `image_size`"):
        load(path, batch_size=2)
    images, masks = everything(load(path, batch_size=2, image_size=(5, 6)).train)
    assert (images.shape, masks.shape) == ((4, 5, 6, 3), (4, 5, 6))


def test_the_image_can_be_the_target(tmp_path):
    images, targets = everything(load(make_folder(tmp_path, [ids(), ids(1)]), target="image").train)
    np.testing.assert_array_equal(images, targets)


def test_a_training_batch_is_augmented_with_void_at_the_edges(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(20)])
    _, masks = everything(load(path, augment=True).train)
    assert set(np.unique(masks)) <= {*range(5), 255}


def test_colours_belong_to_folders_alone():
    from kerasseg import datasets

    with pytest.raises(ValueError, match="digits takes no `colours`: leave it out. Received: col"):
        datasets.load("digits", colours=COLOURS)


def test_names_stored_whole_or_in_parts_are_one_name(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(3)])
    name = "길거리 사진.png"
    save(picture(3), path / "images" / unicodedata.normalize("NFC", name))
    save(ids(3), path / "masks" / unicodedata.normalize("NFD", name))
    assert len(folder.find(path).splits["all"]) == 4
    np.testing.assert_array_equal(both(load(path))[1][3], ids(3))
