"""MaxPoolingWithArgmax2D against loops, PyTorch and TensorFlow."""

import keras
import numpy as np
import pytest
from hypothesis import given
from keras import ops

from kerasseg.layers import MaxPoolingWithArgmax2D, argmax_to_flat
from tests import reference
from tests.layers.cases import (
    BACKEND,
    COMPILED,
    bounded,
    channels_first,
    channels_last,
    compiled,
    gradient,
    numpy,
    pooling_cases,
)


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(80)
@given(pooling_cases())
def test_pooling_equals_loops(case):
    x, *arguments = case
    pooled, argmax = map(numpy, MaxPoolingWithArgmax2D(*arguments)(x))
    expected_pooled, expected_argmax = reference.max_pool_with_argmax(x, *arguments)
    np.testing.assert_array_equal(pooled, expected_pooled)
    np.testing.assert_array_equal(argmax, expected_argmax)
    assert argmax.dtype == "uint8"


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(30)
@given(pooling_cases())
def test_channels_first_equals_channels_last(case):
    x, *arguments = case
    last = MaxPoolingWithArgmax2D(*arguments)(x)
    first = MaxPoolingWithArgmax2D(*arguments, "channels_first")(channels_first(x))
    for a, b in zip(last, first):
        np.testing.assert_array_equal(numpy(a), channels_last(numpy(b)))


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(12)
@given(case=pooling_cases())
def test_gradients_of_overlapping_windows_add_up_as_in_loops(case):
    x, *arguments = case
    layer = MaxPoolingWithArgmax2D(*arguments)
    argmax = numpy(layer(x)[1])
    upstream = np.random.default_rng(0).normal(size=argmax.shape).astype("float32")
    result = gradient(lambda x: layer(x)[0], x, upstream)
    expected = reference.max_pool_gradient(upstream, argmax, x.shape, *arguments)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.usefixtures("nothing_compiled")
@bounded(40)
@given(pooling_cases(padding=("valid",)))
def test_pooling_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    x, *arguments = case
    pooled, argmax = MaxPoolingWithArgmax2D(*arguments)(x)
    flat = argmax_to_flat(argmax, x.shape, *arguments, convention="torch")
    theirs = torch.nn.functional.max_pool2d(
        torch.tensor(channels_first(x)), *arguments[:2], return_indices=True
    )
    np.testing.assert_array_equal(numpy(pooled), channels_last(theirs[0].numpy()))
    np.testing.assert_array_equal(numpy(flat), channels_last(theirs[1].numpy()))


@pytest.mark.usefixtures("nothing_compiled")
@bounded(40)
@given(pooling_cases())
def test_pooling_equals_tensorflow(case):
    tf = pytest.importorskip("tensorflow")
    x, pool_size, strides, padding = case
    pooled, argmax = MaxPoolingWithArgmax2D(pool_size, strides, padding)(x)
    flat = argmax_to_flat(argmax, x.shape, pool_size, strides, padding)
    theirs = tf.nn.max_pool_with_argmax(x, pool_size, strides, padding.upper())
    np.testing.assert_array_equal(numpy(pooled), theirs[0])
    np.testing.assert_array_equal(numpy(flat), theirs[1])


@pytest.mark.usefixtures("nothing_compiled")
@bounded(25)
@given(pooling_cases(ties=False))
def test_gradient_equals_tensorflow_max_pooling(case):
    tf = pytest.importorskip("tensorflow")
    x, pool_size, strides, padding = case
    layer = MaxPoolingWithArgmax2D(pool_size, strides, padding)
    with tf.GradientTape() as tape:
        variable = tf.Variable(x)
        theirs = tf.nn.max_pool2d(variable, pool_size, strides, padding.upper())
    upstream = np.random.default_rng(0).normal(size=theirs.shape).astype("float32")
    expected = tape.gradient(theirs, variable, upstream)
    np.testing.assert_allclose(gradient(lambda x: layer(x)[0], x, upstream), expected, atol=1e-5)


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("mode", COMPILED)
def test_compiled_pooling_equals_eager(mode, rng):
    x = rng.normal(size=(2, 7, 10, 3)).astype("float32")
    layer = MaxPoolingWithArgmax2D((3, 2), (2, 3), "same")
    function = compiled(lambda x: layer(x), mode)
    for ours, expected in zip(function(x), layer(x)):
        np.testing.assert_array_equal(numpy(ours), numpy(expected))


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_one_model_pools_every_size(padding, rng):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, MaxPoolingWithArgmax2D((3, 2), (2, 3), padding)(image))
    for height, width in ((3, 2), (7, 11), (8, 6), (13, 5)):
        x = rng.integers(-9, 9, (2, height, width, 3)).astype("float32")
        expected = reference.max_pool_with_argmax(x, (3, 2), (2, 3), padding)
        for ours, theirs in zip(model.predict(x, verbose=0), expected):
            np.testing.assert_array_equal(ours, theirs)


def test_a_one_pixel_map_pools_to_itself():
    pooled, argmax = MaxPoolingWithArgmax2D(2, padding="same")(np.full((1, 1, 1, 2), -5.0))
    np.testing.assert_array_equal(numpy(pooled), np.full((1, 1, 1, 2), -5.0))
    np.testing.assert_array_equal(numpy(argmax), np.zeros((1, 1, 1, 2)))


@pytest.mark.usefixtures("every_version")
def test_padding_does_not_win_over_minus_infinity():
    x = np.full((1, 3, 4, 1), -np.inf, "float32")
    _, argmax = MaxPoolingWithArgmax2D(3, 1, "same")(x)
    np.testing.assert_array_equal(
        numpy(argmax)[0, :, :, 0], [[4, 3, 3, 3], [1, 0, 0, 0], [1, 0, 0, 0]]
    )


@pytest.mark.usefixtures("every_version")
def test_nan_stays_visible():
    x = np.array([[3.0, np.nan], [5.0, 1.0]], "float32").reshape(1, 2, 2, 1)
    pooled, argmax = MaxPoolingWithArgmax2D()(x)
    assert np.isnan(numpy(pooled)).all()
    assert numpy(argmax).item() == 1


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("where", [(1, 2), (0, 4), (3, 4), (2, 3), (5, 8), (0, 4, 6)])
def test_of_several_nan_in_a_window_the_last_one_wins(where):
    x = np.arange(9.0, dtype="float32")
    x[list(where)] = np.nan
    _, argmax = MaxPoolingWithArgmax2D(3)(x.reshape(1, 3, 3, 1))
    assert numpy(argmax).item() == where[-1]


@pytest.mark.usefixtures("every_version")
def test_whole_numbers_pool_as_they_are():
    x = np.array([[-7, -3], [-5, -9]], "int32").reshape(1, 2, 2, 1)
    pooled, argmax = MaxPoolingWithArgmax2D(3, 2, "same")(x)
    assert numpy(pooled).item() == -3
    assert numpy(argmax).item() == 1


@pytest.mark.parametrize(("pool_size", "dtype"), [((16, 16), "uint8"), ((16, 17), "uint16")])
def test_positions_take_the_smallest_type(pool_size, dtype):
    x = np.arange(16 * 17.0, dtype="float32").reshape(1, 16, 17, 1)
    layer = MaxPoolingWithArgmax2D(pool_size)
    pooled, argmax = layer(x)
    if (BACKEND, dtype) != ("torch", "uint16"):  # PyTorch has none, Keras takes int32
        assert numpy(argmax).dtype == dtype
    assert layer(keras.KerasTensor((1, 16, 17, 1)))[1].dtype == dtype
    assert numpy(argmax).item() == pool_size[0] * pool_size[1] - 1
    assert numpy(pooled).item() == x[0, pool_size[0] - 1, pool_size[1] - 1, 0]


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float32"])
def test_pooling_keeps_the_precision_it_computes_in(dtype):
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    layer = MaxPoolingWithArgmax2D(dtype=dtype)
    pooled, argmax = layer(x)
    assert keras.backend.standardize_dtype(pooled.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(numpy(ops.cast(pooled, "float32"))[0, 0, :, 0], [7, 9, 11])
    np.testing.assert_array_equal(numpy(argmax), np.full((1, 2, 3, 1), 3))


@pytest.mark.parametrize("shape", [(None, None, None, 3), (2, 9, None, 3), (None, 7, 8, 5)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_symbolic_shape_equals_real_shape(shape, padding):
    layer = MaxPoolingWithArgmax2D((3, 2), (2, 3), padding)
    pooled, argmax = layer(keras.KerasTensor(shape))
    real, _ = layer(np.zeros([6 if size is None else size for size in shape]))
    assert pooled.shape == argmax.shape == layer.compute_output_shape(shape)[0]
    assert all(a in (None, b) for a, b in zip(pooled.shape, real.shape))
    assert (pooled.dtype, argmax.dtype) == ("float32", "uint8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "Received: pool_size=0"),
        ({"pool_size": (2, 2, 2)}, r"Received: pool_size=\(2, 2, 2\)"),
        ({"strides": (1, -1)}, r"Received: strides=\(1, -1\)"),
        ({"padding": "full"}, "'valid' or 'same'. Received: padding='full'"),
        ({"data_format": "last"}, "Received: data_format='last'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaxPoolingWithArgmax2D(**arguments)


def test_a_map_smaller_than_a_window_is_refused():
    with pytest.raises(ValueError, match="Received: size=2. Use padding='same'"):
        MaxPoolingWithArgmax2D(3)(np.zeros((1, 2, 5, 1)))


def test_inside_time_distributed_one_sentence_says_what_to_do_and_that_works():
    x = np.random.default_rng(0).random((2, 3, 4, 6, 1)).astype("float32")
    frames = keras.Input((3, 4, 6, 1))
    wrapped = keras.layers.TimeDistributed
    for make in (
        lambda: wrapped(MaxPoolingWithArgmax2D())(x),
        lambda: wrapped(MaxPoolingWithArgmax2D())(frames),
        lambda: keras.Sequential([frames, wrapped(MaxPoolingWithArgmax2D())]),
        lambda: wrapped(wrapped(MaxPoolingWithArgmax2D()))(x[None]),
    ):
        with pytest.raises(ValueError, match="has two outputs, and TimeDistributed stacks one"):
            make()
    layer = MaxPoolingWithArgmax2D()
    pooled, _ = layer(keras.ops.reshape(x, (-1, *x.shape[2:])))
    expected = x.reshape(2, 3, 2, 2, 3, 2).max((3, 5))
    np.testing.assert_array_equal(numpy(pooled).reshape(expected.shape), expected)


class Pooled(keras.layers.Layer):
    """Pools, and forgets the positions."""

    def __init__(self):
        super().__init__()
        self.pool = MaxPoolingWithArgmax2D()

    def build(self, input_shape):
        self.pool.build(input_shape)

    def call(self, inputs):
        return self.pool(inputs)[0]

    def compute_output_shape(self, input_shape):
        return self.pool.compute_output_shape(input_shape)[0]


def test_inside_a_layer_of_one_output_time_distributed_pools(rng):
    x = rng.random((2, 3, 4, 6, 1)).astype("float32")
    expected = x.reshape(2, 3, 2, 2, 3, 2, 1).max((3, 5))
    image = keras.Input((4, 6, 1))
    model = keras.Model(image, MaxPoolingWithArgmax2D()(image)[0])
    for layer in (Pooled(), model):
        pooled = keras.layers.TimeDistributed(layer)(x)
        np.testing.assert_array_equal(numpy(pooled), expected)


def test_call_and_stateless_call_need_no_call_before(rng):
    x = rng.random((2, 4, 6, 1)).astype("float32")
    layer = MaxPoolingWithArgmax2D()
    layer.build(x.shape)
    expected = [numpy(y) for y in MaxPoolingWithArgmax2D()(x)]
    for found in (layer.call(keras.ops.convert_to_tensor(x)), layer.stateless_call([], [], x)[0]):
        for y, other in zip(found, expected):
            np.testing.assert_array_equal(numpy(y), other)
