"""Scores against loops over pixels, and against the metrics of a training."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from kerasseg import metrics, models
from kerasseg.training.evaluation import evaluate, score_table, trust_table
from tests import reference

NAMES, COLOURS = ("sky", "road", "car"), ((1, 2, 3), (128, 64, 128), (0, 0, 230))


class Classes:
    class_names, colours, ignore_class = NAMES, COLOURS, 255


def echo():
    """A model whose logits are its images."""
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, keras.layers.Identity()(inputs))


def batches(rng, sizes=(2, 3), classes=3):
    """(images, labels), with void; the last class never occurs if `classes` is 2."""
    for count in sizes:
        images = rng.random((count, 4, 6, 3)).astype("float32")
        images[..., classes:] = 0
        labels = rng.integers(0, classes, (count, 4, 6)).astype("int32")
        labels[rng.random(labels.shape) < 0.2] = 255
        yield images, labels


def by_loops(data):
    """Confusion matrix, pixel by pixel."""
    matrix = np.zeros((3, 3), int)
    for images, labels in data:
        for index in np.ndindex(labels.shape):
            if labels[index] != 255:
                matrix[labels[index], images[index].argmax()] += 1
    return matrix


def test_scores_are_those_of_loops_over_pixels(rng):
    data = list(batches(rng))
    scores, matrix = evaluate(echo(), data, Classes), by_loops(data)
    ious = [matrix[i, i] / (matrix[i].sum() + matrix[:, i].sum() - matrix[i, i]) for i in range(3)]
    assert scores["confusion_matrix"] == matrix.tolist()
    assert scores["per_class_iou"] == pytest.approx(ious, abs=1e-12)
    assert scores["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert scores["pixel_accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-12)


def test_scores_are_those_that_a_training_logs(rng):
    data, metric = list(batches(rng)), metrics.MeanIoU(3)
    for images, labels in data:
        metric.update_state(labels, images)
    assert evaluate(echo(), data, Classes)["mean_iou"] == pytest.approx(float(metric.result()))


def test_a_class_that_never_occurs_has_no_score_and_is_left_out_of_the_mean(rng):
    scores = evaluate(echo(), list(batches(rng, classes=2)), Classes)
    first, second, third = scores["per_class_iou"]
    assert third is None
    assert scores["mean_iou"] == pytest.approx((first + second) / 2)
    assert "car              0.00%  absent" in score_table(scores)


def test_a_set_of_nothing_but_void_has_no_score():
    scores = evaluate(echo(), [(np.ones((1, 2, 3, 3)), np.full((1, 2, 3), 255))], Classes)
    assert scores["mean_iou"] is scores["pixel_accuracy"] is None
    assert "mean IoU                  none" in score_table(scores)


def test_the_table_says_share_and_iou_of_each_class_commonest_first():
    labels = np.array([[[0, 1, 1, 1, 2, 255]]])
    images = np.eye(3)[[[[0, 1, 1, 0, 2, 0]]]]
    lines = score_table(evaluate(echo(), [(images, labels)], Classes)).splitlines()
    assert [line.split() for line in lines] == [
        ["class", "share", "IoU"],
        ["road", "60.00%", "0.6667"],
        ["sky", "20.00%", "0.5000"],
        ["car", "20.00%", "1.0000"],
        ["mean", "IoU", "0.7222"],
        ["pixel", "accuracy", "0.8000"],
    ]


def test_best_and_worst_pictures_are_ranked_by_their_own_mean_iou(rng, tmp_path):
    labels = rng.integers(0, 2, (7, 4, 5))
    wrong = [3, 0, 20, 7, 12, 1, 5]  # pixels of each picture
    ids = labels.copy()
    for picture, count in zip(ids, wrong):
        picture.ravel()[:count] = 1 - picture.ravel()[:count]
    scores = evaluate(echo(), [(np.eye(3)[ids], labels)], Classes, tmp_path, pictures=2)
    json.dumps(scores, allow_nan=False)
    for kind, places in (("best", (1, 5)), ("worst", (2, 4))):
        for entry, place in zip(scores[f"{kind}_pictures"], places):
            alone = evaluate(echo(), [(np.eye(3)[ids[[place]]], labels[[place]])], Classes)
            assert entry["iou"] == alone["mean_iou"]
            shown = np.asarray(Image.open(tmp_path / entry["truth"]))
            np.testing.assert_array_equal(shown, np.array(COLOURS)[labels[place]])
            shown = np.asarray(Image.open(tmp_path / entry["prediction"]))
            np.testing.assert_array_equal(shown, np.array(COLOURS)[ids[place]])
            shown = np.asarray(Image.open(tmp_path / entry["image"]))
            np.testing.assert_array_equal(shown, 255 * np.eye(3)[ids[place]])
    assert len(list((tmp_path / "pictures").iterdir())) == 12


def test_no_picture_is_both_among_the_best_and_among_the_worst(rng, tmp_path):
    scores = evaluate(echo(), list(batches(rng, sizes=(3,))), Classes, tmp_path)
    best, worst = ([e["iou"] for e in scores[f"{k}_pictures"]] for k in ("best", "worst"))
    assert len(best) == 2
    assert len(worst) == 1
    assert min(best) >= max(worst)


def test_another_number_of_classes_is_an_error(rng):
    class Two:
        class_names, colours, ignore_class = ("a", "b"), None, 255

    with pytest.raises(ValueError, match=r"one score a class, 2 of them. Received: scores.shape"):
        evaluate(echo(), list(batches(rng, classes=2)), Two)


@pytest.mark.parametrize("void", [0, 2, None])
def test_where_void_is_a_class_evaluate_and_a_training_give_one_number(rng, void):
    class Void:
        class_names, colours, ignore_class = NAMES, COLOURS, void

    data = [(images, np.where(labels == 255, 0, labels)) for images, labels in batches(rng)]
    metric = metrics.MeanIoU(3, ignore_class=void)
    for images, labels in data:
        metric.update_state(labels, images)
    scores = evaluate(echo(), data, Void)
    assert scores["mean_iou"] == pytest.approx(float(metric.result()), abs=1e-6)
    kept = [i for i in range(3) if i != void]
    counted = [pair for images, labels in data for pair in zip(images, labels)]
    ious = []
    for i in kept:
        both = either = 0
        for image, truth in counted:
            seen, prediction = truth != void, image.argmax(-1)
            both += ((truth == i) & (prediction == i) & seen).sum()
            either += (((truth == i) | (prediction == i)) & seen).sum()
        ious.append(both / either)
    assert [scores["per_class_iou"][i] for i in kept] == pytest.approx(ious, abs=1e-6)
    assert scores["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-6)


def test_one_example_by_hand_where_void_is_a_class():
    """Class 0 is void: its pixel counts nowhere, and neither does its IoU."""

    class Void:
        class_names, colours, ignore_class = ("void", "a", "b"), None, 0

    labels = np.array([[[0, 1, 1, 2]]])
    images = np.eye(3)[[[[1, 1, 0, 2]]]]
    scores = evaluate(echo(), [(images, labels)], Void)
    assert scores["per_class_iou"] == [None, 0.5, 1.0]
    assert scores["mean_iou"] == 0.75


def of_channels(count, activation=None):
    """A model whose logits are the first channels of its images, times 9, less 4.5."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(9.0, -4.5)(image[..., :count])
    return keras.Model(image, keras.layers.Activation(activation or "linear")(x))


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_channel_scores_like_its_two_classes(rng, activation, tmp_path):
    class Two:
        class_names, colours, ignore_class = ("ground", "cell"), ((0, 0, 0), (9, 99, 199)), 255

    data = list(batches(rng, classes=2))
    scores = evaluate(of_channels(1, activation), data, Two, tmp_path)
    masks = np.concatenate([images[..., 0] > 0.5 for images, _ in data])
    truth = np.concatenate([labels for _, labels in data])
    seen = truth != 255
    ious = [
        ((truth == i) & (masks == i) & seen).sum() / (((truth == i) | (masks == i)) & seen).sum()
        for i in (0, 1)
    ]
    assert scores["labels"] == "binary"
    assert scores["per_class_iou"] == pytest.approx(ious, abs=1e-6)
    assert scores["pixel_accuracy"] == pytest.approx((truth == masks)[seen].mean(), abs=1e-6)
    metric = metrics.MeanIoU(2, from_logits=activation is None)
    model = of_channels(1, activation)
    for images, labels in data:
        metric.update_state(labels, model(images))
    assert scores["mean_iou"] == pytest.approx(float(metric.result()), abs=1e-6)
    assert len(scores["best_pictures"]) == 3
    assert "cell" in score_table(scores)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_several_labels_a_pixel_are_scored_one_by_one(rng, activation, tmp_path):
    class Labels(Classes):
        multi_label = True

    images = rng.random((4, 5, 6, 3)).astype("float32")
    labels = rng.integers(0, 2, (4, 5, 6, 3))
    labels[:, 0, 0, 1] = 255
    scores = evaluate(of_channels(3, activation), [(images, labels)], Labels, tmp_path)
    json.dumps(scores, allow_nan=False)
    masks, seen = images > 0.5, labels != 255
    for i in range(3):
        yes, told, counted = labels[..., i] == 1, masks[..., i], seen[..., i]
        expected = (yes & told & counted).sum() / ((yes | told) & counted).sum()
        assert scores["per_class_iou"][i] == pytest.approx(expected, abs=1e-6)
        cells = [
            [((yes == t) & (told == p) & counted).sum() for p in (0, 1)] for t in (False, True)
        ]
        assert scores["confusion_matrix"][i] == cells
    assert scores["mean_iou"] == pytest.approx(np.mean(scores["per_class_iou"]))
    right = ((labels == 1) == masks)[seen].mean()
    assert scores["pixel_accuracy"] == pytest.approx(right, abs=1e-6)
    header, *rows = (line.split() for line in score_table(scores).splitlines())
    assert header == ["label", "share", "IoU"]
    shares = {
        name: (labels[..., i] == 1).sum() / seen[..., i].sum() for i, name in enumerate(NAMES)
    }
    assert {row[0]: row[1] for row in rows[:3]} == {n: f"{x:.2%}" for n, x in shares.items()}
    shown = np.asarray(Image.open(tmp_path / scores["best_pictures"][0]["prediction"]))
    expected = []
    for mask in masks:  # the mean colour of the labels of each pixel, black where there is none
        tint = np.zeros((5, 6, 3))
        for index in np.ndindex(5, 6):
            chosen = [COLOURS[i] for i in range(3) if mask[index][i]]
            tint[index] = np.mean(chosen, axis=0) if chosen else 0
        expected.append(tint[1:])  # the first row holds void, which is striped
    assert min(np.abs(shown[1:] - tint).max() for tint in expected) <= 0.5 + 1e-4


def test_a_softmax_is_no_multi_label_model(rng):
    class Labels(Classes):
        multi_label = True

    with pytest.raises(ValueError, match="must end in a sigmoid or in logits. Received: a softmax"):
        evaluate(of_channels(3, "softmax"), [], Labels)


def test_of_two_outputs_the_main_one_is_scored(rng):
    data = list(batches(rng))
    image = keras.Input((None, None, 3))
    both = [keras.layers.GlobalMaxPooling2D()(image), keras.layers.Identity()(image)]
    scores = evaluate(keras.Model(image, both), data, Classes)
    assert scores["confusion_matrix"] == by_loops(data).tolist()


def test_a_model_that_loses_its_border_is_told_to_keep_the_size_of_the_image():
    model = models.unet((188, 204, 1), 3, width=0.05, padding="valid")
    batch = np.zeros((1, 188, 204, 1), "float32"), np.zeros((1, 188, 204), "int32")
    message = r"scores.shape=\(1, 4, 20, 3\) for images.shape=\(1, 188, 204, 1\).*padding='same'"
    with pytest.raises(ValueError, match=message):
        evaluate(model, [batch], Classes)


def test_a_channels_first_model_is_scored_on_the_same_images(rng):
    data = list(batches(rng))
    last = models.unet((None, None, 3), 3, width=0.05)
    first = models.unet((3, None, None), 3, width=0.05, data_format="channels_first")
    first.set_weights(last.get_weights())
    assert (
        evaluate(first, data, Classes)["confusion_matrix"]
        == evaluate(last, data, Classes)["confusion_matrix"]
    )


def test_scores_of_nan_are_an_error():
    with pytest.raises(ValueError, match="hold NaN: its training has diverged"):
        evaluate(echo(), [(np.full((1, 2, 3, 3), np.nan), np.zeros((1, 2, 3), int))], Classes)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_boundary_iou_and_calibration_error_are_those_of_the_slow_versions(rng):
    data = list(batches(rng))
    scores = evaluate(echo(), data, Classes)
    truth = np.concatenate([labels for _, labels in data])
    probabilities = softmax(np.concatenate([images for images, _ in data]))
    prediction, seen = probabilities.argmax(-1), truth != 255
    expected = reference.boundary_iou(truth, prediction, 3, 255, 0.02)
    assert scores["per_class_boundary_iou"] == pytest.approx(expected, abs=1e-9)
    assert scores["boundary_iou"] == pytest.approx(np.mean(expected), abs=1e-9)
    right = (truth == prediction)[seen]
    expected = reference.calibration_error(probabilities.max(-1)[seen], right, 15)
    assert scores["calibration"]["error"] == pytest.approx(expected, abs=1e-6)
    assert scores["calibration"]["accuracy"] == pytest.approx(scores["pixel_accuracy"])


def test_the_interval_is_that_of_a_bootstrap_of_whole_images(rng):
    data = list(batches(rng))
    scores = evaluate(echo(), data, Classes)
    matrices = [
        by_loops([(image[None], labels[None])]) for pair in data for image, labels in zip(*pair)
    ]
    draws = np.random.default_rng(0)
    means = [
        np.nanmean(reference.iou(sum(matrices[i] for i in draws.integers(0, 5, 5))))
        for _ in range(2000)
    ]
    expected = np.quantile(means, [0.025, 0.975])
    assert scores["images"] == 5
    assert scores["mean_iou_interval"] == pytest.approx(expected, abs=1e-6)
    assert scores["mean_iou_interval"][0] < scores["mean_iou"] < scores["mean_iou_interval"][1]


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_one_channel_and_labels_can_be_trusted_as_far_as_their_yes_and_no(rng, kind):
    class Labels(Classes):
        multi_label = True

    class Two:
        class_names, colours, ignore_class = ("ground", "cell"), None, 255

    images = rng.random((3, 4, 6, 3)).astype("float32")
    labels = rng.integers(0, 2, (3, 4, 6, 3))
    labels[rng.random(labels.shape) < 0.2] = 255
    channels = 3 if kind == "multilabel" else 1
    truth = labels if channels == 3 else labels[..., 0]
    scores = evaluate(of_channels(channels), [(images, truth)], Labels if channels == 3 else Two)
    json.dumps(scores, allow_nan=False)
    labels, yes = labels[..., :channels], 1 / (1 + np.exp(4.5 - 9 * images[..., :channels]))
    seen = labels != 255
    expected = reference.calibration_error(
        np.maximum(yes, 1 - yes)[seen], ((yes > 0.5) == labels)[seen], 15
    )
    assert scores["labels"] == kind
    assert scores["calibration"]["error"] == pytest.approx(expected, abs=1e-5)
    low, high = scores["mean_iou_interval"]
    assert low < scores["mean_iou"] < high
    assert 0 < scores["boundary_iou"] < 1


def test_the_second_table_leaves_out_what_there_is_not():
    one = evaluate(echo(), [(np.ones((1, 2, 3, 3)), np.zeros((1, 2, 3), int))], Classes)
    assert [line.split()[0] for line in trust_table(one).splitlines()] == [
        "boundary",
        "calibration",
    ]
    assert trust_table({"mean_iou": 0.5}) == ""
