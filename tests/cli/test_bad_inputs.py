"""Wrong words and wrong files: one line with the remedy, exit code 2, nothing written."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from kerasseg.models import unet
from tests.conftest import environment, make_camvid


class Strange(keras.layers.Layer):
    """A layer that nobody registered."""

    def call(self, inputs):
        return inputs


@pytest.fixture(scope="module")
def home(tmp_path_factory, model_file):
    """A folder full of what should not be."""
    home = tmp_path_factory.mktemp("home")
    image = keras.Input((None, None, 3))
    maps = keras.layers.Conv2D(3, 1)(image)
    keras.Model(image, keras.layers.Lambda(lambda x: x)(maps)).save(home / "lambda.keras")
    keras.Model(image, Strange()(maps)).save(home / "strange.keras")
    keras.Model(image, maps).save(home / "three.keras")
    keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps)).save(home / "one.keras")
    unet((None, None, 1), 11, width=1 / 32).save(home / "grey.keras")
    unet((16, 16, 3), 11, width=1 / 32).save(home / "fixed.keras")
    whole = model_file.read_bytes()
    (home / "model.keras").write_bytes(whole)
    (home / "cut.keras").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    (home / "damaged.keras").write_bytes(damaged)
    (home / "text.keras").write_text("no model")
    (home / "model.onnx").write_text("mine")

    make_camvid(home / "camvid", size=(9, 12))
    for name in ("empty", "a", "b", "sheet/images", "sheet/masks"):
        (home / name).mkdir(parents=True)
    colours = np.random.default_rng(0).integers(0, 256, (9, 12, 3), "uint8")
    for name in ("photo.png", "a/x.png", "b/x.jpg"):
        Image.fromarray(colours).save(home / name)
    (home / "text.png").write_text("no picture")
    (home / "notes.txt").write_text("no picture")
    (home / "file").write_text("mine")
    return home


PREDICT = "predict model.keras photo.png --output new"
TRAIN = "train camvid --output new"
BAD = {
    "": "the following arguments are required: command",
    "paint camvid": "invalid choice: 'paint'",
    "evaluat model.keras camvid": "Did you mean evaluate\\?",
    "check gone": "No images in gone. Expected images/",
    "check empty": "No images in empty. Expected images/",
    "evaluate gone.keras camvid": "no model file gone.keras. Take the .keras file that",
    "evaluate text.keras camvid": "text.keras is no .keras file, or only a part of one. Take",
    "evaluate cut.keras camvid": "cut.keras is no .keras file, or only a part of one. Take",
    "evaluate damaged.keras camvid": "damaged.keras is damaged: .* Take the .keras file",
    "evaluate empty camvid": "empty is no .keras file",
    "evaluate lambda.keras camvid": "lambda.keras holds a Lambda layer, .* save the model again",
    "evaluate strange.keras camvid": "strange.keras holds .* class Strange, .* Load it in Python",
    "evaluate one.keras camvid": r"one.keras must be a model from one image .*\(None, 3\)",
    "evaluate grey.keras camvid": "grey.keras takes images of 1 channel, but .* Train a model",
    "evaluate three.keras camvid": "three.keras has 3 classes .* masks of camvid have 11 .* Take",
    "evaluate model.keras gone": "No images in gone. Expected images/",
    "evaluate model.keras sheet": "No images in sheet/images. Expected files that end in .png",
    "evaluate model.keras camvid --split test": "camvid has no test split. Leave out --split",
    "evaluate model.keras camvid --split all": "invalid choice: 'all'",
    "evaluate model.keras camvid --image-size 9": "--image-size: expected 2 arguments",
    "predict gone.keras photo.png --output new": "no model file gone.keras. Take",
    "predict lambda.keras photo.png --output new": "lambda.keras holds a Lambda layer",
    "predict grey.keras photo.png --output new": "takes grey images, but photo.png is in colour",
    "predict fixed.keras photo.png --output new --tile 32": r"takes images of \(16, 16\) only",
    "predict model.keras gone.png --output new": "There is no image and no folder gone.png",
    "predict model.keras text.png --output new": "text.png cannot be read as an image: it is none",
    "predict model.keras photo.png text.png --output new": "text.png cannot be read as an image",
    "predict model.keras notes.txt --output new": "notes.txt is not an image. Expected a file that",
    "predict model.keras empty --output new": "No images in empty. Expected files that end in",
    "predict model.keras a/x.png b/x.jpg --output new": "a/x.png and b/x.jpg .* two folders",
    "predict model.keras photo.png --output file": "file is a file, not a folder. Choose another",
    "predict model.keras photo.png --output .": r"photo.png exists. Remove it, or choose another",
    "predict model.keras photo.png --output /proc/new": "/proc/new/photo.png cannot be written",
    "predict model.keras photo.png": "arguments are required: --output",
    f"{PREDICT} --tile -32": "--tile: expected a whole number of at least 1. Received: -32",
    f"{PREDICT} --tile wide": "--tile: expected a whole number of at least 1. Received: wide",
    f"{PREDICT} --overlap 1": "--overlap: expected a number from 0 to 0.9. Received: 1",
    f"{PREDICT} --image-size 9": "--image-size: expected H W or native. Received: 9",
    f"{PREDICT} --image-size native 9": "--image-size: expected H W or native. Received: native 9",
    f"{PREDICT} --image-size 0 9": "--image-size: expected a whole number of at least 1. Rec",
    "export model.keras --format coreml": "invalid choice: 'coreml'",
    "export model.keras --format onnx": "model.onnx exists. Remove it, or choose another",
    "export cut.keras --format savedmodel": "cut.keras is no .keras file",
    "chapters read": "invalid choice: 'read'",
    "chapters run": "No such lesson. Expected one of ch01_.* Received: None",
    "chapters run ch99": "No such lesson. Expected one of ch01_.* Received: ch99",
    "train gone --output new": "No images in gone. Expected images/",
    f"{TRAIN} --model resnet": "invalid choice: 'resnet'",
    f"{TRAIN} --model unett": r"invalid choice: 'unett' .*\. Did you mean unet\?",
    f"{TRAIN} --epochs 0": "--epochs: .*0",
    f"{TRAIN} --image-size 96": "--image-size: expected 2 arguments",
    f"{TRAIN} --balance 2": "--balance: .*2",
    "train camvid --output file": "file",
    "train camvid --output camvid": "in a folder that is read, here camvid. .* Choose a folder",
}
SLOW_TO_START = ("predict model.keras text.png --output new", f"{PREDICT} --tile -32")


def everything(folder):
    return {
        path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))
    }


def assert_one_line(errors, message):
    assert errors.startswith("kerasseg")
    assert ": error: " in errors
    assert errors.endswith("\n")
    assert errors.count("\n") == 1, errors
    assert "Traceback" not in errors
    assert re.search(message, errors), errors


@pytest.mark.parametrize(("words", "message"), BAD.items(), ids=BAD)
def test_one_line_says_what_is_wrong_and_nothing_is_written(
    kerasseg, home, words, message, monkeypatch, capsys
):
    monkeypatch.chdir(home)
    before = everything(home)
    assert kerasseg(*words.split()) == 2
    page, errors = capsys.readouterr()
    assert page == ""
    assert_one_line(errors, message)
    assert everything(home) == before


@pytest.mark.parametrize("words", SLOW_TO_START)
def test_the_script_says_nothing_else(home, words):
    before = everything(home)
    result = subprocess.run(
        [sys.executable, "-m", "kerasseg_command", *words.split()],
        env={**clean_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert_one_line(result.stderr, BAD[words])
    assert everything(home) == before


def test_help_and_wrong_words_do_not_wait_for_keras(home):
    script = (
        "import sys, kerasseg_command\n"
        "try:\n    kerasseg_command.main()\n"
        "except SystemExit as leaving:\n"
        "    assert not {'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)\n"
        "    sys.exit(leaving.code)\n"
    )
    for words, code in ((["predict", "--help"], 0), (["predict"], 2)):
        result = subprocess.run(
            [sys.executable, "-c", script, *words],
            env={**clean_environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=home,
            capture_output=True,
            text=True,
        )
        assert result.returncode == code, result.stderr


def clean_environment():
    """The environment of a user who has set nothing of TensorFlow's."""
    kept = environment(keras.backend.backend())
    return {key: value for key, value in kept.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
