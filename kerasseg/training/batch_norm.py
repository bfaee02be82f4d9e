"""Batch normalization whose statistics are right whenever a model is scored or saved."""

import contextlib
import itertools

import keras

from kerasseg.anatomy.keras_internals import all_layers

__all__ = ["UpdateBatchNorm", "update_batch_norm"]


def update_batch_norm(model, batches, steps=None):
    """Re-estimates the statistics of batch normalization with the model's current weights.

    Runs the model over some batches as in training, and replaces the moving averages by the
    plain average of the batches' means and variances. Nothing is learned: all other weights stay.
    Layers that are not trainable stay too. SegNet's authors did this after training, over the
    whole training set; PyTorch calls it `update_bn`. (Ioffe and Szegedy, ICML 2015, algorithm 2.)

    Args:
        model: A `keras.Model`.
        batches: Training images in batches, alone or as `(images, targets)`: a `tf.data.Dataset`
            or any iterable; one array is one batch.
        steps: After how many batches to stop; `None` for all.

    Example: the mean of four numbers in batches of three and one.

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
    >>> update_batch_norm(model, [np.array([[0.0], [1.0], [2.0]]), np.array([[9.0]])])
    >>> float(model.layers[0].moving_mean[0])
    3.0
    """
    layers = trainable_normalizations(model)
    momenta = [layer.momentum for layer in layers]
    seen = 0
    try:
        for batch in itertools.islice([batches] if hasattr(batches, "dtype") else batches, steps):
            images = batch[0] if isinstance(batch, (tuple, list)) else batch
            for layer in layers:  # so much of what was averaged so far stays
                layer.momentum = seen / (seen + len(images))
            with without_gradients():
                model(replicated(images), training=True)
            seen += len(images)
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum


class UpdateBatchNorm(keras.callbacks.Callback):
    """Keeps the statistics of batch normalization up to date in a training of few steps.

    Batch normalization trains with the statistics of each batch, and predicts with their moving
    averages. With Keras's momentum of 0.99 an average remembers about 100 steps. A training on few
    images takes many epochs for so many steps: until then validation scores, the choice of the
    best epoch and early stopping measure how far the averages lag, and not the model. So this
    callback does one or two things:

    - it lowers the momentum so that the averages remember about a third of an epoch, and 10 steps
      at most, which is PyTorch's default: `momentum = 1 - 1 / memory`, where `memory` is a third of
      the steps per epoch, but 2 at least and 10 at most. A lower momentum stays as it is;
    - with `batches` it calls `update_batch_norm` before each validation, and at the end of an
      epoch without validation. It must stand before callbacks that save the model.

    The weights that are learned, and the training loss, do not change. Layers that are not
    trainable are left alone. Saved models keep the lower momentum, which matters only where they
    are trained further.

    Args:
        batches: Training images, as in `update_batch_norm`, or `None`. Without augmentation the
            statistics are those that images have in prediction, and the same ones every time.
        steps: How many of the batches to use each time.

    Example: an epoch of 12 steps.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    >>> model.compile(loss="mse")
    >>> x = np.ones((24, 4))
    >>> history = model.fit(x, x, batch_size=2, verbose=0, callbacks=[UpdateBatchNorm()])
    >>> model.layers[0].momentum
    0.75
    """

    def __init__(self, batches=None, steps=10):
        super().__init__()
        self.batches = batches
        self.steps = steps
        self.outdated = False

    def on_train_begin(self, logs=None):
        momentum = momentum_for(self.params.get("steps"))
        changed = False
        for layer in trainable_normalizations(self.model):
            changed |= layer.momentum > momentum
            layer.momentum = min(layer.momentum, momentum)
        if changed:  # an earlier `fit` may have compiled the old value into its step
            self.model.make_train_function(force=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.outdated = self.batches is not None and bool(trainable_normalizations(self.model))

    def on_test_begin(self, logs=None):
        if self.outdated:
            update_batch_norm(self.model, self.batches, self.steps)
            self.outdated = False

    def on_epoch_end(self, epoch, logs=None):
        self.on_test_begin()


def momentum_for(steps):
    """The momentum for epochs of so many steps; `None`, where Keras does not know them, is many."""
    memory = 10 if steps is None else min(max(steps / 3, 2), 10)
    return 1 - 1 / memory


def trainable_normalizations(model):
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]


def replicated(images):
    """The images on each of the devices that `keras.distribution` uses."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return images
    images = keras.ops.convert_to_numpy(images)
    layout = keras.distribution.TensorLayout([None] * images.ndim, distribution.device_mesh)
    return keras.distribution.distribute_tensor(images, layout)


def without_gradients():
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
