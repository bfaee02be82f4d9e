"""TensorFlow's own implementations against NumPy, Keras and the general functions."""

import numpy as np
import pytest
from hypothesis import given

from kerasseg.layers import (
    AtrousConv2D,
    FusedBatchNormalization,
    MaxPoolingWithArgmax2D,
    argmax_ops,
)
from kerasseg.losses import CrossEntropy
from kerasseg.metrics import MeanIoU
from tests.layers.cases import BACKEND, bounded, pooling_cases

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


@bounded(5)
@given(pooling_cases())
def test_what_is_compiled_equals_the_general_functions(case):
    x, *arguments = case
    windows = MaxPoolingWithArgmax2D(*arguments).windows
    upstream = np.random.default_rng(0).normal(size=x.shape).astype("float32")

    def values_and_gradient(version):
        def pair(x):
            pooled, argmax = version.max_pool(windows, x)
            return version.max_unpool(windows, pooled**2, argmax, x)

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = pair(x)
        return y, tape.gradient(y, x, upstream)

    x = tf.constant(x)
    for ours, expected in zip(values_and_gradient(tensorflow), values_and_gradient(argmax_ops)):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def marked(shape):
    """How many operations of a pooling of maps of this shape are marked for XLA."""
    piece = tf.function(MaxPoolingWithArgmax2D()).get_concrete_function(tf.TensorSpec(shape))
    return sum("_XlaCompile" in node.attr for node in piece.graph.as_graph_def().node)


def test_graphs_are_compiled_for_maps_of_one_size_alone():
    assert marked((None, 6, 4, 3)) > 5
    assert marked((2, None, 4, 3)) == marked((None, None, None, 3)) == 0


def test_an_id_outside_the_classes_is_an_error_but_not_in_a_function_of_autograph():
    truth, scores = np.array([[[0, 7]]]), np.zeros((1, 1, 2, 3), "float32")
    loss, metric = CrossEntropy(), MeanIoU(3)

    @tf.function
    def step(truth, scores):
        metric.update_state(truth, scores)
        return loss(truth, scores)

    assert np.isnan(step(truth, scores))
    assert float(step(np.zeros_like(truth), scores)) == pytest.approx(np.log(3))
    assert np.isnan(metric.result())
    with pytest.raises(ValueError, match="7"):
        loss(truth, scores)


def test_on_gpus_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tensorflow, "graph", None)
    np.testing.assert_array_equal(MaxPoolingWithArgmax2D()(np.ones((1, 2, 2, 1)))[1], 0)


def test_one_device_is_one_replica_also_under_a_strategy():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    assert tensorflow.replica_count() == 1
    assert int(strategy.run(lambda: tf.constant(tensorflow.replica_count()))) == 1
    np.testing.assert_array_equal(
        strategy.run(tensorflow.sum_over_replicas, (tf.constant([1.0, 2.0, 4.0]),)), [1, 2, 4]
    )
