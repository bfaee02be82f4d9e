"""Models for phones, browsers and servers, each checked against Keras before it is kept."""

import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerasseg.anatomy.graphs import called, graph_of, has_graph
from kerasseg.anatomy.outputs import (
    classes_of,
    main_output,
    output_of,
    to_classes,
    to_probabilities,
)
from kerasseg.anatomy.padding import fitting_size, input_format
from kerasseg.inference.prediction import predict_batch
from kerasseg.layers.windows import spatial_axes

TOLERANCE = 1e-4  # of the largest number of the output, where that is above 1
USUAL_SIZE = (64, 64)  # of the image that the check takes where the model names none


class Format(NamedTuple):
    """A format of `keras.Model.export`.

    Attributes:
        keras_name: What Keras calls it.
        suffix: Of the file or, for "savedmodel", of the folder.
        needs: {backend: {module to import: what to install}}; other backends cannot export it.
        run: A function of the exported path and a batch of images; the output.
    """

    keras_name: str
    suffix: str
    needs: dict
    run: Callable


def run_litert(path, image):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(entry["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(exit_["index"])


def run_onnx(path, image):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def run_saved_model(path, image):
    from kerasseg.layers import tensorflow

    return tensorflow.run_saved_model(path, image)


RUNTIME = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
FORMATS = {
    "litert": Format(
        "litert",
        ".tflite",
        {
            "tensorflow": {"ai_edge_litert": "ai-edge-litert"},
            "torch": {"ai_edge_litert": "ai-edge-litert", "litert_torch": "litert-torch"},
        },
        run_litert,
    ),
    "onnx": Format(
        "onnx",
        ".onnx",
        {
            "tensorflow": {**RUNTIME, "tf2onnx": "tf2onnx"},
            "jax": {**RUNTIME, "jax2onnx": "jax2onnx"},
            "torch": {**RUNTIME, "onnxscript": "onnxscript"},
        },
        run_onnx,
    ),
    "savedmodel": Format(
        "tf_saved_model",
        "_savedmodel",
        {"tensorflow": {}, "jax": {"tensorflow": "tensorflow"}},
        run_saved_model,
    ),
}


class Export(NamedTuple):
    """What was written, and how it compares with the Keras model on a random image.

    Attributes:
        path: The file, or the folder of a SavedModel.
        image_size: (height, width) of the image.
        difference: The largest difference between two numbers of the output.
        same_classes: The share of pixels that both give the same class; of a multi-label model, the
            share of all yes or no.
    """

    path: Path
    image_size: tuple
    difference: float
    same_classes: float


def export_model(model, path, format):
    """Writes a model for another runtime, and keeps the file only if it answers as Keras does.

    The exported model takes float32 images in [0, 1] in the batches and sizes that `model` takes;
    under JAX and PyTorch one image of one size, that of `classes_of(model)` or 64x64 where `model`
    leaves it open. It returns what `model` returns, logits or probabilities; of several outputs the
    main one alone (`kerasseg.anatomy.output_of`), since the others serve the training.

    Args:
        model: A built `keras.Model` from one image to one or several maps.
        path: Where to write it; nothing may be there yet. A SavedModel is a folder.
        format: "litert" (formerly TensorFlow Lite), "onnx" or "savedmodel".

    Returns:
        An `Export`.

    Raises:
        ValueError: if the format is unknown or the backend cannot write it, if the model cannot be
            converted or its output holds NaN, or if the exported model's output differs by more
            than 1e-4 of its largest number; the file is then not kept.
        FileExistsError: if there is something at `path`.
        ImportError: if a library that the format needs is not installed.

    Example:

    >>> export_model(model, "unet.tflite", "litert").same_classes  # doctest: +SKIP
    1.0
    """
    path = Path(path)
    check_target(path)
    check_format(format)
    meaning = output_of(model)
    model, meaning = main_part(model, meaning), meaning._replace(index=0)
    shape, size = image_shape(model)
    image = np.random.default_rng(0).random(shape, "float32")
    expected = predict_batch(model, image, meaning)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        unchecked = Path(folder, "model" + FORMATS[format].suffix)
        try:
            write(model, unchecked, format, shape)
            output = FORMATS[format].run(unchecked, image)
        except Exception as error:  # converters and runtimes have errors of their own
            raise ValueError(failure(model, format, error)) from error
        difference = float(np.abs(output - expected).max())
        if not difference <= TOLERANCE * max(1, np.abs(expected).max()):
            raise ValueError(
                f"The exported model differs from the Keras model by {difference:.2g}, expected at "
                f"most {TOLERANCE:.0e}. It is not kept."
            )
        os.replace(unchecked, path)
    ids = (to_classes(to_probabilities(x, meaning), meaning) for x in (output, expected))
    return Export(path, size, difference, float(np.mean(np.equal(*ids))))


def check_target(path):
    if path.exists():
        raise FileExistsError(f"{path} exists. Remove it, or choose another path.")


def check_format(format):
    """Raises if a format is unknown, if the backend cannot write it, or if a library is missing."""
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}. Received: {format!r}")
    backend, needs = keras.backend.backend(), FORMATS[format].needs
    if backend not in needs:
        raise ValueError(
            f"Keras cannot export {format} under {backend}. Set the environment variable "
            f"KERAS_BACKEND={' or '.join(needs)}: a .keras file loads under any backend."
        )
    modules = needs[backend].items()
    missing = [package for module, package in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(
            f"Exporting {format} needs {' and '.join(missing)}. "
            f"Run: pip install {' '.join(missing)}"
        )


def main_part(model, meaning):
    """A functional model of the main output alone, sharing layers and weights with `model`."""
    if has_graph(model):
        image, outputs = called(model)
        return keras.Model(image, outputs[meaning.index], name=model.name)
    channels = model.get_build_config()["input_shape"][meaning.axis]
    image = keras.Input((None, None, channels) if meaning.axis == -1 else (channels, None, None))
    return keras.Model(image, main_output(model(image), meaning), name=model.name)


def image_shape(model):
    """The shape of one image to compare with, and its height and width.

    The size is the model's own, else that of the training, else 64x64.
    """
    (given,) = (tuple(x.shape) for x in graph_of(model).inputs)
    axes = spatial_axes(input_format(model))
    known = classes_of(model)
    usual = (known and known.image_size) or USUAL_SIZE
    size = tuple(given[axis] or n for axis, n in zip(axes, usual))
    size = fitting_size(model, size) if None in given[1:] else size
    by_axis = {0: 1, **dict(zip(axes, size))}
    return tuple(by_axis.get(axis, n) for axis, n in enumerate(given)), size


def write(model, path, format, shape):
    if keras.backend.backend() == "tensorflow":
        shape = graph_of(model).inputs[0].shape
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of converters about themselves
        model.export(
            str(path), format=FORMATS[format].keras_name, input_signature=signature, verbose=False
        )
    if format == "onnx":
        write_paddings(path)


def write_paddings(path):
    """Writes the padding of dilated convolutions into an ONNX file as numbers.

    tf2onnx writes "SAME_UPPER" for them, which ONNX Runtime refuses together with a dilation. At
    stride 1 it is the same for every image size.
    """
    import onnx

    model = onnx.load(path)
    for node in model.graph.node:
        values = {x.name: onnx.helper.get_attribute_value(x) for x in node.attribute}
        rates = values.get("dilations", [1])
        if node.op_type != "Conv" or values.get("auto_pad") != b"SAME_UPPER" or max(rates) == 1:
            continue
        if max(values.get("strides", [1])) > 1:  # the padding depends on the size of the image
            continue
        totals = [(size - 1) * rate for size, rate in zip(values["kernel_shape"], rates)]
        pads = [n // 2 for n in totals] + [n - n // 2 for n in totals]
        for attribute in [x for x in node.attribute if x.name in ("auto_pad", "pads")]:
            node.attribute.remove(attribute)
        node.attribute.append(onnx.helper.make_attribute("pads", pads))
    onnx.save(model, path)


def failure(model, format, error):
    """In a sentence: what a converter or a runtime could not do."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    backend = keras.backend.backend()
    sentence = f"Keras cannot export {model.name} as {format} under {backend}: {reason}"
    others = " or ".join(name for name in FORMATS[format].needs if name != backend)
    return sentence + f" Set KERAS_BACKEND to {others}: its converter is another." * bool(others)
