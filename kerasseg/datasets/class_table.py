"""The table of a folder's classes: `classes.txt`, `colours.json`, or the argument `colours`."""

import json
import re

import numpy as np

from kerasseg.datasets.masks import MOST_CLASSES, is_void

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
NUMBERS = rf"{NUMBER}(?:[\s,;]+{NUMBER})*"
BEFORE = re.compile(rf"^[\s(\[]*({NUMBERS})[\s,;:.)\]]+(\D.*)$")
BEHIND = re.compile(rf"^(.*?[^\s,;:=(\[])[\s,;:=(\[]+({NUMBERS})[\s,;)\]]*$")
HEX = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})\b", re.IGNORECASE)
COMMENT = re.compile(r"\s#.*")
CVAT = re.compile(r"^([^#].*?):(\d{1,9},\d{1,9},\d{1,9}):.*:.*$")
HEADER = {"r", "g", "b", "red", "green", "blue", "id", "index"}
NAMES = {"name", "class", "label"}


def told_classes(path, colours):
    """{"class_names", "colours"} of the table that goes first, `None` if there is none."""
    text_file, json_file = path / "classes.txt", path / "colours.json"
    if colours is not None:
        rows = colours.items() if hasattr(colours, "items") else colours
        return checked("`colours`", list(rows) if np.iterable(rows) else rows)
    listed = checked(text_file, read_classes(text_file)) if is_there(text_file) else None
    coloured = checked(json_file, read_colours(json_file)) if is_there(json_file) else None
    if listed and coloured:
        if set(listed["class_names"]) != set(coloured["class_names"]):
            raise ValueError(
                f"{text_file} and {json_file} name different classes. Received: "
                f"{listed['class_names']} and {coloured['class_names']}"
            )
        by_name = dict(zip(*coloured.values()))
        return {**listed, "colours": tuple(by_name[name] for name in listed["class_names"])}
    return listed or coloured


def is_there(path):
    """Whether there is a table to read.

    Raises:
        ValueError: a folder, or a pipe, which would be waited for.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} must be a regular file: a list of the classes. Remove it.")
    return path.is_file()


def read_classes(path):
    """[(name, colour or `None`)] of a text file, one class a line.

    Lists of other tools are read as those tools mean them: lines that begin with `#` and a header
    (`name,r,g,b`) hold no class, CVAT writes `name:r,g,b::`, and `__ignore__` at the top of
    labelme's list has no id, so that the next line is id 0. Colours may stand before or behind the
    name, in brackets, between commas or semicolons, or as `#rrggbb`.

    Raises:
        ValueError: ids beside the names, as only the order of the lines gives the ids; four numbers
            behind each name; an empty line.
    """
    rows, behind = [], []
    lines = read_text(path).rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        if line.lstrip().startswith("#") or (number == 1 and is_no_class(line)):
            continue
        if not line.strip():
            raise ValueError(f"{path}, line {number} is empty: expected a class name.")
        name, before, numbers = parted(line)
        colour, inside = None, numbers
        if len(numbers) >= 3:
            colour, inside = numbers[-3:], numbers[:-3]
        elif len(before) == 3:
            colour, before = before, []
        if before:
            raise ids_beside(f"{path}, line {number}", line)
        behind.append((name, numbers))
        name = " ".join([name, *inside]) if colour else COMMENT.sub("", line)
        rows.append((" ".join(name.split()), colour and tuple(map(as_number, colour))))
    if not rows:
        raise ValueError(f"{path} names no class: expected a name on each line. Received: {lines}")
    different = len({name for name, _ in behind}) == len(rows)
    if different and all(len(numbers) > 3 for _, numbers in behind):
        raise ValueError(
            f"{path}: expected three numbers behind each name, red, green and blue. Received: "
            f"{lines[-1]!r}"
        )
    if different and len(rows) > 1 and all(len(numbers) == 1 for _, numbers in behind):
        raise ids_beside(path, lines[-1])
    return rows


def is_no_class(line):
    """Whether a first line is a header, or labelme's class without an id."""
    words = re.split(r"[\s,;]+", line.strip().lower())
    header = HEADER.intersection(words) and HEADER.union(NAMES).issuperset(words)
    any_name = len(words) == 4 and HEADER.issuperset(words[1:])
    return bool(words == ["__ignore__"] or (header and len(words) > 1) or any_name)


def parted(line):
    """`(name, numbers before it, numbers behind it)` of a line, in its own words.

    Example:

    >>> parted("lane 4; 128; 64; 0  # a comment"), parted("(128, 64, 0) lane")
    (('lane', [], ['4', '128', '64', '0']), ('lane', ['128', '64', '0'], []))
    """
    numbers = [], []
    cvat = CVAT.match(line)
    line = " ".join(cvat.groups()) if cvat else line
    line = HEX.sub(lambda found: " ".join(str(int(part, 16)) for part in found.groups()), line)
    line = COMMENT.sub("", line)
    for place, pattern, of_name in ((1, BEHIND, 1), (0, BEFORE, 2)):
        found = pattern.match(line)
        if found:
            numbers[place].extend(re.split(r"[\s,;]+", found[3 - of_name]))
            line = found[of_name]
    if re.fullmatch(rf"\s*{NUMBER}\s*", line):  # an id in place of a name
        numbers[0].append(line.strip())
    return line.strip(), *numbers


def as_number(word):
    return int(word) if re.fullmatch(r"[+-]?\d{1,9}", word) else float(word)


def ids_beside(where, line):
    return ValueError(
        f"{where}: expected a name, without a number before it or behind it, as the order of the "
        f'lines gives the ids, or a name and its colour, "road 128 64 128". Received: {line!r}'
    )


def read_colours(path):
    """[(name, colour)] of a JSON file, {name: [red, green, blue]}."""
    try:
        return json.loads(read_text(path), object_pairs_hook=list, parse_int=as_number)
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
        pairs = ((name.strip(), None if c is None else tuple(c)) for name, c in rows)
        names, colours = zip(*pairs)
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            f'{where}: expected {{"road": [128, 64, 128], ...}}. Received: {rows}'
        ) from None
    for values in (names, [colour for colour in colours if colour is not None]):
        twice = [value for value in values if list(values).count(value) > 1]
        if twice:
            raise ValueError(f"{where} holds {twice[0]!r} twice. Expected one row a class.")
    if "" in names:
        raise ValueError(f"{where} holds an empty name. Expected a name for each class.")
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
    """Whether it holds three whole numbers from 0 to 255."""
    try:
        return len(bytes(colour)) == 3 and bool not in map(type, colour)
    except (TypeError, ValueError):  # not whole, or too large
        return False
