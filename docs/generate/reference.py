"""The reference: a page for every public object, and one for every package with its objects."""

import functools
import importlib
import inspect
import json
import pkgutil
import re
from typing import NamedTuple

import kerasseg
from generate.repository import CHAPTERS

HIDDEN = {
    "kerasseg.anatomy.keras_internals",  # what Keras does not promise
    *(
        f"kerasseg.layers.{backend}" for backend in ("jax", "tensorflow", "torch")
    ),  # need not be there
}


class Entry(NamedTuple):
    """A public object.

    Attributes:
        name: Its name alone, such as "MaxUnpooling2D".
        module: The shortest module that has it in its `__all__`, such as "kerasseg.layers".
        value: The object.
    """

    name: str
    module: str
    value: object

    @property
    def path(self):
        return f"{self.module}.{self.name}"

    @property
    def kind(self):
        if inspect.isclass(self.value):
            return "class"
        return "function" if inspect.isfunction(self.value) else "data"

    @property
    def sentence(self):
        """The first sentence of its docstring."""
        return first_sentence(self.value) if self.kind != "data" else ""


def first_sentence(value):
    return " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())


@functools.cache
def entries():
    """All public objects, by their full names; each once, under its shortest one."""
    found = {}
    modules = ["kerasseg", *(m.name for m in pkgutil.walk_packages(kerasseg.__path__, "kerasseg."))]
    for module_name in sorted(modules, key=lambda name: (name.count("."), name)):
        if module_name in HIDDEN or module_name.startswith("kerasseg.chapters"):
            continue
        module = importlib.import_module(module_name)
        for name in public_names(module):
            value = getattr(module, name)
            owner = getattr(value, "__module__", module_name)
            if not inspect.ismodule(value) and str(owner).startswith("kerasseg."):
                home = module_name != "kerasseg"  # `kerasseg` passes on what its packages have
                key = id(value)
                if home and key not in found:
                    found[key] = Entry(name, module_name, value)
    return {entry.path: entry for entry in sorted(found.values(), key=lambda e: e.path.lower())}


def public_names(module):
    if hasattr(module, "__all__"):
        return module.__all__
    if module.__name__ not in (f"kerasseg.{name}" for name in kerasseg.__all__):
        return ()
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


@functools.cache
def linked_names():
    """{name as docstrings write it: full name}, for names that can mean nothing else."""
    found = {}
    for path, entry in entries().items():
        found[path] = path
        distinct = re.search(r"[A-Z_]", entry.name) or entry.module == "kerasseg.models"
        if distinct:
            found[entry.name] = path
            found[f"{entry.module.removeprefix('kerasseg.')}.{entry.name}"] = path
    for name, owner in kerasseg.ATTRIBUTES.items():
        found[f"kerasseg.{name}"] = found.get(f"{owner}.{name}")
    return {name: path for name, path in found.items() if path}


def packages():
    """{package: its entries}, in the order of the layers."""
    found = {}
    for entry in entries().values():
        package = ".".join(entry.module.split(".")[:2])
        found.setdefault(package, []).append(entry)
    order = [f"kerasseg.{name}" for name in kerasseg.__all__]
    return {name: found[name] for name in sorted(found, key=order.index)}


def write(site):
    """Writes the pages, and returns {package: (sentence, entries)}."""
    folder = site / "reference"
    folder.mkdir()
    lessons = lessons_by_name()
    for package, members in packages().items():
        write_package(folder, package, members)
        for entry in members:
            write_entry(folder, entry, lessons)
    return {name: first_sentence(importlib.import_module(name)) for name in packages()}


def write_package(folder, package, members):
    rows = [f"| [`{e.name}`]({e.path}.md) | {cell(e.sentence)} |" for e in members]
    text = inspect.getdoc(importlib.import_module(package))
    page = [f"# {package}", text, "| name | |\n|---|---|\n" + "\n".join(rows)]
    page += ["```{toctree}\n:hidden:\n\n" + "\n".join(e.path for e in members) + "\n```"]
    (folder / f"{package}.md").write_text("\n\n".join(page) + "\n", "utf-8")


def write_entry(folder, entry, lessons):
    directive = {"class": "autoclass", "function": "autofunction", "data": "autodata"}[entry.kind]
    options = {"class": "   :members:\n   :show-inheritance:\n", "data": "   :no-value:\n"}
    body = f".. {directive}:: {entry.path}\n{options.get(entry.kind, '')}"
    page = [f"# {entry.name}", f"```{{eval-rst}}\n{body}```"]
    if entry.name in lessons:
        links = (f"[{title}](/lessons/{name}.ipynb)" for name, title in lessons[entry.name])
        page.append("Lessons with it:\n\n" + "\n".join(f"- {link}" for link in links))
    (folder / f"{entry.path}.md").write_text("\n\n".join(page) + "\n", "utf-8")


def lessons_by_name():
    """{name of a public object: [(lesson, title)] of the lessons whose code has it}."""
    from generate.lessons import all_lessons

    found = {}
    distinct = {name for name in linked_names() if "." not in name}
    for name, lesson in all_lessons().items():
        notebook = json.loads((CHAPTERS / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
        code = "\n".join(
            "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"
        )
        for word in distinct & set(re.findall(r"\w+", code)):
            found.setdefault(word, []).append((name, lesson.title))
    return found


def cell(text):
    return text.replace("|", "\\|")
