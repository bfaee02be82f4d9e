"""How networks pad, against what they do to images."""

import keras
import numpy as np
import pytest

from kerasseg import models
from kerasseg.anatomy.padding import Border, border_of, fitting_size
from kerasseg.layers import CenterCropLike, PadToMultiple


def padded_by(multiple, shape=(None, None, 3), **arguments):
    """Pads, and returns what it padded, with no crop behind."""
    image = keras.Input(shape)
    return keras.Model(image, PadToMultiple(multiple, **arguments)(image))


def nested(model):
    image = keras.Input((None, None, 3))
    return keras.Model(image, model(keras.layers.Rescaling(1.0)(image)))


@pytest.mark.parametrize("wrap", [lambda model: model, nested, lambda m: nested(nested(m))])
@pytest.mark.parametrize("size", [(1, 32), (20, 45), (33, 18)])
def test_the_rows_in_front_are_where_a_marked_pixel_has_moved(wrap, size):
    model = padded_by(16)
    image = np.zeros((1, *size, 3), "float32")
    image[0, 0, 0] = 1
    rows, columns, _ = np.nonzero(keras.ops.convert_to_numpy(model(image))[0])
    expected = [indices[len(indices) // 2] for indices in (np.unique(rows), np.unique(columns))]
    found = [border.in_front for border in border_of(wrap(model), size)]
    for here, there, length in zip(found, expected, size):
        assert here == there or length == 1  # the only pixel is everywhere


def test_padding_behind_a_pooling_counts_in_rows_of_the_image():
    image = keras.Input((None, None, 3))
    x = PadToMultiple(8)(keras.layers.AveragePooling2D(4)(image))
    rows, columns = border_of(keras.Model(image, x), (40, 64))
    assert rows.in_front == 4 * 3  # 10 rows become 16
    assert columns.in_front == 0


def test_what_is_cropped_back_is_not_counted_again():
    image = keras.Input((None, None, 3))
    x = image
    for _ in range(2):
        x = CenterCropLike()(PadToMultiple(16)(x), image)
    assert border_of(keras.Model(image, x), (20, 32)) == (Border(6, 0), Border(0, 0))


def test_channels_first_is_read_along_its_own_axes():
    model = models.unet((3, None, None), 2, width=0.05, data_format="channels_first")
    assert border_of(model, (20, 45)) == (Border(6, 0), Border(1, 0))


@pytest.mark.parametrize(
    ("size", "expected"), [((4, 388), (188, 572)), ((1, 5), (188, 204)), ((21, 37), (220, 236))]
)
def test_the_papers_unet_fits_sizes_of_16_k_and_12(size, expected):
    model = models.unet((None, None, 3), 2, width=0.05, padding="valid")
    assert fitting_size(model, size) == expected
    assert [border.lost for border in border_of(model, expected)] == [184, 184]


def test_a_network_as_large_as_its_image_fits_every_size():
    for model in (models.unet((None, None, 3), 2, width=0.05), nested(padded_by(1))):
        assert fitting_size(model, (1, 77)) == (1, 77)


@pytest.mark.parametrize(
    "layer", [keras.layers.UpSampling2D(2), keras.layers.AveragePooling2D(2)], ids=["2", "1/2"]
)
def test_another_scale_fits_no_size(layer):
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    with pytest.raises(ValueError, match="must be as large as the image, or lose the same border"):
        fitting_size(model, (8, 8))
