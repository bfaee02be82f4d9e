"""FusedBatchNormalization is Keras's layer, only faster."""

import keras
import numpy as np
import pytest

from kerasseg.layers import FusedBatchNormalization
from tests.layers.cases import BACKEND, COMPILED, compiled, gradient, numpy


def both(shape, **arguments):
    layers = [
        kind(**arguments) for kind in (keras.layers.BatchNormalization, FusedBatchNormalization)
    ]
    rng = np.random.default_rng(1)
    for layer in layers:
        layer.build(shape)
    values = [rng.uniform(0.5, 1.5, weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(values)
    return layers


CASES = [
    {},
    {"momentum": 0.3, "epsilon": 1e-5},
    {"scale": False},
    {"axis": 1},
    {"dtype": "mixed_bfloat16"},
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_outputs_and_moving_averages_are_those_of_keras(arguments, training, rng):
    x = rng.normal(2.0, 3.0, (2, 5, 7, 3)).astype("float32")
    theirs, ours = both(x.shape, **arguments)
    expected, result = theirs(x, training=training), ours(x, training=training)
    assert result.dtype == expected.dtype
    atol = 0.03 if "dtype" in arguments else 1e-5
    as_float = [numpy(keras.ops.cast(y, "float32")) for y in (expected, result)]
    np.testing.assert_allclose(as_float[1], as_float[0], atol=atol)
    for weight, value in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(weight, value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["eager", *COMPILED])
def test_gradients_are_those_of_keras(mode, rng):
    if BACKEND == "jax":
        pytest.skip("layers with state cannot be called in a compiled JAX function")
    x = rng.normal(2.0, 3.0, (2, 5, 7, 3)).astype("float32")
    upstream = rng.normal(size=x.shape).astype("float32")
    results = []
    for layer in both(x.shape, epsilon=1e-2):
        call = lambda x, layer=layer: layer(x, training=True)  # noqa: E731
        results.append(gradient(call if mode == "eager" else compiled(call, mode), x, upstream))
    np.testing.assert_allclose(results[1], results[0], atol=1e-5)


def test_one_pixel_has_no_variance():
    _, layer = both((1, 1, 1, 3))
    x = np.full((1, 1, 1, 3), 5.0, "float32")
    np.testing.assert_allclose(numpy(layer(x, training=True)).ravel(), numpy(layer.beta), atol=1e-5)
    assert np.isfinite(layer.get_weights()).all()


def test_frozen_it_keeps_its_averages(rng):
    theirs, ours = both((None, None, None, 3))
    theirs.trainable = ours.trainable = False
    x = rng.normal(2.0, 3.0, (2, 5, 7, 3)).astype("float32")
    np.testing.assert_allclose(
        numpy(ours(x, training=True)), numpy(theirs(x, training=True)), atol=1e-6
    )
    np.testing.assert_array_equal(ours.get_weights()[2], theirs.get_weights()[2])
