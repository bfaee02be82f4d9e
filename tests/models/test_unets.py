import re

import keras
import numpy as np
import pytest

from kerasseg.models import unet
from tests.models.zoo import SegmentationModelTests, outputs, picture, trainable


class TestUNet(SegmentationModelTests):
    build = staticmethod(unet)


def test_has_the_papers_parameters():
    assert unet((None, None, 1), 2, batch_norm=False).count_params() == 31_030_658
    assert trainable(unet((None, None, 3), 2)) == 31_043_586


def test_has_23_convolutions():
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    assert sum(isinstance(layer, kinds) for layer in unet((32, 32, 1), 2, width=0.1).layers) == 23


@pytest.mark.parametrize(("rows", "columns"), [(572, 188), (204, 236)])
def test_valid_padding_loses_184_pixels_as_in_the_paper(rows, columns):
    model = unet((rows, columns, 1), 2, width=0.02, padding="valid")
    assert model.output_shape == (None, rows - 184, columns - 184, 2)


def test_valid_padding_sees_only_the_picture():
    """Without padding the middle of a large picture equals the same pixels cut out first."""
    model = unet((None, None, 1), 2, width=0.02, padding="valid")
    large = picture(188 + 32, 188 + 32, 1, count=1)
    small = large[:, 16:-16, 16:-16]
    np.testing.assert_allclose(
        outputs(model, large)[:, 16:-16, 16:-16], outputs(model, small), atol=1e-5
    )


def test_valid_padding_refuses_sizes_that_do_not_divide_and_names_those_that_do():
    with pytest.raises(
        ValueError, match=re.escape("(570, 180, 1). The next sizes that fit: [572, 188]")
    ):
        unet((570, 180, 1), 2, padding="valid")


def test_unknown_padding_is_named():
    with pytest.raises(ValueError, match="Received: padding='reflect'"):
        unet((32, 32, 3), 2, padding="reflect")


def test_activation_is_that_of_the_output():
    result = outputs(unet((16, 16, 3), 3, width=0.05, activation="softmax"), picture(16, 16))
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-5)


def test_layers_are_named_as_in_the_drawing():
    names = {layer.name for layer in unet((32, 32, 3), 2, width=0.05).layers}
    assert {"encoder3_conv2", "encoder1_pool", "bottleneck_conv1", "decoder3_up"} <= names
