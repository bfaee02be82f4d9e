"""Flat indices to and from positions, beyond what float32 can count."""

import numpy as np
import pytest
from hypothesis import given

from kerasseg.layers import MaxPoolingWithArgmax2D, argmax_from_flat, argmax_to_flat
from tests.layers.cases import bounded, channels_first, channels_last, numpy, pooling_cases


@pytest.mark.parametrize("convention", ["tensorflow", "torch"])
@bounded(40)
@given(case=pooling_cases())
def test_positions_survive_the_round_trip(convention, case):
    x, *arguments = case
    argmax = numpy(MaxPoolingWithArgmax2D(*arguments)(x)[1])
    flat = argmax_to_flat(argmax, x.shape, *arguments, convention)
    again = numpy(argmax_from_flat(flat, x.shape, *arguments, convention))
    np.testing.assert_array_equal(again, argmax)
    assert again.dtype == argmax.dtype


@pytest.mark.parametrize("convention", ["tensorflow", "torch"])
@bounded(20)
@given(case=pooling_cases())
def test_flat_indices_find_the_maxima(convention, case):
    x, *arguments = case
    pooled, argmax = map(numpy, MaxPoolingWithArgmax2D(*arguments)(x))
    flat = numpy(argmax_to_flat(argmax, x.shape, *arguments, convention))
    for b, *_, channel in np.ndindex(pooled.shape):
        image = x[b] if convention == "tensorflow" else x[b, :, :, channel]
        np.testing.assert_array_equal(
            image.ravel()[flat[b, :, :, channel]], pooled[b, :, :, channel]
        )


def large_map():
    """More than 2^24 values; every maximum lies at the bottom right of its window."""
    x = np.zeros((1, 2050, 2052, 4), "float32")
    x[:, 1::2, 1::2] = 1.0
    return x


def test_tensorflow_indices_are_exact_beyond_two_to_the_24():
    tf = pytest.importorskip("tensorflow")
    x = large_map()
    theirs = tf.nn.max_pool_with_argmax(x, 2, 2, "VALID").argmax.numpy()
    assert theirs.max() > 2**24
    argmax = numpy(MaxPoolingWithArgmax2D()(x)[1])
    np.testing.assert_array_equal(numpy(argmax_to_flat(argmax, x.shape)), theirs)
    np.testing.assert_array_equal(numpy(argmax_from_flat(theirs, x.shape)), argmax)


def test_torch_indices_are_exact_beyond_two_to_the_24():
    torch = pytest.importorskip("torch")
    x = large_map().reshape(1, 4100, 4104, 1)
    theirs = torch.nn.functional.max_pool2d(
        torch.tensor(channels_first(x)), 2, return_indices=True
    )[1]
    theirs = channels_last(theirs.numpy())
    assert theirs.max() > 2**24
    argmax = numpy(MaxPoolingWithArgmax2D()(x)[1])
    np.testing.assert_array_equal(
        numpy(argmax_to_flat(argmax, x.shape, convention="torch")), theirs
    )
    np.testing.assert_array_equal(
        numpy(argmax_from_flat(theirs, x.shape, convention="torch")), argmax
    )


def test_wrong_arguments_are_named():
    argmax = np.zeros((1, 2, 3, 1), "uint8")
    with pytest.raises(ValueError, match="Received: convention=caffe"):
        argmax_to_flat(argmax, (1, 4, 6, 1), convention="caffe")
    with pytest.raises(ValueError, match=r"Received: input_shape=\(4, 6, 1\)"):
        argmax_to_flat(argmax, (4, 6, 1))
    with pytest.raises(ValueError, match=r"gives .* = \(2, 4, 1\). Received: .* \(1, 2, 3, 1\)"):
        argmax_from_flat(argmax, (1, 4, 8, 1))
