import functools

import keras
import numpy as np
import pytest

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.models import fcn8s, fcn16s, fcn32s
from tests.models.zoo import (
    SegmentationModelTests,
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    outputs,
    picture,
    without_weights,
)


def with_skips(build):
    """As after some training: the scores of the skips are no longer zero."""

    def wrapper(*args, **kwargs):
        model = build(*args, **{"dropout": 0.0, **kwargs})
        for layer in model.layers:
            if layer.name in ("encoder3_scores", "encoder4_scores"):
                layer.kernel.assign(0.1 * keras.random.normal(layer.kernel.shape))
        return model

    return staticmethod(wrapper)


class TestFCN32s(SlowlyCompiledModelTests):
    build = with_skips(fcn32s)
    stride = 32
    learning_rate = 0.001


class TestFCN16s(SlowlyCompiledModelTests):
    build = with_skips(fcn16s)
    stride = 32
    learning_rate = 0.001


class TestFCN8s(SegmentationModelTests):
    build = with_skips(fcn8s)
    stride = 32
    learning_rate = 0.001


class TestFCN8sWithThePapersPadding(SlowlyCompiledModelTests):
    build = with_skips(functools.partial(fcn8s, padding="paper"))
    stride = 32
    learning_rate = 0.001
    test_other_sizes_are_mirrored_evenly_and_cropped_back = None  # it pads with 100 zeros


def test_fcn8s_has_the_papers_parameters():
    assert without_weights(lambda: fcn8s((None, None, 3), 21)).count_params() == 134_489_759


@pytest.mark.parametrize(
    ("build", "skips", "transposed"),
    [(fcn32s, 0, 64**2), (fcn16s, 513, 4**2 + 32**2), (fcn8s, 513 + 257, 2 * 4**2 + 16**2)],
)
def test_parameters_follow_from_the_number_of_classes(build, skips, transposed):
    count = 134_260_544 + (4097 + skips) * 6 + transposed * 6**2
    assert without_weights(lambda: build((None, None, 3), 6)).count_params() == count


@pytest.mark.parametrize("padding", ["same", "paper"])
@pytest.mark.parametrize("layer", ["encoder3_pool", "encoder5_pool", "fc7"])
def test_gradients_reach_as_far_as_the_receptive_field(layer, padding):
    model = fcn8s((None, None, 3), 2, width=0.02, padding=padding)
    assert_gradients_reach_the_receptive_field(model, layer, 640)


@pytest.mark.parametrize("padding", ["same", "paper"])
def test_poolings_and_fc6_see_as_much_as_in_the_paper(padding):
    model = fcn8s((None, None, 3), 2, width=0.02, padding=padding)
    sizes = [receptive_field(model, f"encoder{stage}_pool").size for stage in (1, 2, 3, 4, 5)]
    assert sizes == [6, 16, 44, 100, 212]
    assert receptive_field(model, "fc6").size == receptive_field(model, "fc7").size == 404


def test_the_papers_padding_gives_the_papers_maps():
    model = fcn8s((500, 500, 3), 2, width=0.02, padding="paper")
    sizes = [model.get_layer(f"encoder{stage}_pool").output.shape[1] for stage in (1, 2, 3, 4, 5)]
    assert sizes == [349, 175, 88, 44, 22]
    names = ("fc6", "decoder4_sum", "decoder3_sum", "upsample8")
    assert [model.get_layer(name).output.shape[1] for name in names] == [16, 34, 70, 568]


@pytest.mark.parametrize("padding", ["same", "paper"])
@pytest.mark.parametrize("build", [fcn32s, fcn16s, fcn8s])
def test_a_score_of_fc7_is_written_around_the_middle_of_what_it_saw(build, padding):
    model = build((224, 256, 3), 2, width=0.02, padding=padding)
    scores = model.get_layer("fc7_scores").output
    decoder = keras.Model([model.input, scores], model.output)
    one_score = np.zeros((1, *scores.shape[1:]), "float32")
    one_score[0, 3, 4, 1] = 1
    result = outputs(decoder, [picture(224, 256, count=1), one_score])[0]
    assert (result[..., 0] == 0).all()
    for axis, unit in ((0, 3), (1, 4)):
        share = result[..., 1].sum(1 - axis)
        field = receptive_field(model, "fc7")
        middle = field.stride * unit + field.offset + (field.size - 1) / 2
        np.testing.assert_allclose((share * np.arange(len(share))).sum() / share.sum(), middle)


def test_the_last_upsampling_stays_bilinear_and_the_others_learn():
    model = fcn8s((None, None, 3), 3, width=0.02)
    learns = {name: model.get_layer(name).trainable for name in ("decoder4_up", "decoder3_up")}
    assert learns == {"decoder4_up": True, "decoder3_up": True}
    assert not model.get_layer("upsample8").trainable_weights


def test_fcn8s_starts_as_the_bilinear_enlargement_of_the_scores_of_fc7():
    model = fcn8s((256, 256, 3), 3, width=0.05)
    probe = keras.Model(model.input, [model.get_layer("fc7_scores").output, model.output])
    scores, logits = (
        keras.ops.convert_to_numpy(x) for x in probe(picture(256, 256), training=False)
    )
    expected = scores
    for factor in (2, 2, 8):
        expected = keras.ops.convert_to_numpy(BilinearUpsampling2D(factor)(expected))
    middle = slice(64, -64)  # near the border a transposed convolution fades to zero
    np.testing.assert_allclose(
        logits[:, middle, middle], expected[:, middle, middle], atol=1e-5, rtol=1e-4
    )


def test_unknown_padding_is_named():
    with pytest.raises(ValueError, match="'same' or 'paper'. Received: padding='valid'"):
        fcn8s((32, 32, 3), 2, padding="valid")


@pytest.mark.parametrize("padding", ["same", "paper"])
def test_fcn8s_equals_the_definition_in_pytorch(padding):
    family = pytest.importorskip("tests.models.torch_vgg_family")
    ours, theirs = family.outputs_of_both(
        fcn8s((None, None, 3), 4, width=0.05, padding=padding),
        family.FCN8s(4, 0.05, paper=padding == "paper"),
        picture(64, 96) if padding == "same" else picture(61, 83),
    )
    assert theirs.std() > 0.01
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
