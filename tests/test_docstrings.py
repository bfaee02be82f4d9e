"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil
import re
import sys

import keras
import numpy as np
import pytest

import kerasseg

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NUMBER = re.compile(r"[-+]?\d+\.\d*(?:e[-+]?\d+)?")


class FloatTolerant(doctest.OutputChecker):
    """Numbers with a point may differ by a few units of their last digit."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        if not super().check_output(NUMBER.sub("#", want), NUMBER.sub("#", got), optionflags):
            return False
        pairs = zip(map(float, NUMBER.findall(want)), map(float, NUMBER.findall(got)))
        return all(np.isclose(wanted, found, rtol=1e-4, atol=1e-6) for wanted, found in pairs)


def examples():
    """Every docstring with examples, as a `doctest.DocTest`."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for info in pkgutil.walk_packages(kerasseg.__path__, "kerasseg."):
        module = importlib.import_module(info.name)
        names = {"np": np, "keras": keras, "ops": keras.ops, "kerasseg": kerasseg}
        for test in finder.find(module, info.name, globs={**vars(module), **names}):
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
