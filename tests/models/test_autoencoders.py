import keras
import numpy as np
import pytest
from keras import ops

from kerasseg.models import conv_autoencoder, dense_autoencoder, split_autoencoder, vae
from tests.conftest import outputs_in_fresh_process
from tests.models.zoo import outputs, picture


def test_has_the_books_parameters():
    model = dense_autoencoder()
    encoder, decoder = split_autoencoder(model)
    assert model.count_params() == 222_384
    assert (encoder.count_params(), decoder.count_params()) == (110_816, 111_568)


def test_gives_images_of_the_inputs_shape_in_the_unit_range():
    model = dense_autoencoder((5, 7, 3), code_size=4, hidden=(11, 6))
    result = outputs(model, picture(5, 7))
    assert result.shape == (2, 5, 7, 3)
    assert 0 <= result.min() <= result.max() <= 1


def test_the_two_halves_make_the_whole_and_share_its_weights():
    model = dense_autoencoder((5, 7, 1), code_size=4)
    encoder, decoder = split_autoencoder(model)
    images = picture(5, 7, 1)
    for _ in range(2):
        code = encoder(images)
        assert code.shape == (2, 4)
        np.testing.assert_allclose(outputs(decoder, code), outputs(model, images), atol=1e-6)
        model.set_weights([0.9 * weight for weight in model.get_weights()])


def test_it_loads_in_a_fresh_process_and_gives_the_same(tmp_path):
    model = dense_autoencoder((5, 7, 1), code_size=4)
    model.compile("adam", "binary_crossentropy")
    model.save(tmp_path / "model.keras")
    images = picture(5, 7, 1)
    loaded = outputs_in_fresh_process(tmp_path / "model.keras", images)
    np.testing.assert_allclose(loaded, outputs(model, images), atol=1e-6)


def test_sizes_that_are_not_fixed_are_refused():
    with pytest.raises(ValueError, match=r"fixed height.*Received: input_shape=\(None, 28, 1\)"):
        dense_autoencoder((None, 28, 1))


def test_a_model_without_a_code_is_refused():
    with pytest.raises(ValueError, match="a layer named 'code'.*dense"):
        split_autoencoder(
            keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
        )


def test_convolutional_autoencoder_has_the_books_parameters_and_halves_four_times():
    model = conv_autoencoder((80, 48, 3))
    assert model.count_params() == 2_427_427
    assert model.get_layer("code").output.shape[1:] == (5, 3, 256)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (31, 37), (48, 32)])
def test_convolutional_autoencoder_takes_any_size(size):
    images = picture(*size)
    free = conv_autoencoder((None, None, 3), width=0.05)
    fixed = conv_autoencoder((*size, 3), width=0.05)
    fixed.set_weights(free.get_weights())
    result = outputs(free, images)
    assert result.shape == images.shape
    assert 0 < result.min() <= result.max() < 1
    np.testing.assert_allclose(outputs(fixed, images), result, atol=1e-6)
    encoder, decoder = split_autoencoder(fixed)
    np.testing.assert_allclose(outputs(decoder, encoder(images)), result, atol=1e-6)


def test_convolutional_autoencoder_is_centred_on_its_image():
    """Padding and crop undo each other: a moved picture gives a moved picture."""
    model = conv_autoencoder((None, None, 1), filters=(4, 4))
    images = picture(80, 81, 1)
    whole, part = outputs(model, images), outputs(model, images[:, 20:-20, 20:-20])
    np.testing.assert_allclose(part[:, 12:-12, 12:-12], whole[:, 32:-32, 32:-32], atol=1e-6)


def test_another_number_of_channels_comes_out_and_linear_if_wished():
    model = conv_autoencoder((16, 16, 1), width=0.1, output_channels=3, activation=None)
    for weight in model.weights:
        weight.assign(ops.ones(weight.shape))
    result = outputs(model, picture(16, 16, 1))
    assert result.shape == (2, 16, 16, 3)
    assert result.min() > 1


def test_code_is_as_narrow_as_the_last_filters():
    encoder, decoder = split_autoencoder(conv_autoencoder((28, 28, 1), filters=(16, 8, 4)))
    assert encoder.output_shape == (None, 4, 4, 4)
    assert decoder.output_shape == (None, 28, 28, 1)


@pytest.mark.parametrize("build", [conv_autoencoder, vae])
def test_channels_first_equals_channels_last(build):
    last = build((35, 22, 3), width=0.1)
    first = build((3, 35, 22), width=0.1, data_format="channels_first")
    if build is vae:
        last, first = split_autoencoder(last)[0], split_autoencoder(first)[0]
    first.set_weights(last.get_weights())
    images = picture(35, 22)
    result = outputs(first, np.moveaxis(images, -1, 1))
    expected = outputs(last, images)
    result = np.moveaxis(result, 1, -1) if expected.ndim == 4 else result
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert keras.config.image_data_format() == "channels_last"


@pytest.mark.parametrize("build", [conv_autoencoder, vae])
def test_images_are_float32_under_mixed_precision(build):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build((16, 16, 3), width=0.1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(model(picture(16, 16)).dtype) == "float32"


def test_convolutional_autoencoder_loads_in_a_fresh_process_and_gives_the_same(tmp_path):
    model = conv_autoencoder((19, 21, 3), width=0.05)
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    images = picture(19, 21)
    loaded = outputs_in_fresh_process(tmp_path / "model.keras", images)
    np.testing.assert_allclose(loaded, outputs(model, images), atol=1e-6)


def test_a_decoder_of_no_fixed_size_is_refused():
    with pytest.raises(ValueError, match=r"fixed height and width.*\(None, None, 8, 1\)"):
        split_autoencoder(conv_autoencoder((None, 8, 1), filters=(2,)))


def test_variational_autoencoder_has_the_books_parameters():
    model = vae()
    encoder, decoder = split_autoencoder(model)
    assert model.count_params() == 51_627
    assert encoder.count_params() + model.get_layer("log_variance").count_params() == 31_364
    assert decoder.count_params() == 20_263


@pytest.mark.parametrize("size", [(28, 28, 1), (17, 10, 3), (1, 3, 2)])
def test_variational_autoencoder_decodes_to_images_of_the_inputs_shape(size):
    model = vae(size, code_size=5, width=0.2)
    result = outputs(model, picture(*size))
    assert result.shape == (2, *size)
    assert 0 < result.min() <= result.max() < 1
    _, decoder = split_autoencoder(model)
    assert decoder.input_shape == (None, 5)
    assert outputs(decoder, np.zeros((3, 5), "float32")).shape == (3, *size)


def silence(model):
    """Takes the variance from every code, so that the draw is the mean."""
    layer = model.get_layer("log_variance")
    kernel, bias = layer.get_weights()
    layer.set_weights([0 * kernel, 0 * bias - 100])


def test_variational_encoder_gives_the_mean_and_the_model_decodes_a_draw_around_it():
    model = vae((8, 9, 1), code_size=3, width=0.2)
    encoder, decoder = split_autoencoder(model)
    images = picture(8, 9, 1)
    first, second = outputs(model, images), outputs(model, images)
    assert not np.allclose(first, second, atol=1e-6)
    silence(model)
    np.testing.assert_allclose(outputs(model, images), outputs(decoder, encoder(images)), atol=1e-6)


def test_variational_autoencoder_adds_the_divergence_of_its_codes_to_the_loss():
    model = vae((8, 9, 1), width=0.2)
    images = picture(8, 9, 1)
    inner = keras.Model(
        model.input, [model.get_layer(name).output for name in ("mean", "log_variance")]
    )
    mean, log_variance = (ops.convert_to_numpy(x) for x in inner(images))
    expected = -0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)).sum() / 2
    model(images)
    np.testing.assert_allclose(float(model.losses[0]), expected, rtol=1e-5)


def test_the_same_seed_draws_the_same_codes():
    images = picture(8, 9, 1)
    one, other = vae((8, 9, 1), width=0.2, seed=3), vae((8, 9, 1), width=0.2, seed=3)
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(outputs(one, images), outputs(other, images))


def test_variational_autoencoder_learns_pixels_and_keeps_codes_near_the_normal_distribution():
    rng = np.random.default_rng(0)
    images = np.zeros((256, 8, 8, 1), "float32")
    for image, row in zip(images, rng.integers(0, 7, 256)):
        image[row : row + 2] = 1
    model = vae((8, 8, 1), width=0.5, seed=0)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", loss_weights=[64])
    losses = model.fit(images, images, epochs=15, batch_size=32, verbose=0).history["loss"]
    codes = outputs(split_autoencoder(model)[0], images)
    assert losses[-1] < 0.7 * losses[0]
    assert abs(codes.mean()) < 1
    assert 0.3 < codes.std() < 2


def test_variational_autoencoder_loads_in_a_fresh_process_and_gives_the_same(tmp_path):
    model = vae((8, 9, 1), width=0.2, seed=1)
    silence(model)
    model.compile("adam", "mse", loss_weights=[72])
    model.save(tmp_path / "vae.keras")
    images = picture(8, 9, 1)
    loaded = outputs_in_fresh_process(tmp_path / "vae.keras", images)
    np.testing.assert_allclose(loaded, outputs(model, images), atol=1e-6)


def test_a_variational_autoencoder_of_no_fixed_size_is_refused():
    with pytest.raises(ValueError, match=r"A variational autoencoder needs fixed height"):
        vae((None, 28, 1))
