"""MaxUnpooling2D and AverageUnpooling2D against loops, PyTorch and the poolings they undo."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from kerasseg.layers import (
    AverageUnpooling2D,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    argmax_to_flat,
)
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


def pooled_case(case):
    """Other values than the maxima, so that copying the input cannot pass for unpooling."""
    x, *arguments = case
    argmax = numpy(MaxPoolingWithArgmax2D(*arguments)(x)[1])
    values = np.random.default_rng(1).normal(size=argmax.shape).astype("float32")
    return x, values, argmax, arguments


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(80)
@given(pooling_cases())
def test_unpooling_equals_loops(case):
    x, values, argmax, arguments = pooled_case(case)
    unpooled = MaxUnpooling2D(*arguments)(values, argmax, x)
    np.testing.assert_array_equal(
        numpy(unpooled), reference.max_unpool(values, argmax, x.shape, *arguments)
    )


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(30)
@given(pooling_cases())
def test_channels_first_equals_channels_last(case):
    x, values, argmax, arguments = pooled_case(case)
    last = MaxUnpooling2D(*arguments)(values, argmax, x)
    layer = MaxUnpooling2D(*arguments, "channels_first")
    first = layer(*map(channels_first, (values, argmax, x)))
    np.testing.assert_array_equal(numpy(last), channels_last(numpy(first)))


@pytest.mark.usefixtures("every_version", "nothing_compiled")
@bounded(12)
@given(case=pooling_cases())
def test_gradient_goes_to_the_winner_alone(case):
    x, values, argmax, arguments = pooled_case(case)
    layer = MaxUnpooling2D(*arguments)
    upstream = np.random.default_rng(0).normal(size=x.shape).astype("float32")
    result = gradient(lambda v: layer(v, argmax, x), values, upstream)
    expected = reference.max_unpool_gradient(upstream, argmax, *arguments)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.usefixtures("nothing_compiled")
@bounded(40)
@given(pooling_cases(padding=("valid",)))
def test_unpooling_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    x, values, argmax, arguments = pooled_case(case)
    flat = numpy(argmax_to_flat(argmax, x.shape, *arguments, convention="torch"))
    unpooled = MaxUnpooling2D(*arguments)(values, argmax, x)
    theirs = torch.nn.functional.max_unpool2d(
        torch.tensor(channels_first(values)),
        torch.tensor(channels_first(flat).astype("int64")),
        *arguments[:2],
        output_size=x.shape[1:3],
    )
    if reaches_no_pixel_twice(flat):  # PyTorch's order is not fixed where threads write alike
        np.testing.assert_array_equal(numpy(unpooled), channels_last(theirs.numpy()))
    else:
        np.testing.assert_array_equal(numpy(unpooled) != 0, channels_last(theirs.numpy()) != 0)


def reaches_no_pixel_twice(flat):
    maps = np.moveaxis(flat, -1, 1).reshape(-1, flat.shape[1] * flat.shape[2])
    return all(len(set(pixels)) == len(pixels) for pixels in maps)


@pytest.mark.usefixtures("nothing_compiled")
@bounded(30)
@given(pooling_cases(overlap=False, ties=False))
def test_unpooling_is_the_gradient_of_max_pooling_without_overlap(case):
    x, values, argmax, arguments = pooled_case(case)
    layer = MaxPoolingWithArgmax2D(*arguments)
    np.testing.assert_array_equal(
        numpy(MaxUnpooling2D(*arguments)(values, argmax, x)),
        gradient(lambda x: layer(x)[0], x, values),
    )


@pytest.mark.usefixtures("nothing_compiled")
@bounded(40)
@given(pooling_cases(overlap=False))
def test_pooling_undoes_unpooling_of_what_is_not_negative(case):
    x, _, argmax, arguments = pooled_case(case)
    values = np.abs(numpy(MaxPoolingWithArgmax2D(*arguments)(x)[0]))
    again, _ = MaxPoolingWithArgmax2D(*arguments)(MaxUnpooling2D(*arguments)(values, argmax, x))
    np.testing.assert_array_equal(numpy(again), values)


def test_pooling_does_not_undo_unpooling_of_a_negative_value():
    values, argmax = np.full((1, 1, 1, 1), -2.0), np.zeros((1, 1, 1, 1), "uint8")
    unpooled = MaxUnpooling2D()(values, argmax)
    assert numpy(unpooled).sum() == -2
    assert numpy(MaxPoolingWithArgmax2D()(unpooled)[0]).item() == 0


@pytest.mark.usefixtures("nothing_compiled")
@bounded(30)
@given(pooling_cases(overlap=False))
def test_without_like_the_size_follows_from_the_windows(case):
    _, values, argmax, arguments = pooled_case(case)
    pool_size, strides, padding = arguments
    unpooled = numpy(MaxUnpooling2D(*arguments)(values, argmax))
    counts = values.shape[1:3]
    if padding == "same":
        expected = tuple(n * s for n, s in zip(counts, strides))
    else:
        expected = tuple((n - 1) * s + k for n, s, k in zip(counts, strides, pool_size))
    assert unpooled.shape[1:3] == expected
    full = np.zeros((values.shape[0], *expected, values.shape[3]))
    np.testing.assert_array_equal(
        unpooled, reference.max_unpool(values, argmax, full.shape, *arguments)
    )


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("arguments", [(2, 2, "same"), ((3, 2), (2, 3), "same"), (3, 1, "valid")])
def test_compiled_pair_and_its_gradient_equal_eager(arguments, mode, rng):
    if BACKEND != "tensorflow":
        pytest.skip("gradients of compiled functions are written here for TensorFlow alone")
    import tensorflow as tf

    pool, unpool = MaxPoolingWithArgmax2D(*arguments), MaxUnpooling2D(*arguments)
    x, upstream = rng.normal(size=(2, 2, 7, 11, 3)).astype("float32")

    def step(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            pooled, argmax = pool(x)
            unpooled = unpool(2 * pooled, argmax, x)
        return unpooled, tape.gradient(unpooled, x, upstream)

    x, upstream = tf.constant(x), tf.constant(upstream)
    function = compiled(step, mode)
    for ours, expected in zip(function(x, upstream), step(x, upstream)):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_one_model_unpools_every_size(padding, rng):
    image = keras.Input((None, None, 3))
    pooled, argmax = MaxPoolingWithArgmax2D((3, 2), (2, 3), padding)(image)
    unpooled = MaxUnpooling2D((3, 2), (2, 3), padding)(pooled, argmax, like=image)
    assert unpooled.shape == (None, None, None, 3)
    model = keras.Model(image, unpooled)
    for height, width in ((3, 2), (7, 11), (8, 6), (13, 5)):
        x = rng.integers(-9, 9, (2, height, width, 3)).astype("float32")
        arguments = ((3, 2), (2, 3), padding)
        expected = reference.max_unpool(
            *reference.max_pool_with_argmax(x, *arguments), x.shape, *arguments
        )
        np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras compiles no training step under PyTorch")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_through_the_pair_moves_the_weights_alike(jit_compile, rng):
    x, y = rng.normal(size=(2, 4, 6, 5, 3)).astype("float32")
    losses = []
    for run_eagerly in (True, False):
        keras.utils.set_random_seed(3)
        image = keras.Input((None, None, 3))
        features = keras.layers.Conv2D(3, 3, padding="same")(image)
        pooled, argmax = MaxPoolingWithArgmax2D(padding="same")(features)
        model = keras.Model(image, MaxUnpooling2D(padding="same")(pooled, argmax, features))
        model.compile(
            "sgd",
            "mse",
            run_eagerly=run_eagerly,
            jit_compile=jit_compile and not run_eagerly,
        )
        losses.append(model.fit(x, y, batch_size=2, epochs=3, verbose=0, shuffle=False).history)
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=1e-5)
    assert len(set(losses[0]["loss"])) == 3, "the weights do not move"


@pytest.mark.usefixtures("every_version")
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_unpooling_keeps_the_precision_it_computes_in(dtype):
    layer = MaxUnpooling2D(dtype=dtype)
    values = np.array([9.0, 7.0]).reshape(1, 1, 2, 1)
    unpooled = layer(values, np.array([1, 2], "uint8").reshape(1, 1, 2, 1))
    assert keras.backend.standardize_dtype(unpooled.dtype) == layer.compute_dtype
    np.testing.assert_array_equal(
        numpy(ops.cast(unpooled, "float32"))[0, :, :, 0], [[0, 9, 0, 0], [0, 0, 7, 0]]
    )


@pytest.mark.parametrize("shape", [(None, None, None, 3), (2, None, 4, 3), (2, 3, 4, 3)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_symbolic_shape_equals_real_shape(shape, padding):
    layer = MaxUnpooling2D((3, 2), (2, 3), padding)
    values, argmax = keras.KerasTensor(shape), keras.KerasTensor(shape, dtype="uint8")
    real_shape = [3 if size is None else size for size in shape]
    real = layer(np.zeros(real_shape), np.zeros(real_shape, "uint8"))
    symbolic = layer(values, argmax)
    assert symbolic.shape == layer.compute_output_shape(shape, shape)
    assert all(a in (None, b) for a, b in zip(symbolic.shape, real.shape))


def test_wrong_tensors_are_named():
    layer, values = MaxUnpooling2D(), np.zeros((1, 2, 3, 1))
    argmax = np.zeros((1, 2, 3, 1), "uint8")
    with pytest.raises(TypeError, match=r"must hold integers.*Received: argmax.dtype="):
        layer(values, values)
    with pytest.raises(ValueError, match=r"same shape. Received: values.shape=.*argmax.shape="):
        layer(values, argmax[:, :1])
    with pytest.raises(ValueError, match=r"Received: like.shape=.*Give both layers the same"):
        layer(values, argmax, np.zeros((1, 9, 6, 1)))


@pytest.mark.parametrize("sizes", [(2,), (2, 2)])
def test_average_poolings_of_2_undo_average_unpooling_of_2_and_4_to_the_bit(sizes, rng):
    x = rng.normal(size=(2, 50, 70, 3)).astype("float32")
    again = AverageUnpooling2D(int(np.prod(sizes)))(x)
    for size in sizes:
        again = keras.layers.AveragePooling2D(size)(again)
    np.testing.assert_array_equal(numpy(again), x)


@pytest.mark.parametrize("size", [4, (2, 4)])
def test_average_pooling_of_4_undoes_average_unpooling_to_the_bit_where_sums_need_no_rounding(
    size, rng
):
    x = rng.integers(-(2**16), 2**16, (2, 5, 7, 3)).astype("float32") / 2**12
    again = keras.layers.AveragePooling2D(size)(AverageUnpooling2D(size)(x))
    np.testing.assert_array_equal(numpy(again), x)


@pytest.mark.parametrize("size", [2, 3, 4, (3, 5)])
def test_average_pooling_undoes_average_unpooling_of_any_number(size, rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype("float32")
    again = keras.layers.AveragePooling2D(size)(AverageUnpooling2D(size)(x))
    np.testing.assert_allclose(numpy(again), x, rtol=5e-7, atol=0)


@bounded(20)
@given(st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 6)] * 4))
def test_average_unpooling_copies_values_over_windows(size, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = np.kron(x, np.ones((1, *size, 1)))
    np.testing.assert_array_equal(numpy(AverageUnpooling2D(size)(x)), expected)
    first = AverageUnpooling2D(size, "channels_first")(channels_first(x))
    np.testing.assert_array_equal(channels_last(numpy(first)), expected)
    assert AverageUnpooling2D(size).compute_output_shape(x.shape) == expected.shape


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the mask of eight bytes is TensorFlow's")
def test_a_training_step_of_segnet_holds_no_int64_mask():
    import tensorflow as tf
    from tensorflow.python.framework.function_def_to_graph import function_def_to_graph

    from kerasseg.models import segnet

    model = segnet((32, 48, 3), 3, width=0.05)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    step = tf.function(lambda x, y: model.train_step((x, y)))
    graph = step.get_concrete_function(
        tf.TensorSpec((2, 32, 48, 3)), tf.TensorSpec((2, 32, 48), tf.int32)
    ).graph
    functions = [function_def_to_graph(f) for f in graph.as_graph_def().library.function]
    outputs = [y for g in (graph, *functions) for op in g.get_operations() for y in op.outputs]
    maps = {y.dtype for y in outputs if y.shape.rank == 4}
    assert tf.uint8 in maps
    assert tf.int64 not in maps
