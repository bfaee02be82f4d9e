"""Every example in a docstring is true, and docstrings name the errors that are raised."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasseg

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NUMBER = re.compile(r"[-+]?\d+\.\d*(?:e[-+]?\d+)?")
NAMES_ERRORS = re.compile(r"\bRaises\b|errors: those of `\w+`")
# What a helper raises for arguments that these never pass on.
CANNOT_RAISE = {
    "kerasseg.datasets.doctor.report.Report": "its rows have as many cells as its header",
    "kerasseg.training.evaluation.score_table": "its rows have three cells each",
    "kerasseg.training.evaluation.trust_table": "its rows have three cells each",
    "kerasseg.training.selection.sample": "it draws fewer images than there are",
    "kerasseg.training.selection.select": "it holds out a fifth at most",
}


class FloatTolerant(doctest.OutputChecker):
    """Numbers with a point may differ by a few units of their last digit."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        if not super().check_output(NUMBER.sub("#", want), NUMBER.sub("#", got), optionflags):
            return False
        pairs = zip(map(float, NUMBER.findall(want)), map(float, NUMBER.findall(got)))
        return all(np.isclose(wanted, found, rtol=1e-4, atol=1e-6) for wanted, found in pairs)


def modules():
    """All modules of the package that can be imported where one backend is installed."""
    foreign = {f"kerasseg.layers.{name}" for name in ("tensorflow", "jax", "torch")}
    foreign.discard(f"kerasseg.layers.{keras.backend.backend()}")
    names = (info.name for info in pkgutil.walk_packages(kerasseg.__path__, "kerasseg."))
    return [importlib.import_module(name) for name in names if name not in foreign]


def examples():
    """Every docstring with examples, as a `doctest.DocTest`."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for module in modules():
        names = {"np": np, "keras": keras, "ops": keras.ops, "kerasseg": kerasseg}
        for test in finder.find(module, module.__name__, globs={**vars(module), **names}):
            if test.examples:
                found[test.name] = test
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["example.py"])
    keras.utils.set_random_seed(0)
    page = []
    runner = doctest.DocTestRunner(FloatTolerant(), verbose=False, optionflags=FLAGS)
    failed = runner.run(EXAMPLES[name], out=page.append).failed
    assert not failed, "".join(page)


def test_there_are_examples_of_every_package():
    packages = {name.split(".")[1] for name in EXAMPLES}
    assert {"anatomy", "datasets", "layers", "losses", "metrics", "models"} <= packages


def public_objects():
    """The classes and functions in every `__all__`, by the name under which they are defined."""
    found = {}
    for module in modules():
        for value in (getattr(module, name) for name in getattr(module, "__all__", ())):
            if is_ours(value) and (inspect.isclass(value) or inspect.isfunction(value)):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def is_ours(value):
    return str(getattr(value, "__module__", "")).startswith("kerasseg.")


def layers_of(function):
    """A decorated function, and the functions around it."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def tree_of(function):
    """Its syntax tree; of a method that a dataclass has written, an empty one."""
    if not function.__code__.co_filename.startswith(kerasseg.__path__[0]):
        return ast.parse("")
    return ast.parse(textwrap.dedent(inspect.getsource(function.__code__)))


def raises(function, depth=2):
    """Whether it, or a function of ours that it calls by name, has a `raise`, to some depth."""
    for layer in layers_of(function):
        for node in ast.walk(tree_of(layer)):
            if isinstance(node, ast.Raise) and node.exc and "NotImpl" not in ast.unparse(node.exc):
                return True
            if isinstance(node, ast.Call) and depth:
                first, _, last = ast.unparse(node.func).partition(".")
                called = layer.__globals__.get(first)
                called = getattr(called, last, None) if last else called
                if inspect.isfunction(called) and is_ours(called) and raises(called, depth - 1):
                    return True
    return False


def methods_of(value):
    """The functions of a class, and of its ancestors in this package."""
    for ancestor in filter(is_ours, value.__mro__):
        for member in vars(ancestor).values():
            member = getattr(member, "fget", getattr(member, "__func__", member))
            if inspect.isfunction(member):
                yield member


PUBLIC = public_objects()


@pytest.mark.parametrize("name", PUBLIC)
def test_the_errors_are_named(name):
    value = PUBLIC[name]
    parts = list(methods_of(value)) if inspect.isclass(value) else [value]
    docs = inspect.cleandoc(value.__doc__ or "")
    unnamed = [
        part.__qualname__
        for part in parts
        if raises(part) and not NAMES_ERRORS.search(f"{docs} {part.__doc__}")
    ]
    assert not unnamed or name in CANNOT_RAISE, f"{unnamed} raise, which the docstring must say"


def test_a_raise_in_a_helper_is_found():
    assert raises(kerasseg.models.fc_densenet67)  # in `scale_filters`, two calls away
    assert raises(kerasseg.layers.CaffePreprocessing.__init__)
    assert not raises(kerasseg.layers.CaffePreprocessing.call)


def test_docstrings_hold_no_versions_of_libraries():
    version = re.compile(r"\b(Keras|TensorFlow|PyTorch|torch|JAX|NumPy|Pillow|SciPy) \d+\.\d")
    for path in Path(kerasseg.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                assert not version.search(ast.get_docstring(node) or ""), f"{path}: {node}"
