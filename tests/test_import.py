"""`import kerasseg` is light, runs on any backend, and registers what a saved model can hold."""

import importlib
import subprocess
import sys

import pytest

from tests.conftest import environment

HEAVY = {"tensorflow_datasets", "matplotlib", "scipy", "sklearn", "kerasseg.datasets"}
# `import keras` itself loads Matplotlib and scikit-learn where they are installed.
ADDED = (
    "import sys, keras; before = set(sys.modules);"
    "import kerasseg; print(*set(sys.modules) - before)"
)


def run(script, backend="tensorflow"):
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(backend),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_what_is_not_needed_is_not_imported():
    assert not HEAVY & set(run(ADDED))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tensorflow_is_not_imported_under_another_backend(backend):
    pytest.importorskip(backend)
    loaded = run("import sys, kerasseg; print(*sys.modules)", backend)
    assert "tensorflow" not in loaded
    assert not HEAVY & set(run(ADDED, backend))


def test_every_registrable_class_is_registered_by_the_import():
    script = (
        "import inspect, kerasseg, keras\n"
        "kinds = (keras.layers.Layer, keras.losses.Loss, keras.metrics.Metric,\n"
        "         keras.initializers.Initializer)\n"
        "parts = [getattr(kerasseg, name) for name in kerasseg.__all__]\n"
        "for module in filter(inspect.ismodule, parts):\n"
        "    for name, item in inspect.getmembers(module, inspect.isclass):\n"
        "        if not issubclass(item, kinds):\n"
        "            continue\n"
        "        if item.__module__.startswith('kerasseg'):\n"
        "            assert keras.saving.get_registered_object(f'kerasseg>{name}') is item, name\n"
        "            print(name)\n"
    )
    assert {
        "MaxPoolingWithArgmax2D",
        "MaxUnpooling2D",
        "MeanIoU",
        "CrossEntropy",
        "Bilinear",
    } <= set(run(script))


def test_parts_that_load_on_first_use_are_reached_by_their_name():
    assert run("import kerasseg; print(kerasseg.datasets.load.__name__)") == ["load"]


def test_a_name_that_is_not_there_says_so():
    import kerasseg

    with pytest.raises(AttributeError, match="no attribute 'datasetz'"):
        kerasseg.datasetz  # noqa: B018


def test_version_is_that_of_the_installed_package():
    from importlib.metadata import PackageNotFoundError, version

    import kerasseg

    try:
        installed = version("kerasseg")
    except PackageNotFoundError:
        pytest.skip("kerasseg runs from its folder and is not installed")
    assert kerasseg.__version__ == installed


def test_import_adds_at_most_a_tenth_of_a_second_to_that_of_keras():
    pytest.importorskip("torch")
    script = (
        "import time, keras; start = time.process_time();"
        "import kerasseg; print(time.process_time() - start)"
    )
    assert min(float(run(script, "torch")[0]) for _ in range(3)) <= 0.1


@pytest.mark.parametrize(
    "name", ["anatomy", "datasets", "figures", "inference", "layers", "losses", "metrics", "models"]
)
def test_completion_offers_the_public_names_alone(name):
    package = importlib.import_module(f"kerasseg.{name}")
    assert dir(package) == sorted(package.__all__)
