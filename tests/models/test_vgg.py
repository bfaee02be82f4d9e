"""VGG-16 as an encoder, against keras.applications and against sizes by hand."""

import keras
import numpy as np

from kerasseg.models import vgg
from tests.layers.cases import numpy


def encoder(build, shape=(None, None, 3), **arguments):
    image = keras.Input(shape)
    return keras.Model(image, build(image, **arguments))


def test_its_maps_are_those_of_keras_with_the_same_weights(rng):
    theirs = keras.applications.VGG16(weights=None, include_top=False)
    ours = encoder(vgg.vgg16)
    for name, source in vgg.CONVOLUTIONS.items():
        kernel, bias = theirs.get_layer(source).get_weights()
        ours.get_layer(name).set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
        theirs.get_layer(source).set_weights(ours.get_layer(name).get_weights())
    image = rng.random((1, 32, 64, 3)).astype("float32")
    pools = [theirs.get_layer(f"block{i}_pool").output for i in range(1, 6)]
    for a, b in zip(ours(image), keras.Model(theirs.input, pools)(image), strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), rtol=1e-4, atol=1e-4)


def test_every_convolution_of_keras_has_its_counterpart():
    theirs = keras.applications.VGG16(weights=None, include_top=False)
    convolutions = {x.name for x in theirs.layers if isinstance(x, keras.layers.Conv2D)}
    assert convolutions == set(vgg.CONVOLUTIONS.values())
    ours = encoder(vgg.vgg16, width=0.02)
    assert {x.name for x in ours.layers if isinstance(x, keras.layers.Conv2D)} == set(
        vgg.CONVOLUTIONS
    )


def test_each_stage_halves_the_map_and_keeps_a_partial_window():
    shapes, size = [], (45, 70)
    for filters in (4, 8, 16, 32, 32):
        size = tuple(-(-n // 2) for n in size)
        shapes.append((None, *size, filters))
    assert encoder(vgg.vgg16, (45, 70, 3), width=1 / 16).output_shape == shapes


def test_a_stage_without_a_pooling_keeps_its_size():
    model = encoder(vgg.vgg16, (32, 48, 3), width=0.02, strides=(2, None, 2, None, None))
    assert [shape[1:3] for shape in model.output_shape] == [
        *([(16, 24)] * 2),
        *([(8, 12)] * 3),
    ]


def test_valid_convolutions_lose_a_pixel_at_each_side():
    model = encoder(
        vgg.vgg16, (188, 220, 3), width=0.02, padding="valid", strides=(2, 2, 2, 2, None)
    )
    sizes = [np.array((188, 220))]
    for convolutions, stride in zip((2, 2, 3, 3, 3), (2, 2, 2, 2, 1)):
        sizes.append(-(-(sizes[-1] - 2 * convolutions) // stride))
    assert [shape[1:3] for shape in model.output_shape] == [tuple(size) for size in sizes[1:]]


def test_deeplab_ends_at_an_eighth_with_holes_in_its_last_stage():
    model = encoder(vgg.deeplab_vgg16, (64, 96, 3), width=0.02)
    assert [shape[1:3] for shape in model.output_shape] == [(32, 48), (16, 24), *[(8, 12)] * 3]
    rates = {name: model.get_layer(name).dilation_rate for name in vgg.CONVOLUTIONS}
    assert {name for name, rate in rates.items() if rate != (1, 1)} == {
        f"encoder5_conv{i}" for i in (1, 2, 3)
    }
    assert set(rates.values()) == {(1, 1), (2, 2)}


def test_a_fully_connected_layer_sees_its_whole_window(rng):
    image = keras.Input((3, 4, 2))
    model = keras.Model(
        image, vgg.fully_connected(image, 6, "fc6", (3, 4), padding="valid", dropout=0.5)
    )
    assert [layer.name for layer in model.layers[1:]] == ["fc6", "fc6_relu", "fc6_dropout"]
    x = rng.normal(size=(5, 3, 4, 2)).astype("float32")
    kernel, bias = model.get_layer("fc6").get_weights()
    by_hand = np.maximum(x.reshape(5, -1) @ kernel.reshape(-1, 6) + bias, 0)
    np.testing.assert_allclose(numpy(model(x))[:, 0, 0], by_hand, rtol=1e-4, atol=1e-5)
