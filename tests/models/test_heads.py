"""A new head: all weights but its own are those of the old model, and it gives the new classes."""

import keras
import numpy as np
import pytest

from kerasseg import models
from kerasseg.models.heads import head_of, with_new_head
from tests.models.zoo import outputs, picture

QUICK = ("unet", "fcn8s", "deeplab_v2", "dilatednet")
SLOW = ("segnet_basic", "deeplab_v3", "fc_densenet56", "hypercolumn", "pspnet")
EACH = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def small(name, num_classes, **arguments):
    return getattr(models, name)((None, None, 3), num_classes, width=0.05, **arguments)


@pytest.mark.parametrize("name", EACH)
def test_it_is_a_new_model_of_other_classes_with_the_old_weights_below_its_head(name):
    old = small(name, 7)
    new, whole = with_new_head(old, 2), small(name, 2)
    heads = head_of(old)
    assert heads == ["scores"] or name != "unet"
    assert new.output.shape == whole.output.shape
    assert {layer.name for layer in new.layers} == {layer.name for layer in whole.layers}
    for layer in new.layers:
        if layer.name in heads:
            assert [w.shape for w in layer.weights] != [
                w.shape for w in old.get_layer(layer.name).weights
            ]
            continue
        theirs = old.get_layer(layer.name)
        assert layer is not theirs
        assert layer.trainable == theirs.trainable
        for ours, other in zip(layer.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, other)
    shapes = [[w.shape for w in model.weights] for model in (new, whole)]
    assert name == "dilatednet" or shapes[0] == shapes[1]


def test_upsampled_scores_are_scores_of_the_new_classes_too():
    assert set(head_of(small("fcn8s", 7))) > {"fc7_scores", "encoder3_scores", "encoder4_scores"}


def test_the_new_model_learns_and_the_old_one_stays_as_it_was():
    old = models.with_classes(small("unet", 3), ["a", "b", "c"])
    images = picture(16, 16)
    before = outputs(old, images)
    new = models.with_classes(with_new_head(old, 2), ["cell", "ground"])
    assert models.classes_of(new).class_names == ("cell", "ground")
    new.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    new.fit(images, np.zeros((2, 16, 16), int), verbose=0)
    np.testing.assert_array_equal(outputs(old, images), before)


def test_names_of_the_old_classes_are_gone():
    old = models.with_classes(small("unet", 3), ["a", "b", "c"])
    assert models.classes_of(with_new_head(old, 2)) is None


def test_an_activation_stays_and_one_that_does_not_fit_is_refused():
    old = small("unet", 3, activation="softmax")
    probabilities = outputs(with_new_head(old, 5), picture(16, 16))
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="ends in a softmax cannot give a yes or no.*'sigmoid'"):
        with_new_head(old, 5, multi_label=True)
    with pytest.raises(ValueError, match="ends in a sigmoid cannot give one of several"):
        with_new_head(small("unet", 1, activation="sigmoid"), 2)


def test_what_has_no_head_of_its_own_is_refused():
    image = keras.Input((None, None, 3))
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 1)])
    with pytest.raises(ValueError, match="must be layers of the model itself.*Received: 'conv2d"):
        with_new_head(keras.Model(image, inner(image)), 2)
    with pytest.raises(ValueError, match="must end in a layer with weights"):
        with_new_head(keras.Model(image, keras.layers.Identity()(image)), 2)
    maps = keras.layers.Conv2D(4, 1)(image)
    with pytest.raises(ValueError, match="must have one output.* of 2 outputs"):
        with_new_head(keras.Model(image, [maps, maps]), 2)
