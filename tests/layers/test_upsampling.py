"""BilinearUpsampling2D against loops, PyTorch and Keras, in both corner conventions."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasseg.layers import BilinearUpsampling2D
from tests import reference
from tests.layers.cases import bounded, channels_first, channels_last, gradient, numpy

BOTH = pytest.mark.parametrize("align_corners", [False, True])
SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.integers(1, 3))
TARGETS = st.tuples(st.integers(1, 9), st.integers(1, 9))


def image(shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@BOTH
@bounded(40)
@given(shape=SHAPES, target=TARGETS)
def test_resizing_equals_loops(align_corners, shape, target):
    x, like = image(shape), np.zeros((1, *target, 1))
    resized = BilinearUpsampling2D(align_corners=align_corners)(x, like)
    expected = reference.bilinear(x, *target, align_corners)
    np.testing.assert_allclose(numpy(resized), expected, atol=2e-6)


@BOTH
@bounded(30)
@given(shape=SHAPES, size=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_resizing_equals_pytorch(align_corners, shape, size):
    torch = pytest.importorskip("torch")
    x = channels_first(image(shape))
    resized = BilinearUpsampling2D(size, align_corners, "channels_first")(x)
    expected = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=size, mode="bilinear", align_corners=align_corners
    )
    np.testing.assert_allclose(numpy(resized), expected.numpy(), atol=2e-6)
    last = BilinearUpsampling2D(size, align_corners)(channels_last(x))
    np.testing.assert_array_equal(channels_first(numpy(last)), numpy(resized))


def test_half_pixel_resizing_equals_keras(rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    expected = keras.layers.UpSampling2D((2, 3), interpolation="bilinear")(x)
    np.testing.assert_allclose(numpy(BilinearUpsampling2D((2, 3))(x)), numpy(expected), atol=5e-6)


@pytest.mark.parametrize("factor", [2, 3, 5, 8])
def test_a_linear_ramp_survives_aligned_corners_exactly(factor):
    rows, columns = 6, 4
    ramp = np.add.outer(np.arange(rows), 3 * np.arange(columns)).astype("float32")
    target = (factor * (rows - 1) + 1, factor * (columns - 1) + 1)
    layer = BilinearUpsampling2D(align_corners=True)
    resized = numpy(layer(ramp[None, :, :, None], np.zeros((1, *target, 1))))[0, :, :, 0]
    expected = np.add.outer(np.arange(target[0]), 3 * np.arange(target[1])) / factor
    exact = 0 if factor in (2, 8) else 4e-7  # thirds and fifths are rounded once a direction
    np.testing.assert_allclose(resized, expected, rtol=exact, atol=0)


@BOTH
def test_gradient_is_the_transpose(align_corners, rng):
    layer = BilinearUpsampling2D((2, 3), align_corners)
    x, y = (rng.normal(size=(2, 4 * i, 5 * j, 3)).astype("float32") for i, j in ((1, 1), (2, 3)))
    np.testing.assert_allclose(
        np.sum(numpy(layer(x)) * y), np.sum(x * gradient(layer, x, y)), rtol=1e-4
    )


@BOTH
def test_one_model_resizes_every_size_to_that_of_another(align_corners, rng):
    small, large = keras.Input((None, None, 2)), keras.Input((None, None, 3))
    model = keras.Model(
        [small, large], BilinearUpsampling2D(align_corners=align_corners)(small, like=large)
    )
    assert model.output.shape == (None, None, None, 2)
    for sizes in (((3, 4), (7, 9)), ((5, 1), (6, 4))):
        x, like = (rng.normal(size=(2, *size, c)) for size, c in zip(sizes, (2, 3)))
        np.testing.assert_allclose(
            model.predict([x, like], verbose=0),
            reference.bilinear(x, *sizes[1], align_corners),
            atol=2e-6,
        )


def test_symbolic_shape_follows_size_or_like():
    layer = BilinearUpsampling2D((2, 3))
    assert layer(keras.KerasTensor((None, 5, None, 4))).shape == (None, 10, None, 4)
    like = keras.KerasTensor((None, 7, 8, 1))
    assert layer(keras.KerasTensor((2, 5, 6, 4)), like).shape == (2, 7, 8, 4)


def test_wrong_size_is_named():
    with pytest.raises(ValueError, match=r"Received: size=1.5"):
        BilinearUpsampling2D(1.5)


def test_integers_are_rounded_as_by_kerass_own_upsampling():
    x = np.array([0, 30, 90, 255], "uint8").reshape(1, 1, 4, 1)
    y = numpy(BilinearUpsampling2D((1, 2))(x))
    assert y.dtype == "uint8"
    assert y.ravel().tolist() == [0, 8, 22, 45, 75, 131, 214, 255]
