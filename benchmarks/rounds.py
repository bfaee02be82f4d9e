"""What the benchmarks share: contenders in processes of their own take turns, and ratios result.

A round times every contender once, in a block of a few calls. The ratio of two contenders is taken
within each round, and the median over all rounds counts, so that a load that comes and goes hits
both alike.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

THREADS = 2
RESULTS = Path(__file__).parent / "results"


def set_threads(backend):
    """Before the backend is imported, and in the process that uses it."""
    os.environ |= {"KERAS_BACKEND": backend, "OMP_NUM_THREADS": str(THREADS)}
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    if backend == "jax" and hasattr(os, "sched_setaffinity"):  # it takes a thread for each core
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    if backend == "torch":
        import torch

        torch.set_num_threads(THREADS)


def median_seconds(call, calls):
    """Of a block of calls; one more, the first, warms the caches."""
    call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def serve(contenders, calls):
    """Answers every line of input, the key of a row, with {name: seconds} of its contenders."""
    made = {}
    for line in sys.stdin:
        key = line.strip()
        if key not in made:
            made[key] = contenders(*json.loads(key))
            for call in made[key].values():  # compiles
                for _ in range(3):
                    call()
        times = {name: median_seconds(call, calls) for name, call in made[key].items()}
        print(json.dumps(times), flush=True)


class Server:
    """A process that times the contenders of one backend."""

    def __init__(self, file, backend):
        self.process = subprocess.Popen(
            [sys.executable, file, "--serve", backend],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def times(self, key):
        self.process.stdin.write(json.dumps(key) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a contender ended early; its error is above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def rounds_of(servers, key, rounds):
    """{name: seconds in every round} of all contenders of all servers."""
    for server in servers:
        server.times(key)  # compiles
    times = {}
    for _ in range(rounds):
        for server in servers:
            for name, seconds in server.times(key).items():
                times.setdefault(name, []).append(seconds)
    return {name: np.array(seconds) for name, seconds in times.items()}


def quartiles(values, digits=3):
    return [round(float(value), digits) for value in np.percentile(values, (25, 50, 75))]


def verdict(ratio, limit):
    if limit is None:
        return ""
    return f"{'<=' if ratio <= limit else '> '} {limit:g}"


def versions():
    names = ("tensorflow", "jax", "torch", "keras", "numpy")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(name, rows):
    """`results/NAME.json`, from which `readme.py` makes the README's table."""
    RESULTS.mkdir(exist_ok=True)
    content = {"versions": versions(), "threads": THREADS, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions().items()))
