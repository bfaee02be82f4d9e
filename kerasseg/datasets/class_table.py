"""The table of a folder's classes: `classes.txt`, `colours.json`, or the argument `colours`."""

import json
import re
from numbers import Integral

from kerasseg.datasets.masks import MOST_CLASSES, is_void

COLOUR = re.compile(r"^[0-9]{1,9}$")
HEADER = {"r", "g", "b", "red", "green", "blue"}
CVAT = re.compile(r"^(?P<name>[^#].*?):(?P<colour>\d{1,9},\d{1,9},\d{1,9}):.*:.*$")


def told_classes(path, colours):
    """{"class_names", "colours"} of the table that goes first, `None` if there is none."""
    text_file, json_file = path / "classes.txt", path / "colours.json"
    if colours is not None:
        return checked("`colours`", list(colours.items() if hasattr(colours, "items") else colours))
    listed = checked(text_file, read_classes(text_file)) if text_file.is_file() else None
    coloured = checked(json_file, read_colours(json_file)) if json_file.is_file() else None
    if listed and coloured:
        if set(listed["class_names"]) != set(coloured["class_names"]):
            raise ValueError(
                f"{text_file} and {json_file} name different classes. Received: "
                f"{listed['class_names']} and {coloured['class_names']}"
            )
        by_name = dict(zip(*coloured.values()))
        return {**listed, "colours": tuple(by_name[name] for name in listed["class_names"])}
    return listed or coloured


def read_classes(path):
    """[(name, colour or `None`)] of a text file, one class a line.

    Lists of other tools are read as those tools mean them: lines that begin with `#` and a header
    (`name,r,g,b`) hold no class, CVAT writes `name:r,g,b::`, and `__ignore__` at the top of
    labelme's list has no id, so that the next line is id 0.
    """
    rows = []
    lines = read_text(path).rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        cvat = CVAT.match(line)
        words = line.replace(",", " ").split()
        if cvat:
            words = [*cvat["name"].split(), *cvat["colour"].split(",")]
        if line.lstrip().startswith("#") or (number == 1 and line.strip() == "__ignore__"):
            continue
        if number == 1 and len(words) == 4 and {word.lower() for word in words[1:]} < HEADER:
            continue
        if not words:
            raise ValueError(f"{path}, line {number} is empty: expected a class name.")
        name, colour = words, None
        for before, after in ((words[:-3], words[-3:]), (words[3:], words[:3])):
            if before and all(map(COLOUR.match, after)):
                name, colour = before, tuple(map(int, after))
                break
        if name[0].rstrip(":;.").isdecimal():
            raise ValueError(
                f"{path}, line {number}: expected a name, without a number before it, as the order "
                f'of the lines gives the ids, or a name and its colour, "road 128 64 128". '
                f"Received: {line!r}"
            )
        rows.append((" ".join(name if colour else line.split()), colour))
    if not rows:
        raise ValueError(f"{path} names no class: expected a name on each line. Received: {lines}")
    return rows


def read_colours(path):
    """[(name, colour)] of a JSON file, {name: [red, green, blue]}."""
    try:
        return json.loads(read_text(path), object_pairs_hook=list)
    except (RecursionError, ValueError) as error:  # a number of thousands of digits, too
        raise ValueError(f"{path} is no JSON: {error}") from error


def read_text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8: {error}. Save it as UTF-8.") from error


def checked(where, rows):
    """The rows, (name, colour), of a table of classes, if they make one."""
    try:
        names, colours = zip(*((name.strip(), colour and tuple(colour)) for name, colour in rows))
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f'{where}: expected {{"road": [128, 64, 128], ...}}. Received: {rows}'
        ) from None
    for values in (names, [colour for colour in colours if colour is not None]):
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise ValueError(f"{where} holds {twice[0]!r} twice. Expected one row a class.")
    if all(map(is_void, names)) or len(names) > MOST_CLASSES:
        raise ValueError(
            f"{where}: expected 1 to {MOST_CLASSES} names, not all void. Received: {names}"
        )
    if all(colour is None for colour in colours):
        return {"class_names": names, "colours": None}
    for name, colour in zip(names, colours):
        if not is_colour(colour):
            raise ValueError(
                f"{where}: expected a colour of three whole numbers, 0 to 255, for every class. "
                f"Received: {name!r}: {colour}"
            )
    return {"class_names": names, "colours": tuple(tuple(map(int, c)) for c in colours)}


def is_colour(colour):
    return (
        colour is not None
        and len(colour) == 3
        and all(isinstance(part, Integral) and 0 <= part <= 255 for part in colour)
    )
