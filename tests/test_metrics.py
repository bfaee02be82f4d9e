"""Scores agree with a slow confusion matrix, and void is no class."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.metrics import MeanIoU
from tests import reference
from tests.conftest import environment


def random_maps(rng, classes=5, shape=(3, 7, 11), void=0.2):
    truth = rng.integers(0, classes, shape)
    truth[rng.uniform(size=shape) < void] = 255
    return truth, rng.normal(size=(*shape, classes)).astype("float32")


def scored(truth, scores, **arguments):
    metric = MeanIoU(scores.shape[-1], **arguments)
    metric.update_state(truth, scores)
    return metric


def no_loss(truth, scores):
    return 0 * ops.mean(scores, axis=(1, 2, 3))


def test_agrees_with_a_slow_confusion_matrix(rng):
    for _ in range(5):
        truth, scores = random_maps(rng)
        metric = scored(truth, scores)
        matrix = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255)
        np.testing.assert_array_equal(ops.convert_to_numpy(metric.confusion_matrix), matrix)
        iou = reference.iou(matrix)
        np.testing.assert_allclose(metric.per_class(), iou, rtol=1e-6)
        np.testing.assert_allclose(float(metric.result()), np.nanmean(iou), rtol=1e-6)


def test_one_matrix_over_the_whole_set_not_a_mean_of_batches(rng):
    truth, scores = random_maps(rng, shape=(6, 5, 7))
    metric = scored(truth[:2], scores[:2])
    metric.update_state(truth[2:], scores[2:])
    assert float(metric.result()) == pytest.approx(float(scored(truth, scores).result()))


def test_predictions_on_void_pixels_change_nothing(rng):
    truth, scores = random_maps(rng)
    other = np.where((truth == 255)[..., None], rng.normal(size=scores.shape), scores)
    assert float(scored(truth, scores).result()) == float(scored(truth, other).result())


def test_a_class_in_neither_truth_nor_prediction_does_not_count():
    truth = np.array([[[0, 0, 2, 255]]])
    metric = scored(truth, np.eye(4, dtype="float32")[np.array([[[0, 0, 2, 2]]])])
    assert float(metric.result()) == 1.0
    np.testing.assert_array_equal(metric.per_class(), [1, np.nan, 1, np.nan])


def test_a_class_predicted_but_never_true_counts_as_zero():
    metric = scored(np.array([[[0, 0]]]), np.eye(2, dtype="float32")[np.array([[[0, 1]]])])
    np.testing.assert_array_equal(metric.per_class(), [0.5, 0.0])
    assert float(metric.result()) == 0.25


def test_a_set_of_void_alone_has_no_score():
    assert np.isnan(float(scored(np.full((1, 2, 3), 255), np.zeros((1, 2, 3, 4))).result()))


@pytest.mark.parametrize("bad", [5, -1, 254])
def test_an_id_outside_the_classes_raises_in_eager_calls(bad, rng):
    truth, scores = random_maps(rng)
    truth[1, 2, 3] = bad
    with pytest.raises(ValueError, match=f"ids 0 to 4, or 255 for void. Received: id={bad}"):
        scored(truth, scores)


def test_scores_for_another_number_of_classes_are_refused(rng):
    truth, scores = random_maps(rng)
    with pytest.raises(ValueError, match=r"one score a class, 6, on axis -1.*\(3, 7, 11, 5\)"):
        MeanIoU(6).update_state(truth, scores)


def test_a_channel_axis_of_one_and_channels_first_are_understood(rng):
    truth, scores = random_maps(rng)
    expected = float(scored(truth, scores).result())
    assert float(scored(truth[..., None], scores).result()) == expected
    for labels in (truth, truth[:, None], truth[..., None]):
        first = MeanIoU(5, axis=1)
        first.update_state(labels, np.moveaxis(scores, -1, 1))
        assert float(first.result()) == expected


@pytest.mark.parametrize("shape", [(1, 5, 5, 5), (1, 5, 4), (1, 25)])
def test_labels_of_another_shape_are_refused_one_hot_masks_with_the_remedy(shape, rng):
    with pytest.raises(ValueError, match="one a pixel.*One-hot masks become ids by `argmax`"):
        scored(np.zeros(shape, "int32"), rng.normal(size=(1, 5, 5, 5)))


def test_interpolated_labels_are_refused(rng):
    truth, scores = random_maps(rng)
    with pytest.raises(ValueError, match=r"Received: id=\d+\.5"):
        scored(truth + 0.5, scores)


def test_sample_weights_count_pixels_as_often_as_they_say(rng):
    truth, scores = random_maps(rng, shape=(2, 4, 5))
    weighted = MeanIoU(5)
    weighted.update_state(truth, scores, sample_weight=np.array([2.0, 1.0]))
    repeated = scored(truth[[0, 0, 1]], scores[[0, 0, 1]])
    np.testing.assert_array_equal(
        ops.convert_to_numpy(weighted.confusion_matrix),
        ops.convert_to_numpy(repeated.confusion_matrix),
    )


def test_reset_forgets(rng):
    metric = scored(*random_maps(rng))
    metric.reset_state()
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_evaluation_equals_eager_and_a_wrong_id_is_never_a_plausible_score(
    rng, jit_compile
):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
    truth, scores = random_maps(rng, shape=(4, 6, 7))
    model = keras.Sequential([keras.Input((6, 7, 5)), keras.layers.Activation("linear")])
    model.compile(loss=no_loss, metrics=[MeanIoU(5)], jit_compile=jit_compile)
    result = model.evaluate(scores, truth, batch_size=2, verbose=0, return_dict=True)
    assert result["mean_iou"] == pytest.approx(float(scored(truth, scores).result()), rel=1e-6)

    truth[0, 0, 0] = 77
    if keras.backend.backend() == "tensorflow" or jit_compile:
        result = model.evaluate(scores, truth, batch_size=2, verbose=0, return_dict=True)
        assert np.isnan(result["mean_iou"])
    else:  # JAX and PyTorch run eagerly here
        with pytest.raises(ValueError, match="Received: id=77"):
            model.evaluate(scores, truth, batch_size=2, verbose=0)


def test_a_compiled_model_loads_with_its_metric_in_a_fresh_process(tmp_path):
    model = keras.Sequential([keras.Input((6, 7, 5)), keras.layers.Conv2D(5, 1)])
    model.compile("sgd", "mse", metrics=[MeanIoU(5, ignore_class=254, name="score")])
    model.save(tmp_path / "model.keras")
    script = (
        "import kerasseg, keras; "
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r}); "
        "assert model.compiled"
    )
    backend = keras.backend.backend()
    subprocess.run([sys.executable, "-c", script], check=True, env=environment(backend))


def test_config_round_trip():
    metric = MeanIoU(3, ignore_class=None, axis=1, name="m")
    assert MeanIoU.from_config(metric.get_config()).get_config() == metric.get_config()
