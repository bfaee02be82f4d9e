"""Class names inside the model: they travel in its file, and nothing else changes."""

import zipfile

import keras
import numpy as np
import pytest

import kerasseg
from kerasseg.layers import NamedClasses
from kerasseg.models import classes_of, unet, with_classes
from tests.conftest import outputs_in_fresh_process
from tests.layers.cases import numpy

NAMES = ("road", "sky", "보행자")
COLOURS = ((128, 64, 128), (70, 130, 180), (220, 20, 60))


def small_unet(shape=(None, None, 3), **arguments):
    return unet(shape, 3, width=1 / 32, **arguments)


def test_names_colours_void_and_size_travel_in_the_file(tmp_path, rng):
    path = tmp_path / "model.keras"
    images = rng.random((2, 9, 14, 3)).astype("float32")
    model = with_classes(small_unet(), NAMES, np.array(COLOURS, "uint8"), None, (9, 14))
    model.save(path)
    known = classes_of(keras.saving.load_model(path))
    assert (known.class_names, known.colours) == (NAMES, COLOURS)
    assert (known.ignore_class, known.image_size) == (None, (9, 14))
    expected = numpy(model(images))
    np.testing.assert_allclose(outputs_in_fresh_process(path, images), expected, atol=1e-5)


def test_a_model_without_names_has_none():
    assert classes_of(small_unet()) is None


def test_named_classes_share_weights_and_leave_the_logits_alone(rng):
    model = small_unet()
    named = with_classes(model, NAMES)
    images = rng.random((1, 8, 11, 3)).astype("float32")
    np.testing.assert_array_equal(numpy(named(images)), numpy(model(images)))
    assert named.name == model.name
    assert all(a is b for a, b in zip(named.weights, model.weights, strict=True))


def test_new_names_replace_the_old_ones():
    named = with_classes(with_classes(small_unet(), NAMES, COLOURS), ["a", "b", "c"])
    assert classes_of(named).class_names == ("a", "b", "c")
    assert classes_of(named).colours is None
    assert sum(isinstance(layer, NamedClasses) for layer in named.layers) == 1


def test_logits_stay_float32_under_mixed_precision(rng):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_unet()
        named = with_classes(model, NAMES)
    finally:
        keras.config.set_dtype_policy("float32")
    images = rng.random((1, 8, 8, 3)).astype("float32")
    assert model.layers[3].compute_dtype == "float16"
    assert named.output.dtype == "float32"
    np.testing.assert_array_equal(numpy(named(images)), numpy(model(images)))
    assert keras.backend.standardize_dtype(named(images).dtype) == "float32"


def test_the_receptive_field_stays():
    model = small_unet()
    assert kerasseg.receptive_field(with_classes(model, NAMES)) == kerasseg.receptive_field(model)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_predict_image_stays(activation, rng):
    model = small_unet(activation=activation)
    named = with_classes(model, NAMES)
    image = rng.random((40, 70, 3)).astype("float32")
    for output in ("classes", "probabilities"):
        ours, theirs = (
            kerasseg.predict_image(m, image, tile=32, flip=True, output=output)
            for m in (named, model)
        )
        np.testing.assert_array_equal(ours, theirs)


def test_channels_first_models_and_sequential_ones_have_names_too():
    first = unet((3, None, None), 3, width=1 / 32, data_format="channels_first")
    assert classes_of(with_classes(first, NAMES)).class_names == NAMES
    plain = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1)])
    assert classes_of(with_classes(plain, NAMES)).class_names == NAMES


def test_the_file_needs_nothing_unsafe(tmp_path):
    with_classes(small_unet(), NAMES).save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert b"Lambda" not in archive.read("config.json")


def two_outputs():
    image = keras.Input((None, None, 3))
    return keras.Model(image, [keras.layers.Conv2D(3, 1)(image) for _ in range(2)])


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (small_unet, {"class_names": NAMES[:2]}, "each of the model's 3 classes. Received: 2"),
        (small_unet, {"class_names": "abc"}, "distinct names"),
        (small_unet, {"class_names": NAMES, "colours": COLOURS[:2]}, "3 times .* Received: 2"),
        (two_outputs, {"class_names": NAMES}, "must have one output"),
    ],
)
def test_what_does_not_fit_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        with_classes(model(), **arguments)


def test_a_binary_model_has_two_names_or_one_for_the_foreground(tmp_path):
    model = unet((None, None, 3), 1, width=1 / 32, activation="sigmoid")
    known = classes_of(with_classes(model, ["sky", "cloud"], [(1, 2, 3), (4, 5, 6)]))
    assert (known.class_names, known.multi_label) == (("sky", "cloud"), False)
    named = with_classes(model, ["cloud"], [(4, 5, 6)])
    named.save(tmp_path / "model.keras")
    known = classes_of(keras.saving.load_model(tmp_path / "model.keras"))
    assert known.class_names == ("background", "cloud")
    assert known.colours == ((0, 0, 0), (4, 5, 6))
    with pytest.raises(ValueError, match="each of the model's 2 classes. Received: 3"):
        with_classes(model, NAMES)
    with pytest.raises(ValueError, match="each of the model's 2 classes. Received: 1"):
        with_classes(unet((None, None, 3), 2, width=1 / 32), ["cloud"])


@pytest.mark.parametrize("activation", [None, "sigmoid", "softmax"])
def test_multi_label_is_said_or_follows_from_sigmoids(activation):
    model = small_unet(activation=activation)
    assert classes_of(with_classes(model, NAMES)).multi_label == (activation == "sigmoid")
    by_activation = {"sigmoid": True, "softmax": False}.get(activation)
    for multi_label in (True, False):
        if by_activation in (None, multi_label):
            named = with_classes(model, NAMES, multi_label=multi_label)
            assert classes_of(named).multi_label == multi_label
        else:
            with pytest.raises(ValueError, match=f"must have multi_label={by_activation}"):
                with_classes(model, NAMES, multi_label=multi_label)


def test_classes_of_finds_the_layer_in_nested_models_the_outermost_first():
    named = with_classes(small_unet(), NAMES)
    around = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Rescaling(2.0), named])
    assert classes_of(around).class_names == NAMES
    assert classes_of(with_classes(around, ["a", "b", "c"])).class_names == ("a", "b", "c")


class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = small_unet(activation="softmax")

    def call(self, images):
        return self.inner(images)


class Training(Subclassed):
    def call(self, images, training=False):
        return self.inner(images, training=False) * (2.0 if training else 1.0)


def test_a_subclassed_model_with_names_still_trains_as_it_did(rng):
    model, images = Training(), rng.random((1, 8, 11, 3)).astype("float32")
    inferred, trained = numpy(model(images)), numpy(model(images, training=True))
    named = with_classes(model, NAMES)
    np.testing.assert_allclose(numpy(named(images)), inferred, atol=1e-6)
    np.testing.assert_allclose(numpy(named(images, training=True)), trained, atol=1e-6)
    assert trained.max() > inferred.max()


def test_a_subclassed_model_is_given_names(tmp_path, rng):
    model = Subclassed()
    with pytest.raises(ValueError, match="has been called.*Received: model=subclassed"):
        with_classes(model, NAMES)
    images = rng.random((1, 8, 11, 3)).astype("float32")
    expected = numpy(model(images))
    with_classes(model, NAMES).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", {"Subclassed": Subclassed})
    assert classes_of(loaded).class_names == NAMES
    np.testing.assert_allclose(numpy(loaded(images)), expected, atol=1e-6)
