"""What a layer of named classes keeps, and what it refuses."""

import json

import keras
import numpy as np
import pytest

from kerasseg.layers import NamedClasses
from tests.layers.cases import numpy

NAMES = ("road", "sky", "보행자")
COLOURS = ((128, 64, 128), (70, 130, 180), (220, 20, 60))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float16"])
def test_a_map_passes_unchanged_whatever_its_dtype(dtype, rng):
    x = rng.integers(0, 200, (2, 4, 5, 3)).astype(dtype)
    y = NamedClasses(NAMES, dtype="mixed_float16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    np.testing.assert_array_equal(numpy(y), x)


def test_the_config_gives_the_same_layer_through_json():
    layer = NamedClasses(NAMES, np.array(COLOURS, "uint8"), None, np.array([48, 64]), True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.class_names, again.colours) == (NAMES, COLOURS)
    assert (again.ignore_class, again.image_size, again.multi_label) == (None, (48, 64), True)


def test_a_file_written_before_multi_label_still_loads():
    config = NamedClasses(NAMES).get_config()
    del config["multi_label"]
    assert not NamedClasses.from_config(config).multi_label


def test_one_name_is_the_foreground_and_with_multi_label_one_label():
    binary = NamedClasses(["cell"], [(4, 5, 6)])
    assert binary.class_names == ("background", "cell")
    assert binary.colours == ((0, 0, 0), (4, 5, 6))
    assert NamedClasses.from_config(binary.get_config()).class_names == binary.class_names
    label = NamedClasses(["cell"], [(4, 5, 6)], multi_label=True)
    assert (label.class_names, label.colours) == (("cell",), ((4, 5, 6),))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": ["a", "b", "a"]}, "distinct names"),
        ({"class_names": "abc"}, "distinct names"),
        ({"class_names": [0, 1, 2]}, "distinct names"),
        ({"class_names": []}, "distinct names"),
        ({"class_names": NAMES, "colours": COLOURS[:2]}, "3 times .* Received: 2"),
        ({"class_names": NAMES, "colours": [(0, 0, 256)] * 3}, "0 to 255"),
        ({"class_names": NAMES, "colours": [(0, -1, 25)] * 3}, "0 to 255"),
        ({"class_names": NAMES, "colours": [(0, 0)] * 3}, r"\(red, green, blue\)"),
        ({"class_names": NAMES, "colours": [(0.1, 0.5, 1.0)] * 3}, "integers from 0 to 255"),
        ({"class_names": NAMES, "image_size": (9.5, 3)}, "image_size=\\(9.5, 3\\)"),
        ({"class_names": NAMES, "image_size": (0, 3)}, "image_size=\\(0, 3\\)"),
        ({"class_names": NAMES, "image_size": (3,)}, "image_size=\\(3,\\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NamedClasses(**arguments)


def test_integers_of_numpy_are_kept_as_those_of_python():
    colours, size = np.array(COLOURS, "uint8"), tuple(np.array([9, 14]))
    config = NamedClasses(NAMES, colours, np.uint8(255), size).get_config()
    assert json.loads(json.dumps(config))["ignore_class"] == 255
    assert (config["colours"], config["image_size"]) == (COLOURS, (9, 14))
