"""Classifiers of keras.applications as encoders of U-Net, against the classifiers themselves."""

import functools
import importlib
import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg.inference.export import check_format, export_model
from kerasseg.models import unet, unfreeze
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


def tiny(name="tiny", include_top=False, size=None, channels=3):
    """A classifier of the strides 2 and 4, and perhaps of a fixed size."""
    x = image = keras.Input((size, size, channels))
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


@pytest.fixture(scope="module")
def efficientnet():
    """As Keras builds it with ImageNet weights: a second rescaling behind the normalization."""
    module = importlib.import_module("keras.src.applications.efficientnet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.file_utils, "get_file", lambda *args, **kwargs: "no.h5")
        patch.setattr(keras.Model, "load_weights", lambda *args: None)
        model = keras.applications.EfficientNetB0(weights="imagenet", include_top=False)
    assert [type(x).__name__ for x in model.layers[1:4]] == [
        *("Rescaling", "Normalization", "Rescaling")
    ]
    return as_if_trained(model)


@pytest.mark.parametrize("kind", ["model", "file"])
def test_a_layer_without_weights_comes_along_with_the_weights(kind, efficientnet, tmp_path):
    source = efficientnet
    if kind == "file":
        source = tmp_path / "efficientnetb0.keras"
        efficientnet.save(source)
    model = unet((32, 32, 3), 2, encoder="efficientnetb0", encoder_weights=source, **SMALL)
    images = picture(32, 32)
    result = model.get_layer("encoder")(model.get_layer("preprocessing")(images))[-1]
    expected = outputs(efficientnet, 255 * images)
    np.testing.assert_allclose(numpy(result), expected, atol=1e-4 * abs(expected).max())


def test_a_file_of_weights_that_leaves_the_preprocessing_open_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be a model or a .keras file. Received: .*b0.h5'"):
        unet((32, 32, 3), 2, encoder="efficientnetb0", encoder_weights=tmp_path / "b0.h5", **SMALL)


def test_weights_of_a_frozen_classifier_learn_in_an_encoder_given_by_name():
    theirs = mobile()
    theirs.trainable = False
    model = unet((32, 32, 3), 2, encoder="mobilenetv3small", encoder_weights=theirs, **SMALL)
    free = unet((32, 32, 3), 2, encoder="mobilenetv3small", **SMALL)
    assert len(model.trainable_weights) == len(free.trainable_weights)


def mobile(**arguments):
    return keras.applications.MobileNetV3Small(weights=None, include_top=False, **arguments)


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.usefixtures("channels_first")
def test_channels_first_weights_of_a_fixed_size_fit_and_those_for_other_bands_do_not():
    theirs = mobile(input_shape=(3, 224, 192))
    arguments = {"encoder": "mobilenetv3small", "encoder_weights": theirs, **SMALL}
    model = unet((3, 64, 32), 2, **arguments)
    for ours, expected in zip(model.get_layer("encoder").weights, theirs.weights, strict=False):
        np.testing.assert_array_equal(numpy(ours), numpy(expected))
    with pytest.raises(ValueError, match=r"shape \(None, 1, None, None\).*\(None, 3, 224, 192\)"):
        unet((1, 64, 32), 2, **arguments)


def two_inputs():
    images = [keras.Input((32, 32, 3)), keras.Input((32, 32, 3))]
    return keras.Model(images, layers.Add()(images), name="two")


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (two_inputs, "two"),
        (lambda: Subclassed(name="mine"), "mine of class Subclassed"),
        (lambda: keras.Sequential([keras.Input((4,)), layers.Dense(1)], name="flat"), "flat"),
    ],
)
def test_a_model_that_takes_no_images_is_named(build, name):
    arguments = {"encoder": "mobilenetv3small", "encoder_weights": build(), **SMALL}
    with pytest.raises(ValueError, match=f"`encoder_weights` must be .*encoder_weights={name}"):
        unet((32, 32, 3), 2, **arguments)
    with pytest.raises(ValueError, match=f"`encoder` must be a functional.*: encoder={name}"):
        unet((32, 32, 3), 2, encoder=build(), **SMALL)


class Double(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_a_layer_of_the_user_inside_a_nested_model_need_not_be_registered():
    block = keras.Sequential([layers.Conv2D(4, 3, 2, padding="same"), Double()])
    x = image = keras.Input((None, None, 3))
    x = block(layers.Conv2D(4, 3, 2, padding="same")(x))
    theirs = keras.Model(image, x)
    model = unet((32, 32, 3), 2, encoder=theirs, **SMALL)
    images = picture(32, 32)
    result = numpy(model.get_layer("encoder")(images)[-1])
    np.testing.assert_allclose(result, outputs(theirs, images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("head", ["reshape", "nested", "flatten"])
def test_a_head_of_a_fixed_size_is_left_out(head):
    x = image = keras.Input((24, 24, 3))
    x = layers.Conv2D(4, 3, 2, padding="same")(x)
    x = layers.Conv2D(4, 3, 2, padding="same")(x)
    flat = {"reshape": layers.Reshape((6 * 6 * 4,)), "flatten": layers.Flatten()}
    if head == "nested":
        tail = [layers.Conv2D(2, 6), layers.Flatten(), layers.Dense(3)]
        x = keras.Sequential([keras.Input((6, 6, 4)), *tail])(x)
    else:
        x = layers.Dense(3)(flat[head](x))
    model = unet((None, None, 3), 2, encoder=keras.Model(image, x), **SMALL)
    assert [x.shape[-1] for x in model.get_layer("encoder").outputs] == [4, 4]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("NASNetMobile", {"input_shape": (None, None, 3), "include_top": False}),
        ("ConvNeXtTiny", {}),
    ],
)
def test_a_classifier_of_one_size_throughout_is_refused(name, arguments):
    if name == "NASNetMobile" and BACKEND == "torch":
        pytest.skip("Keras has no NASNet under torch")
    theirs = getattr(keras.applications, name)(weights=None, **arguments)
    with pytest.raises(ValueError, match=f"images of any size. Received: encoder={theirs.name}, "):
        unet((32, 32, 3), 2, encoder=theirs, **SMALL)


@pytest.mark.parametrize("name", ["InceptionV3", "InceptionResNetV2"])
def test_networks_whose_maps_do_not_lie_on_each_other_are_refused(name):
    theirs = without_weights(
        lambda: getattr(keras.applications, name)(weights=None, include_top=False)
    )
    with pytest.raises(ValueError, match=r"at least two of .* with maps of the strides \[\d*\]"):
        unet((32, 32, 3), 2, encoder=theirs, **SMALL)


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
        (
            {"encoder": tiny(channels=1)},
            r"as many channels as .* takes, 1. Received: channels=3, .*=tiny",
        ),
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
