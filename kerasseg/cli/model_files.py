"""Reading a model from a file that anyone may have given us."""

import json
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

from kerasseg.anatomy.graphs import graph_of, has_graph
from kerasseg.anatomy.outputs import classes_of, output_of
from kerasseg.anatomy.padding import input_format
from kerasseg.datasets.masks import voc_colours
from kerasseg.layers import NamedClasses

ANOTHER = "Take the .keras file that `kerasseg train` or `model.save` wrote."
WEIGHTS = ("model.weights.h5", "model.weights.npz")
MOST_CONFIG = 2**26  # bytes of a config: that of the largest model here has a hundredth
MOST_UNPACKED = 20  # bytes for each in the file; Keras packs nothing, numbers shrink little
FEW = 2**28  # bytes, which may unpack from anything


def load(path):
    """The model in a `.keras` file, not compiled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not a model or only a part of one, if it holds code, or if it
            declares more than it holds; if the model's weights are not those of the file, or not
            numbers, or if it does not fit its own names of classes.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}. {ANOTHER}")
    if not path.is_file():  # a pipe would be waited for
        raise ValueError(f"{path} is no .keras file, nor any regular file. {ANOTHER}")
    if path.suffix != ".keras" or not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .keras file, or only a part of one. {ANOTHER}")
    config, stored = read_archive(path)
    refuse_strangers(config, path)
    try:
        check_declared(config, stored, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters in them is checked here
            model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # a wrong config fails in any way
        raise ValueError(f"{path} cannot be loaded: {reason(error)} {ANOTHER}") from error
    check_model(model, path)
    return model


def reason(error):
    """The first line of an error, as a sentence; of an error in an object of a config, its own."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    words = (text.splitlines() or [""])[0][:300] or type(error).__name__
    return words if words.endswith((".", "?", "!")) else f"{words}."


def read_archive(path):
    """`(config, bytes of the weights)` of a file, none of which is read before its size is known.

    Raises:
        ValueError: a damaged or encrypted archive, one without a config or without weights, or one
            that unpacks to far more than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {part.filename: part.file_size for part in archive.infolist()}
            total = sum(part.file_size for part in archive.infolist())
            most = max(FEW, MOST_UNPACKED * path.stat().st_size)
            if sizes.get("config.json", 0) > MOST_CONFIG or total > most:
                raise ValueError(
                    f"{path.stat().st_size:,} bytes unpack to {total:,}, which is no model"
                )
            stored = [sizes[name] for name in WEIGHTS if name in sizes]
            config = json.loads(archive.read("config.json"))
            damaged = archive.testzip()
    except Exception as error:  # damage shows in many ways, from BadZipFile to RecursionError
        raise ValueError(f"{path} is damaged: {reason(error)} {ANOTHER}") from error
    if damaged:
        raise ValueError(f"{path} is damaged: {damaged} is not what was written. {ANOTHER}")
    if not stored:
        raise ValueError(f"{path} holds no weights. {ANOTHER}")
    return config, stored[0]


def check_declared(config, stored, path):
    """Raises `ValueError` for a model whose weights would be far larger than those of its file.

    The model is built without its weights: each knows its shape and takes no memory.
    """
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None})
    count = model.count_params() if isinstance(model, keras.Model) and model.built else 0
    if count > stored + FEW // 4:  # the smallest weights have a byte
        raise ValueError(f"it declares {count:,} weights, and holds {stored:,} bytes of them")


def check_model(model, path):
    """Raises `ValueError` for what is no model, or cannot predict."""
    if not isinstance(model, keras.Model):
        raise ValueError(f"{path} holds a {type(model).__name__}, which is no model. {ANOTHER}")
    if not model.built:
        raise ValueError(f"{path} holds a model that was never built. Call it once, and save it.")
    for weight in model.weights:
        numbers = keras.ops.convert_to_numpy(weight)
        if keras.backend.is_float_dtype(weight.dtype) and not np.isfinite(numbers).all():
            raise ValueError(
                f"{path} has weights that are not numbers, in {weight.path}: the training "
                "diverged. Take the file of an earlier epoch."
            )
    try:
        known, meaning = classes_of(model), output_of(model)
    except Exception as error:  # of a model that is not one from images to maps
        raise ValueError(f"{path} cannot be used: {reason(error)}") from error
    if known is not None and len(known.class_names) != meaning.num_classes:
        raise ValueError(
            f"{path} names {len(known.class_names)} classes, but gives scores of "
            f"{meaning.num_classes}. Name them all: `kerasseg.models.with_classes`."
        )


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
    if not has_graph(model):
        raise ValueError(f"{path} holds a model without a graph. Use kerasseg.predict_image.")
    graph = graph_of(model)
    inputs, outputs = ([tuple(x.shape) for x in xs] for xs in (graph.inputs, graph.outputs))
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
