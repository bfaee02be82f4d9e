"""Reading a model from a file that anyone may have given us."""

import json
import zipfile
from pathlib import Path

import keras

from kerasseg.anatomy.outputs import classes_of, output_of
from kerasseg.anatomy.padding import input_format
from kerasseg.datasets.masks import voc_colours
from kerasseg.layers import NamedClasses

ANOTHER = "Take the .keras file that `kerasseg train` or `model.save` wrote."


def load(path):
    """The model in a `.keras` file, not compiled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a model or only a part of one, or if it holds code.
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
    """Raises `ValueError` for a Lambda layer, which is code, and for unknown classes."""
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
    """How many channels a model's images have, after a look at what it takes and returns.

    Raises:
        ValueError: if the model does not turn one image into a map of classes.
    """
    inputs, outputs = ([tuple(x.shape) for x in xs] for xs in (model.inputs, model.outputs))
    meaning = output_of(model)
    if [len(shape) for shape in (*inputs, outputs[meaning.index])] == [4, 4]:
        channels = inputs[0][-1 if input_format(model) == "channels_last" else 1]
        if None not in (channels, meaning.num_classes):
            return channels
    raise ValueError(
        f"{path} must be a model from one image (batch, height, width, channels) to one map of "
        f"classes. Received: inputs and outputs of shapes {inputs + outputs}"
    )


def classes_in(model):
    """The model's `NamedClasses`, or such a layer with numbers for names and distinct colours."""
    meaning = output_of(model)
    multi_label, count = meaning.labels == "multilabel", meaning.num_classes
    names = [f"{'label' if multi_label else 'class'} {i}" for i in range(count)]
    known = classes_of(model) or NamedClasses(names, multi_label=multi_label)
    if known.colours is None:
        # The first VOC colour is black: it suits a background, but no label.
        known.colours = tuple(voc_colours(count + multi_label)[multi_label:])
    return known
