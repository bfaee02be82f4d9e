"""PyramidPooling and AtrousSpatialPyramidPooling."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from kerasseg.layers import AtrousSpatialPyramidPooling, PyramidPooling
from kerasseg.layers.pyramids import average_windows
from tests.layers.cases import bounded, channels_first, channels_last, numpy

HEADS = [
    lambda **kwargs: PyramidPooling((1, 3), 4, **kwargs),
    lambda **kwargs: AtrousSpatialPyramidPooling(4, (1, 2), dropout=0.2, **kwargs),
]


def trainable_count(layer, channels):
    layer.build((None, None, None, channels))
    return sum(np.prod(variable.shape) for variable in layer.trainable_variables)


@bounded(40)
@given(
    st.tuples(st.integers(1, 2), st.integers(1, 13), st.integers(1, 13), st.integers(1, 3)),
    st.integers(1, 7),
)
def test_averages_are_pytorchs_adaptive_pooling(shape, count):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.tensor(channels_first(x)), count)
    last = average_windows(ops.convert_to_tensor(x), (1, 2), count)
    first = average_windows(ops.convert_to_tensor(channels_first(x)), (2, 3), count)
    np.testing.assert_allclose(channels_first(numpy(last)), expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(numpy(first), expected.numpy(), atol=1e-6)


def test_pyramid_of_one_bin_is_the_mean_beside_the_map(rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    layer = PyramidPooling((1,), 3)
    layer.build(x.shape)
    conv = layer.branches[0].layers[0]
    conv.set_weights([np.eye(3)[None, None]])
    pooled = numpy(layer(x))
    np.testing.assert_array_equal(pooled[..., :3], x)
    mean = np.maximum(x.mean((1, 2), keepdims=True), 0) / np.sqrt(1.001)  # BN's epsilon
    np.testing.assert_allclose(pooled[..., 3:], np.broadcast_to(mean, x.shape), atol=1e-6)


def test_parameter_counts_are_the_papers():
    assert trainable_count(PyramidPooling(), 2048) + 18_886_165 == 23_084_565
    classifier = 256 * 21 + 21
    assert trainable_count(AtrousSpatialPyramidPooling(), 2048) + classifier == 15_540_501


@pytest.mark.parametrize("head", HEADS)
def test_one_model_serves_every_size(head, rng):
    image = keras.Input((None, None, 3))
    layer = head()
    model = keras.Model(image, layer(image))
    for height, width in ((1, 1), (2, 5), (7, 4), (13, 11)):
        x = rng.normal(size=(2, height, width, 3)).astype("float32")
        result = model.predict(x, verbose=0)
        assert result.shape == layer.compute_output_shape(x.shape)
        np.testing.assert_allclose(result, numpy(layer(x)), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_channels_first_equals_channels_last(head, rng):
    x = rng.normal(size=(2, 6, 7, 3)).astype("float32")
    last, first = head(), head(data_format="channels_first")
    last(x)
    try:
        first(channels_first(x))
    except Exception as error:
        pytest.skip(f"this build has no channels_first convolutions: {error}")
    first.set_weights(last.get_weights())
    np.testing.assert_allclose(
        numpy(last(x)), channels_last(numpy(first(channels_first(x)))), atol=1e-5
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_near_single(head, dtype, rng):
    x = rng.normal(size=(2, 6, 7, 3)).astype("float32")
    single, half = head(), head(dtype=dtype)
    single(x)
    result = half(x)
    half.set_weights(single.get_weights())
    assert keras.backend.standardize_dtype(result.dtype) == half.compute_dtype
    np.testing.assert_allclose(numpy(ops.cast(half(x), "float32")), numpy(single(x)), atol=0.05)


def test_image_pooling_can_be_left_out():
    with_image = trainable_count(AtrousSpatialPyramidPooling(4, (2,)), 3)
    without = trainable_count(AtrousSpatialPyramidPooling(4, (2,), image_pooling=False), 3)
    assert with_image - without == 3 * 4 + 2 * 4 + 4 * 4


@pytest.mark.parametrize("values", [(), (1, 0), (1.5,)])
def test_wrong_scales_are_named(values):
    with pytest.raises(ValueError, match="Received: bins="):
        PyramidPooling(values)
    with pytest.raises(ValueError, match="Received: rates="):
        AtrousSpatialPyramidPooling(rates=values)
