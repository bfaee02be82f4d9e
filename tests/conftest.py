"""Fixtures of the whole suite: small data made here, real data where it lies beside us."""

import functools
import gc
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared" / "data"


if keras.backend.backend() == "jax":  # which compiles each operation for each size anew
    import jax

    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")  # hypothesis refuses one for each test
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_seed_for_every_test(rng):
    keras.utils.set_random_seed(0)
    rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(autouse=True)
def no_test_leaves_functions_uncompiled():
    """As a quick run of a lesson or an experiment does, for its whole process."""
    yield
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.run_functions_eagerly(False)


@pytest.fixture(autouse=True, scope="session")
def the_collector_passes_over_what_imports_have_left():
    """Half a million objects, which would take longer after each module than many a module."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def models_of_a_module_are_forgotten_after_it():
    """Graphs, compiled steps and models would fill the memory before the last module."""
    yield
    keras.utils.clear_session(free_memory=False)
    if keras.backend.backend() == "tensorflow":
        from kerasseg.layers import tensorflow

        tensorflow.graph.cache_clear()
    elif keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory):
    """A TFDS folder in which `street_scenes` is prepared once for all tests, of all workers."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the set is the same on every backend")
    from kerasseg.datasets import load

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "scenes"
    with FileLock(f"{folder}.lock"):
        load("street_scenes", data_dir=folder)
    return folder


@pytest.fixture
def camvid_dir(tmp_path):
    return make_camvid(tmp_path / "camvid")


@pytest.fixture
def real_camvid():
    return real(SHARED / "camvid")


@pytest.fixture
def real_tfds():
    return real(SHARED / "tfds")


def real(folder):
    if not folder.is_dir():
        pytest.skip(f"real data absent: {folder.name}")
    return folder


def make_camvid(folder, splits=(("train", 10), ("val", 4)), size=(9, 12)):
    """A folder in CamVid's layout: red is the class id times 20, so a label shows in its image."""
    rng = np.random.default_rng(0)
    for split, count in splits:
        for kind in (split, f"{split}annot"):
            (folder / kind).mkdir(parents=True)
        for i in range(count):
            label = rng.integers(0, 12, size).astype("uint8")
            image = np.stack([label * 20, np.full(size, i * 9), np.zeros(size)], -1)
            name = f"{split}_{i:02}.png"
            Image.fromarray(image.astype("uint8")).save(folder / split / name)
            Image.fromarray(label).save(folder / f"{split}annot" / name)
    return folder


def environment(backend):
    """The environment of a subprocess in which Keras runs on another backend."""
    return {**os.environ, "KERAS_BACKEND": backend}


LOAD_AND_CALL = """
import sys, kerasseg, keras, numpy as np
for path in map(str.strip, sys.stdin):
    outputs = keras.saving.load_model(path)(np.load(f"{path}.images.npy"), training=False)
    np.save(f"{path}.outputs.npy", keras.ops.convert_to_numpy(outputs))
    print(path, flush=True)
"""


@functools.cache
def fresh_process():
    """A process that knows only kerasseg and keras; all models of a test run are loaded in it."""
    return subprocess.Popen(
        [sys.executable, "-c", LOAD_AND_CALL],
        env=environment(keras.backend.backend()),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def outputs_in_fresh_process(path, images):
    """What a saved model gives in the fresh process."""
    np.save(f"{path}.images.npy", images)
    process = fresh_process()
    print(path, file=process.stdin, flush=True)
    assert process.stdout.readline().strip() == str(path), "it does not load, see its error"
    return np.load(f"{path}.outputs.npy")
