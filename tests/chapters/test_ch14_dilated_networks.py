import keras
import numpy as np
import pytest

import kerasseg
from kerasseg import models
from kerasseg.models.vgg import deeplab_vgg16, vgg16
from tests.chapters.page import functions

pool, convolve, deeplab_v1, context_module, identity, pyramid_scores = functions(
    "ch14_dilated_networks",
    *("pool", "convolve", "deeplab_v1", "context_module", "identity", "pyramid_scores"),
)


@pytest.mark.parametrize("length", [8, 12])
def test_a_stride_of_one_and_a_rate_of_two_keep_the_answers_of_a_stride_of_two(length):
    row = np.random.default_rng(length).integers(0, 9, length)
    strided = convolve(pool(row, 2), (1, 2, 3), rate=1)
    assert (convolve(pool(row, 1), (1, 2, 3), rate=2)[::2] == strided).all()


def test_so_they_do_in_vgg_with_its_weights():
    image = keras.Input((None, None, 3))
    coarse = keras.Model(image, vgg16(image, 0.05, strides=(2, 2, 2, 2, None))[-1])
    fine = vgg16(image, 0.05, strides=(2, 2, 2, 1, None), rates=(1, 1, 1, 1, 2))[-1]
    fine = keras.Model(image, fine)
    fine.set_weights(coarse.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 96, 3)).astype("float32")
    assert np.allclose(fine(x)[:, ::2, ::2], coarse(x), atol=1e-5)


def test_the_page_builds_the_library_s_deeplab_v1():
    page, library = (f((41, 57, 3), 5, width=0.1) for f in (deeplab_v1, models.deeplab_v1))
    assert page.count_params() == library.count_params()
    page.set_weights(library.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (2, 41, 57, 3)).astype("float32")
    assert np.allclose(page(x), library(x), atol=1e-5)


def test_deeplab_v1_has_the_weights_that_the_page_states_and_sees_435_pixels():
    network = deeplab_v1((None, None, 3), 21)
    assert network.count_params() == 20_505_429
    assert kerasseg.receptive_field(network, "fc7").size == 435


def test_a_rate_of_12_spans_as_many_positions_with_three_taps_as_a_rate_of_4_with_seven():
    assert (3 - 1) * 12 + 1 == (7 - 1) * 4 + 1 == 25


def test_the_context_module_sees_as_many_positions_as_the_formula_says_and_has_no_holes():
    scores = keras.Input((None, None, 1))
    spread = keras.Model(scores, context_module(scores, 1, start="ones"))
    impulse = np.zeros((1, 81, 81, 1), "float32")
    impulse[0, 40, 40] = 1
    sizes = []
    for layer in spread.layers[1:8]:
        reached = np.asarray(keras.Model(scores, layer.output)(impulse))[0, ..., 0] > 0
        sizes.append(int(reached.any(0).sum()))
        assert reached.sum() == sizes[-1] ** 2
    assert sizes == [3, 5, 9, 17, 33, 65, 67]


def test_a_fresh_context_module_lets_scores_that_are_not_negative_pass():
    scores = keras.Input((None, None, 3))
    fresh = keras.Model(scores, context_module(scores, 3, start=identity))
    x = np.random.default_rng(0).uniform(0, 1, (1, 20, 30, 3)).astype("float32")
    assert np.array_equal(fresh(x), x)


def test_the_pyramid_on_vgg_has_the_weights_of_deeplab_v2():
    image = keras.Input((None, None, 3))
    network = keras.Model(image, pyramid_scores(deeplab_vgg16(image, 1)[-1], 21))
    assert network.count_params() == 37_877_652
