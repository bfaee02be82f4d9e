"""A missing dependency is one line with the install command."""

import sys

import pytest

from kerasseg.requirements import on_first_use, require, require_backend


def test_an_installed_module_is_returned():
    assert require("xml.dom", extra="book") is sys.modules["xml.dom"]


def test_a_missing_module_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "scipy.ndimage", raising=False)
    with pytest.raises(ModuleNotFoundError) as caught:
        require("scipy.ndimage", extra="book")
    assert str(caught.value) == (
        "SciPy is needed and not installed. Install kerasseg[book]: in a clone of the repository, "
        'run pip install ".[book]"'
    )


def test_what_an_installed_module_lacks_itself_is_named(monkeypatch, tmp_path):
    (tmp_path / "lacking.py").write_text("import absent_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'absent_module'"):
        require("lacking", extra="book")


def test_where_tensorflow_has_no_wheels_the_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setattr(sys, "version_info", (3, 14))
    with pytest.raises(ModuleNotFoundError, match="with Python 3.11 to 3.13"):
        require("tensorflow")


def test_what_a_package_offers_is_imported_when_it_is_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    ask = on_first_use("shapes", {"rgb_to_hsv": "colorsys"}, {"colours": "colorsys"})
    assert "colorsys" not in sys.modules
    assert ask("rgb_to_hsv")(1, 0, 0) == (0.0, 1.0, 1)
    assert ask("colours") is sys.modules["colorsys"]
    with pytest.raises(AttributeError, match="module 'shapes' has no attribute 'coluors'"):
        ask("coluors")


def test_a_backend_that_is_not_installed_is_one_line(monkeypatch):
    def lacking(name):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.setattr("importlib.import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match="set to run on jax, which is not installed. Ins"):
        require_backend()
