import numpy as np
import pytest
from keras import layers

from kerasseg import models
from kerasseg.layers import AtrousConv2D, BilinearUpsampling2D
from kerasseg.layers.pyramids import average_windows
from tests.chapters.page import functions

pool_windows, pspnet, deeplab_v3, valid_taps = functions(
    "ch15_context", "pool_windows", "pspnet", "deeplab_v3", "valid_taps"
)


@pytest.mark.parametrize(("shape", "bins"), [((4, 4), 3), ((5, 7), 2), ((9, 6), 4), ((6, 6), 6)])
def test_the_windows_are_those_of_the_layer_also_where_they_overlap(shape, bins):
    feature_map = np.random.default_rng(0).uniform(0, 1, shape)
    means = average_windows(feature_map[None, :, :, None], axes=(1, 2), count=bins)
    assert np.allclose(np.asarray(means)[0, ..., 0], pool_windows(feature_map, bins), atol=1e-6)


def copy_weights(library, page, names):
    """Gives the page's network the library's convolutions; the normalizations are both fresh."""
    layer_of = {layer.name: layer for layer in library.layers} | names
    for layer in page.layers:
        if layer.weights and not isinstance(layer, layers.BatchNormalization):
            layer.set_weights(layer_of[layer.name].get_weights())


def outputs_of(model):
    x = np.random.default_rng(0).uniform(0, 1, (2, *model.input_shape[1:])).astype("float32")
    return np.asarray(model(x, training=False))


def test_the_page_builds_the_library_s_pspnet():
    page, library = (build((41, 89, 3), 5, width=0.05) for build in (pspnet, models.pspnet))
    assert page.count_params() == library.count_params()
    branches = library.get_layer("pyramid").branches
    names = {f"means{bins}_conv": b.layers[0] for bins, b in zip((1, 2, 3, 6), branches)}
    names |= {"head": library.get_layer("head_conv"), "scores": library.get_layer("head_scores")}
    copy_weights(library, page, names)
    assert np.allclose(outputs_of(page), outputs_of(library), atol=1e-5)


def test_the_page_builds_the_library_s_deeplab_v3():
    page, library = (f((49, 65, 3), 5, width=0.05) for f in (deeplab_v3, models.deeplab_v3))
    assert page.count_params() == library.count_params()
    head = library.get_layer("pyramid")
    branches = [*head.branches, head.image_branch, head.projection]
    names = ("pixel", "rate6", "rate12", "rate18", "mean_conv", "projection")
    copy_weights(library, page, {name: b.layers[0] for name, b in zip(names, branches)})
    assert np.allclose(outputs_of(page), outputs_of(library), atol=1e-5)


def test_both_have_the_weights_that_the_page_states():
    assert pspnet((473, 473, 3), 21).count_params() == 46_677_397
    assert deeplab_v3((None, None, 3), 21).count_params() == 39_131_285


@pytest.mark.parametrize(("height", "width", "rate"), [(9, 13, 12), (9, 13, 6), (16, 20, 4)])
def test_a_convolution_of_ones_counts_the_valid_taps(height, width, rate):
    count = AtrousConv2D(1, 3, rate, padding="same", kernel_initializer="ones")
    counted = np.asarray(count(np.ones((1, height, width, 1), "float32"))).mean()
    assert counted == pytest.approx(valid_taps(height, width, rate), abs=1e-5)


def test_a_rate_as_large_as_the_map_leaves_the_middle_tap_alone():
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
    wide = AtrousConv2D(4, 3, rate=16, padding="same", use_bias=False)
    assert np.allclose(wide(x), x @ np.asarray(wide.kernel)[1, 1], atol=1e-5)
    assert valid_taps(16, 16, 16) == 1


def test_rate_12_has_1_15_valid_taps_on_9_by_13_positions():
    assert valid_taps(9, 13, 12) == pytest.approx(1.15, abs=0.005)


def test_a_linear_score_of_a_hypercolumn_is_the_sum_of_enlarged_scores():
    rng = np.random.default_rng(0)
    shallow, deep = rng.normal(size=(1, 8, 12, 3)), rng.normal(size=(1, 2, 3, 5))
    of_shallow, of_deep = rng.normal(size=(3, 2)), rng.normal(size=(5, 2))
    enlarge = BilinearUpsampling2D(4)
    stacked = np.concatenate([shallow, enlarge(deep)], -1) @ np.concatenate([of_shallow, of_deep])
    assert np.allclose(stacked, shallow @ of_shallow + enlarge(deep @ of_deep), atol=1e-5)
