"""Images are drawn alike for every run."""

import numpy as np
import pytest

from kerasseg.datasets.splits import drawn


@pytest.mark.parametrize(
    ("count", "fraction", "expected"), [(10, 0.3, 3), (7, 0.01, 1), (1, 0.5, 1)]
)
def test_the_fraction_is_rounded_and_one_at_least_is_drawn(count, fraction, expected):
    assert drawn(count, fraction).sum() == expected


def test_a_seed_draws_the_same_and_another_seed_others():
    np.testing.assert_array_equal(drawn(50, 0.2, seed=3), drawn(50, 0.2, seed=3))
    assert (drawn(50, 0.2, seed=3) != drawn(50, 0.2, seed=4)).any()
