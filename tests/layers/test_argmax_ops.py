"""The gradients that are written out, against loops and against what the backend derives."""

import numpy as np
from hypothesis import given
from keras import ops

from kerasseg.layers import MaxPoolingWithArgmax2D, argmax_ops
from tests import reference
from tests.layers.cases import bounded, gradient, numpy, pooling_cases


def case_and_upstream(case):
    x, *arguments = case
    windows = MaxPoolingWithArgmax2D(*arguments).windows
    argmax = argmax_ops.max_pool(windows, ops.convert_to_tensor(x))[1]
    return windows, x, argmax, np.random.default_rng(0).normal(size=x.shape).astype("float32")


@bounded(30)
@given(pooling_cases())
def test_the_gradient_of_pooling_is_that_of_loops(case):
    windows, x, argmax, _ = case_and_upstream(case)
    upstream = np.random.default_rng(1).normal(size=argmax.shape).astype("float32")
    np.testing.assert_allclose(
        numpy(argmax_ops.max_pool_gradient(windows, ops.convert_to_tensor(upstream), argmax, x)),
        reference.max_pool_gradient(upstream, numpy(argmax), x.shape, *case[1:]),
        atol=1e-5,
    )


@bounded(30)
@given(pooling_cases())
def test_the_gradient_of_unpooling_is_that_of_loops_and_of_the_backend(case):
    windows, x, argmax, upstream = case_and_upstream(case)
    result = argmax_ops.max_unpool_gradient(windows, ops.convert_to_tensor(upstream), argmax)
    expected = reference.max_unpool_gradient(upstream, numpy(argmax), *case[1:])
    np.testing.assert_allclose(numpy(result), expected, atol=1e-6)
    values = np.ones(argmax.shape, "float32")
    derived = gradient(lambda v: argmax_ops.max_unpool(windows, v, argmax, x), values, upstream)
    np.testing.assert_allclose(numpy(result), derived, atol=1e-6)
