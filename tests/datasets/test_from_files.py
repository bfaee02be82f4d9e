"""Pairs are read alike by TensorFlow, which is fast, and by Pillow, which reads everything."""

import os
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasseg.datasets import files, from_files
from kerasseg.datasets.examine import examine
from kerasseg.datasets.masks import Masks

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
