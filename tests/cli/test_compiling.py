"""The model, loss, optimizer and metric that the options of `kerasseg train` mean."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kerasseg import losses, metrics
from kerasseg.cli import compiling
from kerasseg.models import classes_of

PIXELS = (600, 300, 100)


def data(**others):
    known = {
        "num_classes": 3,
        "class_names": ("sky", "road", "car"),
        "colours": ((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        "ignore_class": 255,
        "image_size": (16, 24),
        "image_shape": (16, 24, 4),
        "class_pixels": np.array([PIXELS]),
        "multi_label": False,
    }
    return SimpleNamespace(**{**known, **others})


def settings(**others):
    known = {
        "model": "segnet_basic",
        "width": 0.05,
        "encoder": None,
        "encoder_weights": None,
        "seed": 3,
        "loss": "crossentropy",
        "balance": 0.0,
        "mixed_precision": False,
        "learning_rate": 1e-3,
    }
    return {**known, **others}


def test_the_model_takes_images_of_any_size_and_knows_the_classes():
    model = compiling.compiled(data(), settings(), 9)
    assert (model.input_shape, model.output_shape) == (
        (None, None, None, 4),
        (None, None, None, 3),
    )
    known = classes_of(model)
    assert known.class_names == ("sky", "road", "car")
    assert (known.ignore_class, known.image_size) == (255, (16, 24))


def test_the_loss_is_that_of_its_name_with_the_void_id_and_the_weights(rng):
    labels = rng.integers(0, 3, (2, 4, 5))
    labels[0, :2] = 9
    logits = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    weights = np.median(PIXELS) / np.array(PIXELS)
    for name, kind in (
        ("crossentropy", losses.CrossEntropy),
        ("dice", losses.Dice),
        ("both", losses.CrossEntropyDice),
    ):
        model = compiling.compiled(data(ignore_class=9), settings(loss=name, balance=0.5), 9)
        expected = kind(9, weights**0.5)(labels, logits)
        assert float(model.loss(labels, logits)) == pytest.approx(float(expected), rel=1e-4)


def test_a_seed_gives_the_weights_and_another_gives_others():
    first, again, other = (
        compiling.compiled(data(), settings(seed=seed), 9).get_weights()[0] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_several_labels_have_a_loss_and_a_metric_of_labels_and_no_class_weights(rng):
    model = compiling.compiled(data(multi_label=True), settings(balance=1.0), 9)
    assert classes_of(model).multi_label
    masks = rng.integers(0, 2, (2, 4, 5, 3))
    logits = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    expected = np.mean(np.log1p(np.exp(np.where(masks, -1, 1) * logits)))
    assert float(model.loss(masks, logits)) == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_reaches_its_peak_and_ends_at_zero():
    optimizer = compiling.compiled(data(), settings(learning_rate=0.01), 40).optimizer
    rates = [float(optimizer._learning_rate(step)) for step in range(41)]
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0, abs=1e-8)


def test_half_precision_ends_with_the_building_of_the_model():
    model = compiling.compiled(data(), settings(mixed_precision=True), 9)
    assert "float16" in {layer.compute_dtype for layer in model.layers}
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert keras.config.dtype_policy().name == "float32"
    with pytest.raises(ZeroDivisionError), compiling.dtype_policy("mixed_float16"):
        1 / 0  # noqa: B018
    assert keras.config.dtype_policy().name == "float32"


def test_narrow_u_nets_have_less_dropout():
    def rates(width):
        model = compiling.compiled(data(), settings(model="unet", width=width), 9)
        return {x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)}

    assert rates(0.05) == {0.2}


def test_encoder_weights_for_a_model_without_any_are_one_error():
    message = "segnet_basic takes no --encoder-weights. Leave it out, or .* unet, segnet, fcn8s, "
    with pytest.raises(ValueError, match=message):
        compiling.compiled(data(), settings(encoder_weights="imagenet"), 9)


def test_an_encoder_is_for_the_models_that_take_one():
    message = "segnet_basic takes no --encoder. .*: unet, deeplab_v2, deeplab_v3, pspnet."
    with pytest.raises(ValueError, match=message):
        compiling.compiled(data(), settings(encoder="vgg16"), 9)
    chosen = settings(model="unet", encoder="mobilenetv3small", width=0.05)
    model = compiling.compiled(data(), chosen, 9)
    assert model.get_layer("encoder").count_params() == 939_264
    assert model.get_layer("decoder5_up").filters == 26


def test_class_weights_are_medians_over_frequencies_to_the_power(rng):
    expected = np.median(PIXELS) / np.array(PIXELS)
    np.testing.assert_allclose(compiling.class_weights(data(), 1.0), expected)
    np.testing.assert_allclose(compiling.class_weights(data(), 0.5), expected**0.5)
    assert compiling.class_weights(data(), 0) is None


def test_the_metric_leaves_void_out():
    model = compiling.compiled(data(), settings(), 9)
    model.evaluate(np.zeros((1, 8, 8, 4)), np.full((1, 8, 8), 255), verbose=0)
    names = {metric.name for metric in model.metrics}
    assert "compile_metrics" in names or "mean_iou" in names
    assert any(isinstance(metric, metrics.MeanIoU) for metric in flat(model.metrics))


def flat(found):
    return [inner for metric in found for inner in getattr(metric, "metrics", [metric])]
