"""What the package is made of: `python tests/structure.py` prints it, test_structure.py checks it.

Imports inside functions count like those at the top of a file.
"""

import ast
import sys
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("kerasseg", "kerasseg_command")
LAYERS = (  # low to high: a package imports from itself and from those before its row
    {"requirements", "tables", "palette"},
    {"layers", "initializers"},
    {"anatomy.graphs", "anatomy.keras_internals"},
    {"losses"},
    {"metrics"},
    {"anatomy", "models"},
    {"inference"},
    {"datasets"},
    {"figures"},
    {"training"},
    {"cli", "chapter"},
)
WITH_TENSORFLOW = (
    *("kerasseg.datasets", "kerasseg.training", "kerasseg.cli", "kerasseg_command"),
    "kerasseg.layers.tensorflow",  # which `kerasseg.layers.backend` imports under TensorFlow
)


@cache
def modules():
    """{dotted name: syntax tree} of every file."""
    files = sorted(file for top in PACKAGES for file in (ROOT / top).rglob("*.py"))
    return {dotted(file): ast.parse(file.read_text("utf-8")) for file in files}


def dotted(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level_files():
    return sorted(file.name for file in (ROOT / "kerasseg").glob("*.py"))


def imported(name):
    """The modules that a module imports anywhere in its file, ours by their full names."""
    found = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {inner if inner in modules() else node.module for inner in names}
    return found


def import_cycles():
    """Groups of modules of which each one leads to every other."""
    graph = {name: imported(name) & modules().keys() - {name} for name in modules()}
    reach = {}
    for start in graph:
        reach[start], new = set(), {start}
        while new:
            new = set().union(*(graph[name] for name in new)) - reach[start]
            reach[start] |= new
    return sorted({tuple(sorted(b for b in reach[a] if a in reach[b])) for a in graph} - {()})


def tensorflow_elsewhere():
    """The modules that import TensorFlow though their package runs without it."""
    return [
        name
        for name in modules()
        if not name.startswith(WITH_TENSORFLOW)
        and any(other.partition(".")[0] == "tensorflow" for other in imported(name))
    ]


def level(name):
    part = name.removeprefix("kerasseg.")
    packages = {part, part.partition(".")[0]}
    return next((i for i, row in enumerate(LAYERS) if packages & row), None)


def imports_from_above():
    """(module, module that it imports) where the second one belongs to a higher layer."""
    return [
        (name, other)
        for name in modules()
        for other in sorted(imported(name) & modules().keys())
        if None not in (level(name), level(other)) and level(name) < level(other)
    ]


def functions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def body_length(function):
    """Lines of a function's body, from its first statement to its last, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(limit=50):
    """(lines, module, function), the longest first."""
    found = [
        (body_length(function), name, function.name)
        for name, tree in modules().items()
        for function in functions(tree)
    ]
    return sorted((entry for entry in found if entry[0] > limit), reverse=True)


def used_once():
    """Functions at the top of a module, not public, that the package names in one other place."""
    names = Counter()
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                names[node.id] += 1
            elif isinstance(node, ast.Attribute):
                names[node.attr] += 1
    functions_at_top = [
        (name, node.name)
        for name, tree in modules().items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    ]
    public = {
        element.value
        for tree in modules().values()
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        for element in ast.walk(node.value)
        if isinstance(element, ast.Constant)
    }
    once = [(m, f) for m, f in functions_at_top if names[f] == 1 and f not in public]
    return once, len(functions_at_top)


def without_test_file():
    """Modules whose test file is missing: kerasseg/losses/overlap.py has losses/test_overlap.py."""
    tests = ROOT / "tests"
    missing = []
    for top in PACKAGES:
        for file in sorted((ROOT / top).rglob("*.py")):
            if file.name in ("__init__.py", "__main__.py", "version.py"):
                continue
            folder = tests / file.parent.relative_to(ROOT / top)
            if top == "kerasseg_command":
                folder = tests / "cli"  # the arguments of a command are tested with the command
            if not (folder / f"test_{file.name}").exists():
                missing.append(str(file.relative_to(ROOT)))
    return missing


def lines():
    return sum(
        len(file.read_text("utf-8").splitlines())
        for top in PACKAGES
        for file in (ROOT / top).rglob("*.py")
    )


def main():
    once, count = used_once()
    long = [f"  {length} lines  {name}.{function}" for length, name, function in long_functions()]
    parts = {
        "files at the top level": [f"  {name}" for name in top_level_files()],
        "import cycles": [f"  {', '.join(cycle)}" for cycle in import_cycles()],
        "TensorFlow outside datasets, training and cli": [f"  {n}" for n in tensorflow_elsewhere()],
        "imports from a higher layer": [f"  {a} -> {b}" for a, b in imports_from_above()],
        "function bodies above 50 lines": long,
        f"functions used once, of {count}": [f"  {name}.{function}" for name, function in once],
        "modules without their test file": [f"  {name}" for name in without_test_file()],
    }
    for title, found in parts.items():
        print(f"{title}: {len(found)}", *found, sep="\n")
    print(f"lines of {' and '.join(PACKAGES)}: {lines()}")


if __name__ == "__main__":
    sys.exit(main())
