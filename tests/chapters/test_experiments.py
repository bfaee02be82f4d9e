"""Every experiment runs with `--quick` and leaves figures, claims and a model that loads."""

import ast
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import kerasseg  # noqa: F401  (registers what the saved models hold)
from kerasseg.chapter import OPTIONS
from tests.chapters.page import CHAPTERS
from tests.conftest import environment, outputs_in_fresh_process

EXPERIMENTS = sorted(set((CHAPTERS / "experiments").glob("*.py")))
EXPERIMENTS.remove(CHAPTERS / "experiments" / "ledger.py")
VARIANTS = [(path, ()) for path in EXPERIMENTS]
VARIANTS += [(path, ("--model", "segnet")) for path in EXPERIMENTS if path.stem == "unet"]
PROMISED = {  # numbers that a chapter must have measured, each with a piece of its claim
    "downsampling": {
        "weights, depthwise": [144, 144],
        "weights, standard": [4_608, 4_608],
        "weights, separable": [656, 656],
        "separable over standard": [0.14236, 0.14236],
        "rates (1, 1, 1)": [7, 49],
        "rates (1, 2, 4)": [15, 225],
        "rates (2, 2, 2)": [13, 49],
        "pixels that hold 95 %": [441, 124],
    },
    "convolutionalization": {
        "ten classes, Dense": 2_560,
        "ten classes, convolution": 2_560,
        "outputs of the two differ": 0.0,
        "what Dense layer and classifier raise": ["ValueError", "ValueError"],
    },
    "upsampling": {
        "align_corners=False: first row": [10, 12.5, 17.5, 20],
        "align_corners=True: first row": [10, 13.33, 16.67, 20],
        "reach a pixel, kernel 3, stride 2": [1, 2, 4],
        "reach a pixel, kernel 4, stride 2": [4],
        "rows come out": 5,
        "rank of the matrix": 4,
        "weights: nearest, bilinear, transposed": [0, 0, 8_224],
    },
    "unpooling": {
        "share of a max-unpooled map that is not zero": 0.25,
        "max pooling undoes max unpooling of values >= 0": 0.0,
        "max pooling makes zeros of unpooled negative values": 0.0,
        "average pooling undoes average unpooling": 0.0,
        "positions that change when XLA compiles": 0,
    },
    "autoencoder": {
        "the best grey for a pixel": [0.4, 0.0, 0.4],
        "weights of the book's autoencoder": 222_384,
    },
    "latent_space": {
        "divergence of the standard normal itself": [0.0, 0.5],
        "ever lies above that of its own draws": 0.0,
        "weights of the book's VAE": 51_627,
        "weights of the book's encoder": 31_364,
        "weights of the book's decoder": 20_263,
        "the reloaded VAE's decoder": 0.0,
    },
    "denoising": {
        "two noises over that of one, nothing cut off": 2.0,
        "weights of the book's net": 222_384,
    },
    "super_resolution": {
        "sub-pixels by reshaping differ from the loop": 0.0,
        "weights of the book's autoencoder": 2_427_427,
        "12 batches hold, of 32 and of 16": [372, 192],
        "output for 91 rows and 75 columns": [91, 75],
    },
    "segmentation_data": {
        "on the way to colours and back, by hand": 0,
        "on the way to colours and back, with the library": 0,
        "after the book's function has coloured it": 0,
        "puts between sky and pole": "car",
        "ids that nearest-neighbour resizing invents": 0,
        "flipped and cropped together": 1.0,
        "largest gradient on a void pixel": 0.0,
        "three epochs: cached, then varied by number": 3,
        "three epochs: varied, then cached": 1,
        "kinds of damage that the doctor names": 7,
    },
    "fcn": {
        "weights of the paper's FCN-8s": 134_489_759,
        "weights of the book's FCN-8s as printed": 134_124_094,
        "weights of the net that the book's log belongs to": 14_983_177,
        "receptive field and stride of its scores": [404, 32],
        "pixels left of a lone pixel, dilated": [0, 9],
        "dilation less erosion and the poolings differ": 0,
        "that the reloaded FCN-8s labels otherwise": 0,
    },
    "unet": {
        "the book's Dice of a perfect prediction": [0.8947, 0.5789, 0.3684, 0.0],
        "kerasseg's Dice of the same predictions": [0.0, 0.0, 0.0, 0.0],
        "called for a right answer and then": 0.5,
        "calls of a metric's own `__call__`": 0,
        "parameters of the paper's U-Net": 31_030_658,
    },
    "beyond_fcn": {
        "receptive fields of": [404, 404],
        "field of DilatedNet's context": [3, 5, 9, 17, 33, 65, 67],
        "bytes of SegNet's positions": 5_283_840,
        "bytes of the maps that were pooled": 84_357_120,
    },
    "nuclei": {"one match with an IoU of 3/4": [0.5, 0.1667]},
    "photograph_denoising": {"weights of the network": 447_809},
    "image_translation": {
        "eight-class head has more than a one-channel head": 28,
        "receptive field and weights, plain": [13, 867],
        "receptive field and weights, atrous": [65, 867],
    },
}


def draw_nuclei(folder, count=12, size=(140, 150)):
    """Images of bright discs on black, some of which touch, and their numbers."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices(size)
    for kind in ("images", "instances"):
        (folder / kind).mkdir(parents=True)
    for i in range(count):
        numbers = np.zeros(size, "uint16")
        for number, (y, x) in enumerate(rng.integers(8, 130, (9, 2)), start=1):
            numbers[np.hypot(rows - y, columns - x) < 9] = number
        image = np.repeat(np.where(numbers, 180, 20)[..., None], 3, axis=-1)
        image = image + rng.integers(0, 20, image.shape)
        Image.fromarray(image.astype("uint8")).save(folder / "images" / f"{i:02}.png")
        Image.fromarray(numbers).save(folder / "instances" / f"{i:02}.png")
    return folder


def run(script, *words):
    result = subprocess.run(
        [sys.executable, script, *map(str, words)],
        env={**environment("tensorflow"), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "words"), VARIANTS, ids=lambda value: getattr(value, "stem", None)
)
def test_experiment_runs_and_every_exact_claim_holds(path, words, scenes_dir, tmp_path):
    text = path.read_text()
    if "street_scenes" in text:
        words = (*words, "--data-dir", scenes_dir)
    if path.stem == "nuclei":
        words = (*words, "--data-dir", draw_nuclei(tmp_path / "cells"))
    printed = run(path, "--quick", "--output", tmp_path, *words)

    claims = json.loads((tmp_path / "claims.json").read_text())
    assert {claim["chapter"] for claim in claims} == {path.stem}
    assert all(claim["holds"] for claim in claims if claim["kind"] == "exact")
    assert any(claim["kind"] == "exact" for claim in claims)
    for part, number in PROMISED.get(path.stem, {}).items():
        assert [claim["measured"] for claim in claims if part in claim["claim"]] == [number]
    figures = list(tmp_path.glob("*.png"))
    assert len(figures) == text.count("chapter.figure(")
    assert all(f"Figure {figure}" in printed for figure in figures)

    saved = sorted(tmp_path.glob("*.keras"))
    assert saved
    model = keras.saving.load_model(saved[0])
    shape = [size or 16 for size in model.input_shape[1:]]
    images = np.random.default_rng(0).uniform(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(outputs_in_fresh_process(saved[0], images), model(images), atol=1e-6)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiment_is_a_page_of_cells_that_names_its_book_section(path):
    text = path.read_text()
    assert text.startswith("# %% [markdown]\n# # Experiment · ")
    assert "# Book: chapter " in text
    assert text.count("# %% [markdown]\n# ##") >= 4
    assert "sys.argv" not in text


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_option_of_an_experiment_is_explained(path):
    (call,) = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Experiment"
    )
    names = {keyword.arg for keyword in call.keywords} - {"quick", "full", "choices"}
    assert names <= OPTIONS.keys()


def test_wrong_arguments_end_with_one_clear_error_and_no_output(tmp_path):
    words = ("--dataset", "camvid", "--data-dir", tmp_path, "--output", tmp_path / "out")
    result = subprocess.run(
        [sys.executable, CHAPTERS / "experiments" / "unet.py", *map(str, words)],
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert result.stderr.strip().splitlines()[-1].startswith("FileNotFoundError: No images in")
    assert not (tmp_path / "out").exists()
