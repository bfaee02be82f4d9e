import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from kerasseg.models import segnet, segnet_basic
from tests.models.zoo import (
    SegmentationModelTests,
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    picture,
    trainable,
    without_weights,
)


class TestSegNet(SlowlyCompiledModelTests):
    build = staticmethod(segnet)
    stride = 32
    test_other_sizes_are_mirrored_evenly_and_cropped_back = None  # its poolings take any size


class TestSegNetBasic(SegmentationModelTests):
    build = staticmethod(segnet_basic)
    has_own_kernels = True
    test_other_sizes_are_mirrored_evenly_and_cropped_back = None  # its poolings take any size


def test_have_the_papers_parameters():
    assert trainable(without_weights(lambda: segnet((360, 480, 3), 11))) == 29_449_355
    assert trainable(without_weights(lambda: segnet_basic((360, 480, 3), 11))) == 1_416_587


def test_the_last_poolings_see_as_much_as_in_the_paper():
    for build, stage, size in ((segnet, 5, 212), (segnet_basic, 4, 106)):
        model = build((None, None, 3), 2, width=0.02)
        assert receptive_field(model, f"encoder{stage}_pool").size == size
        assert_gradients_reach_the_receptive_field(model, f"encoder{stage}_pool", 320)


def test_segnet_basic_equals_the_definition_in_pytorch():
    family = pytest.importorskip("tests.models.torch_vgg_family")
    ours, theirs = family.outputs_of_both(
        segnet_basic((None, None, 3), 4, width=0.2), family.SegNetBasic(4, 0.2), picture(45, 60)
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_poolings_round_up_and_unpoolings_return_to_the_same_sizes():
    model = segnet((360, 480, 3), 11, width=0.05)
    pooled = [model.get_layer(f"encoder{i}_pool").output[0].shape[1:3] for i in range(1, 6)]
    assert pooled == [(180, 240), (90, 120), (45, 60), (23, 30), (12, 15)]
    unpooled = [model.get_layer(f"decoder{i}_unpool").output.shape[1:3] for i in range(1, 6)]
    assert unpooled == [(360, 480), *pooled[:-1]]


def test_every_unpooling_takes_the_argmax_of_its_own_encoder_stage():
    model = segnet((37, 50, 3), 4, width=0.05)
    for stage in range(1, 6):
        pool = model.get_layer(f"encoder{stage}_pool")
        unpool = model.get_layer(f"decoder{stage}_unpool")
        assert isinstance(pool, MaxPoolingWithArgmax2D)
        assert isinstance(unpool, MaxUnpooling2D)
        arguments = unpool._inbound_nodes[0].arguments.keras_tensors
        assert any(tensor is pool.output[1] for tensor in arguments)
    assert not any(isinstance(layer, keras.layers.UpSampling2D) for layer in model.layers)


def test_unpooled_maps_are_zero_wherever_the_encoder_had_no_maximum():
    model = segnet((24, 20, 3), 4, width=0.05)
    stage = keras.Model(
        model.input,
        [model.get_layer("encoder2_conv2_relu").output, model.get_layer("decoder2_unpool").output],
    )
    x = np.random.default_rng(0).uniform(size=(1, 24, 20, 3))
    before, unpooled = (keras.ops.convert_to_numpy(y) for y in stage(x, training=False))
    windows = before.reshape(1, 6, 2, 5, 2, -1)
    at_maximum = (windows == windows.max((2, 4), keepdims=True)).reshape(before.shape)
    assert (unpooled != 0).any()
    assert at_maximum[unpooled != 0].all()
