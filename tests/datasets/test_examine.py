"""What one image and its mask say: each file is decoded once, and nothing is dropped unseen."""

import weakref

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets import files
from kerasseg.datasets.examine import examine
from tests.datasets.folders import ids, picture, save


def pair(path, image=None, mask=None, **how):
    image = picture(0) if image is None else image
    mask = ids() if mask is None else mask
    return save(image, path / "x.png", **how), save(mask, path / "m.png")


def titles(examined):
    return [finding.title for finding in examined.findings]


def test_a_good_pair_gives_sizes_and_pixels_and_no_finding(tmp_path):
    examined = examine(pair(tmp_path))
    assert examined.findings == []
    assert examined.size == (6, 9)
    values, pixels = np.unique(ids(), return_counts=True)
    assert examined.labels[0].values == dict(zip(values.tolist(), pixels.tolist()))


def test_each_file_is_decoded_once(tmp_path, monkeypatch):
    paths, decode = [], files.decode
    monkeypatch.setattr(files, "decode", lambda path: paths.append(path) or decode(path))
    both = pair(tmp_path)
    examine(both)
    assert paths == list(both)


def test_decoded_masks_leave_memory_one_by_one_unless_they_are_kept(tmp_path, monkeypatch):
    image, mask = pair(tmp_path)
    alive, decode = [], files.values_of

    def counting(opened, path, *traits):
        alive.append(sum(each() is not None for each in arrays))
        values = decode(opened, path, *traits).copy()
        arrays.append(weakref.ref(values))
        return values

    monkeypatch.setattr(files, "values_of", counting)
    for keep in (None, lambda image, *masks: len(masks)):
        arrays = []
        examined = examine((image, (mask,) * 3), keep=keep)
    assert alive == [0, 0, 0, 0, 1, 2]
    assert examined.kept == 3


def test_damage_is_a_finding_with_the_file_and_no_error(tmp_path):
    image, mask = pair(tmp_path)
    image.write_text("no image")
    examined = examine((image, mask))
    assert [(f.severity, f.title, f.path) for f in examined.findings] == [
        ("error", "unreadable files", image)
    ]
    assert examined.labels[0].size == (6, 9)


def test_transparent_pixels_of_an_image_are_told(tmp_path):
    image = np.concatenate([picture(0), np.full((6, 9, 1), 255, "uint8")], -1)
    assert titles(examine(pair(tmp_path, image))) == []
    image[:3, ..., 3] = 0
    (finding,) = examine(pair(tmp_path, image)).findings
    assert finding.severity == "warning"
    assert finding.message == "has an alpha channel in which 50.0% of the pixels are not opaque"


def test_a_transparent_palette_colour_of_an_image_is_told(tmp_path):
    image = Image.fromarray(picture(0)).convert("P")
    image.info["transparency"] = int(np.asarray(image)[0, 0])
    image.save(tmp_path / "x.png")
    examined = examine((tmp_path / "x.png", save(ids(), tmp_path / "m.png")))
    assert titles(examined) == ["images with transparent pixels"]


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_an_image_that_its_tag_turns_and_its_mask_not_is_told_where_sizes_are_equal(
    tmp_path, orientation
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    both = pair(tmp_path, exif=exif)
    assert titles(examine(both)) == ["images that their EXIF tag turns, and their masks not"]
    save(ids(), tmp_path / "m.png", exif=exif)
    assert titles(examine(both)) == []


def test_colour_images_of_12_bits_in_files_of_16_are_told_as_grey_ones_are(tmp_path):
    import tifffile

    image = np.random.default_rng(0).integers(0, 4096, (6, 9, 3)).astype("uint16")
    tifffile.imwrite(tmp_path / "x.tif", image, photometric="rgb")
    examined = examine((tmp_path / "x.tif", save(ids(), tmp_path / "m.png")))
    assert titles(examined) == ["nearly black images of 16 bits"]


@pytest.mark.parametrize(("suffix", "how"), [(".jpg", {"quality": 60}), (".webp", {"quality": 30})])
def test_masks_of_ids_saved_with_losses_are_errors_though_their_values_look_like_ids(
    tmp_path, suffix, how
):
    mask = np.kron(np.arange(6).reshape(2, 3), np.ones((20, 20))).astype("uint8")
    image = save(picture(0, (40, 60)), tmp_path / "x.png")
    examined = examine((image, save(mask, tmp_path / f"m{suffix}", **how)))
    assert [finding.title for finding in examined.errors] == ["interpolated masks"]
    (tmp_path / f"m{suffix}").unlink()
    lossless = save(mask, tmp_path / "m.webp", lossless=True)
    assert examine((image, lossless)).findings == []


def test_shapes_in_the_alpha_channel_of_a_mask_are_an_error_with_a_remedy_that_works(tmp_path):
    mask = np.zeros((6, 9, 4), "uint8")
    mask[..., 3] = 255 * (ids() > 2)
    image, path = pair(tmp_path, mask=mask)
    (finding,) = examine((image, path)).errors
    assert "alpha channel alone" in finding.message
    exec(finding.remedy.split("`")[1], {"Image": Image, "path": path})
    examined = examine((image, path))
    assert examined.findings == []
    assert set(examined.labels[0].values) == {0, 255}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.full((6, 9), 300, "uint16"), "holds 300; the values of a mask are whole numbers"),
        (np.full((6, 9), -1, "int32"), "holds -1; the values"),
    ],
)
def test_values_that_are_no_ids_of_8_bits_are_errors(tmp_path, mask, words):
    image = save(picture(0), tmp_path / "x.png")
    (finding,) = examine((image, save(mask, tmp_path / "m.tif"))).errors
    assert finding.message.startswith(words)
