"""Which layers' implementations a backend gets."""

import keras
import pytest

from kerasseg.layers import backend
from tests.layers.cases import BACKEND


@pytest.mark.parametrize("name", ["jax", "torch", "openvino"])
def test_no_other_backend_gets_tensorflows_implementations(name, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    assert backend.tensorflow_paths() is None


def test_tensorflow_gets_its_own():
    paths = backend.tensorflow_paths()
    if BACKEND == "tensorflow":
        assert paths.__name__ == "kerasseg.layers.tensorflow"
    else:
        assert paths is None
