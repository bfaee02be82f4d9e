"""Written-out gradients against those that JAX derives from the general functions."""

import numpy as np
import pytest

from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D, argmax_ops
from tests.layers.cases import BACKEND

if BACKEND != "jax":
    pytest.skip("These gradients are JAX's.", allow_module_level=True)

import jax
import jax.numpy as jnp

WINDOWS = {
    "side by side": {},
    "overlapping": {"pool_size": 3, "strides": 2, "padding": "same"},
    "with gaps": {"pool_size": (1, 2), "strides": (2, 3), "padding": "same"},
}


def both_pairs(options):
    """Pool, double, unpool: by the layers, and by the general functions."""
    pool, unpool = MaxPoolingWithArgmax2D(**options), MaxUnpooling2D(**options)

    def by_layers(x):
        pooled, argmax = pool(x)
        return unpool(2 * pooled, argmax, x)

    def by_general(x):
        pooled, argmax = argmax_ops.max_pool(pool.windows, x)
        return argmax_ops.max_unpool(unpool.windows, 2 * pooled, argmax, x)

    return by_layers, by_general


def first(pair, weights):
    return jax.grad(lambda x: jnp.sum(weights * pair(x) ** 2))


def second(pair, weights):
    return jax.grad(lambda x: jnp.sum(first(pair, weights)(x) ** 2))


def of_each_image(pair, weights):
    return jax.vmap(jax.grad(lambda x: jnp.sum(pair(x[None]) ** 2)))


@pytest.mark.parametrize("gradient", [first, second, of_each_image])
@pytest.mark.parametrize("options", WINDOWS.values(), ids=WINDOWS)
def test_gradients_are_those_that_jax_derives(options, gradient, rng):
    x, weights = (jnp.asarray(rng.normal(size=(2, 9, 7, 3)).astype("float32")) for _ in range(2))
    found, expected = (jax.jit(gradient(pair, weights))(x) for pair in both_pairs(options))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
