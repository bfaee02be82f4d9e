import numpy as np
import pytest

from kerasseg.models import deeplab_v3
from tests.models.test_resnets import encoder_biases
from tests.models.zoo import (
    DeepSegmentationModelTests,
    outputs,
    picture,
    trainable,
    without_weights,
)


class TestDeepLabV3(DeepSegmentationModelTests):
    build = staticmethod(deeplab_v3)
    remainder = 1
    test_moving_the_input_by_the_output_stride_moves_the_logits_as_much = None  # sees everything


@pytest.mark.slow
class TestDeepLabV3OfResNet101(TestDeepLabV3):
    stride = 8

    def build(self, *args, **kwargs):
        return deeplab_v3(*args, encoder="resnet101", output_stride=8, **kwargs)


@pytest.mark.parametrize(
    ("encoder", "count"), [("resnet50", 39_048_533), ("resnet101", 58_040_661)]
)
def test_has_the_definitions_parameters_but_for_the_encoders_biases(encoder, count):
    family = pytest.importorskip("tests.models.torch_resnet_family")
    model = without_weights(lambda: deeplab_v3((None, None, 3), 21, encoder=encoder))
    assert trainable(model) - encoder_biases(model) == count
    depth = int(encoder.removeprefix("resnet"))
    assert family.parameters(family.DeepLabV3, depth, 21) == count


@pytest.mark.parametrize("output_stride", [16, 8])
def test_equals_the_definition_in_pytorch(output_stride):
    family = pytest.importorskip("tests.models.torch_resnet_family")
    ours, theirs = family.outputs_of_both(
        deeplab_v3((None, None, 3), 7, width=0.1, output_stride=output_stride),
        family.DeepLabV3(50, 7, output_stride, width=0.1, bias=True),
        {"pyramid": "pyramid", "scores": "scores"},
        picture(81, 113),
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_rates_of_the_pyramid_double_at_output_stride_8():
    for output_stride, rates in ((16, (6, 12, 18)), (8, (12, 24, 36))):
        model = deeplab_v3((None, None, 3), 2, width=0.02, output_stride=output_stride)
        assert model.get_layer("pyramid").rates == rates


def test_a_net_trained_at_output_stride_16_goes_on_at_8_with_its_weights(tmp_path):
    coarse, fine = (
        deeplab_v3((None, None, 3), 2, width=0.02, output_stride=stride) for stride in (16, 8)
    )
    coarse.save_weights(tmp_path / "trained.weights.h5")
    fine.load_weights(tmp_path / "trained.weights.h5")
    for after, before in zip(fine.get_weights(), coarse.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_at_output_stride_8_other_sizes_are_mirrored_to_8n_1_and_cropped_back():
    model = deeplab_v3((None, None, 3), 4, width=0.05, output_stride=8)
    images = picture(20, 43)
    mirrored = np.pad(images, ((0, 0), (2, 3), (3, 3), (0, 0)), "reflect")
    assert mirrored.shape[1:3] == (25, 49)
    np.testing.assert_allclose(
        outputs(model, images), outputs(model, mirrored)[:, 2:-3, 3:-3], atol=1e-6
    )


@pytest.mark.parametrize(("output_stride", "rows"), [(16, 33), (8, 65)])
def test_a_picture_of_513_has_maps_as_in_the_paper(output_stride, rows):
    model = deeplab_v3((513, 513, 3), 21, width=0.02, output_stride=output_stride)
    assert model.get_layer("conv3_block4_out").output.shape[1:3] == (65, 65)
    for name in ("conv4_block6_out", "conv5_block3_out", "pyramid", "scores"):
        assert model.get_layer(name).output.shape[1:3] == (rows, rows)
    assert model.output_shape == (None, 513, 513, 21)


def test_other_output_strides_are_named():
    with pytest.raises(ValueError, match="Received: output_stride=32"):
        deeplab_v3((None, None, 3), 2, output_stride=32)
