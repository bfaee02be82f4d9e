import keras
import numpy as np

from kerasseg.anatomy.receptive_fields import receptive_field
from kerasseg.layers import BilinearUpsampling2D
from kerasseg.models import hypercolumn
from tests.models.zoo import (
    SlowlyCompiledModelTests,
    assert_gradients_reach_the_receptive_field,
    picture,
    trainable,
    without_weights,
)

TAPS = (("encoder3", 8), ("encoder4", 16), ("fc7", 32))


class TestHypercolumn(SlowlyCompiledModelTests):
    stride = 32
    learning_rate = 0.001

    def build(self, *args, **kwargs):
        return hypercolumn(*args, **{"dropout": 0.0, **kwargs})


def test_parameters_are_those_of_vgg16_and_of_one_linear_classifier_a_map():
    model = without_weights(lambda: hypercolumn((None, None, 3), 21))
    assert trainable(model) == 134_260_544 + (256 + 512 + 4096) * 21 + 3 * 21


def test_the_maps_see_as_much_as_those_of_vgg16_and_gradients_reach_as_far():
    model = hypercolumn((None, None, 3), 2, width=0.02)
    for (name, _), size in zip(TAPS, (44, 100, 404)):
        assert receptive_field(model, f"{name}_scores").size == size
        assert_gradients_reach_the_receptive_field(model, f"{name}_scores", 640)


def test_the_sum_of_enlarged_scores_equals_one_classifier_of_the_concatenation():
    model = hypercolumn((64, 96, 3), 5, width=0.1)
    probe = keras.Model(
        model.input, [model.get_layer(f"{name}_bn").output for name, _ in TAPS] + [model.output]
    )
    *maps, logits = probe(picture(64, 96), training=False)
    columns = [BilinearUpsampling2D(factor)(x) for x, (_, factor) in zip(maps, TAPS)]
    columns = np.concatenate([keras.ops.convert_to_numpy(x) for x in columns], -1)
    kernels, biases = zip(*(model.get_layer(f"{name}_scores").get_weights() for name, _ in TAPS))
    expected = columns @ np.concatenate(kernels, 2)[0, 0] + sum(biases)
    assert columns.shape == (2, 64, 96, 26 + 51 + 410)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(logits), expected, atol=1e-4)
