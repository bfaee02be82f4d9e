"""Under PyTorch no step copies labels to the host."""

import keras
import numpy as np
import pytest

from kerasseg import losses, metrics
from tests.maps import random_maps

if keras.backend.backend() != "torch":
    pytest.skip("other backends read labels without a copy, or compile", allow_module_level=True)

import torch

SHAPE = (2, 6, 7)
READERS = ("cpu", "numpy", "item", "tolist", "__array__", "__bool__", "__float__", "__int__")


@pytest.fixture
def reads(monkeypatch):
    """The number of entries of every tensor that is read on the host, with the reader's name."""
    found = []
    for name in READERS:
        original = getattr(torch.Tensor, name)

        def spy(tensor, *arguments, name=name, original=original, **options):
            found.append((name, tensor.numel()))
            return original(tensor, *arguments, **options)

        monkeypatch.setattr(torch.Tensor, name, spy)
    return found


def every_metric():
    names = ("MeanIoU", "PixelAccuracy", "MeanAccuracy", "FrequencyWeightedIoU", "BoundaryIoU")
    return [getattr(metrics, name)(5) for name in names]


@pytest.mark.parametrize("name", ["CrossEntropy", "Dice", "Tversky", "CrossEntropyDice"])
def test_a_loss_and_its_metrics_read_one_flag_of_the_labels(rng, reads, name):
    truth, scores = map(torch.tensor, random_maps(rng, shape=SHAPE))
    loss, scored = getattr(losses, name)(from_logits=False), every_metric()  # reads no flag itself
    reads.clear()
    loss(truth, scores)
    for metric in scored:
        metric.update_state(truth, scores)
    assert [size for _, size in reads if size > 1] == []
    assert sum(reader == "__bool__" for reader, _ in reads) == 1


def test_a_step_of_fit_copies_no_labels(rng, reads):
    truth, scores = random_maps(rng, shape=SHAPE)
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Conv2D(5, 1)])
    model.compile("sgd", losses.CrossEntropyDice(from_logits=False), metrics=every_metric())
    x, y = torch.tensor(scores), torch.tensor(truth)
    model.train_on_batch(x, y)
    reads.clear()
    model.train_step((x, y))
    assert [size for _, size in reads if size >= truth[0].size] == []
    assert sum(reader == "__bool__" for reader, _ in reads) <= 1


def test_an_id_outside_the_classes_raises_in_a_step_of_fit_and_again(rng):
    truth, scores = random_maps(rng, shape=SHAPE)
    truth[1, 2, 3] = 7
    model = keras.Sequential([keras.Input(scores.shape[1:]), keras.layers.Conv2D(5, 1)])
    model.compile("sgd", losses.Dice(), metrics=[metrics.MeanIoU(5)])
    labels = torch.tensor(truth)
    for _ in range(2):
        with pytest.raises(ValueError, match="0 to 4, or 255 for void. Received: id=7"):
            model.train_on_batch(torch.tensor(scores), labels)
    labels[1, 2, 3] = 0
    assert np.isfinite(model.train_on_batch(torch.tensor(scores), labels)[0])
    labels[1, 2, 3] = -1
    with pytest.raises(ValueError, match="Received: id=-1"):
        model.train_on_batch(torch.tensor(scores), labels)
