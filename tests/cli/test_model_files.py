"""Reading a model from a file that anyone may have given us."""

import json
import zipfile

import keras
import numpy as np
import pytest

from kerasseg.cli import model_files
from kerasseg.models import unet, with_classes
from tests.layers.cases import numpy


def plain(channels=3, shape=(None, None, 3), activation=None, data_format=None):
    image = keras.Input(shape)
    layer = keras.layers.Conv2D(channels, 1, activation=activation, data_format=data_format)
    return keras.Model(image, layer(image))


def saved(model, folder):
    model.save(folder / "model.keras")
    return folder / "model.keras"


@keras.saving.register_keras_serializable(package="tests")
class OfTheTest(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


def test_a_model_comes_back_with_its_weights_and_not_compiled(tmp_path, rng):
    model = plain()
    model.compile("sgd", "mse")
    loaded = model_files.load(saved(model, tmp_path))
    x = rng.random((2, 4, 5, 3)).astype("float32")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))
    assert not loaded.compiled


def with_config(path, change):
    """Writes the file anew with a changed config."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config)
    content["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def test_a_loss_that_nobody_knows_does_not_matter_as_it_is_not_loaded(tmp_path):
    model = plain()
    model.compile("sgd", OfTheTest())
    path = saved(model, tmp_path)

    def rename(config):
        config["compile_config"]["loss"]["registered_name"] = "gone>OfTheTest"
        config["compile_config"]["loss"]["module"] = "gone"

    assert model_files.load(with_config(path, rename)).output_shape == (None, None, None, 3)


def test_code_is_refused_however_deep_it_lies(tmp_path):
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Lambda(lambda x: x)])
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(inner(image)))
    with pytest.raises(ValueError, match="holds a Lambda layer, which is Python code"):
        model_files.load(saved(model, tmp_path))


def test_a_config_that_makes_no_model_is_one_line_with_the_remedy(tmp_path):
    def spoil(config):
        config["config"]["layers"][1]["config"]["kernel_size"] = [-1, 1]

    with pytest.raises(ValueError, match="model.keras cannot be loaded: .* Take the .keras") as e:
        model_files.load(with_config(saved(plain(), tmp_path), spoil))
    assert "\n" not in str(e.value)


def test_a_file_without_a_config_is_damaged(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("notes.txt", "no model")
    with pytest.raises(ValueError, match="model.keras is damaged: .*config.json.* Take the .keras"):
        model_files.load(tmp_path / "model.keras")


def test_channels_are_those_of_the_images_in_either_data_format():
    first = unet((5, None, None), 2, width=0.02, data_format="channels_first")
    assert model_files.channels_of(first, "a") == 5
    assert model_files.channels_of(plain(shape=(None, None, 4)), "a") == 4


def test_what_does_not_turn_an_image_into_a_map_is_refused():
    image, other = keras.Input((8, 9, 3)), keras.Input((8, 9, 1))
    flat = keras.Model(image, keras.layers.Flatten()(image))
    two = keras.Model([image, other], keras.layers.Concatenate()([image, other]))
    open_channels = keras.Input((None, None, None))
    unknown = keras.Model(open_channels, keras.layers.ReLU()(open_channels))
    for model in (flat, two, unknown):
        with pytest.raises(ValueError, match="x.keras must be a model from one image"):
            model_files.channels_of(model, "x.keras")


def test_names_and_colours_are_those_of_the_model():
    colours = ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    known = model_files.classes_in(
        with_classes(plain(), ["a", "b", "c"], colours, image_size=(8, 9))
    )
    assert (known.class_names, known.colours) == (("a", "b", "c"), colours)
    assert known.image_size == (8, 9)


@pytest.mark.parametrize(
    ("channels", "activation", "names"),
    [
        (3, None, ("class 0", "class 1", "class 2")),
        (1, "sigmoid", ("class 0", "class 1")),
        (3, "sigmoid", ("label 0", "label 1", "label 2")),
    ],
)
def test_without_names_there_are_numbers_and_colours_that_differ(channels, activation, names):
    known = model_files.classes_in(plain(channels, activation=activation))
    assert known.class_names == names
    assert known.multi_label == names[0].startswith("label")
    assert len({*known.colours}) == len(names)
    assert (known.colours[0] == (0, 0, 0)) != known.multi_label  # no label is painted black


def test_names_without_colours_get_some():
    known = model_files.classes_in(with_classes(plain(), ["a", "b", "c"]))
    assert known.class_names == ("a", "b", "c")
    assert len({*known.colours}) == 3
