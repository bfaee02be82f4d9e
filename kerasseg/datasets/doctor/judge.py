"""Judges what was measured of each image, and of all of them together."""

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.doctor.report import Statistics, relative
from kerasseg.datasets.masks import findings_of_values


def judge(splits, masks, names, root=".", multi_label=False):
    """`({split: Statistics}, findings)` of a set whose pairs have been examined one by one.

    Args:
        splits: {split: [`Examined`]}.
        masks: What the values mean, `Masks`; of each label, if there are several; `None` where
            nothing tells it.
        names: Of the classes or labels, empty where nothing tells them.
        root: The folder from which paths are shown.
        multi_label: Whether each label has a mask of its own; then its ids 0 and 1 are "no" and
            "yes".
    """
    findings, statistics, first = [], {}, {}
    for split, examined in splits.items():
        statistics[split] = Statistics(class_pixels=np.zeros(len(names), "int64"))
        for each in examined:
            findings += each.findings
            add(statistics[split], each, masks, multi_label)
            blurred = [f.path for f in each.errors if f.title == faults.INTERPOLATED.title]
            for path, labels in zip(each.label_paths, each.labels):
                if labels and path not in blurred:
                    findings += findings_of_values(labels, path, masks)
            if each.image is not None:
                earlier = first.setdefault(each.image.digest, (split, each.image_path))
                if earlier[0] != split:
                    words = f"in {split}, equals {relative(earlier[1], root)} in {earlier[0]}"
                    findings.append(faults.TWO_SPLITS.found(each.image_path, words))
        if statistics[split].void_share > faults.MOST_VOID:
            share = f"{statistics[split].void_share:.1%}"
            words = f"{share} of the pixels of {split} are void"
            findings.append(faults.MUCH_VOID.found(None, words))
    return statistics, findings


def add(statistics, examined, masks, multi_label):
    """Adds the numbers of one pair."""
    statistics.pictures += 1
    image = examined.image
    if image is not None:
        statistics.sizes[image.size] += 1
        statistics.sums = statistics.sums + image.sums
        statistics.squares = statistics.squares + image.squares
    if masks is None or None in examined.labels or not examined.labels:
        return
    pixels, void = zip(*(masks.count(labels.values) for labels in examined.labels))
    pixels = np.array(pixels)
    labelled = pixels.sum(axis=1) if multi_label else pixels.sum()
    pixels = pixels[:, 1] if multi_label else pixels[0]
    statistics.class_pixels = statistics.class_pixels + pixels
    statistics.labelled_pixels = statistics.labelled_pixels + labelled
    statistics.void_pixels += sum(void)


def findings_of_classes(statistics, names):
    """The findings about classes that do not occur, or not in training."""
    findings = []
    total = sum(part.class_pixels for part in statistics.values())
    train = statistics["train"].class_pixels if "train" in statistics else total
    for i, name in enumerate(names):
        if not total[i]:
            findings.append(faults.NEVER.found(None, f"{name}, id {i}: no pixel in any mask"))
        elif not train[i]:
            words = f"{name}, id {i}: no pixel in train, only in other splits"
            findings.append(faults.NEVER.found(None, words))
    return findings
