"""What is put in front of a classifier, against `preprocess_input` of its own module."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasseg.models import unet
from kerasseg.models.preprocessing import MEANS, VARIANCES, largest_preprocessed, preprocessed
from tests.models.test_classifiers import tiny
from tests.models.zoo import outputs, picture, without_weights

K = keras.applications
NO_TOP = {"weights": None, "include_top": False}
BARE = {**NO_TOP, "include_preprocessing": False}


def standardized(images):
    return (images / 255 - MEANS) / np.sqrt(VARIANCES)


def signed(images):
    return images / 127.5 - 1


def wide(images):
    return images / 128 - 1


def as_it_is(images):
    return images


def given_to(classifier, images, data_format="channels_last"):
    image = keras.Input(images.shape[1:])
    return outputs(keras.Model(image, preprocessed(image, classifier, data_format)), images)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("VGG16", NO_TOP, K.vgg16.preprocess_input),
        ("VGG19", NO_TOP, K.vgg19.preprocess_input),
        ("ResNet50", NO_TOP, K.resnet.preprocess_input),
        ("ResNet50V2", NO_TOP, K.resnet_v2.preprocess_input),
        ("MobileNet", NO_TOP, K.mobilenet.preprocess_input),
        ("MobileNetV2", NO_TOP, K.mobilenet_v2.preprocess_input),
        ("MobileNetV3Small", BARE, signed),
        ("MobileNetV3Small", NO_TOP, as_it_is),
        ("DenseNet121", NO_TOP, K.densenet.preprocess_input),
        ("Xception", NO_TOP, K.xception.preprocess_input),
        ("NASNetMobile", NO_TOP, K.nasnet.preprocess_input),
        ("EfficientNetB0", NO_TOP, as_it_is),
        ("EfficientNetV2B0", NO_TOP, as_it_is),
        ("EfficientNetV2B0", BARE, standardized),
        ("EfficientNetV2B3", BARE, standardized),
        ("EfficientNetV2S", BARE, wide),
        ("ConvNeXtTiny", NO_TOP, as_it_is),
        ("ConvNeXtTiny", BARE, standardized),
    ],
)
def test_a_network_is_recognized_whatever_its_name(name, arguments, expected):
    if name == "NASNetMobile" and keras.backend.backend() == "torch":
        pytest.skip("Keras has no NASNet under torch")
    theirs = getattr(K, name)(**arguments)
    theirs = keras.Model(theirs.input, theirs.output, name="backbone")
    images = picture(5, 7)
    np.testing.assert_allclose(given_to(theirs, images), expected(255 * images), atol=1e-4)


@pytest.mark.parametrize("name", ["VGG16", "MobileNetV2", "DenseNet121"])
def test_channels_first_gets_the_same(name):
    theirs = without_weights(lambda: getattr(K, name)(**NO_TOP))
    images = picture(5, 7)
    first = given_to(theirs, np.moveaxis(images, -1, 1), "channels_first")
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), given_to(theirs, images), atol=1e-4)


def test_a_part_of_a_network_is_recognized():
    vgg = without_weights(lambda: K.VGG16(**NO_TOP))
    part = keras.Model(vgg.input, vgg.get_layer("block3_pool").output)
    images = picture(5, 7)
    expected = K.vgg16.preprocess_input(255 * images)
    np.testing.assert_allclose(given_to(part, images), expected, atol=1e-4)


def test_the_encoder_of_a_trained_unet_gets_what_it_got_there():
    mobile = K.MobileNet(**NO_TOP, alpha=0.25)
    first = unet((32, 32, 3), 2, encoder=mobile, width=0.05)
    second = unet((32, 32, 3), 2, encoder=first.get_layer("encoder"), width=0.05)
    images = picture(32, 32)
    given = [model.get_layer("preprocessing")(images) for model in (first, second)]
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, given))


def test_a_network_of_ones_own_stays_in_0_to_1_and_a_log_line_says_so(caplog):
    images = picture(5, 7)
    np.testing.assert_array_equal(given_to(tiny("vgg16"), images), images)
    (record,) = caplog.records
    assert record.name == "kerasseg"
    assert "encoder vgg16: it is not known what" in record.getMessage()


def with_front(*front):
    """A classifier that begins with some layers or functions."""
    x = image = keras.Input((None, None, 3))
    for layer in front:
        x = layer(x)
    x = layers.Conv2D(4, 3, 2, padding="same", name="a")(x)
    return keras.Model(image, layers.Conv2D(4, 3, 2, padding="same", name="b")(x))


def adapted(mean):
    return layers.Normalization(mean=[mean] * 3, variance=[(mean / 2) ** 2] * 3)


@pytest.mark.parametrize(
    ("front", "factor"),
    [
        ([layers.Rescaling(1 / 127.5, -1.0)], 255),
        ([layers.Rescaling([1 / 255] * 3)], 255),
        (
            [layers.RandomContrast(0.1), layers.RandomBrightness(0.1), layers.Rescaling(1 / 255)],
            255,
        ),
        ([K.vgg16.preprocess_input], 255),
        ([lambda x: (x - 127.5) / 127.5], 255),
        ([layers.ZeroPadding2D(2), layers.Rescaling(1 / 255)], 255),
        ([adapted(120.0)], 255),
        ([adapted(0.5)], 1),
        ([layers.Rescaling(2.0, -1.0)], 1),
        ([lambda x: 2 * x - 1], 1),
    ],
)
def test_a_preprocessing_of_its_own_says_what_range_it_takes(front, factor, caplog):
    images = picture(8, 8)
    np.testing.assert_allclose(given_to(with_front(*front), images), factor * images, rtol=1e-6)
    assert not caplog.records


@pytest.mark.parametrize("front", [[], [layers.ZeroPadding2D(2), layers.RandomFlip()]])
def test_padding_and_flips_are_no_preprocessing(front):
    assert largest_preprocessed(with_front(*front)) is None


def test_vgg16_behind_preprocess_input_is_not_preprocessed_twice():
    image = keras.Input((None, None, 3))
    theirs = K.VGG16(**NO_TOP, input_tensor=K.vgg16.preprocess_input(image))
    model = unet((None, None, 3), 2, encoder=theirs, width=0.05)
    images = picture(32, 32)
    maps = model.get_layer("encoder")(model.get_layer("preprocessing")(images))
    expected = outputs(keras.Model(theirs.inputs[0], theirs.output), 255 * images)
    result = keras.ops.convert_to_numpy(maps[-1])
    np.testing.assert_allclose(result, expected, atol=1e-5 * abs(expected).max())


@pytest.mark.filterwarnings("ignore:This model usually expects")
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_bands_take_the_means_of_the_colours_in_turn(channels):
    theirs = without_weights(lambda: K.DenseNet121(**NO_TOP, input_shape=(None, None, channels)))
    images = picture(5, 7, channels)
    means, variances = (np.resize(numbers, channels) for numbers in (MEANS, VARIANCES))
    if channels == 1:
        means, variances = np.mean(MEANS), np.mean(VARIANCES)
    expected = (images - means) / np.sqrt(variances)
    np.testing.assert_allclose(given_to(theirs, images), expected, atol=1e-5)
