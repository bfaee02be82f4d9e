"""The model, loss, optimizer and metric that the options of `kerasseg train` mean."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kerasseg import losses, metrics, models
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
        "start": None,
        "freeze": None,
    }
    return {**known, **others}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A file of a model of two classes, for images of four channels."""
    path = tmp_path_factory.mktemp("start") / "best.keras"
    model = models.unet((None, None, 4), 2, width=0.05)
    models.with_classes(model, ["cell", "ground"]).save(path)
    return path


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


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def test_from_a_file_of_other_classes_all_weights_are_kept_but_the_heads(start, capsys):
    old = weights_of(keras.saving.load_model(start))
    model = compiling.compiled(data(), settings(start=str(start), width=1.0), 9)
    said = capsys.readouterr().out
    assert "has 2 classes (cell, ground), the folder 3 (sky, road, car): the head (scores)" in said
    assert classes_of(model).class_names == ("sky", "road", "car")
    for name, weights in weights_of(model).items():
        for ours, theirs in zip(weights, old[name], strict=True):
            assert ours.shape != theirs.shape or name != "scores"
            np.testing.assert_array_equal(*(ours, theirs) if name != "scores" else (0, 0))


def test_from_a_file_of_as_many_classes_the_head_is_kept_too(start, capsys):
    two = {"num_classes": 2, "colours": ((1, 2, 3), (4, 5, 6))}
    for names, words in (
        (("cell", "ground"), f"All weights are those of {start}."),
        (("cat", "dog"), "has the classes cell, ground: its head is kept, now for cat, dog."),
    ):
        model = compiling.compiled(data(class_names=names, **two), settings(start=start), 9)
        assert words in capsys.readouterr().out
        for weights in zip(model.get_weights(), keras.saving.load_model(start).get_weights()):
            np.testing.assert_array_equal(*weights)
        assert classes_of(model).class_names == names


def test_the_loss_of_a_model_that_ends_in_an_activation_is_told_so(tmp_path, rng):
    path = tmp_path / "softmax.keras"
    models.unet((None, None, 4), 5, width=0.05, activation="softmax").save(path)
    model = compiling.compiled(data(), settings(start=path), 9)
    labels, scores = rng.integers(0, 3, (1, 4, 5)), rng.dirichlet((1, 1, 1), (1, 4, 5))
    expected = losses.CrossEntropy(from_logits=False)(labels, scores)
    assert float(model.loss(labels, scores)) == pytest.approx(float(expected), rel=1e-5)


def test_a_file_that_takes_other_images_is_refused(tmp_path):
    path = tmp_path / "grey.keras"
    models.unet((None, None, 1), 3, width=0.05).save(path)
    with pytest.raises(ValueError, match="grey.keras takes images of 1 channel, the folder has 4"):
        compiling.compiled(data(), settings(start=path), 9)


def test_a_frozen_encoder_learns_after_it_is_compiled_again_with_the_steps_that_are_done(start):
    model = compiling.compiled(data(), settings(start=start, freeze="encoder"), 9)
    assert not [w.path for w in model.trainable_weights if w.path.startswith("encoder")]
    models.unfreeze(model)
    compiling.compile_for(model, data(), settings(), 9, done=4)
    assert [w.path for w in model.trainable_weights if w.path.startswith("encoder")]
    assert int(model.optimizer.iterations) == 4
