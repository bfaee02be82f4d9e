"""What every layer accepts: sizes, dtypes, Keras's default float type, and how it is called."""

import keras
import numpy as np
import pytest
from keras import ops

from kerasseg import layers
from tests.layers.cases import numpy

MAP = np.random.default_rng(0).normal(size=(2, 6, 10, 4)).astype("float32")
SMALL = MAP[:, :3, :5]
ARGMAX = np.ones(SMALL.shape, "uint8")

# Each layer, and how to call it.
CALLS = {
    "AtrousConv2D": lambda: layers.AtrousConv2D(3, 3, 2, padding="same")(MAP),
    "AtrousSpatialPyramidPooling": lambda: layers.AtrousSpatialPyramidPooling(3, (1, 2))(MAP),
    "AverageUnpooling2D": lambda: layers.AverageUnpooling2D(2)(MAP),
    "BilinearUpsampling2D": lambda: layers.BilinearUpsampling2D(2)(MAP),
    "BilinearUpsampling2D, corners": lambda: layers.BilinearUpsampling2D(2, True)(SMALL, MAP),
    "CaffePreprocessing": lambda: layers.CaffePreprocessing()(MAP),
    "CenterCropLike": lambda: layers.CenterCropLike()(MAP, SMALL),
    "CropLike": lambda: layers.CropLike(1)(MAP, SMALL),
    "FusedBatchNormalization": lambda: layers.FusedBatchNormalization()(MAP, training=True),
    "LocalResponseNormalization": lambda: layers.LocalResponseNormalization()(MAP),
    "MaxPoolingWithArgmax2D": lambda: layers.MaxPoolingWithArgmax2D(2)(MAP)[0],
    "MaxPoolingWithArgmax2D, same": lambda: layers.MaxPoolingWithArgmax2D(3, 2, "same")(MAP)[0],
    "MaxUnpooling2D": lambda: layers.MaxUnpooling2D(2)(SMALL, ARGMAX, MAP),
    "MaxUnpooling2D, same": lambda: layers.MaxUnpooling2D(2, padding="same")(SMALL, ARGMAX),
    "NamedClasses": lambda: layers.NamedClasses(list("abcd"))(MAP),
    "PadToMultiple": lambda: layers.PadToMultiple(8)(MAP),
    "PyramidPooling": lambda: layers.PyramidPooling((1, 2), 3)(MAP),
    "ReflectionPadding2D": lambda: layers.ReflectionPadding2D(7)(MAP),
    "Sampling": lambda: layers.Sampling(1)(MAP, MAP),
}


def test_every_layer_has_a_call_here():
    classes = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert {name.split(",")[0] for name in CALLS} == classes


@pytest.fixture
def default_float():
    """Sets Keras's default float type, as at the start of a program: layers take it as theirs."""

    def set_default(name):
        keras.config.set_floatx(name)
        keras.config.set_dtype_policy(name)

    yield set_default
    set_default("float32")


@pytest.mark.parametrize("floatx", ["float64", "float16"])
@pytest.mark.parametrize("name", CALLS)
def test_a_layer_runs_whatever_the_default_float_is(name, floatx, default_float):
    if floatx == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where the whole process enables it")
    if name != "Sampling":
        expected = None if "Atrous" in name or "Pyramid" in name else numpy(CALLS[name]())
    default_float(floatx)
    y = CALLS[name]()
    assert keras.backend.standardize_dtype(y.dtype) == ("float32" if "Named" in name else floatx)
    if name != "Sampling" and expected is not None:
        atol = 0.01 * np.abs(expected).max()
        np.testing.assert_allclose(numpy(y).astype("float32"), expected, rtol=0.01, atol=atol)


FREE_SIZE = {
    "PadToMultiple": lambda x: layers.PadToMultiple(8)(x),
    "ReflectionPadding2D": lambda x: layers.ReflectionPadding2D(3)(x),
    "BilinearUpsampling2D": lambda x: layers.BilinearUpsampling2D(3, align_corners=True)(x),
    "BilinearUpsampling2D, half pixels": lambda x: layers.BilinearUpsampling2D(3)(x),
    "PyramidPooling": lambda x: layers.PyramidPooling((1, 2), 3)(x),
    "pooling and unpooling": lambda x: layers.MaxUnpooling2D(3, 2, "same")(
        *layers.MaxPoolingWithArgmax2D(3, 2, "same")(x), like=x
    ),
}


@pytest.mark.parametrize("floatx", ["float64", "float16"])
@pytest.mark.parametrize("name", FREE_SIZE)
def test_a_layer_of_free_size_trains_whatever_the_default_float_is(name, floatx, default_float):
    if floatx == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where the whole process enables it")
    default_float(floatx)
    image = keras.Input((None, None, 4))
    model = keras.Model(image, FREE_SIZE[name](keras.layers.Conv2D(4, 1)(image)))
    model.compile("sgd", "mse")
    losses = model.fit(MAP, numpy(model(MAP)), epochs=1, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "float16", "mixed_float16"])
@pytest.mark.parametrize("training", [True, False])
def test_fused_batch_normalization_follows_keras_under_every_dtype_policy(policy, training):
    if policy == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where the whole process enables it")
    ours = layers.FusedBatchNormalization(dtype=policy)
    theirs = keras.layers.BatchNormalization(dtype=policy)
    y, expected = ours(MAP, training=training), theirs(MAP, training=training)
    assert y.dtype == expected.dtype
    y, expected = (numpy(ops.cast(x, "float32")) for x in (y, expected))
    np.testing.assert_allclose(y, expected, atol=0.03)
    for a, b in zip(ours.weights, theirs.weights):
        np.testing.assert_allclose(
            numpy(ops.cast(a, "float32")), numpy(ops.cast(b, "float32")), rtol=0.01, atol=0.01
        )


SIZES = {
    "pool_size": lambda n: layers.MaxPoolingWithArgmax2D(pool_size=n),
    "strides": lambda n: layers.MaxUnpooling2D(strides=n),
    "size": lambda n: layers.BilinearUpsampling2D(n),
    "multiple": lambda n: layers.PadToMultiple(n),
    "minimum": lambda n: layers.PadToMultiple(4, minimum=n),
    "remainder": lambda n: layers.PadToMultiple(4, remainder=n),
    "padding": lambda n: layers.ReflectionPadding2D(n),
    "offset": lambda n: layers.CropLike(n),
    "rate": lambda n: layers.AtrousConv2D(4, 3, n),
    "filters": lambda n: layers.AtrousConv2D(n, 3),
    "kernel_size": lambda n: layers.AtrousConv2D(4, n),
    "rates": lambda n: layers.AtrousSpatialPyramidPooling(4, rates=n),
    "bins": lambda n: layers.PyramidPooling(n, 4),
}


@pytest.mark.parametrize("name", SIZES)
def test_a_size_may_be_an_integer_of_numpy(name):
    assert_same_config(SIZES[name](np.int64(3)), SIZES[name](3))
    assert_same_config(SIZES[name](np.array(3)), SIZES[name](3))


@pytest.mark.parametrize("name", ["pool_size", "strides", "size", "rate", "rates", "bins"])
@pytest.mark.parametrize("pair", [[3, 2], np.array([3, 2]), (np.int32(3), np.uint8(2))])
def test_several_sizes_may_be_a_list_or_an_array(name, pair):
    assert_same_config(SIZES[name](pair), SIZES[name]((3, 2)))


def assert_same_config(layer, expected):
    config, expected = layer.get_config(), expected.get_config()
    config.pop("name"), expected.pop("name")
    assert config == expected
    assert str(config) == str(expected)  # no integers of NumPy, which JSON does not know


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("wrong", [True, np.True_, 2.0, np.array(2.0), -1, "2", None])
def test_what_is_no_size_is_named(name, wrong):
    if name == "strides" and wrong is None:
        pytest.skip("None means the pool size")
    with pytest.raises(ValueError, match=f"Received: {name}="):
        SIZES[name](wrong)


def test_padding_and_data_format_may_be_in_capitals_as_in_keras():
    layer = layers.MaxPoolingWithArgmax2D(padding="SAME", data_format="CHANNELS_LAST")
    assert (layer.padding, layer.data_format) == ("same", "channels_last")


def test_pyramids_regularize_their_kernels_and_keep_that_in_their_config():
    for pyramid in (
        layers.PyramidPooling(1, 3, kernel_regularizer="l2"),
        layers.AtrousSpatialPyramidPooling(3, 6, kernel_regularizer="l2", padding="SAME"),
    ):
        copy = type(pyramid).from_config(pyramid.get_config())
        copy(MAP)
        assert len(copy.losses) == len([w for w in copy.weights if w.name == "kernel"])


@pytest.mark.parametrize("pyramid", [layers.PyramidPooling, layers.AtrousSpatialPyramidPooling])
def test_a_pyramid_without_padding_is_one_sentence(pyramid):
    with pytest.raises(ValueError, match="Received: padding='valid'. Leave it out"):
        pyramid(padding="valid")
    pyramid()


LISTS = {
    "MaxUnpooling2D": ([SMALL, ARGMAX], "MaxUnpooling2D()"),
    "CenterCropLike": ([MAP, SMALL], "CenterCropLike()"),
    "CropLike": ([MAP, SMALL], "CropLike(1)"),
    "BilinearUpsampling2D": ([SMALL, MAP], "BilinearUpsampling2D()"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("symbolic", [False, True])
def test_a_list_of_tensors_is_refused_with_the_call_that_works(name, symbolic):
    tensors, expression = LISTS[name]
    if symbolic:
        tensors = [keras.KerasTensor(x.shape, x.dtype) for x in tensors]
    layer = eval(f"layers.{expression}")
    with pytest.raises(ValueError, match="one tensor. Received: a list of 2 tensors. Pass the t"):
        layer(tensors)
    layer(*tensors)
    with pytest.raises(ValueError, match="Pass the tensors one by one"):
        layer(tensors)


@pytest.mark.parametrize("name", ["MaxUnpooling2D", "CenterCropLike", "CropLike"])
def test_a_missing_second_tensor_is_refused_with_the_call_that_works(name):
    tensors, expression = LISTS[name]
    with pytest.raises(ValueError, match="Received: .*=None. Call "):
        eval(f"layers.{expression}")(tensors[0])


def test_sampling_of_means_alone_is_refused_with_the_call_that_works():
    with pytest.raises(ValueError, match=r"Call Sampling\(\)\(mean, log_variance\)"):
        layers.Sampling()(MAP)


class Subclassed(keras.Model):
    """Every layer that is called with several tensors."""

    def __init__(self):
        super().__init__()
        self.pool, self.unpool = layers.MaxPoolingWithArgmax2D(), layers.MaxUnpooling2D()
        self.center, self.crop = layers.CenterCropLike(), layers.CropLike(1)
        self.up, self.twice = layers.BilinearUpsampling2D(), layers.BilinearUpsampling2D()
        self.sampling, self.of_list = layers.Sampling(), layers.Sampling()

    def call(self, x):
        pooled, argmax = self.pool(x)
        y = self.unpool(pooled, argmax, like=x)
        y = self.sampling(self.of_list([y, y]), y)
        y = self.up(self.crop(y, pooled), like=x)
        return self.twice(self.center(y, pooled))


def test_the_summary_of_a_subclassed_model_prints_every_shape():
    model, lines = Subclassed(), []
    model(MAP)
    model.summary(print_fn=lines.append)
    text = "\n".join(map(str, lines))
    shapes = [(2, 6, 10, 4), (2, 3, 5, 4), (2, 6, 10, 4), (2, 3, 5, 4), (2, 3, 5, 4), (2, 6, 10, 4)]
    assert all(str(shape) in text for shape in shapes)
    assert "?" not in text


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_a_map_of_integers_stays_one_in_the_graph_and_in_fact(dtype):
    x = np.arange(24).reshape(1, 4, 6, 1).astype(dtype)
    for layer in (
        layers.PadToMultiple(8),
        layers.ReflectionPadding2D(2),
        layers.AverageUnpooling2D(),
        layers.BilinearUpsampling2D(),
    ):
        symbolic, y = layer(keras.KerasTensor(x.shape, dtype)), layer(x)
        assert (symbolic.dtype, symbolic.shape) == (dtype, tuple(y.shape))
        assert keras.backend.standardize_dtype(y.dtype) == dtype
