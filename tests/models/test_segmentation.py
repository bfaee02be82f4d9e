"""What the decorator of the networks adds to every one of them."""

import inspect

import keras
import numpy as np
import pytest

from kerasseg import models
from kerasseg.models.formats import channel_axis, layers
from kerasseg.models.segmentation import segmentation_model
from tests.models.zoo import outputs, picture

NETWORKS = (
    *("fcn32s", "fcn16s", "fcn8s", "unet", "deconvnet", "segnet", "segnet_basic"),
    *("fc_densenet56", "fc_densenet67", "fc_densenet103", "hypercolumn"),
    *("deeplab_v1", "deeplab_v2", "deeplab_v3", "dilatednet", "pspnet"),
)


@segmentation_model(multiple=lambda step, **_: step)
def mean(image, num_classes, *, step=4):
    """Adds up the image and its mean.

    Args:
        step: Of the padding.

    Example: of nothing.

    >>> 1 + 1
    2
    """
    seen.append(image)
    x = layers.Conv2D(num_classes, 1, kernel_initializer="ones", name="scores")(image)
    return x


seen = []


def test_the_network_sees_a_padded_image_and_its_scores_are_cropped():
    model = mean((5, 9, 3), 2)
    assert seen[-1].shape == (None, 8, 12, 3)
    assert model.name == "mean"
    images = picture(5, 9)
    expected = np.repeat(images.sum(-1, keepdims=True), 2, -1)
    np.testing.assert_allclose(outputs(model, images), expected, rtol=1e-5)
    assert [x.name for x in model.layers] == ["image", "pad", "scores", "crop", "logits"]


def test_without_a_multiple_there_is_neither_padding_nor_crop():
    model = mean((5, 9, 3), 2, step=None)
    assert [x.name for x in model.layers] == ["image", "scores", "logits"]


def test_the_data_format_holds_inside():
    axes = []

    @segmentation_model()
    def network(image, num_classes):
        """Notes its axis."""
        axes.append(channel_axis())
        return layers.Conv2D(num_classes, 1)(image)

    model = network((3, 4, 5), 2, data_format="channels_first", activation="softmax")
    assert axes == [1]
    assert model.output_shape == (None, 2, 4, 5)
    np.testing.assert_allclose(
        outputs(model, np.moveaxis(picture(4, 5), -1, 1)).sum(1), 1, atol=1e-6
    )


def test_the_signature_is_that_of_the_model():
    expected = "(input_shape, num_classes, *, step=4, activation=None, data_format=None, "
    assert str(inspect.signature(mean)) == expected + "name='mean')"
    for name in NETWORKS:
        signature = inspect.signature(getattr(models, name))
        assert list(signature.parameters)[:2] == ["input_shape", "num_classes"]
        assert signature.parameters["name"].default == name
        kinds = {p.kind for p in list(signature.parameters.values())[2:]}
        assert kinds == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_docstring_describes_every_argument_once_and_in_order(name):
    build = getattr(models, name)
    lines = inspect.getdoc(build).splitlines()
    first, end = lines.index("Args:"), lines.index("Returns:")
    described = [
        line.strip().partition(":")[0]
        for line in lines[first + 1 : end]
        if line.startswith("    ") and not line.startswith("     ")
    ]
    assert sorted(described) == sorted(inspect.signature(build).parameters)
    assert described[:3] == ["input_shape", "num_classes", "width"]
    assert lines.count("Raises:") == 1


@pytest.mark.parametrize(
    ("name", "applications"),
    [
        ("segnet", "`VGG16`"),
        ("deeplab_v2", "`VGG16` or `ResNet101`"),
        ("pspnet", "`ResNet50` or `ResNet101`"),
    ],
)
def test_the_docstring_says_whose_weights_fit_and_what_a_download_raises(name, applications):
    text = inspect.getdoc(getattr(models, name))
    assert f"weights of {applications} in\n" in text
    assert "    ConnectionError: " in text.split("Raises:")[1]
    assert "ConnectionError" not in inspect.getdoc(models.segnet_basic)


def test_the_docstring_ends_with_the_example():
    assert mean.__doc__.endswith("Example: of nothing.\n\n>>> 1 + 1\n2\n")


def test_an_unknown_or_missing_argument_is_a_type_error_that_names_the_model():
    with pytest.raises(TypeError, match=r"mean\(\) got an unexpected keyword argument 'widht'"):
        mean((5, 9, 3), 2, widht=1)
    with pytest.raises(TypeError, match=r"mean\(\) missing a required argument: 'num_classes'"):
        mean((5, 9, 3))


def test_every_model_file_names_its_input_and_its_output():
    model = models.pspnet((None, None, 3), 2, width=0.05, auxiliary=True)
    assert model.output_names == ["logits", "auxiliary_logits"]
    assert isinstance(model.layers[0], keras.layers.InputLayer)
    assert model.layers[0].name == "image"
