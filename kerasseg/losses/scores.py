"""What predictions are: logits, or the probabilities that a softmax or a sigmoid made of them."""

import keras
from keras import ops

from kerasseg.layers.backend import can_branch

# The least probability of a class, where its logarithm is taken. Of a softmax, rounding leaves
# small numbers exact; of a sigmoid, not those that are left to 1.
LEAST_OF_SOFTMAX, LEAST_OF_SIGMOID = 1e-30, 1e-7


def logits_of(probabilities, least=LEAST_OF_SOFTMAX):
    """The logarithms of probabilities: a softmax returns the probabilities."""
    return ops.log(ops.maximum(probabilities, least))


def logits_of_either(scores, dtype):
    """The logits of several classes, (..., classes), given as they are or as probabilities.

    Args:
        scores: Logits or probabilities, the classes on the last axis.
        dtype: The type in which they were computed, which says how much rounding is allowed.
    """
    half = keras.backend.standardize_dtype(dtype) in ("float16", "bfloat16")
    tolerance = 1e-2 if half else 1e-3
    if can_branch(scores):
        given = ops.cond(
            are_probabilities(scores[:1, :1], tolerance),  # one row rules out nearly all logits
            lambda: are_probabilities(scores, tolerance),
            lambda: ops.convert_to_tensor(False),
        )
        return ops.cond(given, lambda: logits_of(scores), lambda: scores)
    return ops.where(are_probabilities(scores, tolerance), logits_of(scores), scores)


def are_probabilities(scores, tolerance):
    """Whether scores are non-negative and sum to 1 in every pixel, up to a tolerance: one bool.

    Example:

    >>> softmax, logits = np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.2, 0.8], [1.5, -0.5]])
    >>> [bool(are_probabilities(scores, 1e-3)) for scores in (softmax, logits)]
    [True, False]
    """
    sums = ops.sum(scores, axis=-1)
    return ops.logical_and(ops.all(scores >= 0), ops.all(ops.abs(sums - 1) <= tolerance))
