"""Calibration error and reliability against a loop over pixels."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.metrics import ExpectedCalibrationError
from kerasseg.metrics.calibration import reliability
from tests import reference


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def error_of(batches, **arguments):
    metric = ExpectedCalibrationError(**arguments)
    for truth, scores in batches:
        metric.update_state(truth, scores)
    return float(metric.result())


def with_void(rng, labels):
    labels[rng.random(labels.shape) < 0.2] = 255
    return labels


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("axis", [-1, 1])
def test_of_several_classes_it_is_that_of_a_loop_over_the_pixels_of_all_batches(
    rng, from_logits, axis
):
    batches, confidences, right = [], [], []
    for count in (2, 3):
        logits = rng.normal(0, 2, (count, 5, 7, 4)).astype("float32")
        truth = with_void(rng, np.where(rng.random((count, 5, 7)) < 0.6, logits.argmax(-1), 1))
        probabilities = softmax(logits)
        scores = logits if from_logits else probabilities
        batches.append((truth, np.moveaxis(scores, -1, axis)))
        seen = truth != 255
        confidences += [*probabilities.max(-1)[seen]]
        right += [*(truth == logits.argmax(-1))[seen]]
    expected = reference.calibration_error(confidences, right, 15)
    found = error_of(batches, num_classes=4, axis=axis, from_logits=from_logits)
    assert expected > 0.1
    assert found == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("labels", [False, True])
def test_of_one_channel_and_of_labels_it_is_that_of_their_yes_and_no(rng, from_logits, labels):
    logits = rng.normal(0, 2, (3, 5, 7, 2 if labels else 1)).astype("float32")
    truth = with_void(rng, rng.integers(0, 2, logits.shape))
    yes = sigmoid(logits)
    seen = truth != 255
    expected = reference.calibration_error(
        np.maximum(yes, 1 - yes)[seen], ((yes > 0.5) == truth)[seen], 7
    )
    found = error_of(
        [(truth, logits if from_logits else yes)],
        num_classes=2,
        bins=7,
        from_logits=from_logits,
        multi_label=labels,
    )
    assert found == pytest.approx(expected, abs=2e-6)


def test_one_channel_and_its_two_classes_have_one_error(rng):
    logits = rng.normal(0, 2, (2, 5, 7, 1)).astype("float32")
    truth = rng.integers(0, 2, (2, 5, 7))
    two = np.concatenate([np.zeros_like(logits), logits], -1)
    errors = [error_of([(truth, scores)], num_classes=2) for scores in (logits, two)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-6)


def test_the_diagram_has_mean_confidence_and_accuracy_of_every_bin():
    scores = np.array([[[[0.7, 0.3], [0.75, 0.25], [0.2, 0.8], [0.05, 0.95]]]])
    metric = ExpectedCalibrationError(2, bins=4, from_logits=False)
    found = reliability(ops.convert_to_numpy(metric.count([[[0, 1, 1, 1]]], scores)))
    assert [each["pixels"] for each in found["bins"]] == [0, 0, 2, 2]  # 0.75 ends a bin
    assert found["bins"][2]["accuracy"] == 0.5
    assert found["bins"][2]["confidence"] == pytest.approx(0.725)
    assert found["bins"][3]["confidence"] == pytest.approx(0.875)
    assert found["confidence"] == pytest.approx(0.8)
    assert found["accuracy"] == 0.75
    assert found["error"] == pytest.approx((0.225 + 0.125) / 2)
    assert np.isnan(found["bins"][0]["accuracy"])


def test_weights_of_pixels_count_like_repetitions(rng):
    logits = rng.normal(0, 2, (1, 2, 3, 3)).astype("float32")
    truth, times = rng.integers(0, 3, (1, 2, 3)), rng.integers(0, 3, (1, 2, 3))
    metric = ExpectedCalibrationError(3)
    metric.update_state(truth, logits, times)
    repeated = [np.repeat(x.reshape(6, *x.shape[3:]), times.ravel(), 0) for x in (truth, logits)]
    expected = error_of([[x[None, None] for x in repeated]], num_classes=3)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_nan_is_nan_where_it_counts_and_nothing_where_the_truth_is_void():
    scores = np.array([[[[2.0, 0.0], [np.nan, 0.0]]]])
    assert error_of([([[[0, 255]]], scores)], num_classes=2) == pytest.approx(
        1 - sigmoid(2.0), abs=1e-6
    )
    assert np.isnan(error_of([([[[0, 1]]], scores)], num_classes=2))
    assert np.isnan(error_of([([[[255, 255]]], scores)], num_classes=2))


def test_it_is_measured_while_a_model_trains(rng):
    model = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(2, 1)])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[ExpectedCalibrationError(2)])
    images, labels = rng.random((4, 5, 6, 1)), rng.integers(0, 2, (4, 5, 6))
    log = model.evaluate(images, labels, verbose=0, return_dict=True)
    assert log["calibration_error"] == pytest.approx(
        error_of([(labels, model(images))], num_classes=2), abs=1e-6
    )
    metric = ExpectedCalibrationError(3, bins=5, multi_label=True)
    assert ExpectedCalibrationError.from_config(metric.get_config()).bins == 5


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_a_number_of_bins_that_cannot_be_is_refused(bins):
    with pytest.raises(ValueError, match=f"`bins` must be a positive integer.*bins={bins}"):
        ExpectedCalibrationError(2, bins=bins)
