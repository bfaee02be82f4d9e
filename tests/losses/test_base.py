"""What all losses of label maps share: void, weights, precision, compiled code, configuration."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg import losses
from kerasseg.anatomy import output_of
from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky
from kerasseg.metrics import MeanIoU
from tests import reference
from tests.layers.cases import gradient
from tests.losses.cases import KINDS, LOSSES, WEIGHTS, compiled_loss, each
from tests.maps import random_maps, random_masks, sigmoid


def test_doubling_every_class_weight_changes_nothing(rng):
    truth, scores = random_maps(rng)
    for kind in (CrossEntropy, Dice, Tversky, CrossEntropyDice):
        once, twice = (float(kind(class_weights=w)(truth, scores)) for w in ([1] * 5, [2] * 5))
        assert once == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("present", [1, 2, 19])
@each(LOSSES)
def test_perfection_costs_nothing_and_what_is_all_wrong_costs_1(rng, loss, present, dtype):
    truth = rng.integers(0, present, (3, 8, 9))
    truth[:, 0] = 255
    right = np.where(truth == 255, rng.integers(0, 19, truth.shape), truth)
    scores = [ops.cast(100 * ops.one_hot(ids, 19), dtype) for ids in (right, (right + 1) % 19)]
    assert 0 <= float(loss(truth, scores[0])) < 1e-6
    wrong = float(loss(truth, scores[1]))
    assert wrong > 90 if "cross" in loss.name else wrong == pytest.approx(1, abs=1e-6)


@each(LOSSES)
def test_a_batch_of_void_costs_nothing_and_moves_nothing(rng, loss):
    void, scores = np.full((2, 3, 4), 255), rng.normal(size=(2, 3, 4, 19)).astype("float32")
    assert float(loss(void, scores)) == 0
    assert float(loss(void, scores, sample_weight=np.ones((2, 3, 4)))) == 0
    np.testing.assert_array_equal(gradient(lambda x: loss(void, x), scores, np.float32(1)), 0)


@each(LOSSES)
def test_predictions_on_void_and_pictures_of_void_change_nothing(rng, loss):
    truth, scores = random_maps(rng, classes=19)
    expected = pytest.approx(float(loss(truth, scores)), rel=1e-6)
    other = np.where((truth == 255)[..., None], rng.normal(size=scores.shape), scores)
    assert float(loss(truth, other)) == expected
    more = np.concatenate([truth, np.full((1, 7, 11), 255)])
    assert float(loss(more, np.concatenate([scores, scores[:1]]))) == expected


@each(LOSSES)
def test_gradients_agree_with_finite_differences_of_the_loop(rng, loss):
    if loss.class_weights:
        loss = Dice(class_weights=WEIGHTS)
    truth, scores = random_maps(rng, shape=(2, 3, 4))
    truth[0][truth[0] == 1] = 0

    def slow(x):
        weights, total = loss.class_weights or [1] * 5, 0.0
        if "cross_entropy" in loss.name:
            total += reference.cross_entropy(truth, x, weights, 255)
        if loss.name != "cross_entropy":
            prices = (loss.alpha, loss.beta) if isinstance(loss, Tversky) else (0.5, 0.5)
            parts = [[0], [1]] if loss.per_image else [slice(None)]
            overlap = [reference.tversky(truth[b], x[b], *prices, weights, 255) for b in parts]
            total += np.mean(overlap)
        return total

    expected = np.zeros(scores.shape)
    for index in np.ndindex(*scores.shape):
        step = np.zeros(scores.shape)
        step[index] = 1e-5
        expected[index] = (slow(scores + step) - slow(scores - step)) / 2e-5
    measured = gradient(lambda x: loss(truth, x), scores, np.float32(1))
    np.testing.assert_allclose(measured, expected, atol=1e-6)


@each(LOSSES)
def test_sample_weights_of_0_and_1_are_void_times_their_mean(rng, loss):
    truth, scores = random_maps(rng, classes=19)
    keep = rng.integers(0, 2, truth.shape)
    if loss.name != "cross_entropy" and loss.per_image:
        keep[:] = keep[:1]  # the mean is each image's own
        truth[:] = np.where(truth[:1] == 255, 255, np.where(truth == 255, 0, truth))
    share = keep[truth != 255].mean()
    expected = share * float(loss(np.where(keep, truth, 255), scores))
    for weights in (keep, keep[..., None], keep.astype(bool)):
        assert float(loss(truth, scores, weights)) == pytest.approx(expected, rel=1e-5)


@each({"cross_entropy": CrossEntropy(), "dice": Dice(), "tversky": Tversky()})
def test_sample_weights_agree_with_a_slow_loop(rng, loss):
    truth, scores = random_maps(rng)
    weights = rng.uniform(0, 3, truth.shape)
    ones = [1] * 5
    if isinstance(loss, CrossEntropy):
        expected = reference.cross_entropy(truth, scores, ones, 255, weights)
    else:
        prices = loss.alpha, loss.beta
        expected = reference.tversky(truth, scores, *prices, ones, 255, weights)
    assert float(loss(truth, scores, weights)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(truth, scores, 2 * weights)) == pytest.approx(2 * expected, rel=1e-6)


@each(LOSSES)
def test_one_weight_an_image_is_no_weight_a_column(rng, loss):
    truth, scores = random_maps(rng, classes=19, shape=(4, 3, 4))
    weights = np.array([0.5, 2, 0, 1])
    spread = np.broadcast_to(weights[:, None, None], truth.shape)
    expected = pytest.approx(float(loss(truth, scores, spread)), rel=1e-6)
    assert float(loss(truth, scores, weights)) == expected
    assert float(loss(truth, scores, weights[:, None])) == expected
    assert float(loss(truth, scores, 1.0)) == pytest.approx(float(loss(truth, scores)), rel=1e-6)


def test_sample_weights_of_another_shape_are_refused(rng):
    truth, scores = random_maps(rng)
    for loss in (CrossEntropy(), Dice()):
        with pytest.raises(ValueError, match=r"one an image.*sample_weight.shape=\(3, 11, 7\)"):
            loss(truth, scores, np.ones((3, 11, 7)))


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
@each(LOSSES)
def test_what_void_pixels_weigh_changes_nothing(rng, loss, reduction):
    loss = type(loss).from_config({**loss.get_config(), "reduction": reduction})
    truth, scores = random_maps(rng, classes=19)
    weights = rng.uniform(size=truth.shape)
    expected = float(loss(truth, scores, np.where(truth == 255, 0, weights)))
    for on_void in (100, np.inf, np.nan):
        other = np.where(truth == 255, on_void, weights)
        assert float(loss(truth, scores, other)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@each(LOSSES)
def test_a_diverged_model_costs_nan_never_a_plausible_number(rng, loss, bad):
    if "cross" in loss.name and bad == np.inf:
        pytest.skip("its cross-entropy is infinite or NaN, as the backend has it")
    truth, scores = random_maps(rng, classes=19, void=0)
    for where in (slice(None), (0, 0, 0, int(truth[0, 0, 0]))):
        diverged = scores.copy()
        diverged[where] = bad
        assert np.isnan(float(loss(truth, diverged)))
        assert np.isnan(float(loss(truth, diverged, np.ones(len(truth)))))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each(LOSSES)
def test_sample_weights_are_understood_in_every_precision(rng, loss, dtype):
    truth, scores = random_maps(rng, classes=19)
    weights = rng.uniform(size=truth.shape)
    expected = float(loss(truth, scores, weights))
    precise = type(loss).from_config({**loss.get_config(), "dtype": dtype})
    measured = precise(truth, scores.astype(dtype), weights)
    if keras.backend.backend() == "tensorflow":  # elsewhere Keras computes in float32 at most
        assert keras.backend.standardize_dtype(measured.dtype) == dtype
    assert float(measured) == pytest.approx(expected, rel=1e-5)


@each(LOSSES)
def test_channels_first_is_understood(rng, loss):
    truth, scores = random_maps(rng, classes=19)
    first = type(loss).from_config({**loss.get_config(), "axis": 1})
    expected = pytest.approx(float(loss(truth, scores)), rel=1e-6)
    for labels in (truth, truth[:, None], truth[..., None]):
        assert float(first(labels, np.moveaxis(scores, -1, 1))) == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@each(LOSSES)
def test_more_pixels_than_float16_can_count_do_not_overflow(rng, loss, dtype):
    truth = rng.integers(0, 2, (1, 300, 300))
    scores = ops.cast(rng.normal(size=(1, 300, 300, 19)), dtype)
    expected = float(loss(truth, ops.cast(scores, "float32")))
    halved = type(loss).from_config({**loss.get_config(), "dtype": dtype})
    assert float(halved(truth, scores)) == pytest.approx(expected, rel=1e-6)


@each(LOSSES)
def test_compiled_losses_equal_eager_ones(rng, loss):
    truth, scores = random_maps(rng, classes=19, shape=(2, 3, 4))
    weights = rng.uniform(size=truth.shape)
    for arguments in ((), (weights,)):
        expected = float(loss(truth, scores, *arguments))
        assert compiled_loss(loss, truth, scores, *arguments) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [CrossEntropy, Dice, CrossEntropyDice])
def test_class_weights_train_alike_from_arrays_and_from_tf_data(rng, kind):
    tf = pytest.importorskip("tensorflow")
    truth, scores = random_maps(rng, shape=(4, 3, 6))
    batches = tf.data.Dataset.from_tensor_slices((scores, truth)).batch(2)
    kernel = 3 * np.eye(5, dtype="float32")[None, None, :, ::-1]
    histories = []
    for data, weights in (((scores, truth), WEIGHTS), ((batches,), WEIGHTS), ((batches,), None)):
        model = keras.Sequential([keras.Input((3, 6, 5)), keras.layers.Conv2D(5, 1)])
        model.set_weights([kernel, np.zeros(5)])
        model.compile("sgd", kind(class_weights=weights))
        size = 2 if len(data) == 2 else None
        fitted = model.fit(*data, batch_size=size, epochs=3, shuffle=False, verbose=0)
        histories.append(fitted.history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)
    assert abs(histories[1][0] - histories[2][0]) > 1e-3, "the weights do nothing"


@pytest.mark.parametrize("weights", [[-1, 2], [0, 0], [1, np.inf]])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(ValueError, match="finite, non-negative numbers, not all zero"):
        CrossEntropy(class_weights=weights)


@pytest.mark.parametrize("kind", [CrossEntropy, Dice, Tversky, CrossEntropyDice])
def test_class_weights_may_be_a_dict_by_class_id_as_those_of_keras(kind):
    loss = kind(class_weights={1: 10, np.int64(0): 1})
    assert loss.class_weights == [1.0, 10.0]
    for weights in ({1: 1.0, 2: 10.0}, {"sky": 1.0, "road": 2.0}):
        with pytest.raises(ValueError, match="keys 0 to num_classes - 1.*Received: class_weights"):
            kind(class_weights=weights)


def test_weights_for_another_number_of_classes_are_refused(rng):
    for loss in (CrossEntropy(class_weights=[1, 2]), Dice(class_weights=[1, 2])):
        with pytest.raises(ValueError, match="one weight a class, 5 of them"):
            loss(*random_maps(rng))


SETTINGS = {
    "plain": {},
    "weights": {"class_weights": [1, 3]},
    "foreground": {"class_weights": [0, 1]},
    "sum": {"reduction": "sum"},
    "weighted mean": {"reduction": "mean_with_sample_weight"},
    "no reduction": {"reduction": None},
    "per image": {"per_image": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("kind", [CrossEntropy, Dice, Tversky, CrossEntropyDice])
def test_one_channel_costs_what_two_cost_and_probabilities_what_their_logits_cost(
    rng, kind, settings
):
    if kind is CrossEntropy and "per_image" in settings:
        pytest.skip("cross-entropy scores pixels")
    truth, logit = random_masks(rng)
    truth, weights = truth[..., 0], rng.uniform(size=truth.shape[:3])
    p = sigmoid(logit)
    two, both = np.concatenate([0 * logit, logit], -1), np.concatenate([1 - p, p], -1)
    logits, probabilities = kind(**settings), kind(**settings, from_logits=False)
    expected = ops.convert_to_numpy(logits(truth, two, weights))
    for loss, scores in ((logits, logit), (probabilities, p), (probabilities, both)):
        measured = ops.convert_to_numpy(loss(truth, scores, weights))
        np.testing.assert_allclose(measured, expected, rtol=1e-5, atol=1e-6)
        first = type(loss).from_config({**loss.get_config(), "axis": 1})
        measured = first(truth, np.moveaxis(scores, -1, 1), weights)
        np.testing.assert_allclose(ops.convert_to_numpy(measured), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [CrossEntropy, Dice, Tversky, CrossEntropyDice])
def test_multi_label_is_the_mean_of_the_labels_by_themselves(rng, kind):
    truth, logits = random_masks(rng, labels=4)
    weights, pixels = [1, 2, 0, 0.5], rng.uniform(size=truth.shape[:3])
    alone = [float(kind()(truth[..., i], logits[..., i, None], pixels)) for i in range(4)]
    expected = pytest.approx(np.average(alone, weights=weights), rel=1e-5)
    settings = {"class_weights": weights, "multi_label": True}
    assert float(kind(**settings)(truth, logits, pixels)) == expected
    loss = kind(**settings, from_logits=False)
    assert float(loss(truth, sigmoid(logits), pixels)) == expected
    first = (np.moveaxis(x, -1, 1) for x in (truth, logits))
    assert float(kind(**settings, axis=1)(*first, pixels)) == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@each(LOSSES)
def test_a_perfect_softmax_or_sigmoid_costs_nothing_and_one_that_is_all_wrong_much(
    rng, loss, dtype
):
    truth = rng.integers(0, 3, (2, 4, 5))
    truth[:, 0] = 255
    settings = {**loss.get_config(), "class_weights": None, "from_logits": False}
    loss = type(loss).from_config(settings)
    masks = (truth == 1)[..., None] * 1.0
    for ids, right, wrong in (
        (truth, np.eye(3)[truth % 255], np.eye(3)[(truth % 255 + 1) % 3]),
        (truth == 1, masks, 1 - masks),
    ):
        assert 0 <= float(loss(ids, ops.cast(right, dtype))) < 1e-6
        cost = float(loss(ids, ops.cast(wrong, dtype)))
        assert 15 < cost < 100 if "cross" in loss.name else cost == pytest.approx(1, abs=1e-5)
    several = type(loss).from_config({**settings, "multi_label": True})
    assert 0 <= float(several(np.eye(3)[truth % 255], np.eye(3)[truth % 255])) < 1e-6


@each(LOSSES)
def test_gradients_of_probabilities_go_on_to_their_logits(rng, loss):
    if loss.class_weights:
        loss = Dice()
    truth, logits = random_maps(rng, shape=(2, 3, 4))
    masks, logit = random_masks(rng, shape=(2, 3, 4))
    probabilities = type(loss).from_config({**loss.get_config(), "from_logits": False})
    for labels, scores, activation in (
        (truth, logits, ops.softmax),
        (masks, logit, ops.sigmoid),
    ):
        expected = gradient(lambda x: loss(labels, x), scores, np.float32(1))  # noqa: B023
        behind = gradient(
            lambda x: probabilities(labels, activation(x)),  # noqa: B023
            scores,
            np.float32(1),
        )
        np.testing.assert_allclose(behind, expected, atol=1e-6)


@each(LOSSES)
def test_masks_of_one_channel_without_foreground_are_not_perfect_by_themselves(rng, loss):
    loss = type(loss)()
    empty, unsure = np.zeros((2, 4, 5), "uint8"), np.zeros((2, 4, 5, 1), "float32")
    background = {"cross_entropy": np.log(2), "dice": 1 / 3, "tversky": 1 - 0.5 / 0.85}
    background["cross_entropy_dice"] = np.log(2) + 1 / 3
    expected = pytest.approx(background[loss.name], rel=1e-5)
    assert float(loss(empty, unsure)) == expected
    assert float(loss(np.where(np.arange(5) < 2, empty, 255), unsure)) == expected
    assert float(loss(np.full((2, 4, 5), 255), unsure)) == 0


@each(KINDS)
def test_compiled_losses_of_one_channel_and_of_labels_equal_eager_ones(rng, loss):
    for labels, multi_label in ((1, False), (3, True)):
        truth, logits = random_masks(rng, labels, shape=(2, 3, 4))
        ours = type(loss)(from_logits=False, multi_label=multi_label)
        expected = pytest.approx(float(ours(truth, sigmoid(logits))), rel=1e-5)
        assert compiled_loss(ours, truth, sigmoid(logits)) == expected


@pytest.mark.parametrize(
    ("labels", "activation", "jit_compile"),
    [(1, None, False), (1, "sigmoid", True), (3, None, True), (3, "sigmoid", False)],
)
def test_binary_and_multi_label_models_learn(rng, labels, activation, jit_compile):
    if keras.backend.backend() == "torch" and jit_compile:
        pytest.skip("Keras compiles PyTorch models through torch.compile, not XLA")
    images = rng.normal(size=(8, 6, 7, 3)).astype("float32")
    truth = (images[..., :labels] > 0.3).astype("uint8")
    truth[:, 0] = 255
    head = keras.layers.Conv2D(labels, 1, activation=activation)
    model = keras.Sequential([keras.Input((6, 7, 3)), head])
    meaning = output_of(model, multi_label=labels > 1).arguments
    model.compile(
        keras.optimizers.Adam(0.3),
        CrossEntropyDice(**meaning),
        metrics=[MeanIoU(max(labels, 2), **meaning)],
        jit_compile=jit_compile,
    )
    history = model.fit(images, truth, batch_size=4, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.3 < history["loss"][0]
    assert history["mean_iou"][-1] > 0.9 > history["mean_iou"][0]


@pytest.mark.parametrize("floatx", ["float16", "float64"])
@each(LOSSES)
def test_any_float_type_may_be_the_default(rng, loss, floatx):
    truth, scores = random_maps(rng, classes=19)
    masks, logits = random_masks(rng, 3)
    several = type(loss)(multi_label=True)
    expected = float(loss(truth, scores)), float(several(masks, logits))
    keras.config.set_floatx(floatx)
    try:
        loss = type(loss).from_config({**loss.get_config(), "dtype": None})
        several = type(loss)(multi_label=True)
        measured = float(loss(truth, scores)), float(several(masks, logits))
    finally:
        keras.config.set_floatx("float32")
    assert measured == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "float16", "mixed_float16"])
def test_models_of_any_dtype_policy_train(rng, policy):
    keras.config.set_dtype_policy(policy)
    try:
        truth, images = random_maps(rng, classes=3, shape=(4, 6, 7))
        model = keras.Sequential([keras.Input((6, 7, 3)), keras.layers.Conv2D(3, 1)])
        model.compile("sgd", CrossEntropyDice(class_weights=[1, 2, 1]), metrics=[MeanIoU(3)])
        history = model.fit(images, truth, epochs=2, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][1] < history["loss"][0]


def test_numpy_integers_are_accepted_and_saved(rng):
    truth, scores = random_maps(rng)
    loss = CrossEntropyDice(np.int64(255), np.ones(5, int), axis=np.int32(-1))
    assert float(loss(truth, scores)) == pytest.approx(float(CrossEntropyDice()(truth, scores)))
    json.dumps(loss.get_config())


@pytest.mark.parametrize("kind", [CrossEntropy, Dice, Tversky, CrossEntropyDice])
def test_a_configuration_written_before_probabilities_still_loads(kind):
    config = kind().get_config()
    del config["from_logits"], config["multi_label"]
    assert kind.from_config(config).get_config() == kind().get_config()


def test_the_package_shows_its_public_names():
    assert sorted(dir(losses)) == sorted(losses.__all__)
    assert {name for name in dir(losses) if name[0].isupper()} > {"CrossEntropy", "Dice"}


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(7, np.array([1.0, 2.0]), 1, "sum", "a", "float64", False, True),
        Dice(np.int64(7), [1, 2], True, 1, "sum", "b", "float64", False, True),
        Tversky(0.1, 0.2, None, [1, 2], True, 1, "sum", "c", "float64", False, True),
        CrossEntropyDice(7, [1, 2], 0.1, 0.2, True, 1, "sum", "d", "float64", False, True),
    ],
)
def test_config_round_trip(loss):
    config = loss.get_config()
    assert type(loss).from_config(config).get_config() == config
