"""Batch normalisation in one pass over the map."""

import keras
from keras import ops

from kerasseg.layers import replicas
from kerasseg.layers.backend import tensorflow_paths


@keras.saving.register_keras_serializable(package="kerasseg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, trained by TensorFlow's fused kernel.

    Same arguments, weights and results. Keras 3 composes the mean, the variance and the scaling of
    a dozen operations, each a pass over the map and a tensor kept for the gradient. Where XLA does
    not fuse them they slow down training. TensorFlow has one kernel for all of it; it is used in
    training, for maps in `channels_last` and float32 parameters. Elsewhere, on JAX and PyTorch too,
    this is Keras's layer.

    Where the replicas of `tf.distribute` share a batch, this is Keras's layer with
    `synchronized=True`: mean and variance are those of the whole batch.

    Input shape: `(batch, height, width, channels)`, or what Keras's layer takes.
    Output shape: the same.

    Example:

    >>> layer = FusedBatchNormalization(epsilon=0.0)
    >>> y = layer(np.array([1.0, 3.0]).reshape(1, 1, 2, 1), training=True)    # mean 2, variance 1
    >>> print(ops.convert_to_numpy(y)[0, 0, :, 0])
    [-1.  1.]
    """

    @property
    def synchronized(self):
        return self._synchronized or replicas.count() > 1

    @synchronized.setter
    def synchronized(self, value):
        self._synchronized = value

    def call(self, inputs, training=None, mask=None):
        if training and self.trainable and mask is None and self.is_fusible(inputs):
            return self.normalize(inputs)
        return super().call(inputs, training=training, mask=mask)

    def is_fusible(self, inputs):
        """Whether TensorFlow's kernel applies: it has float32 parameters and statistics."""
        plain = self.scale and self.center and not (self.synchronized or self.renorm)
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        dtypes = self.variable_dtype, keras.backend.standardize_dtype(inputs.dtype)
        fits = dtypes[0] == "float32" and dtypes[1] in ("float32", "float16", "bfloat16")
        return bool(tensorflow_paths()) and plain and last and fits

    def normalize(self, inputs):
        outputs, mean, variance = tensorflow_paths().batch_normalization(
            inputs, self.gamma, self.beta, self.epsilon
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)
