"""Exports: checked against Keras, and kept only if they agree."""

import importlib.util

import keras
import numpy as np
import pytest

import kerasseg_command.export
from kerasseg import export, models
from kerasseg.anatomy import output_of
from kerasseg.inference.export import FORMATS, check_format, export_model, main_part
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

    def write(model, path, format, shape):
        image = np.random.default_rng(0).random(shape, "float32")
        with open(path, "wb") as file:
            np.save(file, keras.ops.convert_to_numpy(model(image)))

    monkeypatch.setattr(export, "write", write)
    monkeypatch.setattr(export, "check_format", lambda format: None)
    run_by(monkeypatch, lambda path, image: np.load(path))


def run_by(monkeypatch, run):
    monkeypatch.setitem(FORMATS, "onnx", FORMATS["onnx"]._replace(run=run))


def test_an_export_that_differs_is_not_kept(model, written, tmp_path, monkeypatch):
    assert export_model(model, tmp_path / "good.onnx", "onnx").difference == 0
    run_by(monkeypatch, lambda path, image: np.load(path) + 1e-3)
    with pytest.raises(ValueError, match="differs from the Keras model by 0.001, expected"):
        export_model(model, tmp_path / "bad.onnx", "onnx")
    run_by(monkeypatch, lambda path, image: np.load(path) * np.nan)
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


def test_the_command_line_offers_these_formats():
    assert tuple(FORMATS) == kerasseg_command.export.FORMATS


def exported(model, format, folder):
    try:
        check_format(format)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    return export_model(model, folder / "model", format)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize(
    "name",
    [
        "deeplab_v1",
        pytest.param("deeplab_v3", marks=pytest.mark.slow),
        "dilatednet",
        pytest.param("pspnet", marks=pytest.mark.slow),
    ],
)
def test_dilated_networks_of_free_size_give_their_class_map_in_onnx(name, tmp_path):
    model = getattr(models, name)((None, None, 3), 4, width=0.05)
    done = exported(model, "onnx", tmp_path)
    assert done.same_classes == 1
    if BACKEND == "tensorflow":
        image = np.random.default_rng(1).random((2, 45, 70, 3), "float32")
        found = FORMATS["onnx"].run(done.path, image)
        np.testing.assert_allclose(found, numpy(model(image)), atol=1e-4)


def test_keras_own_dilated_convolution_exports_at_even_kernels_and_uneven_rates(tmp_path):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, (2, 3), dilation_rate=(3, 2), padding="same")(image)
    done = exported(keras.Model(image, x), "onnx", tmp_path)
    assert done.difference < 1e-5


@pytest.mark.parametrize("activation", ["sigmoid", None])
@pytest.mark.parametrize("channels", [1, 3])
def test_binary_and_multi_label_models_export(channels, activation, tmp_path):
    model = unet((None, None, 3), channels, width=1 / 32, activation=activation)
    names = ["cell"] if channels == 1 else list("abc")
    model = with_classes(model, names, image_size=(16, 32), multi_label=channels > 1)
    done = exported(model, "onnx", tmp_path)
    assert done.difference < 1e-5
    assert done.same_classes == 1


def test_classes_of_one_channel_are_compared_by_the_threshold(written, tmp_path, monkeypatch):
    model = unet((16, 16, 3), 1, width=1 / 32, activation="sigmoid")
    scores = model.get_layer("scores")
    scores.kernel.assign(1e-3 * scores.kernel)

    def run(path, image):
        output = np.load(path)
        distance = np.abs(output - 0.5)
        return np.where(distance == distance[distance > 1e-6].min(), 1 - output, output)

    run_by(monkeypatch, run)
    done = export_model(model, tmp_path / "model.onnx", "onnx")
    assert 0 < 1 - done.same_classes < 0.1  # argmax over one channel would say 0


def test_of_two_outputs_the_main_one_is_exported(tmp_path):
    image = keras.Input((None, None, 3))
    both = [keras.layers.GlobalMaxPooling2D()(image), keras.layers.Conv2D(4, 1)(image)]
    model = keras.Model(image, both)
    done = exported(model, "onnx", tmp_path)
    images = np.random.default_rng(1).random((1, 64, 64, 3), "float32")
    found = FORMATS["onnx"].run(done.path, images)
    np.testing.assert_allclose(found, numpy(model(images)[1]), atol=1e-5)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.convolution = keras.layers.Conv2D(4, 3, padding="same")

    def call(self, images):
        return self.convolution(images)


def test_a_subclassed_model_exports_once_it_is_built(tmp_path):
    model = Subclassed()
    with pytest.raises(ValueError, match="must be built.*Call it once on a batch of images"):
        exported(model, "onnx", tmp_path)
    model(np.zeros((1, 5, 5, 3)))
    assert exported(model, "onnx", tmp_path).difference < 1e-5


class TwoHeads(Subclassed):
    def call(self, images):
        features = self.convolution(images)
        return {"scores": keras.ops.softmax(features), "codes": features}


def test_a_subclassed_model_exports_the_output_that_counts(tmp_path):
    model, images = TwoHeads(), np.ones((1, 5, 5, 3), "float32")
    expected = numpy(model(images)["scores"])
    part = main_part(model, output_of(model))
    assert part.layers[-1] is model
    np.testing.assert_allclose(numpy(part(images)), expected, atol=1e-6)
    assert exported(model, "onnx", tmp_path).difference < 1e-5


def test_a_channels_first_model_exports(tmp_path):
    model = unet((3, 32, 48), 4, width=1 / 32, data_format="channels_first")
    done = exported(model, "onnx", tmp_path)
    assert (done.image_size, done.same_classes) == ((32, 48), 1)


def test_a_model_whose_weights_are_nan_is_not_exported(written, tmp_path):
    model = unet((None, None, 3), 2, width=1 / 32)
    model.set_weights([np.full_like(w, np.nan) if w.ndim == 4 else w for w in model.get_weights()])
    with pytest.raises(ValueError, match="model=unet hold NaN"):
        export_model(model, tmp_path / "bad.onnx", "onnx")
    assert not list(tmp_path.iterdir())
