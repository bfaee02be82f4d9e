import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.models import dilatednet
from kerasseg.models.dilatednets import IdentityConvolution, context_module
from tests.models.zoo import (
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    outputs,
    picture,
    without_weights,
)


class TestDilatedNet(SlowlyCompiledModelTests):
    stride = 8
    strides_to_see = 140  # 1120 pixels; the context sees 908
    learning_rate = 0.0001

    def test_it_trains_in_bfloat16_and_gives_float32(self):
        if keras.backend.backend() == "torch":
            pytest.skip("oneDNN's gradient by a bfloat16 kernel with holes is not always finite")
        super().test_it_trains_in_bfloat16_and_gives_float32()

    def build(self, *args, **kwargs):
        return dilatednet(*args, **{"dropout": 0.0, **kwargs})


@pytest.mark.parametrize("context", [None, "large"])
@pytest.mark.parametrize("size", [(1, 1), (13, 20)])
def test_the_front_end_and_the_large_context_take_any_size(context, size):
    model = dilatednet((None, None, 3), 4, width=0.05, context=context)
    assert outputs(model, picture(*size)).shape == (2, *size, 4)


@pytest.mark.parametrize(
    ("context", "num_classes", "count"),
    [(None, 21, 134_346_581), ("large", 21, 141_149_720), ("basic", 11, 134_313_443)],
)
def test_has_the_papers_parameters(context, num_classes, count):
    model = without_weights(lambda: dilatednet((None, None, 3), num_classes, context=context))
    assert model.count_params() == count


def test_front_end_and_context_see_as_much_as_in_the_paper():
    model = dilatednet((None, None, 3), 2, width=0.02)
    assert receptive_field(model, "fc7").size == 380
    seen = [receptive_field(model, f"context_conv{i}").size for i in range(1, 8)]
    assert [(size - 380) // 8 + 1 for size in seen] == [3, 5, 9, 17, 33, 65, 67]
    assert receptive_field(model, "context_scores").size == 908


@pytest.mark.parametrize(("layer", "columns"), [("fc7", 512), ("context_scores", 1024)])
def test_gradients_reach_as_far_as_the_receptive_field(layer, columns):
    model = dilatednet((None, None, 3), 2, width=0.02)
    assert_gradients_reach_the_receptive_field(model, layer, columns)


def test_a_picture_of_528_pixels_has_the_papers_maps():
    model = dilatednet((528, 528, 3), 2, width=0.02)
    names = ("mirror", "encoder1_pool", "encoder3_pool", "encoder5_conv3", "fc6", "scores")
    sizes = [model.get_layer(name).output.shape[1] for name in names]
    assert sizes == [900, 448, 108, 90, 66, 66]


@pytest.mark.parametrize("context", [None, "basic", "large"])
def test_equals_the_definition_in_pytorch(context):
    family = pytest.importorskip("tests.models.torch_vgg_family")
    channels = {None: (), "basic": 7 * [3], "large": [3 * n for n in (1, 1, 1, 1, 2, 3, 3)]}
    ours, theirs = family.outputs_of_both(
        dilatednet((None, None, 3), 3, width=0.1, context=context),
        family.DilatedNet(3, 0.1, channels[context]),
        picture(192, 208),
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.std(), rtol=1e-4)


def context(multiples, num_classes, noise=0.0, **arguments):
    scores = keras.Input((None, None, num_classes))
    arguments = {"width": 1, **arguments}
    return keras.Model(scores, context_module(scores, num_classes, multiples, noise, **arguments))


def test_the_basic_context_starts_as_an_identity_of_what_is_not_negative():
    scores = picture(13, 17, 5)
    np.testing.assert_array_equal(outputs(context(7 * [1], 5), scores), scores)


def test_the_large_context_starts_as_an_identity_but_for_its_noise():
    scores = picture(13, 17, 5)
    multiples = (2, 2, 4, 8, 16, 32, 32)
    np.testing.assert_allclose(outputs(context(multiples, 5), scores), scores, atol=1e-6)
    noisy = outputs(context(multiples, 5, noise=0.001), scores)
    np.testing.assert_allclose(noisy, scores, atol=0.1)
    assert not np.array_equal(noisy, scores)


def test_identity_convolution_follows_the_papers_equation():
    kernel = keras.ops.convert_to_numpy(IdentityConvolution(3)((3, 3, 6, 12)))
    expected = np.zeros((3, 3, 6, 12))
    for a in range(6):
        for b in range(12):
            if a * 3 // 6 == b * 3 // 12:
                expected[1, 1, a, b] = 3 / 12
    np.testing.assert_allclose(kernel, expected)


def test_the_noise_of_an_identity_convolution_has_the_given_size_and_seed():
    convolution = IdentityConvolution(2, noise=0.25, seed=7)
    kernel = keras.ops.convert_to_numpy(convolution((3, 3, 40, 50)))
    noise = np.delete(kernel.reshape(9, -1), 4, 0)
    assert noise.std() == pytest.approx(0.25 * 2 / 50, rel=0.05)
    again = IdentityConvolution.from_config(convolution.get_config())
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again((3, 3, 40, 50))), kernel)


def test_scores_lie_over_what_they_saw():
    """Position `i` of fc7 sees the picture around the middle of the 8 rows it is enlarged to."""
    field = receptive_field(dilatednet((None, None, 3), 2, width=0.02, context=None), "fc7")
    assert field.offset + (field.size - 1) / 2 == (8 - 1) / 2


def test_unknown_context_is_named():
    with pytest.raises(ValueError, match="Received: context='huge'"):
        dilatednet((32, 32, 3), 2, context="huge")
