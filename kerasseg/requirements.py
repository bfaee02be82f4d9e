"""What an installation may lack: one line says what is missing and how to install it."""

import importlib
import sys

BACKENDS = ("tensorflow", "jax", "torch", "openvino")
NAMES = {
    "PIL": "Pillow",
    "matplotlib": "Matplotlib",
    "scipy": "SciPy",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow": "TensorFlow",
    "tensorflow_datasets": "TensorFlow Datasets",
    "yaml": "PyYAML",
}


def require(module, extra="book"):
    """Imports a module that the library alone does not need.

    Args:
        module: Its full name, such as `"scipy.ndimage"`; or a module of kerasseg that imports
            such ones.
        extra: The extra of `pyproject.toml` that installs it.

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: If it is not installed; the message has the install command.

    Example:

    >>> require("math").sqrt(4)
    2.0
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package, lacking = (name.partition(".")[0] for name in (module, error.name or ""))
        if lacking in ("", "kerasseg") or package not in (lacking, "kerasseg"):
            raise  # it is installed, and lacks something itself
        raise ModuleNotFoundError(missing(lacking, extra), name=error.name) from None


def on_first_use(package, attributes, modules=None):
    """A `__getattr__` for a package, which imports what is asked for and not before (PEP 562).

    Args:
        package: The `__name__` of the package.
        attributes: {name: full name of the module that defines it}.
        modules: {name: full name of the module that it is}.

    Returns:
        The function. It raises `AttributeError` for other names, and `ModuleNotFoundError` as
        `require` does.

    Example:

    >>> on_first_use("shapes", {"sqrt": "math"})("sqrt")(4)
    2.0
    """
    modules = modules or {}

    def __getattr__(name):
        if name in attributes:
            return getattr(require(attributes[name]), name)
        if name in modules:
            return require(modules[name])
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__


def require_backend():
    """Imports Keras, and says what to do where the backend that it is set to is not installed.

    Raises:
        ModuleNotFoundError: If Keras or its backend is not installed, or if there is no such one.
    """
    remedy = (
        "Install a backend, such as pip install jax, and set the environment variable "
        "KERAS_BACKEND=jax; or torch, or tensorflow"
    )
    try:
        importlib.import_module("keras")
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        raise ModuleNotFoundError(
            f"Keras is set to run on {error.name}, which is not installed. {remedy}",
            name=error.name,
        ) from None
    except ValueError as error:
        _, found, name = str(error).partition("Unable to import backend : ")
        if not found:
            raise
        raise ModuleNotFoundError(
            f"Keras is set to run on {name}, which is none of its backends. {remedy}", name=name
        ) from None


def missing(package, extra):
    """The line that says what is not installed, and the remedy."""
    python = ""
    if package == "tensorflow" and sys.version_info >= (3, 14):
        python = " with Python 3.11 to 3.13, for which TensorFlow exists"
    return (
        f"{NAMES.get(package, package)} is needed and not installed. Install kerasseg[{extra}]"
        f'{python}: in a clone of the repository, run pip install ".[{extra}]"'
    )
