"""Which images a training fits on, which choose its best epoch, and which score that one."""

import dataclasses

from kerasseg.datasets import Dataset
from kerasseg.datasets.dataset import seeded_split
from kerasseg.datasets.splits import drawn

__all__ = ["Selection", "sample", "select"]


@dataclasses.dataclass(frozen=True)
class Selection:
    """A data set whose `train` is fitted on, whose `validation` chooses, and whose `test` scores.

    Attributes:
        data: The `Dataset`.
        chosen_on: "validation" or "held-out training": the images that choose the best epoch.
        scored_on: "validation" or "test": the images that the chosen epoch is scored on.
    """

    data: Dataset
    chosen_on: str
    scored_on: str


def select(data, hold_out=True):
    """The images to choose the best epoch on, which are not those that it is scored on.

    With a test split, the validation images choose and the test images score. Without, a tenth of
    the training images, four at least where there are twenty, is held out to choose, and the
    validation images score. With fewer than ten training images all are needed for training: the
    validation images choose and score, and the score is a little too good.

    Args:
        data: A `kerasseg.datasets.Dataset`.
        hold_out: Whether training images may be held out.

    Returns:
        A `Selection`.
    """
    splits = data.source.splits
    if "test" in splits:
        return Selection(data, "validation", "test")
    count = len(splits["train"])
    if not hold_out or count < 10:
        splits = {**splits, "test": splits["validation"]}
        return Selection(with_source(data, splits=splits), "validation", "validation")
    fraction = max(round(count / 10), min(4, count // 5)) / count
    fitting, selection = seeded_split(splits["train"], fraction)
    splits = {"train": fitting, "validation": selection, "test": splits["validation"]}
    pixels = data.source.class_pixels
    if pixels is not None:
        pixels = pixels[~drawn(count, fraction)]
    chosen = with_source(data, splits=splits, class_pixels=pixels)
    return Selection(chosen, "held-out training", "validation")


def sample(data, batches=10):
    """A number of batches of training images as they are, drawn at random, always the same ones."""
    chosen = data.source.splits["train"]
    fraction = batches * data.batch_size / len(chosen)
    if fraction < 1:
        _, chosen = seeded_split(chosen, fraction)
    chosen = with_source(data, splits={**data.source.splits, "validation": chosen})
    return chosen.parts if data.patch else chosen.validation


def with_source(data, augment=None, **changes):
    """The same data set, with changes of its `Source` and perhaps another augmentation."""
    return Dataset(
        dataclasses.replace(data.source, **changes),
        target=data.target,
        image_size=data.image_size,
        batch_size=data.batch_size,
        augment=data.augment if augment is None else augment,
        seed=data.seed,
        corruption=data.corruption,
        patch=data.patch,
        steps=data.steps,
        flips=data.flips,
        turns=data.turns,
    )
