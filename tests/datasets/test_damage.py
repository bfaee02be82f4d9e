"""Each kind of damage is handled right or is one error with the path; nothing is dropped."""

import hashlib
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kerasseg
from kerasseg.datasets import files, folder
from tests.conftest import make_camvid
from tests.datasets.folders import both, everything, ids, load, make_folder, picture, png, save


def truncated_jpeg(path):
    path = path.with_suffix(".jpg")
    save(picture(0, (60, 90)), path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def text_file(path):
    path.write_text("no picture")
    return path


def zero_bytes(path):
    path.write_bytes(b"")
    return path


def zero_wide(path):
    path.write_bytes(png(np.zeros((6, 0), "uint8"), colour_type=0, bits=8))
    return path


def dangling_link(path):
    path.symlink_to(path.with_name("moved away.png"))
    return path


def pipe(path):
    os.mkfifo(path)
    return path


def several_frames(path):
    path = path.with_suffix(".tif")
    pages = [Image.fromarray(ids(i)) for i in range(3)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


DAMAGE = {
    truncated_jpeg: "truncated",
    text_file: "none of PNG, JPEG, BMP, TIFF and WebP",
    zero_bytes: "it is empty",
    zero_wide: "a side of 0 pixels",
    dangling_link: "there is no such file",
    pipe: "it is no regular file",
    several_frames: "it holds 3 images, expected one",
}


def damage(path, how):
    """Puts damage in the place of a file; the path it then has."""
    path.unlink()
    return how(path)


@pytest.fixture
def make(tmp_path):
    return make_folder(tmp_path / "set", [ids(i) for i in range(6)])


# One file that cannot be read


@pytest.mark.parametrize("how", DAMAGE, ids=lambda how: how.__name__)
@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(make, kind, how):
    path = damage(make / kind / "02.png", how)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read .*{DAMAGE[how]}"):
        load(make)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_named(make):
    path = make / "images" / "02.png"
    path.chmod(0)
    with pytest.raises(ValueError, match=f"{path} cannot be read .*Permission denied"):
        load(make)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_named(make):
    path = make / "images" / "inner"
    path.mkdir(mode=0)
    with pytest.raises(PermissionError, match=str(path)):
        load(make)


@pytest.mark.parametrize("error", [OSError("gone"), MemoryError("too large"), TypeError("odd")])
def test_whatever_the_reader_raises_is_one_error_with_the_path(make, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setitem(files.READERS, b"\x89PNG", fail)
    with pytest.raises(ValueError, match=f"00.png cannot be read as an image: {error}"):
        load(make)


@pytest.mark.filterwarnings("ignore")
def test_no_byte_that_is_changed_or_cut_off_raises_anything_but_a_value_error(tmp_path):
    rng = np.random.default_rng(0)
    for suffix in (".png", ".jpg", ".bmp", ".tif", ".webp"):
        path = save(picture(0), tmp_path / f"x{suffix}")
        whole, messages = path.read_bytes(), []
        for _ in range(60):
            content = bytearray(whole)
            for place in rng.integers(0, min(len(content), 200), 3):
                content[place] = rng.integers(256)
            path.write_bytes(content[: rng.integers(len(content) // 2, len(content))])
            for read in (files.read_image, files.read_mask):
                try:
                    read(path)
                except ValueError as error:
                    messages.append(str(error))
        assert messages
        assert all(str(path) in message for message in messages)


# Names, links and strangers


def test_spaces_korean_letters_and_upper_case_endings_are_read(make):
    for kind, array in (("images", picture(6)), ("masks", ids(6))):
        save(array, make / kind / "서울 거리 (1).PNG")
    np.testing.assert_array_equal(both(load(make))[1][6], ids(6))


def test_names_that_are_no_utf8_are_read(make):
    for kind, array in (("images", picture(6)), ("masks", ids(6))):
        path = save(array, make / kind / "x.png")
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xb0\xc5\xb8\xae.png"))
    np.testing.assert_array_equal(both(load(make))[1][6], ids(6))


def test_the_name_does_not_tell_the_format_the_content_does(make):
    path = save(ids(3), make / "masks" / "03.png", format="TIFF")
    assert path.read_bytes().startswith(b"II")
    np.testing.assert_array_equal(both(load(make))[1][3], ids(3))


def test_links_to_folders_are_followed_and_loops_end(make, tmp_path):
    for kind, array in (("images", picture(6)), ("masks", ids(6))):
        save(array, tmp_path / "elsewhere" / kind / "x.png")
        (make / kind / "inner").symlink_to(tmp_path / "elsewhere" / kind)
        (make / kind / "loop").symlink_to(make / kind)
    found = folder.find(make)
    assert len(found.splits["all"]) == 7
    assert {finding.path for finding in found.findings} == {
        make / "images" / "loop",
        make / "masks" / "loop",
    }


def test_an_image_without_a_mask_is_named(make):
    (make / "masks" / "04.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"{make}/images/04.png has no mask .*skip_damaged"):
        load(make)
    assert [f.path for f in folder.find(make).findings] == [make / "images" / "04.png"]


def test_a_mask_without_an_image_is_named(make):
    (make / "images" / "04.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"{make}/masks/04.png has no image"):
        load(make)
    assert [f.path for f in folder.find(make).findings] == [make / "masks" / "04.png"]


def test_a_folder_without_masks_is_named(make):
    for path in (make / "masks").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"No images in {make}/masks"):
        load(make)


def test_two_files_of_one_stem_are_named(make):
    save(picture(0), make / "images" / "00.bmp")
    with pytest.raises(
        ValueError, match="Two files of one stem: .*00.bmp and .*00.png. Remove one"
    ):
        load(make)


def test_files_that_are_no_pictures_are_listed_in_a_warning_but_for_hidden_ones(make):
    for name in ("notes.txt", "inner/table.csv", ".DS_Store", ".thumbs/00.png"):
        path = make / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    others = make / "images" / "inner" / "table.csv", make / "images" / "notes.txt"
    assert {finding.path for finding in folder.find(make).findings} == set(others)
    with pytest.warns(UserWarning, match="2 files that are not images, .*table.csv, .*notes.txt"):
        load(make)


def test_a_clean_folder_loads_without_a_warning(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(make).skipped == ()


# Sizes


def test_a_mask_of_another_size_than_its_image_is_named_with_both_sizes(make):
    path = save(ids(size=(6, 8)), make / "masks" / "01.png")
    with pytest.raises(ValueError, match=f"{path} is 6x8 pixels .* {make}/images/01.png is 6x9"):
        load(make)


def test_a_picture_of_12000_by_9000_pixels_is_read_without_a_warning(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    make_folder(tmp_path, [ids(i) for i in range(2)])
    Image.new("L", (12_000, 9_000), 2).save(tmp_path / "images" / "02.png")
    Image.new("L", (12_000, 9_000), 4).save(tmp_path / "masks" / "02.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(tmp_path, image_size=(3, 4))
    assert data.num_classes == 5
    assert limit == Image.MAX_IMAGE_PIXELS
    image = files.read_image(tmp_path / "images" / "02.png")
    assert image.shape == (9_000, 12_000, 3)
    assert (image[::999, ::999] == 2).all()


# What is skipped on request


def test_with_skip_damaged_every_pair_that_is_left_out_is_counted_and_listed(tmp_path):
    path = make_folder(tmp_path, [ids(i) for i in range(20)])
    bad = [damage(path / "images" / f"{i:02}.png", how) for i, how in enumerate(DAMAGE)]
    bad += [damage(path / "masks" / f"{i:02}.png", how) for i, how in enumerate(DAMAGE, start=7)]
    bad.append(save(ids(size=(6, 8)), path / "masks" / "14.png"))
    (path / "classes.txt").write_text("a\nb\nc\nd\ne")
    bad.append(save(np.full((6, 9), 77, "uint8"), path / "masks" / "15.png"))
    (path / "masks" / "16.png").unlink()
    (path / "images" / "17.png").unlink()
    bad += [path / "images" / "16.png", path / "masks" / "17.png"]
    with pytest.warns(
        UserWarning, match="18 of the pairs .* are left out; `kerasseg check` .*The first: "
    ):
        data = load(path, skip_damaged=True)
    assert len(data.skipped) == 18
    for file in bad:
        assert sum(str(file) in words for words in data.skipped) == 1
    np.testing.assert_array_equal(both(data)[1], [ids(18), ids(19)])


def test_nothing_left_to_use_is_an_error(make):
    for path in (make / "images").iterdir():
        path.write_text("no picture")
    with pytest.raises(ValueError, match="at least 2 usable pairs"):
        load(make, skip_damaged=True)


def test_a_validation_split_of_nothing_but_damage_is_an_error(tmp_path):
    for name in ("train", "val"):
        make_folder(tmp_path, [ids(), ids(1)], f"{name}/images", f"{name}/masks")
    for path in (tmp_path / "val" / "images").iterdir():
        path.write_text("no picture")
    with (
        pytest.warns(UserWarning, match="2 of the pairs"),
        pytest.raises(ValueError, match="at least 1 usable pairs .*Received: 0 in 'validation'"),
    ):
        load(tmp_path, skip_damaged=True)


def test_camvid_skips_on_request_too(tmp_path):
    make_camvid(tmp_path)
    damage(tmp_path / "train" / "train_03.png", zero_bytes)
    (tmp_path / "valannot" / "val_02.png").unlink()
    with pytest.warns(UserWarning, match="2 of the pairs"):
        data = load(tmp_path, skip_damaged=True)
    assert len(everything(data.train)[0]) == 9
    assert len(everything(data.validation)[0]) == 3


# Files that change after `load`


def test_ids_outside_the_classes_that_come_later_stop_the_pipeline(make):
    data = load(make)
    path = save(np.full((6, 9), 200, "uint8"), make / "masks" / "03.png")
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=rf"{path} holds the label id 200.*Allowed ids: 0 to 4, and 255 for void",
    ):
        both(data)


@pytest.mark.parametrize("how", [zero_bytes, text_file], ids=lambda how: how.__name__)
def test_damage_that_comes_later_stops_the_pipeline(make, how):
    data = load(make)
    path = damage(make / "images" / "03.png", how)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path} cannot be read"):
        both(data)


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_a_file_that_vanishes_later_is_named_with_what_to_do(make, kind):
    data = load(make)
    path = make / kind / "03.png"
    content = path.read_bytes()
    path.unlink()
    words = f"{path} cannot be read as an image: there is no such file. It could be used when"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words) as error:
        both(data)
    assert "put the file back, or load the set again" in str(error.value)
    path.write_bytes(content)
    assert len(both(load(make))[1]) == 6


def test_a_mask_that_changes_its_size_later_stops_the_pipeline(make):
    data = load(make, image_size=(4, 5))
    path = save(ids(size=(7, 9)), make / "masks" / "03.png")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{path} is 7x9 .* is 6x9"):
        both(data)


# Nothing is written


def contents(path):
    """{path: what is there, and when it last changed} of everything below a folder."""
    return {
        file: (file.lstat().st_mtime_ns, file.is_file() and hashlib.md5(file.read_bytes()).digest())
        for file in sorted([path, *Path(path).rglob("*")])
    }


@pytest.mark.parametrize("table", ["", "a\nb\nc\nd\ne"])
def test_nothing_is_written_into_an_input_folder(make, table):
    (make / "classes.txt").write_text(table) if table else None
    damage(make / "images" / "02.png", zero_bytes)
    before = contents(make)
    for path in sorted(make.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    with pytest.warns(UserWarning, match="1 of the pairs"):
        data = load(make, skip_damaged=True, augment=True)
    both(data)
    with pytest.raises(ValueError, match="cannot be read"):
        load(make)
    kerasseg.check_dataset(make)
    assert contents(make) == before


def test_nothing_is_written_into_camvids_folder(tmp_path):
    make_camvid(tmp_path)
    before = contents(tmp_path)
    both(load(tmp_path))
    assert contents(tmp_path) == before
