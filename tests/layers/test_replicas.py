"""Sums and means over replicas; here two of them are imitated, test_devices.py runs real ones."""

from unittest import mock

import numpy as np
import pytest

from kerasseg.layers import replicas
from tests.layers.cases import numpy


@pytest.fixture
def on_two_replicas(monkeypatch):
    """Calls a function with the part of each of two replicas; their sums are added as TensorFlow
    adds them: every replica gets the sum of what both called with."""

    def run(function, parts):
        handed_in = []

        def note(x):
            handed_in.append(numpy(x))
            return x

        def both(x):
            return sum(handed_in)

        for sum_over_replicas in (note, both):
            paths = mock.Mock(replica_count=lambda: 2, sum_over_replicas=sum_over_replicas)
            monkeypatch.setattr(replicas, "tensorflow_paths", lambda paths=paths: paths)
            results = [numpy(function(part)) for part in parts]
        return results

    return run


def test_one_replica_has_the_sum_and_the_mean_of_its_own_entries(rng):
    x = rng.random((3, 4, 5)).astype("float32")
    assert replicas.count() == 1
    np.testing.assert_array_equal(replicas.total(x), x)
    np.testing.assert_allclose(numpy(replicas.mean(x)), x.mean(), rtol=1e-6)
    np.testing.assert_allclose(numpy(replicas.mean(x, (1, 2))), x.mean((1, 2)), rtol=1e-6)


def test_every_replica_gets_the_sum_over_all_of_them(on_two_replicas, rng):
    x, y = rng.random((2, 3, 4)).astype("float32")
    for result in on_two_replicas(replicas.total, (x, y)):
        np.testing.assert_allclose(result, x + y)


def test_the_replicas_means_add_up_to_a_weighted_mean_over_the_whole_batch(on_two_replicas, rng):
    """Each divides by `mean`; Keras then adds their means over the images and halves the sum."""
    values, weights = rng.random((2, 4, 5, 6)).astype("float32")
    parts = [slice(0, 3), slice(3, 4)]
    means = on_two_replicas(lambda part: replicas.mean(weights[part]), parts)
    ours = sum((values[p] * weights[p] / m).mean() for p, m in zip(parts, means)) / 2
    assert ours == pytest.approx((values * weights).sum() / weights.sum(), rel=1e-5)


def test_so_do_means_along_some_axes(on_two_replicas, rng):
    values, weights = rng.random((2, 4, 5, 6, 3)).astype("float32")
    parts, axes = [slice(0, 3), slice(3, 4)], (0, 1, 2)
    means = on_two_replicas(lambda part: replicas.mean(weights[part], axes), parts)
    ours = sum((values[p] * weights[p] / m).mean(axes) for p, m in zip(parts, means)) / 2
    expected = (values * weights).sum(axes) / weights.sum(axes)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
