"""Batch normalization in a training of a few steps: its averages follow."""

import keras
import numpy as np
import pytest

from kerasseg import layers
from kerasseg.training import UpdateBatchNorm, batch_norm, update_batch_norm


def normalizations(model):
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


def net(momenta=(0.99, 0.99), kind=layers.FusedBatchNormalization, **compiling):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 8, 3))
    for momentum in momenta:
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(kind(momentum=momentum)(x))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1)(x))
    model.compile(keras.optimizers.SGD(0.01), "mse", **compiling)
    return model


def examples(count=24):
    rng = np.random.default_rng(0)
    x = 5 + 3 * rng.normal(size=(count, 6, 8, 3)).astype("float32")
    return x, x[..., :1]


def lag(model, x, y):
    """How far the loss in prediction is from that with the statistics of all images, in shares."""
    model.evaluate(x, y, verbose=0)
    found = float(np.mean((keras.ops.convert_to_numpy(model(x, training=False)) - y) ** 2))
    right = float(np.mean((keras.ops.convert_to_numpy(model(x, training=True)) - y) ** 2))
    return abs(found - right) / right


@pytest.mark.parametrize("compiling", [{"jit_compile": False}, {"run_eagerly": True}, {}])
def test_the_averages_follow_within_a_training_of_eighteen_steps(compiling):
    x, y = examples()
    lags = {}
    for name, callbacks in (("with 0.99", []), ("with the callback", [UpdateBatchNorm()])):
        model = net(**compiling)
        model.fit(x, y, batch_size=8, epochs=6, verbose=0, callbacks=callbacks)
        lags[name] = lag(model, x, y)
    assert lags["with 0.99"] > 0.2  # or there is nothing to repair
    assert lags["with the callback"] < 0.15


def test_the_validation_loss_of_each_epoch_is_near_the_training_loss():
    x, y = examples()
    history = net().fit(
        *(x, y), 8, 6, verbose=0, validation_data=(x, y), callbacks=[UpdateBatchNorm()]
    )
    ratio = np.divide(history.history["val_loss"], history.history["loss"])[1:]
    assert ratio.max() < 1.1


def test_a_second_fit_of_a_compiled_model_uses_the_new_momentum():
    x, y = examples()
    model, expected = net(), net(momenta=(0.5, 0.5))
    for one in (model, expected):
        start = one.get_weights()
        one.fit(x, y, batch_size=8, verbose=0)
        one.set_weights(start)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False, callbacks=[UpdateBatchNorm()])
    expected.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False)
    for weight, other in zip(model.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)


def test_what_is_lower_or_frozen_is_left_alone():
    x, y = examples()
    model = net(momenta=(0.3, 0.99, 0.99))
    frozen = normalizations(model)[1]
    frozen.trainable = False
    model.compile("sgd", "mse")
    before = [keras.ops.convert_to_numpy(w).copy() for w in frozen.weights]
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[UpdateBatchNorm()])
    assert [layer.momentum for layer in normalizations(model)] == [0.3, 0.99, 0.5]
    for weight, expected in zip(frozen.weights, before):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), expected)


def test_layers_inside_layers_and_models_are_found():
    pyramid = layers.PyramidPooling(bins=(1, 2), filters=4)
    inner = net(kind=keras.layers.BatchNormalization)
    model = keras.Sequential([keras.Input((6, 8, 3)), pyramid, keras.layers.Conv2D(3, 1), inner])
    model.compile("sgd", "mse")
    x, y = examples()
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[UpdateBatchNorm()])
    found = [
        layer.momentum
        for layer in batch_norm.all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert found == [0.5] * 4


@pytest.mark.parametrize(
    ("steps", "momentum"), [(1, 0.5), (6, 0.5), (12, 0.75), (30, 0.9), (1000, 0.9), (None, 0.9)]
)
def test_the_momentum_goes_by_the_steps_of_an_epoch(steps, momentum):
    assert batch_norm.momentum_for(steps) == pytest.approx(momentum)


def test_the_momentum_is_saved_and_a_file_loads_as_it_was(tmp_path):
    model = net()
    x, y = examples()
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[UpdateBatchNorm()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.momentum for layer in normalizations(loaded)] == [0.5, 0.5]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_updated_statistics_are_the_averages_over_the_batches_in_numpy():
    x, _ = examples(20)
    layer = layers.FusedBatchNormalization()
    model = keras.Sequential([keras.Input((6, 8, 3)), layer])
    update_batch_norm(model, (x[i : i + 8] for i in range(0, 20, 8)))
    parts, sizes = [x[:8], x[8:16], x[16:]], [8, 8, 4]
    mean = np.average([part.mean((0, 1, 2)) for part in parts], axis=0, weights=sizes)
    variance = np.average([part.var((0, 1, 2)) for part in parts], axis=0, weights=sizes)
    moving = map(keras.ops.convert_to_numpy, (layer.moving_mean, layer.moving_variance))
    for found, expected in zip(moving, (mean, variance)):
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert layer.momentum == 0.99


def test_an_update_reads_so_many_batches_and_changes_nothing_else():
    x, _ = examples()
    model = net(momenta=(0.99, 0.99, 0.99))
    normalizations(model)[1].trainable = False
    before = [w.copy() for w in model.get_weights()]
    batches = iter([(x[:4], "targets"), (x[4:8], "targets"), (x[8:], "targets")])
    update_batch_norm(model, batches, steps=2)
    assert len(list(batches)) == 1
    after = zip(model.weights, model.get_weights(), before)
    changed = {w.path for w, new, old in after if (new != old).any()}
    moving = ("moving_mean", "moving_variance")
    first, _, last = normalizations(model)
    assert changed == {w.path for bn in (first, last) for w in bn.weights if w.name in moving}


@pytest.mark.parametrize("compiling", [{"jit_compile": False}, {}])
def test_statistics_are_those_of_the_present_weights_when_scored_and_when_saved(
    compiling, tmp_path
):
    x, y = examples()
    model = net(momenta=(0.99, 0.99), **compiling)
    path = tmp_path / "{epoch}.keras"
    callbacks = [UpdateBatchNorm(x), keras.callbacks.ModelCheckpoint(path)]
    history = model.fit(
        *(x, y), 8, 3, verbose=0, validation_data=(x, y), callbacks=callbacks
    ).history
    for epoch, score in enumerate(history["val_loss"], start=1):
        saved = keras.saving.load_model(tmp_path / f"{epoch}.keras")
        assert saved.evaluate(x, y, verbose=0) == pytest.approx(score, rel=1e-4)
        update_batch_norm(saved, x)
        assert saved.evaluate(x, y, verbose=0) == pytest.approx(score, rel=1e-4)


def test_without_validation_an_epoch_ends_with_its_statistics(tmp_path):
    x, y = examples()
    model = net()
    model.fit(x, y, batch_size=8, verbose=0, callbacks=[UpdateBatchNorm(x)])
    before = model.predict(x, verbose=0)
    update_batch_norm(model, x)
    np.testing.assert_allclose(model.predict(x, verbose=0), before, atol=1e-5)
