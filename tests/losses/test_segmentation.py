"""Losses agree with loops and with PyTorch's conventions; void and perfection cost nothing."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky
from tests import reference
from tests.layers.cases import gradient
from tests.maps import random_maps

WEIGHTS = [1, 2, 0.5, 0, 4]
OVERLAP = {
    "dice": Dice(),
    "dice_per_image": Dice(per_image=True),
    "dice_weighted": Dice(class_weights=[*range(1, 20)]),
    "tversky": Tversky(),
    "tversky_precise": Tversky(alpha=0.9, beta=0.1),
}
LOSSES = {**OVERLAP, "cross_entropy": CrossEntropy(), "cross_entropy_dice": CrossEntropyDice()}
KINDS = {kind: LOSSES[kind] for kind in ("cross_entropy", "dice", "cross_entropy_dice")}


def each(losses):
    return pytest.mark.parametrize("loss", losses.values(), ids=losses.keys())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_agrees_with_a_slow_loop(rng, weights):
    truth, scores = random_maps(rng)
    expected = reference.cross_entropy(truth, scores, weights or [1] * 5, 255)
    loss = CrossEntropy(class_weights=weights)
    np.testing.assert_allclose(float(loss(truth, scores)), expected, rtol=1e-6)
    np.testing.assert_allclose(float(loss(truth[..., None], scores)), expected, rtol=1e-6)


def test_cross_entropy_agrees_with_pytorch(rng):
    torch = pytest.importorskip("torch")
    truth, scores = random_maps(rng)
    weights = [1, 2, 0.5, 0.1, 4]
    expected = torch.nn.functional.cross_entropy(
        torch.from_numpy(np.moveaxis(scores, -1, 1)),
        torch.from_numpy(truth),
        weight=torch.tensor(weights),
        ignore_index=255,
    )
    loss = CrossEntropy(class_weights=weights)(truth, scores)
    np.testing.assert_allclose(float(loss), float(expected), rtol=1e-5)


def test_doubling_every_class_weight_changes_nothing(rng):
    truth, scores = random_maps(rng)
    for kind in (CrossEntropy, Dice, Tversky, CrossEntropyDice):
        once, twice = (float(kind(class_weights=w)(truth, scores)) for w in ([1] * 5, [2] * 5))
        assert once == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 0.5), (0.3, 0.7), (1, 0), (0, 2)])
def test_tversky_agrees_with_a_slow_loop_over_the_batch_and_per_image(rng, alpha, beta, weights):
    truth, scores = random_maps(rng)
    truth[0][truth[0] == 3] = 255  # a class that one image lacks
    arguments = (alpha, beta, weights or [1] * 5, 255)
    for per_image, batches in ((False, [slice(None)]), (True, [[0], [1], [2]])):
        loss = Tversky(alpha, beta, class_weights=weights, per_image=per_image)
        expected = np.mean([reference.tversky(truth[b], scores[b], *arguments) for b in batches])
        assert float(loss(truth, scores)) == pytest.approx(expected, abs=1e-6)


def test_dice_is_tversky_with_equal_prices(rng):
    truth, scores = random_maps(rng)
    assert float(Dice()(truth, scores)) == float(Tversky(0.5, 0.5)(truth, scores))


def test_alpha_is_the_price_of_claiming_too_much_and_beta_of_missing():
    truth = np.zeros((1, 4, 6), "int32")
    truth[:, :2, :3] = 1
    right = 100 * np.eye(2, dtype="float32")[truth]
    too_much, too_little = right.copy(), right.copy()
    too_much[:, :2, 3:] = [0, 100]  # 6 pixels of class 1 found, 6 claimed in vain
    too_little[:, :2, 0] = [100, 0]  # 4 found, 2 missed
    loss = Tversky(alpha=0.3, beta=0.7, class_weights=[0, 1])
    assert float(loss(truth, too_much)) == pytest.approx(1 - 6 / (6 + 0.3 * 6), abs=1e-6)
    assert float(loss(truth, too_little)) == pytest.approx(1 - 4 / (4 + 0.7 * 2), abs=1e-6)


def test_cross_entropy_dice_is_the_weighted_sum_of_the_two(rng):
    truth, scores = random_maps(rng)
    loss = CrossEntropyDice(255, WEIGHTS, cross_entropy_weight=0.3, dice_weight=2, per_image=True)
    weights = rng.uniform(size=truth.shape)
    expected = 0.3 * CrossEntropy(255, WEIGHTS)(truth, scores, weights)
    expected += 2 * Dice(255, WEIGHTS, per_image=True)(truth, scores, weights)
    assert float(loss(truth, scores, weights)) == pytest.approx(float(expected), rel=1e-6)


def test_a_perfect_prediction_with_2_of_19_classes_costs_0_where_the_books_dice_costs_0_895(rng):
    truth = rng.integers(0, 2, (3, 8, 9))
    scores = 10 * np.eye(19, dtype="float32")[truth]
    assert reference.books_dice(truth, scores) == pytest.approx(0.895, abs=5e-4)
    assert float(Dice()(truth, scores)) < 1e-3
    assert float(Dice()(truth, 10 * scores)) == 0


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


def test_an_empty_mask_is_scored_by_its_background(rng):
    empty = np.zeros((1, 6, 7), "int32")
    nothing, everything = (100 * ops.one_hot(empty + c, 2) for c in (0, 1))
    for loss in (Dice(), Tversky()):
        assert float(loss(empty, nothing)) == 0
        assert float(loss(empty, everything)) == pytest.approx(1)
    foreground = Dice(class_weights=[0, 1], per_image=True)
    assert float(foreground(empty, everything)) == 0
    full = np.concatenate([empty, empty + 1])
    scores = ops.zeros((2, 6, 7, 2))  # Dice of the second image: 2 * 21 / (2 * 21 + 21)
    assert float(foreground(full, scores)) == pytest.approx(1 / 3)


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


def test_without_reduction_dice_gives_one_loss_an_image_and_the_mean_is_that_of_scored_images(rng):
    truth, scores = random_maps(rng)
    arguments = (0.5, 0.5, [1] * 5, 255)
    images = [reference.tversky(t[None], s[None], *arguments) for t, s in zip(truth, scores)]
    alone = ops.convert_to_numpy(Dice(per_image=True, reduction=None)(truth, scores))
    np.testing.assert_allclose(alone, images, atol=1e-6)
    weights = np.array([1.0, 3.0, 2.0])
    loss = Dice(per_image=True, reduction="mean_with_sample_weight")
    expected = np.average(images, weights=weights)
    assert float(loss(truth, scores, weights)) == pytest.approx(expected, abs=1e-6)
    total = Dice(per_image=True, reduction="sum")(truth, scores)
    assert float(total) == pytest.approx(np.sum(images), rel=1e-6)
    assert CrossEntropyDice(reduction=None)(truth, scores).shape == truth.shape


@pytest.mark.parametrize("weights", [[0, 2, 3, 1], [1e-6, 2, 3, 1], [1, 1, 1, 1]])
def test_an_image_of_no_weight_counts_in_the_mean_and_one_without_anything_to_score_does_not(
    rng, weights
):
    truth, scores = random_maps(rng, shape=(4, 3, 5))
    truth[2], truth[3] = 255, np.where(truth[3] == 255, 255, 3)  # class 3 has no weight
    pixel_weights = np.broadcast_to(np.array(weights)[:, None, None], truth.shape)
    arguments = (0.5, 0.5, WEIGHTS, 255)
    images = [reference.tversky(*image, *arguments) for image in zip(truth, scores)]
    weighted = [
        reference.tversky(*image, *arguments, w) for *image, w in zip(truth, scores, pixel_weights)
    ]
    scored = [images[0] * weights[0], images[1] * weights[1]]
    assert np.nansum(weighted) == pytest.approx(sum(scored))
    expected = reference.mean_of_scored_images(weighted, truth, WEIGHTS, 255)
    assert expected == pytest.approx(sum(scored) / 2)
    settings = {"class_weights": WEIGHTS, "per_image": True}
    loss = Dice(**settings)(truth, scores, np.array(weights))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    weighted_mean = Dice(**settings, reduction="mean_with_sample_weight")
    measured = float(weighted_mean(truth, scores, np.array(weights)))
    assert measured == pytest.approx(sum(scored) / sum(weights[:2]), rel=1e-5)
    alone = Dice(**settings, reduction=None)(truth, scores, np.array(weights))
    np.testing.assert_allclose(ops.convert_to_numpy(alone), [*scored, 0, 0], rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_without_reduction_is_the_loss_of_each_pixel_and_sum_their_sum(rng, weights):
    truth, scores = random_maps(rng)
    sample_weights = rng.uniform(size=truth.shape)
    pixels = np.zeros(truth.shape)
    for index in np.ndindex(*truth.shape):
        if truth[index] != 255:
            logits = scores[index].astype("float64")
            price = sample_weights[index] * (weights or [1] * 5)[truth[index]]
            pixels[index] = price * (np.log(np.exp(logits).sum()) - logits[truth[index]])
    for reduction, expected in ((None, pixels), ("none", pixels), ("sum", pixels.sum())):
        loss = CrossEntropy(class_weights=weights, reduction=reduction)
        measured = ops.convert_to_numpy(loss(truth, scores, sample_weights))
        np.testing.assert_allclose(measured, expected, rtol=1e-5)


def test_unweighted_sums_and_maps_of_cross_entropy_are_those_of_pytorch(rng):
    torch = pytest.importorskip("torch")
    truth, scores = random_maps(rng)
    arguments = torch.from_numpy(np.moveaxis(scores, -1, 1)), torch.from_numpy(truth)
    for reduction in ("sum", "none"):
        expected = torch.nn.functional.cross_entropy(
            *arguments, ignore_index=255, reduction=reduction
        )
        measured = ops.convert_to_numpy(CrossEntropy(reduction=reduction)(truth, scores))
        np.testing.assert_allclose(measured, expected.numpy(), rtol=1e-5)


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


def test_mean_with_sample_weight_is_the_mean_weighted_by_classes_and_pixels(rng):
    truth, scores = random_maps(rng)
    loss = CrossEntropy(class_weights=WEIGHTS, reduction="mean_with_sample_weight")
    expected = reference.cross_entropy(truth, scores, WEIGHTS, 255)
    assert float(loss(truth, scores)) == pytest.approx(expected, rel=1e-5)
    for weights in (rng.uniform(size=truth.shape), np.array([1.0, 0.5, 3.0])):
        spread = np.broadcast_to(weights.reshape(3, *weights.shape[1:] or (1, 1)), truth.shape)
        terms = reference.cross_entropy(truth, scores, WEIGHTS, 255, spread)
        prices = np.array(WEIGHTS)[truth[truth != 255]]
        mean_weight = np.average(spread[truth != 255], weights=prices)
        measured = float(loss(truth, scores, weights))
        assert measured == pytest.approx(terms / mean_weight, rel=1e-5)


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


def test_the_void_id_may_be_negative_in_labels_of_8_bits_or_be_a_class(rng):
    truth, scores = random_maps(rng, void=0)
    expected = float(CrossEntropy(None)(truth, scores))
    assert float(CrossEntropy(-1)(truth.astype("uint8"), scores)) == pytest.approx(expected)
    void = np.where(truth == 2, 255, truth)
    expected = float(Dice()(void, scores))
    assert float(Dice(ignore_class=2)(truth, scores)) == pytest.approx(expected)


@each(KINDS)
def test_interpolated_labels_are_refused_eagerly_and_nan_when_compiled(rng, loss):
    truth, scores = random_maps(rng, classes=19, shape=(2, 3, 4))
    truth = truth + 0.5
    with pytest.raises(ValueError, match=r"class ids 0 to 18.*Received: id=\d+\.5"):
        loss(truth, scores)
    assert np.isnan(compiled_loss(loss, truth, scores))


@each(KINDS)
def test_an_id_outside_the_classes_raises_eagerly_and_is_nan_when_compiled(rng, loss):
    truth, scores = random_maps(rng, classes=19, shape=(2, 3, 4))
    truth[0, 0, 0] = 19
    with pytest.raises(ValueError, match=r"ids 0 to 18, or 255 for void. Received: id=19"):
        loss(truth, scores)
    assert np.isnan(compiled_loss(loss, truth, scores))


@each(LOSSES)
def test_compiled_losses_equal_eager_ones(rng, loss):
    truth, scores = random_maps(rng, classes=19, shape=(2, 3, 4))
    weights = rng.uniform(size=truth.shape)
    for arguments in ((), (weights,)):
        expected = float(loss(truth, scores, *arguments))
        assert compiled_loss(loss, truth, scores, *arguments) == pytest.approx(expected, rel=1e-5)


def compiled_loss(loss, truth, scores, *sample_weight):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly and raises")
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Activation("linear")])
    model.compile(loss=loss, jit_compile=True)
    return model.evaluate(scores, truth, sample_weight=next(iter(sample_weight), None), verbose=0)


def test_one_hot_labels_are_refused_with_the_remedy(rng):
    scores = rng.normal(size=(1, 5, 5, 5))
    for loss in (CrossEntropy(), Dice()):
        with pytest.raises(ValueError, match=r"one a pixel.*\(1, 5, 5, 5\).*argmax"):
            loss(np.eye(5)[rng.integers(0, 5, (1, 5, 5))], scores)


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


@pytest.mark.parametrize(("alpha", "beta"), [(-1, 1), (0, 0), (np.inf, 1), (np.nan, 1)])
def test_prices_that_cannot_be_are_refused(alpha, beta):
    with pytest.raises(ValueError, match="finite, non-negative numbers, not both zero"):
        Tversky(alpha, beta)
    with pytest.raises(ValueError, match="finite, non-negative numbers. Received: cross_entropy_w"):
        CrossEntropyDice(cross_entropy_weight=-1)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(7, np.array([1.0, 2.0]), 1, "sum", "a", "float64"),
        Dice(np.int64(7), [1, 2], True, 1, "sum", "b", "float64"),
        Tversky(0.1, 0.2, None, [1, 2], True, 1, "sum", "c", "float64"),
        CrossEntropyDice(7, [1, 2], 0.1, 0.2, True, 1, "sum", "d", "float64"),
    ],
)
def test_config_round_trip(loss):
    config = loss.get_config()
    assert type(loss).from_config(config).get_config() == config
