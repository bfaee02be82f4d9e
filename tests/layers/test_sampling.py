"""Sampling draws from the normal distribution that it is given."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.layers import Sampling
from tests.layers.cases import gradient, numpy


def test_draws_have_the_mean_and_the_variance_of_the_inputs():
    mean, variance = np.full((200_000, 1), 3.0), 0.25
    draws = numpy(Sampling(seed=1)(mean, np.full_like(mean, np.log(variance))))
    assert abs(draws.mean() - 3.0) < 0.005
    assert abs(draws.var() - variance) < 0.005  # exp(log_variance) as deviation would give 1/16


@pytest.mark.parametrize(
    ("mean", "log_variance", "expected"), [(0, 0, 0), (1, 0, 1.5), (0, 1, 1.5 * (np.e - 2))]
)
def test_the_loss_is_the_divergence_summed_over_the_code(mean, log_variance, expected):
    layer, ones = Sampling(), np.ones((4, 3))
    layer(mean * ones, log_variance * ones)
    np.testing.assert_allclose(numpy(layer.losses[0]), expected, rtol=1e-5, atol=1e-7)


def test_gradient_reaches_mean_and_variance():
    mean, log_variance = np.zeros((2, 3), "float32"), np.full((2, 3), 0.5, "float32")
    ones = np.ones((2, 3), "float32")
    by_mean = gradient(lambda m: Sampling(seed=1)(m, log_variance), mean, ones)
    np.testing.assert_array_equal(by_mean, ones)
    by_variance = gradient(lambda v: Sampling(seed=1)(mean, v), log_variance, ones)
    np.testing.assert_allclose(
        by_variance, numpy(Sampling(seed=1)(mean, log_variance)) / 2, rtol=1e-5
    )


def test_a_pair_in_a_list_is_a_pair():
    mean, log_variance = np.ones((2, 3)), np.zeros((2, 3))
    np.testing.assert_array_equal(
        numpy(Sampling(seed=1)([mean, log_variance])), numpy(Sampling(seed=1)(mean, log_variance))
    )
    code = keras.Input((3,))
    assert Sampling()([code, code]).shape == Sampling()(code, code).shape == (None, 3)


def test_a_model_trains_with_the_divergence_as_its_only_loss(rng):
    image = keras.Input((5,))
    dense = keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones")(image)
    model = keras.Model(image, Sampling()(dense, keras.layers.Dense(2)(image)))
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(rng.normal(size=(8, 5)), epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


@pytest.mark.parametrize("floatx", ["float64", "float16", "bfloat16"])
@pytest.mark.parametrize("policy", ["float64", "float32", "mixed_float16"])
def test_the_divergence_adds_to_a_loss_of_keras_whatever_the_dtypes(floatx, policy, rng):
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        image = keras.Input((5,))
        mean = keras.layers.Dense(2, dtype=policy)(image)
        model = keras.Model(image, Sampling(dtype=policy)(mean, mean))
        model.compile("sgd", "mse")
        x = rng.normal(size=(8, 5))
        assert np.isfinite(float(model.fit(x, x[:, :2], verbose=0).history["loss"][0]))
    finally:
        keras.config.set_floatx(before)


def test_half_precision_does_not_overflow_the_loss():
    layer = Sampling(dtype="mixed_float16")
    layer(np.zeros((1, 2)), np.full((1, 2), 12.0))
    assert np.isfinite(numpy(ops.cast(layer.losses[0], "float32")))


@pytest.mark.parametrize("log_variance", [22.5, 60.0, 1e4])
@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_a_draw_in_half_precision_is_finite_however_large_the_variance(policy, log_variance):
    sampling = Sampling(seed=1, dtype=policy)
    mean = np.zeros((2, 50), "float32")
    draw = sampling(mean, np.full_like(mean, log_variance))
    assert keras.backend.standardize_dtype(draw.dtype) == sampling.compute_dtype
    draw = ops.convert_to_numpy(ops.cast(draw, "float32"))
    assert np.isfinite(draw).all()
    assert np.abs(draw).max() > 1e4
