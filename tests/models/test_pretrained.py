"""Weights of keras.applications in the encoders, layer by layer."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg import models
from kerasseg.layers import CaffePreprocessing
from kerasseg.models.pretrained import load_encoder
from kerasseg.models.vgg import CONVOLUTIONS
from tests.models.zoo import outputs, picture, without_weights

NAMES = {"conv": "block1_conv1", "fc6": "fc1", "fc7": "fc2"}


def classifier(weights=None, include_top=True, size=14, filters=4):
    """A small model of the kind of `keras.applications.VGG16`."""
    x = image = keras.Input((size, size, 3))
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="block1_conv1")(x)
    x = layers.MaxPooling2D(2)(x)
    if include_top:
        x = layers.Flatten()(x)
        x = layers.Dense(64, activation="relu", name="fc1")(x)
        x = layers.Dense(64, activation="relu", name="fc2")(x)
    model = keras.Model(image, x, name="small_vgg")
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.weights])
    return model


def segmenter(channels=3, kernel_size=7, filters=64):
    """A small model to fill."""
    x = image = keras.Input((None, None, channels))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(filters, kernel_size, activation="relu", name="fc6")(x)
    x = layers.Conv2D(filters, 1, activation="relu", name="fc7")(x)
    return keras.Model(image, x)


def test_fully_connected_layers_become_convolutions_with_the_same_output():
    theirs = classifier()
    ours = load_encoder(segmenter(), theirs, "VGG16", NAMES)
    images = picture(14, 14)
    result = outputs(ours, images)
    assert result.shape == (2, 1, 1, 64)
    np.testing.assert_allclose(result[:, 0, 0], outputs(theirs, images), rtol=1e-4, atol=1e-2)


def test_decimation_takes_evenly_spaced_taps_and_filters():
    theirs = classifier()
    ours = load_encoder(segmenter(3, 3, 16), theirs, "VGG16", NAMES, decimate=True)
    kernel, bias = theirs.get_layer("fc1").get_weights()
    taps = kernel.reshape(7, 7, 4, 64)
    for row in range(3):
        for column in range(3):
            for filter_ in range(16):
                np.testing.assert_array_equal(
                    ours.get_layer("fc6").get_weights()[0][row, column, :, filter_],
                    taps[3 * row, 3 * column, :, 4 * filter_],
                )
    np.testing.assert_array_equal(ours.get_layer("fc6").get_weights()[1], bias[::4])
    np.testing.assert_array_equal(
        ours.get_layer("fc7").get_weights()[0][0, 0],
        theirs.get_layer("fc2").get_weights()[0][::4, ::4],
    )


def test_grey_takes_the_sum_of_the_colours_and_sees_them():
    theirs = classifier()
    grey, colour = (load_encoder(segmenter(n), theirs, "VGG16", NAMES) for n in (1, 3))
    kernel = theirs.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_allclose(grey.get_layer("conv").get_weights()[0][:, :, 0], kernel.sum(2))
    images = picture(9, 11, 1)
    ours, expected = (
        outputs(keras.Sequential([CaffePreprocessing(), model.get_layer("conv")]), x)
        for model, x in ((grey, images), (colour, np.repeat(images, 3, -1)))
    )
    inside = np.s_[:, 1:-1, 1:-1]  # around the picture zeros stand for means that differ
    np.testing.assert_allclose(ours[inside], expected[inside], rtol=1e-4, atol=1e-3)
    assert expected.std() > 10


def test_bands_take_red_green_and_blue_in_turn_as_strong_as_grey():
    theirs = classifier()
    kernel = theirs.get_layer("block1_conv1").get_weights()[0]
    blue, green, red = np.moveaxis(kernel, 2, 0)
    ours = load_encoder(segmenter(5), theirs, "VGG16", NAMES).get_layer("conv").get_weights()[0]
    expected = [0.6 * colour for colour in (red, green, blue, red, green)]
    np.testing.assert_allclose(np.moveaxis(ours, 2, 0), expected, rtol=1e-6)
    six = load_encoder(segmenter(6), theirs, "VGG16", NAMES).get_layer("conv").get_weights()[0]
    np.testing.assert_allclose(six.sum(2), kernel.sum(2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (
            {"filters": 6},
            {},
            r"'conv', which has the shapes \[\(3, 3, 3, 4\), \(4,\)\]. "
            r"Received: layer 'block1_conv1' with the shapes \[\(3, 3, 3, 6\), \(6,\)\]",
        ),
        ({"size": 16}, {}, r"'fc6', .*\(7, 7, 4, 64\).*'fc1' with the shapes \[\(256, 64\)"),
        ({}, {"filters": 16, "kernel_size": 3}, r"'fc6', .*\(3, 3, 4, 16\).*'fc1'.*\(196, 64\)"),
    ],
)
def test_a_mismatch_names_the_layer_and_both_shapes(theirs, ours, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(segmenter(**ours), classifier(**theirs), "VGG16", NAMES)


@pytest.mark.parametrize(
    ("build", "arguments", "source", "message"),
    [
        ("segnet", {}, "VGG19", r"VGG16.*=vgg19.*'block3_conv4', 'block4_conv4', 'block5_conv4'\]"),
        ("fcn32s", {}, "VGG19", r"VGG16.*=vgg19.*\['block3_conv4', 'block4_conv4', 'block5_"),
        ("deeplab_v3", {}, "ResNet101", r"ResNet50.*=resnet101.*\['conv4_block7_1_conv', 'conv4_"),
        ("pspnet", {"encoder": "resnet101"}, "ResNet50", "must have a layer 'conv4_block7_1_conv'"),
    ],
)
def test_the_weights_of_another_network_are_refused(build, arguments, source, message):
    def fill():
        theirs = getattr(keras.applications, source)(weights=None, include_top=build == "fcn32s")
        getattr(models, build)((None, None, 3), 2, encoder_weights=theirs, **arguments)

    with pytest.raises(ValueError, match=message):
        without_weights(fill)


@pytest.mark.parametrize("file", ["model.keras", "vgg.weights.h5", "vgg.h5"])
@pytest.mark.parametrize("include_top", [True, False])
def test_a_path_gives_what_the_model_gives(file, include_top, tmp_path, monkeypatch):
    names = NAMES if include_top else {"conv": "block1_conv1"}
    theirs = classifier()  # the file holds the classifier, whether it is wanted or not
    monkeypatch.setattr(keras.applications, "VGG16", classifier)
    theirs.set_weights([2 * weight for weight in theirs.get_weights()])
    (theirs.save_weights if ".weights." in file else theirs.save)(tmp_path / file)
    loaded = load_encoder(segmenter(), tmp_path / file, "VGG16", names)
    expected = load_encoder(segmenter(), theirs, "VGG16", names)
    for name in names:
        for ours, wanted in zip(*(m.get_layer(name).get_weights() for m in (loaded, expected))):
            np.testing.assert_array_equal(ours, wanted)


def test_a_file_of_another_network_is_refused(tmp_path, monkeypatch):
    keras.Sequential([keras.Input((3,)), layers.Dense(2)]).save_weights(tmp_path / "a.weights.h5")
    monkeypatch.setattr(keras.applications, "VGG16", classifier)
    with pytest.raises(ValueError, match=r"keras.applications.VGG16. Received: .*a.weights.h5"):
        load_encoder(segmenter(), tmp_path / "a.weights.h5", "VGG16", NAMES)


@pytest.mark.parametrize("file", ["broken.keras", "broken.h5", "broken.weights.h5"])
def test_a_broken_file_is_named(file, tmp_path, monkeypatch):
    (tmp_path / file).write_text("nothing")
    monkeypatch.setattr(keras.applications, "VGG16", classifier)
    with pytest.raises(ValueError, match=f"file must be whole and.*VGG16. Received: .*{file}"):
        load_encoder(segmenter(), tmp_path / file, "VGG16", NAMES)


def test_a_file_of_another_kind_is_refused_before_anything_is_built(tmp_path):
    (tmp_path / "weights.txt").write_text("nothing")
    with pytest.raises(ValueError, match=r"path of a .keras or .h5 file.*weights.txt"):
        load_encoder(segmenter(), tmp_path / "weights.txt", "VGG16", NAMES)


@pytest.mark.parametrize(("names", "with_top"), [(NAMES, True), ({"conv": "block1_conv1"}, False)])
def test_imagenet_downloads_no_more_than_is_wanted(names, with_top, monkeypatch):
    asked = []

    def application(weights, include_top):
        asked.append((weights, include_top))
        return classifier(include_top=include_top)

    monkeypatch.setattr(keras.applications, "VGG16", application)
    load_encoder(segmenter(), "imagenet", "VGG16", names)
    assert asked == [("imagenet", with_top)]


def test_a_file_that_is_missing_is_named():
    message = "file that exists. No such file: encoder_weights='no/such/file.h5'"
    with pytest.raises(ValueError, match=message):
        load_encoder(segmenter(), "no/such/file.h5", "VGG16", NAMES)


@pytest.mark.parametrize("weights", ["imagnet", "no/such/file.txt", 7])
def test_what_is_no_weights_is_named(weights):
    with pytest.raises(
        ValueError, match=f"or a keras.Model. Received: encoder_weights={weights!r}"
    ):
        load_encoder(segmenter(), weights, "VGG16", NAMES)


def test_another_width_than_that_of_the_weights_is_refused():
    with pytest.raises(ValueError, match="width=1 alone. Received: width=0.5"):
        models.segnet((32, 32, 3), 2, width=0.5, encoder_weights="imagenet")


@pytest.fixture(scope="module")
def vgg16():
    """The real one, of random weights with biases, that gives logits."""
    model = keras.applications.VGG16(weights=None, classifier_activation=None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.weights:
            layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
    return model


def test_fcn_gives_the_logits_of_the_classifier_whose_weights_it_took(vgg16):
    model = models.fcn32s((224, 224, 3), 2, encoder_weights=vgg16)
    probe = keras.Model(model.input, model.get_layer("fc7_relu").output)
    images = picture(224, 224, count=1)
    fc7 = outputs(probe, images)
    assert fc7.shape == (1, 7, 7, 4096)  # the one in the middle sees the whole map, as fc1 does
    kernel, bias = vgg16.get_layer("predictions").get_weights()
    expected = outputs(vgg16, keras.applications.vgg16.preprocess_input(255 * images))
    assert expected.std() > 0.01
    np.testing.assert_allclose(fc7[:, 3, 3] @ kernel + bias, expected, atol=1e-4, rtol=1e-4)


def test_preprocessing_stands_in_the_model_exactly_when_weights_are_given(vgg16):
    for weights in (None, vgg16):
        model = models.segnet((32, 32, 3), 2, encoder_weights=weights)
        assert ("preprocessing" in [x.name for x in model.layers]) == (weights is not None)


def test_deeplab_v1_takes_nine_taps_and_every_fourth_filter(vgg16):
    model = models.deeplab_v1((None, None, 3), 2, encoder_weights=vgg16)
    kernel = vgg16.get_layer("fc1").get_weights()[0].reshape(7, 7, 512, 4096)
    np.testing.assert_array_equal(model.get_layer("fc6").get_weights()[0], kernel[::3, ::3, :, ::4])
    np.testing.assert_array_equal(
        model.get_layer("fc7").get_weights()[0][0, 0],
        vgg16.get_layer("fc2").get_weights()[0][::4, ::4],
    )
    assert_same_convolutions(model, vgg16)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build", ["fcn16s", "fcn8s", "deconvnet", "segnet", "dilatednet", "hypercolumn"]
)
def test_every_network_on_vgg16_takes_its_weights(build, vgg16):
    model = getattr(models, build)((None, None, 3), 2, encoder_weights=vgg16)
    assert_same_convolutions(model, vgg16)
    if build not in ("deconvnet", "segnet"):
        kernel = vgg16.get_layer("fc1").get_weights()[0]
        np.testing.assert_array_equal(
            model.get_layer("fc6").get_weights()[0], kernel.reshape(7, 7, 512, 4096)
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "application", "arguments"),
    [("pspnet", "ResNet50", {}), ("deeplab_v2", "ResNet101", {"encoder": "resnet101"})],
)
def test_every_network_on_a_resnet_takes_its_weights(build, application, arguments):
    theirs = getattr(keras.applications, application)(weights=None, include_top=False)
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.uniform(0.5, 1.5, x.shape) for x in theirs.weights])
    model = getattr(models, build)((None, None, 3), 2, encoder_weights=theirs, **arguments)
    for layer in theirs.layers:
        if layer.weights:
            ours = model.get_layer(layer.name).get_weights()
            for weight, expected in zip(ours, layer.get_weights(), strict=True):
                np.testing.assert_array_equal(weight, expected)


def assert_same_convolutions(model, vgg16):
    for ours, theirs in CONVOLUTIONS.items():
        pair = model.get_layer(ours).get_weights(), vgg16.get_layer(theirs).get_weights()
        for weight, expected in zip(*pair, strict=True):
            np.testing.assert_array_equal(weight, expected)


def test_a_grey_or_multi_band_network_runs_with_the_weights(vgg16):
    for channels in (1, 4):
        model = models.segnet((32, 32, channels), 2, encoder_weights=vgg16)
        assert np.isfinite(outputs(model, picture(32, 32, channels))).all()
