"""Argmax pooling and unpooling against what people use instead, in every mode and backend.

    python benchmarks/layers.py                      all rows, and results/layers.json
    python benchmarks/layers.py --rows XLA jit       those whose names contain one of these words

A pair pools by 2 x 2 and unpools again; forward and backward, its gradient is a result too. No
contender passes a flag. Two threads, float32. `rounds.py` says how ratios are taken.
"""

import argparse
from typing import NamedTuple

import numpy as np
import rounds

SIZES = ((4, 96, 128, 64), (4, 24, 32, 256), (8, 128, 128, 64))
ODD = ((4, 97, 129, 64),)
ONE_IMAGE = ((1, 360, 480, 64),)
CALLS = 4

OURS = "ours"
SCATTER = "max_pool_with_argmax + scatter_nd"
PLAIN = "MaxPooling2D + UpSampling2D"
TORCH = "PyTorch's pair"  # the faster of its two memory formats


class Row(NamedTuple):
    """What to measure: a mode of a backend, and limits for the ratio of ours to each other pair."""

    backend: str
    mode: str
    backward: bool
    limits: dict
    sizes: tuple = SIZES
    padding: str = "valid"


GRAPH = {SCATTER: 0.45, PLAIN: 1.5, TORCH: 0.95}
ROWS = {
    "TensorFlow graph, forward and backward": Row("tensorflow", "graph", True, GRAPH),
    "TensorFlow graph, forward": Row("tensorflow", "graph", False, GRAPH),
    "TensorFlow graph, forward, one image": Row("tensorflow", "graph", False, GRAPH, ONE_IMAGE),
    "TensorFlow graph, odd, same, forward and backward": Row(
        "tensorflow", "graph", True, {PLAIN: 2.5, SCATTER: None}, ODD, "same"
    ),
    "TensorFlow graph, odd, same, forward": Row(
        "tensorflow", "graph", False, {PLAIN: 2.5, SCATTER: None}, ODD, "same"
    ),
    "TensorFlow eager, forward and backward": Row(
        "tensorflow", "eager", True, {SCATTER: 1.0, PLAIN: None}
    ),
    "TensorFlow eager, forward": Row("tensorflow", "eager", False, {SCATTER: None, PLAIN: None}),
    "TensorFlow XLA, forward and backward": Row(
        "tensorflow", "XLA", True, {PLAIN: 1.2, TORCH: 0.8}
    ),
    "JAX jit, forward and backward": Row("jax", "jit", True, {PLAIN: 1.2}),
    "JAX jit, forward": Row("jax", "jit", False, {PLAIN: 1.2}),
    "PyTorch eager, forward and backward": Row("torch", "eager", True, {TORCH: 1.3}),
    "PyTorch eager, forward": Row("torch", "eager", False, {TORCH: 1.3}),
}


def keras_pairs(padding):
    """{name: function of a map} of the layers that run under every backend."""
    import keras

    from kerasseg.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D

    pool, unpool = MaxPoolingWithArgmax2D(padding=padding), MaxUnpooling2D(padding=padding)
    max_pool, up_sample = keras.layers.MaxPooling2D(padding=padding), keras.layers.UpSampling2D()

    def ours(x):
        pooled, argmax = pool(x)
        return unpool(pooled, argmax, x)

    return {OURS: ours, PLAIN: lambda x: up_sample(max_pool(x))}


def arrays(size, padding):
    """A map, and gradients of a pair's output, by the height of that output."""
    rng = np.random.default_rng(0)
    batch, height, width, channels = size
    even = (batch, height + height % 2, width + width % 2, channels)
    return [rng.normal(size=shape).astype("float32") for shape in (size, size, even)]


def tensorflow_pairs(name, size):
    import tensorflow as tf

    row = ROWS[name]
    x, *upstreams = map(tf.constant, arrays(size, row.padding))

    def scatter(x):
        pooled, flat = tf.nn.max_pool_with_argmax(
            x, 2, 2, row.padding.upper(), include_batch_in_index=True
        )
        values = tf.scatter_nd(
            tf.reshape(flat, [-1, 1]), tf.reshape(pooled, [-1]), [tf.size(x, tf.int64)]
        )
        return tf.reshape(values, tf.shape(x))

    def contender(pair):
        def forward_and_backward(x, *upstreams):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = pair(x)
            upstream = next(u for u in upstreams if u.shape == y.shape)
            return y, tape.gradient(y, x, upstream)  # both, else the forward pass is removed

        call = forward_and_backward if row.backward else lambda x, *_: pair(x)
        if row.mode != "eager":
            call = tf.function(call, jit_compile=row.mode == "XLA", autograph=False)
        return lambda: call(x, *upstreams)

    pairs = {**keras_pairs(row.padding), SCATTER: scatter}
    pairs = {name: contender(pair) for name, pair in pairs.items() if name in (OURS, *row.limits)}
    if SCATTER in pairs:
        for ours, theirs in zip(tf.nest.flatten(pairs[OURS]()), tf.nest.flatten(pairs[SCATTER]())):
            np.testing.assert_array_equal(ours, theirs)
    return pairs


def jax_pairs(name, size):
    import jax

    row = ROWS[name]
    x, upstream, _ = map(jax.numpy.asarray, arrays(size, row.padding))

    def contender(pair):
        def forward_and_backward(x, upstream):
            y, backward = jax.vjp(pair, x)
            return y, backward(upstream)

        call = jax.jit(forward_and_backward if row.backward else lambda x, _: pair(x))
        return lambda: jax.block_until_ready(call(x, upstream))

    return {name: contender(pair) for name, pair in keras_pairs(row.padding).items()}


def torch_pairs(name, size):
    import torch

    row = ROWS[name]
    x, upstream, _ = map(torch.tensor, arrays(size, row.padding))

    def theirs(x):
        pooled, flat = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
        return torch.nn.functional.max_unpool2d(pooled, flat, 2)

    def contender(pair, x, upstream):
        x = x.clone(memory_format=torch.preserve_format).requires_grad_(row.backward)

        def forward_and_backward():
            y = pair(x)
            return y, torch.autograd.grad(y, x, upstream)

        return forward_and_backward if row.backward else lambda: pair(x)

    first = [t.permute(0, 3, 1, 2) for t in (x, upstream)]  # channels first, in channels-last order
    pairs = {
        f"{TORCH}, channels last": contender(theirs, *first),
        f"{TORCH}, channels first": contender(theirs, *(t.contiguous() for t in first)),
    }
    if row.backend == "torch":
        pairs[OURS] = contender(keras_pairs(row.padding)[OURS], x, upstream)
    return pairs


PAIRS = {"tensorflow": tensorflow_pairs, "jax": jax_pairs, "torch": torch_pairs}


def measure(servers, name, size, count):
    """One line of results: ours in milliseconds, and its ratio to each of the others."""
    row = ROWS[name]
    needed = {row.backend, "torch"} if TORCH in row.limits else {row.backend}
    times = rounds.rounds_of([servers[backend] for backend in needed], (name, size), count)
    torch_times = [times[other] for other in times if other.startswith(TORCH)]
    if torch_times:
        times[TORCH] = min(torch_times, key=np.median)
    ratios = {other: rounds.quartiles(times[OURS] / times[other]) for other in row.limits}
    milliseconds = {other: rounds.quartiles(1000 * times[other]) for other in (OURS, *row.limits)}
    return {"row": name, "size": list(size), "milliseconds": milliseconds, "ratios": ratios}


def show(result):
    size = "x".join(map(str, result["size"]))
    print(f"\n{result['row']}, {size}: {result['milliseconds'][OURS][1]:.2f} ms")
    limits = ROWS[result["row"]].limits
    ratios = {other: ratio[1] for other, ratio in result["ratios"].items()}
    for other, (low, middle, high) in result["ratios"].items():
        check = rounds.verdict(middle, limits[other])
        if other == TORCH and PLAIN in limits and ratios[PLAIN] <= limits[PLAIN]:
            check += " or 1.5 x the plain pair, which holds" if limits is GRAPH else ""
        print(f"  over {other:36}{middle:6.2f} ({low:.2f} … {high:.2f})  {check}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", nargs="+", default=[""], help="words that a row's name contains")
    parser.add_argument("--serve", choices=PAIRS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        rounds.set_threads(arguments.serve)
        rounds.serve(PAIRS[arguments.serve], CALLS)
        return
    servers = {backend: rounds.Server(__file__, backend) for backend in PAIRS}
    results = []
    for name, row in ROWS.items():
        if any(word in name for word in arguments.rows):
            for size in row.sizes:
                results.append(measure(servers, name, size, arguments.rounds))
                show(results[-1])
    for server in servers.values():
        server.close()
    if arguments.rows == [""]:
        rounds.write("layers", results)


if __name__ == "__main__":
    main()
