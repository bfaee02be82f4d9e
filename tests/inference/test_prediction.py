"""Tiled prediction equals prediction of the whole, and shows no seam."""

import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasseg
from kerasseg import layers, models
from kerasseg.inference.prediction import Tiling, predict_image


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
    x = inner = layers.PadToMultiple(16)(image)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.MaxPooling2D(4)(x)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(4, 4, strides=4)(x)
    x = keras.layers.Concatenate()([x, inner])
    x = keras.layers.Conv2D(5, 1)(x)
    return keras.Model(image, layers.CenterCropLike()(x, image))


@pytest.mark.parametrize("size", [(150, 203), (161, 97), (160, 224)])
def test_away_from_the_edges_tiles_give_what_the_whole_image_gives(size):
    image, model = picture(*size), narrow_unet()
    whole = predict_image(model, image, output="probabilities")
    tiled = predict_image(model, image, tile=96, overlap=0.7, output="probabilities")
    assert tiled.shape == (*size, 5)
    inner = (slice(16, -16), slice(16, -16))
    np.testing.assert_allclose(tiled[inner], whole[inner], atol=1e-5)


def test_weights_vanish_at_inner_edges_and_add_up_to_one_between_regular_tiles():
    axis = Tiling(length=1000, tile=128, overlap=0.5, offset=4)
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


def test_a_softmax_of_an_earlier_file_is_not_applied_twice(tmp_path):
    with tarfile.open(Path(__file__).parents[1] / "saved" / "by_d3a85cd.tar.xz") as archive:
        archive.extract("./unet_softmax.keras", tmp_path, filter="data")
    model = keras.saving.load_model(tmp_path / "unet_softmax.keras", compile=False)
    image = picture(32, 48)
    own = keras.ops.convert_to_numpy(model(image[None]))[0]
    np.testing.assert_allclose(predict_image(model, image, output="probabilities"), own, atol=1e-6)


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
        ({"image": np.full((5, 5, 3), np.nan)}, "float in .0, 1.*a value of nan. Replace it"),
        ({"image": np.full((5, 5, 3), -np.inf)}, "a value of inf. Replace it"),
        ({"image": np.full((5, 5, 3), -90.0)}, "a value of 90. Divide by the largest"),
        ({"image": np.full((5, 5, 3), 9, "uint16")}, "uint8.*dtype=uint16. Divide by the largest"),
        ({"tile": 0}, "positive integer.*tile"),
        ({"tile": True}, r"positive integer.*tile=\(True, True\)"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer. Received: batch_size=0"),
        ({"flip": "horizontal"}, "`flip` must be True or False. Received: flip='horizontal'"),
        ({"overlap": "a"}, "`overlap` must be from 0 to 0.9. Received: overlap='a'"),
        ({"overlap": 1}, "`overlap` must be from 0 to 0.9. Received: overlap=1"),
        ({"output": "logits"}, "Received: output='logits'"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"image": np.zeros((5, 5, 3)), **change}
    with pytest.raises(ValueError, match=message):
        predict_image(identity(), **arguments)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def softmax_in_a_nested_model():
    image = keras.Input((None, None, 3))
    inner = models.unet((None, None, 3), 4, width=0.05, activation="softmax")
    return keras.Model(image, inner(keras.layers.Rescaling(2.0, -1.0)(image)))


def softmax_then_upsampling_and_cropping():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, 2, padding="same", activation="softmax")(image)
    x = kerasseg.layers.BilinearUpsampling2D(4)(x)
    return keras.Model(image, kerasseg.layers.CenterCropLike()(x, image))


@pytest.mark.parametrize("build", [softmax_in_a_nested_model, softmax_then_upsampling_and_cropping])
def test_probabilities_of_a_softmax_deep_in_the_model_are_its_own_numbers(build):
    model, image = build(), picture(64, 96)
    for kernel in (w for w in model.weights if "kernel" in w.path):
        kernel.assign(3 * kernel)
    own = numpy(model(image[None]))[0]
    assert np.ptp(own) > 0.3
    np.testing.assert_allclose(predict_image(model, image, output="probabilities"), own, atol=1e-6)
    flipped = numpy(model(image[None, :, ::-1]))[0, :, ::-1]
    found = predict_image(model, image, output="probabilities", flip=True)
    np.testing.assert_allclose(found, (own + flipped) / 2, atol=1e-6)
    for tile in (64, 32):
        found = predict_image(model, image, output="probabilities", tile=tile, flip=tile == 32)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)
        raw = predict_image(model, image, output="raw", tile=tile, flip=tile == 32)
        np.testing.assert_array_equal(found, raw)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_channel_gives_ids_0_and_1_and_the_models_own_probabilities(activation):
    model, image = (
        models.unet((None, None, 3), 1, width=0.05, activation=activation),
        picture(37, 45),
    )
    raw = predict_image(model, image, output="raw")
    own = raw if activation else 1 / (1 + np.exp(-raw))
    probabilities = predict_image(model, image, output="probabilities")
    np.testing.assert_allclose(probabilities, own, atol=1e-6)
    ids = predict_image(model, image)
    assert (ids.dtype, ids.shape) == (np.uint8, (37, 45))
    assert 0 < ids.mean() < 1
    np.testing.assert_array_equal(ids, own[..., 0] > 0.5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
@pytest.mark.parametrize("tile", [None, 32])
def test_several_labels_a_pixel_are_one_mask_a_label(activation, tile):
    model = models.unet((None, None, 3), 3, width=0.05, activation=activation)
    if activation is None:
        model = models.with_classes(model, ["a", "b", "c"], multi_label=True)
    image = picture(40, 70)
    labels = predict_image(model, image, tile=tile)
    probabilities = predict_image(model, image, tile=tile, output="probabilities")
    assert (labels.dtype, labels.shape) == (np.uint8, (40, 70, 3))
    np.testing.assert_array_equal(labels, probabilities > 0.5)
    assert np.ptp(probabilities.sum(-1)) > 0.1  # they are no shares of one


@pytest.mark.parametrize("channels", [1, 3])
def test_probabilities_of_tiles_are_averaged_and_not_their_logits(channels):
    """Where two tiles overlap, so that it is the probability that is blended."""
    model = models.unet((None, None, 3), channels, width=0.05)
    ended = models.unet(
        (None, None, 3), channels, width=0.05, activation="softmax" if channels > 1 else "sigmoid"
    )
    ended.set_weights(model.get_weights())
    ours, theirs = (
        predict_image(m, picture(50, 90), tile=64, overlap=0.5, output="probabilities", flip=True)
        for m in (model, ended)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def rescaled(inner):
    image = keras.Input((None, None, 3))
    return keras.Model(image, inner(keras.layers.Rescaling(1.0)(image)))


class Around(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, images):
        return self.inner(1.0 * images)


def subclassed(inner):
    model = Around(inner)
    model(picture(5, 7)[None])
    return model


WRAPPED = {
    "rescaled": rescaled,
    "rescaled twice": lambda inner: rescaled(rescaled(inner)),
    "subclassed": subclassed,
    "subclassed and rescaled": lambda inner: rescaled(Around(inner)),
}
if keras.backend.backend() == "jax":  # where Keras cannot infer a `call` for maps of any size
    del WRAPPED["subclassed and rescaled"]


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("size", [(150, 203), (161, 97)])
def test_tiles_find_the_padding_of_a_nested_model(wrap, size):
    image, model = picture(*size), wrap(narrow_unet())
    whole = predict_image(model, image, output="raw")
    tiled = predict_image(model, image, tile=96, overlap=0.7, output="raw")
    inner = (slice(16, -16), slice(16, -16))
    np.testing.assert_allclose(tiled[inner], whole[inner], atol=1e-5)
    np.testing.assert_allclose(whole, predict_image(narrow(model), image, output="raw"), atol=1e-6)


def narrow(model):
    """The innermost model."""
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return narrow(inside[0]) if inside else model


@pytest.mark.parametrize("size", [(4, 4), (33, 50)])
def test_a_model_of_one_size_below_32_pixels_predicts_larger_images(size):
    for given in ((16, 16, 3), (24, 20, 3), (1, 1, 3)):
        found = predict_image(identity(given), picture(*size), output="raw", batch_size=64)
        np.testing.assert_allclose(found, picture(*size), atol=1e-6)
    model = models.unet((16, 16, 3), 4, width=0.05)
    assert predict_image(model, picture(*size)).shape == size


@pytest.mark.parametrize("size", [(1, 1), (9, 40), (131, 77)])
def test_a_network_that_loses_its_border_is_given_a_mirrored_one(size):
    valid = keras.Sequential(
        [keras.Input((None, None, 3)), *[keras.layers.Conv2D(4, 3) for _ in range(3)]]
    )
    image = picture(*size)
    mirrored = np.pad(image, ((3, 3), (3, 3), (0, 0)), "reflect")
    expected = numpy(valid(mirrored[None]))[0]
    assert expected.shape == (*size, 4)
    for tile in (None, 32, 64):
        found = predict_image(valid, image, output="raw", tile=tile)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_papers_unet_gives_every_pixel_whole_and_in_tiles_alike():
    model = models.unet((None, None, 3), 3, width=0.05, padding="valid")
    image = picture(100, 230)
    whole = predict_image(model, image, output="raw")
    # 100 + 184 rows are 284 = 16 * 17 + 12; 230 + 184 columns are 414, and 428 is the next.
    margins = ((92, 92), (92 + 7, 92 + 7), (0, 0))
    expected = numpy(model(np.pad(image, margins, "reflect")[None]))[0][:, 7:-7]
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    for tile in (32, (64, 96)):
        tiled = predict_image(model, image, output="raw", tile=tile)
        np.testing.assert_allclose(tiled, whole, atol=1e-4)
    fixed = models.unet((188, 204, 3), 3, width=0.05, padding="valid")
    assert predict_image(fixed, picture(10, 30)).shape == (10, 30)


def test_a_channels_first_model_gives_what_its_twin_gives():
    last = models.unet((None, None, 3), 4, width=0.05)
    first = models.unet((3, None, None), 4, width=0.05, data_format="channels_first")
    first.set_weights(last.get_weights())
    for arguments in ({}, {"tile": 32, "flip": True}):
        ours, theirs = (
            predict_image(m, picture(37, 75), output="probabilities", **arguments)
            for m in (first, last)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_array_equal(
        predict_image(first, picture(37, 45)), predict_image(last, picture(37, 45))
    )


def test_images_may_have_another_data_format_than_the_layers():
    model = narrow_unet()
    image = keras.Input((3, None, None))
    last, first = keras.layers.Permute((2, 3, 1)), keras.layers.Permute((3, 1, 2))
    for turned in (
        keras.Model(image, first(model(last(image)))),
        keras.Model(image, model(last(image))),
        keras.Model(image, keras.ops.moveaxis(model(keras.ops.moveaxis(image, 1, -1)), -1, 1)),
    ):
        for arguments in ({}, {"tile": 96, "overlap": 0.7, "flip": True}):
            ours, theirs = (
                predict_image(m, picture(150, 203), output="probabilities", **arguments)
                for m in (turned, model)
            )
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_of_two_outputs_the_main_one_is_predicted():
    image = keras.Input((None, None, 3))
    summary = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, {"a_summary": summary, "map": keras.layers.Softmax()(image)})
    found = predict_image(model, picture(9, 8), output="probabilities")
    np.testing.assert_allclose(found, numpy(model(picture(9, 8)[None])["map"])[0], atol=1e-6)


class Subclassed(keras.Model):
    def __init__(self, **arguments):
        super().__init__()
        self.convolution = keras.layers.Conv2D(3, 3, padding="same", **arguments)

    def call(self, images):
        return self.convolution(images)


def test_a_subclassed_model_predicts_in_tiles():
    model = Subclassed()
    model(picture(5, 5)[None])
    expected = numpy(model(picture(40, 70)[None]))[0]
    found = predict_image(model, picture(40, 70), output="raw", tile=64, overlap=0.5)
    np.testing.assert_allclose(found[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: models.unet((None, None, 3), 2, width=0.05), "model=unet hold NaN"),
        (lambda: models.unet((None, None, 3), 1, width=0.05), "model=unet hold NaN"),
    ],
)
def test_a_model_whose_weights_are_nan_is_refused(model, message):
    model = model()
    model.set_weights([np.full_like(w, np.nan) if w.ndim == 4 else w for w in model.get_weights()])
    for output in ("classes", "probabilities", "raw"):
        with pytest.raises(ValueError, match=message):
            predict_image(model, picture(16, 16), output=output)


def test_an_output_of_another_size_is_refused_with_the_remedy():
    half = keras.Sequential([keras.Input((None, None, 3)), keras.layers.AveragePooling2D(2)])
    for size in ((4, 6), (40, 70)):
        with pytest.raises(ValueError, match="2048x2048 is 1024x1024. Add a layer that resizes"):
            predict_image(half, picture(*size))
    image = keras.Input((None, None, 3))
    resized = kerasseg.layers.BilinearUpsampling2D()(half(image), image)
    assert predict_image(keras.Model(image, resized), picture(5, 7)).shape == (5, 7)
    fixed = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.AveragePooling2D(2)])
    with pytest.raises(ValueError, match="Add a layer that resizes"):
        predict_image(fixed, picture(4, 6))
    whole = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()])
    with pytest.raises(ValueError, match="must return a map"):
        predict_image(whole, picture(5, 7))


def test_two_inputs_are_refused():
    images = [keras.Input((None, None, 3)) for _ in range(2)]
    with pytest.raises(ValueError, match="must have one input"):
        predict_image(keras.Model(images, keras.layers.Add()(images)), picture(5, 7))


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
