"""TensorFlow's own implementations against NumPy, Keras and the general functions."""

import numpy as np
import pytest

from kerasseg.layers import (
    AtrousConv2D,
    FusedBatchNormalization,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    pooling,
    unpooling,
)
from tests import reference
from tests.layers.cases import BACKEND, gradient, numpy

if BACKEND != "tensorflow":
    pytest.skip("the kernels are TensorFlow's", allow_module_level=True)

import tensorflow as tf

from kerasseg.layers import tensorflow


def kinds_of_operations(function, shape):
    graph = tf.function(function).get_concrete_function(tf.TensorSpec(shape)).graph
    return {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("at_hand", [True, False])
def test_holes_are_skipped_where_there_are_kernels_for_it(at_hand, monkeypatch):
    monkeypatch.setattr(tensorflow, "has_dilated_kernels", lambda dtype: at_hand)
    layer = AtrousConv2D(4, 3, rate=2, padding="same")
    assert ("SpaceToBatchND" in kinds_of_operations(layer, (2, 9, 11, 3))) != at_hand


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_dilated_kernels_are_those_of_float32_alone(dtype):
    assert not tensorflow.has_dilated_kernels(dtype)


def test_training_takes_the_fused_kernel_and_inference_does_not():
    layer = FusedBatchNormalization()
    layer.build((None, 4, 5, 3))
    kinds = {
        training: kinds_of_operations(lambda x, t=training: layer(x, training=t), (None, 4, 5, 3))
        for training in (True, False)
    }
    assert "FusedBatchNormV3" in kinds[True] - kinds[False]


def test_the_variance_of_the_fused_kernel_is_that_of_numpy(rng):
    x = rng.normal(2, 3, (2, 3, 5, 4)).astype("float16")
    gamma, beta = rng.normal(size=(2, 4)).astype("float32")
    outputs, mean, variance = tensorflow.batch_normalization(x, gamma, beta, epsilon=1e-3)
    wide, axes = x.astype("float64"), (0, 1, 2)
    np.testing.assert_allclose(mean, wide.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(variance, wide.var(axes), rtol=1e-4)
    expected = (wide - wide.mean(axes)) / np.sqrt(wide.var(axes) + 1e-3) * gamma + beta
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


ARGUMENTS = [((2, 3), (2, 3), "same"), ((3, 2), (1, 2), "valid")]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_pooling_in_pieces_and_its_gradient_are_those_of_loops(arguments, rng):
    x = rng.permutation(2 * 7 * 8 * 3).reshape(2, 7, 8, 3).astype("float32")
    layer = MaxPoolingWithArgmax2D(*arguments)

    def pool(x):
        return tensorflow.max_pool(layer.windows, x, pooling.max_pool, unpooling.unpool)

    pooled, argmax = map(numpy, pool(tf.constant(x)))
    expected, positions = reference.max_pool_with_argmax(x, *arguments)
    np.testing.assert_array_equal(pooled, expected)
    np.testing.assert_array_equal(argmax, positions)
    upstream = rng.normal(size=pooled.shape).astype("float32")
    np.testing.assert_allclose(
        gradient(lambda x: pool(x)[0], x, upstream),
        reference.max_pool_gradient(upstream, argmax, x.shape, *arguments),
        atol=1e-5,
    )


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_unpooling_in_pieces_and_its_gradient_are_those_of_loops(arguments, rng):
    x = rng.normal(size=(2, 7, 8, 3)).astype("float32")
    _, argmax = reference.max_pool_with_argmax(x, *arguments)
    values = rng.normal(size=argmax.shape).astype("float32")
    layer = MaxUnpooling2D(*arguments)

    def unpool(values):
        like, mask = tf.constant(x), tf.constant(argmax.astype("uint8"))
        return tensorflow.max_unpool(layer.windows, values, mask, like, unpooling.unpool)

    expected = reference.max_unpool(values, argmax, x.shape, *arguments)
    np.testing.assert_array_equal(numpy(unpool(tf.constant(values))), expected)
    upstream = rng.normal(size=x.shape).astype("float32")
    np.testing.assert_allclose(
        gradient(unpool, values, upstream),
        reference.max_unpool_gradient(upstream, argmax, *arguments),
        atol=1e-6,
    )


def test_a_piece_is_compiled_once_for_a_shape_and_a_dtype():
    traced = []

    def double(factor, x):
        traced.append(x.dtype.name)
        return factor * x

    for dtype, size in (("float32", 3), ("float32", 3), ("float16", 3), ("float32", 4)):
        x = tf.ones((2, size), dtype)
        np.testing.assert_array_equal(tensorflow.run_compiled(double, (2,), x), np.full(x.shape, 2))
    assert traced == ["float32", "float16", "float32"]


def test_pieces_are_compiled_in_training_alone(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert [tensorflow.compiles_pieces(t) for t in (True, False, None)] == [True, False, False]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    assert not tensorflow.compiles_pieces(True)


def test_one_device_is_one_replica_also_under_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    assert tensorflow.replica_count() == 1
    assert int(strategy.run(lambda: tf.constant(tensorflow.replica_count()))) == 1
    np.testing.assert_array_equal(
        strategy.run(tensorflow.sum_over_replicas, (tf.constant([1.0, 2.0, 4.0]),)), [1, 2, 4]
    )
