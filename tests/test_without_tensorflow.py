"""The library needs Keras, NumPy and a backend: all else is blocked here."""

import subprocess
import sys

import pytest

from tests.conftest import environment

BLOCK = """
import sys
from importlib.machinery import PathFinder

found = PathFinder.find_spec

@classmethod
def find_spec(cls, name, path=None, target=None):
    return None if name.partition(".")[0] in {names} else found(name, path, target)

PathFinder.find_spec = find_spec
"""
OTHERS = [
    *("tensorflow", "tensorflow_datasets", "sklearn", "skimage", "scipy", "matplotlib", "PIL"),
    *("tqdm", "jinja2", "filelock", "tifffile"),
]
TOUR = """
import sys, keras, kerasseg, numpy as np
rng = np.random.default_rng(0)
images = rng.random((2, 16, 24, 3), "float32")
labels = rng.integers(0, 2, (2, 16, 24))
labels[:, 0] = 255

model = kerasseg.models.segnet_basic((None, None, 3), 2, width=1 / 16)
model.compile("adam", kerasseg.losses.CrossEntropyDice(), metrics=[kerasseg.metrics.MeanIoU(2)])
callbacks = [kerasseg.training.UpdateBatchNorm()]
history = model.fit(images, labels, 2, 2, verbose=0, callbacks=callbacks).history
assert np.isfinite(history["loss"]).all() and 0 <= history["mean_iou"][-1] <= 1
weights = kerasseg.losses.median_frequency_weights(labels, 2)
assert weights.shape == (2,)

ids = kerasseg.predict_image(model, images[0], tile=16, flip=True)
assert ids.shape == (16, 24) and set(np.unique(ids)) <= {0, 1}
model.save(sys.argv[1])
again = keras.saving.load_model(sys.argv[1])
np.testing.assert_allclose(again.predict(images, verbose=0), model.predict(images, verbose=0))

net = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3, padding="same")])
assert kerasseg.receptive_field(net).size == 3
assert kerasseg.effective_receptive_field(net, rng.random((1, 9, 9, 1))).shape == (9, 9)
psnr = kerasseg.metrics.PSNR()
psnr.update_state(images, images + 0.1)
assert abs(float(psnr.result()) - 20) < 1e-3
assert "tensorflow" not in sys.modules
"""
MISSING = """
import kerasseg, numpy as np
for use in (lambda: kerasseg.datasets.load("digits"),
            lambda: kerasseg.figures.label_overlay,
            lambda: kerasseg.inference.watershed_instances(np.eye(4) > 0)):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error)
    else:
        print("nothing is missing")
"""


@pytest.fixture(params=["jax", "torch"])
def run(request):
    """Runs a script under a backend, where nothing else can be imported."""
    pytest.importorskip(request.param)
    names = [name for name in OTHERS if (request.param, name) != ("jax", "scipy")]  # JAX needs it

    def run(script, *arguments):
        return subprocess.run(
            [sys.executable, "-c", BLOCK.format(names=names) + script, *map(str, arguments)],
            env=environment(request.param),
            capture_output=True,
            text=True,
        )

    return run


def test_models_losses_metrics_anatomy_and_prediction_run(run, tmp_path):
    result = run(TOUR, tmp_path / "model.keras")
    assert result.returncode == 0, result.stderr


def test_what_needs_more_says_in_one_line_how_to_install_it(run):
    result = run(MISSING)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert all("is needed and not installed" in line for line in lines), lines
    assert all('pip install ".[book]"' in line for line in lines)


def test_a_command_that_needs_more_says_so_and_exits_with_2(run, tmp_path):
    result = run("import kerasseg_command as c; sys.exit(c.main(['check', sys.argv[1]]))", tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("kerasseg: error: ")
    assert result.stderr.count("\n") == 1
    assert 'pip install ".[book]"' in result.stderr
