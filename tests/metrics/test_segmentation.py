"""Scores agree with a slow confusion matrix and with scikit-learn, and void is no class."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import sklearn.metrics
from keras import ops

from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky
from kerasseg.metrics import (
    PSNR,
    SSIM,
    BoundaryIoU,
    FrequencyWeightedIoU,
    MeanAccuracy,
    MeanIoU,
    PixelAccuracy,
)
from tests import reference
from tests.conftest import environment
from tests.maps import blocks, random_maps

SCORES = [MeanIoU, FrequencyWeightedIoU, PixelAccuracy, MeanAccuracy, BoundaryIoU]
each = pytest.mark.parametrize("kind", SCORES)


def scored(truth, scores, kind=MeanIoU, sample_weight=None, **arguments):
    metric = kind(scores.shape[-1], **arguments)
    metric.update_state(truth, scores, sample_weight)
    return metric


def no_loss(truth, scores):
    return 0 * ops.mean(scores, axis=-1)


def test_mean_iou_agrees_with_a_slow_confusion_matrix(rng):
    for _ in range(5):
        truth, scores = random_maps(rng)
        metric = scored(truth, scores)
        matrix = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255)
        np.testing.assert_array_equal(ops.convert_to_numpy(metric.confusion_matrix), matrix)
        iou = reference.iou(matrix)
        np.testing.assert_allclose(metric.per_class(), iou, rtol=1e-6)
        np.testing.assert_allclose(float(metric.result()), np.nanmean(iou), rtol=1e-6)


def test_scores_agree_with_those_of_the_fcn_paper_and_with_scikit_learn(rng):
    truth, scores = random_maps(rng)
    truth[truth == 3] = 2  # predicted, never true
    scores[..., 4] = -9
    truth[truth == 4] = 0  # neither
    n = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255)
    known = truth != 255
    pair = truth[known], scores.argmax(-1)[known]
    np.testing.assert_array_equal(n, sklearn.metrics.confusion_matrix(*pair, labels=range(5)))
    t, iou = n.sum(1), reference.iou(n)
    expected = {
        MeanIoU: np.nanmean(iou),
        FrequencyWeightedIoU: np.nansum(t * iou) / t.sum(),
        PixelAccuracy: np.trace(n) / t.sum(),
        MeanAccuracy: np.mean(np.diag(n)[t > 0] / t[t > 0]),
    }
    true_labels = np.unique(pair[0])
    from_sklearn = {
        MeanIoU: sklearn.metrics.jaccard_score(*pair, average="macro"),
        FrequencyWeightedIoU: sklearn.metrics.jaccard_score(*pair, average="weighted"),
        PixelAccuracy: sklearn.metrics.accuracy_score(*pair),
        MeanAccuracy: sklearn.metrics.recall_score(*pair, average="macro", labels=true_labels),
    }
    for kind in expected:
        result = float(scored(truth, scores, kind).result())
        assert result == pytest.approx(expected[kind], abs=1e-6)
        assert result == pytest.approx(from_sklearn[kind], abs=1e-6)
    accuracy = np.where(t > 0, np.diag(n) / np.maximum(t, 1), np.nan)
    for kind, expected in ((FrequencyWeightedIoU, iou), (MeanAccuracy, accuracy)):
        np.testing.assert_allclose(scored(truth, scores, kind).per_class(), expected, rtol=1e-6)


@pytest.mark.parametrize("ratio", [0.01, 0.07, 0.2, 1.0])
def test_boundary_iou_agrees_with_erosions_of_each_class(rng, ratio):
    for truth, scores in (blocks(rng), random_maps(rng)):
        metric = scored(truth, scores, BoundaryIoU, dilation_ratio=ratio)
        expected = reference.boundary_iou(truth, scores.argmax(-1), 5, 255, ratio)
        np.testing.assert_allclose(metric.per_class(), expected, rtol=1e-6)
        assert float(metric.result()) == pytest.approx(np.nanmean(expected), abs=1e-6)


def test_boundary_iou_of_a_shifted_square_is_that_of_its_frame():
    truth = np.zeros((1, 30, 40), "int32")  # a diagonal of 50, so the bands are one pixel wide
    truth[:, 10:20, 10:20] = 1
    metric = scored(truth, np.eye(2, dtype="float32")[np.roll(truth, 1, axis=2)], BoundaryIoU)
    assert metric.per_class()[1] == pytest.approx(18 / (36 + 36 - 18))
    whole = scored(truth, np.eye(2, dtype="float32")[np.roll(truth, 1, axis=2)])
    assert whole.per_class()[1] == pytest.approx(90 / 110), "the plain IoU hardly sees the shift"


def test_boundary_iou_of_a_map_without_contours_is_that_of_the_images_edge():
    truth = np.zeros((1, 30, 40), "int32")
    wrong = truth.copy()
    wrong[:, 5:25, 5:35] = 1
    metric = scored(truth, np.eye(2, dtype="float32")[wrong], BoundaryIoU)
    edge, hole = 2 * (30 + 38), 2 * (22 + 30)
    np.testing.assert_allclose(metric.per_class(), [edge / (edge + hole), 0], rtol=1e-6)


@pytest.mark.parametrize("ratio", [0, -0.1, 1.1, np.nan])
def test_band_widths_that_cannot_be_are_refused(ratio):
    with pytest.raises(ValueError, match="`dilation_ratio` must be a share of the diagonal"):
        BoundaryIoU(2, dilation_ratio=ratio)


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("present", [1, 2, 19])
def test_a_perfect_prediction_scores_exactly_1_and_a_wrong_one_0(rng, kind, present, dtype):
    truth = np.kron(rng.integers(0, present, (3, 3, 4)), np.ones((1, 7, 6), int))
    truth[:, 2:4, 3:] = 255
    right = np.where(truth == 255, rng.integers(0, 19, truth.shape), truth)
    for guess, expected in ((right, 1.0), ((right + 1) % 19, 0.0)):
        logits = ops.cast(3 * ops.one_hot(guess, 19), dtype)
        assert float(scored(truth, logits, kind).result()) == expected
    classes = scored(truth, ops.one_hot(right, 19), kind).per_class()
    expected = [1.0 if (truth == c).any() else np.nan for c in range(19)]
    np.testing.assert_array_equal(classes, expected)


@each
def test_one_matrix_over_the_whole_set_not_a_mean_of_batches(rng, kind):
    truth, scores = random_maps(rng, shape=(6, 5, 7))
    metric = scored(truth[:2], scores[:2], kind)
    metric.update_state(truth[2:], scores[2:])
    assert float(metric.result()) == pytest.approx(float(scored(truth, scores, kind).result()))


@each
def test_predictions_on_void_pixels_change_nothing(rng, kind):
    for truth, scores in (random_maps(rng), blocks(rng)):
        noise = rng.normal(size=scores.shape)
        other = np.where((truth == 255)[..., None], noise, scores)
        expected = float(scored(truth, scores, kind).result())
        assert float(scored(truth, other, kind).result()) == expected


def test_a_class_in_neither_truth_nor_prediction_does_not_count():
    truth = np.array([[[0, 0, 2, 255]]])
    metric = scored(truth, np.eye(4, dtype="float32")[np.array([[[0, 0, 2, 2]]])])
    assert float(metric.result()) == 1.0
    np.testing.assert_array_equal(metric.per_class(), [1, np.nan, 1, np.nan])


def test_a_class_predicted_but_never_true_counts_as_zero():
    metric = scored(np.array([[[0, 0]]]), np.eye(2, dtype="float32")[np.array([[[0, 1]]])])
    np.testing.assert_array_equal(metric.per_class(), [0.5, 0.0])
    assert float(metric.result()) == 0.25


@each
def test_a_class_that_is_ignored_is_not_in_the_mean_though_it_is_predicted(kind):
    truth = np.array([[[0, 1, 1, 2]]])
    scores = np.eye(3, dtype="float32")[np.array([[[0, 1, 0, 2]]])]
    metric = scored(truth, scores, kind, ignore_class=0)
    accuracy = 2 / 3 if kind in (PixelAccuracy, FrequencyWeightedIoU) else 0.75
    assert float(metric.result()) == pytest.approx(accuracy)
    np.testing.assert_allclose(metric.per_class(), [np.nan, 0.5, 1])


@each
def test_a_set_of_void_alone_has_no_score_nor_has_an_empty_one(kind):
    void = scored(np.full((1, 2, 3), 255), np.zeros((1, 2, 3, 4)), kind)
    assert np.isnan(float(void.result()))
    assert np.isnan(void.per_class()).all()
    assert np.isnan(float(kind(4).result()))


@each
@pytest.mark.parametrize("bad", [5, -1, 254])
def test_an_id_outside_the_classes_raises_in_eager_calls(bad, rng, kind):
    truth, scores = random_maps(rng)
    truth[1, 2, 3] = bad
    with pytest.raises(ValueError, match=f"ids 0 to 4, or 255 for void. Received: id={bad}"):
        scored(truth, scores, kind)


@each
def test_scores_of_nan_have_no_score_except_on_void(rng, kind):
    truth, scores = random_maps(rng)
    truth[0, 0, 0], truth[0, 0, 1] = 0, 255
    for where, shall_be_nan in ((slice(None), True), ((0, 0, 0, 2), True), ((0, 0, 1), False)):
        diverged = scores.copy()
        diverged[where] = np.nan
        score = float(scored(truth, diverged, kind).result())
        assert np.isnan(score) == shall_be_nan
        first = kind(5, axis=1)
        first.update_state(truth, np.moveaxis(diverged, -1, 1))
        np.testing.assert_equal(float(first.result()), score)


@each
def test_infinite_scores_and_whole_numbers_are_scores(rng, kind):
    truth, scores = random_maps(rng)
    guess = scores.argmax(-1)
    expected = float(scored(truth, scores, kind).result())
    for other in (np.eye(5, dtype="int32")[guess], np.log(np.eye(5, dtype="float32")[guess] + 0)):
        assert float(scored(truth, other, kind).result()) == expected


def test_scores_for_another_number_of_classes_are_refused(rng):
    truth, scores = random_maps(rng)
    with pytest.raises(ValueError, match=r"one score a class, 6, on axis -1.*\(3, 7, 11, 5\)"):
        MeanIoU(6).update_state(truth, scores)


@each
def test_a_channel_axis_of_one_and_channels_first_are_understood(rng, kind):
    truth, scores = random_maps(rng)
    expected = float(scored(truth, scores, kind).result())
    assert float(scored(truth[..., None], scores, kind).result()) == expected
    for labels in (truth, truth[:, None], truth[..., None]):
        first = kind(5, axis=1)
        first.update_state(labels, np.moveaxis(scores, -1, 1))
        assert float(first.result()) == expected


def test_maps_one_pixel_wide_are_understood_with_a_channel_axis_on_either_side(rng):
    truth, scores = random_maps(rng, shape=(2, 5, 1))
    expected = float(scored(truth, scores).result())
    for labels in (truth, truth[:, None], truth[..., None]):
        first = MeanIoU(5, axis=1)
        first.update_state(labels, np.moveaxis(scores, -1, 1))
        assert float(first.result()) == expected


def test_interpolated_labels_are_refused(rng):
    truth, scores = random_maps(rng)
    with pytest.raises(ValueError, match=r"Received: id=\d+\.5"):
        scored(truth + 0.5, scores)


def test_labels_may_have_any_integer_type_and_void_be_negative(rng):
    truth, scores = random_maps(rng)
    expected = float(scored(truth, scores).result())
    for dtype in ("uint8", "int16", "int32", "float32"):
        assert float(scored(truth.astype(dtype), scores).result()) == expected
    negative = np.where(truth == 255, -1, truth).astype("int8")
    assert float(scored(negative, scores, ignore_class=-1).result()) == expected
    with pytest.raises(ValueError, match="or -1 for void. Received: id=255"):
        scored(truth.astype("uint8"), scores, ignore_class=-1)
    full = np.arange(256, dtype="uint8").reshape(1, 16, 16)
    scores = np.eye(256, dtype="float32")[full]
    assert float(scored(full, scores, ignore_class=None).result()) == 1


@each
def test_sample_weights_count_pixels_as_often_as_they_say(rng, kind):
    truth, scores = random_maps(rng, shape=(2, 4, 5))
    repeated = ops.convert_to_numpy(
        scored(truth[[0, 0, 1]], scores[[0, 0, 1]], kind).confusion_matrix
    )
    images = np.array([2.0, 1.0])
    pixels = np.broadcast_to(images[:, None, None], truth.shape)
    for weights in (images, images[:, None], pixels, pixels[..., None]):
        weighted = scored(truth, scores, kind, weights)
        np.testing.assert_array_equal(ops.convert_to_numpy(weighted.confusion_matrix), repeated)
    with pytest.raises(ValueError, match=r"one an image.*sample_weight.shape=\(5, 4\)"):
        scored(truth, scores, kind, np.ones((5, 4)))


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
    weights = rng.uniform(size=truth.shape)
    model = keras.Sequential([keras.Input((6, 7, 5)), keras.layers.Activation("linear")])
    model.compile(
        loss=no_loss,
        metrics=[kind(5) for kind in SCORES],
        weighted_metrics=[kind(5, name=f"weighted_{kind.__name__}") for kind in SCORES],
        jit_compile=jit_compile,
    )
    settings = {"batch_size": 2, "verbose": 0, "return_dict": True}
    result = model.evaluate(scores, truth, sample_weight=weights, **settings)
    for kind in SCORES:
        expected = float(scored(truth, scores, kind).result())
        assert result[kind(5).name] == pytest.approx(expected, rel=1e-6)
        expected = float(scored(truth, scores, kind, weights).result())
        assert result[f"weighted_{kind.__name__}"] == pytest.approx(expected, rel=1e-6)

    truth[0, 0, 0] = 77
    if keras.backend.backend() == "tensorflow" or jit_compile:
        result = model.evaluate(scores, truth, sample_weight=weights, **settings)
        assert np.isnan([value for name, value in result.items() if name != "loss"]).all()
    else:  # JAX and PyTorch run eagerly here
        with pytest.raises(ValueError, match="Received: id=77"):
            model.evaluate(scores, truth, **settings)


def test_pictures_of_any_size_are_scored_by_one_compiled_model(rng):
    model = keras.Sequential([keras.Input((None, None, 5)), keras.layers.Activation("linear")])
    model.compile(loss=Dice(), metrics=[MeanIoU(5), BoundaryIoU(5)])
    for size in ((3, 4), (2, 7), (5, 5)):
        truth, scores = blocks(rng, shape=(2, *size), size=(11, 13))
        result = model.test_on_batch(scores, truth, return_dict=True)
        for kind in (MeanIoU, BoundaryIoU):
            expected = float(scored(truth, scores, kind).result())
            assert result[kind(5).name] == pytest.approx(expected, rel=1e-6)
        assert result["boundary_iou"] < result["mean_iou"]


LOAD_AND_EVALUATE = """
import json, sys, kerasseg, keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
data = np.load(sys.argv[2])
result = model.evaluate(data["x"], [data["truth"]] * 4 + [data["x"]], verbose=0, return_dict=True)
print(json.dumps([model.get_compile_config(), result]))
"""


def test_a_model_compiled_with_everything_loads_in_a_fresh_process_and_scores_the_same(
    rng, tmp_path
):
    truth = rng.integers(0, 3, (2, 12, 13))
    truth[:, 0] = 9
    x = rng.uniform(size=(2, 12, 13, 3)).astype("float32")
    inputs = keras.Input((12, 13, 3))
    outputs = [keras.layers.Conv2D(3, 1, name=f"head{i}")(inputs) for i in range(5)]
    model = keras.Model(inputs, outputs)
    weights = [1.0, 0.5, 2.0]
    losses = [
        CrossEntropy(9, weights, name="a"),
        Dice(9, weights, per_image=True, name="b"),
        Tversky(0.2, 0.8, 9, weights, per_image=True, name="c"),
        CrossEntropyDice(9, weights, 0.5, 2, per_image=True, name="d"),
    ]
    scores = [kind(3, ignore_class=9, name=f"score_{kind.__name__}") for kind in SCORES[:4]]
    scores.append(BoundaryIoU(3, 9, dilation_ratio=0.1, name="contours"))
    quality = [PSNR(2.0, name="noise"), SSIM(2.0, "channels_last", name="structure")]
    model.compile("sgd", [*losses, "mse"], metrics=[scores, [], [], [], quality])
    expected = model.evaluate(x, [truth] * 4 + [x], verbose=0, return_dict=True)

    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, truth=truth)
    words = (sys.executable, "-c", LOAD_AND_EVALUATE, tmp_path / "model.keras")
    process = subprocess.run(
        [*words, tmp_path / "data.npz"],
        check=True,
        env=environment(keras.backend.backend()),
        stdout=subprocess.PIPE,
        text=True,
    )
    config, result = json.loads(process.stdout.splitlines()[-1])
    assert config == json.loads(json.dumps(model.get_compile_config()))
    assert {"kerasseg>Tversky", "kerasseg>BoundaryIoU"} <= set(registered_names(config))
    assert len(result) == 5 + 1 + len(scores) + len(quality)
    assert result == pytest.approx(expected, rel=1e-5)


def registered_names(config):
    if isinstance(config, list):
        return [name for entry in config for name in registered_names(entry)]
    if isinstance(config, dict):
        return [config.get("registered_name"), *registered_names(list(config.values()))]
    return []


@pytest.mark.parametrize(
    "metric",
    [
        *(kind(3, ignore_class=None, axis=1, name="m") for kind in SCORES[:4]),
        BoundaryIoU(3, np.int64(2), dilation_ratio=0.1, axis=1, name="m"),
        PSNR(255, name="m"),
        SSIM(255, data_format="channels_first", name="m"),
    ],
)
def test_config_round_trip(metric):
    config = metric.get_config()
    assert type(metric).from_config(config).get_config() == config
    assert config["name"] == "m"
