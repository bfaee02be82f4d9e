"""Fixtures of the tests of models."""

import keras
import pytest


@pytest.fixture(scope="class")
def free(request):
    """One model for the tests of `zoo.SegmentationModelTests` that leave its weights alone."""
    keras.utils.set_random_seed(0)
    return request.cls().small()
