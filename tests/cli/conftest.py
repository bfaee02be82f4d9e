"""What the commands are tried on: a small folder of pictures, and model files."""

import contextlib

import keras
import numpy as np
import pytest

from kerasseg import cli, datasets
from kerasseg.models import unet, with_classes
from tests.conftest import make_camvid


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Pictures and masks of 45x60 in CamVid's layout."""
    return make_camvid(tmp_path_factory.mktemp("pictures") / "camvid", size=(45, 60))


@pytest.fixture(scope="session")
def model(pictures):
    """An untrained U-Net whose classes and size are those of `pictures` brought to 32x48."""
    return make_model(pictures)


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    model.save(path)
    return path


def make_model(pictures, channels=3):
    keras.utils.set_random_seed(0)
    data = datasets.load("folder", data_dir=pictures)
    model = unet((None, None, channels), data.num_classes, width=1 / 32)
    rng = np.random.default_rng(0)
    for layer in model.layers:  # far from zero, so that every class wins somewhere
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(layer.kernel + 0.3 * rng.normal(size=layer.kernel.shape))
    return with_classes(model, data.class_names, data.colours, data.ignore_class, (32, 48))


@pytest.fixture
def kerasseg():
    """Runs a command in this process and returns its exit code."""

    def run(*words):
        with contextlib.suppress(SystemExit):
            return cli.main([*map(str, words)])
        return 2

    return run
