"""Unpooling leaves Keras as ordinary operations: a SavedModel, plain LiteRT and ONNX Runtime.

JAX cannot export to LiteRT (Keras has no such route), and its ONNX export needs jax2onnx; PyTorch's
LiteRT export needs litert-torch. Hence TensorFlow here, and PyTorch for ONNX at fixed sizes.
"""

import keras
import numpy as np
import pytest

from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
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


TRAINED_SIZES = {(6, 8, 3): [(6, 8)], (7, 9, 3): [(7, 9)], (None, None, 3): [(6, 8), (7, 9)]}
TENSORFLOW_ALONE = pytest.mark.skipif(BACKEND != "tensorflow", reason="its compiled pieces")


@pytest.fixture(scope="module", params=TRAINED_SIZES, ids=str)
def trained(request):
    """A model that fit and predict have just compiled: `(model, images, what it predicts)`."""
    image = keras.Input(request.param, name="image")
    x = before = keras.layers.Conv2D(4, 3, padding="same")(image)
    x, argmax = MaxPoolingWithArgmax2D(padding="same")(x)
    x = MaxUnpooling2D(padding="same")(x, argmax, like=before)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(x))
    model.compile("sgd", "mse")
    rng, sizes = np.random.default_rng(0), TRAINED_SIZES[request.param]
    images = [rng.normal(size=(2, *size, 3)).astype("float32") for size in sizes]
    for x in images:
        model.fit(x, x[..., :2], epochs=3, verbose=0)
    return model, images, [model.predict(x, verbose=0) for x in images for _ in range(2)][::2]


@TENSORFLOW_ALONE
def test_the_saved_model_of_a_trained_pair_holds_no_compiled_function(trained, tmp_path, caplog):
    import tensorflow as tf
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    model, images, predicted = trained
    model.export(str(tmp_path), format="tf_saved_model", verbose=False)
    graph = parse_saved_model(str(tmp_path)).meta_graphs[0].graph_def
    compiled = [f.signature.name for f in graph.library.function if "_XlaMustCompile" in f.attr]
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    assert not compiled
    assert not [node.op for node in nodes if "_XlaMustCompile" in node.attr or "Xla" in node.op]
    loaded = tf.saved_model.load(str(tmp_path))
    for x, expected in zip(images, predicted):
        np.testing.assert_allclose(loaded.serve(x), expected, atol=1e-5)
        gradients = []
        for function in (loaded.serve, model):
            with tf.GradientTape() as tape:
                variable = tf.Variable(x)
                y = function(tf.convert_to_tensor(variable))
            gradients.append(tape.gradient(y, variable))
        np.testing.assert_allclose(*gradients, atol=1e-5)
    assert not caplog.records, "loading warns"


@TENSORFLOW_ALONE
def test_the_litert_file_of_a_trained_pair_holds_ordinary_operations(trained, tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model, images, predicted = trained
    path = str(tmp_path / "pair.tflite")
    model.export(path, format="litert", verbose=False)
    interpreter = litert.Interpreter(path)
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    for x, expected in zip(images, predicted):
        interpreter.resize_tensor_input(entry["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], x)
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(exit_["index"]), expected, atol=1e-5)
    names = {operation["op_name"] for operation in interpreter._get_ops_details()}
    assert not [name for name in names if name.startswith(("Flex", "CUSTOM", "Xla"))]


@pytest.mark.skipif(BACKEND == "jax", reason="needs jax2onnx")
def test_the_onnx_file_of_a_trained_pair_holds_onnx_operations(trained, tmp_path):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx" if BACKEND == "tensorflow" else "onnxscript")
    model, images, predicted = trained
    shape = model.input_shape[1:]
    if BACKEND == "torch" and None in shape:
        pytest.skip("Keras exports fixed sizes from PyTorch")
    path = str(tmp_path / "pair.onnx")
    batch = None if BACKEND == "tensorflow" else 2
    signature = [keras.InputSpec(shape=(batch, *shape), dtype="float32", name="image")]
    model.export(path, format="onnx", input_signature=signature, verbose=False)
    session = runtime.InferenceSession(path)
    for x, expected in zip(images, predicted):
        (result,) = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(result, expected, atol=1e-5)
    assert {node.domain for node in onnx.load(path).graph.node} <= {"", "ai.onnx"}


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
