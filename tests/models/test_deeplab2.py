import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import deeplab_v2
from tests.models.test_resnets import encoder_biases
from tests.models.zoo import (
    DeepSegmentationModelTests,
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    outputs,
    picture,
    trainable,
    without_weights,
)

RATES = (6, 12, 18, 24)


class TestDeepLabV2(SlowlyCompiledModelTests):
    build = staticmethod(deeplab_v2)
    stride = 8
    remainder = 1
    strides_to_see = 88  # 704 pixels; the widest branch sees 611


@pytest.mark.slow
class TestDeepLabV2OfResNet101(DeepSegmentationModelTests):
    stride = 8
    remainder = 1
    strides_to_see = 184  # 1472 pixels; the widest branch sees 1411

    def build(self, *args, **kwargs):
        return deeplab_v2(*args, encoder="resnet101", **kwargs)


def test_has_the_papers_parameters():
    model = without_weights(lambda: deeplab_v2((None, None, 3), 21))
    assert model.count_params() == 37_877_652


def test_has_the_definitions_parameters_but_for_the_encoders_biases():
    family = pytest.importorskip("tests.models.torch_resnet_family")
    model = without_weights(lambda: deeplab_v2((None, None, 3), 21, encoder="resnet101"))
    assert trainable(model) - encoder_biases(model) == 44_048_532
    assert family.parameters(family.DeepLabV2, 21) == 44_048_532
    assert family.parameters(family.DeepLabV2VGG, 21) == 37_877_652


def test_equals_the_definition_in_pytorch():
    family = pytest.importorskip("tests.models.torch_resnet_family")
    names = {
        f"{name}_rate{rate}": f"branches.{i}.{2 * j}"
        for i, rate in enumerate(RATES)
        for j, name in enumerate(("fc6", "fc7", "scores"))
    }
    ours, theirs = family.outputs_of_both(
        deeplab_v2((None, None, 3), 7, width=0.1),
        family.DeepLabV2VGG(7, width=0.1),
        names,
        picture(81, 113),
    )
    assert theirs.std() > 1e-4
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.std())


def test_resnet101_equals_the_definition_in_pytorch():
    family = pytest.importorskip("tests.models.torch_resnet_family")
    ours, theirs = family.outputs_of_both(
        deeplab_v2((None, None, 3), 7, width=0.05, encoder="resnet101"),
        family.DeepLabV2(7, width=0.05, bias=True),
        {f"scores_rate{rate}": f"classifiers.{i}" for i, rate in enumerate(RATES)},
        picture(81, 113),
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "sizes"),
    [("vgg16", (323, 419, 515, 611)), ("resnet101", (1123, 1219, 1315, 1411))],
)
def test_branches_have_the_receptive_fields_of_the_paper(encoder, sizes):
    model = deeplab_v2((None, None, 3), 2, width=0.02, encoder=encoder)
    for rate, size in zip(RATES, sizes):
        field = receptive_field(model, f"scores_rate{rate}")
        assert (field.size, field.stride) == (size, 8)


@pytest.mark.parametrize(
    ("encoder", "columns"),
    [("vgg16", 897), pytest.param("resnet101", 1921, marks=pytest.mark.slow)],
)
def test_gradients_of_every_branch_reach_as_far_as_its_field(encoder, columns):
    model = deeplab_v2((None, None, 3), 2, width=0.02, encoder=encoder)
    for rate in RATES:
        assert_gradients_reach_the_receptive_field(model, f"scores_rate{rate}", columns)


def test_vgg16_weights_fill_the_encoder_and_see_the_picture_as_they_learned_to():
    theirs = keras.applications.VGG16(weights=None, include_top=False)
    for layer in theirs.layers:
        if layer.weights:
            layer.bias.assign(keras.random.normal(layer.bias.shape, 0, 0.1, seed=1))
    model = deeplab_v2((None, None, 3), 4, encoder_weights=theirs)
    images = picture(33, 41, count=1)
    prepared = keras.applications.vgg16.preprocess_input(255 * images)
    # Behind the first pooling the nets differ: here it is one of 3x3.
    expected, result = (
        outputs(keras.Model(net.input, net.get_layer(name).output), x)
        for net, name, x in (
            (theirs, "block1_conv2", prepared),
            (model, "encoder1_conv2_relu", images),
        )
    )
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.max())
    kernel, source = (
        net.get_layer(name).get_weights()[0]
        for net, name in ((model, "encoder5_conv3"), (theirs, "block5_conv3"))
    )
    np.testing.assert_array_equal(kernel, source)


def test_a_picture_of_321_has_maps_of_41_as_in_the_paper():
    model = deeplab_v2((321, 321, 3), 21, width=0.02)
    rows = [model.get_layer(f"encoder{stage}_pool").output.shape[1] for stage in range(1, 6)]
    assert rows == [161, 81, 41, 41, 41]
    assert model.get_layer("scores").output.shape == (None, 41, 41, 21)
    assert model.output_shape == (None, 321, 321, 21)


def test_unknown_encoders_are_named():
    with pytest.raises(ValueError, match="Received: encoder='resnet50'"):
        deeplab_v2((None, None, 3), 2, encoder="resnet50")
