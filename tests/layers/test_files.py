"""Files: every layer loads in a fresh process, and under every other backend."""

import importlib.util
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasseg import layers
from kerasseg.initializers import Bilinear
from tests.conftest import environment
from tests.layers.cases import BACKEND

LOAD = """
import sys, keras, numpy as np, kerasseg
model = keras.saving.load_model(sys.argv[1])
outputs = model.predict([*np.load(sys.argv[2]).values()], verbose=0)
np.savez(sys.argv[3], *(outputs if isinstance(outputs, (list, tuple)) else [outputs]))
"""


def unpooling_pair():
    image = keras.Input((None, None, 3))
    arguments = {"pool_size": (3, 2), "strides": (2, 3), "padding": "same"}
    pooled, argmax = layers.MaxPoolingWithArgmax2D(**arguments)(image)
    return keras.Model(image, layers.MaxUnpooling2D(**arguments)(pooled, argmax, like=image))


def one(layer):
    def build():
        image = keras.Input((None, None, 3))
        return keras.Model(image, layer()(image))

    return build


def two(layer):
    def build():
        image, like = keras.Input((None, None, 3)), keras.Input((None, None, 2))
        return keras.Model([image, like], layer()(image, like))

    return build


def no_variance():
    """A vanishing variance, so that the code is the mean in every process."""
    image = keras.Input((None, None, 3))
    variance = keras.layers.Rescaling(0.0, offset=-200.0)(image)
    return keras.Model(image, layers.Sampling(seed=3)(image, variance))


def bilinear_transpose():
    return keras.layers.Conv2DTranspose(
        3, 6, strides=3, padding="same", kernel_initializer=Bilinear(), name="up"
    )


MODELS = {
    "pair": unpooling_pair,
    "AverageUnpooling2D": one(lambda: layers.AverageUnpooling2D((3, 2))),
    "BilinearUpsampling2D": one(lambda: layers.BilinearUpsampling2D((3, 2), align_corners=True)),
    "AtrousConv2D": one(lambda: layers.AtrousConv2D(4, (3, 2), rate=(2, 3), padding="same")),
    "FusedBatchNormalization": one(lambda: layers.FusedBatchNormalization(momentum=0.3)),
    "CenterCropLike": two(layers.CenterCropLike),
    "CropLike": two(lambda: layers.CropLike(3)),
    "PadToMultiple": one(lambda: layers.PadToMultiple(4, remainder=1, minimum=10)),
    "ReflectionPadding2D": one(lambda: layers.ReflectionPadding2D(2)),
    "CaffePreprocessing": one(layers.CaffePreprocessing),
    "LocalResponseNormalization": one(lambda: layers.LocalResponseNormalization(3, 0.1, 0.5)),
    "PyramidPooling": one(lambda: layers.PyramidPooling((1, 3), 4, align_corners=False)),
    "AtrousSpatialPyramidPooling": one(
        lambda: layers.AtrousSpatialPyramidPooling(4, (1, 2), image_pooling=False, dropout=0.3)
    ),
    "NamedClasses": one(
        lambda: layers.NamedClasses(["a", "b", "c"], np.eye(3, dtype=int), None, (5, 4))
    ),
    "Sampling": no_variance,
    "Bilinear": one(bilinear_transpose),
}


def inputs_of(model):
    rng = np.random.default_rng(0)
    sizes = ((2, 9, 11), (2, 5, 4))
    return [
        rng.normal(size=(*size, x.shape[-1])).astype("float32")
        for size, x in zip(sizes, model.inputs)
    ]


def load_elsewhere(path, inputs, folder, backend):
    np.savez(folder / "inputs.npz", *inputs)
    result = subprocess.run(
        [sys.executable, "-c", LOAD, path, folder / "inputs.npz", folder / "outputs.npz"],
        env=environment(backend),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return [*np.load(folder / "outputs.npz").values()]


@pytest.mark.parametrize("name", MODELS)
def test_config_survives_json(name):
    model = MODELS[name]()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    again = keras.saving.deserialize_keras_object(config)
    for layer, copy in zip(model.layers, again.layers):
        assert {**layer.get_config(), "name": ""} == {**copy.get_config(), "name": ""}
        assert type(layer) is type(copy)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One file with all layers, what went in and what came out."""
    folder = tmp_path_factory.mktemp("files")
    models = [build() for build in MODELS.values()]
    model = keras.Model(
        [x for model in models for x in model.inputs],
        [model(model.input) for model in models],
    )
    inputs = [x for model in models for x in inputs_of(model)]
    model.save(folder / "model.keras")
    return folder, inputs, model.predict(inputs, verbose=0)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_fresh_process_loads_what_another_backend_saved(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, inputs, expected = saved
    outputs = load_elsewhere(folder / "model.keras", inputs, folder, backend)
    for name, ours, theirs in zip(MODELS, outputs, expected):
        np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=f"{name}: {BACKEND}, {backend}")
