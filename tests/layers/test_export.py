"""SegNet with its unpooling leaves Keras: LiteRT's plain interpreter and ONNX Runtime.

JAX cannot export to LiteRT (Keras has no such route), and its ONNX export needs jax2onnx; PyTorch's
LiteRT export needs litert-torch. Hence TensorFlow here, and PyTorch for ONNX at fixed sizes.
"""

import keras
import numpy as np
import pytest

from kerasseg.models import segnet
from tests.layers.cases import BACKEND, numpy

SIZES = {(48, 64, 3): [(48, 64)], (45, 61, 3): [(45, 61)], (None, None, 3): [(48, 64), (45, 61)]}
EVERY_SHAPE = pytest.mark.parametrize("shape", SIZES, ids=str)


def make_segnet(shape, rng):
    """Random weights, scaled so that logits are a few units apart and of both signs."""
    model = segnet(shape, 5, width=0.1)
    for variable in model.trainable_variables:
        if variable.path.endswith("kernel"):
            scale = np.sqrt(2 / np.prod(variable.shape[:-1]))
            variable.assign(scale * rng.normal(size=variable.shape))
    logits = numpy(model(rng.random((2, *SIZES[shape][0], 3))))
    scores = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    scores.kernel.assign(scores.kernel * 3 / logits.std())
    return model


def assert_same_map(ours, theirs):
    assert np.ptp(theirs) > 1, "logits too close together to show a difference"
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(ours.argmax(-1), theirs.argmax(-1))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="JAX cannot export to LiteRT")
@EVERY_SHAPE
def test_segnet_runs_in_the_plain_litert_interpreter(shape, tmp_path, rng):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model, path = make_segnet(shape, rng), str(tmp_path / "segnet.tflite")
    model.export(path, format="litert", verbose=False)
    interpreter = litert.Interpreter(path)
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    for size in SIZES[shape]:
        x = rng.random((2, *size, 3)).astype("float32")
        interpreter.resize_tensor_input(entry["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        assert_same_map(interpreter.get_tensor(exit_["index"]), numpy(model(x)))
    assert not [o for o in interpreter._get_ops_details() if o["op_name"].startswith("Flex")]


@pytest.mark.skipif(BACKEND == "jax", reason="needs jax2onnx")
@EVERY_SHAPE
def test_segnet_runs_in_onnx_runtime(shape, tmp_path, rng):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx" if BACKEND == "tensorflow" else "onnxscript")
    if BACKEND == "torch" and None in shape:
        pytest.skip("Keras exports fixed sizes from PyTorch")
    model, path = make_segnet(shape, rng), str(tmp_path / "segnet.onnx")
    batch = None if BACKEND == "tensorflow" else 2
    signature = [keras.InputSpec(shape=(batch, *shape), dtype="float32", name="image")]
    model.export(path, format="onnx", input_signature=signature, verbose=False)
    session = runtime.InferenceSession(path)
    for size in SIZES[shape]:
        x = rng.random((2, *size, 3)).astype("float32")
        (logits,) = session.run(None, {session.get_inputs()[0].name: x})
        assert_same_map(logits, numpy(model(x)))
