"""What the label doctor returns: findings in words, the numbers of a set, and their page."""

import dataclasses
import math
import textwrap
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np

from kerasseg.tables import table
from kerasseg_command.terminal import escaped

PAGE = 100  # columns
SHOWN = 5  # findings of one kind on the page
BAR = 20  # columns of the commonest class


@dataclasses.dataclass
class Statistics:
    """Sums over the images of a split. Those of 8-bit images and of labels are integers: exact.

    Attributes:
        pictures: How many there are, unreadable ones too.
        sizes: {(height, width): images}.
        sums, squares: Of the pixels and their squares, one a channel, in units of 1/255.
        class_pixels: int64 array, the pixels of each class, or of each label; `void_pixels` those
            of none.
        labelled_pixels: The pixels that are not void; of each label, if there are several.
        mean, std: Of the pixels of images in [0, 1], one number per channel.
        class_frequencies: Share of each class in the pixels that are not void.
        void_share: Share of void in all pixels of the label maps.
    """

    pictures: int = 0
    sizes: Counter = dataclasses.field(default_factory=Counter)
    sums: np.ndarray | int = 0
    squares: np.ndarray | int = 0
    class_pixels: np.ndarray | int = 0
    labelled_pixels: np.ndarray | int = 0
    void_pixels: int = 0

    def __add__(self, other):
        pairs = zip(vars(self).values(), vars(other).values())
        return Statistics(*(mine + theirs for mine, theirs in pairs))

    @property
    def pixels(self):
        return sum(height * width * images for (height, width), images in self.sizes.items())

    @property
    def mean(self):
        return self.sums / self.pixels / 255

    @property
    def std(self):
        return np.sqrt(np.maximum(self.squares / self.pixels / 255**2 - self.mean**2, 0))

    @property
    def class_frequencies(self):
        return self.class_pixels / np.maximum(1, self.labelled_pixels)

    @property
    def void_share(self):
        return self.void_pixels / max(1, self.void_pixels + np.sum(self.labelled_pixels))


class Report:
    """What the doctor found, and the numbers of the set.

    Attributes:
        name: Of what was checked: a folder, or a word.
        findings: Every `Finding`, errors first, those of one kind together.
        splits: {split: `Statistics`}; `total` is their sum.
        class_names: One name a class id; empty where nothing says what the classes are.
        exit_code: 0 with no finding, 1 with warnings alone, 2 with errors.

    `print(report)` shows all of it; of many findings of one kind, the first five.
    """

    def __init__(self, name, findings, splits, class_names=(), layout=""):
        self.name = name
        kinds = {finding[:3]: i for i, finding in reversed([*enumerate(findings)])}
        self.findings = sorted(findings, key=lambda f: (*f[:2], kinds[f[:3]]))
        self.splits = splits
        self.class_names = tuple(class_names)
        self.layout = layout

    @property
    def total(self):
        return sum(self.splits.values(), Statistics())

    @property
    def errors(self):
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self):
        return [finding for finding in self.findings if finding.severity == "warning"]

    @property
    def exit_code(self):
        return 2 if self.errors else 1 if self.warnings else 0

    def __str__(self):
        heading = f"{escaped(self.name)}\n{escaped(self.layout)}".strip()
        parts = [heading, split_table(self), class_table(self), verdict(self)]
        return "\n\n".join(filter(None, [*parts, *described(self.findings, self.name)]))


def verdict(report):
    counts = Counter(finding.severity for finding in report.findings)
    words = [f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items()]
    return " and ".join(words) + ":" if words else "Nothing is wrong."


def split_table(report):
    """A line a split: its images, their sizes, mean and standard deviation of each channel."""
    rows = [("split", "images", "height x width", "mean of each channel", "standard deviation")]
    splits = dict(report.splits)
    if len(splits) > 1:
        splits["total"] = report.total
    for split, statistics in splits.items():
        ordered = [f"{height} x {width}" for height, width in sorted(statistics.sizes, key=np.prod)]
        extent = " to ".join(dict.fromkeys([*ordered[:1], *ordered[-1:]]))  # smallest, largest
        channels = (statistics.mean, statistics.std) if statistics.sizes else ((), ())
        numbers = [" ".join(f"{number:.4f}" for number in of_kind) for of_kind in channels]
        rows.append((split, f"{statistics.pictures:,}", extent, *numbers))
    return table(rows, right=(1,))


def class_table(report):
    """A line a class: how often it occurs, in each split and in all, the void pixels apart."""
    if not report.class_names:
        return ""
    total, splits = report.total, report.splits if len(report.splits) > 1 else {}
    rows = [("id", "class", "pixels", "share", *splits, "")]
    shares = total.class_frequencies
    for i, name in enumerate(report.class_names):
        parts = [share_words(part.class_frequencies[i]) for part in splits.values()]
        bar = "█" * math.ceil(BAR * shares[i] / max(shares.max(), 1e-9))
        rows.append((i, name, f"{total.class_pixels[i]:,}", share_words(shares[i]), *parts, bar))
    if total.void_pixels:
        parts = [share_words(part.void_share) for part in splits.values()]
        void = ("", "void", f"{total.void_pixels:,}", share_words(total.void_share), *parts)
        rows.append((*void, "of all pixels"))
    return table(rows, right=(0, *range(2, 4 + len(splits))))


def share_words(share):
    return f"{share:.2%}" if share else "-"


def described(findings, root="."):
    """A paragraph for each kind of finding: its places, the first few by name, and its remedy."""
    paragraphs = []
    for (severity, title, _), group in groupby(findings, key=lambda finding: finding[:3]):
        group = list(group)
        lines = [f"{severity.upper()}  {title}" + (f" ({len(group):,})" if len(group) > 1 else "")]
        for finding in group[:SHOWN]:
            place = "" if finding.path is None else f"{relative(finding.path, root)}: "
            lines += wrapped(escaped(place + finding.message))
        if len(group) > SHOWN:
            lines += wrapped(f"... and {len(group) - SHOWN:,} more; `report.findings` has them all")
        lines += wrapped(f"Remedy: {group[0].remedy}")
        paragraphs.append("\n".join(lines))
    return paragraphs


def relative(path, root):
    """A path as seen from `root`, if it lies below."""
    if isinstance(path, Path) and path.is_relative_to(root):
        return path.relative_to(root)
    return path


def wrapped(text):
    return textwrap.wrap(
        text,
        PAGE,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
