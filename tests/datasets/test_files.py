"""Damaged and wrong files are stopped with one clear error before any training starts."""

import re
import warnings

import numpy as np
import pytest
from PIL import Image

from kerasseg import check_dataset, datasets
from kerasseg.datasets import files


def load(folder, **arguments):
    return datasets.load("camvid", data_dir=folder, **arguments)


def test_unknown_name_lists_the_names_there_are():
    with pytest.raises(ValueError, match=r"digits, .*mnist.*camvid.*Received: name='kamvid'"):
        datasets.load("kamvid")


def test_unknown_target_lists_the_targets_there_are(camvid_dir):
    with pytest.raises(ValueError, match="label, image. Received: target='depth'"):
        load(camvid_dir, target="depth")


def test_camvid_without_data_dir_says_what_to_pass():
    with pytest.raises(ValueError, match="pass `data_dir`"):
        datasets.load("camvid")


def test_folder_without_images_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"No images in {tmp_path / 'train'}"):
        load(tmp_path)


def test_mask_without_an_image_is_named(camvid_dir):
    (camvid_dir / "val" / "val_01.png").unlink()
    with pytest.raises(
        FileNotFoundError, match=f"{camvid_dir}/valannot/val_01.png has no image.*Add the image, or"
    ):
        load(camvid_dir)


def test_image_without_a_mask_is_named(camvid_dir):
    (camvid_dir / "trainannot" / "train_03.png").unlink()
    with pytest.raises(FileNotFoundError, match=f"{camvid_dir}/train/train_03.png has no mask"):
        load(camvid_dir)


def test_mask_of_another_size_is_named_with_both_sizes(camvid_dir):
    path = camvid_dir / "valannot" / "val_01.png"
    Image.fromarray(np.zeros((8, 12), "uint8")).save(path)
    with pytest.raises(ValueError, match=f"{path} is 8x12 pixels .* {camvid_dir}/val/.* is 9x12"):
        load(camvid_dir)


def test_label_id_outside_the_classes_is_named_with_the_allowed_ids(camvid_dir):
    path = camvid_dir / "trainannot" / "train_07.png"
    Image.fromarray(np.full((9, 12), 17, "uint8")).save(path)
    with pytest.raises(ValueError, match=f"{path} holds the label id 17.*0 to 10, and 11 for void"):
        load(camvid_dir)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_unreadable_file_is_named(camvid_dir, folder, damage):
    path = camvid_dir / folder / "train_00.png"
    content = {"truncated": path.read_bytes()[:-60], "text": b"no picture", "empty": b""}
    path.write_bytes(content[damage])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read as an image"):
        load(camvid_dir)


def test_truncated_jpeg_is_named(camvid_dir):
    path = camvid_dir / "train" / "train_00.png"
    noise = np.random.default_rng(0).integers(0, 255, (9, 12, 3), "uint8")
    Image.fromarray(noise).save(path.with_suffix(".jpg"))
    path.unlink()
    path = path.with_suffix(".jpg")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=f"{path} cannot be read"):
        load(camvid_dir)


def test_mask_of_colours_is_refused(camvid_dir):
    path = camvid_dir / "trainannot" / "train_00.png"
    Image.new("RGB", (12, 9), (128, 64, 128)).save(path)
    with pytest.raises(ValueError, match=rf"{path} holds the label colour \(128, 64, 128\)"):
        load(camvid_dir)


def test_grey_masks_of_three_channels_are_read(camvid_dir):
    path = camvid_dir / "valannot" / "val_00.png"
    Image.open(path).convert("RGB").save(path)
    assert load(camvid_dir).num_classes == 11


def test_palette_mask_gives_its_indices_not_its_colours(tmp_path):
    ids = np.arange(6, dtype="uint8").reshape(2, 3)
    mask = Image.fromarray(ids).convert("P")
    mask.putdata(ids.ravel().tolist())
    mask.putpalette([255 - i % 256 for i in range(768)])
    mask.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(files.read_mask(tmp_path / "mask.png"), ids)


def test_two_images_of_one_stem_are_named(camvid_dir):
    path = camvid_dir / "train" / "train_00.png"
    Image.open(path).save(path.with_suffix(".bmp"))
    with pytest.raises(
        ValueError, match=r"Two files of one stem: .*train_00.bmp and .*train_00.png"
    ):
        load(camvid_dir)


def test_sixteen_bit_grey_images_keep_their_shades(tmp_path):
    ramp = np.linspace(0, 65535, 12, dtype="uint16").reshape(3, 4)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    np.testing.assert_array_equal(files.read_image(tmp_path / "ramp.png")[..., 1], ramp // 257)


def test_pictures_of_several_sizes_need_an_image_size(camvid_dir):
    for folder, mode in (("train", "RGB"), ("trainannot", "L")):
        Image.new(mode, (10, 8)).save(camvid_dir / folder / "train_00.png")
    with pytest.raises(ValueError, match="differ in size.*Pass `image_size`"):
        load(camvid_dir)
    assert load(camvid_dir, image_size=(4, 6)).image_shape == (4, 6, 3)


def write_list(folder, split, names):
    lines = [f"{split}/{name} {split}annot/{name}" for name in names]
    (folder / f"{split}.txt").write_text("\n".join(lines))


def test_images_that_no_list_names_are_listed_in_a_warning_and_by_the_doctor(camvid_dir):
    names = [path.name for path in sorted((camvid_dir / "train").iterdir())]
    write_list(camvid_dir, "train", names[2:])
    first, second = (camvid_dir / "train" / name for name in names[:2])
    with pytest.warns(
        UserWarning, match=f"{camvid_dir}: 2 images that no list names, .*{first}, {second}"
    ):
        load(camvid_dir)
    report = check_dataset(camvid_dir)
    assert [finding.path for finding in report.findings] == [first, second]
    assert report.exit_code == 1


def test_a_file_that_the_lists_name_twice_is_refused(camvid_dir):
    names = [path.name for path in sorted((camvid_dir / "train").iterdir())]
    write_list(camvid_dir, "train", [*names, names[4]])
    with pytest.raises(ValueError, match=f"the lists name {camvid_dir}/train/{names[4]} twice"):
        load(camvid_dir)
    write_list(camvid_dir, "train", names)
    line = f"train/{names[3]} trainannot/{names[3]}"
    (camvid_dir / "val.txt").write_text(line)
    with pytest.raises(ValueError, match=f"{names[3]} twice. Expected each file once, in one spl"):
        load(camvid_dir)


def test_lists_may_share_one_folder(camvid_dir):
    names = [path.name for path in sorted((camvid_dir / "train").iterdir())]
    write_list(camvid_dir, "train", names[2:])
    lines = [f"train/{name} trainannot/{name}" for name in names[:2]]
    (camvid_dir / "val.txt").write_text("\n".join(lines))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(camvid_dir)
    assert [len(data.source.splits[s]) for s in ("train", "validation")] == [8, 2]


def test_published_lists_pair_files_whatever_their_root(camvid_dir):
    for split in ("train", "val"):
        first, *others = sorted((camvid_dir / split).iterdir())
        first.unlink()
        names = [path.name for path in others]
        lines = [f"/SegNet/CamVid/{split}/{n} /SegNet/CamVid/{split}annot/{n}" for n in names]
        (camvid_dir / f"{split}.txt").write_text("\n".join(lines) + "\n")
    data = load(camvid_dir)
    assert sum(len(images) for images, _ in data.train) == 9
    assert sum(len(images) for images, _ in data.validation) == 3


def test_list_that_names_a_missing_file_is_refused_with_its_line(camvid_dir):
    (camvid_dir / "val.txt").write_text(
        "val/val_00.png valannot/val_00.png\nval/x.png valannot/x.png"
    )
    with pytest.raises(FileNotFoundError, match=r"val.txt, line 2 names .*val/x.png"):
        load(camvid_dir)


def test_nothing_is_written_into_the_data_folder(camvid_dir):
    before = sorted(camvid_dir.rglob("*"))
    list(load(camvid_dir).train)
    assert sorted(camvid_dir.rglob("*")) == before


# Formats that are not read are called by their names


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x00\x00\x00\x0cjP  \r\n", "a JPEG 2000 file"),
        (b"\x00\x00\x00\x1cftypavif", "an AVIF file"),
        (b"\x00\x00\x00\x1cftypheic", "a HEIC photograph"),
        (b"8BPS\x00\x01", "a Photoshop file"),
        (b"\x93NUMPY\x01", "a NumPy array"),
        (b"%PDF-1.4", "a PDF"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com", "a Git LFS pointer"),
        (b"\0" * 128 + b"DICM", "a DICOM file"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "a sound"),
        (b"\x1f\x8b\x08", "a GZIP archive"),
        (b"P6\n2 2\n255\n", "a PPM image"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>", "a web page"),
    ],
)
def test_a_file_of_another_format_is_called_by_its_name(tmp_path, content, what):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=f"x.jpg cannot be read as an image: it is {what}"):
        files.read_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_gif_by_another_name_is_called_a_gif_and_saving_it_as_png_helps(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9), "uint8")
    path = tmp_path / f"x{suffix}"
    Image.fromarray(pixels).save(path, format="GIF")
    with pytest.raises(ValueError, match="it is a GIF. Save it as PNG"):
        files.read_image(path)
    Image.open(path).convert("L").save(tmp_path / "y.png")
    np.testing.assert_array_equal(files.read_image(tmp_path / "y.png")[..., 0], pixels)


@pytest.mark.parametrize("how", ["BMP", "WEBP", "TIFF", "PNG"])
def test_a_format_that_is_read_is_read_by_any_name(tmp_path, how):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), "uint8")
    options = {"lossless": True} if how == "WEBP" else {}
    Image.fromarray(pixels).save(tmp_path / "x.jpg", format=how, **options)
    np.testing.assert_array_equal(files.read_image(tmp_path / "x.jpg"), pixels)


def tiff(path, shape, dtype="uint16", **how):
    import tifffile

    pixels = np.random.default_rng(0).integers(0, 2**15, shape).astype(dtype)
    tifffile.imwrite(path, pixels, **how)
    return pixels


def test_tiff_of_3_bands_of_16_bits_is_read(tmp_path):
    pixels = tiff(tmp_path / "x.tif", (6, 9, 3), photometric="rgb")
    np.testing.assert_array_equal(files.read_image(tmp_path / "x.tif"), pixels >> 8)


@pytest.mark.parametrize(
    ("shape", "dtype", "how", "words"),
    [
        ((6, 9, 4), "uint16", {"extrasamples": [0]}, "4 bands of 16 bits are not supported"),
        ((6, 9, 5), "uint16", {}, "5 bands of 16 bits are not supported"),
        ((6, 9, 4), "uint8", {"extrasamples": [0]}, "4 bands of 8 bits are not supported"),
        ((6, 9, 2), "uint8", {"extrasamples": [0]}, "2 bands of 8 bits are not supported"),
        ((6, 9, 5), "uint8", {}, "5 bands of 8 bits are not supported"),
        ((3, 6, 9), "uint16", {"planarconfig": "separate"}, "3 bands of 16 bits, each in a plane"),
        ((6, 9, 3), "float32", {}, r"3 bands of 32 bits \(floats\) are not supported"),
        ((6, 9, 3), "int16", {}, r"3 bands of 16 bits \(signed\) are not supported"),
    ],
)
def test_tiff_of_bands_that_would_be_dropped_or_misread_says_which(
    tmp_path, shape, dtype, how, words
):
    photometric = "minisblack" if shape[-1] == 2 else "rgb"
    pixels = tiff(tmp_path / "x.tif", shape, dtype, photometric=photometric, **how)
    with pytest.raises(ValueError, match=f"x.tif .*: {words}.* Save three of its bands, or one"):
        files.read_image(tmp_path / "x.tif")
    if pixels.dtype == "uint16" and pixels.shape[-1] in (4, 5):
        import tifffile

        tifffile.imwrite(tmp_path / "x.tif", pixels[..., :3].copy(), photometric="rgb")
        np.testing.assert_array_equal(files.read_image(tmp_path / "x.tif"), pixels[..., :3] >> 8)


def test_tiff_of_many_pages_says_how_many_and_one_page_is_read(tmp_path):
    import tifffile

    pixels = tiff(tmp_path / "x.tif", (5, 6, 9), photometric="minisblack")
    with pytest.raises(ValueError, match=r"it holds 5 images, expected one. Save what is wanted"):
        files.read_image(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "x.tif", pixels[2])
    np.testing.assert_array_equal(files.read_image(tmp_path / "x.tif")[..., 0], pixels[2] // 257)
