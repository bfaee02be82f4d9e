"""Which images a split takes from another: drawn at random, alike for every run."""

import numpy as np


def drawn(count, fraction, seed=0):
    """bool array (count,): which of `count` images are drawn, one at least.

    Args:
        count: Number of images.
        fraction: Share of them to draw, rounded.
        seed: Of the draw.

    Example:

    >>> int(drawn(10, 0.3).sum())
    3
    """
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(fraction * count))]] = True
    return chosen
