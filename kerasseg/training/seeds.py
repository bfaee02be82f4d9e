"""What the random layers of a model draw in an epoch: a function of the seed and the epoch."""

import contextlib

import keras
import numpy as np

from kerasseg.anatomy.keras_internals import seed_states

__all__ = ["seeded_layers"]


@contextlib.contextmanager
def seeded_layers(model, seed, epoch):
    """Inside, the random layers of a model draw what belongs to an epoch.

    Only what the layers draw from is seeded: their own seed generators and, under PyTorch, whose
    dropout draws from it, PyTorch's global generator. The latter is put back at the end. Python's
    and NumPy's random numbers are not touched.

    Args:
        model: A `keras.Model`.
        seed, epoch: Integers of at least 0.

    Example: dropout draws alike in the same epoch.

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dropout(0.5)])
    >>> def draw():
    ...     with seeded_layers(model, seed=0, epoch=3):
    ...         return np.array(model(np.ones((1, 8)), training=True))
    >>> bool((draw() == draw()).all())
    True
    """
    for i, state in enumerate(seed_states(model)):
        drawn = np.random.SeedSequence((seed, epoch, i)).generate_state(2)
        state.assign(drawn >> 1)  # PyTorch's are signed
    with contextlib.ExitStack() as stack:
        if keras.backend.backend() == "torch":
            import torch

            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0]))
        yield
