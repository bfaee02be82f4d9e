"""Models for phones, browsers and servers, each checked against Keras before it is kept."""

import importlib.util
import os
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from kerasseg.models import classes_of

TOLERANCE = 1e-4  # of a logit; of the largest one, where that is above 1
USUAL_SIZE = (64, 64)  # of the picture that the check takes where the model names none


class Format(NamedTuple):
    """A format of `keras.Model.export`.

    Attributes:
        keras_name: What Keras calls it.
        suffix: Of the file, empty for a folder.
        needs: {backend: {module to import: what to install}}; other backends cannot export it.
    """

    keras_name: str
    suffix: str
    needs: dict


RUNTIME = {"onnx": "onnx", "onnxruntime": "onnxruntime"}
FORMATS = {
    "litert": Format(
        "litert",
        ".tflite",
        {
            "tensorflow": {"ai_edge_litert": "ai-edge-litert"},
            "torch": {"ai_edge_litert": "ai-edge-litert", "litert_torch": "litert-torch"},
        },
    ),
    "onnx": Format(
        "onnx",
        ".onnx",
        {
            "tensorflow": {**RUNTIME, "tf2onnx": "tf2onnx"},
            "jax": {**RUNTIME, "jax2onnx": "jax2onnx"},
            "torch": {**RUNTIME, "onnxscript": "onnxscript"},
        },
    ),
    "savedmodel": Format(
        "tf_saved_model",
        "",
        {"tensorflow": {}, "jax": {"tensorflow": "tensorflow"}},
    ),
}


class Export(NamedTuple):
    """What was written, and how it compares with the Keras model on a random picture.

    Attributes:
        path: The file, or the folder of a SavedModel.
        image_size: (height, width) of the picture.
        difference: The largest one of two logits.
        same_classes: The share of pixels that both give the same class.
    """

    path: Path
    image_size: tuple
    difference: float
    same_classes: float


def export_model(model, path, format):
    """Writes a model for another runtime, and keeps the file only if it answers as Keras does.

    The exported model takes float32 pictures in [0, 1] in the batches and sizes that `model` takes;
    under JAX and PyTorch one picture of one size, that of `classes_of(model)` or 64x64 where
    `model` leaves it open.

    Args:
        model: A functional `keras.Model` from one image to logits.
        path: Where to; nothing may be there yet. A SavedModel is a folder.
        format: "litert" (formerly TensorFlow Lite), "onnx" or "savedmodel".

    Returns:
        An `Export`.

    Raises:
        ValueError: an unknown format, one that the backend cannot write, a model that cannot be
            converted, or a file whose logits differ by more than 1e-4 of the largest one; it is
            not kept.
        FileExistsError: something lies at `path`.
        ImportError: a library that the format needs is not installed.

    Example:

    >>> export_model(model, "unet.tflite", "litert").same_classes
    1.0
    """
    path = Path(path)
    check_target(path)
    check_format(format)
    size = usual_size(model)
    image = np.random.default_rng(0).random((1, *size, model.input_shape[-1]), "float32")
    expected = keras.ops.convert_to_numpy(model(image, training=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        unchecked = Path(folder, "model" + FORMATS[format].suffix)
        try:
            write(model, unchecked, format, size)
            logits = RUN[format](unchecked, image)
        except Exception as error:  # converters and runtimes have errors of their own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            others = ", ".join(FORMATS[format].needs)
            raise ValueError(
                f"Keras cannot export {model.name} as {format} under {keras.backend.backend()}: "
                f"{reason} Set KERAS_BACKEND to another of {others}."
            ) from error
        difference = float(np.abs(logits - expected).max())
        if not difference <= TOLERANCE * max(1, np.abs(expected).max()):
            raise ValueError(
                f"The exported model differs from the Keras model by {difference:.2g} in a logit, "
                f"expected at most {TOLERANCE:.0e}. It is not kept."
            )
        os.replace(unchecked, path)
    same = np.mean(logits.argmax(-1) == expected.argmax(-1))
    return Export(path, size, difference, float(same))


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
    missing = [
        package
        for module, package in needs[backend].items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise ImportError(
            f"Exporting {format} needs {' and '.join(missing)}. Run: pip install "
            + " ".join(missing)
        )


def usual_size(model):
    """(height, width) of the picture to compare with: the model's own, the training's, or 64x64."""
    known = classes_of(model)
    usual = (known and known.image_size) or USUAL_SIZE
    return tuple(fixed or size for fixed, size in zip(model.input_shape[1:3], usual))


def write(model, path, format, size):
    any_size = keras.backend.backend() == "tensorflow"
    shape = model.input_shape if any_size else (1, *size, model.input_shape[-1])
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of converters about themselves
        model.export(
            str(path), format=FORMATS[format].keras_name, input_signature=signature, verbose=False
        )


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
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # its variables live as long as it does
    return loaded.serve(image).numpy()


RUN = {"litert": run_litert, "onnx": run_onnx, "savedmodel": run_saved_model}
