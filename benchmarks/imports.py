"""How long the command line and `import kerasseg` take to start, each time in a fresh process.

    python benchmarks/imports.py

Rounds of one start each, in turn, after a first round that fills the caches of the file system.
`beyond` are rows that are measured inside the process, after `import keras`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from kerasseg_command.version import __version__

PYTHON = sys.executable
COMMAND = [PYTHON, "-m", "kerasseg_command"]
IMPORT = (
    "import keras, time; start = time.perf_counter();"
    "import kerasseg; print(time.perf_counter() - start)"
)
SAVE = (
    "import sys, kerasseg\n"
    "model = kerasseg.models.unet((None, None, 3), 3, width=1 / 8)\n"
    "kerasseg.anatomy.with_classes(model, [*'abc'], image_size=(96, 128)).save(sys.argv[1])\n"
)
LIMITS = {
    "kerasseg --help": 0.5,
    "kerasseg check, ten PNG pairs": 1.5,
    "import kerasseg, beyond import keras": 0.1,
}


def make_images(folder):
    """Ten images of 360 x 480 and their masks."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for i in range(10):
        mask = rng.integers(0, 3, (15, 20)).repeat(24, 0).repeat(24, 1).astype("uint8")
        image = np.stack([60 * mask + 20, 255 - 50 * mask, np.full_like(mask, i)], -1)
        Image.fromarray(image).save(folder / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")


def starts(folder):
    """{what is measured: a function that does it once and returns the seconds}."""
    model, images = folder / "model.keras", folder / "images"
    subprocess.run([PYTHON, "-c", SAVE, str(model)], check=True, stderr=subprocess.DEVNULL)

    def wall(*words):
        start = time.perf_counter()
        subprocess.run([*map(str, words)], check=True, capture_output=True)
        return time.perf_counter() - start

    def predict():
        with tempfile.TemporaryDirectory() as output:
            words = (images / "0.png", "--output", f"{output}/maps")
            return wall(*COMMAND, "predict", model, *words)

    def beyond_keras():
        result = subprocess.run([PYTHON, "-c", IMPORT], check=True, capture_output=True)
        return float(result.stdout)

    return {
        "python -c pass": lambda: wall(PYTHON, "-c", "pass"),
        "kerasseg --help": lambda: wall(*COMMAND, "--help"),
        "kerasseg train --help": lambda: wall(*COMMAND, "train", "--help"),
        "kerasseg check, ten PNG pairs": lambda: wall(*COMMAND, "check", folder),
        "import keras": lambda: wall(PYTHON, "-c", "import keras"),
        "import kerasseg, beyond import keras": beyond_keras,
        "kerasseg predict, one image": predict,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="PATH", help="all seconds, and the versions")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder))
        measured = starts(Path(folder))
        rounds = [
            {name: start() for name, start in measured.items()} for _ in range(arguments.rounds + 1)
        ]
    seconds = {name: [each[name] for each in rounds[1:]] for name in measured}
    versions = {
        "python": platform.python_version(),
        "kerasseg": __version__,
        **{name: version(name) for name in ("keras", "numpy", "pillow")},
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
    }
    print(", ".join(f"{name} {value}" for name, value in versions.items()))
    print(f"{'':38}{'seconds':>8}   {'quartiles':>14}   limit")
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        limit = LIMITS.get(name)
        verdict = f"{'<=' if middle <= limit else '> '} {limit}" if limit else ""
        print(f"{name:38}{middle:8.3f}   {low:5.3f} … {high:5.3f}   {verdict}")
    if arguments.json:
        words = json.dumps({"versions": versions, "seconds": seconds}, indent=1)
        arguments.json.write_text(words, encoding="utf-8")


if __name__ == "__main__":
    main()
