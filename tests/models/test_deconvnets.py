import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import deconvnet
from tests.models.zoo import (
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    outputs,
    picture,
    trainable,
    without_weights,
)


class TestDeconvNet(SlowlyCompiledModelTests):
    build = staticmethod(deconvnet)
    stride = 32
    strides_to_see = 36
    test_other_sizes_are_mirrored_evenly_and_cropped_back = None  # its poolings take any size


def test_has_the_papers_parameters():
    assert trainable(without_weights(lambda: deconvnet((224, 224, 3), 21))) == 251_805_653


def test_a_picture_of_224_pixels_is_one_position_of_fc6_as_in_the_paper():
    model = deconvnet((224, 224, 3), 21, width=0.02)
    shapes = [model.get_layer(f"encoder{i}_pool").output[0].shape[1:3] for i in range(1, 6)]
    assert shapes == [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7)]
    assert model.get_layer("fc6").output.shape[1:3] == (1, 1)
    assert model.get_layer("fc7").output.shape[1:3] == (1, 1)
    assert model.get_layer("fc6_deconv").output.shape[1:3] == (7, 7)


def test_fc6_sees_404_pixels():
    model = deconvnet((None, None, 3), 2, width=0.02)
    assert receptive_field(model, "encoder5_pool").size == 212
    assert receptive_field(model, "fc6").size == receptive_field(model, "fc7").size == 404
    assert_gradients_reach_the_receptive_field(model, "fc7", 640)


def test_the_decoder_narrows_on_the_last_deconvolution_of_a_stage():
    model = deconvnet((None, None, 3), 2, width=0.125)
    filters = [
        [layer.filters for layer in model.layers if layer.name in names]
        for names in ([f"decoder{i}_deconv{j}" for j in (1, 2, 3)] for i in (5, 4, 3, 2, 1))
    ]
    assert filters == [[64, 64, 64], [64, 64, 32], [32, 32, 16], [16, 8], [8, 8]]


def test_every_unpooling_takes_the_argmax_of_its_own_encoder_stage():
    model = deconvnet((224, 256, 3), 4, width=0.02)
    for stage in range(1, 6):
        _, argmax = model.get_layer(f"encoder{stage}_pool").output
        unpool = model.get_layer(f"decoder{stage}_unpool")
        assert any(x is argmax for x in unpool._inbound_nodes[0].arguments.keras_tensors)


@pytest.mark.parametrize("size", [(224, 224), (250, 301)])
def test_equals_the_definition_in_pytorch(size):
    family = pytest.importorskip("tests.models.torch_vgg_family")
    ours, theirs = family.outputs_of_both(
        deconvnet((None, None, 3), 4, width=0.05), family.DeconvNet(4, 0.05), picture(*size)
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_small_map_is_mirrored_up_to_the_window_of_fc6():
    model = deconvnet((64, 96, 3), 2, width=0.02)
    assert model.get_layer("encoder5_pool").output[0].shape[1:3] == (2, 3)
    assert model.get_layer("fc6_pad").output.shape[1:3] == (7, 7)
    assert model.get_layer("fc6_crop").output.shape[1:3] == (2, 3)
    probe = keras.Model(model.input, model.get_layer("fc6_pad").output)
    padded = outputs(probe, picture(64, 96))
    np.testing.assert_array_equal(padded[:, 2:4], padded[:, 3:1:-1][:, ::-1])
