import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.layers import CenterCropLike, PadToMultiple, ReflectionPadding2D


def mirrored(x, padded):
    """The reference: walk over the map and turn round at its ends."""
    before, position, step, walk = (padded - len(x)) // 2, 0, -1, []
    for _ in range(before):
        position, step = turn(position, step, len(x))
        walk.append(position)
    walk = walk[::-1]
    position, step = 0, 1
    while len(walk) < padded:
        walk.append(position)
        position, step = turn(position, step, len(x))
    return [x[i] for i in walk]


def turn(position, step, size):
    if size == 1:
        return 0, step
    if not 0 <= position + step < size:
        step = -step
    return position + step, step


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 9])
def test_pads_by_a_mirror_that_repeats(size):
    row = np.arange(1.0, size + 1)
    padded = -(-size // 8) * 8
    result = ops.convert_to_numpy(PadToMultiple(8)(row.reshape(1, 1, size, 1)))
    assert result.shape == (1, 8, padded, 1)
    np.testing.assert_array_equal(result[0, 3, :, 0], mirrored(row, padded))


@pytest.mark.parametrize(("size", "padded"), [(1, 1), (2, 9), (8, 9), (9, 9), (10, 17)])
def test_remainder_is_what_the_division_leaves(size, padded):
    row = np.arange(1.0, size + 1).reshape(1, 1, size, 1)
    layer = PadToMultiple(8, remainder=1)
    result = ops.convert_to_numpy(layer(row))
    assert result.shape == layer.compute_output_shape(row.shape) == (1, 1, padded, 1)
    np.testing.assert_array_equal(result[0, 0, :, 0], mirrored(row[0, 0, :, 0], padded))


@pytest.mark.parametrize("remainder", [-1, 4, 0.5])
def test_a_remainder_that_cannot_be_is_named(remainder):
    with pytest.raises(ValueError, match=f"Received: remainder={remainder}, multiple=4"):
        PadToMultiple(4, remainder=remainder)


@pytest.mark.parametrize(("size", "padded"), [(1, 9), (6, 9), (7, 9), (9, 9), (10, 12)])
def test_minimum_is_reached_and_the_multiple_kept(size, padded):
    row = np.arange(1.0, size + 1).reshape(1, 1, size, 1)
    layer = PadToMultiple(3, minimum=7)
    result = ops.convert_to_numpy(layer(row))
    assert result.shape == layer.compute_output_shape(row.shape) == (1, 9, padded, 1)
    np.testing.assert_array_equal(result[0, 0, :, 0], mirrored(row[0, 0, :, 0], padded))


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("padding", [0, 1, 7])
def test_reflection_pads_every_size_as_much_on_each_side(size, padding):
    row = np.arange(1.0, size + 1).reshape(1, 1, size, 1)
    layer = ReflectionPadding2D(padding)
    result = ops.convert_to_numpy(layer(row))
    shape = (1, 1 + 2 * padding, size + 2 * padding, 1)
    assert result.shape == layer.compute_output_shape(row.shape) == shape
    np.testing.assert_array_equal(
        result[0, padding, :, 0], mirrored(row[0, 0, :, 0], size + 2 * padding)
    )
    if padding < size:
        np.testing.assert_array_equal(
            result[0, padding, :, 0], np.pad(row[0, 0, :, 0], padding, "reflect")
        )


@pytest.mark.parametrize("padding", [-1, 1.5])
def test_a_padding_that_cannot_be_is_named(padding):
    with pytest.raises(ValueError, match=f"Received: padding={padding}"):
        ReflectionPadding2D(padding)


@pytest.mark.parametrize("shape", [(2, 5, 9, 3), (1, 1, 2, 4), (2, 8, 4, 1)])
def test_cropping_undoes_padding(shape, rng):
    x = rng.normal(size=shape).astype("float32")
    np.testing.assert_array_equal(CenterCropLike()(PadToMultiple(4)(x), x), x)


def test_channels_first_pads_the_last_two_axes(rng):
    x = rng.normal(size=(2, 3, 5, 6)).astype("float32")
    first = PadToMultiple(4, data_format="channels_first")(x)
    last = PadToMultiple(4)(np.moveaxis(x, 1, -1))
    np.testing.assert_array_equal(first, np.moveaxis(ops.convert_to_numpy(last), -1, 1))


def test_sizes_known_only_at_run_time_give_the_same(rng):
    image = keras.Input((None, None, 2))
    model = keras.Model(image, PadToMultiple(16)(image))
    assert model.output_shape == (None, None, None, 2)
    for size in ((5, 40), (16, 17)):
        x = rng.normal(size=(3, *size, 2)).astype("float32")
        np.testing.assert_array_equal(model.predict(x, verbose=0), PadToMultiple(16)(x))


def test_symbolic_shape_rounds_up():
    assert PadToMultiple(16)(keras.Input((17, 32, 3))).shape == (None, 32, 32, 3)


@pytest.mark.parametrize("multiple", [0, -2, 1.5])
def test_a_multiple_that_cannot_be_is_named(multiple):
    with pytest.raises(ValueError, match=f"Received: multiple={multiple}"):
        PadToMultiple(multiple)


def test_config_round_trip():
    layer = PadToMultiple(6, remainder=5, data_format="channels_first", name="p")
    config = layer.get_config()
    assert PadToMultiple.from_config(config).get_config() == config


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="dynamic sizes, exported")
@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_exported_sizes_known_only_at_run_time_give_the_same(form, tmp_path, rng):
    packages = {"onnx": "onnxruntime", "litert": "ai_edge_litert.interpreter"}
    runtime = pytest.importorskip(packages[form])
    image = keras.Input((None, None, 2))
    model = keras.Model(image, PadToMultiple(8)(image))
    path = str(tmp_path / f"model.{'tflite' if form == 'litert' else form}")
    model(np.zeros((1, 5, 5, 2)))
    model.export(path, format=form, verbose=False)
    for size in ((3, 5), (1, 17), (8, 16)):
        x = rng.random((1, *size, 2)).astype("float32")
        if form == "onnx":
            session = runtime.InferenceSession(path)
            (result,) = session.run(None, {session.get_inputs()[0].name: x})
        else:
            interpreter = runtime.Interpreter(path)
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], x.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
            interpreter.invoke()
            result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_array_equal(result, PadToMultiple(8)(x))
