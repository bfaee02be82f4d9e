"""Tiled prediction equals prediction of the whole, and shows no seam."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from kerasseg import models
from kerasseg.inference.prediction import Axis, predict_image


def picture(height, width, channels=3):
    return np.random.default_rng(0).random((height, width, channels), "float32")


def identity(shape=(None, None, 3)):
    return keras.Sequential([keras.Input(shape), keras.layers.Identity()])


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (97, 131), (64, 64), (65, 33)])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("tile", "overlap"), [(None, 0), (32, 0.0), ((64, 32), 0.5), (64, 0.9)])
def test_an_identity_model_reproduces_the_image(size, flip, tile, overlap):
    image = picture(*size)
    result = predict_image(
        identity(), image, tile=tile, overlap=overlap, flip=flip, output="raw", batch_size=3
    )
    np.testing.assert_allclose(result, image, atol=1e-6)


def test_a_model_of_one_size_reproduces_larger_and_smaller_images():
    for size in ((20, 30), (100, 70)):
        result = predict_image(identity((48, 64, 3)), picture(*size), output="raw")
        np.testing.assert_allclose(result, picture(*size), atol=1e-6)


def narrow_unet():
    """A U-Net's grid, pads and strides, but one pooling: a receptive field of some 20 pixels."""
    image = keras.Input((None, None, 3))
    x = inner = models.unets.PadToMultiple(16)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.MaxPooling2D(4)(x)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(4, 4, strides=4)(x)
    x = keras.layers.Concatenate()([x, inner])
    x = keras.layers.Conv2D(5, 1)(x)
    return keras.Model(image, models.unets.CenterCropLike()(x, image))


@pytest.mark.parametrize("size", [(150, 203), (161, 97), (160, 224)])
def test_away_from_the_edges_tiles_give_what_the_whole_image_gives(size):
    image, model = picture(*size), narrow_unet()
    whole = predict_image(model, image, output="probabilities")
    tiled = predict_image(model, image, tile=96, overlap=0.7, output="probabilities")
    assert tiled.shape == (*size, 5)
    inner = (slice(16, -16), slice(16, -16))
    np.testing.assert_allclose(tiled[inner], whole[inner], atol=1e-5)


def test_weights_vanish_at_inner_edges_and_add_up_to_one_between_regular_tiles():
    axis = Axis(length=1000, tile=128, overlap=0.5, offset=4)
    assert all((start + 4) % 32 == 0 for start in axis.starts)
    assert axis.starts[0] <= 0
    assert axis.starts[-1] + 128 >= 1000
    total = np.zeros(1200)
    for i, start in enumerate(axis.starts):
        weights = axis.weights(i)
        assert i == 0 or (weights[:16] == 0).all()
        assert i == len(axis.starts) - 1 or (weights[-16:] == 0).all()
        total[start + 4 :][:128] += weights
    np.testing.assert_allclose(total[: axis.starts[-2] + 68], 1, atol=1e-6)
    assert (total[4:1004] > 0.5).all()


def test_classes_are_the_largest_logits_and_probabilities_add_up_to_one():
    model = models.unet((None, None, 3), 4, width=0.05)
    image = picture(37, 45)
    logits = predict_image(model, image, output="raw")
    classes = predict_image(model, image)
    probabilities = predict_image(model, image, output="probabilities")
    assert classes.dtype == np.uint8
    np.testing.assert_array_equal(classes, logits.argmax(-1))
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(
        probabilities, keras.ops.convert_to_numpy(keras.ops.softmax(logits)), atol=1e-6
    )


def test_a_model_that_ends_in_softmax_is_not_squashed_twice():
    softmax = models.unet((None, None, 3), 4, width=0.05, activation="softmax")
    logits = models.unet((None, None, 3), 4, width=0.05)
    logits.set_weights(softmax.get_weights())
    first, second = (
        predict_image(model, picture(32, 32), output="probabilities") for model in (softmax, logits)
    )
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_flipping_makes_the_answer_the_same_for_the_mirrored_image():
    model = models.unet((None, None, 3), 4, width=0.05)
    image = picture(32, 48)
    plain = predict_image(model, image, flip=True, output="raw")
    mirrored = predict_image(model, image[:, ::-1], flip=True, output="raw")
    np.testing.assert_allclose(mirrored[:, ::-1], plain, atol=1e-5)


def test_bytes_are_scaled_to_one():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype("uint8")
    result = predict_image(identity(), image, tile=32, output="raw")
    np.testing.assert_allclose(result, image / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((2, 5, 5, 3))}, r"one image without a batch.*\(2, 5, 5, 3\)"),
        ({"image": np.zeros((5, 5, 1))}, r"\(height, width, 3\).*\(5, 5, 1\)"),
        ({"image": np.zeros((5, 5, 3), "int32")}, "float in .0, 1., or uint8.*int32"),
        ({"image": np.full((5, 5, 3), 255.0)}, "a value of 255. Divide by the largest"),
        ({"tile": 0}, "positive integer.*tile"),
        ({"overlap": 1}, "`overlap` must be from 0 to 0.9. Received: overlap=1"),
        ({"output": "logits"}, "Received: output='logits'"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"image": np.zeros((5, 5, 3)), **change}
    with pytest.raises(ValueError, match=message):
        predict_image(identity(), **arguments)


LARGE = """
import resource, numpy as np, kerasseg
model = kerasseg.models.unet((None, None, 3), 11, width=0.05)
kerasseg.predict_image(model, np.zeros((512, 512, 3), "uint8"))
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
before = peak()
classes = kerasseg.predict_image(model, np.zeros((9000, 12000, 3), "uint8"), tile=512)
assert classes.shape == (9000, 12000) and classes.dtype == "uint8"
print(peak() - before)
"""


@pytest.mark.slow
def test_a_picture_of_108_million_pixels_needs_less_than_two_gib():
    result = subprocess.run(
        [sys.executable, "-c", LARGE], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) < 2


def test_a_path_instead_of_a_model_is_refused_with_the_remedy():
    with pytest.raises(TypeError, match="Received: model='m.keras'.*load_model"):
        predict_image("m.keras", picture(5, 5))
