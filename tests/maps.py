"""Random label maps with scores, for the tests of losses and metrics."""

import numpy as np


def random_maps(rng, classes=5, shape=(3, 7, 11), void=0.2):
    """Ids with some void, int64 of a shape, and scores of each class."""
    truth = rng.integers(0, classes, shape)
    truth[rng.uniform(size=shape) < void] = 255
    return truth, rng.normal(size=(*shape, classes)).astype("float32")


def blocks(rng, classes=5, shape=(3, 3, 4), size=(7, 6)):
    """Maps of rectangles, so that there is something beside the contours, and guesses like them."""
    truth = rng.integers(0, classes, shape)
    guess = np.where(rng.uniform(size=shape) < 0.3, rng.integers(0, classes, shape), truth)
    truth, guess = (np.kron(ids, np.ones((1, *size), int)) for ids in (truth, guess))
    guess = np.roll(guess, 1, axis=2)
    truth[:, 2:4, 3:] = 255
    return truth, np.eye(classes, dtype="float32")[guess]


def random_masks(rng, labels=1, shape=(3, 7, 11), void=0.2):
    """Masks of 0, 1 and void for each label, and a logit for each."""
    truth = rng.integers(0, 2, (*shape, labels))
    truth[rng.uniform(size=truth.shape) < void] = 255
    return truth, rng.normal(size=truth.shape).astype("float32")


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))
