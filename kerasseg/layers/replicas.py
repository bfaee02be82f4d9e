"""Sums and means over the replicas of `tf.distribute`, which share a batch.

Under `tf.distribute.MirroredStrategy` each device runs the whole step on its part of the batch.
Whatever is divided by a count over the batch, such as that of the labelled pixels, must know all
parts. JAX has no such replicas: there a step sees the whole batch, wherever its parts are stored.
"""

from keras import ops

from kerasseg.layers.backend import tensorflow_paths


def count():
    """How many replicas share the batch of this step."""
    tensorflow = tensorflow_paths()
    return tensorflow.replica_count() if tensorflow else 1


def total(x):
    """The sum of what each replica calls with; gradients flow back to all of them."""
    return x if count() == 1 else tensorflow_paths().sum_over_replicas(x)


def mean(x, axis=None):
    """The mean of the entries that all replicas hold, over all axes or, as in `ops.mean`, some.

    Keras adds the means of the replicas and divides by their number. Where one holds less than the
    others, its entries would count more, so to it this gives as much more.
    """
    if count() == 1:
        return ops.mean(x, axis=axis)
    sums = ops.sum(x, axis=axis)
    entries = ops.cast(ops.size(x), x.dtype) / ops.cast(ops.size(sums), x.dtype)
    return total(sums) / (count() * entries)
