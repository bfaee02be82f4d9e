"""Model files written before the package was restructured load, compiled, and answer as they did.

`tests/saved/by_d3a85cd.tar.xz` holds one small `NAME.keras` per model, compiled with the losses and
metrics of kerasseg, and `answers.npz` with `NAME/images` (uint8) and `NAME/outputs` of the code
that wrote them. The variational autoencoder decodes a random draw, so `vae_by_d3a85cd.npz` holds
the code of its images and what that code decodes to.
"""

import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasseg.models import split_autoencoder

ARCHIVE = Path(__file__).parents[1] / "saved" / "by_d3a85cd.tar.xz"
NAMES = [
    "conv_autoencoder",
    "deconvnet",
    "deeplab_v1",
    "deeplab_v2",
    "deeplab_v2_resnet101",
    "deeplab_v3",
    "dense_autoencoder",
    "dilatednet",
    "fc_densenet56",
    "fc_densenet67",
    "fc_densenet103",
    "fcn8s",
    "fcn16s",
    "fcn32s",
    "hypercolumn",
    "pspnet",
    "segnet",
    "segnet_basic",
    "unet",
    "unet_softmax",
]


@pytest.fixture(autouse=True)
def no_time_for_what_is_not_tested(monkeypatch):
    """The file replaces the initial weights, and JAX compiles their draws shape by shape."""
    monkeypatch.setattr(
        keras.initializers.VarianceScaling,
        "__call__",
        lambda self, shape, dtype=None, **layout: np.zeros(shape, "float32"),
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    with np.load(folder / "answers.npz") as answers:
        return folder, dict(answers)


def load(saved, name):
    folder, answers = saved
    model = keras.saving.load_model(folder / f"{name}.keras", compile=True)
    assert model.compiled
    return model, (answers[f"{name}/images"] / 255.0).astype("float32"), answers[f"{name}/outputs"]


def assert_close(outputs, expected):
    assert outputs.shape == expected.shape
    outputs = keras.ops.convert_to_numpy(outputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_every_saved_file_is_checked(saved):
    assert {path.stem for path in saved[0].glob("*.keras")} == {*NAMES, "vae"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_before_loads_compiled_and_gives_the_outputs_of_before(saved, name):
    model, images, expected = load(saved, name)

    assert_close(model.predict(images, verbose=0), expected)


def test_the_variational_autoencoder_of_before_gives_the_codes_and_the_images_of_before(saved):
    model, images, drawn = load(saved, "vae")
    encoder, decoder = split_autoencoder(model)

    with np.load(ARCHIVE.with_name("vae_by_d3a85cd.npz")) as expected:
        assert_close(encoder(images), expected["code"])
        assert_close(decoder(expected["code"]), expected["images"])
    assert model(images).shape == drawn.shape
