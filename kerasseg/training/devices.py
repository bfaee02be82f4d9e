"""More than one device: the same `fit`, with every batch cut into equal parts, a part a device.

A training on several devices is the training on one: the loss is divided by the labelled pixels of
the whole batch, and batch normalisation takes the statistics of the whole batch. Only the dropout
of `mirrored` differs: there all devices draw the same. JAX does this without help; what TensorFlow
needs for it is in `kerasseg.layers.replicas`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import warnings
from collections.abc import Callable

import keras
import numpy as np

__all__ = ["WAYS", "Devices", "find_devices"]

CLUSTER = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices that share each batch, and the part of this process.

    Attributes:
        count: How many devices there are, those of all processes.
        processes: How many processes there are.
        process: The number of this one, from 0, which alone writes files.
        scope: A function that gives the context in which models are made, loaded and fitted.
    """

    count: int = 1
    processes: int = 1
    process: int = 0
    scope: Callable = contextlib.nullcontext

    def training(self, data):
        """The batches of `data.train`, each of a size that the devices can share.

        The last batch of an epoch is cut to a multiple of the number of devices. The few images
        that this leaves out are other ones in every epoch, as the order changes.

        Raises:
            ValueError: a batch size that is not a multiple of the number of devices, or fewer
                training images than devices.
        """
        if self.count == 1:
            return data.train
        pictures = len(data.source.splits["train"])
        if data.batch_size % self.count or pictures < self.count:
            raise ValueError(
                "The devices must have equal parts of each batch: a batch size that is a multiple "
                "of their number, and at least as many images. "
                f"Received: {self.count} devices, batch_size={data.batch_size}, {pictures} images"
            )
        if data.steps:  # whole batches, all of them
            pictures = data.steps * data.batch_size
        steps = -(-(pictures - pictures % self.count) // data.batch_size)

        def trim(images, labels):
            kept = len_of(images) // self.count * self.count
            return self._own(images[:kept]), self._own(labels[:kept])

        return data.train.take(steps).map(trim)

    def validation(self, data):
        """The batches of `data.validation`, the last one filled up with void images.

        Void pixels count neither in a score nor in a loss.
        """
        if self.count == 1:
            return data.validation
        import tensorflow as tf

        def fill(images, labels):
            rows = [[0, -len_of(images) % self.count]]
            images = tf.pad(images, rows + [[0, 0]] * 3)
            sides = rows + [[0, 0]] * (len(labels.shape) - 1)
            labels = tf.pad(labels, sides, constant_values=data.ignore_class)
            return self._own(images), self._own(labels)

        return data.validation.map(fill)

    def check_agreement(self, state):
        """Raises `ValueError` in all processes unless each calls with the same dict for JSON."""
        if self.processes == 1:
            return
        from jax.experimental import multihost_utils

        words = json.dumps(state, sort_keys=True).encode()
        digest = np.frombuffer(hashlib.sha256(words).digest(), "int32")
        digests = multihost_utils.process_allgather(digest)
        if (digests != digests[0]).any():
            raise ValueError(
                "The processes do not train the same run. Start each with the same command, on a "
                "folder of images and an output folder that all of them see."
            )

    def _own(self, batch):
        rows = len_of(batch) // self.processes
        return batch[rows * self.process : rows * (self.process + 1)]


def run_step_by_step():
    """Makes TensorFlow run operations one by one: compiling takes longer than a few steps."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_functions")
        tf.config.run_functions_eagerly(True)


def len_of(batch):
    import tensorflow as tf

    return tf.shape(batch)[0]


@functools.cache  # the messages of two strategies in one process would mix
def mirrored():
    """The GPUs of this machine, or its logical CPU devices, under TensorFlow."""
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy()
    return Devices(strategy.num_replicas_in_sync, scope=strategy.scope)


@functools.cache
def data_parallel():
    """The devices of JAX, on this machine or on all that Keras's variables name."""
    import jax

    given = [name for name in CLUSTER if name in os.environ]
    if given:
        if len(given) < len(CLUSTER):
            raise ValueError(
                f"Several processes need {', '.join(CLUSTER)}. Received: {', '.join(given)} alone"
            )
        keras.distribution.initialize()
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    count, processes = distribution.num_model_replicas, jax.process_count()
    if count != processes * jax.local_device_count():
        raise ValueError(
            "Every process must have the same number of devices. Received: "
            f"{jax.local_device_count()} here, {count} in {processes} processes"
        )

    @contextlib.contextmanager
    def scope():
        with distribution.scope():
            yield
        jax.distributed.shutdown()  # together: after this each goes its own way

    return Devices(count, processes, jax.process_index(), scope)


WAYS = {"mirrored": ("tensorflow", mirrored), "jax": ("jax", data_parallel)}


def find_devices(way=None):
    """The devices to train on: each way finds them once in a process.

    Args:
        way: "mirrored": all GPUs of this machine, under TensorFlow. "jax": all devices of this
            machine under JAX, or of several, where each runs a process in whose environment
            Keras's `KERAS_DISTRIBUTION_JOB_ADDRESSES` (host:port of the first process),
            `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID` stand.
            `None`: one device, as Keras chooses it.

    Returns:
        `Devices`.

    Raises:
        ValueError: another backend; processes that do not know of each other.

    Example:

    >>> devices = find_devices()                  # or "mirrored"
    >>> with devices.scope():                     # build, compile and fit inside
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> devices.count
    1
    """
    if way is None:
        return Devices()
    backend, find = WAYS[way]
    ours = keras.backend.backend()
    if ours != backend:
        instead = [f" Or take --distribute {name}." for name, (b, _) in WAYS.items() if b == ours]
        raise ValueError(
            f"--distribute {way} needs KERAS_BACKEND={backend}. Received: KERAS_BACKEND={ours}."
            + "".join(instead)
        )
    return find()
