"""Folders for the doctor's tests."""

import numpy as np
import pytest

from tests.datasets.doctor.examples import make_folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "set", np.random.default_rng(1))


@pytest.fixture
def split_folder(tmp_path):
    return make_folder(tmp_path / "set", np.random.default_rng(1), splits=("train", "val"))
