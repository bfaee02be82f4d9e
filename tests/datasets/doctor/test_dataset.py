"""Every fault of a set is named with its file and remedy, and the numbers are right."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import kerasseg
from kerasseg import check_dataset
from kerasseg.datasets import files, load
from kerasseg.datasets.png import PngWriter
from tests.conftest import environment
from tests.datasets.doctor.examples import (
    KOREAN,
    SIZE,
    damage,
    found,
    interpolated,
    make_folder,
    only,
    photograph,
    regions,
    save,
)

# --- the numbers of a set


def slow_numbers(folder, splits, num_classes):
    """{split: (pictures, mean, std, class pixels)} by Pillow and two passes over the pixels."""
    numbers = {}
    for split, (images, masks) in splits.items():
        paths = sorted((folder / images).iterdir())
        pictures = [np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) for path in paths]
        count = sum(map(len, pictures))
        mean = sum(picture.sum(0) for picture in pictures) / count / 255
        variance = sum(((picture / 255 - mean) ** 2).sum(0) for picture in pictures) / count
        labels = [np.asarray(Image.open(path)) for path in sorted((folder / masks).iterdir())]
        pixels = [sum(int((label == i).sum()) for label in labels) for i in range(num_classes)]
        numbers[split] = len(paths), mean, np.sqrt(variance), pixels
    return numbers


def agree(report, folder):
    """The report of CamVid, its attributes and its page, against a slow count."""
    splits = {"train": ("train", "trainannot"), "validation": ("val", "valannot")}
    page = str(report)
    numbers = slow_numbers(folder, splits, 12)
    for split, (pictures, mean, std, pixels) in numbers.items():
        statistics = report.splits[split]
        assert statistics.pictures == pictures
        np.testing.assert_allclose(statistics.mean, mean, rtol=1e-12)
        np.testing.assert_allclose(statistics.std, std, rtol=1e-10)
        assert statistics.class_pixels.tolist() == pixels[:11]
        assert statistics.void_pixels == pixels[11]
        row = rf"\n{split} +{pictures} .* " + "  ".join(
            " ".join(f"{number:.4f}" for number in channels) for channels in (mean, std)
        )
        assert re.search(row, page), (row, page)
    totals = np.sum([pixels for *_, pixels in numbers.values()], 0)
    for i, name in enumerate(kerasseg.datasets.camvid.CLASS_NAMES):
        shares = [pixels[i] / sum(pixels[:11]) for *_, pixels in numbers.values()]
        shares = [totals[i] / totals[:11].sum(), *shares]
        words = " +".join(f"{share:.2%}" for share in shares)
        assert re.search(rf"\n *{i}  {name} +{totals[i]:,} +{words}", page), (words, page)
    assert re.search(rf"void +{totals[11]:,} +{totals[11] / totals.sum():.2%} ", page)


def test_mean_std_frequencies_and_sizes_agree_with_a_slow_count(camvid_dir):
    agree(check_dataset(camvid_dir), camvid_dir)


def test_mean_std_frequencies_and_sizes_of_camvid_agree_with_a_slow_count(real_camvid):
    report = check_dataset(real_camvid)
    assert report.exit_code == 0
    assert {split: part.pictures for split, part in report.splits.items()} == {
        "train": 367,
        "validation": 101,
    }
    agree(report, real_camvid)


def test_bands_change_nothing(camvid_dir, monkeypatch):
    whole = check_dataset(camvid_dir)
    monkeypatch.setattr("kerasseg.datasets.measures.BAND", 50)
    np.testing.assert_array_equal(check_dataset(camvid_dir).total.std, whole.total.std)
    assert str(check_dataset(camvid_dir)) == str(whole)


def test_every_file_is_decoded_once(folder, monkeypatch):
    decode, paths = files.decode, []
    monkeypatch.setattr(files, "decode", lambda path, **k: paths.append(path) or decode(path, **k))
    check_dataset(folder)
    assert sorted(paths) == sorted(folder.rglob("*.png"))


def test_a_loaded_set_gives_the_numbers_of_its_folder(camvid_dir):
    loaded = check_dataset(load("camvid", data_dir=camvid_dir, image_size=(5, 6)))
    agree(loaded, camvid_dir)
    assert loaded.findings == check_dataset(camvid_dir).findings == []


def test_a_set_of_one_class_a_picture_counts_pictures():
    data = load("digits")
    report = check_dataset(data)
    assert report.findings == []
    assert report.total.class_pixels.sum() == 1797
    assert report.splits["test"].pictures == 300


def test_a_file_damaged_after_loading_does_not_end_the_reading(camvid_dir):
    data = load("camvid", data_dir=camvid_dir)
    (camvid_dir / "train" / "train_02.png").write_bytes(b"")
    report = check_dataset(data)
    (finding,) = found(report, "unreadable files")
    assert (finding.path, report.splits["train"].pictures) == ("train, image 2", 10)
    assert "train_02.png" in finding.message


# --- faults of a folder


def test_a_good_folder_has_no_finding(folder):
    report = check_dataset(folder)
    assert report.findings == []
    assert report.exit_code == 0
    assert "Nothing is wrong." in str(report)


def test_values_outside_the_classes_are_named(folder):
    (folder / "classes.txt").write_text("road\ncar\ntree\n")
    path = folder / "masks" / "1.png"
    mask = np.array(Image.open(path))
    mask[5, 6:8] = 17, 33
    save(path, mask)
    message = only(check_dataset(folder), "values outside the classes", "error", path)
    assert message == (
        "holds the label ids 17 and 33, which are outside the classes. "
        "Allowed ids: 0 to 2, and 255 for void"
    )


def test_masks_of_0_and_255_are_one_line_and_no_finding(tmp_path, rng):
    folder = make_folder(tmp_path, rng, classes=2)
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 255)
    report = check_dataset(folder)
    assert report.findings == []
    assert report.exit_code == 0
    assert "masks of binary 0/255: 0 is background, 255 is foreground\n" in str(report)


def test_a_mask_of_0_and_255_among_masks_of_0_and_1_is_named(tmp_path, rng):
    folder = make_folder(tmp_path, rng, classes=2)
    path = folder / "masks" / "2.png"
    save(path, np.array(Image.open(path)) * 255)
    message = only(check_dataset(folder), "values that nothing explains", "error")
    assert re.search(r"png holds 0 and 1, which are ids; .*2.png holds 0 and 255,", message)


@pytest.mark.parametrize("names", [None, "glass\ncell\n"])
@pytest.mark.parametrize("value", [1, 3])
def test_one_stray_pixel_in_masks_of_0_and_255_blames_its_mask_alone(tmp_path, rng, value, names):
    folder = make_folder(tmp_path, rng, classes=2)
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 255)
    mask = np.array(Image.open(path))
    mask[5, 6] = value
    save(path, mask)
    (folder / "classes.txt").write_text(names) if names else None
    report = check_dataset(folder)
    (finding,) = report.errors
    assert finding.path == path
    assert finding.message.startswith(f"holds the label id {value}, which is outside the classes")
    assert "0 and 255" in finding.message
    with pytest.raises(ValueError, match=re.escape(str(path))):
        load("folder", data_dir=folder)
    with pytest.warns(UserWarning, match="1 of the pairs"):
        data = load("folder", data_dir=folder, skip_damaged=True, batch_size=1)
    assert {int(np.max(labels)) for _, labels in data.validation} == {1}
    assert [str(path) in words for words in data.skipped] == [True]


def test_a_value_of_one_mask_alone_is_named_with_its_mask(folder):
    path = folder / "masks" / "2.png"
    save(path, np.minimum(np.array(Image.open(path)), 1) * 7)
    message = only(check_dataset(folder), "values outside the classes", "error", path)
    assert message.startswith(
        "holds the label id 7, which is outside the classes. Allowed ids: 0 to"
    )
    with pytest.raises(ValueError, match=f"{path} {message}"):
        load("folder", data_dir=folder)
    with pytest.warns(UserWarning, match="1 of the pairs"):
        data = load("folder", data_dir=folder, skip_damaged=True)
    assert [str(path) in words for words in data.skipped] == [True]


@pytest.mark.parametrize("splits", [("",), ("train",)])
def test_copies_that_the_drawn_validation_split_shares_with_training_are_named(
    tmp_path, rng, splits
):
    folder = make_folder(tmp_path / "set", rng, pairs=10, splits=splits)
    assert check_dataset(folder).findings == []
    first = folder / splits[0] / "images" / "0.png"
    for path in first.parent.iterdir():
        path.write_bytes(first.read_bytes())
    report = check_dataset(folder)
    findings = found(report, "the same image in two splits")
    assert findings == report.findings
    loaded = check_dataset(load("folder", data_dir=folder))
    assert {finding.path for finding in loaded.findings} == {finding.path for finding in findings}
    assert {split: part.pictures for split, part in report.splits.items()} == {
        "train": 8,
        "validation": 2,
    }


def test_a_split_in_place_of_the_data_set_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match="pass what `load` returns, not its `train`. Received: "):
        check_dataset(load("digits").train)


@pytest.mark.parametrize("way", ["resized", "jpeg"])
def test_an_interpolated_mask_is_named(folder, way):
    (folder / "classes.txt").write_text("road\ncar\nvoid\n")
    path = folder / "masks" / "1.png"
    mask = np.array(Image.open(path)) * 127
    if way == "jpeg":
        path.unlink()
        path = path.with_suffix(".jpg")
        save(path, np.kron(mask, np.ones((4, 4), "uint8")))
        save(folder / "images" / "1.png", photograph(np.random.default_rng(0), (96, 128)))
    else:
        save(path, interpolated(mask))
    message = only(check_dataset(folder), "interpolated masks", "error", path)
    assert re.match(
        r"holds .* more along its edges, which are outside the classes. "
        r"Allowed ids: 0 and 1, and 2 or 255 for void|is compressed with losses",
        message,
    )


def test_one_interpolated_mask_does_not_hide_what_the_others_hold(tmp_path, rng):
    folder = make_folder(tmp_path, rng, classes=2)
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 255)
    save(path, interpolated(np.array(Image.open(path))))
    report = check_dataset(folder)
    assert [finding.path for finding in found(report, "interpolated masks")] == [path]
    assert report.class_names == ("background", "foreground")


def test_fractions_of_ids_are_named(folder):
    path = folder / "masks" / "3.png"
    values = np.array(Image.open(path)) / np.float32(2)
    path.unlink()
    save(path.with_suffix(".tif"), values.astype("float32"))
    message = only(check_dataset(folder), "interpolated masks", "error", path.with_suffix(".tif"))
    assert message.startswith(
        "holds fractions of ids, 0.5, outside the classes. Allowed ids: 0 to 2"
    )


def test_float_labels_are_named(folder):
    path = folder / "masks" / "3.png"
    values = np.array(Image.open(path)).astype("float32")
    path.unlink()
    save(path.with_suffix(".tif"), values)
    report = check_dataset(folder)
    assert only(report, "float labels", "warning", path.with_suffix(".tif")) == (
        "holds whole numbers stored as floats"
    )


@pytest.mark.parametrize("level", [1, 255])
def test_one_hot_masks_are_named(folder, level):
    for path in (folder / "masks").iterdir():
        save(path, (np.eye(3, dtype="uint8") * level)[np.array(Image.open(path))])
    (finding,) = found(check_dataset(folder), "one-hot labels")
    assert finding.message == "the masks hold one channel for each of three classes"


def test_values_that_nothing_explains_are_shown(folder):
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 50)
    message = only(check_dataset(folder), "values that nothing explains", "error")
    assert "Found: 0, 50 and 100" in message


def test_colours_come_from_the_argument_or_are_asked_for(folder):
    palette = np.array([(128, 64, 128), (0, 0, 142), (107, 142, 35)], "uint8")
    counts = check_dataset(folder).total.class_pixels
    for path in (folder / "masks").iterdir():
        save(path, palette[np.array(Image.open(path))])
    assert "masks hold colours" in only(
        check_dataset(folder), "values that nothing explains", "error"
    )
    names = "road", "car", "tree"
    report = check_dataset(folder, colours=dict(zip(names, palette.tolist())))
    assert (report.findings, report.class_names) == ([], names)
    np.testing.assert_array_equal(report.total.class_pixels, counts)


def test_palettes_that_contradict_each_other_are_named(folder):
    for i, path in enumerate(sorted((folder / "masks").iterdir())):
        mask = Image.fromarray(np.array(Image.open(path)))
        mask.putpalette([0, 0, 0, 255 - i, 0, 0, 0, 255, 0])
        mask.save(path)
    report = check_dataset(folder)
    message = only(report, "values that nothing explains", "error", folder / "masks" / "1.png")
    assert "palette that shows index 1" in message


def test_a_photograph_among_the_masks_is_named_and_hides_nothing(folder, rng):
    path = folder / "masks" / "1.png"
    save(path, photograph(rng))
    report = check_dataset(folder)
    assert only(report, "values outside the classes", "error", path).startswith(
        "holds the label colours (0, "
    )
    assert len(report.class_names) == 3


def test_pairs_of_different_size_are_named(folder):
    path = folder / "masks" / "2.png"
    save(path, regions(np.random.default_rng(0), size=(23, 30)))
    assert only(check_dataset(folder), "image and mask of different size", "error", path) == (
        f"is 23x30 pixels (height x width), but its image {folder / 'images' / '2.png'} is 24x32"
    )


@pytest.mark.parametrize(
    ("missing", "title"), [("masks", "images without a mask"), ("images", "masks without an image")]
)
def test_missing_partners_are_named(folder, missing, title):
    (folder / missing / "1.png").unlink()
    there = {"masks": "images", "images": "masks"}[missing]
    only(check_dataset(folder), title, "error", folder / there / "1.png")


@pytest.mark.parametrize("of", ["images", "masks"])
@pytest.mark.parametrize(
    "how", ["truncated", "text", "empty", "zero", "no permission", "dangling link"]
)
def test_unreadable_files_are_named_and_the_others_counted(folder, of, how):
    path = folder / of / "1.png"
    damage(path, how)
    if how == "no permission" and os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    report = check_dataset(folder)
    message = only(report, "unreadable files", "error", path)
    assert message.startswith("cannot be read as an image: ")
    assert report.total.pictures == 4
    assert sum(report.total.sizes.values()) == (3 if of == "images" else 4)


def test_a_truncated_jpeg_is_named(folder, rng):
    (folder / "images" / "1.png").unlink()
    path = folder / "images" / "1.jpg"
    save(path, photograph(rng))
    path.write_bytes(path.read_bytes()[:-100])
    only(check_dataset(folder), "unreadable files", "error", path)


def test_a_mask_without_width_is_named(folder):
    path = folder / "masks" / "1.png"
    path.write_bytes(path.read_bytes()[:16] + bytes(4) + path.read_bytes()[20:])
    only(check_dataset(folder), "unreadable files", "error", path)


def test_spaces_korean_letters_upper_case_and_inner_folders_are_read(folder):
    for kind in ("images", "masks"):
        (folder / kind / "0.png").rename(folder / kind / f"{KOREAN}.PNG")
        (folder / kind / "inner").mkdir()
        (folder / kind / "1.png").rename(folder / kind / "inner" / "1.png")
    report = check_dataset(folder)
    assert report.findings == []
    assert report.total.pictures == 4


def test_images_of_floats_are_named_with_their_range(folder):
    (folder / "images" / "2.png").unlink()
    path = folder / "images" / "2.tif"
    save(path, np.linspace(-1, 300, 24 * 32, dtype="float32").reshape(SIZE))
    message = only(check_dataset(folder), "unreadable files", "error", path)
    assert message.endswith("mode=F of values from -1 to 300 is not supported")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_images_of_12_bits_in_files_of_16_are_named(folder, rng, suffix):
    path = (folder / "images" / "2.png").with_suffix(suffix)
    (folder / "images" / "2.png").unlink()
    save(path, rng.integers(0, 2**16, SIZE, "uint16"))
    assert check_dataset(folder).findings == []
    save(path, np.resize(np.arange(0, 4096, 5, dtype="uint16"), SIZE))
    message = only(check_dataset(folder), "nearly black images of 16 bits", "warning", path)
    assert re.fullmatch(r"its 16 bits hold no value above \d.\d% of white", message)


def test_constant_images_are_named(folder):
    path = folder / "images" / "2.png"
    save(path, np.zeros((*SIZE, 3), "uint8"))
    assert only(check_dataset(folder), "constant images", "warning", path) == (
        "every pixel is (0, 0, 0)"
    )


def test_files_that_are_no_pictures_are_named(folder):
    path = folder / "images" / "notes.docx"
    path.write_text("remember")
    only(check_dataset(folder), "files that are not images", "warning", path)


def test_a_folder_with_every_fault_is_read_to_its_end(split_folder):
    images, masks = split_folder / "train" / "images", split_folder / "train" / "masks"
    (split_folder / "classes.txt").write_text("road\ncar\ntree\nnone\n")
    damage(images / "0.png", "empty")
    damage(masks / "1.png", "text")
    save(masks / "2.png", np.full(SIZE, 9, "uint8"))
    save(masks / "3.png", regions(np.random.default_rng(0), size=(9, 9)))
    (split_folder / "val" / "masks" / "0.png").unlink()
    report = check_dataset(split_folder)
    assert [(finding.severity, finding.title) for finding in report.findings] == [
        ("error", "image and mask of different size"),
        ("error", "images without a mask"),
        ("error", "unreadable files"),
        ("error", "unreadable files"),
        ("error", "values outside the classes"),
        ("warning", "classes that never occur"),
    ]
    assert "5 errors and 1 warning:" in str(report)


def test_nothing_is_written_into_the_folder(folder):
    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}

    before = state()
    check_dataset(folder)
    assert state() == before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"No images in {tmp_path}/gone"):
        check_dataset(tmp_path / "gone")


@pytest.mark.slow
def test_an_image_of_12000_by_9000_pixels_is_read(folder):
    row = np.arange(12_000) % 251
    image = np.broadcast_to(row.astype("uint8"), (9_000, 12_000))
    save(folder / "images" / "1.png", image, compress_level=1)
    save(folder / "masks" / "1.png", (image > 99).astype("uint8"), compress_level=1)
    report = check_dataset(folder)
    assert report.findings == []
    assert report.total.class_pixels[1] > 9_000 * np.sum(row > 99)


def test_street_scenes_are_without_fault(scenes_dir):
    report = check_dataset(load("street_scenes", data_dir=scenes_dir))
    assert report.findings == []


MEMORY = """
import resource, sys
from kerasseg_command import startup; startup.with_keras = False
from kerasseg.datasets.doctor import check_dataset
def check(folder):
    report = check_dataset(folder)
    assert [f.title for f in report.findings] == ["classes that never occur"], report
    print(report.total.sizes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
check(sys.argv[1]); check(sys.argv[2])
"""


@pytest.mark.slow
def test_900_million_pixels_are_checked_in_constant_memory(tmp_path, rng):
    for folder, size in (("small", 100), ("large", 30_000)):
        rows = rng.integers(0, 256, (1, size, 3), "uint8").repeat(20, 0)
        for kind, palette in (("images", None), ("masks", [(0, 0, 0), (9, 9, 9), (99, 9, 9)])):
            (tmp_path / folder / kind).mkdir(parents=True)
            content = rows if palette is None else rows[..., 0] // 128
            with (
                open(tmp_path / folder / kind / "x.png", "wb") as file,
                PngWriter(file, (size, size), palette) as image,
            ):
                for _ in range(size // 20):
                    image.write(content)
        (tmp_path / folder / "classes.txt").write_text("a\nb\nc\n")
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "small"), str(tmp_path / "large")],
        env=environment("tensorflow"),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    small, large = (int(line.split()[-1]) for line in result.stdout.splitlines())
    assert "{(30000, 30000): 1}" in result.stdout
    assert large - small < 2**28
