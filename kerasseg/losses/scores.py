"""What predictions are: logits, or the probabilities that a softmax or a sigmoid made of them."""

from keras import ops

from kerasseg.layers.backend import can_branch

# The least probability of a class, where its logarithm is taken: a softmax computes small ones
# accurately, while 1 minus a sigmoid is accurate to 1e-7.
LEAST_OF_SOFTMAX, LEAST_OF_SIGMOID = 1e-30, 1e-7
TOLERANCE = 1e-2  # how far a softmax of bfloat16 may miss a sum of 1


def logits_of(probabilities, least=LEAST_OF_SOFTMAX):
    """The logarithms of probabilities: a softmax returns the probabilities."""
    return ops.log(ops.maximum(probabilities, least))


def logits_of_either(scores):
    """The logits of several classes, (..., classes), given as they are or as probabilities."""
    if can_branch(scores):
        given = ops.cond(
            are_probabilities(scores[:1, :1]),  # one row rules out nearly all logits
            lambda: are_probabilities(scores),
            lambda: ops.convert_to_tensor(False),
        )
        return ops.cond(given, lambda: logits_of(scores), lambda: scores)
    return ops.where(are_probabilities(scores), logits_of(scores), scores)


def are_probabilities(scores):
    """Whether scores are non-negative and sum to 1 in every pixel: one bool.

    Example:

    >>> softmax, logits = np.array([[0.2, 0.8], [1.0, 0.0]]), np.array([[0.2, 0.8], [1.5, -0.5]])
    >>> [bool(are_probabilities(scores)) for scores in (softmax, logits)]
    [True, False]
    """
    sums = ops.sum(scores, axis=-1)
    return ops.logical_and(ops.all(scores >= 0), ops.all(ops.abs(sums - 1) <= TOLERANCE))
