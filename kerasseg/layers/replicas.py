"""What the replicas of `tf.distribute` tell each other, so that a batch cut into parts is one.

Under `tf.distribute.MirroredStrategy` each device runs the whole step on its part of the batch.
Whatever is divided by a count of the batch, such as the labelled pixels, must know it of all parts.
JAX has no such replicas: there a step sees the whole batch, wherever its parts lie.
"""

import keras
from keras import ops


def count():
    """How many replicas share the batch of this step."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def total(x):
    """The sum of what each replica calls with; gradients flow back to all of them."""
    if count() == 1:
        return x
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, x)


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
