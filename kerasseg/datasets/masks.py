"""What the values in masks mean: class ids, 0 and 255, or colours."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from kerasseg.datasets import faults
from kerasseg.datasets.faults import Unusable
from kerasseg.datasets.values import (
    as_value,
    count_values,
    in_order,
    listed,
    numbers_of,
    rgb,
    spoken,
)

VOID = 255
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
BINARY = "background", "foreground"  # the classes of 0 and 255, where no names are told
MOST_CLASSES = 254
IN_BETWEEN = (
    "In-between values come from JPEG or from smooth resizing: save masks as PNG and resize them "
    "by nearest neighbour."
)
OUTSIDE = 254  # in a table of class ids: no class
GREY = 0x010101  # times a grey value: the number of its colour


@dataclass(frozen=True, eq=False)
class Masks:
    """How the values of a set's masks become class ids.

    Attributes:
        kind: "ids", "ids from 1", "binary 0/255" or "colours".
        ids: {value in the files: class id, or `None` for void}.
        class_names: One name a class id; void has none.
        colours: uint8 array (classes, 3), to draw the classes with.
    """

    kind: str
    ids: dict
    class_names: tuple[str, ...]
    colours: np.ndarray | None = None
    ignore_class: int = VOID

    @classmethod
    def of_ids(cls, num_classes, ignore_class=VOID, names=None):
        """Ids 0 to `num_classes - 1`, and perhaps a void id."""
        names = names or [f"class {i}" for i in range(num_classes)]
        void = {} if ignore_class is None else {ignore_class: None}
        return cls("ids", {**{i: i for i in range(num_classes)}, **void}, tuple(names))

    @property
    def num_classes(self):
        return len(self.class_names)

    def to_ids(self, raw, path="The mask"):
        """The class ids, uint8 (height, width), of a mask as `files.read_mask` gives it.

        Raises:
            Unusable: a value outside the classes, with `path`, the value and the allowed ones.
        """
        ids = self.table[::GREY][raw] if raw.ndim == 2 else self.table[numbers_of(raw)]
        if (ids == OUTSIDE).any():
            raise Unusable(self.outside(count_values(raw), path))
        return ids

    @cached_property
    def table(self):
        """The class id of every colour, by its number; 255 for void."""
        table = np.full(2**24, OUTSIDE, "uint8")
        for value, class_id in self.ids.items():
            number = int(numbers_of(np.array(rgb(value))))
            table[number] = VOID if class_id is None else class_id
        return table

    def count(self, values):
        """`(class pixels, void pixels)` of a Counter {value: pixels}: int64 (classes,), int."""
        pixels, void = np.zeros(self.num_classes, "int64"), 0
        for value in values.keys() & self.ids.keys():
            if self.ids[value] is None:
                void += values[value]
            else:
                pixels[self.ids[value]] += values[value]
        return pixels, void

    def outside(self, values, path, soft=False):
        """The `Finding` about values of a mask that are no class; `None` if all are one."""
        outside = in_order(value for value in values if value not in self.ids)
        if not outside:
            return None
        what, shown = "id", outside
        if self.kind == "colours" or any(isinstance(value, tuple) for value in outside):
            what, shown = "colour", list(map(rgb, outside))
        many, where = len(outside) > 1, " along its edges" if soft else ""
        words = (
            f"holds the label {what}{'s' * many} {spoken(shown)}{where}, "
            f"which {'are' if many else 'is'} outside the classes. Allowed {self.allowed()}"
        )
        if soft:
            remedy = faults.THRESHOLD if self.kind.startswith("binary") else None
            return faults.INTERPOLATED.found(path, words, remedy)
        remedy = faults.OUTSIDE.remedy
        if 0 not in self.ids:
            remedy = remedy.partition(":")[0] + ": one name for each of these ids."
        if len(outside) > 6:
            remedy += f" {IN_BETWEEN}"
        return faults.OUTSIDE.found(path, words, remedy)

    def allowed(self):
        """The values that there may be, in words."""
        if self.kind == "colours":
            names = {**dict(enumerate(self.class_names)), None: "void"}
            return "colours: " + listed(f"{rgb(v)} {names[i]}" for v, i in self.ids.items())
        void = [value for value, class_id in self.ids.items() if class_id is None]
        classes = [value for value in self.ids if value not in void]
        return f"ids: {spoken(classes)}" + (f", and {spoken(void, 'or')} for void" if void else "")


def findings_of_values(labels, path, masks=None):
    """The findings about the values of one mask.

    Args:
        labels: Its `LabelMeasures`.
        masks: What the values mean; `None` where nothing tells it.
    """
    if labels.fractions:
        fractions = labels.fractions
        scaled = all(abs((255 * value + 0.5) % 1 - 0.5) < 1e-3 for value in fractions)
        fault = faults.DIVIDED if scaled and max(labels.values) <= 1 else faults.INTERPOLATED
        beyond = f", outside the classes. Allowed {masks.allowed()}" if masks else ""
        return [fault.found(path, f"holds fractions of ids, {spoken(fractions)}{beyond}")]
    outside = masks and masks.outside(labels.values, path, labels.soft)
    if outside:
        return [outside]
    if labels.soft:
        fault = faults.SOFT if masks else faults.INTERPOLATED
        return [fault.found(path, "has most of its edges pass through the values in between")]
    return []


def recognise(folder, maps):
    """What the masks of a folder hold, from the values in each of them.

    Where the folder's classes are told, the reading that explains most masks is taken. Else the
    values must be ids without a gap, 0, 1, 2, ... or 1, 2, 3, ... (and 255 for void), or 0 and 255,
    background and foreground. A few masks may hold other values: `findings_of_values` names them.

    Args:
        folder: A `Folder`; its `path`, `masks`, `class_names` and `colours` count.
        maps: {path of a mask: its values, a Counter of pixels}, one mask at least.

    Returns:
        The `Masks`.

    Raises:
        Unusable: values that mean nothing, or can mean more than one thing; it shows them.
    """
    if folder.masks is not None:
        return folder.masks
    values = set().union(*maps.values())
    coloured = [held for held in maps.values() if any(isinstance(value, tuple) for value in held)]
    if folder.colours is None and 2 * len(coloured) >= len(maps):
        raise Unusable(unexplained_colours(folder, maps), folder.path)
    names = folder.class_names or names_by_values(maps)
    if names is None:
        raise Unusable(unexplained(folder, maps), folder.path)
    colours = folder.colours or voc_colours(len(names))
    readings = [reading("ids", range(len(names)), names, colours)]
    last = sum(len(names) in held for held in maps.values())
    if 0 not in values and (2 * last > len(maps) or folder.class_names is None):
        readings[0] = reading("ids from 1", range(1, len(names) + 1), names, colours)
    two_names = folder.class_names or BINARY
    if len(two_names) == 2 and not any(map(is_void, two_names)) and {0, VOID} <= values:
        readings.insert(0, reading("binary 0/255", (0, 255), two_names, colours))
    if folder.colours is not None:
        readings.insert(0, reading("colours", map(as_value, colours), names, colours))
    best = most_fitting(readings, maps, folder)
    if best.kind == "ids" and values | {0} == {0, VOID} and VOID in best.ids:
        words = (
            f"255 in the masks can be void or a foreground. Found: {spoken(values)}. "
            f"Received: class_names={names}"
        )
        remedy = (
            "Masks of 0 and 255 need two class names; others hold more than void and one class."
        )
        raise Unusable(faults.UNKNOWN.found(None, words, remedy), folder.path)
    return best


def unexplained_colours(folder, maps):
    values = in_order(set().union(*maps.values()))
    one_hot = any(set(values) <= {(n, 0, 0), (0, n, 0), (0, 0, n)} for n in (1, 255))
    if one_hot:
        words = "the masks hold one channel for each of three classes"
        remedy = (
            "Save ids: `Image.fromarray(np.asarray(Image.open(path)).argmax(-1).astype('uint8'))`."
        )
        return faults.ONE_HOT.found(None, words, remedy)
    words = (
        "the masks hold colours, and nothing says which class each one is. "
        f"Found: {spoken(map(rgb, values))}. {look_first(maps)}"
    )
    remedy = (
        f"Write `name red green blue` on each line of {folder.path}/classes.txt, in the order of "
        f"the ids. {IN_BETWEEN}"
    )
    return faults.UNKNOWN.found(None, words, remedy)


def unexplained(folder, maps):
    values = set().union(*maps.values())
    if 2 * sum(map(near_binary, maps.values())) > len(maps):
        words = f"the masks hold 0 and 255 with values in between. Found: {spoken(values)}"
        return faults.INTERPOLATED.found(None, words, faults.THRESHOLD)
    words = (
        "the values of the masks are neither ids without a gap (0, 1, 2, ... or 1, 2, 3, ..., and "
        f"255 for void) nor 0 and 255. Found: {spoken(values)}. {look_first(maps)}"
    )
    remedy = (
        f"If some classes never occur, name all classes in {folder.path}/classes.txt, one a line "
        "in the order of the ids. If every value is a class of its own, write its colour behind "
        f"the name, `road 50 50 50`. {IN_BETWEEN}"
    )
    return faults.UNKNOWN.found(None, words, remedy)


def look_first(maps):
    """The mask with the rarest value; of several such masks, that of most values."""
    counts = Counter(chain.from_iterable(maps.values()))
    odd = max(maps, key=lambda path: (-min(map(counts.get, maps[path])), len(maps[path])))
    return f"Look first at {odd}, which holds {spoken(maps[odd])}"


def near_binary(values, lossy=False):
    """Whether the values of a mask, {value: pixels}, are 0 and 255 blurred by JPEG or resizing.

    What lies in between is spread over many values, as edges are thin: a class would stand out.
    """
    grey = {value: count for value, count in values.items() if not isinstance(value, tuple)}
    total = sum(values.values())
    ends = [sum(n for v, n in grey.items() if a <= v <= b) for a, b in ((0, 40), (215, 255))]
    between = lossy or any(40 < value < 215 for value in grey)
    a_class = max((n for v, n in grey.items() if 3 < v < 252), default=0) > 0.05 * total
    return between and not a_class and min(ends) > 0 and sum(ends) > 0.7 * total


def most_fitting(readings, maps, folder):
    """The reading that most masks ask for; `Unusable` where others contradict it.

    A mask asks for the first reading that explains all its values, unless several fit equally: 0
    and 255 ask for a foreground, 0 and 1 for ids, 0 alone for nothing. Where 255 stands beside ids
    in one mask, it is void in masks of 0 and 255 too.
    """
    votes = {masks: [] for masks in readings}
    for path, held in maps.items():
        fitting = [masks for masks in readings if held.keys() <= masks.ids.keys()]
        if fitting and len({tuple(map(masks.ids.get, held)) for masks in readings}) > 1:
            votes[fitting[0]].append(path)
    values = set().union(*maps.values())
    best = max(readings, key=lambda masks: (len(votes[masks]), len(values & masks.ids.keys())))
    settled = set().union(*(maps[path] for path in votes[best]))
    for other in readings:
        for path in votes[other]:
            held = in_order(maps[path])
            doubtful = [v for v in held if best.ids.get(v, OUTSIDE) != other.ids[v]]
            if maps[path].keys() <= best.ids.keys() and not settled.issuperset(doubtful):
                words = (
                    f"the masks can be read in two ways. {votes[best][0]} holds "
                    f"{spoken(maps[votes[best][0]])}, which are {best.kind}; {path} holds "
                    f"{spoken(held)}, which are {other.kind}, or {spoken(doubtful)} is void"
                )
                remedy = (
                    "Save all masks alike; or, if it is void, name the classes and void after them "
                    f"in {folder.path}/classes.txt."
                )
                raise Unusable(faults.UNKNOWN.found(None, words, remedy), folder.path)
    return best


def names_by_values(maps):
    """Names for the classes of ids without a gap or of 0 and 255; `None` for other values.

    Masks with values that few masks hold do not count, so long as most masks are left.
    """
    counts = Counter(chain.from_iterable(maps.values()))
    for few in (0, *sorted(set(counts.values()))):
        common = [held for held in maps.values() if min(map(counts.get, held)) > few]
        if 2 * len(common) <= len(maps):
            break
        values = set().union(*common)
        ids = values - {VOID}
        if values == {0, VOID}:
            return BINARY
        for first in (0, 1):
            if 2 <= len(ids) <= MOST_CLASSES and ids == set(range(first, first + len(ids))):
                return tuple(f"class {i}" for i in sorted(map(int, ids)))
    return None


def reading(kind, values, names, colours):
    """The `Masks` in which `values[i]` is the class `names[i]`, numbered past void ones."""
    ids, classes = {}, []
    for value, name, colour in zip(values, names, colours):
        ids[value] = None if is_void(name) else len(classes)
        if not is_void(name):
            classes.append((name, colour))
    if kind.startswith("ids"):
        ids[VOID] = None
    class_names, colours = zip(*classes)
    return Masks(kind, ids, class_names, np.array(colours, "uint8"))


def is_void(name):
    return name.strip(" _").lower() in VOID_NAMES


def check_palettes(folder, palettes):
    """Raises `Unusable` where palette images show that their indices are no class ids.

    Tools that save colours as a palette number them as they come: then an index has one colour in
    one mask and another in the next, or the colour of another class of the table. Palettes whose
    colours are all in the table are not checked here: `files.by_colours` reads them.

    Args:
        palettes: {path of a mask: {index: (red, green, blue)}}.
    """
    names = dict(zip(folder.colours or (), folder.class_names or ()))
    places = {colour: i for i, colour in enumerate(names)}
    seen = {}
    for path, palette in palettes.items():
        for index, colour in palette.items():
            first, first_path = seen.setdefault(index, (colour, path))
            reason = ""
            if first != colour:
                reason = f"and {first} in {first_path}"
            elif places.get(colour, index) != index and index != VOID:
                reason = f"the colour of {names[colour]!r}, number {places[colour]} of the table"
            if reason:
                words = (
                    f"has a palette that shows index {index} as {colour}, {reason}. Its indices "
                    "are no class ids"
                )
                remedy = (
                    f"Name all colours in {folder.path}/classes.txt, `name red green blue` a line, "
                    "in the order of the ids: then the colours count, not the indices."
                )
                raise Unusable(faults.UNKNOWN.found(path, words, remedy))


def voc_colours(count):
    """[(red, green, blue)]: PASCAL VOC's colour map, distinct up to 256 and black at 0.

    The bits of the id are dealt to red, green and blue in turn, the lowest to the highest bits.
    """

    def channel(i, shift):
        return sum((i >> (3 * bit + shift) & 1) << (7 - bit) for bit in range(8))

    return [tuple(channel(i, shift) for shift in range(3)) for i in range(count)]
