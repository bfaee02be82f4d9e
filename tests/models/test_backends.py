"""With the same weights, every model gives the same on TensorFlow, JAX and PyTorch."""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasseg import models
from tests.conftest import environment
from tests.models.test_autoencoders import silence
from tests.models.zoo import as_if_trained, outputs, picture

FREE, FIXED = (None, None, 3), (37, 54, 3)
SEGMENTATION = (
    *("fcn32s", "fcn16s", "fcn8s", "unet", "deconvnet", "segnet", "segnet_basic"),
    *("fc_densenet56", "fc_densenet67", "fc_densenet103", "hypercolumn"),
    *("deeplab_v1", "deeplab_v2", "deeplab_v3", "dilatednet", "pspnet"),
)


def silent_vae():
    model = models.vae(FIXED, width=0.1)
    silence(model)
    return model


BUILD = {
    "dense_autoencoder": lambda: models.dense_autoencoder(FIXED, code_size=4, hidden=(11, 6)),
    "conv_autoencoder": lambda: models.conv_autoencoder(FREE, width=0.1),
    "vae": silent_vae,
    **{name: lambda name=name: getattr(models, name)(FREE, 5, width=0.05) for name in SEGMENTATION},
}

LOAD = """
import sys, keras, numpy as np, kerasseg
folder, names = sys.argv[1], sys.argv[2].split()
images = np.load(f"{folder}/images.npy")
for name in names:
    outputs = keras.saving.load_model(f"{folder}/{name}.keras")(images, training=False)
    np.save(f"{folder}/{name}.npy", keras.ops.convert_to_numpy(outputs))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with every model's file, and what each gives here."""
    folder = tmp_path_factory.mktemp("models")
    images = picture(*FIXED)
    np.save(folder / "images.npy", images)
    expected = {}
    for name, build in BUILD.items():
        keras.utils.set_random_seed(0)
        model = as_if_trained(build())
        model.save(folder / f"{name}.keras")
        expected[name] = outputs(model, images)
    return folder, expected


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_fresh_process_on_another_backend_gives_the_same(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, expected = saved
    words = [sys.executable, "-c", LOAD, folder, " ".join(BUILD)]
    subprocess.run(words, check=True, env=environment(backend))
    for name, ours in expected.items():
        theirs = np.load(folder / f"{name}.npy")
        error, scale = abs(theirs - ours).max(), max(1, abs(ours).max())
        assert error < min(1e-4 * scale, 0.1 * ours.std()), f"{name}, {backend}"
