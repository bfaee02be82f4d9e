"""Both versions of argmax pooling that a backend may have: its own, and the one of `keras.ops`."""

import pytest

from kerasseg.layers import argmax_ops, backend, pooling, unpooling
from tests.layers.cases import BACKEND

VERSIONS = {paths.__name__: paths for paths in (argmax_ops, backend.argmax_paths())}
if BACKEND == "jax":  # its own calls the general one and only adds gradients
    del VERSIONS[argmax_ops.__name__]


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS)
def every_version(request, monkeypatch):
    for layers in (pooling, unpooling):
        monkeypatch.setattr(layers, "argmax_paths", lambda: request.param)


@pytest.fixture
def nothing_compiled(monkeypatch):
    """Many random cases would be compiled one by one; `test_tensorflow.py` compiles some."""
    if BACKEND == "tensorflow":
        from kerasseg.layers import tensorflow

        monkeypatch.setattr(tensorflow, "fused", lambda function, *arguments: function(*arguments))
