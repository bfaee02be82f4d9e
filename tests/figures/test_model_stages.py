"""The stages of a model's drawing: their maps, and the numbers of these."""

import keras
import pytest
from keras import layers

from kerasseg import models
from kerasseg.figures.model_stages import Map, stages_of
from tests.figures.drawings import IMAGE, stages
from tests.models.zoo import without_weights


def test_numbers_are_those_of_the_model():
    shapes = [[made.shape for made in stage.maps] for stage in stages("unet")]
    assert shapes[1] == [(256, 256, 64)] * 2
    assert shapes[5] == [(16, 16, 1024)] * 2
    assert shapes[6] == [(32, 32, 1024), (32, 32, 512), (32, 32, 512)]
    assert stages("unet")[6].maps[0].parts == (512, 512)
    sizes = [stage.size for stage in stages("unet_valid")]
    assert (sizes[1], sizes[5], sizes[-1]) == ((568, 568), (28, 28), (388, 388))
    context = next(stage for stage in stages("dilatednet") if stage.name == "context")
    assert [made.rates for made in context.maps] == [(), (), (2,), (4,), (8,), (16,), ()]
    conv4, conv5 = (
        next(stage.maps[0] for stage in stages("deeplab_v3") if stage.name == name)
        for name in ("conv4", "conv5")
    )
    assert (conv4.note, conv4.rates, conv5.rates) == ("6 blocks", (), (2, 4, 8))


def test_height_and_width_count_in_this_order_and_a_fixed_size_stays():
    free = without_weights(lambda: models.unet(IMAGE, 2))
    fixed = without_weights(lambda: models.unet((96, 64, 3), 2))
    assert stages_of(free, (96, 64))[1].size == stages_of(fixed)[1].size == (96, 64)


@pytest.mark.parametrize(
    ("layer", "stage"),
    [
        ("encoder3_conv2", "encoder3"),
        ("conv4_block6_out", "conv4"),
        ("encoder1_pool", "encoder1"),
        ("decoder2_up", "decoder2"),
        ("fc6_rate12", "fc6_rate12"),
        ("bottleneck", "bottleneck"),
    ],
)
def test_a_stage_is_what_the_names_of_its_layers_have_in_common(layer, stage):
    assert Map(layer, "conv", (4, 5, 6)).stage == stage


def test_the_stages_of_a_model_of_the_readers_own_by_hand():
    image = keras.Input((32, 48, 3))
    skip = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D(2)(skip)
    x = layers.Conv2D(16, 3, padding="same", dilation_rate=2)(x)
    x = layers.Concatenate()([skip, layers.UpSampling2D(2)(x)])
    found = stages_of(keras.Model(image, layers.Conv2D(2, 1)(x)))
    maps = [made for stage in found for made in stage.maps]
    assert [(made.kind, made.shape, made.level) for made in maps] == [
        ("input", (32, 48, 3), 0),
        ("conv", (32, 48, 8), 0),
        ("dilated", (16, 24, 16), 1),
        ("concat", (32, 48, 24), 0),
        ("conv", (32, 48, 2), 0),
    ]
    assert (maps[2].rates, maps[3].parts) == ((2,), (8, 16))
    joined = next(stage for stage in found if len(stage.sources) == 2)
    assert sorted(joined.sources.values()) == ["forward", "up"]


def test_open_channels_are_refused():
    image = keras.Input((None, None, None))
    with pytest.raises(ValueError, match=r"Received: model.input_shape=\(None, None, None, None\)"):
        stages_of(keras.Model(image, layers.ReLU()(image)))
