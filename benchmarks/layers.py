"""Argmax pooling and unpooling against what people use instead, forward and backward.

    python benchmarks/layers.py            the table of ratios
    python benchmarks/layers.py --segnet   the training step of a whole SegNet

Every pair pools by 2 x 2, unpools again and takes the gradient; both the unpooled tensor and the
gradient are results, else a graph optimizer removes the forward pass. Two threads, float32. A round
times every pair once; the table shows medians over all rounds, and from the first to the third
quartile. PyTorch runs in a process of its own, between the rounds, since its waiting threads and
TensorFlow's take the cores from each other.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["OMP_NUM_THREADS"] = "2"
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

SIZES = ((4, 96, 128, 64), (4, 24, 32, 256), (8, 128, 128, 64))
THREADS = 2
BLOCK = 5  # calls in a row; the first warms the caches and is not counted


def seconds(call):
    """Times of the calls of one block."""
    call()
    times = []
    for _ in range(BLOCK - 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def tensorflow_pairs(size):
    """Name -> function of nothing that returns the unpooled tensor and the gradient."""
    import keras
    import tensorflow as tf

    from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D

    pool, unpool = MaxPoolingWithArgmax2D(), MaxUnpooling2D()
    max_pool, up_sample = keras.layers.MaxPooling2D(), keras.layers.UpSampling2D()
    x, upstream = (tf.random.stateless_normal(size, (seed, 0)) for seed in (1, 2))

    def ours(x):
        pooled, argmax = pool(x, training=True)
        return unpool(pooled, argmax, training=True)

    def scatter(x):
        pooled, flat = tf.nn.max_pool_with_argmax(x, 2, 2, "VALID", include_batch_in_index=True)
        values = tf.scatter_nd(
            tf.reshape(flat, [-1, 1]), tf.reshape(pooled, [-1]), [tf.size(x, tf.int64)]
        )
        return tf.reshape(values, tf.shape(x))

    def plain(x):
        return up_sample(max_pool(x))

    def pair(function, jit_compile):
        @tf.function(jit_compile=jit_compile)
        def forward_and_backward(x, upstream):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            return y, tape.gradient(y, x, upstream)

        return lambda: forward_and_backward(x, upstream)

    pairs = {
        "ours": pair(ours, False),
        "ours, XLA": pair(ours, True),
        "a: argmax + scatter_nd": pair(scatter, False),
        "c: MaxPooling2D + UpSampling2D": pair(plain, False),
        "c, XLA": pair(plain, True),
    }
    for name in ("ours", "ours, XLA"):
        for result, expected in zip(pairs[name](), pairs["a: argmax + scatter_nd"]()):
            np.testing.assert_array_equal(result, expected)
    return pairs


def torch_pairs(size):
    import torch

    torch.set_num_threads(THREADS)

    def pair(memory_format):
        batch, height, width, channels = size
        x, upstream = (
            torch.randn(batch, channels, height, width).contiguous(memory_format=memory_format)
            for _ in range(2)
        )
        x.requires_grad_()

        def forward_and_backward():
            pooled, flat = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
            y = torch.nn.functional.max_unpool2d(pooled, flat, 2)
            return y, torch.autograd.grad(y, x, upstream)

        return forward_and_backward

    return {
        "b: PyTorch, channels first": pair(torch.contiguous_format),
        "b: PyTorch, channels last": pair(torch.channels_last),
    }


def serve_torch():
    """Answers every line of input, the number of a size, with a block's times of each pair."""
    pairs = [torch_pairs(size) for size in SIZES]
    for line in sys.stdin:
        times = {name: seconds(call) for name, call in pairs[int(line)].items()}
        print(json.dumps(times), flush=True)


class TorchProcess:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve-torch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def times(self, size_index):
        self.process.stdin.write(f"{size_index}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


LIMITS = {  # of our time to theirs: without XLA, with XLA
    "a: argmax + scatter_nd": (0.45, None),
    "b: PyTorch, the faster": (0.95, 0.80),
    "c: MaxPooling2D + UpSampling2D": (1.50, 1.20),
    "c, XLA": (None, 1.20),
}


def compare_pairs(rounds):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    torch_process = TorchProcess()
    for index, size in enumerate(SIZES):
        times = {}
        pairs = tensorflow_pairs(size)
        for _ in range(rounds):
            block = {name: seconds(call) for name, call in pairs.items()}
            for name, values in {**block, **torch_process.times(index)}.items():
                times.setdefault(name, []).extend(values)
        print_table(size, {name: np.array(values) * 1000 for name, values in times.items()})
    torch_process.close()


def print_table(size, times):
    median = {name: np.median(values) for name, values in times.items()}
    torch_names = [name for name in times if name.startswith("b:")]
    times["b: PyTorch, the faster"] = times[min(torch_names, key=median.get)]
    print(
        f"\n{size}\n{'':34}{'ms':>8}  {'quartiles':>15}   {'ours / it':>9}  {'ours, XLA / it':>14}"
    )
    for name, values in times.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        ratios = [median[ours] / middle for ours in ("ours", "ours, XLA")]
        cells = [
            f"{ratio:6.2f} {verdict(ratio, limit)}"
            for ratio, limit in zip(ratios, LIMITS.get(name, (None, None)))
        ]
        print(f"{name:34}{middle:8.2f}  {low:6.2f} … {high:6.2f}   {cells[0]:>12}  {cells[1]:>14}")


def verdict(ratio, limit):
    if limit is None:
        return " " * 8
    return f"{'<=' if ratio <= limit else '> '} {limit:.2f} "


def scatter_layers():
    """The pair that everyone copies, as Keras layers with the interface of ours."""
    import keras
    import tensorflow as tf

    class Pool(keras.layers.Layer):
        def __init__(self, pool_size=2, padding="valid", data_format=None, **kwargs):
            super().__init__(**kwargs)
            self.padding = padding

        def call(self, x):
            return tf.nn.max_pool_with_argmax(
                x, 2, 2, self.padding.upper(), include_batch_in_index=True
            )

        def compute_output_spec(self, x):
            b, h, w, c = x.shape
            up = 1 if self.padding == "same" else 0
            shape = (b, (h + up) // 2, (w + up) // 2, c)
            return keras.KerasTensor(shape), keras.KerasTensor(shape, dtype="int64")

    class Unpool(Pool):
        def call(self, values, argmax, like=None):
            flat = tf.scatter_nd(
                tf.reshape(argmax, [-1, 1]), tf.reshape(values, [-1]), [tf.size(like, tf.int64)]
            )
            return tf.reshape(flat, tf.shape(like))

        def compute_output_spec(self, values, argmax, like=None):
            return keras.KerasTensor((*like.shape[:3], values.shape[3]))

    return {"MaxPoolingWithArgmax2D": Pool, "MaxUnpooling2D": Unpool}


def compare_segnets(rounds, size=(96, 128), batch=2):
    import keras

    from kerasseg.models import segnet, segnets

    rng = np.random.default_rng(0)
    x = rng.random((batch, *size, 3), "float32")
    y = rng.integers(0, 11, (batch, *size))
    models = {"ours": segnet((*size, 3), 11)}
    with mock.patch.multiple(segnets, **scatter_layers()):
        models["a: argmax + scatter_nd"] = segnet((*size, 3), 11)
    for model in models.values():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=False)
        model.train_on_batch(x, y)
    times = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            start = time.perf_counter()
            model.train_on_batch(x, y)
            times[name].append(time.perf_counter() - start)
    print(f"SegNet, training step, batch {batch} of {size}, seconds")
    for name, values in times.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        ratio = np.median(times["ours"]) / middle
        print(f"{name:34}{middle:8.3f}  {low:6.3f} … {high:6.3f}   ours / it {ratio:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--segnet", action="store_true")
    parser.add_argument("--serve-torch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_torch:
        serve_torch()
    elif arguments.segnet:
        compare_segnets(arguments.rounds)
    else:
        compare_pairs(arguments.rounds)


if __name__ == "__main__":
    main()
