"""Pairs are read alike by TensorFlow, which is fast, and by Pillow, which reads everything."""

import os
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasseg.datasets import dataset, files, from_files, load
from kerasseg.datasets.examine import examine
from kerasseg.datasets.masks import Masks
from tests.datasets import folders

SIZE = (37, 53)
MASKS = Masks("ids", {0: 0, 1: 1, 7: 2, 255: None}, ("a", "b", "c"), np.zeros((3, 3), "uint8"))


def photograph():
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = np.stack([5 * rows, 4 * columns, 2 * (rows + columns)], -1)
    return (smooth + np.random.default_rng(0).integers(0, 40, (*SIZE, 3))) % 256


def mask():
    return np.random.default_rng(1).choice([0, 1, 7, 255], SIZE).astype("uint8")


def colours(mode="RGB"):
    return Image.fromarray(photograph().astype("uint8")).convert(mode)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


def save(picture, path, **options):
    picture.save(path, **options)
    return path


class SixteenBits:
    """RGB, which Pillow cannot write."""

    def save(self, path):
        path.write_bytes(tf.io.encode_png((250 * photograph()).astype("uint16")).numpy())


IMAGES = {
    "jpeg, 4:2:0": (colours(), "jpg", {"subsampling": 2}, True),
    "jpeg, 4:2:2": (colours(), "jpg", {"subsampling": 1}, True),
    "jpeg, 4:4:4": (colours(), "jpg", {"subsampling": 0, "quality": 95}, True),
    "jpeg, progressive": (colours(), "jpg", {"progressive": True, "quality": 30}, True),
    "jpeg, grey": (colours("L"), "jpg", {}, True),
    "jpeg, CMYK": (colours("CMYK"), "jpg", {}, False),
    "jpeg, turned": (colours(), "jpg", {"exif": turned()}, False),
    "png": (colours(), "png", {}, True),
    "png, grey": (colours("L"), "png", {}, True),
    "png, palette": (colours("P"), "png", {}, False),
    "png, alpha": (colours("RGBA"), "png", {}, False),
    "png, one transparent colour": (colours(), "png", {"transparency": (0, 0, 0)}, False),
    "png, grey of 16 bits": (Image.fromarray(257 * mask().astype("uint16")), "png", {}, False),
    "png, RGB of 16 bits": (SixteenBits(), "png", {}, False),
    "png, turned": (colours(), "png", {"exif": turned()}, False),
    "bmp": (colours(), "bmp", {}, False),
}


@pytest.fixture
def by_pillow(monkeypatch):
    """The image paths that Pillow read inside a pipeline."""
    paths, read_image = [], files.read_image

    def remember(path):
        paths.append(path)
        return read_image(path)

    monkeypatch.setattr(from_files, "read_image", remember)
    return paths


def pipeline(pair):
    records = from_files.records([pair], {pair: examine(pair)})
    return records.map(partial(from_files.read_pair, masks=MASKS))


def read(pair):
    return next(pipeline(pair).as_numpy_iterator())


@pytest.mark.parametrize("name", IMAGES)
def test_tensorflow_and_pillow_give_the_same_arrays(name, tmp_path, by_pillow):
    picture, suffix, options, plain = IMAGES[name]
    pair = (
        save(picture, tmp_path / f"image.{suffix}", **options),
        save(Image.fromarray(mask()), tmp_path / "mask.png"),
    )
    example = read(pair)
    assert bool(by_pillow) != plain
    np.testing.assert_array_equal(example["image"], files.read_image(pair[0]))
    np.testing.assert_array_equal(example["label"], MASKS.to_ids(mask()))


@pytest.mark.parametrize(("mode", "plain"), [("L", True), ("P", False), ("RGB", False)])
def test_masks_of_one_channel_are_read_by_tensorflow(mode, plain, tmp_path, by_pillow):
    picture = Image.fromarray(mask())
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    pair = (
        save(colours(), tmp_path / "image.png"),
        save(picture.convert(mode), tmp_path / "mask.png"),
    )
    np.testing.assert_array_equal(read(pair)["label"], MASKS.to_ids(mask()))
    assert bool(by_pillow) != plain


def test_a_file_that_changed_is_read_by_pillow(tmp_path, by_pillow):
    pair = (
        save(colours(), tmp_path / "image.png"),
        save(Image.fromarray(mask()), tmp_path / "mask.png"),
    )
    data = pipeline(pair)
    save(colours().rotate(180), pair[0], compress_level=1)
    image = next(data.as_numpy_iterator())["image"]
    assert by_pillow == [str(pair[0])]
    np.testing.assert_array_equal(image, photograph()[::-1, ::-1])


def test_an_id_outside_the_classes_is_named_though_the_file_kept_its_size(tmp_path):
    pair = (
        save(colours(), tmp_path / "image.png"),
        save(Image.fromarray(mask()), tmp_path / "mask.png", compress_level=0),
    )
    data, size, wrong = pipeline(pair), os.path.getsize(pair[1]), mask()
    wrong[3, 4] = 99
    save(Image.fromarray(wrong), pair[1], compress_level=0)
    assert os.path.getsize(pair[1]) == size
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{pair[1]} holds the label id 99"):
        list(data)


def test_real_photographs_are_read_by_tensorflow_to_the_last_bit(real_camvid, by_pillow):
    images = sorted((real_camvid / "val").iterdir())[:20]
    for image in images:
        contents = tf.io.read_file(str(image))
        decoded = tf.io.decode_jpeg(contents, 3, dct_method="INTEGER_ACCURATE")
        np.testing.assert_array_equal(decoded, files.read_image(image))


def ids_of_five(folder):
    folders.make_folder(folder, [folders.ids(i) for i in range(8)])


def colours_of_five(folder):
    make_table(folder)
    folders.make_folder(folder, [folders.coloured(folders.ids(i)) for i in range(8)])


def palettes(folder):
    make_table(folder)
    folders.make_folder(folder, [folders.ids(i) for i in range(8)])
    for i in range(8):
        folders.palette_picture(folders.ids(i)).save(folder / "masks" / f"{i:02}.png")


def floats(folder):
    folders.make_folder(folder, [folders.ids(i) for i in range(8)])
    for path in [*(folder / "masks").iterdir()]:
        Image.fromarray(np.array(Image.open(path), "float32")).save(path.with_suffix(".tiff"))
        path.unlink()


def several_labels(folder):
    masks = [folders.ids(i, classes=2) for i in range(8)]
    folders.make_folder(folder, masks, labels="masks/one")
    folders.make_folder(folder, masks[::-1], labels="masks/two")


def several_labels_in_palettes(folder):
    """The table's colours are those of the palette, in the other order."""
    several_labels(folder)
    (folder / "classes.txt").write_text("one 255 255 255\ntwo 0 0 0\n")
    for path in (folder / "masks").rglob("*.png"):
        mask = np.asarray(Image.open(path))
        folders.palette_picture(mask, [(0, 0, 0), (255, 255, 255)]).save(path)


def several_sizes(folder):
    for i, size in enumerate([(6, 9), (20, 20), (3, 2), (9, 6), (30, 4), (4, 30), (8, 8), (5, 7)]):
        folders.save(folders.picture(i, size), folder / "images" / f"{i}.png")
        folders.save(folders.ids(i, 2, size), folder / "masks" / f"{i}.png")


def make_table(folder):
    rows = [" ".join(map(str, (name, *c))) for name, c in zip(folders.NAMES, folders.PALETTE)]
    folder.mkdir()
    (folder / "classes.txt").write_text("\n".join(rows))


@pytest.mark.parametrize(
    "make",
    [
        ids_of_five,
        colours_of_five,
        palettes,
        floats,
        several_labels,
        several_labels_in_palettes,
        several_sizes,
    ],
    ids=lambda make: make.__name__,
)
@pytest.mark.parametrize("size", [(4, 5), (13, 8)])
def test_what_is_kept_from_the_check_is_what_the_files_give(make, size, tmp_path, monkeypatch):
    make(tmp_path / "d")
    arguments = {"image_size": size, "batch_size": 3, "augment": True, "keep": True}
    kept = folders.load(tmp_path / "d", **arguments)
    monkeypatch.setattr(dataset, "CACHE_LIMIT", 0)
    read = folders.load(tmp_path / "d", **arguments)
    assert kept.source.kept is not None
    assert read.source.kept is None
    for split in ("train", "train", "validation"):
        for ours, theirs in zip(*(getattr(data, split) for data in (kept, read)), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_array_equal(kept.class_pixels, read.class_pixels)


def test_palette_masks_of_labels_are_counted_by_their_indices(tmp_path):
    several_labels_in_palettes(tmp_path / "d")
    data = folders.load(tmp_path / "d")
    counted = sum((masks == 1).sum((0, 1, 2)) for _, masks in data.train.as_numpy_iterator())
    np.testing.assert_array_equal(data.class_pixels.sum(0), counted)


@pytest.mark.parametrize(("limit", "fits"), [(8 * 4 * 5 * 4, True), (8 * 4 * 5 * 4 - 1, False)])
def test_all_pairs_are_kept_if_they_fit_into_the_limit(limit, fits, tmp_path, monkeypatch):
    ids_of_five(tmp_path)
    monkeypatch.setattr(dataset, "CACHE_LIMIT", limit)
    source = folders.load(tmp_path, image_size=(4, 5), keep=True).source
    assert (source.kept is not None) == fits


def test_images_that_are_kept_are_those_of_their_own_size_alone(tmp_path):
    ids_of_five(tmp_path)
    assert folders.load(tmp_path, image_size=(4, 5)).source.kept is None
    data = folders.load(tmp_path, image_size=[4, 5], keep=True)
    assert data.source.kept[0] == (4, 5)
    other = dataset.Dataset(
        data.source, target=None, image_size=(3, 7), batch_size=1, augment=0, seed=0
    )
    expected = folders.load(tmp_path, image_size=(3, 7)).validation
    for ours, theirs in zip(other.validation, expected, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


def test_what_cannot_be_kept_is_one_error(tmp_path):
    ids_of_five(tmp_path)
    with pytest.raises(ValueError, match="`keep` needs `image_size`. Received: keep=True, image_s"):
        folders.load(tmp_path, keep=True)
    for size in ((4, 4), None):
        with pytest.raises(ValueError, match="digits takes no `keep`: .* Received: keep=True"):
            load("digits", image_size=size, keep=True)
