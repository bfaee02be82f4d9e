"""Judges what was measured of each picture, and of all of them together."""

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np

from kerasseg.datasets.doctor import faults
from kerasseg.datasets.doctor.report import Finding, Statistics, relative

ROUNDING = 1e-5  # by which a resized image may leave [0, 1]


class Classes(NamedTuple):
    """{value: class id, or `None` for void}, and a name for each class id."""

    ids: dict
    names: tuple[str, ...]

    @classmethod
    def of_ids(cls, num_classes, ignore_class, names=None):
        names = names or [f"class {i}" for i in range(num_classes)]
        void = {} if ignore_class is None else {ignore_class: None}
        return cls({**{i: i for i in range(num_classes)}, **void}, tuple(names))

    @property
    def allowed(self):
        """The values there may be, in words."""
        void = [value for value, class_id in self.ids.items() if class_id is None]
        classes = [value for value in self.ids if value not in void]
        return spoken(classes) + (f", and {spoken(void)} for void" if void else "")


class Doctor:
    """Sees one picture after another, keeps little of each, and writes down what is wrong.

    Attributes:
        findings: Every `Finding` so far.
        splits: {split: `Statistics`}; the classes are counted when `judge` is told what they are.
        values: {split: {value in its label maps: pixels}}.
        maps: {(values, whether edges are soft): paths of the label maps that hold just these}.
    """

    def __init__(self, root="."):
        self.root = root
        self.findings = []
        self.splits = {}
        self.values = defaultdict(Counter)
        self.maps = defaultdict(list)
        self._first = {}  # {digest: (split, path) of the first such image}

    @property
    def seen(self):
        """The values of all label maps."""
        return set().union(*self.values.values())

    def find(self, fault, message, path=None):
        self.findings.append(Finding(*fault, message, path))

    def see(self, split, paths, image=None, labels=None):
        """Takes in what was measured of a picture; `None` for what could not be read."""
        image_path, label_path = paths
        statistics = self.splits.setdefault(split, Statistics())
        statistics.pictures += 1
        if image is not None:
            statistics.sizes[image.size] += 1
            statistics.sums = statistics.sums + image.sums
            statistics.squares = statistics.squares + image.squares
            self._judge_image(split, image_path, image)
        if labels is not None:
            self.values[split].update(labels.values)
            self.maps[tuple(labels.values), labels.soft].append(label_path)
            if labels.in_floats and not any(map(is_fraction, labels.values)):
                self.find(faults.FLOAT_LABELS, "holds whole numbers stored as floats", label_path)
        if image is not None and labels is not None:
            self._judge_sizes(label_path, image, labels)

    def judge(self, classes):
        """Judges the label maps, once it is known which values are classes."""
        for (values, soft), paths in self.maps.items():
            for fault, message in faults_of_values(values, soft, classes):
                for path in paths:
                    self.find(fault, message, path)
        for split, statistics in self.splits.items():
            pixels = self.values[split]
            statistics.class_pixels = np.zeros(len(classes.names), "int64")
            for value in pixels.keys() & classes.ids.keys():
                if classes.ids[value] is None:
                    statistics.void_pixels += pixels[value]
                else:
                    statistics.class_pixels[classes.ids[value]] += pixels[value]
            if statistics.void_share > faults.MOST_VOID:
                share = f"{statistics.void_share:.1%}"
                self.find(faults.MUCH_VOID, f"{share} of the pixels of {split} are void")
        if self.maps:
            self._judge_classes(classes.names)

    def _judge_image(self, split, path, image):
        message = out_of_range(image.low.min(), image.high.max())
        if message:
            self.find(faults.OUTSIDE_UNIT, message, path)
        if (image.low == image.high).all():
            colour = ", ".join(f"{value:.3g}" for value in image.low)
            self.find(faults.CONSTANT, f"every pixel is ({colour})", path)
        first_split, first_path = self._first.setdefault(image.digest, (split, path))
        if first_split != split:
            first = relative(first_path, self.root)
            self.find(faults.TWO_SPLITS, f"in {split}, equals {first} in {first_split}", path)

    def _judge_sizes(self, path, image, labels):
        if labels.size not in ((), image.size):
            (height, width), (image_height, image_width) = labels.size, image.size
            message = (
                f"is {height}x{width} (height x width), its image {image_height}x{image_width}"
            )
            self.find(faults.SIZES, message, path)

    def _judge_classes(self, names):
        total = sum(statistics.class_pixels for statistics in self.splits.values())
        train = self.splits["train"].class_pixels if "train" in self.splits else total
        for i, name in enumerate(names):
            if not total[i]:
                self.find(faults.NEVER, f"{name}, id {i}: no pixel in any mask")
            elif not train[i]:
                self.find(faults.NEVER, f"{name}, id {i}: no pixel in train, only in other splits")


def out_of_range(low, high):
    """What is wrong with image values from `low` to `high`, in words; `None` if nothing is."""
    if not np.isfinite([low, high]).all():
        return "holds NaN or infinite values"
    if low < -ROUNDING or high > 1 + ROUNDING:
        return f"holds values from {low:.4g} to {high:.4g}"
    return None


def faults_of_values(values, soft, classes):
    """[(fault, message)] of label maps that hold just these values, perhaps with soft edges."""
    fractions = [value for value in values if is_fraction(value)]
    outside = [value for value in values if value not in classes.ids] if classes.names else []
    beyond = f", outside the classes ({classes.allowed})" if outside else ""
    if fractions:
        scaled = all(abs((255 * value + 0.5) % 1 - 0.5) < 1e-3 for value in fractions)
        fault = faults.DIVIDED if scaled and max(values) <= 1 else faults.INTERPOLATED
        return [(fault, f"holds fractions of ids, {spoken(fractions)}{beyond}")]
    if outside and soft:
        return [(faults.INTERPOLATED, f"holds {spoken(outside)} along its edges{beyond}")]
    if outside:
        return [(faults.OUTSIDE, f"holds {spoken(outside)}{beyond}")]
    if soft:
        words = "most of its edges pass through the values in between"
        return [(faults.SOFT if classes.names else faults.INTERPOLATED, words)]
    return []


def is_fraction(value):
    return isinstance(value, float) and value % 1 != 0  # NaN is one


def spoken(values):
    """Values in words: the ends of a range without gaps, or the first ones and how many more."""
    values = sorted(values, key=lambda value: value if isinstance(value, tuple) else (value,) * 3)
    if len(values) > 2 and values == list(range(len(values))):
        return f"{values[0]} to {values[-1]}"
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    if len(words) > 6:
        words = [*words[:5], f"{len(words) - 5} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
