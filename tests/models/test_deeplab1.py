import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import deeplab_v1
from tests.models.zoo import (
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    picture,
    without_weights,
)


class TestDeepLabV1(SlowlyCompiledModelTests):
    stride = 8
    remainder = 1
    strides_to_see = 66  # 528 pixels; fc7 sees 435
    learning_rate = 0.001

    def build(self, *args, **kwargs):
        return deeplab_v1(*args, **{"dropout": 0.0, **kwargs})


def test_has_the_papers_parameters():
    assert without_weights(lambda: deeplab_v1((None, None, 3), 21)).count_params() == 20_505_429


def test_fc6_sees_435_pixels_at_stride_8():
    field = receptive_field(deeplab_v1((None, None, 3), 2, width=0.02), "fc7")
    assert (field.size, field.stride) == (435, 8)


def test_gradients_reach_as_far_as_the_receptive_field():
    model = deeplab_v1((None, None, 3), 2, width=0.02)
    assert_gradients_reach_the_receptive_field(model, "fc7", 513)


@pytest.mark.parametrize(("size", "inner"), [(321, 41), (513, 65), (353, 45), (320, 41), (314, 41)])
def test_maps_have_the_papers_sizes(size, inner):
    model = deeplab_v1((size, size, 3), 2, width=0.02)
    assert model.get_layer("pad").output.shape[1] == 8 * (inner - 1) + 1
    names = ("encoder3_pool", "encoder4_pool", "encoder5_pool", "average", "fc6", "scores")
    assert {model.get_layer(name).output.shape[1] for name in names} == {inner}


def test_equals_the_definition_in_pytorch():
    family = pytest.importorskip("tests.models.torch_vgg_family")
    ours, theirs = family.outputs_of_both(
        deeplab_v1((None, None, 3), 4, width=0.05), family.LargeFOV(4, 0.05), picture(105, 137)
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)


def test_training_drops_half_of_fc6_and_fc7():
    model = deeplab_v1((None, None, 3), 2, width=0.02)
    rates = {x.name: x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)}
    assert rates == {"fc6_dropout": 0.5, "fc7_dropout": 0.5}
