"""The label doctor names every fault, with the file and the remedy, and its numbers are right."""

import os
import re

import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import kerasseg
from kerasseg import check_batch, check_dataset
from kerasseg.datasets import files, load
from kerasseg.datasets.doctor.measures import measure_labels

SIZE = 24, 32
KOREAN = "거리 풍경 01"


def regions(rng, classes=3, size=SIZE):
    """A mask of flat regions: rectangles on a ground, every class in it."""
    mask = np.zeros(size, "uint8")
    for i in range(1, classes):
        top, left = rng.integers(1, size[0] // 2), rng.integers(1, size[1] // 2)
        mask[top : top + size[0] // 3, left : left + size[1] // 3] = i
    mask[0, :classes] = range(classes)
    return mask


def photograph(rng, size=SIZE):
    return rng.integers(0, 256, (*size, 3), "uint8")


def make_folder(path, rng, pairs=4, splits=("",), classes=3):
    """images/ and masks/, or train/images/ and so on, with pictures 0.png, 1.png, ..."""
    for split in splits:
        for i in range(pairs):
            save(path / split / "images" / f"{i}.png", photograph(rng))
            save(path / split / "masks" / f"{i}.png", regions(rng, classes))
    return path


def save(path, array, **arguments):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **arguments)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "set", np.random.default_rng(1))


@pytest.fixture
def split_folder(tmp_path):
    return make_folder(tmp_path / "set", np.random.default_rng(1), splits=("train", "val"))


def found(report, title):
    findings = [finding for finding in report.findings if finding.title == title]
    assert findings, f"{title} not in:\n{report}"
    assert all(finding.remedy for finding in findings)
    return findings


def only(report, title, severity, path=None):
    """The one finding of a set in which nothing else is wrong."""
    (finding,) = found(report, title)
    assert report.findings == [finding], report
    assert finding.severity == severity
    assert finding.path == path
    assert report.exit_code == {"warning": 1, "error": 2}[severity]
    return finding.message


def batch(rng, count=2, classes=3):
    images = rng.uniform(size=(count, *SIZE, 3)).astype("float32")
    return images, np.stack([regions(rng, classes) for _ in range(count)])


# --- a batch


def test_a_good_batch_passes_with_nothing_found_and_its_numbers(rng):
    images, labels = batch(rng)
    labels[0, 3, :5] = 255
    report = check_batch(images, labels, 3)
    assert report.findings == []
    assert report.exit_code == 0
    pixels = images.reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(report.total.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(report.total.std, pixels.std(0), rtol=1e-9)
    assert report.total.class_pixels.tolist() == [np.sum(labels == i) for i in range(3)]
    assert report.total.void_pixels == 5


def with_value(labels, value):
    labels = labels.astype(np.result_type(labels, np.asarray(value).dtype))
    labels[1, 2, 3] = value
    return labels


ERRORS = {
    "an id too large": (lambda x, y: (x, with_value(y, 7)), "picture 1: holds 7, outside the cl"),
    "an id below zero": (lambda x, y: (x, with_value(y, -1)), "picture 1: holds -1, outside the c"),
    "a fraction": (lambda x, y: (x, with_value(y, 0.25)), "fractions of ids, 0.25, outside"),
    "ids divided by 255": (
        lambda x, y: (x, (y / 255).astype("float32")),
        r"ids divided by 255.*fractions of ids.*`\(labels \* 255\)",
    ),
    "NaN in labels": (lambda x, y: (x, with_value(y, np.nan)), "fractions of ids, nan, outside"),
    "one-hot": (lambda x, y: (x, np.eye(3)[y]), "one-hot labels.*`labels.argmax`"),
    "one-hot, channels first": (
        lambda x, y: (x, np.moveaxis(np.eye(3)[y], -1, 1)),
        "one-hot labels",
    ),
    "one-hot, flattened": (lambda x, y: (x, np.eye(3)[y].reshape(2, -1, 3)), "one-hot labels"),
    "labels of another size": (
        lambda x, y: (x, y[:, :-2]),
        "different size.*is 22x32 .*its image 24x32.*nearest neighbour",
    ),
    "images of bytes": (
        lambda x, y: ((x * 255).astype("uint8"), y),
        r"outside \[0, 1\].*picture 0: holds values from 0 to 25\d.*divide 8-bit images by 255",
    ),
    "images in [-1, 1]": (lambda x, y: (2 * x - 1, y), r"from -\S+ to .*\(images \+ 1\) / 2"),
    "NaN in images": (lambda x, y: (x * np.nan, y), "NaN or infinite"),
    "no batch axis": (lambda x, y: (x[0], y[0]), "label maps have 3 axes.*images have 4 axes"),
    "flat labels": (lambda x, y: (x, y.reshape(2, -1)), r"have 3 axes.*labels \(2, 768\)"),
    "a label map too few": (lambda x, y: (x, y[:1]), "every image needs one label map"),
    "an empty batch": (lambda x, y: (x[:0], y[:0]), "the batch is empty"),
    "pictures of two sizes": (lambda x, y: ([x[0], x[1, 1:]], y), "`images` must make one array"),
}


@pytest.mark.parametrize("fault", ERRORS)
def test_a_batch_that_spoils_a_training_raises_an_error_in_words(fault, rng):
    spoil, words = ERRORS[fault]
    with pytest.raises(ValueError, match=f"(?s){words}"):
        check_batch(*spoil(*batch(rng)), 3)


def test_labels_of_0_and_255_for_two_classes_raise_with_the_remedy(rng):
    images, labels = batch(rng, classes=2)
    with pytest.raises(ValueError, match=r"(?s)masks of 0 and 255.*pass `labels // 255`"):
        check_batch(images, labels * 255, 2)
    assert check_batch(images, labels, 2).findings == []


def test_labels_of_0_and_255_with_much_void_raise_for_more_classes_too(rng):
    images, labels = batch(rng, classes=2)
    labels[:, :12] = 1
    with pytest.raises(ValueError, match=r"(?s)masks of 0 and 255.*pass `labels // 255`"):
        check_batch(images, labels * 255, 3)


def test_one_class_is_refused_as_the_background_is_one_too(rng):
    with pytest.raises(ValueError, match="2 at least: the background .*Received: num_classes=1"):
        check_batch(*batch(rng, classes=2), 1)


def test_one_error_lists_everything_that_is_wrong(rng):
    images, labels = batch(rng)
    with pytest.raises(ValueError, match=r"(?s)outside \[0, 1\].*values outside the classes"):
        check_batch(images * 3, labels + 9, 3)


def interpolated(mask, scale=4):
    height, width = mask.shape
    small = Image.fromarray(mask).resize((width // scale, height // scale), Image.NEAREST)
    return np.asarray(small.resize((width, height), Image.BILINEAR))


def test_in_between_values_of_smooth_resizing_are_called_interpolated(rng):
    images, labels = batch(rng, classes=2)
    blurred = np.stack([interpolated(mask * 255) for mask in labels])
    with pytest.raises(ValueError, match=r"(?s)interpolated masks.*along its edges, outside the"):
        check_batch(images, blurred, 2)


def test_in_between_ids_that_are_classes_too_give_a_warning(rng):
    images, labels = batch(rng, classes=2)
    blurred = np.stack([interpolated(mask * 8) for mask in labels])
    report = check_batch(images, blurred, 9)
    assert len(found(report, "masks that look interpolated")) == 2
    report = check_batch(images, labels * 8, 9)
    assert {finding.title for finding in report.findings} == {"classes that never occur"}


@pytest.mark.parametrize("resample", [Image.NEAREST, Image.BILINEAR])
def test_masks_of_camvid_look_interpolated_when_they_are(real_camvid, resample):
    for path in sorted((real_camvid / "trainannot").iterdir())[::30]:
        mask = Image.open(path)
        for changed in (mask.resize((222, 160), resample), mask.rotate(4, resample)):
            assert measure_labels(np.asarray(changed)).soft == (resample == Image.BILINEAR)


def test_thin_lines_noise_and_gradients_do_not_look_interpolated(rng):
    images, _ = batch(rng, count=4)
    lines = np.zeros(SIZE, "uint8")
    lines[:, 4::8], lines[:, 20:] = 5, 8
    noise = rng.integers(0, 9, SIZE)
    across, down = np.tile(np.arange(SIZE[1]) % 9, (SIZE[0], 1)), np.indices(SIZE)[0] // 3
    report = check_batch(images, np.stack([lines, noise, across, down]), 9)
    assert report.findings == []


def test_warnings_are_returned_and_can_be_printed(rng):
    images, labels = batch(rng)
    images[0] = 0.5
    labels = labels.astype("float32")
    labels[1] = 255
    labels[labels == 2] = 0
    report = check_batch(images, labels, 3)
    assert report.exit_code == 1
    assert {finding.title: finding.message for finding in report.warnings} == {
        "a void share above 30%": "50.0% of the pixels of batch are void",
        "classes that never occur": "class 2, id 2: no pixel in any mask",
        "constant images": "every pixel is (0.5, 0.5, 0.5)",
        "float labels": "holds whole numbers stored as floats",
    }
    assert "WARNING  constant images\n  picture 0: every pixel is (0.5, 0.5, 0.5)" in str(report)


def test_another_void_id_or_none_is_understood(rng):
    images, labels = batch(rng)
    labels[:, 5, :4] = 9
    assert check_batch(images, labels, 3, ignore_class=9).total.void_pixels == 8
    with pytest.raises(ValueError, match=r"holds 9, outside the classes \(0 to 2\)"):
        check_batch(images, labels, 3, ignore_class=None)


@pytest.mark.parametrize("kind", ["list", "keras", "tensorflow", "jax", "torch"])
def test_tensors_of_every_backend_and_lists_are_understood(kind, rng):
    images, labels = batch(rng)
    if kind == "list":
        convert = np.ndarray.tolist
    elif kind == "keras":
        convert = ops.convert_to_tensor
    else:
        library = pytest.importorskip("jax.numpy" if kind == "jax" else kind)
        convert = {"torch": "from_numpy", "jax": "asarray"}.get(kind, "convert_to_tensor")
        convert = getattr(library, convert)
    report = check_batch(convert(images), convert(labels), 3)
    assert report.findings == []
    assert report.total.class_pixels.tolist() == [np.sum(labels == i) for i in range(3)]
    with pytest.raises(ValueError, match="holds 2, outside the classes"):
        check_batch(convert(images), convert(labels), 2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_images_in_half_precision_are_understood(dtype, rng):
    images, labels = batch(rng)
    assert check_batch(ops.cast(images, dtype), labels, 3).findings == []


def test_channels_first_and_a_channel_axis_of_one_are_understood(rng):
    images, labels = batch(rng)
    expected = check_batch(images, labels, 3).total.mean
    for maps in (labels[..., None], labels[:, None]):
        report = check_batch(np.moveaxis(images, -1, 1), maps, 3)
        np.testing.assert_allclose(report.total.mean, expected)


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
    monkeypatch.setattr("kerasseg.datasets.doctor.measures.BAND", 50)
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
    assert (finding.path, report.splits["train"].pictures) == ("train, picture 2", 10)
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
    assert message == "holds 17 and 33, outside the classes (0 to 2, and 255 for void)"


def test_masks_of_0_and_255_are_named_with_what_they_are_read_as(tmp_path, rng):
    folder = make_folder(tmp_path, rng, classes=2)
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 255)
    findings = found(check_dataset(folder), "masks of 0 and 255")
    assert len(findings) == 4
    assert {finding.message for finding in findings} == {"255 is read as foreground"}


def test_a_mask_of_0_and_255_among_masks_of_0_and_1_is_named(tmp_path, rng):
    folder = make_folder(tmp_path, rng, classes=2)
    path = folder / "masks" / "2.png"
    save(path, np.array(Image.open(path)) * 255)
    report = check_dataset(folder)
    (finding,) = found(report, "masks of 0 and 255")
    assert (finding.path, finding.message) == (path, "255 can be void or a foreground")
    (finding,) = found(report, "values that nothing explains")
    assert re.search(r"png holds 0, 1, which are ids; .*2.png holds 0, 255,", finding.message)


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
    assert finding.message.startswith(f"holds {value}, outside the classes (0 and 255")
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
    assert message == "holds 7, outside the classes (0 to 2, and 255 for void)"
    with pytest.raises(ValueError, match=f"Look first at {path}, which holds 0, 7"):
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
    findings = found(report, "the same picture in two splits")
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
        r"holds .* more along its edges, outside the classes \(0 and 1, and 2 and 255 for void\)",
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
    assert message.startswith("holds fractions of ids, 0.5, outside the classes (0 to 2")


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
    findings = found(check_dataset(folder), "one-hot labels")
    assert {finding.message for finding in findings} == {
        "holds one channel for each of three classes"
    }
    assert len(findings) == 4


def test_values_that_nothing_explains_are_shown(folder):
    for path in (folder / "masks").iterdir():
        save(path, np.array(Image.open(path)) * 50)
    message = only(check_dataset(folder), "values that nothing explains", "error")
    assert "Found: 0, 50, 100" in message


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
    message = only(check_dataset(folder), "values that nothing explains", "error")
    assert "the palette shows index 1" in message


def test_a_photograph_among_the_masks_is_named_and_hides_nothing(folder, rng):
    path = folder / "masks" / "1.png"
    save(path, photograph(rng))
    report = check_dataset(folder)
    assert only(report, "values outside the classes", "error", path).startswith("holds (0, ")
    assert len(report.class_names) == 3


def test_pairs_of_different_size_are_named(folder):
    path = folder / "masks" / "2.png"
    save(path, regions(np.random.default_rng(0), size=(23, 30)))
    assert only(check_dataset(folder), "image and mask of different size", "error", path) == (
        "is 23x30 (height x width), its image 24x32"
    )


@pytest.mark.parametrize(
    ("missing", "title"), [("masks", "images without a mask"), ("images", "masks without an image")]
)
def test_missing_partners_are_named(folder, missing, title):
    (folder / missing / "1.png").unlink()
    there = {"masks": "images", "images": "masks"}[missing]
    only(check_dataset(folder), title, "error", folder / there / "1.png")


def damage(path, how):
    content = path.read_bytes()
    path.unlink()
    if how == "no permission":
        path.write_bytes(content)
        path.chmod(0)
    elif how == "dangling link":
        path.symlink_to(path.parent / "gone.png")
    else:
        path.write_bytes(
            {"truncated": content[:-60], "text": b"no picture", "empty": b"", "zero": b"\0" * 99}[
                how
            ]
        )


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


def test_classes_that_never_occur_are_named(folder):
    (folder / "classes.txt").write_text("road\ncar\ntree\nbicycle rider\n")
    message = only(check_dataset(folder), "classes that never occur", "warning")
    assert message == "bicycle rider, id 3: no pixel in any mask"


def test_classes_that_never_occur_in_training_are_named(split_folder):
    for path in (split_folder / "train" / "masks").iterdir():
        save(path, np.minimum(Image.open(path), 1))
    message = only(check_dataset(split_folder), "classes that never occur", "warning")
    assert message == "class 2, id 2: no pixel in train, only in other splits"


def test_a_void_share_above_30_percent_is_named(split_folder):
    for path in (split_folder / "val" / "masks").iterdir():
        mask = np.array(Image.open(path))
        mask[: SIZE[0] // 2] = 255
        save(path, mask)
    message = only(check_dataset(split_folder), "a void share above 30%", "warning")
    assert message == "50.0% of the pixels of validation are void"


def test_image_values_outside_the_unit_range_are_named(folder):
    (folder / "images" / "2.png").unlink()
    path = folder / "images" / "2.tif"
    save(path, np.linspace(-1, 300, 24 * 32, dtype="float32").reshape(SIZE))
    report = check_dataset(folder)
    (finding,) = found(report, "image values outside [0, 1]")
    assert (finding.path, finding.message) == (path, "holds values from -1 to 300")
    assert "mode=F" in found(report, "unreadable files")[0].message


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


def test_the_same_picture_in_two_splits_is_named_though_saved_anew(split_folder):
    (split_folder / "val" / "images" / "3.png").unlink()
    path = split_folder / "val" / "images" / "3.bmp"
    Image.open(split_folder / "train" / "images" / "1.png").save(path)
    message = only(check_dataset(split_folder), "the same picture in two splits", "error", path)
    assert message == "in validation, equals train/images/1.png in train"


def test_files_that_are_no_pictures_are_named(folder):
    path = folder / "images" / "notes.docx"
    path.write_text("remember")
    only(check_dataset(folder), "files that are no pictures", "warning", path)


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


def test_many_findings_of_a_kind_are_counted_on_the_page_and_listed_in_the_report(tmp_path, rng):
    folder = make_folder(tmp_path, rng, pairs=12)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    report = check_dataset(folder)
    assert len(found(report, "unreadable files")) == 12
    page = str(report)
    assert "ERROR  unreadable files (12)" in page
    assert "... and 7 more; `report.findings` has them all" in page
    assert page.count("cannot be read") == 5


def test_the_page_keeps_to_100_columns(split_folder):
    (split_folder / "classes.txt").write_text("road\ncar\n")
    damage(split_folder / "train" / "images" / "0.png", "text")
    assert max(map(len, str(check_dataset(split_folder)).splitlines()[1:])) <= 100


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
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the set is the same on every backend")
    report = check_dataset(load("street_scenes", data_dir=scenes_dir))
    assert report.findings == []
