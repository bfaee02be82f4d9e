"""Fixtures of the whole suite: small data made here, real data where it lies beside us."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")  # hypothesis refuses one for each test
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_seed_for_every_test(rng):
    keras.utils.set_random_seed(0)
    rng.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(autouse=True, scope="module")
def models_of_a_module_are_forgotten_after_it():
    """Graphs, compiled steps and models would fill the memory before the last module."""
    yield
    keras.utils.clear_session()
    if keras.backend.backend() == "tensorflow":
        from kerasseg.layers import tensorflow

        tensorflow.graph.cache_clear()
    elif keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def scenes_dir(tmp_path_factory):
    """A TFDS folder in which `street_scenes` is prepared once for all tests."""
    return tmp_path_factory.mktemp("tfds")


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
model, images, result = sys.argv[1:]
outputs = keras.saving.load_model(model)(np.load(images), training=False)
np.save(result, keras.ops.convert_to_numpy(outputs))
"""


def outputs_in_fresh_process(path, images):
    """What a saved model gives in a new process that knows only kerasseg and keras."""
    folder = path.parent
    np.save(folder / "images.npy", images)
    words = (path, folder / "images.npy", folder / "result.npy")
    subprocess.run(
        [sys.executable, "-c", LOAD_AND_CALL, *map(str, words)],
        check=True,
        env=environment(keras.backend.backend()),
    )
    return np.load(folder / "result.npy")
