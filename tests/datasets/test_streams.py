"""Large files are read in bands; a band is what the same rows are in the image decoded whole."""

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets import examine, files
from kerasseg.datasets.faults import Unusable

KINDS = [
    ("x.png", "RGB", {}),
    ("x.png", "L", {}),
    ("x.bmp", "RGB", {}),
    ("x.bmp", "L", {}),
    ("x.tif", "RGB", {}),
    ("x.tif", "L", {"tiffinfo": {278: 7}}),
    ("x.tif", "RGB", {"compression": "tiff_lzw"}),  # decoded whole
    ("x.jpg", "RGB", {"quality": 95}),
    ("x.webp", "RGB", {"lossless": True}),
]


@pytest.fixture
def large(monkeypatch):
    """Every image is a large one, and a band has ten rows of 53 pixels."""
    monkeypatch.setattr(files, "LARGE", 0)
    monkeypatch.setattr(files, "BAND", 530)


def image_of(mode, rng):
    shape = (37, 53, 3) if mode == "RGB" else (37, 53)
    return Image.fromarray(rng.integers(0, 256, shape, "uint8"))


@pytest.mark.parametrize(("name", "mode", "options"), KINDS)
def test_bands_are_the_rows_of_the_whole_image(name, mode, options, tmp_path, rng, large):
    path = tmp_path / name
    image_of(mode, rng).save(path, **options)
    whole = files.decode(path)
    bands = [np.asarray(part) for part in files.parts(path)]
    assert [len(band) for band in bands] == [10, 10, 10, 7]
    np.testing.assert_array_equal(np.concatenate(bands), np.asarray(whole))
    first = next(files.parts(path))
    for key in ("plain", "orientation", "sixteen_bits", "lossy"):
        assert first.info[key] == whole.info[key]


def masks(rng):
    """Masks of every kind that is read differently, or not at all."""
    ids = np.sort(rng.integers(0, 3, (37, 53)).astype("uint8"), axis=1)
    palette = Image.fromarray(ids)
    palette.putpalette([0, 0, 0, 128, 64, 128, 70, 130, 180, 9, 9, 9])
    red = np.stack([ids * 100, ids * 0, ids * 0], -1)
    last = np.zeros((37, 53), "uint8")
    last[36, 52] = 1  # what the last band shows counts for the first one
    opaque = np.full((37, 53), 255, "uint8")
    return {
        "ids": Image.fromarray(ids),
        "bits": Image.fromarray(ids > 1),
        "palette": palette,
        "colours": Image.fromarray(red),
        "grey colours": Image.fromarray(np.stack([ids] * 3, -1)),
        "one coloured pixel": Image.fromarray(np.stack([last, last * 0, last * 0], -1)),
        "white of 16 bits": Image.fromarray((ids > 1).astype("uint16") * 65535),
        "ids of 16 bits": Image.fromarray(ids.astype("uint16")),
        "one value of 16 bits": Image.fromarray(65535 * last.astype("uint16") - last),
        "opaque": Image.fromarray(np.stack([red[..., 0], ids, ids, opaque], -1)),
        "alpha alone": Image.fromarray(np.stack([ids * 0, ids * 0, ids * 0, last], -1)),
        "grey and alpha": Image.fromarray(np.stack([ids, opaque], -1)),
    }


@pytest.mark.parametrize("colours", [None, [(128, 64, 128), (70, 130, 180), (0, 0, 0)]])
def test_a_mask_measured_in_bands_is_as_if_measured_whole(colours, tmp_path, rng, monkeypatch):
    for name, mask in masks(rng).items():
        path = tmp_path / f"{name}.png"
        mask.save(path)
        found = []
        for limit in (files.LARGE, 0):
            with monkeypatch.context() as patch:
                patch.setattr(files, "LARGE", limit)
                patch.setattr(files, "BAND", 530)
                try:
                    _, labels, palette, values = examine.examine_mask(path, colours, keep=True)
                    found.append((labels.size, labels.values, palette, values.tolist()))
                except Unusable as error:
                    found.append(str(error))
        assert found[0] == found[1], name
    assert "alpha channel alone" in str(found) or isinstance(found[0], tuple)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_image_measured_in_bands_is_as_if_measured_whole(
    mode, orientation, tmp_path, rng, monkeypatch
):
    values = rng.integers(0, 256, (37, 53, 4), "uint8")
    image = Image.fromarray(values).convert(mode if mode != "I;16" else "L")
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype("uint16") * 200)
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "x.png", exif=exif)
    found = []
    for limit in (files.LARGE, 0):
        with monkeypatch.context() as patch:
            patch.setattr(files, "LARGE", limit)
            patch.setattr(files, "BAND", 530)
            info, measures, hidden, _ = examine.examine_image(tmp_path / "x.png")
            numbers = [getattr(measures, name).tolist() for name in ("sums", "squares", "low")]
            found.append((info["orientation"], measures.size, hidden, numbers))
    assert found[0] == found[1]


def test_damage_at_the_end_of_a_large_file_is_found(tmp_path, rng, large):
    path = tmp_path / "x.png"
    image_of("RGB", rng).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unusable, match="cannot be read as an image: image file is truncated"):
        [*files.parts(path)]


def test_what_must_be_decoded_whole_and_does_not_fit_says_so(tmp_path, rng, large, monkeypatch):
    path = tmp_path / "x.jpg"
    image_of("RGB", rng).save(path)
    monkeypatch.setattr("kerasseg.datasets.memory.available_memory", lambda: 1000)
    with pytest.raises(
        Unusable, match=r"53x37 pixels in one piece needs .* are free.*Save it as PNG"
    ):
        [*files.parts(path)]
