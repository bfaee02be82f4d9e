"""What the values in masks mean: class ids, 0 and 255, or colours.

A value is a grey one, 0 to 255, or a colour that is not grey, (red, green, blue).
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from PIL import Image

VOID = 255
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
BINARY = "background", "foreground"  # the classes of 0 and 255, where no names are told
MOST_CLASSES = 254
OUTSIDE = 254  # in a table of class ids: no class
GREY = 0x010101  # times a grey value: the number of its colour
MOST_VALUES = 1024  # of one mask; more than any table holds, so the rest would tell nothing new
IN_BETWEEN = (
    "In-between values come from JPEG or from smooth resizing: save masks as PNG and resize them "
    "by nearest neighbour."
)


@dataclass(frozen=True, eq=False)
class Masks:
    """How the values of a set's masks become class ids.

    Attributes:
        kind: "ids", "binary 0/255" or "colours".
        ids: {value in the files: class id, or 255 for void}.
        class_names: One name a class id; void has none.
        colours: uint8 array (classes, 3), to draw the classes with.
    """

    kind: str
    ids: dict
    class_names: tuple[str, ...]
    colours: np.ndarray
    ignore_class: int = VOID

    @property
    def num_classes(self):
        return len(self.class_names)

    def to_ids(self, raw, path="The mask"):
        """The class ids, uint8 (height, width), of a mask as `files.read_mask` gives it.

        Raises:
            ValueError: a value outside the classes, with `path`, the value and the allowed ones.
        """
        ids = self.table[::GREY][raw] if raw.ndim == 2 else self.table[number(raw)]
        if (ids == OUTSIDE).any():
            raise ValueError(self.fault(distinct(raw), path))
        return ids

    @cached_property
    def table(self):
        """The class id of every colour, by its number."""
        table = np.full(2**24, OUTSIDE, "uint8")
        for value, class_id in self.ids.items():
            table[number(np.array(rgb(value)))] = class_id
        return table

    def fault(self, values, path="The mask"):
        """What is wrong with the values of one mask, in words; `None` if nothing is."""
        outside = in_order(value for value in values if value not in self.ids)
        if not outside:
            return None
        what, show = "id", str
        if self.kind == "colours" or isinstance(outside[0], tuple):
            what, show = "colour", rgb
        return (
            f"{path} holds the label {what} {show(outside[0])}, which is outside the classes. "
            f"Allowed {self.allowed()}. "
            f"Received: {what}s=[{shown(map(show, in_order(values)))}]. "
            f"Mend the mask, or the table of classes. {IN_BETWEEN}"
        )

    def allowed(self):
        if self.kind == "colours":
            names = {**dict(enumerate(self.class_names)), VOID: "void"}
            return f"colours: {shown(f'{rgb(value)} {names[i]}' for value, i in self.ids.items())}"
        void = [str(value) for value, class_id in self.ids.items() if class_id == VOID]
        classes = [value for value, class_id in self.ids.items() if class_id != VOID]
        return f"ids: {span(classes)}" + (f", and {' or '.join(void)} for void" if void else "")


def recognise(folder, maps, tolerant=False):
    """What the masks of a folder hold, from the values in each of them.

    Where the folder's classes are told, the reading that explains most masks is taken; what it
    leaves unexplained is for `Masks.fault` to name. Else the values must be ids without a gap, 0,
    1, 2, ... (and 255 for void), or 0 and 255, background and foreground.

    Args:
        folder: A `Folder`; its `path`, `masks`, `class_names` and `colours` count.
        maps: {path of a mask: its values, as `distinct` gives them}, one mask at least.
        tolerant: Whether, where no classes are told, a few masks may hold other values, which
            then are for `Masks.fault` to name, too.

    Returns:
        The `Masks`.

    Raises:
        ValueError: values that mean nothing, or can mean more than one thing; it shows them.
    """
    if folder.masks is not None:
        return folder.masks
    maps = {path: set(map(plain, values)) for path, values in maps.items()}
    values = set().union(*maps.values())
    odd = oddest(maps)
    found = f"Found: {shown(in_order(values))}."
    look = f"Look first at {odd}, which holds {shown(in_order(maps[odd]))}."
    coloured = [held for held in maps.values() if any(isinstance(value, tuple) for value in held)]
    if folder.colours is None and 2 * len(coloured) >= len(maps):
        raise ValueError(
            f"{folder.path}: the masks hold colours, and nothing says which class each one is. "
            f"Found: {shown(map(rgb, in_order(values)))}. Write `name red green blue` on each line "
            f"of {folder.path}/classes.txt, in the order of the ids, or pass `colours`, "
            f'{{"road": (128, 64, 128), ...}}. {IN_BETWEEN} {look}'
        )
    names = folder.class_names or names_by_values(maps, tolerant)
    if names is None:
        raise ValueError(
            f"{folder.path}: the values of the masks are neither ids without a gap (0, 1, 2, ..., "
            f"and 255 for void) nor 0 and 255. {found} If some classes never occur, name all "
            f"classes in {folder.path}/classes.txt, one a line in the order of the ids. If every "
            f'value is a class of its own, pass `colours`, {{"road": (50, 50, 50), ...}}. '
            f"{IN_BETWEEN} {look}"
        )
    colours = folder.colours or voc_colours(len(names))
    readings = [reading("ids", range(len(names)), names, colours)]
    two_names = folder.class_names or BINARY
    if len(two_names) == 2 and not any(map(is_void, two_names)) and {0, VOID} <= values:
        readings.insert(0, reading("binary 0/255", (0, 255), two_names, colours))
    if folder.colours is not None:
        readings.insert(0, reading("colours", map(plain, colours), names, colours))
    best = most_fitting(readings, maps, folder)
    if best.kind == "ids" and values | {0} == {0, VOID} and VOID in best.ids:
        raise ValueError(
            f"{folder.path}: 255 in the masks can be void or a foreground. {found} Masks of 0 and "
            "255 need two class names, others hold more than void and one class. "
            f"Received: class_names={names}"
        )
    return best


def most_fitting(readings, maps, folder):
    """The reading that most masks ask for; `ValueError` where others contradict it.

    A mask asks for the first reading that explains all its values, unless it is all one to it:
    0 and 255 ask for a foreground, 0 and 1 for ids, 0 alone for nothing. Where 255 stands beside
    ids in one mask, it is void in masks of 0 and 255 too.
    """
    votes = {masks: [] for masks in readings}
    for path, held in maps.items():
        fitting = [masks for masks in readings if held <= masks.ids.keys()]
        if fitting and len({tuple(map(masks.ids.get, held)) for masks in readings}) > 1:
            votes[fitting[0]].append(path)
    values = set().union(*maps.values())
    best = max(readings, key=lambda masks: (len(votes[masks]), len(values & masks.ids.keys())))
    settled = set().union(*(maps[path] for path in votes[best]))
    for other in readings:
        for path in votes[other]:
            held = in_order(maps[path])
            doubtful = [v for v in held if best.ids.get(v, OUTSIDE) != other.ids[v]]
            if maps[path] <= best.ids.keys() and not settled.issuperset(doubtful):
                raise ValueError(
                    f"{folder.path}: the masks can be read in two ways. {votes[best][0]} holds "
                    f"{shown(in_order(maps[votes[best][0]]))}, which are {best.kind}; {path} holds "
                    f"{shown(held)}, which are {other.kind}, or {shown(doubtful)} is void. Save "
                    f"all masks alike; or, if it is void, name the classes and void after them in "
                    f"{folder.path}/classes.txt."
                )
    return best


def names_by_values(maps, tolerant):
    """Names for the classes of ids without a gap or of 0 and 255; `None` for other values.

    If `tolerant`, masks with values that few masks hold do not count, so long as most are left.
    """
    counts = Counter(chain.from_iterable(maps.values()))
    for few in (0, *sorted(set(counts.values()))) if tolerant else (0,):
        common = [held for held in maps.values() if min(map(counts.get, held)) > few]
        if 2 * len(common) <= len(maps):
            break
        values = set().union(*common)
        ids = values - {VOID}
        if values == {0, VOID}:
            return BINARY
        if 2 <= len(ids) <= MOST_CLASSES and ids == set(range(len(ids))):
            return tuple(f"class {i}" for i in range(len(ids)))
    return None


def oddest(maps):
    """The path of the mask with the rarest value; of several such masks, that of most values."""
    counts = Counter(chain.from_iterable(maps.values()))
    return max(maps, key=lambda path: (-min(map(counts.get, maps[path])), len(maps[path])))


def reading(kind, values, names, colours):
    """The `Masks` in which `values[i]` is the class `names[i]`, numbered past void ones."""
    ids, classes = {}, []
    for value, name, colour in zip(values, names, colours):
        ids[value] = VOID if is_void(name) else len(classes)
        if not is_void(name):
            classes.append((name, colour))
    if kind == "ids":
        ids[VOID] = VOID
    class_names, colours = zip(*classes)
    return Masks(kind, ids, class_names, np.array(colours, "uint8"))


def is_void(name):
    return name.strip().lower() in VOID_NAMES


def check_palettes(folder, palettes):
    """Raises `ValueError` where palette images show that their indices are no class ids.

    Tools that save colours as a palette number them as they come: then an index has one colour
    in one mask and another in the next, or the colour of another class of the table. Palettes of
    which the table has all colours are no concern of this: `files.by_colours` reads them.

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
                raise ValueError(
                    f"{path}: the palette shows index {index} as {colour}, {reason}. Its indices "
                    "are no class ids. Save the masks as RGB and pass `colours`."
                )


def voc_colours(count):
    """[(red, green, blue)]: PASCAL VOC's colour map, distinct up to 256 and black at 0.

    The bits of the id are dealt to red, green and blue in turn, the lowest to the highest bits.
    """

    def channel(i, shift):
        return sum((i >> (3 * bit + shift) & 1) << (7 - bit) for bit in range(8))

    return [tuple(channel(i, shift) for shift in range(3)) for i in range(count)]


def distinct(mask):
    """The set of the values of a mask, (height, width) or (height, width, 3); 1,024 at most."""
    picture = Image.fromarray(mask)
    counted = picture.getcolors(MOST_VALUES) or picture.getcolors(2**24)[:MOST_VALUES]
    return {plain(value) for _, value in counted}


def number(colours):
    """The number of each colour of an array (..., 3): red * 65536 + green * 256 + blue."""
    red, green, blue = np.moveaxis(colours.astype("uint32"), -1, 0)
    return red << 16 | green << 8 | blue


def plain(value):
    """A value as `Masks.ids` has it: an int for a grey one, also for a grey colour."""
    if np.ndim(value) == 0:
        return int(value)
    red, green, blue = map(int, value)
    return red if red == green == blue else (red, green, blue)


def rgb(value):
    return value if isinstance(value, tuple) else (value, value, value)


def in_order(values):
    return sorted(values, key=rgb)


def shown(values):
    """The first values in words, and how many there are."""
    values = list(values)
    words = ", ".join(map(str, values[:12]))
    return f"{words}, ... ({len(values)} in all)" if len(values) > 12 else words


def span(values):
    first, last = min(values), max(values)
    whole = len(values) > 2 and list(values) == list(range(first, last + 1))
    return f"{first} to {last}" if whole else " and ".join(map(str, values))
