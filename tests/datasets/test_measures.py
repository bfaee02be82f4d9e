"""What is kept of an image and of a mask, against NumPy over all pixels at once."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from kerasseg.datasets import measures


@pytest.fixture
def narrow_bands(monkeypatch):
    """Images are looked at in many bands of four rows."""
    monkeypatch.setattr(measures, "BAND", 1)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_sums_and_extremes_are_those_of_all_pixels(dtype, narrow_bands, rng):
    image = rng.integers(3, 250, (11, 7, 3)).astype("uint8")
    image = image if dtype == "uint8" else image.astype("float32") / 255
    measured = measures.measure_image(image)
    pixels = image.reshape(-1, 3).astype("float64") * (1 if dtype == "uint8" else 255)
    assert measured.size == (11, 7)
    np.testing.assert_allclose(measured.sums, pixels.sum(0), rtol=1e-6)
    np.testing.assert_allclose(measured.squares, (pixels**2).sum(0), rtol=1e-6)
    np.testing.assert_allclose(measured.low, pixels.min(0) / 255, rtol=1e-6)
    np.testing.assert_allclose(measured.high, pixels.max(0) / 255, rtol=1e-6)


def test_sums_of_a_white_image_do_not_overflow():
    measured = measures.measure_image(np.full((300, 400, 1), 255, "uint8"))
    assert measured.sums.tolist() == [300 * 400 * 255]
    assert measured.squares.tolist() == [300 * 400 * 255**2]
    assert (measured.low, measured.high) == (1, 1)


def test_digests_are_equal_for_equal_pixels_alone(rng):
    image = rng.integers(0, 256, (4, 6, 3), "uint8")
    digest = measures.measure_image(image).digest
    assert measures.measure_image(np.asfortranarray(image)).digest == digest
    assert measures.measure_image(image.reshape(6, 4, 3)).digest != digest
    changed = image.copy()
    changed[3, 5, 2] ^= 1
    assert measures.measure_image(changed).digest != digest


@pytest.mark.parametrize("kind", ["ids", "floats", "colours"])
def test_the_values_of_a_mask_are_counted_over_all_bands(kind, narrow_bands, rng):
    mask = rng.integers(0, 5, (11, 7), "uint8")
    expected = Counter(mask.ravel().tolist())
    if kind == "floats":
        mask = mask.astype("float32")
    if kind == "colours":
        palette = rng.permutation(256)[:15].reshape(5, 3).astype("uint8")
        mask = palette[mask]
        expected = Counter({tuple(map(int, palette[i])): n for i, n in expected.items()})
    measured = measures.measure_labels(mask)
    assert measured.values == expected
    assert (measured.size, measured.in_floats) == ((11, 7), kind == "floats")


def test_fractions_are_the_values_that_are_no_ids():
    mask = np.array([[0, 1, 0.25], [2, np.nan, 1]], "float32")
    fractions = measures.measure_labels(mask).fractions
    assert len(fractions) == 2
    assert 0.25 in fractions
    assert any(np.isnan(value) for value in fractions)


def test_a_label_for_a_whole_image_is_a_mask_of_one_pixel():
    measured = measures.measure_labels(np.array(7))
    assert (measured.size, measured.values) == ((), Counter({7: 1}))


def steps_by_loops(labels):
    """(soft, sharp) of labels in regions: three pixels that rise or fall; a jump from flat to
    flat by more than one."""
    soft = sharp = 0
    for rows in (labels.astype(int), labels.T.astype(int)):
        for row in rows:
            for a, b, c in zip(row, row[1:], row[2:]):
                soft += a < b < c or a > b > c
            for a, b, c, d in zip(row, row[1:], row[2:], row[3:]):
                sharp += a == b and c == d and abs(c - b) > 1
    return soft, sharp


@pytest.mark.parametrize("resample", [Image.NEAREST, Image.BILINEAR])
def test_soft_and_sharp_edges_are_counted_as_in_loops(resample, rng):
    blocks = rng.integers(0, 9, (3, 4)).repeat(8, 0).repeat(8, 1).astype("uint8") * 25
    mask = np.asarray(Image.fromarray(blocks).resize((37, 29), resample))
    assert measures.count_steps(mask) == steps_by_loops(mask)
    assert measures.measure_labels(mask).soft == (resample == Image.BILINEAR)


def test_where_there_are_no_regions_no_steps_count(rng):
    assert measures.count_steps(rng.integers(0, 200, (20, 30))) == (0, 0)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (9, 3), (4096, 3), (2048, 1024, 3)])
def test_bands_are_all_rows_in_turn_and_no_band_is_large(shape):
    array = np.broadcast_to(np.uint8(1), shape)
    parts = measures.bands(array)
    assert sum(map(len, parts)) == len(array)
    assert all(part.shape[1:] == array.shape[1:] for part in parts)
    assert all(len(part) * shape[1] <= max(measures.BAND, 4 * shape[1]) for part in parts)


@pytest.mark.parametrize("resample", [Image.NEAREST, Image.BILINEAR])
def test_masks_of_camvid_look_interpolated_when_they_are(real_camvid, resample):
    for path in sorted((real_camvid / "trainannot").iterdir())[::30]:
        mask = Image.open(path)
        for changed in (mask.resize((222, 160), resample), mask.rotate(4, resample)):
            soft = measures.measure_labels(np.asarray(changed)).soft
            assert soft == (resample == Image.BILINEAR)
