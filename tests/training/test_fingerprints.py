"""Whether a folder of images has changed."""

import os

from kerasseg import training
from tests.datasets.folders import ids, make_folder


def test_a_fingerprint_counts_pairs_and_changes_with_a_file(tmp_path):
    folder = make_folder(tmp_path / "a", [ids(seed, classes=3) for seed in range(5)])
    before = training.fingerprint(folder)
    assert before["pictures"] == 5
    assert training.fingerprint(folder) == before
    os.utime(folder / "masks" / "03.png", ns=(1, 1))
    assert training.fingerprint(folder)["digest"] != before["digest"]
