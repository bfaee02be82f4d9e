"""What all scores of label maps share: one matrix over the set, void, errors, compiled code."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg import metrics
from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky
from kerasseg.metrics import (
    PSNR,
    SSIM,
    BoundaryIoU,
    FrequencyWeightedIoU,
    MeanAccuracy,
    MeanIoU,
    PixelAccuracy,
    confusion,
)
from tests import reference
from tests.conftest import environment
from tests.maps import blocks, random_maps, random_masks, sigmoid
from tests.metrics.cases import SCORES, each, scored


def no_loss(truth, scores):
    return 0 * ops.mean(scores, axis=-1)


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


def masks_and_logits(rng, labels, **arguments):
    truth, logits = random_masks(rng, labels, **arguments)
    truth[truth == 1] *= rng.uniform(size=(truth == 1).sum()) < 0.7  # fewer ones than zeros
    return truth, logits


@each
def test_one_channel_scores_as_two_do_and_probabilities_as_their_logits(rng, kind):
    truth, logits = masks_and_logits(rng, 1)
    weights = rng.uniform(size=truth.shape[:3])
    expected = scored(truth, np.concatenate([0 * logits, logits], -1), kind, weights)
    for scores, settings in (
        (logits, {}),
        (logits.astype("float16"), {}),
        (sigmoid(logits), {"from_logits": False}),
    ):
        metric = kind(2, **settings)
        metric.update_state(truth, scores, weights)
        assert float(metric.result()) == pytest.approx(float(expected.result()), rel=1e-6)
        np.testing.assert_allclose(metric.per_class(), expected.per_class(), rtol=1e-6)
        first = kind(2, axis=1, **settings)
        first.update_state(truth[..., 0], np.moveaxis(scores, -1, 1), weights)
        assert float(first.result()) == pytest.approx(float(expected.result()), rel=1e-6)


def test_multi_label_scores_agree_with_loops_over_the_pixels_of_each_label(rng):
    truth, logits = masks_and_logits(rng, 4)
    truth[..., 3] = 255
    iou, found, right, true, decided = np.zeros((5, 3))
    for label in range(3):
        pairs = [(t, z > 0) for t, z in zip(truth[..., label].ravel(), logits[..., label].ravel())]
        pairs = [(t, p) for t, p in pairs if t != 255]
        hit = sum(t == 1 and p for t, p in pairs)
        true[label], decided[label] = sum(t == 1 for t, p in pairs), len(pairs)
        iou[label] = hit / sum(t == 1 or p for t, p in pairs)
        found[label], right[label] = hit / true[label], sum(t == p for t, p in pairs)
    expected = {
        MeanIoU: (iou.mean(), iou),
        FrequencyWeightedIoU: (np.average(iou, weights=true), iou),
        MeanAccuracy: (found.mean(), found),
        PixelAccuracy: (right.sum() / decided.sum(), right / decided),
    }
    for kind, (mean, of_labels) in expected.items():
        for scores, from_logits in ((logits, True), (sigmoid(logits), False)):
            metric = kind(4, from_logits=from_logits, multi_label=True)
            metric.update_state(truth[:1], scores[:1])
            metric.update_state(truth[1:], scores[1:])
            assert float(metric.result()) == pytest.approx(mean, rel=1e-6)
            np.testing.assert_allclose(metric.per_class(), [*of_labels, np.nan], rtol=1e-6)


@each
def test_labels_score_as_the_foreground_of_binary_maps_by_themselves(rng, kind):
    truth, logits = masks_and_logits(rng, 3, shape=(2, 20, 30))
    first = kind(3, axis=1, multi_label=True)
    first.update_state(*(np.moveaxis(x, -1, 1) for x in (truth, logits)))
    whole = kind(3, multi_label=True)
    whole.update_state(truth, logits)
    np.testing.assert_array_equal(first.per_class(), whole.per_class())
    if kind is not PixelAccuracy:  # of a binary map it is that of both classes
        alone = [scored(truth[..., i], logits[..., i, None], kind, num_classes=2) for i in range(3)]
        expected = [metric.per_class()[1] for metric in alone]
        np.testing.assert_allclose(whole.per_class(), expected, rtol=1e-6)
    assert whole.confusion_matrix.shape[0] == 3


@each
def test_labels_of_nan_or_of_wrong_ids_have_no_score(rng, kind):
    truth, logits = masks_and_logits(rng, 3)
    truth[0, 0, 0] = [0, 255, 1]
    for label, is_nan in ((0, True), (1, False)):
        diverged = logits.copy()
        diverged[0, 0, 0, label] = np.nan
        metric = kind(3, multi_label=True)
        metric.update_state(truth, diverged)
        assert np.isnan(float(metric.result())) == is_nan
    truth[0, 0, 0, 2] = 2
    with pytest.raises(ValueError, match="ids 0 to 1, or 255 for void. Received: id=2"):
        metric.update_state(truth, logits)


def test_channels_that_do_not_fit_are_refused_with_the_remedy(rng):
    truth, scores = random_maps(rng)
    with pytest.raises(ValueError, match=r"\(3, 5, 7, 11\). Pass axis=1."):
        MeanIoU(5).update_state(truth, np.moveaxis(scores, -1, 1))
    with pytest.raises(ValueError, match="One channel is a binary model: pass num_classes=2."):
        MeanIoU(5).update_state(truth, scores[..., :1])
    for wrong in (1, 0, 2.0, "2"):
        with pytest.raises(ValueError, match="at least 2. Received.*one channel has 2 classes"):
            MeanIoU(wrong)
    MeanIoU(np.int64(1), multi_label=True)


def test_score_reads_a_matrix_of_any_kind_as_the_metrics_do(rng):
    truth, scores = random_maps(rng)
    matrix = reference.confusion_matrix(truth, scores.argmax(-1), 5, 255).astype("int64")
    matrix[:, 1] = matrix[1] = 0
    measures = {
        confusion.iou: MeanIoU,
        confusion.frequency_weighted_iou: FrequencyWeightedIoU,
        confusion.pixel_accuracy: PixelAccuracy,
        confusion.class_accuracy: MeanAccuracy,
    }
    for measure, kind in measures.items():
        metric = kind(5, ignore_class=3)
        metric.confusion_matrix.assign(matrix.astype("float32"))
        for given in (matrix, matrix.tolist(), ops.cast(matrix, "float32")):
            mean, per_class = confusion.score(given, measure, ignore_class=3)
            assert float(mean) == pytest.approx(float(metric.result()), rel=1e-6)
            values = ops.convert_to_numpy(per_class)
            np.testing.assert_allclose(values, metric.per_class(), rtol=1e-6)
        assert np.isnan(metric.per_class()[[1, 3]]).all()


def test_count_gives_what_update_state_adds(rng):
    truth, scores = random_maps(rng)
    metric = scored(truth[:2], scores[:2])
    before = ops.convert_to_numpy(metric.confusion_matrix)
    counts = ops.convert_to_numpy(metric.count(truth[2:], scores[2:]))
    metric.update_state(truth[2:], scores[2:])
    np.testing.assert_array_equal(ops.convert_to_numpy(metric.confusion_matrix), before + counts)


@pytest.mark.parametrize("floatx", ["float16", "float64"])
@each
def test_any_float_type_may_be_the_default(rng, kind, floatx):
    truth, scores = random_maps(rng)
    masks, logits = masks_and_logits(rng, 3)

    def results():
        several = kind(3, multi_label=True)
        several.update_state(masks, logits, np.ones(3))
        return [float(scored(truth, scores, kind, np.ones(3)).result()), float(several.result())]

    expected = results()
    keras.config.set_floatx(floatx)
    try:
        assert results() == pytest.approx(expected, rel=1e-5)
    finally:
        keras.config.set_floatx("float32")


class Scripted(keras.callbacks.Callback):
    """Writes scores into the logs, in front of the callbacks that watch them."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


@pytest.mark.parametrize(
    "metric",
    [*(kind(3) for kind in SCORES), PSNR(), SSIM()],
    ids=lambda metric: metric.name,
)
def test_callbacks_in_auto_mode_take_more_for_better(metric, tmp_path):
    name = f"val_{metric.name}"
    model = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Conv2D(3, 1)])
    truth = np.zeros((2, 12, 12, 3) if metric.name in ("psnr", "ssim") else (2, 12, 12), "float32")
    model.compile("sgd", "mse" if truth.ndim == 4 else CrossEntropy(), metrics=[metric])
    data = np.zeros((2, 12, 12, 3), "float32"), truth
    stopping = keras.callbacks.EarlyStopping(name, patience=2)
    saving = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", name, save_best_only=True, save_weights_only=True
    )
    slower = keras.callbacks.ReduceLROnPlateau(name, factor=0.5, patience=1)
    scripted = Scripted(name, [0.1, 0.5, 0.4, 0.3, 0.9])
    model.fit(
        *data,
        validation_data=data,
        epochs=5,
        verbose=0,
        callbacks=[scripted, stopping, saving, slower],
    )
    assert (stopping.stopped_epoch, stopping.best_epoch) == (3, 1)
    assert saving.best == slower.best == 0.5
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01 / 4)


def test_numpy_integers_are_accepted_and_saved():
    metric = MeanIoU(np.int64(3), np.uint8(255), np.int32(-1))
    config = json.loads(json.dumps(metric.get_config()))
    assert (config["num_classes"], config["ignore_class"], config["axis"]) == (3, 255, -1)


def test_a_configuration_written_before_probabilities_still_loads():
    config = BoundaryIoU(3).get_config()
    del config["from_logits"], config["multi_label"]
    assert BoundaryIoU.from_config(config).get_config() == BoundaryIoU(3).get_config()


def test_the_package_shows_its_public_names():
    assert sorted(dir(metrics)) == sorted(metrics.__all__)


@pytest.mark.parametrize(
    "metric",
    [
        *(kind(3, None, axis=1, name="m", from_logits=False) for kind in SCORES[:4]),
        BoundaryIoU(3, np.int64(2), 0.1, axis=1, name="m", from_logits=False, multi_label=True),
        PSNR(255, name="m"),
        SSIM(255, data_format="channels_first", name="m"),
    ],
)
def test_config_round_trip(metric):
    config = metric.get_config()
    assert type(metric).from_config(config).get_config() == config
    assert config["name"] == "m"
