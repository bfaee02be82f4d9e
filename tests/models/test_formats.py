"""Models in every data format and dtype, from several threads at once."""

import threading

import keras
import numpy as np
import pytest

from kerasseg import losses, models

SMALL = {
    "unet": lambda **kwargs: models.unet((None, None, 3), 2, width=1 / 32, **kwargs),
    "segnet": lambda **kwargs: models.segnet((None, None, 3), 2, width=1 / 32, **kwargs),
    "dilatednet": lambda **kwargs: models.dilatednet((None, None, 3), 2, width=1 / 64, **kwargs),
    "pspnet": lambda **kwargs: models.pspnet((None, None, 3), 2, width=1 / 64, **kwargs),
}
IMAGES = np.random.default_rng(0).random((2, 17, 25, 3)).astype("float32")
LABELS = (IMAGES[..., 0] > 0.5).astype("int32")


@pytest.fixture
def defaults():
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def no_float64_under_jax(name):
    if name == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where the whole process enables it")


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["unet", "segnet"])
def test_a_model_trains_under_every_dtype_policy(name, policy, defaults):
    no_float64_under_jax(policy)
    keras.config.set_dtype_policy(policy)
    assert_trains(SMALL[name](), compiled=True)


@pytest.mark.parametrize("floatx", ["float64", "float16"])
@pytest.mark.parametrize("name", SMALL)
def test_a_model_trains_whatever_the_default_float_is(name, floatx, defaults):
    no_float64_under_jax(floatx)
    if keras.backend.backend() == "torch" and name in ("dilatednet", "pspnet"):
        # Of these small models and of any keras.layers.Conv2D: grad_weight must be contiguous
        pytest.skip("under PyTorch on CPUs Keras cannot train a 3x3 convolution of one filter")
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    assert_trains(SMALL[name](), compiled=keras.backend.backend() != "tensorflow")  # quicker there


def assert_trains(model, compiled):
    scores = model(IMAGES)
    assert scores.shape == (2, 17, 25, 2)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    model.compile("sgd", losses.CrossEntropy(), run_eagerly=not compiled)
    assert np.isfinite(model.fit(IMAGES, LABELS, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_a_variational_autoencoder_in_half_precision_draws_finite_codes(policy, defaults):
    keras.config.set_dtype_policy(policy)
    model = models.vae((8, 8, 1), filters=(4, 4))
    model.get_layer("log_variance").bias.assign([23.0, 40.0])
    codes = keras.Model(model.input, model.get_layer("code").output)(np.zeros((50, 8, 8, 1)))
    assert np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(codes, "float32"))).all()


def test_threads_build_models_in_two_data_formats_without_disturbing_each_other():
    start, wrong = threading.Barrier(2), []

    def build(data_format, shape):
        start.wait()
        for _ in range(8):
            model = models.unet(shape, 2, width=1 / 64, data_format=data_format)
            formats = {getattr(layer, "data_format", data_format) for layer in model.layers}
            if formats != {data_format}:
                wrong.append((data_format, formats))

    pairs = [("channels_last", (32, 32, 3)), ("channels_first", (3, 32, 32))]
    threads = [threading.Thread(target=build, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_default_data_format_of_keras_is_never_changed(monkeypatch):
    def changed(name):
        raise AssertionError(name)

    monkeypatch.setattr(keras.config, "set_image_data_format", changed)
    model = models.unet((3, 32, 32), 2, width=1 / 64, data_format="channels_first")
    assert model.output_shape == (None, 2, 32, 32)


def test_what_is_no_data_format_is_named():
    with pytest.raises(ValueError, match="Received: data_format='first'"):
        models.unet((32, 32, 3), 2, data_format="first")


def test_an_image_size_and_a_class_count_may_be_integers_of_numpy():
    shape = tuple(np.array([32, 48, 3]))
    model = models.unet(shape, np.int64(2), width=np.float32(1 / 64))
    assert model.output_shape == (None, 32, 48, 2)
    assert keras.Model.from_config(model.get_config()).count_params() == model.count_params()
    with pytest.raises(ValueError, match="Received: num_classes=True"):
        models.unet((32, 32, 3), True)


INTEGERS_OF_NUMPY = {
    "dense_autoencoder": {"code_size": np.int64(4), "hidden": np.array([8, 6])},
    "conv_autoencoder": {"filters": [np.int64(4), np.int32(8)], "output_channels": np.uint8(1)},
    "vae": {"code_size": np.int64(4), "filters": np.array([4, 8])},
}


@pytest.mark.parametrize("name", INTEGERS_OF_NUMPY)
def test_so_may_be_the_sizes_of_autoencoders(name):
    model = getattr(models, name)(tuple(np.array([8, 8, 1])), **INTEGERS_OF_NUMPY[name])
    assert model.output_shape == (None, 8, 8, 1)
    assert keras.models.model_from_json(model.to_json()).count_params() == model.count_params()


def test_a_softmax_over_one_channel_is_refused():
    for build in (models.unet, models.pspnet, models.fcn8s):
        with pytest.raises(
            ValueError, match="1 everywhere.*One channel needs activation='sigmoid'"
        ):
            build((None, None, 3), 1, width=1 / 64, activation="softmax")
