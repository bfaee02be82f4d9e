"""The lists of class names that come with annotations."""

from kerasseg.datasets.class_table import read_classes, told_classes

LISTS = ("labels.txt", "class_names.txt", "classes.txt", "obj.names", "labelmap.txt")


def listed_names(folder):
    """The names of the classes in a folder's list, in its order; `None` if there is no list.

    Raises:
        ValueError: two lists, or one that is damaged.
    """
    table = listed_table(folder)
    return None if table is None else tuple(name for name, _ in table)


def listed_table(folder):
    """[(name, (red, green, blue) or `None`)] of a folder's list; `None` if there is none."""
    there = [folder / name for name in LISTS if (folder / name).is_file()]
    if len(there) > 1:
        names = [path.name for path in there]
        raise ValueError(f"{folder} holds two lists of classes. Leave one. Received: {names}")
    return read_classes(there[0]) if there else None


def given_names(path):
    """The names in a file that the user names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a list of classes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no list of classes {path}. Expected a text file.")
    return tuple(name for name, _ in read_classes(path))


def write_names(path, names, colours):
    """Writes `classes.txt` so that it is read as these names, with colours if they need them.

    Raises:
        ValueError: names that no list can hold.
    """
    plain = [*names]
    coloured = ["{} {} {} {}".format(name, *colour) for name, colour in zip(names, colours)]
    for lines in (plain, coloured):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            read = told_classes(path.parent, None)["class_names"]
        except ValueError as error:
            reason = str(error).replace(f"{path}", path.name)
        else:
            if read == tuple(names):
                return
            reason = f"they would be read as {list(read)}"
    raise ValueError(f"Rename the classes: classes.txt cannot hold these names ({reason})")
