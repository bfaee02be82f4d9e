"""The losses that several files test, and how to try one compiled."""

import keras
import pytest

from kerasseg.losses import CrossEntropy, CrossEntropyDice, Dice, Tversky

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


def compiled_loss(loss, truth, scores, *sample_weight):
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly and raises")
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Activation("linear")])
    model.compile(loss=loss, jit_compile=True)
    return model.evaluate(scores, truth, sample_weight=next(iter(sample_weight), None), verbose=0)
