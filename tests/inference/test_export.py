"""Exports: checked against Keras, and kept only if they agree."""

import importlib.util

import keras
import numpy as np
import pytest

from kerasseg import export
from kerasseg.inference.export import check_format, export_model
from kerasseg.models import unet, with_classes

BACKEND = keras.backend.backend()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return with_classes(unet((None, None, 3), 4, width=1 / 32), list("abcd"), image_size=(32, 48))


@pytest.mark.parametrize("format", ["litert", "onnx", "savedmodel"])
def test_the_exported_model_gives_the_class_map_of_keras(model, format, tmp_path):
    try:
        check_format(format)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    done = export_model(model, tmp_path / "model", format)
    assert done.image_size == (32, 48)
    assert done.difference < 1e-4
    assert done.same_classes == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def written(monkeypatch):
    """Exports without a converter: a file of the model's logits on the checked picture."""

    def write(model, path, format, size):
        image = np.random.default_rng(0).random((1, *size, 3), "float32")
        with open(path, "wb") as file:
            np.save(file, keras.ops.convert_to_numpy(model(image)))

    monkeypatch.setattr(export, "write", write)
    monkeypatch.setattr(export, "check_format", lambda format: None)
    monkeypatch.setitem(export.RUN, "onnx", lambda path, image: np.load(path))


def test_an_export_that_differs_is_not_kept(model, written, tmp_path, monkeypatch):
    assert export_model(model, tmp_path / "good.onnx", "onnx").difference == 0
    monkeypatch.setitem(export.RUN, "onnx", lambda path, image: np.load(path) + 1e-3)
    with pytest.raises(ValueError, match="differs from the Keras model by 0.001 in a logit"):
        export_model(model, tmp_path / "bad.onnx", "onnx")
    monkeypatch.setitem(export.RUN, "onnx", lambda path, image: np.load(path) * np.nan)
    with pytest.raises(ValueError, match="by nan"):
        export_model(model, tmp_path / "bad.onnx", "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["good.onnx"]


def test_a_converter_that_fails_is_one_line_and_leaves_nothing(
    model, written, tmp_path, monkeypatch
):
    def fail(*_):
        raise RuntimeError("no such operation\nat line 9")

    monkeypatch.setattr(export, "write", fail)
    with pytest.raises(ValueError, match="as onnx under .*: no such operation Set KERAS_BACKEND"):
        export_model(model, tmp_path / "bad.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_what_lies_there_stays(model, written, tmp_path):
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(FileExistsError, match="model.onnx exists. Remove it"):
        export_model(model, tmp_path / "model.onnx", "onnx")
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_a_missing_library_is_named_with_its_command(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="Run: pip install onnx onnxruntime tf2onnx$"):
        check_format("onnx")


def test_a_format_that_the_backend_cannot_write_names_one_that_can(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="litert under jax. Set .* KERAS_BACKEND=tensorflow or"):
        check_format("litert")


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(ValueError, match="one of litert, onnx, savedmodel. Received: 'coreml'"):
        check_format("coreml")
