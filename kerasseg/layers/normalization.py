"""Batch normalisation in one pass over the map."""

import keras

from kerasseg.layers import replicas


@keras.saving.register_keras_serializable(package="kerasseg")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, trained by TensorFlow's fused kernel.

    Same arguments, weights and results. Keras 3 composes the mean, the variance and the scaling of
    a dozen operations, each a pass over the map and a tensor kept for the gradient. Where nobody
    melts them together, as XLA does, they take a quarter of a U-Net's training step. TensorFlow has
    one kernel for all of it; it is used in training, for maps in `channels_last`. Elsewhere, on
    JAX and PyTorch too, this is Keras's layer.

    Where the replicas of `tf.distribute` share a batch, this is Keras's layer with
    `synchronized=True`: mean and variance are those of the whole batch.

    Input shape: `(batch, height, width, channels)`, or what Keras's layer takes.
    Output shape: the same.

    Example:

    >>> layer = FusedBatchNormalization(epsilon=0.0)
    >>> ops.squeeze(layer(np.array([1.0, 3.0]).reshape(1, 1, 2, 1), training=True))
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
        plain = self.scale and self.center and not (self.synchronized or self.renorm)
        last = len(inputs.shape) == 4 and self.axis in (-1, 3)
        return keras.backend.backend() == "tensorflow" and plain and last

    def normalize(self, inputs):
        import tensorflow as tf

        x = tf.cast(inputs, "float32")
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self.beta,
            mean=self.moving_mean,
            variance=self.moving_variance,
            epsilon=self.epsilon,
        )
        count = tf.cast(tf.size(x) // x.shape[-1], "float32")
        variance *= (count - 1) / count  # the kernel divides the squares by `count - 1`
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return tf.cast(outputs, self.compute_dtype)
