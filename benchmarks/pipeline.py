"""Images per second on CamVid, decoded and augmented, beside a PyTorch `DataLoader`.

    python benchmarks/pipeline.py --data-dir PATH

Both sides do the same work on two threads: decode image and label map (we with TensorFlow, PyTorch
with Pillow, to the same arrays), resize 360 x 480 to 180 x 240 (means of 2 x 2, nearest), flip,
scale and crop, rotate both by one matrix, change contrast, brightness and saturation, add noise,
and deliver shuffled batches of 8, images float32 (height, width, channels) in [0, 1], labels int32.
The `DataLoader` does with Pillow and NumPy what we do with TensorFlow. A round times one epoch of
each; the table shows medians over all rounds, and from the first to the third quartile. PyTorch
runs in a process of its own, which sleeps while TensorFlow is timed.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["OMP_NUM_THREADS"] = "2"

import numpy as np
from PIL import Image, ImageEnhance

SIZE = (180, 240)
BATCH_SIZE = 8
THREADS = 2


def our_pipelines(data_dir):
    """{name: `tf.data.Dataset` of training batches}."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    from kerasseg import datasets
    from kerasseg.datasets import dataset

    def train(**arguments):
        return datasets.load(
            "camvid", data_dir=data_dir, image_size=SIZE, batch_size=BATCH_SIZE, **arguments
        ).train

    one_thread = tf.data.Options()
    one_thread.threading.private_threadpool_size = 1
    one_thread.threading.max_intra_op_parallelism = 1
    with mock.patch.object(dataset, "CACHE_LIMIT", 0):
        streamed = train()
    check_equal(train(augment=False), data_dir)
    return {
        "ours, serial": streamed.with_options(one_thread),
        "ours, parallel": streamed,
        "ours, cached": train(),
    }


def check_equal(batches, data_dir):
    """Before augmentation both sides have the same labels, and images but for one step of 255."""
    ours = {label.tobytes(): image for x, y in batches for image, label in zip(x, y.numpy())}
    for paths in pairs(data_dir)[:20]:
        image, label = read(*paths)
        their_label = np.asarray(label, "int32")
        np.testing.assert_allclose(255 * ours[their_label.tobytes()], image, atol=1.01)


def pairs(data_dir):
    images = sorted(Path(data_dir, "train").iterdir())
    return [(path, Path(data_dir, "trainannot", f"{path.stem}.png")) for path in images]


def read(image_path, label_path):
    """Two Pillow images, decoded and resized; void, 11 in the file, is 255."""
    size = SIZE[::-1]
    with Image.open(image_path) as image:
        image = image.convert("RGB").resize(size, Image.BOX)
    with Image.open(label_path) as label:
        label = np.asarray(label.resize(size, Image.NEAREST))
    return image, Image.fromarray(np.where(label == 11, np.uint8(255), label))


def augment(image, label, rng):
    """float32 image in [0, 1] and int32 label map; the ranges are those of our augmentation."""
    zoom, angle = math.exp(rng.uniform(-0.288, 0.470)), rng.uniform(-0.0873, 0.0873)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    mirror = rng.choice((-1, 1))
    x, y = (image.width - 1) / 2, (image.height - 1) / 2
    room = abs(1 - 1 / zoom)
    u, v = x + x * room * rng.uniform(-1, 1), y + y * room * rng.uniform(-1, 1)
    a, b, c, d = mirror * cos, -sin, mirror * sin, cos
    matrix = (a, b, u - a * x - b * y, c, d, v - c * x - d * y)
    image = image.transform(image.size, Image.AFFINE, matrix, Image.BILINEAR)
    label = label.transform(label.size, Image.AFFINE, matrix, Image.NEAREST, fillcolor=255)
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.7, 1.3))
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
    image = ImageEnhance.Color(image).enhance(rng.uniform(0.6, 1.4))
    pixels = np.asarray(image, "float32") / 255
    noise = np.float32(0.08 * rng.random()) * (rng.random(pixels.shape, "float32") - 0.5)
    return np.clip(pixels + noise, 0, 1), np.asarray(label, "int32")


def torch_loaders(data_dir):
    import torch

    torch.set_num_threads(1)

    class CamVid(torch.utils.data.Dataset):
        def __init__(self):
            self.pairs = pairs(data_dir)

        def __len__(self):
            return len(self.pairs)

        def __getitem__(self, index):
            rng = np.random.default_rng(torch.randint(2**62, ()).item())
            return augment(*read(*self.pairs[index]), rng)

    def loader(workers):
        return torch.utils.data.DataLoader(
            CamVid(),
            batch_size=BATCH_SIZE,
            shuffle=True,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    return {"DataLoader, serial": loader(0), "DataLoader, 2 workers": loader(2)}


def speed(batches):
    """Images per second over one epoch."""
    start = time.perf_counter()
    count = sum(len(images) for images, _ in batches)
    return count / (time.perf_counter() - start)


def serve_torch(data_dir):
    """Answers every line of input with the speeds of an epoch of each loader."""
    loaders = torch_loaders(data_dir)
    for _ in sys.stdin:
        print(json.dumps({name: speed(loader) for name, loader in loaders.items()}), flush=True)


class TorchProcess:
    def __init__(self, data_dir):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--data-dir", data_dir, "--serve-torch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def speeds(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


LIMITS = {"ours, parallel": 1.0, "ours, cached": 3.0}  # times the DataLoader of 2 workers


def compare(data_dir, rounds):
    pipelines, torch_process = our_pipelines(data_dir), TorchProcess(data_dir)
    speeds = []
    for _ in range(rounds + 1):
        ours = {name: speed(batches) for name, batches in pipelines.items()}
        speeds.append({**ours, **torch_process.speeds()})
    torch_process.close()
    warm = speeds[1:]  # the first round fills caches and starts workers
    print_table({name: np.array([each[name] for each in warm]) for name in warm[0]})


def print_table(speeds):
    theirs = speeds["DataLoader, 2 workers"]
    print(f"{'':24}{'images/s':>9}  {'quartiles':>15}   {'times DataLoader, 2 workers':>27}")
    for name, values in speeds.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        ratio = np.median(values) / np.median(theirs)
        limit = LIMITS.get(name)
        verdict = f"{'>=' if ratio >= limit else '< '} {limit:.2f}" if limit else ""
        print(f"{name:24}{middle:9.0f}  {low:6.0f} … {high:6.0f}   {ratio:18.2f} {verdict}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="CamVid, as for kerasseg.datasets.load")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--serve-torch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_torch:
        serve_torch(arguments.data_dir)
    else:
        compare(arguments.data_dir, arguments.rounds)


if __name__ == "__main__":
    main()
