"""Classifiers of keras.applications as encoders of U-Net, against the classifiers themselves."""

import functools
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg.inference.export import check_format, export_model
from kerasseg.models import classifiers, unet, unfreeze
from tests.conftest import environment
from tests.layers.cases import BACKEND, numpy
from tests.models.test_backends import LOAD
from tests.models.zoo import (
    as_if_trained,
    biases_without_effect,
    outputs,
    picture,
    under_policy,
    without_weights,
)

SMALL = {"width": 0.05}


def output(name):
    return lambda model: model.get_layer(name).output


def input_of(name):
    return lambda model: model.get_layer(name).input


def last(model):
    return model.output


# By hand: what leaves each stride, up to its padding for the next convolution.
MAPS = {
    "VGG16": {
        2: output("block2_conv2"),
        4: output("block3_conv3"),
        8: output("block4_conv3"),
        16: output("block5_conv3"),
        32: output("block5_pool"),
    },
    "ResNet50": {
        2: output("conv1_relu"),
        4: output("conv2_block3_out"),
        8: output("conv3_block4_out"),
        16: output("conv4_block6_out"),
        32: output("conv5_block3_out"),
    },
    "MobileNetV3Small": {
        2: input_of("expanded_conv_depthwise_pad"),
        4: input_of("expanded_conv_1_depthwise_pad"),
        8: input_of("expanded_conv_3_depthwise_pad"),
        16: input_of("expanded_conv_8_depthwise_pad"),
        32: last,
    },
    "EfficientNetV2B0": {
        2: output("block1a_project_activation"),
        4: output("block2b_add"),
        8: output("block4a_expand_activation"),
        16: output("block6a_expand_activation"),
        32: output("top_activation"),
    },
    "ConvNeXtTiny": {
        4: input_of("convnext_tiny_downsampling_block_0"),
        8: input_of("convnext_tiny_downsampling_block_1"),
        16: input_of("convnext_tiny_downsampling_block_2"),
        32: last,
    },
}
MODULES = {
    "VGG16": "vgg16",
    "ResNet50": "resnet",
    "MobileNetV3Small": "mobilenet_v3",
    "EfficientNetV2B0": "efficientnet_v2",
    "ConvNeXtTiny": "convnext",
}
SLOW = pytest.mark.slow
EVERY_ENCODER = pytest.mark.parametrize("name", MAPS)


@functools.cache
def classifier(name):
    keras.utils.set_random_seed(0)
    model = as_if_trained(getattr(keras.applications, name)(weights=None, include_top=False))
    for layer in model.layers:
        if layer.name.endswith("layer_scale"):  # starts at 1e-6, which hides what lies behind it
            layer.gamma.assign(keras.ops.full_like(layer.gamma, 0.5))
    return model


@functools.cache
def frozen_unet(name):
    return unet((None, None, 3), 5, encoder=classifier(name), encoder_trainable=False, **SMALL)


@pytest.fixture(scope="module", autouse=True)
def memory():
    yield
    classifier.cache_clear()
    frozen_unet.cache_clear()
    keras.backend.clear_session()


def tiny(name="tiny", include_top=False, size=None, rescaling=False, channels=3):
    """A classifier of the strides 2 and 4, and perhaps of a fixed size."""
    x = image = keras.Input((size, size, channels))
    if rescaling:
        x = layers.Rescaling(1 / 127.5, -1.0)(x)
    x = layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="block1_conv1")(x)
    x = layers.BatchNormalization(name="block1_bn")(x)
    x = layers.MaxPooling2D(name="block1_pool")(x)
    if include_top:
        x = layers.Dense(3, name="fc1")(layers.Flatten()(x))
    return keras.Model(image, x, name=name)


@EVERY_ENCODER
@pytest.mark.parametrize("size", [(64, 64), (97, 61)])
def test_logits_have_the_size_of_the_image(name, size):
    assert outputs(frozen_unet(name), picture(*size, count=1)).shape == (1, *size, 5)
    fixed = without_weights(lambda: unet((*size, 3), 5, encoder=classifier(name), **SMALL))
    assert fixed.output_shape == (None, *size, 5)


@EVERY_ENCODER
def test_the_encoder_gives_the_feature_maps_of_the_classifier(name):
    theirs, model, images = classifier(name), frozen_unet(name), picture(64, 96)
    preprocess = getattr(keras.applications, MODULES[name]).preprocess_input
    wanted = keras.Model(theirs.input, [find(theirs) for find in MAPS[name].values()])
    maps = model.get_layer("encoder")(model.get_layer("preprocessing")(images))
    for stride, x, expected in zip(MAPS[name], maps, wanted(preprocess(255 * images)), strict=True):
        x, expected = numpy(x), numpy(expected)
        assert x.shape[1:3] == (64 // stride, 96 // stride)
        np.testing.assert_allclose(x, expected, atol=1e-5 * abs(expected).max(), rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [name if name == "MobileNetV3Small" else pytest.param(name, marks=SLOW) for name in MAPS],
)
def test_a_step_changes_exactly_the_trainable_weights(name):
    keras.utils.set_random_seed(0)
    model = unet((64, 64, 3), 2, encoder=classifier(name), encoder_trainable=False, **SMALL)
    encoder = model.get_layer("encoder")
    before = encoder.get_weights()
    assert changed_by_a_step(model) == {id(x) for x in model.trainable_weights}
    for weights in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(*weights)  # the moving averages too

    unfreeze(model)
    exempt = biases_without_effect(model) | biases_without_effect(encoder)
    trainable = {id(x) for x in model.trainable_weights}
    assert {id(x) for x in encoder.trainable_weights} < trainable
    assert changed_by_a_step(model) - exempt == trainable - exempt


def changed_by_a_step(model):
    """The `id`s of the weights that one step changes, moving averages left out."""
    images = picture(64, 64, count=4)
    labels = (images[..., 0] > 0.5).astype("int32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, run_eagerly=BACKEND != "jax")
    before = model.get_weights()
    model.fit(images, labels, batch_size=4, verbose=0)
    return {
        id(weight)
        for weight, old, new in zip(model.weights, before, model.get_weights(), strict=True)
        if (old != new).any() and not weight.name.startswith("moving")
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the file of a U-Net on every encoder, and what each gives here."""
    folder = tmp_path_factory.mktemp("encoders")
    images = picture(45, 61, count=1)
    np.save(folder / "images.npy", images)
    for name in MAPS:
        frozen_unet(name).save(folder / f"{name}.keras")
    return folder, {name: outputs(frozen_unet(name), images) for name in MAPS}


@SLOW
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_fresh_process_loads_them_and_gives_the_same(saved, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    folder, expected = saved
    words = [sys.executable, "-c", LOAD, folder, " ".join(MAPS)]
    subprocess.run(words, check=True, env=environment(backend))
    for name, ours in expected.items():
        error = abs(np.load(folder / f"{name}.npy") - ours).max()
        assert error < 1e-4 * max(1, abs(ours).max()), f"{name}: {error}"
        assert ours.std() > 0.01


@SLOW
@pytest.mark.parametrize("format", ["litert", "onnx"])
@pytest.mark.parametrize("name", ["VGG16", "MobileNetV3Small"])
def test_the_exported_model_gives_what_keras_gives(name, format, tmp_path):
    try:
        check_format(format)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    done = export_model(frozen_unet(name), tmp_path / "model", format)
    assert done.difference < 1e-4 * max(1, abs(outputs(frozen_unet(name), picture(64, 64))).max())
    assert done.same_classes == 1


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *(("vgg16", "vgg16"), ("vgg19", "vgg19"), ("resnet50", "resnet"), ("resnet152", "resnet")),
        *(("resnet101v2", "resnet_v2"), ("mobilenet_1.00_224", "mobilenet")),
        *(("mobilenetv2_0.35_96", "mobilenet_v2"), ("densenet169", "densenet")),
        *(("inception_v3", "inception_v3"), ("xception", "xception"), ("NASNet", "nasnet")),
        ("inception_resnet_v2", "inception_resnet_v2"),
    ],
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_preprocessing_is_that_of_keras(name, module, data_format):
    shape = classifiers.free_shape(3, data_format)
    image = keras.Input(shape)
    conv = layers.Conv2D(1, 3, data_format=data_format)
    theirs = keras.Model(image, conv(image), name=name)
    x = keras.Model(image, classifiers.preprocessed(image, theirs))
    images = picture(5, 7)
    images = images if data_format == "channels_last" else np.moveaxis(images, -1, 1)
    preprocess = getattr(keras.applications, module).preprocess_input
    expected = preprocess(255 * images, data_format=data_format)
    np.testing.assert_allclose(outputs(x, images), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MobileNetV3Large", lambda x: 2 * x - 1),
        ("efficientnetv2-s", lambda x: 2 * x - 1),
        ("efficientnetv2-b3", lambda x: (x - classifiers.MEANS) / np.sqrt(classifiers.VARIANCES)),
        ("convnext_base", lambda x: (x - classifiers.MEANS) / np.sqrt(classifiers.VARIANCES)),
        ("my_own", lambda x: x),
    ],
)
def test_a_network_without_its_own_preprocessing_gets_it(name, expected):
    image = keras.Input((None, None, 3))
    x = keras.Model(image, classifiers.preprocessed(image, tiny(name)))
    images = picture(5, 7)
    np.testing.assert_allclose(outputs(x, images), expected(images), atol=1e-5)


def test_a_network_that_rescales_takes_0_to_255():
    theirs = tiny(rescaling=True)
    model, images = unet((8, 8, 3), 2, encoder=theirs, **SMALL), picture(8, 8)
    given = model.get_layer("preprocessing")(images)
    np.testing.assert_allclose(numpy(given), 255 * images, rtol=1e-6)


def test_a_classifier_for_one_size_becomes_an_encoder_for_any():
    theirs = tiny(include_top=True, size=24)
    model = unet((None, None, 3), 2, encoder=theirs, **SMALL)
    assert outputs(model, picture(9, 70)).shape == (2, 9, 70, 2)
    assert "fc1" not in [layer.name for layer in model.get_layer("encoder").layers]


def test_the_classifier_itself_stays_as_it_is():
    theirs = tiny()
    before = theirs.get_weights()
    model = unet((8, 8, 3), 2, encoder=theirs, encoder_trainable=False, **SMALL)
    model.get_layer("encoder").set_weights([x + 1 for x in before])
    assert theirs.trainable
    for weights in zip(before, theirs.get_weights()):
        np.testing.assert_array_equal(*weights)


def test_a_layer_that_the_classifier_froze_stays_frozen():
    theirs = tiny()
    theirs.get_layer("block1_conv1").trainable = False
    encoder = unet((8, 8, 3), 2, encoder=theirs, **SMALL).get_layer("encoder")
    assert [x.name for x in encoder.trainable_weights] == ["gamma", "beta"]


def test_one_model_takes_two_sizes_as_if_made_for_each():
    free = frozen_unet("MobileNetV3Small")
    for size in ((33, 18), (64, 32)):
        fixed = unet((*size, 3), 5, encoder=classifier("MobileNetV3Small"), **SMALL)
        fixed.set_weights(free.get_weights())
        images = picture(*size)
        np.testing.assert_allclose(outputs(free, images), outputs(fixed, images), atol=1e-4)


def test_channels_first_equals_channels_last():
    arguments = {"encoder": classifier("MobileNetV3Small"), **SMALL}
    first = unet((3, None, None), 5, data_format="channels_first", **arguments)
    first.set_weights(frozen_unet("MobileNetV3Small").get_weights())
    images = picture(35, 22)
    expected = outputs(frozen_unet("MobileNetV3Small"), images)
    result = np.moveaxis(outputs(first, np.moveaxis(images, -1, 1)), 1, -1)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_half_precision_gives_nearly_the_logits_of_float32():
    whole = unet((32, 32, 3), 3, encoder=tiny("vgg16"), **SMALL)
    half = under_policy(
        "mixed_float16", lambda: unet((32, 32, 3), 3, encoder=tiny("vgg16"), **SMALL)
    )
    half.set_weights(whole.get_weights())
    expected, result = (outputs(model, picture(32, 32)) for model in (whole, half))
    assert result.dtype == "float32"
    np.testing.assert_allclose(result, expected, atol=0.02 * abs(expected).max())


def test_weights_of_a_model_or_a_file_go_into_an_encoder_given_by_name(tmp_path):
    theirs = classifier("MobileNetV3Small")
    theirs.save(tmp_path / "mobile.keras")
    theirs.save_weights(tmp_path / "mobile.weights.h5")
    images = picture(32, 32)
    wanted = frozen_unet("MobileNetV3Small").get_layer("encoder")(255 * images)
    for source in (theirs, tmp_path / "mobile.keras", str(tmp_path / "mobile.weights.h5")):
        model = unet((32, 32, 3), 2, encoder="mobilenetv3small", encoder_weights=source, **SMALL)
        for x, expected in zip(model.get_layer("encoder")(255 * images), wanted, strict=True):
            np.testing.assert_allclose(numpy(x), numpy(expected), atol=1e-5)


def test_vgg16_for_grey_images_takes_the_sum_of_the_colours():
    theirs = classifier("VGG16")
    model = unet((32, 32, 1), 2, encoder="vgg16", encoder_weights=theirs, **SMALL)
    kernel = model.get_layer("encoder").get_layer("block1_conv1").get_weights()[0]
    expected = theirs.get_layer("block1_conv1").get_weights()[0].sum(2, keepdims=True)
    np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "vgg"}, "name of a network in .* Received: encoder='vgg'"),
        ({"encoder": 7}, "`encoder` must be None, .* Received: encoder=7"),
        ({"encoder": tiny(channels=1)}, r"the 1 channels that .* Received: 3 channels, .*=tiny"),
        ({"encoder": tiny(), "encoder_weights": "a.h5"}, "must be None. Received: encoder=tiny"),
        ({"encoder": tiny(), "padding": "valid"}, "must be 'same' with an `encoder`"),
        ({"encoder_weights": "imagenet"}, "need an `encoder`. .*encoder_weights='imagenet'"),
        ({"encoder_trainable": False}, "need an `encoder`. .*encoder_trainable=False. Pass"),
        (
            {"encoder": keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(1, 3)])},
            r"at least two of \(2, 4, 8, 16, 32\).* with maps of the strides \[\]",
        ),
    ],
)
def test_what_is_no_encoder_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet((32, 32, 3), 2, **SMALL, **arguments)


@pytest.mark.parametrize(
    ("encoder", "source", "channels"),
    [("vgg16", "VGG19", 3), ("mobilenetv3small", "MobileNetV3Small", 1)],
)
def test_weights_of_another_network_or_for_other_images_are_refused(encoder, source, channels):
    theirs = getattr(keras.applications, source)(weights=None, include_top=False)
    message = rf"of keras.applications.* shape \(None, None, None, {channels}\).*Received: .*="
    with pytest.raises(ValueError, match=message + theirs.name):
        unet((32, 32, channels), 2, encoder=encoder, encoder_weights=theirs, **SMALL)
