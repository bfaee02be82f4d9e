import keras
import numpy as np
import pytest

from kerasseg.models import dense_autoencoder, split_autoencoder
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
