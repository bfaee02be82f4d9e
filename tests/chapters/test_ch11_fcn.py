"""What lesson 11 says about FCN, and its three networks against the library's."""

import numpy as np
import pytest
from keras import ops

from kerasseg import models
from kerasseg.metrics import MeanIoU
from tests.chapters.page import functions

LESSON = "ch11_fcn"
NETWORKS = ("fcn32s", "fcn16s", "fcn8s")
ALL = functions(LESSON, "enlarge", "add_skip", *NETWORKS)
OURS = dict(zip(("enlarge", "add_skip", *NETWORKS), ALL))


def build(name, module=None):
    function = OURS[name] if module is None else getattr(module, name)
    return function((64, 96, 3), 5, width=1 / 16)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_on_the_page_is_the_library_s(name):
    ours, library = build(name), build(name, models)
    rng = np.random.default_rng(0)
    for layer in library.layers:  # skips start at zero and would hide a difference
        if layer.name in ("encoder3_scores", "encoder4_scores"):
            layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    assert ours.count_params() == library.count_params()
    ours.set_weights(library.get_weights())
    images = rng.uniform(size=(2, 64, 96, 3)).astype("float32")
    assert ours(images).shape == (2, 64, 96, 5)
    outputs = (ops.convert_to_numpy(net(images)) for net in (ours, library))
    np.testing.assert_allclose(*outputs, atol=1e-5)


@pytest.mark.parametrize(("coarse", "fine"), [("fcn32s", "fcn16s"), ("fcn16s", "fcn8s")])
def test_each_rung_begins_as_the_coarser_network_and_has_fewer_weights(coarse, fine):
    (take_over,) = functions(LESSON, "take_over")
    coarse, fine = build(coarse), build(fine)
    take_over(fine, coarse)
    assert fine.count_params() < coarse.count_params()
    image = np.random.default_rng(1).uniform(size=(1, 64, 96, 3)).astype("float32")
    answers = [ops.convert_to_numpy(net(image)).argmax(-1) for net in (coarse, fine)]
    assert (answers[0] == answers[1]).mean() > 0.9


def test_taking_over_leaves_nothing_but_the_new_rung_to_be_trained():
    (take_over,) = functions(LESSON, "take_over")
    fine = build("fcn8s")
    take_over(fine, build("fcn16s"))
    shapes = sorted(tuple(weight.shape) for weight in fine.trainable_weights)
    assert shapes == [(1, 1, 16, 5), (4, 4, 5, 5), (5,)]


def test_scores_4_8_4_enlarged_twice_are_3_5_7_7_5_3_by_hand_and_by_the_layer():
    (spread,) = functions(LESSON, "spread")
    scores = np.array([4.0, 8.0, 4.0])
    by_hand = spread(scores, 2).sum(0)[1:-1]
    assert by_hand.tolist() == [3, 5, 7, 7, 5, 3]
    map_of_equal_rows = np.tile(scores.astype("float32"), (3, 1))[None, :, :, None]
    enlarged = ops.convert_to_numpy(OURS["enlarge"](ops.convert_to_tensor(map_of_equal_rows), 2))
    assert enlarged[0, 2, :, 0].tolist() == [3, 5, 7, 7, 5, 3]


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_taps_that_reach_a_pixel_in_the_middle_sum_to_one(factor):
    (spread,) = functions(LESSON, "spread")
    middle = spread(np.ones(5), factor).sum(0)[factor:-factor]
    np.testing.assert_allclose(middle, 1)


def test_a_square_shifted_by_one_pixel_has_an_iou_of_a_third():
    (iou,) = functions(LESSON, "iou")
    iou.__globals__["void"] = 255
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 255]])
    answer = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    ious = [iou(truth, answer, class_id) for class_id in (0, 1)]
    assert ious == [5 / 9, 1 / 3]
    metric = MeanIoU(num_classes=2)
    metric.update_state(truth[None], np.eye(2, dtype="float32")[answer][None])
    np.testing.assert_allclose(metric.per_class(), ious, rtol=1e-6)
