"""A set larger than `CACHE_LIMIT` is read from disk in every epoch, and memory stays bounded."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from kerasseg import datasets
from kerasseg.datasets import dataset

COUNT, SIZE = 1000, (240, 320)
DECODED = COUNT * SIZE[0] * SIZE[1] * 4 / 2**20  # MB of images and label maps: 293

MEMORY = """
import sys
from kerasseg import datasets
from kerasseg.datasets import dataset

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

dataset.CACHE_LIMIT = int(sys.argv[2])
data = datasets.load("camvid", data_dir=sys.argv[1], batch_size=10)
few, _ = data.hold_out(0.95)  # compiles, starts threads, fills their pools
before = max(megabytes() for _ in range(2) for batch in few)
print(max(megabytes() for _ in range(2) for batch in data.train) - before)
"""


@pytest.fixture(scope="module")
def large_set(tmp_path_factory):
    """A folder of many pictures: ten files, each under many names."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    for split, count in (("train", COUNT), ("val", 10)):
        for kind, shape in ((split, (*SIZE, 3)), (f"{split}annot", SIZE)):
            (folder / kind).mkdir()
            for i in range(count):
                path = folder / kind / f"{i:05}.png"
                if i < 10:
                    values = np.broadcast_to(rng.integers(0, 12, shape[1:]), shape)
                    Image.fromarray(values.astype("uint8")).save(path, compress_level=1)
                else:
                    os.link(folder / kind / f"{i % 10:05}.png", path)
    return folder


def growth(folder, cache_limit):
    """MB by which two epochs of training pictures let a process grow."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder), str(cache_limit)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout.splitlines()[-1])


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads memory from /proc")
def test_a_streamed_set_takes_constant_memory(large_set):
    assert growth(large_set, cache_limit=2**19) < DECODED / 4


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads memory from /proc")
def test_a_cached_set_takes_what_its_pictures_take(large_set):
    """What the test above would see if pictures stayed in memory."""
    assert growth(large_set, cache_limit=2**40) > DECODED / 2


def test_a_cached_set_is_read_once_and_a_streamed_one_in_every_epoch(camvid_dir, monkeypatch):
    def pictures_after_the_files_are_gone(cache_limit):
        monkeypatch.setattr(dataset, "CACHE_LIMIT", cache_limit)
        folder = camvid_dir / "train"
        train = datasets.load("camvid", data_dir=camvid_dir).train
        list(train)
        folder.rename(camvid_dir / "away")
        try:
            return sum(len(images) for images, _ in train)
        except Exception:
            return 0
        finally:
            (camvid_dir / "away").rename(folder)

    assert pictures_after_the_files_are_gone(2**30) == 10
    assert pictures_after_the_files_are_gone(0) == 0


def test_the_shuffle_buffer_of_a_streamed_set_holds_no_more_bytes_than_allowed(monkeypatch):
    asked = []
    monkeypatch.setattr(dataset, "CACHE_LIMIT", 0)
    monkeypatch.setattr(dataset, "SHUFFLE_LIMIT", 256 * 100)
    shuffle = dataset.Dataset._shuffle

    def remember(self, data, buffer_size):
        asked.append(buffer_size)
        return shuffle(self, data, buffer_size)

    monkeypatch.setattr(dataset.Dataset, "_shuffle", remember)
    train = datasets.load("digits").train
    assert asked == [100]
    assert sum(len(images) for images, _ in train) == 1197
