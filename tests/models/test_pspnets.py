import keras
import numpy as np
import pytest

from kerasseg.models import pspnet
from tests.models.test_resnets import encoder_biases
from tests.models.zoo import (
    DeepSegmentationModelTests,
    outputs,
    picture,
    trainable,
    without_weights,
)

HEAD = {
    "pyramid": "branches",
    "head_conv": "head.0",
    "head_conv_bn": "head.1",
    "head_scores": "scores",
}
AUXILIARY = {
    "auxiliary_conv": "auxiliary.0.0",
    "auxiliary_conv_bn": "auxiliary.0.1",
    "auxiliary_scores": "auxiliary.1",
}


class TestPSPNet(DeepSegmentationModelTests):
    build = staticmethod(pspnet)
    stride = 8
    remainder = 1
    test_moving_the_input_by_the_output_stride_moves_the_logits_as_much = None  # sees everything


@pytest.mark.slow
class TestPSPNet101(TestPSPNet):
    def build(self, *args, **kwargs):
        return pspnet(*args, encoder="resnet101", **kwargs)


@pytest.mark.parametrize(
    ("encoder", "auxiliary", "count"),
    [("resnet50", False, 46_592_597), ("resnet101", True, 67_949_930)],
)
def test_has_the_definitions_parameters_but_for_the_encoders_biases(encoder, auxiliary, count):
    family = pytest.importorskip("tests.models.torch_resnet_family")
    model = without_weights(
        lambda: pspnet((None, None, 3), 21, encoder=encoder, auxiliary=auxiliary)
    )
    assert trainable(model) - encoder_biases(model) == count
    depth = int(encoder.removeprefix("resnet"))
    assert family.parameters(family.PSPNet, depth, 21, auxiliary=auxiliary) == count


def test_the_definition_has_the_papers_parameters_with_the_papers_stem():
    family = pytest.importorskip("tests.models.torch_resnet_family")
    for depth, classes, auxiliary, count in (
        (50, 150, False, 46_782_550),
        (101, 21, False, 65_708_501),
        (101, 21, True, 68_073_706),
    ):
        arguments = {"deep_stem": True, "auxiliary": auxiliary}
        assert family.parameters(family.PSPNet, depth, classes, **arguments) == count


@pytest.mark.parametrize("auxiliary", [False, True])
def test_equals_the_definition_in_pytorch(auxiliary):
    family = pytest.importorskip("tests.models.torch_resnet_family")
    ours, theirs = family.outputs_of_both(
        pspnet((None, None, 3), 7, width=0.1, auxiliary=auxiliary),
        family.PSPNet(50, 7, width=0.1, bias=True, auxiliary=auxiliary),
        {**HEAD, **AUXILIARY} if auxiliary else HEAD,
        picture(81, 113),
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.slow
def test_the_auxiliary_head_trains_beside_the_other_and_can_be_dropped():
    model = pspnet((33, 41, 3), 2, width=0.05, auxiliary=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", [loss, loss], loss_weights=[1.0, 0.4])
    images, labels = picture(33, 41), np.zeros((2, 33, 41), "int32")
    before = model.get_layer("auxiliary_scores").get_weights()
    logs = model.train_on_batch(images, (labels, labels), return_dict=True)
    np.testing.assert_allclose(
        logs["loss"], logs["logits_loss"] + 0.4 * logs["auxiliary_logits_loss"], rtol=1e-5
    )
    after = model.get_layer("auxiliary_scores").get_weights()
    assert abs(after[0] - before[0]).max() > 0
    trained = keras.Model(model.input, model.outputs[0])
    np.testing.assert_array_equal(outputs(trained, images), outputs(model, images)[0])
    assert not any(layer.name.startswith("auxiliary") for layer in trained.layers)


def test_a_picture_of_473_has_maps_of_60_as_in_the_paper():
    model = pspnet((473, 473, 3), 21, width=0.02)
    shapes = {
        name: model.get_layer(name).output.shape[1:3]
        for name in ("conv2_block3_out", "conv3_block4_out", "conv5_block3_out", "pyramid")
    }
    assert shapes == {
        "conv2_block3_out": (119, 119),
        "conv3_block4_out": (60, 60),
        "conv5_block3_out": (60, 60),
        "pyramid": (60, 60),
    }
    assert model.output_shape == (None, 473, 473, 21)
