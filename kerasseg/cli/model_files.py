"""Reading a model from a file that anyone may have given us."""

import json
import zipfile
from pathlib import Path

import keras

from kerasseg.anatomy import classes_of
from kerasseg.datasets.masks import voc_colours
from kerasseg.layers import NamedClasses

ANOTHER = "Take the .keras file that `kerasseg train` or `model.save` wrote."


def load(path):
    """The model in a `.keras` file, not compiled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is no model, is cut short, or holds what is not to be run.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}. {ANOTHER}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .keras file, or only a part of one. {ANOTHER}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}. {ANOTHER}") from error
    if damaged:
        raise ValueError(f"{path} is damaged: {damaged} is not what was written. {ANOTHER}")
    refuse_strangers(config, path)
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # a wrong config fails in any way
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} cannot be loaded: {words[:300]} {ANOTHER}") from error


def refuse_strangers(config, path):
    """Raises `ValueError` for a Lambda layer, which is code, and for classes that nobody knows."""
    if isinstance(config, dict):
        name, module = config.get("class_name"), config.get("module")
        if name == "Lambda" and (module or "").startswith("keras"):
            raise ValueError(
                f"{path} holds a Lambda layer, which is Python code, and a file's code is not run. "
                "Write the layer as a class or with keras.ops, and save the model again."
            )
        registered = config.get("registered_name")
        known = not registered or keras.saving.get_registered_object(registered)
        if module and not known and not module.startswith(("keras", "builtins")):
            raise ValueError(
                f"{path} holds an object of class {name}, of which Keras and kerasseg know "
                "nothing. Load it in Python, where the class is imported and registered."
            )
        config = [entry for key, entry in config.items() if key != "compile_config"]  # not loaded
    if isinstance(config, list):
        for entry in config:
            refuse_strangers(entry, path)


def channels_of(model, path):
    """The channels of a model's pictures, after a look at what it takes and gives.

    Raises:
        ValueError: no model of one picture and its map of classes.
    """
    shapes = [tuple(x.shape) for x in (*model.inputs, *model.outputs)]
    if [len(shape) for shape in shapes] != [4, 4] or None in (shapes[0][-1], shapes[1][-1]):
        raise ValueError(
            f"{path} must be a model from one image (batch, height, width, channels) to one map of "
            f"classes. Received: inputs and outputs of shapes {shapes}"
        )
    return shapes[0][-1]


def classes_in(model):
    """The model's `NamedClasses`, or such a layer with numbers for names and distinct colours."""
    count = model.output_shape[-1]
    known = classes_of(model) or NamedClasses([f"class {i}" for i in range(count)])
    if known.colours is None:
        known.colours = tuple(voc_colours(count))
    return known
