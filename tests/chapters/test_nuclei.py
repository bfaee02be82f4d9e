"""The scores of the experiment on nuclei, against loops over nuclei and objects."""

import keras
import numpy as np
import pytest

from kerasseg.losses.pixel_weights import outline_weights
from tests.chapters.page import functions

NAMES = [
    *("THRESHOLDS", "overlaps", "score", "crowded", "find", "otsu"),
    *("TILE", "STEPS", "corners", "tiles_of", "LastOf", "network"),
]


@pytest.fixture(scope="module")
def script():
    return dict(zip(NAMES, functions("experiments/nuclei", *NAMES)))


def numbered(rng, count, size=(23, 31)):
    """A map in which discs lie over each other, numbered without gaps."""
    rows, columns = np.indices(size)
    numbers = np.zeros(size, "int32")
    for number in range(1, count + 1):
        y, x = rng.integers(0, size)
        numbers[np.hypot(rows - y, columns - x) < rng.integers(2, 6)] = number
    return np.unique(numbers, return_inverse=True)[1].reshape(size).astype("int32")


def test_overlaps_are_those_of_each_nucleus_with_each_object(script, rng):
    truth, found = numbered(rng, 7), numbered(rng, 5)
    slow = [
        [
            ((truth == i) & (found == j)).sum() / ((truth == i) | (found == j)).sum()
            for j in range(1, found.max() + 1)
        ]
        for i in range(1, truth.max() + 1)
    ]
    np.testing.assert_allclose(script["overlaps"](truth, found), slow)


def test_scores_count_matches_at_each_threshold(script, rng):
    truth = numbered(rng, 8)
    found = np.where(rng.random(truth.shape) < 0.15, 0, np.roll(truth, 1, axis=1))
    found = np.unique(found, return_inverse=True)[1].reshape(truth.shape).astype("int32")
    n, m = truth.max(), found.max()
    matched = []
    for threshold in np.linspace(0.5, 0.95, 10):
        free = set(range(1, m + 1))
        for i in range(1, n + 1):
            for j in sorted(free):
                a, b = truth == i, found == j
                if (a & b).sum() / (a | b).sum() > threshold:
                    free.remove(j)
                    break
        matched.append(m - len(free))
    assert len(set(matched)) > 2
    scores = script["score"](truth, found)
    assert scores["F1 at 0.5"] == pytest.approx(2 * matched[0] / (n + m))
    assert scores["mean precision"] == pytest.approx(np.mean([k / (n + m - k) for k in matched]))


def test_a_perfect_answer_scores_one_and_an_empty_one_zero(script, rng):
    truth = numbered(rng, 6)
    assert set(script["score"](truth, truth).values()) == {1.0}
    assert set(script["score"](truth, np.zeros_like(truth)).values()) == {0.0}
    assert set(script["score"](np.zeros_like(truth), np.zeros_like(truth)).values()) == {1.0}


def test_a_nucleus_is_crowded_if_another_is_at_most_two_pixels_away(script):
    numbers = np.array([[1, 0, 0, 2, 0, 0, 0, 3, 3, 0, 4]], "int32")
    # Between 1 and 2 lie two pixels, which makes a distance of three; between 3 and 4 lies one.
    assert script["crowded"](numbers).tolist() == [False, False, True, True]


def test_small_objects_are_left_out_and_the_others_numbered_without_gaps(script):
    probable = np.zeros((20, 40), "float32")
    probable[2:8, 2:8] = probable[10:16, 30:36] = 0.9
    probable[3:5, 20:22] = 0.9  # four pixels
    probable[12:18, 10:16] = 0.45
    found = script["find"](probable, 0.5, 4)
    assert sorted(np.unique(found)) == [0, 1, 2]
    assert (found > 0).sum() == 72
    assert script["find"](probable, 0.4, 4).max() == 3
    assert script["find"](np.zeros_like(probable), 0.5, 4).max() == 0


@pytest.mark.parametrize("length", [128, 129, 256, 320, 360])
def test_tiles_cover_a_side_and_stay_inside(script, length):
    starts = script["corners"](length)
    covered = set().union(*(range(start, start + 128) for start in starts))
    assert covered == set(range(length))
    assert len(starts) == -(-length // 128)


def test_otsu_takes_the_rarer_side_whether_nuclei_are_bright_or_dark(script):
    image = np.zeros((40, 50, 3), "float32")
    image[10:20, 10:20] = 0.8
    for variant in (image, 1 - image):
        mask = script["otsu"](variant)
        assert mask[15, 15] == 1
        assert mask[30, 40] == 0


def test_tiles_have_the_outline_weights_of_the_whole_image(script, rng):
    numbers = numbered(rng, 30, size=(140, 150))
    image = rng.uniform(size=(140, 150, 3)).astype("float32")
    weights = outline_weights(numbers, background=0)
    tiles = script["tiles_of"](image, numbers)
    assert len(tiles) == 4
    for (pixels, maps), (top, left) in zip(tiles, [(0, 0), (0, 22), (12, 0), (12, 22)]):
        window = np.s_[top : top + 128, left : left + 128]
        np.testing.assert_allclose(pixels / 255, image[window], atol=0.5 / 255)
        np.testing.assert_array_equal(maps[..., 0], numbers[window] > 0)
        np.testing.assert_allclose(maps[..., 1] / 20, weights[window], atol=0.5 / 20)


def test_an_image_smaller_than_a_tile_is_filled_with_void(script, rng):
    numbers = numbered(rng, 5, size=(100, 130))
    first, second = script["tiles_of"](np.zeros((100, 130, 3)), numbers)
    assert first[0].shape == second[0].shape == (128, 128, 3)
    assert set(np.unique(first[1][:100, :, 0])) == {0, 1}
    assert set(np.unique(first[1][100:])) == {255}


def test_without_skips_the_decoder_convolves_its_own_map_alone(script, tmp_path, rng):
    whole, alone = (script["network"](1 / 16, with_skips) for with_skips in (True, False))
    filters = [4, 8, 16, 32]
    assert whole.count_params() - alone.count_params() == sum(9 * n**2 for n in filters)
    images = rng.uniform(size=(1, 32, 48, 3)).astype("float32")
    alone.save(tmp_path / "alone.keras")
    again = keras.saving.load_model(tmp_path / "alone.keras")
    np.testing.assert_array_equal(again(images), alone(images))
