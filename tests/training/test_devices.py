"""Several devices train as one does: two in a process, two processes, void and statistics included.

How many devices there are must be said before a backend starts, so each training is a process.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasseg import datasets, losses, metrics, training
from kerasseg.layers import FusedBatchNormalization
from kerasseg.training import devices as distribution
from tests.conftest import environment
from tests.datasets.folders import picture, save

EPOCHS = 5  # of 4 steps
BATCH = 4


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """16 pictures to train on and 3 to validate on, with unequal shares of void."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(19):
        image = picture(i, size=(8, 12))
        mask = image[..., 0] // 86
        mask[: i % 7] = 255
        split = "train" if i < 16 else "val"
        save(image, folder / split / "images" / f"{i:02}.png")
        save(mask, folder / split / "masks" / f"{i:02}.png")
    return folder


def load(pictures, **options):
    options = {"batch_size": BATCH, "seed": 3, **options}
    return datasets.load("folder", data_dir=pictures, **options)


def net(steps):
    keras.utils.set_random_seed(5)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.ReLU()(FusedBatchNormalization(momentum=0.5)(x))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 3, padding="same")(x))
    optimizer = keras.optimizers.Adam(training.cosine_with_warmup(0.02, steps))
    loss = losses.CrossEntropyDice(class_weights=[1, 2, 5])
    model.compile(optimizer, loss, metrics=[metrics.MeanIoU(3)])
    model.optimizer.build(model.trainable_variables)
    return model


class Curve(keras.callbacks.Callback):
    """The loss after each step, averaged over the epoch so far; stops before an epoch if told."""

    def __init__(self, stop=None):
        super().__init__()
        self.stop = stop
        self.losses = []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.stop:
            raise KeyboardInterrupt

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def train(devices, pictures, folder, stop=None):
    """What `kerasseg train` does; its losses, scores and weights as lists."""
    data, curve = load(pictures), Curve(stop)
    run = training.Run(folder, data, epochs=EPOCHS, writes=devices.process == 0)
    devices.check_agreement(run.state)
    batches = devices.training(data)
    with devices.scope():
        model = run.load() or net(EPOCHS * len(batches))
        model.fit(
            batches,
            validation_data=devices.validation(data),
            epochs=EPOCHS,
            initial_epoch=run.epoch,
            callbacks=[curve, run],
            shuffle=False,
            verbose=0,
        )
    scores = [row["val_mean_iou"] for row in run.state["history"]]
    weights = [w.ravel().tolist() for w in model.get_weights()]
    return {"losses": curve.losses, "scores": scores, "weights": weights}


def train_in_this_process(way, pictures, output):
    """Trains on two devices and, where this process has both, on one; prints what came out."""
    if way == "mirrored":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, parts)
    output, one, two = Path(output), distribution.Devices(), distribution.find_devices(way)
    assert two.count == 2
    if two.processes == 2:
        results = {"two": train(two, pictures, output)}
    else:
        results = {n: train(d, pictures, output / n) for n, d in (("one", one), ("two", two))}
        with contextlib.suppress(KeyboardInterrupt):
            train(two, pictures, output / "stopped", stop=2)
        results["resumed"] = train(two, pictures, output / "stopped")
    if way == "mirrored":
        results["replicas"] = [whole_and_parts(loss, two) for loss in LOSSES]
    print(json.dumps(results))


LOSSES = (
    losses.CrossEntropy(class_weights=[1, 2, 5]),
    losses.Dice(),
    losses.Dice(per_image=True),
    losses.Tversky(reduction="sum"),
)


def whole_and_parts(loss, devices):
    """The loss of four pictures and its gradient, at once and from replicas with three and one."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, (4, 5, 6)), rng.normal(size=(4, 5, 6, 3))
    labels[0], labels[3, :2] = 255, 255

    def step(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        return value, tape.gradient(value, logits)

    def part(i):
        rows = slice(0, 3) if i.replica_id_in_sync_group == 0 else slice(3, 4)
        return tf.constant(labels[rows]), tf.constant(logits[rows], "float32")

    with devices.scope():
        strategy = tf.distribute.get_strategy()
    parts = strategy.experimental_distribute_values_from_function(part)
    values, gradients = tf.function(lambda: strategy.run(step, parts))()
    value, gradient = step(tf.constant(labels), tf.constant(logits, "float32"))
    found, found_gradient = map(strategy.experimental_local_results, (values, gradients))
    whole = np.append(value, gradient)
    return whole.tolist(), np.append(sum(found), np.concatenate(found_gradient)).tolist()


def start(way, pictures, output, **variables):
    words = "import sys; from tests.training.test_devices import train_in_this_process as train; "
    words = [sys.executable, "-c", words + "train(*sys.argv[1:])", way, str(pictures), str(output)]
    env = environment("tensorflow" if way == "mirrored" else "jax")
    env |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE)


def results_of(process):
    words, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(words.splitlines()[-1])


@pytest.fixture(scope="module", params=["mirrored", "jax"])
def results(request, pictures, tmp_path_factory):
    if request.param == "jax":
        pytest.importorskip("jax")
    output = tmp_path_factory.mktemp(request.param)
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    return results_of(start(request.param, pictures, output, **flags))


def assert_close(result, expected):
    """The same 20 steps, to 1e-4 of each loss, and scores that a few pixels separate."""
    assert len(expected["losses"]) == len(result["losses"]) == 20
    assert expected["losses"][-1] < 0.9 * expected["losses"][0]  # or there is nothing to compare
    np.testing.assert_allclose(result["losses"], expected["losses"], rtol=1e-4)
    np.testing.assert_allclose(result["scores"], expected["scores"], atol=2e-3)


@pytest.mark.slow
def test_twenty_steps_on_two_devices_are_those_of_one(results):
    assert_close(results["two"], results["one"])


@pytest.mark.slow
def test_a_loss_and_its_gradient_on_unequal_replicas_are_those_of_the_whole_batch(results):
    if "replicas" not in results:
        pytest.skip("JAX has no replicas")
    for whole, parts in results["replicas"]:
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_a_run_on_two_devices_goes_on_as_if_it_had_not_been_stopped(results):
    whole, resumed = results["two"], results["resumed"]
    assert resumed["scores"] == whole["scores"]
    for weight, expected in zip(resumed["weights"], whole["weights"]):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


def two_workers():
    """The environment of each of two processes that find each other on the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for i in range(2):
        yield {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(i),
        }


@pytest.mark.slow
def test_twenty_steps_in_two_processes_are_those_of_one_and_the_first_alone_writes(
    results, request, pictures, tmp_path
):
    if request.node.callspec.params["results"] != "jax":
        pytest.skip("TensorFlow has one process")
    processes = [
        start("jax", pictures, tmp_path / str(i), **variables)
        for i, variables in enumerate(two_workers())
    ]
    first, second = (results_of(process)["two"] for process in processes)
    assert first == second
    assert_close(first, results["one"])
    assert (tmp_path / "0" / "best.keras").is_file()
    assert not (tmp_path / "1").exists()


def arrays(batches):
    return [tuple(map(np.asarray, batch)) for batch in batches.as_numpy_iterator()]


@pytest.mark.parametrize("processes", [1, 2])
def test_devices_get_equal_parts_of_the_same_batches(processes, pictures):
    whole = arrays(load(pictures).train)
    parts = [
        arrays(distribution.Devices(4, processes, i).training(load(pictures)))
        for i in range(processes)
    ]
    assert len(whole) == 4
    for batch, *shares in zip(whole, *parts, strict=True):
        for expected, *share in zip(batch, *shares):
            np.testing.assert_array_equal(np.concatenate(share), expected)


def test_the_last_batch_of_training_is_shortened_and_that_of_validation_filled_with_void(pictures):
    data = load(pictures, batch_size=6)
    for count, sizes in ((2, [6, 6, 4]), (3, [6, 6, 3]), (6, [6, 6])):
        batches = distribution.Devices(count).training(data)
        assert len(batches) == len(sizes)
        assert [len(images) for images, _ in arrays(batches)] == sizes
    ((images, labels),) = arrays(data.validation)
    ((more_images, more_labels),) = arrays(distribution.Devices(6).validation(data))
    for filled, batch, filling in ((more_images, images, 0), (more_labels, labels, 255)):
        np.testing.assert_array_equal(filled[:3], batch)
        assert filled.shape == (6, *batch.shape[1:])
        assert (filled[3:] == filling).all()


def test_a_batch_that_the_devices_cannot_share_is_one_error(pictures):
    with pytest.raises(ValueError, match="Received: 3 devices, batch_size=4, 16 images"):
        distribution.Devices(3).training(load(pictures))


@pytest.mark.parametrize(
    ("way", "backend", "instead"), [("jax", "tensorflow", "mirrored"), ("mirrored", "jax", "jax")]
)
def test_each_way_has_its_backend(way, backend, instead, monkeypatch):
    if distribution.WAYS[way][0] == keras.backend.backend():
        distribution.find_devices(way)  # found before, it is refused all the same
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(ValueError, match=rf"={backend}\. Or take --distribute {instead}\."):
        distribution.find_devices(way)


def test_half_a_cluster_is_one_error(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setenv("KERAS_DISTRIBUTION_PROCESS_ID", "0")
    with pytest.raises(ValueError, match="Received: KERAS_DISTRIBUTION_PROCESS_ID alone"):
        distribution.data_parallel()


@pytest.mark.slow
def test_two_workers_killed_in_the_command_line_go_on_as_if_they_had_not_been(pictures, tmp_path):
    pytest.importorskip("jax")
    words = [
        sys.executable,
        "-m",
        "kerasseg_command",
        "train",
        str(pictures),
        "--distribute",
        "jax",
    ]
    words += ["--model", "segnet_basic", "--width", "0.05", "--image-size", "8", "12"]
    words += ["--epochs", "3", "--batch-size", "4"]

    def begin(name):
        return [
            subprocess.Popen(
                [*words, "--output", str(tmp_path / name)],
                env={**environment("jax"), "CUDA_VISIBLE_DEVICES": "", **variables},
            )
            for variables in two_workers()
        ]

    def epochs(name):
        path = tmp_path / name / "run.json"
        return json.loads(path.read_text())["history"] if path.exists() else []

    processes = begin("killed")
    while not epochs("killed"):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.05)
    for process in processes:
        process.kill()
        process.wait()
    assert len(epochs("killed")) < 3
    for name in ("killed", "whole"):
        assert [process.wait() for process in begin(name)] == [0, 0]
        assert (tmp_path / name / "report.html").is_file()
    killed, whole = ([{**e, "seconds": 0} for e in epochs(n)] for n in ("killed", "whole"))
    assert killed == whole
    assert [row["epoch"] for row in whole] == [1, 2, 3]
