"""Values of masks are counted as a loop counts them, and told in few words."""

from collections import Counter

import numpy as np
import pytest

from kerasseg.datasets.values import MOST_VALUES, count_values, spoken


@pytest.mark.parametrize("dtype", ["uint8", "bool", "uint16", "int64", "float32"])
def test_values_are_counted_as_by_a_loop(rng, dtype):
    labels = rng.integers(0, 2 if dtype == "bool" else 9, (7, 11)).astype(dtype)
    assert count_values(labels) == Counter(labels.ravel().tolist())


def test_colours_are_counted_as_tuples_and_grey_ones_as_numbers(rng):
    labels = rng.integers(0, 3, (7, 11, 3)).astype("uint8")
    pixels = map(tuple, labels.reshape(-1, 3).tolist())
    assert count_values(labels) == Counter(c[0] if len(set(c)) == 1 else c for c in pixels)


def test_of_many_values_the_most_frequent_are_kept(rng):
    labels = np.concatenate([rng.permutation(5000), np.repeat([7, 4999], 9)])[None]
    counts = count_values(labels)
    assert len(counts) == MOST_VALUES
    assert (counts[7], counts[4999]) == (10, 10)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([3], "3"),
        ([0, 255], "0 and 255"),
        ([2, 1, 0], "0 to 2"),
        ([0.5, 0.25], "0.25 and 0.5"),
        ([(1, 2, 3), 0], "0 and (1, 2, 3)"),
        ([*range(0, 20, 2)], "0, 2, 4, 6, 8 and 5 more"),
    ],
)
def test_values_in_words(values, words):
    assert spoken(values) == words
