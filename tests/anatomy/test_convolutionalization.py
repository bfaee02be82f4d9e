import keras
import numpy as np
import pytest
from keras import layers, ops

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import convolutionalize
from tests.layers.cases import BACKEND
from tests.models.zoo import outputs, picture

not_under_jax = pytest.mark.skipif(BACKEND == "jax", reason="JAX compiles every layer")


def with_random_weights(model):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        low = 0.5 if "variance" in weight.path or "gamma" in weight.path else -0.3
        weight.assign(rng.uniform(low, low + 0.6, weight.shape))
    return model


def assert_same_at_own_size(classifier, data_format="channels_last"):
    """And the same number of weights, none of them shared."""
    with_random_weights(classifier)
    images = np.random.default_rng(1).uniform(size=(2, *classifier.input_shape[1:]))
    expected = outputs(classifier, images.astype("float32"))
    sliding = convolutionalize(classifier)
    result = outputs(sliding, images.astype("float32"))
    assert sliding.count_params() == classifier.count_params()
    assert not {id(w) for w in sliding.weights} & {id(w) for w in classifier.weights}
    assert expected.std() > 1e-4
    axes = (1, 2) if data_format == "channels_last" else (2, 3)
    np.testing.assert_allclose(result.squeeze(axes), expected, atol=1e-5, rtol=1e-4)
    return sliding


def test_dense_on_a_flattened_map_is_a_convolution_with_as_many_weights():
    """The notes' example: 4 x 4 x 16 numbers to 10 classes."""
    dense = layers.Dense(10, use_bias=False)
    classifier = keras.Sequential([keras.Input((4, 4, 16)), layers.Flatten(), dense])
    sliding = assert_same_at_own_size(classifier)
    assert sliding.count_params() == classifier.count_params() == 2560
    assert sliding.layers[-1].kernel.shape == (4, 4, 16, 10)
    with pytest.raises(ValueError, match="incompatible"):
        classifier(np.zeros((1, 5, 6, 16), "float32"))
    assert sliding(np.zeros((1, 5, 6, 16), "float32")).shape == (1, 2, 3, 10)


def lenet(**conv):
    """Without padding, so that a window sees nothing but its own pixels."""
    return keras.Sequential(
        [
            keras.Input((20, 16, 3)),
            layers.Conv2D(4, (5, 3), activation="relu", **conv),
            layers.MaxPooling2D(2),
            layers.BatchNormalization(),
            layers.Conv2D(6, (3, 2)),
            layers.ReLU(),
            layers.AveragePooling2D((2, 3)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(7),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dense(5, activation="softmax"),
        ]
    )


def test_each_place_of_the_heat_map_is_the_classifier_on_its_window():
    classifier = with_random_weights(lenet())
    sliding = convolutionalize(classifier)
    large = picture(20 + 3 * 4, 16 + 2 * 6)
    heat = outputs(sliding, large)
    assert heat.shape == (2, 4, 3, 5)
    np.testing.assert_allclose(heat.sum(-1), 1, atol=1e-5)
    for row in range(4):
        for column in range(3):
            window = large[:, 4 * row : 4 * row + 20, 6 * column : 6 * column + 16]
            np.testing.assert_allclose(heat[:, row, column], outputs(classifier, window), atol=1e-5)
    assert receptive_field(sliding) == ((20, 16), (4, 6), 0)


@pytest.mark.parametrize("pooling", [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_becomes_a_pooling_of_its_window(pooling, keepdims):
    head = [layers.Flatten()] if keepdims else []
    classifier = keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            layers.Conv2D(6, (3, 2), strides=(2, 1)),
            pooling(keepdims=keepdims),
            *head,
            layers.Dense(4),
        ]
    )
    sliding = assert_same_at_own_size(classifier)
    large = picture(13, 10)
    heat = outputs(sliding, large)
    assert heat.shape == (2, 3, 3, 4)
    np.testing.assert_allclose(
        heat[:, 2, 1], outputs(classifier, large[:, 4:13, 1:9]), atol=1e-5, rtol=1e-5
    )


def test_a_head_of_several_branches_slides():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same")(image)
    means, maxima = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    x = layers.Concatenate()([means, maxima, layers.Dense(3)(layers.Flatten()(x))])
    x = layers.LayerNormalization()(x)
    x = layers.Add()([layers.Dense(4)(x), layers.Dense(4)(layers.Dropout(0.2)(x))])
    sliding = assert_same_at_own_size(keras.Model(image, layers.Softmax()(x)))
    assert outputs(sliding, picture(12, 10)).shape == (2, 3, 2, 4)


def test_several_outputs_stay_several():
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3)(image))
    classifier = keras.Model(image, [layers.Dense(2)(x), layers.Dense(3)(x)])
    images = picture(8, 8)
    for sliding, one in zip(convolutionalize(classifier)(images), classifier(images)):
        np.testing.assert_allclose(
            ops.convert_to_numpy(sliding)[:, 0, 0], ops.convert_to_numpy(one), atol=1e-6
        )


def test_pooling_that_steers_a_map_stays_global():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same")(image)
    gate = layers.Dense(6, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    x = layers.Multiply()([x, layers.Reshape((1, 1, 6))(gate)])
    classifier = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    sliding = assert_same_at_own_size(classifier)
    assert outputs(sliding, picture(11, 9)).shape == (2, 4, 2, 3)


def test_nested_models_and_operations_are_opened_and_names_kept_apart():
    def backbone(name):
        image = keras.Input((10, 12, 3))
        x = layers.Conv2D(5, 3, name="conv")(image)
        return keras.Model(image, layers.GlobalAveragePooling2D(name="pool")(x), name=name)

    image = keras.Input((10, 12, 3))
    x = layers.Conv2D(3, 1, name="conv")(image)
    x = backbone("features")(ops.relu(x) * 2.0)
    sliding = assert_same_at_own_size(keras.Model(image, layers.Dense(2)(x), name="whole"))
    assert [layer.name for layer in sliding.layers].count("conv") == 1
    assert sliding.name == "whole"
    assert outputs(sliding, picture(13, 14)).shape == (2, 4, 3, 2)


def test_a_shared_layer_is_shared_again():
    image = keras.Input((6, 6, 3))
    conv = layers.Conv2D(3, 3, padding="same")
    classifier = keras.Model(image, layers.Dense(2)(layers.Flatten()(conv(conv(image)))))
    assert_same_at_own_size(classifier)


def test_channels_first():
    keras.config.set_image_data_format("channels_first")
    try:
        classifier = keras.Sequential(
            [
                keras.Input((3, 8, 9)),
                layers.Conv2D(4, 3),
                layers.BatchNormalization(axis=1),
                layers.Flatten(),
                layers.Dense(6),
                layers.BatchNormalization(),
                layers.Dense(5, activation="softmax"),
                layers.Activation("softmax"),
            ]
        )
        first = layers.Dense(2, activation="log_softmax")
        other = keras.Sequential([keras.Input((3, 8, 9)), layers.Flatten(), first])
    finally:
        keras.config.set_image_data_format("channels_last")
    sliding = assert_same_at_own_size(classifier, "channels_first")
    assert sliding(np.zeros((1, 3, 9, 12), "float32")).shape == (1, 5, 2, 4)
    with pytest.raises(ValueError, match="activation 'log_softmax', made for channels_last"):
        convolutionalize(other)


def assert_application_slides(classifier, larger, places):
    """Its logits, which random weights leave nearly equal, so that their spread is the measure."""
    images = 255 * picture(*classifier.input_shape[1:3])
    expected = outputs(classifier, images)
    sliding = convolutionalize(classifier)
    assert sliding.count_params() == classifier.count_params()
    result = outputs(sliding, images)[:, 0, 0]
    np.testing.assert_allclose(result, expected, atol=1e-3 * expected.std(), rtol=1e-4)
    assert sliding(255 * picture(*larger, count=1)).shape[1:3] == places


@not_under_jax
@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2", "MobileNetV3Small", "VGG16"])
def test_networks_of_keras_applications_slide(name):
    classifier = getattr(keras.applications, name)(
        input_shape=(64, 64, 3), weights=None, classes=7, classifier_activation=None
    )
    assert_application_slides(classifier, (96, 128), (2, 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VGG16", "ResNet50", "DenseNet121", "EfficientNetB0"])
def test_networks_of_keras_applications_slide_at_their_own_size(name):
    classifier = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    assert_application_slides(classifier, (256, 320), (2, 4))


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ([layers.Flatten(), layers.PReLU(name="slope")], "layer 'slope' of class PReLU"),
        (
            [layers.Reshape((192,), name="rows"), layers.Dense(2)],
            "'rows' of class Reshape.*Flatten",
        ),
        ([layers.Flatten(), layers.BatchNormalization(name="bn")], "'bn'.*every position"),
        ([layers.Flatten(), layers.Activation("softmax", name="mix")], "'mix'.*mixes the posit"),
        (
            [
                layers.GlobalAveragePooling2D(),
                layers.Reshape((3, 1)),
                layers.Flatten(name="rows"),
                layers.Dense(2),
            ],
            r"'rows' of class Flatten, which must see one map.*sees \[None\]",
        ),
        ([layers.PReLU(name="map_slope"), layers.Flatten()], "'map_slope'.*maps of any size"),
        ([layers.Resizing(6, 6), layers.Flatten(), layers.Dense(2)], "Leave out what resizes"),
    ],
)
def test_layers_that_cannot_slide_are_named(stack, message):
    with pytest.raises(ValueError, match=message):
        convolutionalize(keras.Sequential([keras.Input((8, 8, 3)), *stack]))


@pytest.mark.parametrize(
    "join", [layers.Concatenate(name="join"), layers.Add(name="join"), layers.Multiply(name="join")]
)
def test_vectors_of_different_maps_cannot_slide_side_by_side(join):
    image = keras.Input((4, 4, 3))
    means = layers.Dense(48)(layers.GlobalAveragePooling2D()(image))
    x = layers.Dense(2)(join([means, layers.Flatten()(image)]))
    with pytest.raises(ValueError, match=r"'join' of.*sees \[\(1, 1\), \(4, 4\)\]"):
        convolutionalize(keras.Model(image, x))


def test_activations_may_be_functions_and_keep_their_dtype():
    first = layers.Dense(6, activation=lambda x: ops.relu(x) + 1)
    last = layers.Dense(4, activation=keras.activations.softmax, dtype="float64")
    stack = [keras.Input((5, 6, 3)), layers.Flatten(), first, last]
    sliding = assert_same_at_own_size(keras.Sequential(stack))
    assert sliding.output.dtype == "float64"


def test_a_classifier_of_no_fixed_size_is_refused():
    classifier = keras.Sequential([keras.Input((None, 8, 3)), layers.GlobalMaxPooling2D()])
    with pytest.raises(ValueError, match=r"one size.*Received: inputs of shapes.*None, 8, 3"):
        convolutionalize(classifier)
