"""Labels of any kind are read or refused with the remedy of the case."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.losses import CrossEntropy, Dice
from kerasseg.losses.label_maps import predicted_ids
from kerasseg.metrics import MeanIoU
from tests.losses.cases import KINDS, compiled_loss, each
from tests.maps import random_maps, random_masks


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


SIZE = (2, 4, 6)
IDS = np.arange(48).reshape(SIZE) % 5
PALETTE = np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 9, 0], [0, 9, 9]])


def from_colours(masks, axis):
    ids = np.full(SIZE, 255)
    for class_id, colour in enumerate(PALETTE):
        colour = colour if axis == -1 else colour[:, None, None]
        ids[(masks == colour).all(axis=axis)] = class_id
    return ids


def resized(masks):
    options = {"interpolation": "nearest", "data_format": "channels_last"}
    return keras.ops.image.resize(masks, SIZE[1:], **options)


WRONG = {  # masks, what the message says, and what it makes of them
    "one-hot": (np.eye(5)[IDS], "`np.argmax(masks, axis=-1)`", lambda x: np.argmax(x, axis=-1)),
    "one-hot, channels first": (
        np.moveaxis(np.eye(5)[IDS], -1, 1),
        "`np.argmax(masks, axis=1)`",
        lambda x: np.argmax(x, axis=1),
    ),
    "colours": (PALETTE[IDS], ".all(axis=-1)] = class_id", lambda x: from_colours(x, -1)),
    "colours, channels first": (
        np.moveaxis(PALETTE[IDS], -1, 1),
        ".all(axis=1)] = class_id",
        lambda x: from_colours(x, 1),
    ),
    "half size": (
        IDS[:, ::2, ::2],
        "keras.ops.image.resize(masks[..., None], (4, 6), interpolation='nearest', "
        "data_format='channels_last')",
        lambda x: resized(x[..., None]),
    ),
    "half size with a channel": (
        IDS[:, ::2, ::2, None],
        "keras.ops.image.resize(masks, (4, 6), interpolation='nearest', "
        "data_format='channels_last')",
        resized,
    ),
    "on the side": (
        np.swapaxes(IDS, 1, 2),
        "`np.swapaxes(masks, 1, 2)`",
        lambda x: np.swapaxes(x, 1, 2),
    ),
    "flat": (IDS.reshape(2, -1), "Reshape the masks", lambda x: x.reshape(SIZE)),
    "one for both": (IDS[:1], "as many masks as images", lambda x: np.concatenate([x, x])),
}


@pytest.mark.parametrize(("masks", "words", "apply"), WRONG.values(), ids=WRONG.keys())
def test_masks_of_another_shape_are_refused_with_a_remedy_that_works(rng, masks, words, apply):
    scores = rng.normal(size=(*SIZE, 5))
    for compared in (CrossEntropy(), MeanIoU(5).count):
        with pytest.raises(ValueError, match=rf"one a pixel.*Received: y_true.*{re.escape(words)}"):
            compared(masks, scores)
        compared(apply(masks), scores)


def test_the_wrong_axis_is_told_by_the_masks(rng):
    scores = rng.normal(size=(2, 5, 4, 6))
    with pytest.raises(ValueError, match="on another axis of `y_pred`: pass axis=1."):
        CrossEntropy()(IDS, scores)
    CrossEntropy(axis=1)(IDS, scores)
    with pytest.raises(ValueError, match="on another axis of `y_pred`: pass axis=-1."):
        CrossEntropy(axis=1)(IDS, np.moveaxis(scores, 1, -1))


def test_three_channels_may_be_one_hot_or_colours(rng):
    with pytest.raises(
        ValueError, match=r"One-hot.*multi_label=True.*that show classes as colours"
    ):
        CrossEntropy()(np.zeros((*SIZE, 3)), rng.normal(size=(*SIZE, 3)))
    with pytest.raises(ValueError, match="of 7 classes do not belong to a model of 5"):
        CrossEntropy()(np.zeros((*SIZE, 7)), rng.normal(size=(*SIZE, 5)))
    with pytest.raises(ValueError, match="that show classes as colours"):
        CrossEntropy()(np.zeros((*SIZE, 3)), rng.normal(size=(*SIZE, 1)))


def test_multi_label_masks_of_another_shape_are_refused_with_a_remedy_that_works(rng):
    masks, logits = random_masks(rng, 3, shape=SIZE)
    loss, first = CrossEntropy(multi_label=True), np.moveaxis(logits, -1, 1)
    with pytest.raises(ValueError, match=r"np.moveaxis\(masks, -1, 1\)"):
        CrossEntropy(axis=1, multi_label=True)(masks, first)
    expected = float(loss(masks, logits))
    measured = CrossEntropy(axis=1, multi_label=True)(np.moveaxis(masks, -1, 1), first)
    assert float(measured) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match=r"np.moveaxis\(masks, 1, -1\)"):
        loss(np.moveaxis(masks, -1, 1), logits)
    with pytest.raises(ValueError, match="For one class a pixel, leave multi_label=True out"):
        loss(IDS, logits)
    with pytest.raises(ValueError, match="one channel a label"):
        loss(masks[..., :2], logits)


@pytest.mark.parametrize("multi_label", [False, True])
@each(KINDS)
def test_masks_of_0_and_1_hold_nothing_else(rng, loss, multi_label):
    masks, logits = random_masks(rng, 3 if multi_label else 1, shape=(2, 3, 4))
    loss = type(loss)(multi_label=multi_label)
    for bad in (2, 0.5, -1):
        wrong = masks.astype("float32")
        wrong[1, 2, 3, 0] = bad
        with pytest.raises(
            ValueError, match=f"class ids 0 to 1, or 255 for void. Received: id={bad}"
        ):
            loss(wrong, logits)
    assert np.isnan(compiled_loss(loss, wrong, logits))


def test_predictions_are_the_largest_score_or_a_yes_of_each_channel():
    scores = np.array([[[[-1.0, 0.2, 0.7]]]])
    assert ops.convert_to_numpy(predicted_ids(scores)).tolist() == [[[2]]]
    for from_logits, yes in ((True, [0, 1, 1]), (False, [0, 0, 1])):
        masks = predicted_ids(scores, -1, from_logits, multi_label=True)
        assert ops.convert_to_numpy(masks).tolist() == [[[yes]]]
        for channel, expected in enumerate(yes):
            ids = predicted_ids(scores[..., channel : channel + 1], -1, from_logits)
            assert ops.convert_to_numpy(ids).tolist() == [[[expected]]]
