"""How much a mean IoU would vary with other images of the same kind."""

import keras
import numpy as np

from kerasseg.metrics.confusion import Ratios, mean_of

__all__ = ["mean_iou_interval"]

DRAWS = 2000


def mean_iou_interval(hits, unions, ignore_class=None, level=0.95, draws=DRAWS, seed=0):
    """The bootstrap confidence interval of a mean IoU.

    Each draw takes as many images as there are, at random, some of them several times, adds their
    pixels and computes one mean IoU. The interval holds the share `level` of these scores, and as
    many lie below it as above (Efron's percentile interval). It says how far the score depends on
    the images that happen to be in the set, if they are independent: frames of one video are alike,
    and their true interval is wider. It says nothing of other trainings of the model.

    Args:
        hits, unions: Numbers (images, classes): the intersection and the union of truth and
            prediction, in pixels, as `kerasseg.metrics.confusion.iou` counts them.
        ignore_class: The id of a class that does not count, or of none.
        level: The share of the draws inside, between 0 and 1.
        draws: How many there are.
        seed: Of the draws.

    Returns:
        `(low, high)`, two floats; `None` of fewer than two images, or where every pixel is void.

    Raises:
        ValueError: `hits` and `unions` that are not of one shape (images, classes), a `level` that
            is not between 0 and 1, `draws` below 1.

    Example: of two images, one is right and one is wrong: a quarter of the draws has none of the
    first, another quarter none of the second.

    >>> mean_iou_interval([[8], [0]], [[8], [8]])
    (0.0, 1.0)
    """
    hits, unions = np.asarray(hits, "float64"), np.asarray(unions, "float64")
    if hits.ndim != 2 or hits.shape != unions.shape:
        raise ValueError(
            "`hits` and `unions` must be of one shape, (images, classes). "
            f"Received: hits.shape={hits.shape}, unions.shape={unions.shape}"
        )
    if not 0 < level < 1 or draws < 1:
        raise ValueError(
            "`level` must be between 0 and 1, and `draws` at least 1. "
            f"Received: level={level}, draws={draws}"
        )
    count, rng = len(hits), np.random.default_rng(seed)
    if count < 2:
        return None
    drawn = np.zeros((2, draws, hits.shape[1]))
    for i in range(draws):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        drawn[:, i] = times @ hits, times @ unions
    means, _ = mean_of(Ratios(*drawn, np.ones_like(drawn[0])), ignore_class)
    means = keras.ops.convert_to_numpy(means)
    means = means[np.isfinite(means)]  # a draw may hold void alone
    if not len(means):
        return None
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
