"""Frozen encoders, and how they learn again."""

import keras
import numpy as np
import pytest

from kerasseg import models
from tests.models.zoo import outputs, picture

SMALL = {"width": 0.05, "encoder_trainable": False}
FROZEN = {
    "segnet": (lambda **x: models.segnet((32, 32, 3), 2, **x), "encoder"),
    "fcn8s": (lambda **x: models.fcn8s((32, 32, 3), 2, **x), "encoder"),
    "deeplab_v3": (lambda **x: models.deeplab_v3((33, 33, 3), 2, **x), "conv"),
}


def encoder_layers(model, start):
    return [
        layer
        for layer in model.layers
        if layer.name.startswith(start) and "_scores" not in layer.name and layer.weights
    ]


@pytest.mark.parametrize("name", FROZEN)
def test_a_frozen_encoder_has_no_trainable_weights_and_the_rest_is_as_it_was(name):
    build, start = FROZEN[name]
    model, whole = build(**SMALL), build(width=0.05)
    inside = {layer.name for layer in encoder_layers(model, start)}
    assert len(inside) >= 13
    for layer, other in zip(model.layers, whole.layers, strict=True):
        expected = [] if layer.name in inside else [x.shape for x in other.trainable_weights]
        assert [x.shape for x in layer.trainable_weights] == expected, layer.name


@pytest.mark.parametrize("name", FROZEN)
def test_unfreezing_makes_it_what_it_would_have_been(name):
    build, _ = FROZEN[name]
    model, whole = build(**SMALL), build(width=0.05)
    models.unfreeze(model)
    shapes = [[x.shape for x in m.trainable_weights] for m in (model, whole)]
    assert shapes[0] == shapes[1]  # FCN's last upsampling is still fixed


def test_its_normalizations_work_as_in_prediction_while_it_trains():
    model = models.segnet((32, 32, 3), 2, **SMALL)
    probe = keras.Model(model.input, model.get_layer("encoder5_conv3_relu").output)
    images = picture(32, 32)
    np.testing.assert_array_equal(
        *(
            keras.ops.convert_to_numpy(probe(images, training=training))
            for training in (False, True)
        )
    )
    before = [x.get_weights() for x in encoder_layers(model, "encoder")]
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() != "jax")
    model.fit(images, np.zeros((2, 32, 32, 2)), verbose=0)
    after = [x.get_weights() for x in encoder_layers(model, "encoder")]
    for weights in zip(keras.tree.flatten(before), keras.tree.flatten(after), strict=True):
        np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize("encoder", [None, "nested"])
def test_a_model_from_a_file_is_still_frozen_and_learns_again(encoder, tmp_path):
    if encoder:
        x = image = keras.Input((None, None, 3))
        for i in range(2):
            x = keras.layers.Conv2D(4, 3, 2, padding="same", name=f"stage{i}")(x)
            x = keras.layers.BatchNormalization(name=f"stage{i}_bn")(x)
        model = models.unet((32, 32, 3), 2, encoder=keras.Model(image, x), **SMALL)
    else:
        model = models.segnet((32, 32, 3), 2, **SMALL)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    frozen = [x.path for x in model.trainable_weights]
    assert [x.path for x in loaded.trainable_weights] == frozen
    for either in (model, loaded):
        models.unfreeze(either)
    assert [x.path for x in loaded.trainable_weights] == [x.path for x in model.trainable_weights]
    assert len(loaded.trainable_weights) > len(frozen)
    images = picture(32, 32)
    np.testing.assert_allclose(outputs(loaded, images), outputs(model, images), atol=1e-6)


def test_a_model_with_names_of_classes_can_be_unfrozen():
    model = models.with_classes(models.segnet((32, 32, 3), 2, **SMALL), ["a", "b"])
    count = len(model.trainable_weights)
    models.unfreeze(model)
    assert len(model.trainable_weights) == count + 2 * 13 * 2


def test_a_model_without_an_encoder_is_refused():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)], name="small")
    with pytest.raises(ValueError, match="must have an encoder.* Received: model=small"):
        models.unfreeze(model)


def test_layers_that_the_classifier_froze_learn_after_unfreezing():
    x = image = keras.Input((None, None, 3))
    for i in range(2):
        x = keras.layers.Conv2D(4, 3, 2, padding="same", name=f"stage{i}")(x)
    theirs = keras.Model(image, x)
    theirs.get_layer("stage0").trainable = False
    model = models.unet((32, 32, 3), 2, encoder=theirs, width=0.05)
    assert len(model.get_layer("encoder").trainable_weights) == 2
    models.unfreeze(model)
    assert len(model.get_layer("encoder").trainable_weights) == 4
