import keras
import pytest

from kerasseg import models
from kerasseg.receptive_fields import receptive_field
from tests.models.zoo import DeepSegmentationModelTests, trainable, without_weights

quick_to_compile = pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX takes minutes to compile so many layers anew"
)


class FCDenseNetTests(DeepSegmentationModelTests):
    stride = 32
    strides_to_see = 32

    @quick_to_compile
    def test_logits_are_float32_under_mixed_precision(self):
        super().test_logits_are_float32_under_mixed_precision()

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
