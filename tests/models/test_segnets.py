import keras
import numpy as np

from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from kerasseg.models import segnet
from tests.models.zoo import SegmentationModelTests, trainable


class TestSegNet(SegmentationModelTests):
    build = staticmethod(segnet)
    stride = 32


def test_has_the_papers_parameters():
    assert trainable(segnet((360, 480, 3), 11)) == 29_449_355


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
