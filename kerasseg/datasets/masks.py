"""What the values in masks mean: class ids, 0 and 255, or colours.

A value is a grey one, 0 to 255, or a colour that is not grey, (red, green, blue).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

VOID = 255
VOID_NAMES = ("void", "ignore", "ignored", "unlabelled", "unlabeled")
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


def recognise(folder, values):
    """What the masks of a folder hold, from all the values in them.

    Where the folder's classes are told, the reading that explains most of the values is taken;
    what it leaves unexplained is for `Masks.fault` to name. Else the values must be ids without
    a gap, 0, 1, 2, ... (and 255 for void), or 0 and 255, background and foreground.

    Args:
        folder: A `Folder`; its `path`, `masks`, `class_names` and `colours` count.
        values: Every value of every mask, as `distinct` gives them.

    Returns:
        The `Masks`.

    Raises:
        ValueError: values that mean nothing, or can mean more than one thing; it shows them.
    """
    if folder.masks is not None:
        return folder.masks
    values = {plain(value) for value in values}
    found = f"Found: {shown(in_order(values))}."
    if folder.colours is None and any(isinstance(value, tuple) for value in values):
        raise ValueError(
            f"{folder.path}: the masks hold colours, and nothing says which class each one is. "
            f'{found} Pass `colours`, {{"road": (128, 64, 128), ...}} in the order of the ids, or '
            f"save the same as {folder.path}/colours.json. {IN_BETWEEN}"
        )
    names = folder.class_names or names_by_values(values)
    if names is None:
        raise ValueError(
            f"{folder.path}: the values of the masks are neither ids without a gap (0, 1, 2, ..., "
            f"and 255 for void) nor 0 and 255. {found} If some classes never occur, name all "
            f"classes in {folder.path}/classes.txt, one a line in the order of the ids. If every "
            f'value is a class of its own, pass `colours`, {{"road": (50, 50, 50), ...}}. '
            f"{IN_BETWEEN}"
        )
    classes = [name for name in names if not is_void(name)]
    colours = folder.colours or voc_colours(len(names))
    readings = [reading("ids", range(len(names)), names, colours)]
    if len(classes) == len(names) == 2 and values == {0, 255}:
        readings = [reading("binary 0/255", (0, 255), names, colours)]
    if folder.colours is not None:
        readings.insert(0, reading("colours", map(plain, colours), names, colours))
    best = max(readings, key=lambda masks: len(values & masks.ids.keys()))
    if best.kind == "ids" and values | {0} == {0, VOID} and VOID in best.ids:
        raise ValueError(
            f"{folder.path}: 255 in the masks can be void or a foreground. {found} Masks of 0 and "
            "255 need two class names, others hold more than void and one class. "
            f"Received: class_names={names}"
        )
    return best


def names_by_values(values):
    """Names for the classes of ids without a gap or of 0 and 255; `None` for other values."""
    ids = values - {VOID}
    if values == {0, 255}:
        return "background", "foreground"
    if 2 <= len(ids) <= MOST_CLASSES and ids == set(range(len(ids))):
        return tuple(f"class {i}" for i in range(len(ids)))
    return None


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
    in one mask and another in the next, or the colour of another class of the table.

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
