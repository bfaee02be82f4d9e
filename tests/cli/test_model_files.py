"""Reading a model from a file that anyone may have given us."""

import json
import os
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


def with_parts(path, compression=zipfile.ZIP_STORED, **parts):
    """Writes the file anew with other parts, `None` for one that is left out."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    named = {"config": "config.json", "weights": "model.weights.h5", "arrays": "model.weights.npz"}
    content |= {named[name]: part for name, part in parts.items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, part in content.items():
            if part is not None:
                archive.writestr(name, part)
    return path


def with_config(path, change):
    """Writes the file anew with a changed config."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    change(config)
    return with_parts(path, config=json.dumps(config))


def config_of(config, kind):
    """The config of the first layer of a kind."""
    layers = config["config"]["layers"]
    return next(layer["config"] for layer in layers if layer["class_name"] == kind)


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

    with pytest.raises(ValueError, match="model.keras cannot be loaded: .*-1.* Take the .k") as e:
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


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"config": b" " * 10**6}, "damaged: .* bytes unpack to 1,0.*, which is no model"),
        ({"weights": b"\0" * 10**6}, "damaged: .* bytes unpack to 1,0.*, which is no model"),
        ({"weights": None}, "holds no weights"),
        ({"weights": None, "arrays": b"junk"}, "cannot be loaded"),
        ({"weights": b"junk"}, "cannot be loaded"),
        ({"config": b"[1, 2]"}, "cannot be loaded"),
        ({"config": b"[" * 10**5}, "damaged"),
        ({"config": b"\xff\xfe"}, "damaged"),
        ({"config": b'{"epochs": ' + b"9" * 5000 + b"}"}, "damaged"),
    ],
    ids=range(9),
)
def test_an_archive_of_other_parts_is_one_line_and_read_only_if_its_size_is_sound(
    parts, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(model_files, "MOST_CONFIG", 5 * 10**5)
    monkeypatch.setattr(model_files, "FEW", 5 * 10**5)
    path = with_parts(saved(plain(), tmp_path), zipfile.ZIP_DEFLATED, **parts)
    with pytest.raises(ValueError, match=f"model.keras .*{message}.* Take the .keras") as error:
        model_files.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("place", "value"), [((6, 8), 1), ((8, 10), 99)], ids=["code", "method"])
def test_an_encrypted_or_unusual_archive_is_one_line(place, value, tmp_path):
    path = saved(plain(), tmp_path)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", place[0]), (b"PK\x01\x02", place[1])):
        start = content.find(mark)
        while start >= 0:
            content[start + offset] = value
            start = content.find(mark, start + 4)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="model.keras is damaged: .* Take the .keras"):
        model_files.load(path)


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.keras")
    (tmp_path / "device.keras").symlink_to("/dev/zero")
    (tmp_path / "folder.keras").mkdir()
    for name in ("pipe", "device", "folder"):
        with pytest.raises(ValueError, match=f"{name}.keras is no .keras file, nor any regular"):
            model_files.load(tmp_path / f"{name}.keras")


@pytest.mark.parametrize("thing", [keras.layers.Dense(3), keras.losses.MeanSquaredError()])
def test_a_layer_or_a_loss_is_no_model(thing, tmp_path):
    config = json.dumps(keras.saving.serialize_keras_object(thing))
    path = with_parts(saved(plain(), tmp_path), config=config)
    with pytest.raises(ValueError, match=f"holds a {type(thing).__name__}, which is no model"):
        model_files.load(path)


def test_a_model_that_was_never_built_is_refused(tmp_path):
    path = saved(keras.Sequential([keras.layers.Conv2D(3, 1)]), tmp_path)
    with pytest.raises(ValueError, match="holds a model that was never built"):
        model_files.load(path)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Conv2D", {"filters": 10**9}),
        ("Conv2D", {"filters": 10**30}),
        ("Conv2D", {"kernel_size": [10**5, 10**5]}),
    ],
)
def test_a_model_that_declares_far_more_weights_than_its_file_holds_is_refused(
    kind, changes, tmp_path
):
    path = saved(plain(), tmp_path)
    with_config(path, lambda config: config_of(config, kind).update(changes))
    with pytest.raises(ValueError, match=r"it declares [\d,]+ weights, and holds [\d,]+ bytes of"):
        model_files.load(path)


def test_weights_of_another_model_are_one_line(tmp_path, recwarn):
    path = saved(plain(), tmp_path)
    (tmp_path / "other").mkdir()
    with zipfile.ZipFile(saved(plain(5), tmp_path / "other")) as archive:
        weights = archive.read("model.weights.h5")
    with pytest.raises(ValueError, match="cannot be loaded: A total of 1 objects could not") as e:
        model_files.load(with_parts(path, weights=weights))
    assert "\n" not in str(e.value)
    assert not [each for each in recwarn if "loaded" in str(each.message)]


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(number, tmp_path):
    model = plain()
    kernel, bias = model.get_weights()
    bias[1] = number
    model.set_weights([kernel, bias])
    with pytest.raises(
        ValueError, match="weights that are not numbers, in .*bias: the training di"
    ):
        model_files.load(saved(model, tmp_path))


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d", "e"]])
def test_names_that_are_not_those_of_the_channels_are_refused(names, tmp_path):
    path = saved(with_classes(plain(), ["a", "b", "c"]), tmp_path)

    def rename(config):
        config_of(config, "NamedClasses").update(class_names=names, colours=None)

    with pytest.raises(ValueError, match=f"names {len(names)} classes, but gives scores of 3"):
        model_files.load(with_config(path, rename))


def test_a_model_with_a_dict_of_outputs_is_read(tmp_path):
    image = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(3, 1)(image)
    other = keras.layers.GlobalAveragePooling2D()(maps)
    model = model_files.load(saved(keras.Model(image, {"z": maps, "a": other}), tmp_path))
    assert model_files.channels_of(model, "x.keras") == 3
    assert len(model_files.classes_in(model).class_names) == 3
