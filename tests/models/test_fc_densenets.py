import keras
import numpy as np
import pytest

from kerasseg import models
from kerasseg.anatomy.receptive_fields import receptive_field
from tests.models.zoo import (
    DeepSegmentationModelTests,
    assert_gradients_reach_the_receptive_field,
    outputs,
    trainable,
    without_weights,
)

quick_to_compile = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX takes minutes to compile so many layers anew"
)


class FCDenseNetTests(DeepSegmentationModelTests):
    stride = 32
    strides_to_see = 32

    @quick_to_compile
    def test_it_trains_in_bfloat16_and_gives_float32(self):
        super().test_it_trains_in_bfloat16_and_gives_float32()

    @quick_to_compile
    def test_it_loads_in_a_fresh_process_and_gives_the_same(self, tmp_path):
        super().test_it_loads_in_a_fresh_process_and_gives_the_same(tmp_path)

    def test_width_scales_every_filter_count_and_never_below_one(self):
        for width, first, growth in ((0.25, 12, {3, 4}), (1e-9, 1, {1})):
            model = self.build((32, 32, 3), 4, width=width)
            assert model.get_layer("first_conv").filters == first
            assert model.get_layer("encoder1_layer1_conv").filters in growth


class TestFCDenseNet56(FCDenseNetTests):
    build = staticmethod(models.fc_densenet56)


@pytest.mark.slow
class TestFCDenseNet67(FCDenseNetTests):
    build = staticmethod(models.fc_densenet67)
    strides_to_see = 40


@pytest.mark.slow
class TestFCDenseNet103(FCDenseNetTests):
    build = staticmethod(models.fc_densenet103)
    strides_to_see = 80


# Trainable parameters, all parameters, convolutions, field of the bottleneck, its last layer.
PAPER = {
    "fc_densenet56": (1_376_795, 1_397_963, 56, 538, 4),
    "fc_densenet67": (3_463_243, 3_502_923, 67, 664, 5),
    "fc_densenet103": (9_322_091, 9_425_163, 103, 1622, 15),
}


@pytest.mark.parametrize("name", PAPER)
def test_has_the_papers_parameters_layers_and_field(name):
    parameters, with_averages, convolutions, size, last = PAPER[name]
    model = without_weights(lambda: getattr(models, name)((None, None, 3), 11))
    assert trainable(model) == parameters
    assert model.count_params() == with_averages
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    assert sum(isinstance(layer, kinds) for layer in model.layers) == convolutions
    assert receptive_field(model, f"bottleneck_layer{last}_conv")[:2] == (size, 32)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("fc_densenet56", 832),
        pytest.param("fc_densenet67", 1024, marks=pytest.mark.slow),
    ],
)
def test_gradients_reach_as_far_as_the_bottlenecks_field(name, columns):
    model = getattr(models, name)((None, None, 3), 2, width=0.05)
    layer = f"bottleneck_layer{PAPER[name][-1]}_conv"
    assert_gradients_reach_the_receptive_field(model, layer, columns)


# Maps behind each dense block, those that came in included; the paper's table 2.
MAPS = {
    "fc_densenet56": ([96, 144, 192, 240, 288], 336, [192, 240, 288, 336, 384]),
    "fc_densenet67": ([128, 208, 288, 368, 448], 528, [288, 368, 448, 528, 608]),
    "fc_densenet103": ([112, 192, 304, 464, 656], 896, [256, 384, 576, 816, 1088]),
}


@pytest.mark.parametrize("name", MAPS)
def test_blocks_have_the_papers_maps_and_only_new_ones_go_up(name):
    down, bottom, up = MAPS[name]
    model = without_weights(lambda: getattr(models, name)((64, 96, 3), 11))

    def channels(layer):
        return model.get_layer(layer).output.shape[-1]

    assert [channels(f"encoder{stage}_down_conv") for stage in (1, 2, 3, 4, 5)] == down
    assert channels("encoder5_pool") + channels("bottleneck_new") == bottom
    news = [channels(f"decoder{stage}_new") for stage in (2, 3, 4, 5)]
    joined = [channels(f"decoder{stage}_concat") for stage in (2, 3, 4, 5)]
    assert [sum(pair) for pair in zip(joined, news)] == up[1:]
    assert model.get_layer("scores").input.shape[-1] == up[0]
    new_ones = [*news, channels("bottleneck_new")]
    assert [channels(f"decoder{stage}_up") for stage in (1, 2, 3, 4, 5)] == new_ones


@pytest.mark.slow
def test_infinities_reach_the_bottleneck_of_fc_densenet103_from_its_whole_field():
    """Its paths are so many and so unequal that the gradient along the longest is rounded off."""
    model = models.fc_densenet103((None, None, 3), 2, width=0.05)
    for weight in model.trainable_weights:
        weight.assign(keras.ops.abs(weight) + 0.01)
    layer = model.get_layer(f"bottleneck_layer{PAPER['fc_densenet103'][-1]}_conv")
    size, stride, offset = receptive_field(model, layer)
    unit = 32
    first = stride * unit + offset
    images = np.zeros((4, 1, 2 * stride * unit, 3), "float32")
    for image, column in zip(images, (first - 1, first, first + size - 1, first + size)):
        image[:, column] = np.inf
    maps = outputs(keras.Model(model.input, layer.output), images)
    assert (~np.isfinite(maps[:, 0, unit])).any(-1).tolist() == [False, True, True, False]
