"""The learning rate of a training."""

import keras

__all__ = ["cosine_with_warmup"]


def cosine_with_warmup(learning_rate, steps, warmup=0.05):
    """A learning rate that rises linearly, then falls to zero along a cosine.

    Loshchilov and Hutter, "SGDR", ICLR 2017; the rise as in Goyal et al. 2017.

    Args:
        learning_rate: Its peak.
        steps: Of the whole training: epochs times batches per epoch.
        warmup: The share of the steps in which it rises.

    Returns:
        A `keras.optimizers.schedules.CosineDecay`.

    Example: a rise over 5 steps of 100.

    >>> schedule = cosine_with_warmup(0.01, 100)
    >>> [round(float(schedule(step)), 4) for step in (0, 5, 100)]
    [0.002, 0.01, 0.0]
    """
    rising = max(1, round(warmup * steps))
    return keras.optimizers.schedules.CosineDecay(
        learning_rate / rising,
        max(1, steps - rising),
        warmup_target=learning_rate,
        warmup_steps=rising,
    )
