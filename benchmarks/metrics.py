"""The confusion matrix and Dice against what people use instead.

    python benchmarks/metrics.py            all rows, and results/metrics.json

`MeanIoU` counts one batch of 8x256x256 pixels and 19 classes; `Dice` is computed forward and
backward for 4x128x128 pixels and 12 classes. Two threads, float32. `rounds.py` says how ratios are
taken.
"""

import argparse
import importlib.util
from typing import NamedTuple

import numpy as np
import rounds

CALLS = 1  # one of Keras takes seconds under PyTorch

OURS = "ours"
PLAIN = "argmax + bincount"
KERAS = "keras.metrics.MeanIoU"
TORCHMETRICS = "torchmetrics.JaccardIndex"
SUMS = "Dice by three sums"


class Row(NamedTuple):
    """What to measure: under which backend, on which maps, and limits for the ratios of ours."""

    backend: str
    size: tuple  # batch, height, width, classes
    limits: dict


MATRIX, OVERLAP = (8, 256, 256, 19), (4, 128, 128, 12)
ROWS = {
    "MeanIoU, PyTorch": Row("torch", MATRIX, {PLAIN: 2.0, KERAS: None, TORCHMETRICS: None}),
    "MeanIoU, TensorFlow graph": Row("tensorflow", MATRIX, {PLAIN: None, KERAS: None}),
    "Dice, TensorFlow graph, forward and backward": Row("tensorflow", OVERLAP, {SUMS: None}),
    "Dice, PyTorch, forward and backward": Row("torch", OVERLAP, {SUMS: None}),
}


def maps(size):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, size[-1], size[:-1]).astype("int64")
    return truth, rng.normal(size=size).astype("float32")


def three_sums(truth, scores):
    """Dice of a batch as it is usually written: no void, no weights, no check of labels."""
    from keras import ops

    p = ops.softmax(scores)
    truth = ops.one_hot(truth, scores.shape[-1], dtype="float32")
    pixels = (0, 1, 2)
    hit, claimed, true = (ops.sum(x, pixels) for x in (p * truth, p, truth))
    present = ops.cast(true > 0, "float32")
    return 1 - ops.sum(present * 2 * hit / (claimed + true)) / ops.sum(present)


def keras_metrics(classes):
    import keras

    from kerasseg.metrics import MeanIoU

    ours, theirs = MeanIoU(classes), keras.metrics.MeanIoU(classes, sparse_y_pred=False)
    return {OURS: ours.update_state, KERAS: theirs.update_state}


def tensorflow_contenders(name):
    import tensorflow as tf

    from kerasseg.losses import Dice

    row = ROWS[name]
    truth, scores = map(tf.constant, maps(row.size))
    classes = row.size[-1]

    def plain(truth, scores):
        cells = truth * classes + tf.argmax(scores, -1)
        flat = tf.cast(tf.reshape(cells, [-1]), tf.int32)
        return tf.math.bincount(flat, minlength=classes**2, maxlength=classes**2)

    def with_gradient(loss):
        def forward_and_backward(truth, scores):
            with tf.GradientTape() as tape:
                tape.watch(scores)
                value = loss(truth, scores)
            return value, tape.gradient(value, scores)

        return forward_and_backward

    if SUMS in row.limits:
        found = {OURS: with_gradient(Dice()), SUMS: with_gradient(three_sums)}
    else:
        found = {**keras_metrics(classes), PLAIN: plain}
    found = {name: tf.function(function, autograph=False) for name, function in found.items()}
    return {name: lambda f=function: f(truth, scores) for name, function in found.items()}


def torch_contenders(name):
    import torch

    from kerasseg.losses import Dice

    row = ROWS[name]
    truth, scores = map(torch.tensor, maps(row.size))
    classes = row.size[-1]

    def plain(truth, scores):
        cells = truth * classes + scores.argmax(-1)
        return torch.bincount(cells.flatten(), minlength=classes**2)

    def with_gradient(loss):
        leaf = scores.clone().requires_grad_()
        return lambda truth, _: torch.autograd.grad(loss(truth, leaf), leaf)

    if SUMS in row.limits:
        found = {OURS: with_gradient(Dice()), SUMS: with_gradient(three_sums)}
    else:
        found = {**keras_metrics(classes), PLAIN: plain}
        if importlib.util.find_spec("torchmetrics"):
            from torchmetrics import JaccardIndex

            jaccard = JaccardIndex("multiclass", num_classes=classes)
            found[TORCHMETRICS] = lambda truth, scores: jaccard.update(scores.argmax(-1), truth)
    return {name: lambda f=function: f(truth, scores) for name, function in found.items()}


CONTENDERS = {"tensorflow": tensorflow_contenders, "torch": torch_contenders}


def measure(server, name, count):
    row = ROWS[name]
    times = rounds.rounds_of([server], (name,), count)
    others = [other for other in row.limits if other in times]
    for other in set(row.limits) - set(others):
        print(f"\n{other} is not installed: it is left out")
    ratios = {other: rounds.quartiles(times[OURS] / times[other]) for other in others}
    milliseconds = {other: rounds.quartiles(1000 * times[other]) for other in (OURS, *others)}
    return {"row": name, "size": list(row.size), "milliseconds": milliseconds, "ratios": ratios}


def show(result):
    size = "x".join(map(str, result["size"]))
    print(f"\n{result['row']}, {size}: {result['milliseconds'][OURS][1]:.2f} ms")
    for other, (low, middle, high) in result["ratios"].items():
        check = rounds.verdict(middle, ROWS[result["row"]].limits[other])
        print(f"  over {other:36}{middle:6.2f} ({low:.2f} … {high:.2f})  {check}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", nargs="+", default=[""], help="words that a row's name contains")
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        rounds.set_threads(arguments.serve)
        rounds.serve(CONTENDERS[arguments.serve], CALLS)
        return
    servers = {backend: rounds.Server(__file__, backend) for backend in CONTENDERS}
    results = []
    for name, row in ROWS.items():
        if any(word in name for word in arguments.rows):
            results.append(measure(servers[row.backend], name, arguments.rounds))
            show(results[-1])
    for server in servers.values():
        server.close()
    if arguments.rows == [""]:
        rounds.write("metrics", results)


if __name__ == "__main__":
    main()
