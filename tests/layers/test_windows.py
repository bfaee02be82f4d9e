"""Where windows lie, against lists of the rows that each of them covers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasseg.layers import windows
from kerasseg.layers.windows import Windows
from tests.layers.cases import bounded, numpy, pooling_cases


def rows_of(window, length):
    """The rows that each window covers, counted from the first row of the map."""
    if window.padding == "valid":
        starts, beyond = range(0, length - window.size + 1, window.stride), 0
    else:
        starts = range(0, length, window.stride)
        beyond = max(starts[-1] + window.size - length, 0)
    return [[start - beyond // 2 + i for i in range(window.size)] for start in starts]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "stride"), list(itertools.product((1, 2, 3, 4), repeat=2)))
def test_windows_cover_the_rows_that_a_list_of_them_says(size, stride, padding):
    window = Windows(1, size, stride, padding)
    for length in range(size, 12):
        covered = rows_of(window, length)
        assert window.count(length) == len(covered)
        assert window.before(length) == max(-covered[0][0], 0)
        front, behind = window.pad(length)
        assert (front, behind) == (max(-covered[0][0], 0), max(covered[-1][-1] + 1 - length, 0))
        if window.tiles() and (padding == "valid" or length % size == 0):
            assert np.ravel(covered).tolist() == list(range(size * len(covered)))
            assert window.reach(len(covered)) <= length
        reach = window.reach(len(covered))
        assert reach >= length if padding == "same" else reach == covered[-1][-1] + 1


@pytest.mark.parametrize(("size", "stride"), [(3, 2), (4, 3), (2, 3)])
def test_which_rows_of_a_window_are_padding_is_said_for_every_window(size, stride):
    window = Windows(2, size, stride, "same")
    for length, offset in itertools.product(range(1, 9), range(size)):
        expected = [0 <= rows[offset] < length for rows in rows_of(window, length)]
        inside = window.is_inside(length, offset)
        if inside is None:
            assert all(expected)
        else:
            assert inside.shape == (1, 1, len(expected), 1)
            assert numpy(inside).ravel().tolist() == expected


def test_a_size_that_is_not_known_yet_stays_unknown():
    window = Windows(1, 3, 2, "valid")
    assert window.count(None) is window.reach(None) is None


def test_a_map_without_a_whole_window_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="at least one window, 5 .*Received: size=4. Use padding="):
        Windows(1, 5, 2, "valid").count(4)
    assert Windows(1, 5, 2, "same").count(4) == 2


@bounded(40)
@given(pooling_cases())
def test_the_entries_of_windows_are_those_of_loops(case):
    x, pool_size, strides, padding = case
    both = [Windows(axis, *pair, padding) for axis, pair in zip((1, 2), zip(pool_size, strides))]
    entries = windows.window_entries(both, x)
    rows, columns = (rows_of(w, length) for w, length in zip(both, x.shape[1:3]))
    assert len(entries) == pool_size[0] * pool_size[1]
    for (i, j), (entry, real) in zip(np.ndindex(*pool_size), entries):
        entry = numpy(entry)
        real = np.broadcast_to(True if real is None else numpy(real), entry.shape)
        for a, b in np.ndindex(len(rows), len(columns)):
            row, column = rows[a][i], columns[b][j]
            inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
            assert (real[:, a, b] == inside).all()
            if inside:
                np.testing.assert_array_equal(entry[:, a, b], x[:, row, column])


@given(st.integers(1, 300), st.integers(1, 300))
@bounded(60)
def test_positions_take_the_smallest_type_that_holds_the_last_one(height, width):
    dtype = windows.position_dtype([Windows(1, height, 1, "same"), Windows(2, width, 1, "same")])
    assert np.array(height * width - 1).astype(dtype) == height * width - 1
    if dtype != "uint8":
        smaller = {"uint16": "uint8", "uint32": "uint16"}[dtype]
        assert np.iinfo(smaller).max < height * width - 1


@pytest.mark.parametrize(
    ("shape", "other", "answer"),
    [
        ((2, 3), (2, 3), True),
        ((2, 3), (2, 4), False),
        ((None, 3), (2, 3), True),
        ((None, 3), (2, None), True),
        ((None, 3), (None, 4), False),
        ((2, 3), (2, 3, 1), False),
    ],
)
def test_shapes_may_be_equal_where_both_are_known(shape, other, answer):
    assert windows.may_be_equal(shape, other) == windows.may_be_equal(other, shape) == answer
